/* SPDX-License-Identifier: MIT */
/* UDP in bursts: recvmmsg with UDP_GRO, sendmmsg with UDP_SEGMENT. */
#include "udp.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../base/packet.h"

/* Room for what we ask for: segment size, ECN, overflow, local address. */
union control {
	struct cmsghdr align;
	char buf[3 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Receiving */

int udp_rx_init(struct udp_rx *rx)
{
	/* Mapped, not touched: a page costs memory only once a packet lay in it. */
	rx->buffers = malloc((size_t)UDP_RX_SLOTS * UDP_RX_BUFFER);
	fairq_init(&rx->queue, UDP_RX_SLOTS);
	return rx->buffers ? 0 : -ENOMEM;
}

void udp_rx_free(struct udp_rx *rx)
{
	free(rx->buffers);
	rx->buffers = NULL;
}

/* What the control messages say: returns the GRO segment size, or 0. */
static size_t read_control(struct msghdr *msg, struct endpoint *from, uint8_t *ecn,
			   uint32_t *overflow)
{
	size_t segment = 0;
	int value;

	*ecn = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			segment = value > 0 ? (size_t)value : 0;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			*ecn = *(const uint8_t *)CMSG_DATA(c) & ECN_MASK;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			*ecn = value & ECN_MASK;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(overflow, CMSG_DATA(c), sizeof(*overflow));
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			from->src4 = info.ipi_spec_dst;
			from->src_ifindex = (unsigned)info.ipi_ifindex;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			from->src6 = info.ipi6_addr;
			from->src_ifindex = (unsigned)info.ipi6_ifindex;
		}
	}
	return segment;
}

static uint8_t *buffer_of(const struct udp_rx *rx, unsigned slot)
{
	return rx->buffers + (size_t)slot * UDP_RX_BUFFER;
}

/* Splits a message at its segment size. */
static void split(struct udp_rx *rx, unsigned slot)
{
	const struct udp_message *m = &rx->messages[slot];
	uint8_t *data = buffer_of(rx, slot);
	uint32_t len = m->len;

	if (rx->n_packets == UDP_RX_PACKETS)
		return;
	/* A zero-length datagram is a packet too: it is dropped, and counted, as malformed. */
	do {
		uint32_t piece = m->segment ? min(m->segment, len) : len;

		rx->packets[rx->n_packets++] = (struct udp_packet){ .data = data,
								    .len = piece,
								    .message = (uint16_t)slot,
								    .ecn = m->ecn };
		data += piece;
		len -= piece;
	} while (len && rx->n_packets < UDP_RX_PACKETS);
}

static unsigned n_packets(const struct udp_message *m)
{
	return m->segment ? (m->len + m->segment - 1) / m->segment : 1;
}

/* System call and answer of one batch. */
struct batch {
	unsigned n;
	uint16_t slots[UDP_RX_MESSAGES];
	size_t bytes;
	bool all; /* nothing was left in the socket */
};

static void note_message(struct udp_rx *rx, unsigned slot, struct mmsghdr *msg, void *owner)
{
	struct udp_message *m = &rx->messages[slot];
	struct endpoint *from = &rx->from[slot];

	memset(&from->src6, 0, sizeof(from->src6));
	from->src_ifindex = 0;
	m->owner = owner;
	m->len = msg->msg_len;
	m->oversized = msg->msg_hdr.msg_flags & MSG_TRUNC;
	m->segment = (uint32_t)read_control(&msg->msg_hdr, from, &m->ecn, &rx->overflow);
}

/* Fills free slots, at most so many. */
static void receive(int fd, struct udp_rx *rx, void *owner, unsigned most, struct batch *b)
{
	struct mmsghdr msgs[UDP_RX_MESSAGES];
	struct iovec iov[UDP_RX_MESSAGES];
	union control control[UDP_RX_MESSAGES];
	unsigned asked = 0;
	int n, slot;

	while (asked < most && (slot = fairq_take(&rx->queue)) >= 0) {
		iov[asked].iov_base = buffer_of(rx, (unsigned)slot);
		iov[asked].iov_len = UDP_RX_BUFFER;
		msgs[asked].msg_hdr = (struct msghdr){ .msg_name = &rx->from[slot].addr,
						       .msg_namelen = sizeof(rx->from[slot].addr6),
						       .msg_iov = &iov[asked],
						       .msg_iovlen = 1,
						       .msg_control = &control[asked],
						       .msg_controllen = sizeof(control[0]) };
		b->slots[asked++] = (uint16_t)slot;
	}
	do {
		n = asked ? recvmmsg(fd, msgs, asked, MSG_DONTWAIT, NULL) : 0;
		/* A pending ICMP error is handed out once and says nothing about what waits. */
	} while (n < 0 && (errno == EINTR || errno == ECONNREFUSED || errno == EHOSTUNREACH ||
			   errno == ENETUNREACH));
	b->n = n > 0 ? (unsigned)n : 0;
	b->all = b->n < asked;
	b->bytes = 0;
	for (unsigned i = 0; i < b->n; i++) {
		note_message(rx, b->slots[i], &msgs[i], owner);
		b->bytes += msgs[i].msg_len;
	}
	/* The one that was taken first is the first to be taken again. */
	while (asked > b->n)
		fairq_give(&rx->queue, b->slots[--asked]);
}

