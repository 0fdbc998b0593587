/* SPDX-License-Identifier: MIT */
/*
 * Floods of a given kind and rate, put onto a link as frames, so that they come from whatever
 * source they claim. Prints as one line of JSON what was sent.
 *
 *	flood KIND [options]		`flood` alone lists the kinds
 *
 *	-n NETNS -i IFNAME	the link, as seen from its other end
 *	-v MAC			hardware address of the victim
 *	-a ADDRESS -p PORT	where datagrams go; the family is that of all packets
 *	-l PORT			where the gateway listens, for kinds that look for live sessions
 *	-k KEY			the gateway's public key
 *	-t NUMBER		a tenant of tools/bench/scale
 *	-x PREFIX -g N		addresses inside it: so many
 *	-s N			sources, 1 to 65536: 198.19.0.0 and up, or 2001:db8:f1:N::1, a /64 each
 *	-b BYTES		of payload, where the length is free
 *	-r RATE -m MS		packets a second, for how long
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../src/base/encoding.h"
#include "../../tun/checksum.h"
#include "flood.h"
#include "load.h"

enum {
	BATCH = 64,
	SOCKET_BUFFER = 16 << 20,
	UDP_HEADER_LEN = 8,
	FIRST_PORT = 1024,
	LISTEN_MS = 3000
};

#define FIRST_SOURCE4 UINT32_C(0xc6130000) /* 198.19.0.0/16, the other half of RFC 2544's */

struct sender {
	struct flood f;
	int fd;
	uint64_t bytes;
	uint8_t frames[BATCH][FLOOD_FRAME_MAX];
};

/* splitmix64 */
uint64_t flood_random(struct flood *f)
{
	uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void flood_random_bytes(struct flood *f, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t r = flood_random(f);

		memcpy(out + i, &r, min(len - i, sizeof(r)));
	}
}

/* Frames */

uint8_t *flood_headers(struct flood *f, uint8_t *frame, const uint8_t *addr, uint8_t proto,
		       size_t len)
{
	uint8_t *ip = ether_build(frame, f->via, f->from, (struct ether_tag){ 0 },
				  f->ipv6 ? ETHER_TYPE_IPV6 : ETH_P_IP);

	addr = addr ? addr : f->to;
	if (f->ipv6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)len);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, (uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8, 0x00, 0xf1 }, 6);
		store_be16(ip + 14, (uint16_t)f->source);
		ip[23] = 1;
		memcpy(ip + 24, addr, 16);
		return ip + 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(20 + len));
	ip[8] = 64;
	ip[9] = proto;
	store_be32(ip + 12, FIRST_SOURCE4 + f->source);
	memcpy(ip + 16, addr, 4);
	checksum_store(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
	return ip + 20;
}

void flood_udp(struct flood *f, uint8_t *udp, size_t len, uint16_t port)
{
	size_t total = UDP_HEADER_LEN + len;
	uint64_t sum = f->ipv6 ? checksum_pseudo6(udp - 32, IPPROTO_UDP, total)
			       : checksum_pseudo4(udp - 8, IPPROTO_UDP, total);

	store_be16(udp, (uint16_t)(FIRST_PORT + f->source * UINT32_C(7919) % 60000));
	store_be16(udp + 2, port);
	store_be16(udp + 4, (uint16_t)total);
	memset(udp + 6, 0, 2);
	checksum_store(udp + 6, checksum_finish_nonzero(checksum_add(sum, udp, total)));
}

static size_t write_frame(struct flood *f, uint8_t *frame)
{
	size_t headers = flood_headers_len(f), len;

	f->source = (uint32_t)(flood_random(f) % f->sources);
	if (f->kind->frame)
		return f->kind->frame(f, frame);
	len = f->kind->datagram(f, frame + headers + UDP_HEADER_LEN);
	flood_udp(f, flood_headers(f, frame, NULL, IPPROTO_UDP, UDP_HEADER_LEN + len), len,
		  f->port);
	return headers + UDP_HEADER_LEN + len;
}

