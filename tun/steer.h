/* SPDX-License-Identifier: MIT */
/*
 * Which queue of a TUN device a packet takes. The kernel's own choice follows the queue
 * on which packets of the other direction were written last, so that a flow changes its
 * queue, and overtakes itself, when its first answer comes. Ours never changes: all that
 * goes to one address takes one queue, by a small eBPF program (TUNSETSTEERINGEBPF,
 * Linux 4.16). So a tenant has one worker, which has his keys in its cache, and one who
 * sends all he can leaves the other workers to the others.
 *
 * fd is any queue of the device, which keeps the program when it moves to another
 * namespace. 0, or -errno, most likely -EPERM (no CAP_BPF), -ENOSYS or -EINVAL (no eBPF
 * here): the kernel goes on choosing as it did. Any thread.
 */
#ifndef BERTH_TUN_STEER_H
#define BERTH_TUN_STEER_H

#include "../src/base.h"

/* By a hash of the destination address. */
must_check int steer_by_destination(int fd);

/* The same for an address of len bytes (4 or 16; network order), of so many queues. Pure. */
unsigned steer_queue(const uint8_t *addr, size_t len, unsigned queues);

/* All to one queue. */
must_check int steer_to(int fd, unsigned queue);

/*
 * The program alone, as an O_CLOEXEC descriptor: to the queue, or below 0 by destination. Needs
 * CAP_BPF (before Linux 5.8 CAP_SYS_ADMIN) unless kernel.unprivileged_bpf_disabled is 0; the two
 * above ask the broker for it where there is one.
 */
must_check int steer_load(int queue);

#endif