/* Becomes part of the burst. */
static void hold(struct udp_rx *rx, unsigned slot)
{
	rx->held[rx->n_held++] = (uint16_t)slot;
	if (rx->messages[slot].oversized)
		rx->n_oversized++;
	else
		split(rx, slot);
}

/* A packet costs as much as some hundred bytes, whatever its size. */
static uint32_t cost_of(const struct udp_message *m)
{
	return m->len + 512 * n_packets(m);
}

static void queue_batch(struct udp_rx *rx, const struct batch *b, const struct udp_rx_judge *judge)
{
	for (unsigned i = 0; i < b->n; i++) {
		unsigned slot = b->slots[i];
		struct udp_message *m = &rx->messages[slot];

		fairq_push(&rx->queue, slot, judge->bucket(m->owner, buffer_of(rx, slot), m->len),
			   cost_of(m));
	}
}

/* Loses the oldest message of whoever has most. False: nothing waits. */
static bool lose_one(struct udp_rx *rx, const struct udp_rx_judge *judge)
{
	int slot = fairq_evict(&rx->queue);
	struct udp_message *m;

	if (slot < 0)
		return false;
	m = &rx->messages[slot];
	if (m->owner)
		judge->lost(m->owner, buffer_of(rx, (unsigned)slot), m->len, n_packets(m));
	fairq_give(&rx->queue, (unsigned)slot);
	return true;
}

/* Room for one more batch, at the expense of who has most. */
static void make_room(struct udp_rx *rx, const struct udp_rx_judge *judge)
{
	while (rx->queue.n_free < UDP_RX_MESSAGES && lose_one(rx, judge))
		;
}

/* Takes all that the socket holds, or as much as there are slots. */
static void empty_socket(int fd, unsigned *behind, struct udp_rx *rx, void *owner,
			 struct batch *b, const struct udp_rx_judge *judge)
{
	unsigned rounds = 0;

	queue_batch(rx, b, judge);
	while (!b->all && rx->queue.n_free) {
		receive(fd, rx, owner, UDP_RX_MESSAGES, b);
		queue_batch(rx, b, judge);
	}
	while (fairq_most(&rx->queue) > UDP_RX_FAT)
		(void)lose_one(rx, judge);
	if (b->all)
		*behind /= 2;
	else if (*behind < UDP_RX_PATIENCE)
		++*behind;
	if (*behind < UDP_RX_PATIENCE)
		return;
	while (!b->all && rounds++ < UDP_RX_ROUNDS) {
		make_room(rx, judge);
		receive(fd, rx, owner, UDP_RX_MESSAGES, b);
		queue_batch(rx, b, judge);
	}
}

/*
 * The next burst of what waits: of one owner. Who sends little does not wait for the rest of it
 * to be opened: if it begins with somebody who has just come, it ends where those begin who
 * were there before.
 */
static void serve(struct udp_rx *rx)
{
	bool first_is_fresh = false, fresh;
	unsigned first = 0, bucket;
	size_t bytes = 0;
	int slot;

	while (rx->n_held < UDP_RX_MESSAGES && (slot = fairq_peek(&rx->queue)) >= 0) {
		struct udp_message *m = &rx->messages[slot];

		bucket = fairq_bucket(&rx->queue, &fresh);
		if (!rx->n_held) {
			first = bucket;
			first_is_fresh = fresh;
		} else if (m->owner != rx->owner || bytes + m->len > UDP_RX_BURST ||
			   (first_is_fresh && !fresh && bucket != first)) {
			break;
		}
		fairq_pop(&rx->queue);
		if (!m->owner) {
			fairq_give(&rx->queue, (unsigned)slot);
			continue;
		}
		rx->owner = m->owner;
		bytes += m->len;
		hold(rx, (unsigned)slot);
	}
}

static void begin_burst(struct udp_rx *rx, void *owner)
{
	/* UDP_RX_PACKETS holds 16 × 64; of a kernel that merges more the rest is lost. */
	_Static_assert(UDP_RX_MESSAGES * UDP_GSO_SEGMENTS <= UDP_RX_PACKETS, "room for a burst");
	while (rx->n_held)
		fairq_give(&rx->queue, rx->held[--rx->n_held]);
	rx->n_packets = rx->n_oversized = 0;
	rx->owner = owner;
}

