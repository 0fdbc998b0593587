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

int tun_open(const char *name, unsigned int queues, bool offload, struct tun_queue *q,
	     char ifname[IFNAMSIZ])
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	unsigned int i;
	int err = 0;

	if (!queues)
		return -EINVAL;
	if (strlen(name) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	strcpy(ifr.ifr_name, name);
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;

	for (i = 0; i < queues; i++)
		q[i] = (struct tun_queue){ .fd = -1 };
	/* The first one makes the device and replaces %d in the name. */
	for (i = 0; i < queues && !err; i++)
		err = open_queue(&q[i], &ifr, offload);
	if (err) {
		tun_close(q, queues);
		return err;
	}
	memcpy(ifname, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

int tun_adopt(int fd, bool offload, struct tun_queue *q, char ifname[IFNAMSIZ])
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int flags, err;

	*q = (struct tun_queue){ .fd = -1 };
	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return errno == ENOTTY ? -EINVAL : -errno;
	if (!(ifr.ifr_flags & IFF_TUN) || !(ifr.ifr_flags & IFF_NO_PI))
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
	memcpy(ifname, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

void tun_close(struct tun_queue *q, unsigned int queues)
{
	unsigned int i;

	for (i = 0; i < queues; i++) {
		if (q[i].fd >= 0)
			close(q[i].fd);
		q[i].fd = -1;
	}
}

static ssize_t read_queue(const struct tun_queue *q, const struct iovec *iov, int count)
{
	ssize_t n;

	do
		n = q->ops->readv(q->fd, iov, count);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/*
 * Read a packet that has no virtio_net_hdr to where it belongs, with the scratch behind
 * it for what is longer than there is room: the kernel cuts off the rest of
 * a packet silently. Returns its length, or 0 when it is in the scratch and *whole.
 */
static ssize_t read_bare(struct tun_queue *q, struct tun_reader *r, const struct gso_layout *l,
			 uint8_t *out, size_t room, size_t *whole)
{
	size_t here = min(room - l->headroom - l->tailroom, sizeof(r->buf));
	struct iovec iov[] = {
		{ .iov_base = out + l->headroom, .iov_len = here },
		{ .iov_base = r->buf, .iov_len = sizeof(r->buf) - here },
	};
	ssize_t n = read_queue(q, iov, ARRAY_SIZE(iov));
	size_t len = (size_t)n;

	if (n <= 0)
		return n;
	if (len <= here && gso_slot(l, len) <= room) {
		memset(out + l->headroom + len, 0, gso_padded(l, len) - len);
		return n;
	}
	here = min(here, len);
	memmove(r->buf + here, r->buf, len - here);
	memcpy(r->buf, out + l->headroom, here);
	*whole = len;
	return 0;
}

/* The same for a packet with a virtio_net_hdr; always into the scratch. */
static ssize_t read_super(struct tun_queue *q, struct tun_reader *r, size_t *whole)
{
	struct iovec iov[] = {
		{ .iov_base = &r->vh, .iov_len = sizeof(r->vh) },
		{ .iov_base = r->buf, .iov_len = sizeof(r->buf) },
	};
	ssize_t n = read_queue(q, iov, ARRAY_SIZE(iov));

	if (n < 0)
		return n;
	*whole = (size_t)n > sizeof(r->vh) ? (size_t)n - sizeof(r->vh) : 0;
	return 0;
}

/* Lay what waits in the scratch. */
static size_t drain(struct tun_reader *r, const struct gso_layout *l, uint8_t *out, size_t room,
		    struct span *segs, size_t max_segs, size_t *used)
{
	size_t laid;
	size_t n = gso_next(&r->gso, l, out, room, segs, max_segs, &laid);

	*used += laid;
	return n;
}

int tun_read_burst(struct tun_queue *q, struct tun_reader *r, const struct gso_layout *l,
		   uint8_t *arena, size_t arena_len, struct span *segs, size_t max_segs,
		   size_t *used)
{
	static const struct virtio_net_hdr bare;
	size_t typical = gso_slot(l, l->max);
	size_t n, whole;
	ssize_t len;

	*used = 0;
	if (!max_segs || arena_len < typical)
		return -EINVAL;
	n = drain(r, l, arena, arena_len, segs, max_segs, used);
	if (!n && tun_reader_pending(r)) {
		/* It will never fit: longer than the arena is. */
		memset(&r->gso, 0, sizeof(r->gso));
		r->oversize++;
	}
	while (!tun_reader_pending(r) && n < max_segs && arena_len - *used >= typical) {
		uint8_t *out = arena + *used;
		size_t room = arena_len - *used;

		whole = 0;
		len = q->vnet_hdr ? read_super(q, r, &whole) :
				    read_bare(q, r, l, out, room, &whole);
		if (len == -EAGAIN)
			break;
		if (len < 0)
			return n ? (int)n : (int)len;
		if (len) {
			segs[n++] = (struct span){ out + l->headroom, (size_t)len };
			*used += gso_slot(l, (size_t)len);
			continue;
		}
		if (gso_begin(&r->gso, q->vnet_hdr ? &r->vh : &bare, r->buf, whole)) {
			r->malformed++;
			continue;
		}
		n += drain(r, l, out, room, segs + n, max_segs - n, used);
	}
	return (int)n;
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
static int write_apart(struct tun_queue *q, struct gro *gro, struct gro_super *s,
		       struct tun_write_result *res)
{
	bool udp = s->vh.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
	bool taken = false;
	int err = 0;
	size_t i;

	gro_undo(gro, s);
	for (i = 0; i < gro_packets(s) && err != -EBADFD; i++) {
		err = write_one(q, gro_packet(gro, s, i), res);
		taken |= !err;
	}
	res->failed += gro_packets(s) - i;
	if (taken && udp && q->gro & GRO_UDP) {
		q->gro &= ~(unsigned int)GRO_UDP;
		res->udp_off = true;
	} else if (taken && !udp && q->gro & GRO_TCP) {
		q->gro &= ~(unsigned int)GRO_TCP;
		res->tcp_off = true;
	}
	return err;
}

static int write_super(struct tun_queue *q, struct gro *gro, struct gro_super *s,
		       struct tun_write_result *res)
{
	int err = write_queue(q, &gro->iov[s->iov], s->iov_count, res);

	if (gro_packets(s) > 1 && (err == -EINVAL || err == -EIO))
		return write_apart(q, gro, s, res);
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
