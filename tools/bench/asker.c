/* SPDX-License-Identifier: MIT */
/*
 * The provider's router as bench-ndp needs it: solicits addresses at a given rate
 * and prints, as one line of JSON, how many were answered and how soon.
 *
 *	asker NETNS IFNAME RESPONDER N RATE MS multicast|unicast
 *
 * The addresses are 2001:db8:beef::1:0 plus 1 to N, in an order that jumps about; every tenth
 * question is for an address that nobody has. RESPONDER is the hardware address
 * that unicast questions go to. An address that is not answered within a second
 * counts as lost, and may be asked for again; one that is waited for is left out. Delays
 * are from just before the frame was handed to the kernel to the kernel's time stamp of
 * the first answer.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "../../src/neighbor/ndp.h"
#include "../../tun/checksum.h"
#include "load.h"

enum {
	BURST = 64,
	FRAME = ETHER_HEADER_LEN + 40 + 24 + 8, /* a solicitation with our hardware address */
	RECEIVED_MAX = 2048,
	SOCKET_BUFFER = 16 << 20,
	NOBODYS_EVERY = 10,
	FIRST = 0x10000, /* below it are the routers' own addresses */
	STRIDE = 7919 /* a prime: the order in which addresses are asked for */
};

#define ANSWER_WITHIN NSEC_PER_SEC
#define NOBODYS UINT32_C(0x80000000)

struct asker {
	int fd;
	uint8_t link_address[ETHER_ADDR_LEN], responder[ETHER_ADDR_LEN];
	bool unicast;
	uint32_t n, next;
	size_t n_all; /* questions of either kind */
	uint64_t *asked; /* when, of each address; UTC in ns; 0: not waited for */
	uint32_t *delay; /* of each answer, us */
	size_t questions, skipped, answered, lost, nobodys, again, errors, delays_room;
	size_t wrong; /* answers for addresses that nobody has */
};

static const uint8_t source[NDP_ADDR_LEN] = { 0xfe, 0x80, [15] = 0x0a };

static uint64_t utc_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Number 0 is none; those of nobody have the highest bit set. */
static void target_of(uint32_t number, uint8_t out[NDP_ADDR_LEN])
{
	static const uint8_t prefix[8] = { 0x20, 0x01, 0x0d, 0xb8, 0xbe, 0xef };

	memset(out, 0, NDP_ADDR_LEN);
	memcpy(out, prefix, sizeof(prefix));
	store_be32(out + 12, number + FIRST);
}

/* RFC 4861 §4.3, with a source link-layer address option. */
static void write_solicitation(const struct asker *a, uint32_t number, uint8_t frame[FRAME])
{
	uint8_t target[NDP_ADDR_LEN], group[ETHER_ADDR_LEN] = { 0x33, 0x33, 0xff };
	uint8_t *ip, *icmp;

	target_of(number, target);
	memcpy(group + 3, target + 13, 3);
	ip = ether_build(frame, a->unicast ? a->responder : group, a->link_address,
			 (struct ether_tag){ 0 }, ETHER_TYPE_IPV6);
	memset(ip, 0, 40 + 32);
	ip[0] = 0x60;
	store_be16(ip + 4, 32);
	ip[6] = 58;
	ip[7] = 255;
	memcpy(ip + 8, source, sizeof(source));
	if (a->unicast) {
		memcpy(ip + 24, target, sizeof(target));
	} else {
		memcpy(ip + 24, (uint8_t[]){ 0xff, 2, [11] = 1, 0xff }, 13);
		memcpy(ip + 37, target + 13, 3);
	}
	icmp = ip + 40;
	icmp[0] = 135;
	memcpy(icmp + 8, target, sizeof(target));
	icmp[24] = 1;
	icmp[25] = 1;
	memcpy(icmp + 26, a->link_address, ETHER_ADDR_LEN);
	checksum_store(icmp + 2, checksum_finish(checksum_add(checksum_pseudo6(ip + 8, 58, 32),
							      icmp, 32)));
}

/* The next address that is not waited for; 0: all are. */
static uint32_t next_number(struct asker *a, uint64_t now)
{
	uint32_t i = (uint32_t)((uint64_t)a->next++ * STRIDE % a->n);

	if (a->asked[i] && now - a->asked[i] < ANSWER_WITHIN)
		return 0;
	a->lost += a->asked[i] != 0;
	a->asked[i] = now;
	return i + 1;
}

static void ask(struct asker *a, unsigned n)
{
	static uint8_t frames[BURST][FRAME];
	struct mmsghdr msgs[BURST] = { 0 };
	struct iovec iov[BURST];
	uint64_t now = utc_ns();
	unsigned room = 0;
	int sent;

	for (unsigned i = 0; i < n; i++) {
		uint32_t number;

		if (++a->n_all % NOBODYS_EVERY == 0) {
			number = NOBODYS | (uint32_t)a->nobodys++;
		} else {
			number = next_number(a, now);
			a->skipped += !number;
			a->questions += number != 0;
		}
		if (!number)
			continue;
		write_solicitation(a, number, frames[room]);
		iov[room] = (struct iovec){ frames[room], FRAME };
		msgs[room].msg_hdr.msg_iov = &iov[room];
		msgs[room].msg_hdr.msg_iovlen = 1;
		room++;
	}
	for (unsigned done = 0; done < room; done += (unsigned)sent) {
		sent = sendmmsg(a->fd, msgs + done, room - done, 0);
		if (sent < 0)
			load_die("sendmmsg");
	}
}