unsigned udp_recv_burst(int fd, unsigned *behind, struct udp_rx *rx, void *owner,
			const struct udp_rx_judge *judge)
{
	struct batch b = { .all = true };

	begin_burst(rx, owner);
	if (fd >= 0)
		receive(fd, rx, owner, UDP_RX_MESSAGES, &b);
	if (b.all && b.bytes <= UDP_RX_BURST && fairq_is_empty(&rx->queue)) {
		if (fd >= 0)
			*behind /= 2;
		for (unsigned i = 0; i < b.n; i++)
			hold(rx, b.slots[i]);
		return rx->n_packets;
	}
	if (fd >= 0)
		empty_socket(fd, behind, rx, owner, &b, judge);
	serve(rx);
	return rx->n_packets;
}

unsigned udp_recv_some(int fd, struct udp_rx *rx, void *owner)
{
	struct batch b = { .all = true };

	begin_burst(rx, owner);
	receive(fd, rx, owner, UDP_RX_SOME, &b);
	rx->more = !b.all;
	for (unsigned i = 0; i < b.n; i++)
		hold(rx, b.slots[i]);
	return rx->n_packets;
}

void udp_rx_forget(struct udp_rx *rx, const void *owner)
{
	for (unsigned i = 0; i < UDP_RX_SLOTS; i++)
		if (rx->messages[i].owner == owner)
			rx->messages[i].owner = NULL;
}

/* Sending */

/* May a piece of len bytes end the run as one more segment? */
static bool run_takes(const struct udp_tx *tx, const struct udp_run *run,
		      const struct endpoint *to, uint8_t ecn, size_t len)
{
	if (run->n >= tx->segments || run->bytes + len > UDP_GSO_BYTES)
		return false;
	/* Only the last segment may be shorter. */
	if (len > run->size || run->bytes != run->size * run->n)
		return false;
	return run->ecn == ecn && endpoint_equal(&run->to, to);
}

unsigned udp_tx_add(struct udp_tx *tx, const struct endpoint *to, uint8_t ecn, void *data,
		    size_t len)
{
	struct udp_run *run = tx->n_runs ? &tx->runs[tx->n_runs - 1] : NULL;

	if (!run || tx->apart || !run_takes(tx, run, to, ecn, len)) {
		tx->apart = false;
		run = &tx->runs[tx->n_runs++];
		*run = (struct udp_run){
			.to = *to, .ecn = ecn, .first = tx->n_pieces, .size = len
		};
	}
	tx->pieces[tx->n_pieces++] = (struct iovec){ .iov_base = data, .iov_len = len };
	run->n++;
	run->bytes += len;
	return tx->n_runs - 1;
}

