/* SPDX-License-Identifier: MIT */
/*
 * Which queue of a TUN device a packet takes: the kernel's own choice follows the queue
 * on which packets of the other direction were written last, so that a flow changes its
 * queue, and overtakes itself, when its first answer comes. Ours is a hash of the flow
 * that never changes, by a small eBPF program (TUNSETSTEERINGEBPF, Linux 4.16).
 */
#ifndef BERTH_TUN_STEER_H
#define BERTH_TUN_STEER_H

#include "../src/base.h"

/*
 * For the device of which fd is a queue; it keeps the program when it moves to another
 * namespace. The program is loaded once and kept for all devices. 0, or -errno, most
 * likely -EPERM (no CAP_BPF), -ENOSYS or -EINVAL (no eBPF here): the kernel goes on
 * choosing by itself. Any thread.
 */
must_check int steer_flows(int fd);

#endif