/* Sending (load.h) */

static unsigned send_frames(void *arg, unsigned n)
{
	struct sender *s = arg;
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iov[BATCH] = { 0 };
	int sent;

	n = min(n, (unsigned)BATCH);
	for (unsigned i = 0; i < n; i++) {
		iov[i] = (struct iovec){ s->frames[i], write_frame(&s->f, s->frames[i]) };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	sent = sendmmsg(s->fd, msgs, n, 0);
	for (int i = 0; i < sent; i++)
		s->bytes += iov[i].iov_len;
	return sent < 0 ? 0 : (unsigned)sent;
}

/* Whatever comes back is for others to count. */
static void receive_nothing(void *arg, int ms, struct load_count *count)
{
	(void)arg;
	(void)count;
	(void)poll(NULL, 0, ms);
}

/* The link */

/* A packet socket that receives protocol (0: nothing). */
static int open_link(struct flood *f, uint16_t protocol)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htobe16(protocol) };
	int old = load_enter(f->netns), size = SOCKET_BUFFER;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(link);

	link.sll_ifindex = (int)if_nametoindex(f->dev);
	if (fd < 0 || !link.sll_ifindex ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&link, len) ||
	    getsockname(fd, (struct sockaddr *)&link, &len))
		load_die(f->dev);
	memcpy(f->from, link.sll_addr, ETHER_ADDR_LEN);
	load_leave(old);
	return fd;
}

/* The receiver index of a data message to the port; 0: it is something else. */
static uint32_t index_of(const struct flood *f, const uint8_t *frame, size_t len)
{
	size_t headers = load_be16(frame + 12) == ETHER_TYPE_IPV6 ? 40 : 20;
	const uint8_t *udp = frame + ETHER_HEADER_LEN + headers, *msg = udp + UDP_HEADER_LEN;
	uint8_t proto = frame[ETHER_HEADER_LEN + (headers == 40 ? 6 : 9)];

	if (len < ETHER_HEADER_LEN + headers + UDP_HEADER_LEN + MESSAGE_DATA_OVERHEAD ||
	    proto != IPPROTO_UDP || load_be16(udp + 2) != f->listens ||
	    load_le32(msg) != MESSAGE_DATA)
		return 0;
	return load_le32(msg + offsetof(struct message_data, receiver_index));
}

static void note_index(struct flood *f, uint32_t index)
{
	for (unsigned i = 0; i < f->n_indices; i++)
		if (f->indices[i] == index)
			return;
	f->indices[f->n_indices++] = index;
}

void flood_listen(struct flood *f)
{
	uint64_t end = load_now() + LISTEN_MS * NSEC_PER_MSEC;
	struct pollfd p = { .fd = open_link(f, ETH_P_ALL), .events = POLLIN };
	uint8_t frame[FLOOD_FRAME_MAX];

	/* Who sends does so more than once in a tenth of a second. */
	while (f->n_indices < FLOOD_INDICES && load_now() < end) {
		ssize_t len = poll(&p, 1, 10) > 0 ? recv(p.fd, frame, sizeof(frame), 0) : 0;
		uint32_t index = len > ETHER_HEADER_LEN + 40 ? index_of(f, frame, (size_t)len) : 0;

		if (!index)
			continue;
		if (!f->n_indices)
			end = min(end, load_now() + 100 * NSEC_PER_MSEC);
		note_index(f, index);
	}
	close(p.fd);
	errno = ENODATA;
	if (!f->n_indices)
		load_die("no data messages pass here");
}

/* What it is told */

