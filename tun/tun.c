/* SPDX-License-Identifier: MIT */
/*
 * The TUN device. Opening it finds out by trial what this kernel offers; the data path
 * is one readv per super-packet and one writev per super-packet.
 */
#include "tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "steer.h"

/* Linux 6.2; Debian 12's headers are older than its backported kernels. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define OFFLOADS_TCP (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define OFFLOADS_UDP (TUN_F_USO4 | TUN_F_USO6)

static const struct tun_ops system_ops = { .readv = readv, .writev = writev };

/*
 * What the kernel may hand us unfinished. Older kernels answer EINVAL to flags that they do
 * not know, without saying which.
 */
static void probe_offloads(struct tun_queue *q)
{
	static const unsigned int attempts[] = { OFFLOADS_TCP | OFFLOADS_UDP, OFFLOADS_TCP };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		if (ioctl(q->fd, TUNSETOFFLOAD, (unsigned long)attempts[i]) == 0) {
			q->offloads = attempts[i];
			/* A kernel that sends super-packets of a type also takes them. */
			q->gro = GRO_TCP | (attempts[i] & TUN_F_USO4 ? GRO_UDP : 0);
			return;
		}
	}
	(void)ioctl(q->fd, TUNSETOFFLOAD, 0UL);
}

/* @q->fd is attached to its device. */
static int setup_queue(struct tun_queue *q, bool vnet_hdr, bool offload)
{
	int size = sizeof(struct virtio_net_hdr);

	q->vnet_hdr = vnet_hdr;
	q->ops = &system_ops;
	if (!vnet_hdr)
		return 0;
	/* A device that outlives its programs also keeps what the last one set. */
	if (ioctl(q->fd, TUNSETVNETHDRSZ, &size) < 0)
		return -errno;
	if (offload)
		probe_offloads(q);
	else
		(void)ioctl(q->fd, TUNSETOFFLOAD, 0UL);
	return 0;
}

static int open_queue(struct tun_queue *q, struct ifreq *ifr, bool offload)
{
	int err;

	q->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (q->fd < 0)
		return -errno;
	if (ioctl(q->fd, TUNSETIFF, ifr) < 0) {
		err = -errno;
		/* EINVAL also says: a device of another kind, or opened otherwise. */
		if (err == -EINVAL && ifr->ifr_name[0] && if_nametoindex(ifr->ifr_name))
			err = -EBUSY;
		return err;
	}
	return setup_queue(q, offload, offload);
}

/* Rings of all queues in turn: number n of the device is a ring of queue n % queues. */
static int open_rings(struct tun_queue *q, unsigned int queues, unsigned int rings,
		      struct ifreq *ifr, bool offload)
{
	for (unsigned int ring = 1; ring < rings; ring++) {
		for (unsigned int i = 0; i < queues; i++) {
			struct tun_queue more;
			int err = open_queue(&more, ifr, offload);

			if (err) {
				if (more.fd >= 0)
					close(more.fd);
				return err;
			}
			q[i].more[ring - 1] = more.fd;
			q[i].n_rings++;
		}
	}
	return 0;
}

/* The last first, or the kernel would number those that stay anew. */
static void close_rings(struct tun_queue *q, unsigned int queues)
{
	for (unsigned int ring = TUN_RINGS - 1; ring > 0; ring--)
		for (unsigned int i = queues; i-- > 0;)
			if (q[i].n_rings > ring) {
				close(q[i].more[ring - 1]);
				q[i].n_rings--;
			}
}

