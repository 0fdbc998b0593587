/* SPDX-License-Identifier: MIT */
/*
 * The TUN device: its queues, what offloads it has, and reading and writing it in
 * bursts. Bursts are cut and merged by gso.h and gro.h; this is where they meet
 * the kernel.
 *
 * Opening: any thread. A queue with its reader belongs to one thread.
 */
#ifndef BERTH_TUN_TUN_H
#define BERTH_TUN_TUN_H

#include <net/if.h>
#include <sys/uio.h>

#include "gro.h"
#include "gso.h"

/* The system calls of the data path; tests put their own in place. */
struct tun_ops {
	ssize_t (*readv)(int fd, const struct iovec *iov, int count);
	ssize_t (*writev)(int fd, const struct iovec *iov, int count);
};

enum {
	TUN_RINGS = 32,      /* of one queue, at most */
	TUN_RINGS_ALL = 128, /* of one device: Linux has 256 */
};

/*
 * What one thread has of a device. The kernel puts each packet into one of its rings, all
 * that goes to one address into the same one. So what is sent to one tenant, faster than it
 * can go out, fills that tenant's ring, and loses packets there, not everybody's.
 */
struct tun_queue {
	int fd;         /* the first ring, and where packets are written; -1 when closed */
	int more[TUN_RINGS - 1]; /* the other rings; behind n_rings - 1 undefined */
	unsigned int n_rings;    /* with the first */
	bool vnet_hdr;  /* each packet has a virtio_net_hdr in front */
	unsigned int offloads; /* TUN_F_* that the kernel uses towards us */
	unsigned int gro;      /* GRO_* that we use towards it; shrinks when it refuses */
	bool steered;          /* of the first: each address has one queue for good (steer.h) */
	const struct tun_ops *ops;
};

/*
 * Create the device @name, or attach to it when it is there and idle, and open
 * @queues queues of it into @q, each with as many rings as there may be of it, but not more
 * than @rings (at least 1); one, where the kernel cannot be told which packet goes into
 * which. An address has its queue (steer_queue() of @queues), however many rings there are.
 * @name may contain %d, and empty lets the kernel choose; @ifname is what it became.
 * @offload false: no virtio_net_hdr, no offloads; true: as many as the kernel has. All
 * queues must be open before the device moves to another network namespace.
 *
 * -ENOENT, -ENODEV  there is no /dev/net/tun, or no driver behind it
 * -EPERM, -EACCES   CAP_NET_ADMIN is missing, or the permission to open it
 * -EBUSY            the name is taken: by another kind of device, or a program has it open
 * -EINVAL           not a name for an interface, or no @queues; -ENAMETOOLONG
 * and what open(2) and ioctl(2) may return besides (-EMFILE). Upon error nothing stays open.
 */
must_check int tun_open(const char *name, unsigned int queues, unsigned int rings,
			bool offload, struct tun_queue *q, char ifname[IFNAMSIZ]);

/*
 * Use a descriptor that somebody else opened (WG_TUN_FD), with IFF_NO_PI: the kernel
 * cannot be asked whether it was. Becomes non-blocking and close-on-exec. @fd is the queue's
 * from here on, upon error it stays the caller's.
 * -EINVAL when it is not a TUN; -EBADFD when it is attached to no device.
 */
must_check int tun_adopt(int fd, bool offload, struct tun_queue *q, char ifname[IFNAMSIZ]);

void tun_close(struct tun_queue *q, unsigned int queues);

/* The descriptor of a ring below n_rings. */
static inline int tun_ring(const struct tun_queue *q, unsigned int ring)
{
	return ring ? q->more[ring - 1] : q->fd;
}

/*
 * Where super-packets are read to: 64 KiB that every read uses again, so that it stays
 * in the second-level cache between the kernel's copy and ours. Zero it before use.
 */
struct tun_reader {
	struct gso gso;     /* a super-packet that did not fit into the last burst */
	uint64_t malformed; /* dropped: not something that can be split */
	uint64_t oversize;  /* dropped: larger than the whole arena */
	struct virtio_net_hdr vh;
	uint8_t buf[GSO_MAX_PACKET];
};

/*
 * Read from the ring @fd until nothing is left or @arena or @segs is full. What waits in
 * @r comes first, of whichever ring it is; with @fd -1 that is all. The packets stand in
 * segs[0..return value), in slots as @l says, which take *used bytes of the arena.
 *
 * Positive: call again, there may be more, even when the descriptor is not readable
 *           (a super-packet may be half way through: tun_reader_pending()).
 * 0:        nothing left, or nothing but rubbish; poll.
 * Negative: the device is gone (-EBADFD, -EIO, -EFAULT) or what readv(2) may return. Packets read
 *           before are returned first.
 * -EINVAL:  @max_segs is 0, or the arena does not hold gso_slot(l, l->max) bytes.
 */
must_check int tun_read_burst(struct tun_queue *q, int fd, struct tun_reader *r,
			      const struct gso_layout *l, uint8_t *arena, size_t arena_len,
			      struct span *segs, size_t max_segs, size_t *used);

/* Whether a part of a super-packet waits in @r; poll(2) does not know of it. */
static inline bool tun_reader_pending(const struct tun_reader *r)
{
	return !gso_finished(&r->gso);
}

/* Added to by each tun_write_burst(); the caller zeroes it. */
struct tun_write_result {
	uint64_t written; /* packets that the kernel took */
	uint64_t failed;  /* packets that it did not */
	uint64_t writes;  /* system calls */
	int error;        /* the last reason for a failed packet, negative */
	int refused;      /* why tcp_off or udp_off, negative */
	bool tcp_off;     /* the kernel refused merged TCP: none of this queue from here on */
	bool udp_off;     /* the same for UDP; each is set in the one call that found out */
};

/*
 * Write @n decrypted IP packets, merged by @gro where the device allows it; headers
 * may be changed in place. Never waits and never tries again: what the kernel
 * does not take now (-EAGAIN, -ENOBUFS, -ENOMEM, -EIO: the device is down) is lost and
 * counted. Returns 0, or -EBADFD when the device is gone.
 */
int tun_write_burst(struct tun_queue *q, struct gro *gro, struct span *pkts, size_t n,
		    struct tun_write_result *res);

#endif
