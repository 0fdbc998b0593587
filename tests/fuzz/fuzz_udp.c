/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: what the kernel tells of datagrams that have come in: control messages of any kind,
 * with any value, and segments of any size. recvmmsg() is the input's. Packets are pieces of what
 * was received, one behind the other, none is lost, and each knows its sender. The input is bytes
 * of choices and lengths as taken below.
 *
 * Length: 600
 */
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>

#include "../../src/path/udp.h"
#include "fuzz.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { CALLS_MAX = 12, FD = 1000 };

/* What a message should be read as. */
struct truth {
	uint32_t len, segment;
	uint8_t ecn, number;
	unsigned ifindex;
	bool oversized;
};

static struct input in;
static struct truth truths[CALLS_MAX * UDP_RX_MESSAGES];
static size_t n_truths, n_lost;
static bool overfull; /* more packets in a message than Linux merges: what is too much is lost */

static void put(struct msghdr *msg, struct cmsghdr **at, int level, int type, const void *data,
		size_t len)
{
	struct cmsghdr *c = *at;
	size_t used = (size_t)((char *)c - (char *)msg->msg_control);

	if (used + CMSG_SPACE(len) > msg->msg_controllen)
		return;
	*c = (struct cmsghdr){ .cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(len) };
	memcpy(CMSG_DATA(c), data, len);
	*at = (struct cmsghdr *)((char *)c + CMSG_SPACE(len));
}

/* As the kernel does it: one of each kind, in any order, and some that we have not asked for. */
static void fill_control(struct msghdr *msg, struct truth *t)
{
	struct cmsghdr *at = msg->msg_control;
	uint8_t how = take_u8(&in), tos = take_u8(&in);
	int class = tos, segment = take_be16(&in);
	struct in_pktinfo info4 = { .ipi_ifindex = tos };
	struct in6_pktinfo info6 = { .ipi6_ifindex = tos };

	if (how & 1)
		put(msg, &at, SOL_SOCKET, 29, &(uint64_t){ 7 }, sizeof(uint64_t));
	if (how & 2) {
		put(msg, &at, IPPROTO_UDP, UDP_GRO, &segment, sizeof(segment));
		t->segment = (uint32_t)segment;
		if (segment && t->len / (uint32_t)segment >= UDP_GSO_SEGMENTS)
			overfull = true;
	}
	if (how & 4) {
		if (how & 8)
			put(msg, &at, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
		else
			put(msg, &at, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class));
		t->ecn = tos & 3;
	}
	if (how & 16 && !(how & 1)) {
		if (how & 8)
			put(msg, &at, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
		else
			put(msg, &at, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
		t->ifindex = tos;
	}
	msg->msg_controllen = (size_t)((char *)at - (char *)msg->msg_control);
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout)
{
	unsigned got = min(n, take_u8(&in) % 18u);

	must(fd == FD && flags == MSG_DONTWAIT && !timeout);
	if (!got) {
		errno = take_u8(&in) & 1 ? ECONNREFUSED : EAGAIN;
		if (!in.size)
			errno = EAGAIN;
		return -1;
	}
	for (unsigned i = 0; i < got; i++) {
		struct truth *t = &truths[n_truths];
		struct msghdr *msg = &msgs[i].msg_hdr;
		struct sockaddr_in *from = msg->msg_name;

		*t = (struct truth){ .number = (uint8_t)n_truths };
		t->len = take_be16(&in);
		t->oversized = take_u8(&in) == 255;
		must(msg->msg_iovlen == 1 && msg->msg_iov->iov_len == UDP_RX_BUFFER);
		memset(msg->msg_iov->iov_base, t->number, t->len);
		*from = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(t->number) };
		fill_control(msg, t);
		msg->msg_flags = t->oversized ? MSG_TRUNC : 0;
		msgs[i].msg_len = t->len;
		n_truths++;
	}
	return (int)got;
}

static uint32_t bucket(void *owner, const uint8_t *message, size_t len)
{
	must(owner == &in);
	return len ? *message & 3 : 9;
}

static void lost(void *owner, const uint8_t *message, size_t len, unsigned n)
{
	must(owner == &in && n && (!len || *message < n_truths));
	n_lost++;
}

/* All packets of a message of the burst, in order. Returns how many messages they were of. */
static unsigned check_burst(const struct udp_rx *rx)
{
	unsigned messages = 0;

	for (unsigned i = 0; i < rx->n_packets; messages++) {
		const struct udp_packet *p = &rx->packets[i];
		const struct endpoint *from = &rx->from[p->message];
		const struct truth *t = &truths[ntohs(from->addr4.sin_port)];
		uint32_t left = t->len;

		must(!t->oversized && from->src_ifindex == t->ifindex);
		do {
			p = &rx->packets[i++];
			must(p->ecn == t->ecn && p->len <= left);
			must(p->len == left || p->len == t->segment);
			for (uint32_t k = 0; k < p->len; k += 100)
				must(p->data[k] == t->number);
			left -= p->len;
		} while (left && i < UDP_RX_PACKETS && i < rx->n_packets &&
			 &rx->from[rx->packets[i].message] == from);
		must(!left || rx->n_packets == UDP_RX_PACKETS);
	}
	return messages;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct udp_rx_judge judge = { .bucket = bucket, .lost = lost };
	static struct udp_rx rx;
	unsigned n, behind = 0;
	size_t seen = 0;

	in = (struct input){ data, size };
	n_truths = n_lost = 0;
	overfull = false;
	memset(&rx, 0, sizeof(rx));
	must(!udp_rx_init(&rx));
	while (in.size && n_truths + UDP_RX_SLOTS < ARRAY_SIZE(truths)) {
		n = udp_recv_burst(FD, &behind, &rx, &in, &judge);
		must(n == rx.n_packets);
		seen += check_burst(&rx) + rx.n_oversized;
	}
	/* What waits has its turn, too. */
	do {
		n = udp_recv_burst(-1, &behind, &rx, &in, &judge);
		seen += check_burst(&rx) + rx.n_oversized;
	} while (n || rx.n_oversized);
	must(overfull ? seen + n_lost <= n_truths : seen + n_lost == n_truths);
	udp_rx_free(&rx);
	return 0;
}