int tun_open(const char *name, unsigned int queues, unsigned int rings, bool offload,
	     struct tun_queue *q, char ifname[IFNAMSIZ])
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	size_t len = strlen(name);
	unsigned int i;
	int err = 0;

	if (!queues)
		return -EINVAL;
	rings = min(rings, (unsigned int)TUN_RINGS);
	if (rings * queues > TUN_RINGS_ALL)
		rings = queues < TUN_RINGS_ALL ? TUN_RINGS_ALL / queues : 1;
	if (len >= IFNAMSIZ)
		return -ENAMETOOLONG;
	memcpy(ifr.ifr_name, name, len);
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (queues * rings > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
again:

	for (i = 0; i < queues; i++)
		q[i] = (struct tun_queue){ .fd = -1, .n_rings = 1 };
	/* The first one makes the device and replaces %d in the name. */
	for (i = 0; i < queues && !err; i++)
		err = open_queue(&q[i], &ifr, offload);
	if (err) {
		tun_close(q, queues);
		if (queues > 1 || rings == 1)
			return err;
		/* A device that is there may have been made for one queue alone. */
		rings = 1;
		ifr.ifr_flags &= ~IFF_MULTI_QUEUE;
		err = 0;
		goto again;
	}
	q[0].steered = queues * rings == 1 || !steer_by_destination(q[0].fd);
	/* Left to itself the kernel would have one flow in two rings. */
	if (!q[0].steered || open_rings(q, queues, rings, &ifr, offload))
		close_rings(q, queues);
	q[0].steered |= queues == 1 && q[0].n_rings == 1;
	memcpy(ifname, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

int tun_adopt(int fd, bool offload, struct tun_queue *q, char ifname[IFNAMSIZ])
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int flags, err;

	*q = (struct tun_queue){ .fd = -1, .n_rings = 1 };
	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return errno == ENOTTY ? -EINVAL : -errno;
	/* IFF_NO_PI is not to be seen: TUNGETIFF gives IFF_NOFILTER the same bit. */
	if (!(ifr.ifr_flags & IFF_TUN))
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	q->fd = fd;
	err = setup_queue(q, ifr.ifr_flags & IFF_VNET_HDR, offload);
	if (err) {
		q->fd = -1;
		return err;
	}
	q->steered = true; /* there is but this one */
	memcpy(ifname, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

void tun_close(struct tun_queue *q, unsigned int queues)
{
	unsigned int i;

	close_rings(q, queues);
	for (i = 0; i < queues; i++) {
		if (q[i].fd >= 0)
			close(q[i].fd);
		q[i].fd = -1;
	}
}

static ssize_t read_ring(const struct tun_queue *q, int fd, const struct iovec *iov, int count)
{
	ssize_t n;

	do
		n = q->ops->readv(fd, iov, count);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* What tun_read_burst() was given, and how far it has come. */
struct burst {
	struct tun_queue *q;
	int fd; /* of the ring; -1: none */
	struct tun_reader *r;
	const struct gso_layout *l;
	uint8_t *arena;
	size_t arena_len;
	size_t used; /* of the arena */
	struct span *segs;
	size_t max_segs;
	size_t n; /* of these */
};

/*
 * Read a packet that has no virtio_net_hdr to where it belongs, with the scratch behind
 * that for what is longer than there is room: the kernel silently cuts off what no
 * buffer takes. *len is 0 when the packet is done, or its length in the scratch.
 */
static int read_bare(struct burst *b, size_t *len)
{
	const struct gso_layout *l = b->l;
	uint8_t *pkt = b->arena + b->used + l->headroom;
	size_t room = b->arena_len - b->used;
	size_t here = min(room - l->headroom - l->tailroom, sizeof(b->r->buf));
	struct iovec iov[] = {
		{ .iov_base = pkt, .iov_len = here },
		{ .iov_base = b->r->buf, .iov_len = sizeof(b->r->buf) - here },
	};
	ssize_t n = read_ring(b->q, b->fd, iov, ARRAY_SIZE(iov));

	*len = n > 0 ? (size_t)n : 0;
	if (n <= 0)
		return (int)n;
	if (*len <= here && gso_slot(l, *len) <= room) {
		memset(pkt + *len, 0, gso_padded(l, *len) - *len);
		b->segs[b->n++] = (struct span){ .data = pkt, .len = *len };
		b->used += gso_slot(l, *len);
		*len = 0;
		return 0;
	}
	here = min(here, *len);
	memmove(b->r->buf + here, b->r->buf, *len - here);
	memcpy(b->r->buf, pkt, here);
	memset(&b->r->vh, 0, sizeof(b->r->vh));
	return 0;
}

/* The same for a packet with a virtio_net_hdr; always into the scratch. */
static int read_super(struct burst *b, size_t *len)
{
	struct iovec iov[] = {
		{ .iov_base = &b->r->vh, .iov_len = sizeof(b->r->vh) },
		{ .iov_base = b->r->buf, .iov_len = sizeof(b->r->buf) },
	};
	ssize_t n = read_ring(b->q, b->fd, iov, ARRAY_SIZE(iov));

	*len = 0;
	if (n < 0)
		return (int)n;
	if ((size_t)n > sizeof(b->r->vh))
		*len = (size_t)n - sizeof(b->r->vh);
	else
		b->r->malformed++;
	return 0;
}

/* Lay as much as fits of what waits in the scratch. */
static void drain(struct burst *b)
{
	bool empty = !b->used;
	size_t used, n;

	n = gso_next(&b->r->gso, b->l, b->arena + b->used, b->arena_len - b->used,
		     b->segs + b->n, b->max_segs - b->n, &used);
	b->n += n;
	b->used += used;
	if (!n && empty && tun_reader_pending(b->r)) {
		/* It would wait for ever. */
		memset(&b->r->gso, 0, sizeof(b->r->gso));
		b->r->oversize++;
	}
}

static int read_one(struct burst *b)
{
	struct tun_reader *r = b->r;
	size_t len;
	int err;

	err = b->q->vnet_hdr ? read_super(b, &len) : read_bare(b, &len);
	if (err || !len)
		return err;
	if (gso_begin(&r->gso, &r->vh, r->buf, len))
		r->malformed++;
	else
		drain(b);
	return 0;
}

int tun_read_burst(struct tun_queue *q, int fd, struct tun_reader *r, const struct gso_layout *l,
		   uint8_t *arena, size_t arena_len, struct span *segs, size_t max_segs,
		   size_t *used)
{
	struct burst b = { .q = q, .fd = fd, .r = r, .l = l, .arena = arena,
			   .arena_len = arena_len, .segs = segs, .max_segs = max_segs };
	size_t typical = gso_slot(l, l->max);
	size_t reads = 0;
	int err = 0;

	*used = 0;
	if (!max_segs || arena_len < typical)
		return -EINVAL;
	if (tun_reader_pending(r))
		drain(&b);
	/* Counting reads as well ends this even when nothing but rubbish comes. */
	while (fd >= 0 && !err && !tun_reader_pending(r) && reads++ < max_segs && b.n < max_segs &&
	       arena_len - b.used >= typical)
		err = read_one(&b);
	*used = b.used;
	return err && err != -EAGAIN && !b.n ? err : (int)b.n;
}

static int write_queue(const struct tun_queue *q, const struct iovec *iov, size_t count,
		       struct tun_write_result *res)
{
	ssize_t n;

	do {
		n = q->ops->writev(q->fd, iov, (int)count);
		res->writes++;
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void account(struct tun_write_result *res, size_t packets, int err)
{
	if (!err) {
		res->written += packets;
		return;
	}
	res->failed += packets;
	res->error = err;
}

/* Returns the error of the write, having counted it. */
static int write_one(struct tun_queue *q, struct span pkt, struct tun_write_result *res)
{
	struct virtio_net_hdr bare = { 0 };
	struct iovec iov[] = {
		{ .iov_base = &bare, .iov_len = sizeof(bare) },
		{ .iov_base = pkt.data, .iov_len = pkt.len },
	};
	int err = q->vnet_hdr ? write_queue(q, iov, 2, res) : write_queue(q, iov + 1, 1, res);

	account(res, 1, err);
	return err;
}

/*
 * The kernel did not take a super-packet, and EINVAL or EIO is also how it says that the
 * device is down. Its packets taken one by one tell which it was.
 */
static int write_apart(struct tun_queue *q, struct gro *gro, struct gro_super *s, int refused,
		       struct tun_write_result *res)
{
	bool udp = s->vh.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
	bool taken = false;
	int err = 0;
	size_t i;

	gro_undo(gro, s);
	/* A packet alone is refused with EIO only when the device is down. */
	for (i = 0; i < gro_packets(s) && err != -EBADFD && err != -EIO; i++) {
		err = write_one(q, gro_packet(gro, s, i), res);
		taken |= !err;
	}
	res->failed += gro_packets(s) - i;
	if (taken && udp && q->gro & GRO_UDP) {
		q->gro &= ~(unsigned int)GRO_UDP;
		res->udp_off = true;
		res->refused = refused;
	} else if (taken && !udp && q->gro & GRO_TCP) {
		q->gro &= ~(unsigned int)GRO_TCP;
		res->tcp_off = true;
		res->refused = refused;
	}
	return err;
}

static int write_super(struct tun_queue *q, struct gro *gro, struct gro_super *s,
		       struct tun_write_result *res)
{
	int err = write_queue(q, &gro->iov[s->iov], s->iov_count, res);

	if (gro_packets(s) > 1 && (err == -EINVAL || err == -EIO))
		return write_apart(q, gro, s, err, res);
	account(res, gro_packets(s), err);
	return err;
}

/* At most gro->max_packets. */
static int write_merged(struct tun_queue *q, struct gro *gro, const struct span *pkts, size_t n,
			struct tun_write_result *res)
{
	struct gro_super *s;
	int err = 0;
	size_t i;

	gro_coalesce(gro, pkts, n, q->gro);
	for (i = 0; i < gro->n_supers; i++) {
		s = &gro->supers[i];
		if (err == -EBADFD)
			account(res, gro_packets(s), err);
		else
			err = write_super(q, gro, s, res);
	}
	return err;
}

int tun_write_burst(struct tun_queue *q, struct gro *gro, struct span *pkts, size_t n,
		    struct tun_write_result *res)
{
	size_t i, chunk;
	int err = 0;

	if (!q->vnet_hdr) {
		for (i = 0; i < n && err != -EBADFD; i++)
			err = write_one(q, pkts[i], res);
		res->failed += n - i;
		return err == -EBADFD ? err : 0;
	}
	for (i = 0; i < n && err != -EBADFD; i += chunk) {
		chunk = min(n - i, gro->max_packets);
		err = write_merged(q, gro, pkts + i, chunk, res);
	}
	if (err != -EBADFD)
		return 0;
	res->failed += n - min(i, n);
	return err;
}