static int usage(void)
{
	fputs("usage: flood KIND -n NETNS -i IFNAME -v MAC -a ADDRESS [-p PORT] [-l PORT]\n"
	      "             [-k KEY] [-t TENANT] [-x PREFIX] [-g N] [-s SOURCES] [-b BYTES] [-r RATE]\n"
	      "             [-m MS]\n"
	      "kinds:\n", stderr);
	for (size_t i = 0; i < flood_n_kinds; i++)
		(void)fprintf(stderr, "  %-12s %s\n", flood_kinds[i].name, flood_kinds[i].what);
	return 2;
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || v < least || v > most) {
		(void)fprintf(stderr, "flood: %s is not a number from %u to %u\n", text, least,
			      most);
		exit(2);
	}
	return (unsigned)v;
}

static bool read_address(const char *text, uint8_t out[16], bool *ipv6)
{
	*ipv6 = inet_pton(AF_INET6, text, out) == 1;
	return *ipv6 || inet_pton(AF_INET, text, out) == 1;
}

static bool read_link_address(const char *text, uint8_t out[ETHER_ADDR_LEN])
{
	return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &out[0], &out[1], &out[2],
		      &out[3], &out[4], &out[5]) == ETHER_ADDR_LEN;
}

/* One option. False: its argument makes no sense. */
static bool take_option(struct flood *f, int c, const char *arg)
{
	bool ipv6;

	switch (c) {
	case 'n':
		f->netns = arg;
		return true;
	case 'i':
		f->dev = arg;
		return true;
	case 'v':
		return read_link_address(arg, f->via);
	case 'a':
		return read_address(arg, f->to, &f->ipv6);
	case 'p':
		f->port = (uint16_t)number(arg, 1, UINT16_MAX);
		return true;
	case 'l':
		f->listens = (uint16_t)number(arg, 1, UINT16_MAX);
		return true;
	case 'k':
		return !key_from_base64(f->key, arg);
	case 't':
		f->tenant = number(arg, 1, INT32_MAX);
		return true;
	case 'x':
		return read_address(arg, f->prefix, &ipv6);
	case 'g':
		f->targets = number(arg, 1, 1 << 24);
		return true;
	case 's':
		f->sources = number(arg, 1, FLOOD_SOURCES_MAX);
		return true;
	case 'b':
		f->size = number(arg, MESSAGE_DATA_OVERHEAD, FLOOD_PAYLOAD_MAX);
		return true;
	}
	return false;
}

static const struct flood_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < flood_n_kinds; i++)
		if (!strcmp(flood_kinds[i].name, name))
			return &flood_kinds[i];
	return NULL;
}

int main(int argc, char **argv)
{
	static struct sender s = { 
		.f = { .port = 51820, .listens = 51820, .sources = 1, .targets = 1, .size = 128 }
	};
	struct load load = { &s, send_frames, receive_nothing };
	unsigned rate = 50000, ms = 1000;
	struct flood *f = &s.f;
	struct load_result r;
	int c;

	if (sodium_init() < 0)
		return 1;
	f->kind = argc > 1 ? find_kind(argv[1]) : NULL;
	if (!f->kind)
		return usage();
	optind = 2;
	while ((c = getopt(argc, argv, "n:i:v:a:p:l:k:t:x:g:s:b:r:m:")) != -1) {
		if (c == 'r')
			rate = number(optarg, 1, 10000000);
		else if (c == 'm')
			ms = number(optarg, 1, 600000);
		else if (!take_option(f, c, optarg))
			return usage();
	}
	if (!f->netns || !f->dev || optind != argc || (f->kind->tenant && !f->tenant) ||
	    (f->kind->key && key_is_zero(f->key)))
		return usage();
	if (f->kind->prepare)
		f->kind->prepare(f);
	s.fd = open_link(f, 0);
	/* A flood comes from elsewhere, and does not wait for the victim's processor. */
	(void)setpriority(PRIO_PROCESS, 0, -20);
	load_try(&load, rate, ms, &r);
	printf("{\"kind\":\"%s\",\"sent\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.3f,"
	       "\"per_s\":%.0f}\n", f->kind->name, r.count.sent, s.bytes, r.seconds,
	       (double)r.count.sent / r.seconds);
	return 0;
}