/* Kernel's time stamp of what was received. */
static uint64_t stamp_of(struct msghdr *msg)
{
	struct timespec ts = { 0 };
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS)
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void take(struct asker *a, const uint8_t *frame, size_t len, uint64_t at)
{
	const uint8_t *icmp = frame + ETHER_HEADER_LEN + 40;
	uint8_t target[NDP_ADDR_LEN];
	uint32_t number;

	if (len < ETHER_HEADER_LEN + 40 + 24)
		return;
	if (icmp[0] != 136) {
		a->errors += icmp[0] < 128;
		return;
	}
	number = load_be32(icmp + 20) - FIRST;
	target_of(number, target);
	if (memcmp(icmp + 8, target, sizeof(target)) != 0 || !number)
		return;
	if (number & NOBODYS) {
		a->wrong++;
		return;
	}
	if (number > a->n)
		return;
	if (!a->asked[number - 1] || at < a->asked[number - 1]) {
		a->again++;
		return;
	}
	if (a->answered < a->delays_room)
		a->delay[a->answered] = (uint32_t)((at - a->asked[number - 1]) / 1000);
	a->answered++;
	a->asked[number - 1] = 0;
}

static void receive(struct asker *a, int ms)
{
	_Alignas(struct cmsghdr) static uint8_t control[BURST][CMSG_SPACE(sizeof(struct timespec))];
	static uint8_t frames[BURST][RECEIVED_MAX];
	struct pollfd p = { .fd = a->fd, .events = POLLIN };
	struct mmsghdr msgs[BURST];
	struct iovec iov[BURST];
	int got;

	if (poll(&p, 1, ms) <= 0)
		return;
	for (int i = 0; i < BURST; i++) {
		iov[i] = (struct iovec){ frames[i], RECEIVED_MAX };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
						   .msg_iovlen = 1,
						   .msg_control = control[i],
						   .msg_controllen = sizeof(control[i]) };
	}
	do {
		got = recvmmsg(a->fd, msgs, BURST, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got; i++) {
			take(a, frames[i], msgs[i].msg_len, stamp_of(&msgs[i].msg_hdr));
			msgs[i].msg_hdr.msg_controllen = sizeof(control[i]);
		}
	} while (got == BURST);
}

static void run(struct asker *a, double rate, unsigned ms)
{
	uint64_t start = load_now(), now = start, end = start + ms * NSEC_PER_MSEC;
	double done = 0;

	while (now < end) {
		double due = (double)(now - start) * rate / 1e9 - done;

		if (due >= 1) {
			unsigned n = min((unsigned)due, (unsigned)BURST);

			/* Who was held up for long does not make up for it with a flood. */
			if (due > rate / 50)
				done += due - rate / 50;
			ask(a, n);
			done += n;
		}
		receive(a, 1);
		now = load_now();
	}
	/* The last ones have their second, too. */
	while (load_now() < end + ANSWER_WITHIN)
		receive(a, 10);
	for (uint32_t i = 0; i < a->n; i++)
		a->lost += a->asked[i] != 0;
}

/* ICMPv6 only, so that the rest of the link does not fill the buffer. */
static void filter(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHER_TYPE_IPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETHER_HEADER_LEN + 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		load_die("filter");
}

static void open_socket(struct asker *a, const char *netns, const char *ifname)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htobe16(ETH_P_ALL) };
	int old = load_enter(netns), one = 1, size = SOCKET_BUFFER;
	socklen_t len = sizeof(link);

	a->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		load_die("packet socket");
	filter(a->fd);
	link.sll_ifindex = (int)if_nametoindex(ifname);
	if (setsockopt(a->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) ||
	    setsockopt(a->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(a->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(a->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    bind(a->fd, (struct sockaddr *)&link, sizeof(link)) ||
	    getsockname(a->fd, (struct sockaddr *)&link, &len))
		load_die(ifname);
	memcpy(a->link_address, link.sll_addr, ETHER_ADDR_LEN);
	load_leave(old);
}

static int compare(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static void print(struct asker *a)
{
	size_t n = min(a->answered, a->delays_room);

	qsort(a->delay, n, sizeof(*a->delay), compare);
	printf("{\"questions\":%zu,\"answered\":%zu,\"share\":%.4f,\"lost\":%zu,\"again\":%zu,"
	       "\"errors\":%zu,\"nobodys\":%zu,\"wrong\":%zu", a->questions, a->answered,
	       a->questions ? (double)a->answered / (double)a->questions : 0, a->lost, a->again,
	       a->errors, a->nobodys, a->wrong);
	if (n)
		printf(",\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u", a->delay[n / 2],
		       a->delay[(n - 1) * 99 / 100], a->delay[n - 1]);
	puts("}");
}

static bool read_link_address(const char *text, uint8_t out[ETHER_ADDR_LEN])
{
	return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &out[0], &out[1], &out[2],
		      &out[3], &out[4], &out[5]) == ETHER_ADDR_LEN;
}

int main(int argc, char **argv)
{
	struct asker a = { 0 };
	unsigned ms;
	double rate;

	if (argc != 8 || !read_link_address(argv[3], a.responder)) {
		(void)fprintf(stderr, "asker: see tools/bench/asker.c\n");
		return 2;
	}
	a.n = (uint32_t)max(strtoul(argv[4], NULL, 10), 1UL);
	rate = strtod(argv[5], NULL);
	ms = (unsigned)strtoul(argv[6], NULL, 10);
	a.unicast = !strcmp(argv[7], "unicast");
	a.delays_room = (size_t)(rate * ms / 1000) + BURST;
	a.asked = calloc(a.n, sizeof(*a.asked));
	a.delay = calloc(a.delays_room, sizeof(*a.delay));
	if (!a.asked || !a.delay)
		load_die("calloc");
	open_socket(&a, argv[1], argv[2]);
	run(&a, rate, ms);
	print(&a);
	free(a.asked);
	free(a.delay);
	return 0;
}