static void put_cmsg(struct msghdr *msg, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((char *)msg->msg_control + msg->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	msg->msg_controllen += CMSG_SPACE(len);
}

/*
 * Local address, ECN and segment size; control was zeroed. Which interface is for the
 * routes to say, as with the kernel's WireGuard: forced back to the one that packets
 * come in by, Linux takes every destination there for a neighbour, and where the way
 * out is another one nothing would ever arrive. Link-local addresses need it.
 */
static void write_control(struct msghdr *msg, const struct endpoint *to, uint8_t ecn,
			  uint16_t segment)
{
	int tos = ecn;

	msg->msg_controllen = 0;
	if (to->addr.sa_family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst = to->src4 };

		if (to->src4.s_addr)
			put_cmsg(msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
		if (ecn)
			put_cmsg(msg, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	} else {
		struct in6_pktinfo info = { .ipi6_addr = to->src6 };

		if (IN6_IS_ADDR_LINKLOCAL(&to->src6))
			info.ipi6_ifindex = to->src_ifindex;
		if (!IN6_IS_ADDR_UNSPECIFIED(&to->src6))
			put_cmsg(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
		if (ecn)
			put_cmsg(msg, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	}
	if (segment)
		put_cmsg(msg, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	if (!msg->msg_controllen)
		msg->msg_control = NULL;
}

static int fd_for(const struct udp_sockets *s, const struct endpoint *to)
{
	return to->addr.sa_family == AF_INET ? s->fd4 : s->fd6;
}

/* One system call. segment: size of all pieces but the last, or 0 for a single packet. */
static int send_iov(struct udp_sockets *s, const struct endpoint *to, uint8_t ecn,
		    struct iovec *iov, unsigned n, uint16_t segment)
{
	union control control;
	struct msghdr msg = { .msg_name = (void *)(uintptr_t)&to->addr,
			      .msg_namelen = endpoint_addr_len(to),
			      .msg_iov = iov,
			      .msg_iovlen = n,
			      .msg_control = &control };
	int fd = fd_for(s, to);

	if (fd < 0)
		return -EAFNOSUPPORT;
	memset(&control, 0, sizeof(control));
	write_control(&msg, to, ecn, segment);
	return sendmsg(fd, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int send_pieces(struct udp_sockets *s, struct udp_tx *tx, const struct udp_run *run,
		       unsigned first, unsigned n)
{
	return send_iov(s, &run->to, run->ecn, &tx->pieces[first], n,
			n > 1 ? (uint16_t)run->size : 0);
}

/*
 * Perhaps the local address or interface that a packet once came to is gone:
 * Linux has several words for that (ENETUNREACH since 6.x where the address
 * was removed, EINVAL before). The test is to send without.
 */
static bool source_may_be_stale(const struct endpoint *to, int err)
{
	return to->src_ifindex && (err == -EINVAL || err == -ENODEV || err == -EADDRNOTAVAIL ||
				   err == -ENETUNREACH || err == -EHOSTUNREACH);
}

/*
 * A run of segments was refused. EMSGSIZE and EINVAL speak of this size on this
 * path; the others mean that the device or the kernel cannot segment at all.
 */
static bool refuses_segments(struct udp_sockets *s, int err)
{
	if (err == -EIO || err == -ENOPROTOOPT || err == -EOPNOTSUPP) {
		atomic_store_explicit(&s->gso, false, memory_order_relaxed);
		return true;
	}
	return err == -EINVAL || err == -EMSGSIZE;
}

/* Run i failed as it stood: try without its source address, then piece by piece. */
static void resend_run(struct udp_sockets *s, struct udp_tx *tx, unsigned i, int err)
{
	struct udp_run *run = &tx->runs[i];
	bool without_src = false;

	if (source_may_be_stale(&run->to, err)) {
		struct endpoint with_src = run->to;

		endpoint_clear_src(&run->to);
		err = send_pieces(s, tx, run, run->first, run->n);
		if (!err) {
			tx->stale_src[i] = true;
			tx->sent[i] = run->n;
			return;
		}
		/* Or about something else, or about both. */
		without_src = refuses_segments(s, err);
		if (!without_src)
			run->to = with_src;
	}
	if (run->n < 2 || !refuses_segments(s, err))
		return;
	for (unsigned k = 0; k < run->n; k++)
		if (!send_pieces(s, tx, run, run->first + k, 1))
			tx->sent[i]++;
	tx->stale_src[i] = without_src && tx->sent[i];
}

/* Sends the longest stretch of runs of one family that begins at run i; returns its end. */
static unsigned send_stretch(struct udp_sockets *s, struct udp_tx *tx, unsigned i)
{
	struct mmsghdr msgs[UDP_TX_RUNS];
	union control control[UDP_TX_RUNS];
	int fd = fd_for(s, &tx->runs[i].to);
	unsigned end = i, done = 0;

	while (end < tx->n_runs && fd_for(s, &tx->runs[end].to) == fd) {
		struct udp_run *run = &tx->runs[end];
		unsigned k = end - i;

		memset(&control[k], 0, sizeof(control[k]));
		msgs[k].msg_hdr = (struct msghdr){ .msg_name = &run->to.addr,
						   .msg_namelen = endpoint_addr_len(&run->to),
						   .msg_iov = &tx->pieces[run->first],
						   .msg_iovlen = run->n,
						   .msg_control = &control[k] };
		write_control(&msgs[k].msg_hdr, &run->to, run->ecn,
			      run->n > 1 ? (uint16_t)run->size : 0);
		end++;
	}
	while (fd >= 0 && i + done < end) {
		int n = sendmmsg(fd, msgs + done, end - i - done, MSG_DONTWAIT);

		for (int k = 0; k < n; k++)
			tx->sent[i + done + (unsigned)k] = tx->runs[i + done + (unsigned)k].n;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			resend_run(s, tx, i + done, -errno);
			n = 1;
		}
		done += (unsigned)n;
	}
	return end;
}

void udp_flush(struct udp_sockets *s, struct udp_tx *tx)
{
	unsigned i = 0;

	memset(tx->stale_src, 0, tx->n_runs * sizeof(tx->stale_src[0]));
	memset(tx->sent, 0, tx->n_runs * sizeof(tx->sent[0]));
	while (i < tx->n_runs)
		i = send_stretch(s, tx, i);
}

int udp_send_one(struct udp_sockets *s, const struct endpoint *to, const void *data, size_t len)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct endpoint dest = *to;
	int err = send_iov(s, &dest, 0, &iov, 1, 0);

	if (source_may_be_stale(&dest, err)) {
		endpoint_clear_src(&dest);
		err = send_iov(s, &dest, 0, &iov, 1, 0);
	}
	return err;
}
