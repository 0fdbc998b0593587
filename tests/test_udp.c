/* SPDX-License-Identifier: MIT */
/*
 * UDP bursts on real sockets, on the loopback of a network namespace of our own. The
 * system calls pass through here, so that they can be made to fail as some kernels do.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/syscall.h>

#include "../src/base/packet.h"
#include "../src/path/udp.h"
#include "in_netns.h"
#include "no_filter.h"
#include "packets.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* What the system calls are to do; each test is a process of its own. */
static struct {
	int error;       /* of sends; 0: none */
	unsigned errors; /* so many times */
	bool only_segments; /* only of those with UDP_SEGMENT */
	unsigned per_call;  /* messages that sendmmsg takes at once; 0: all */
	int no_family;      /* what socket() does not know */
	unsigned segmented; /* messages that were sent with UDP_SEGMENT */
} fake;

static bool has_segments(const struct msghdr *msg)
{
	struct msghdr *m = (struct msghdr *)(uintptr_t)msg;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return true;
	return false;
}

static bool refuse(const struct msghdr *msg)
{
	if (!fake.errors || (fake.only_segments && !has_segments(msg))) {
		fake.segmented += has_segments(msg);
		return false;
	}
	fake.errors--;
	errno = fake.error;
	return true;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return refuse(msg) ? -1 : syscall(SYS_sendmsg, fd, msg, flags);
}

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	unsigned limit = fake.per_call ? min(n, fake.per_call) : n;

	for (unsigned i = 0; i < limit; i++)
		if (refuse(&msgs[i].msg_hdr))
			return i ? (int)syscall(SYS_sendmmsg, fd, msgs, i, flags) : -1;
	return (int)syscall(SYS_sendmmsg, fd, msgs, limit, flags);
}

int socket(int domain, int type, int protocol)
{
	if (domain == fake.no_family) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, domain, type, protocol);
}

static struct udp_sockets a, b;
static struct udp_rx rx;
static struct udp_tx tx;
static struct endpoint to_b4, to_b6;

static struct endpoint place(const char *host, uint16_t port)
{
	char text[ENDPOINT_STRLEN];
	struct endpoint e;

	snprintf(text, sizeof(text), "%s:%u", host, port);
	ck_assert_int_eq(endpoint_parse(&e, text), 0);
	return e;
}

static void setup(void)
{
	in_netns_setup();
	sh("ip link set lo up");
	sh("ip addr add fd00::2/128 dev lo nodad");
	wait_for_addresses();
	ck_assert_int_eq(udp_open(&a, 1, 0, 0, true), 0);
	ck_assert_int_eq(udp_open(&b, 1, 0, 0, true), 0);
	ck_assert_int_eq(udp_rx_init(&rx), 0);
	to_b4 = place("127.0.0.1", b.port);
	to_b6 = place("[::1]", b.port);
	udp_tx_reset(&tx, &a);
}

static void teardown(void)
{
	udp_rx_free(&rx);
	udp_close(&a);
	udp_close(&b);
}

/* All wait for each other. */
static uint32_t one_bucket(void *owner, const uint8_t *message, size_t len)
{
	(void)owner;
	(void)message;
	(void)len;
	return 0;
}

static void nothing_is_lost(void *owner, const uint8_t *message, size_t len, unsigned n)
{
	(void)owner;
	(void)message;
	(void)len;
	ck_abort_msg("%u packets were dropped", n);
}

static unsigned recv_burst(int fd)
{
	static const struct udp_rx_judge judge = { .bucket = one_bucket, .lost = nothing_is_lost };

	static unsigned behind;

	return udp_recv_burst(fd, &behind, &rx, &rx, &judge);
}

/* One burst, once something is there. 0: nothing came. */
static unsigned receive(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (udp_rx_waits(&rx))
		return recv_burst(-1);
	return poll(&p, 1, 10000) == 1 ? recv_burst(fd) : 0;
}

static uint8_t buffer[UDP_TX_PIECES * 1500];

/* Queues n packets of these sizes, each filled with its number. */
static void queue(const struct endpoint *to, uint8_t ecn, const size_t *sizes, unsigned n)
{
	uint8_t *at = buffer;

	for (unsigned i = 0; i < n; i++) {
		memset(at, (int)i, sizes[i]);
		ck_assert(udp_tx_has_room(&tx, 1));
		udp_tx_add(&tx, to, ecn, at, sizes[i]);
		at += sizes[i];
	}
}

/* All of them arrive, in order. */
static void expect_all(int fd, const size_t *sizes, unsigned n, uint8_t ecn)
{
	unsigned got = 0;

	while (got < n) {
		unsigned burst = receive(fd);

		ck_assert_uint_gt(burst, 0);
		ck_assert_uint_eq(rx.n_oversized, 0);
		for (unsigned i = 0; i < burst; i++, got++) {
			expect(rx.packets[i].len == sizes[got]);
			expect(rx.packets[i].ecn == ecn);
			for (size_t k = 0; k < sizes[got]; k++)
				expect(rx.packets[i].data[k] == (uint8_t)got);
		}
	}
	ck_assert_uint_eq(got, n);
	ck_assert_uint_eq(recv_burst(fd), 0);
}

static unsigned sent_in_all(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tx.n_runs; i++)
		n += tx.sent[i];
	return n;
}

/* n packets of the sizes in pattern, over and over. */
static const struct {
	unsigned n;
	size_t pattern[8];
	unsigned runs; /* with segmentation */
} trips[] = {
	/* 0 */ { 1, { 1452 }, 1 },
	/* 1 */ { 2, { 1452 }, 1 },
	/* 2 */ { 44, { 1452 }, 1 },
	/* 3 */ { 100, { 1452 }, 3 },      /* 65,000 bytes are 44 of them */
	/* 4 */ { 64, { 100 }, 1 },
	/* 5 */ { 65, { 100 }, 2 },
	/* 6 */ { 150, { 32 }, 3 },
	/* 7 */ { 3, { 1452, 1452, 96 }, 1 }, /* the last may be shorter, */
	/* 8 */ { 6, { 1452, 1452, 96 }, 2 }, /* but ends the run */
	/* 9 */ { 8, { 100, 200 }, 5 },
	/* 10 */ { 8, { 200, 100 }, 4 },
	/* 11 */ { 7, { 32, 48, 64, 80, 96, 112, 128 }, 7 },
	/* 12 */ { 7, { 128, 112, 96, 80, 64, 48, 32 }, 4 },
	/* 13 */ { 1, { 1 }, 1 },
	/* 14 */ { 200, { 1280, 1280, 1280, 500, 1280 }, 41 },
};

static void fill_sizes(size_t *sizes, int trip)
{
	size_t period = 0;

	while (period < 8 && trips[trip].pattern[period])
		period++;
	for (unsigned i = 0; i < trips[trip].n; i++)
		sizes[i] = trips[trip].pattern[i % period];
}

START_TEST(round_trip)
{
	size_t sizes[256];

	fill_sizes(sizes, _i);
	ck_assert(a.gso);
	queue(&to_b4, 0, sizes, trips[_i].n);
	ck_assert_uint_eq(tx.n_runs, trips[_i].runs);
	udp_flush(&a, &tx);
	ck_assert_uint_eq(sent_in_all(), trips[_i].n);
	expect_all(b.fd4, sizes, trips[_i].n, 0);
	udp_tx_reset(&tx, &a);
	queue(&to_b6, 0, sizes, trips[_i].n);
	udp_flush(&a, &tx);
	ck_assert_uint_eq(sent_in_all(), trips[_i].n);
	expect_all(b.fd6, sizes, trips[_i].n, 0);
	/* The same without segmentation: each a run of its own. */
	atomic_store(&a.gso, false);
	udp_tx_reset(&tx, &a);
	queue(&to_b4, 0, sizes, trips[_i].n);
	ck_assert_uint_eq(tx.n_runs, trips[_i].n);
	fake.segmented = 0;
	udp_flush(&a, &tx);
	ck_assert_uint_eq(fake.segmented, 0);
	expect_all(b.fd4, sizes, trips[_i].n, 0);
}
END_TEST

/* A receiver without GRO gets the same. */
START_TEST(without_gro)
{
	struct udp_sockets plain;
	size_t sizes[64];

	for (unsigned i = 0; i < 64; i++)
		sizes[i] = i == 63 ? 77 : 1000;
	ck_assert_int_eq(udp_open(&plain, 1, 0, 0, false), 0);
	ck_assert(!plain.gro && !plain.gso);
	to_b4 = place("127.0.0.1", plain.port);
	queue(&to_b4, 0, sizes, 64);
	udp_flush(&a, &tx);
	expect_all(plain.fd4, sizes, 64, 0);
	udp_close(&plain);
}
END_TEST

START_TEST(room)
{
	uint8_t byte = 0;

	for (unsigned i = 0; i < UDP_TX_RUNS; i++) {
		ck_assert(udp_tx_has_room(&tx, 1));
		/* neighbours differ */
		udp_tx_add(&tx, i % 2 ? &to_b4 : &to_b6, 0, &byte, 1);
	}
	ck_assert(!udp_tx_has_room(&tx, 1));
	ck_assert_uint_eq(tx.n_runs, UDP_TX_RUNS);
	udp_flush(&a, &tx);
	ck_assert_uint_eq(sent_in_all(), UDP_TX_RUNS);
	udp_tx_reset(&tx, &a);
	for (unsigned i = 0; i < UDP_TX_PIECES; i++) {
		ck_assert(udp_tx_has_room(&tx, 1));
		udp_tx_add(&tx, &to_b4, 0, &byte, 1);
	}
	ck_assert(!udp_tx_has_room(&tx, 1));
}
END_TEST

START_TEST(congestion)
{
	const size_t sizes[] = { 100, 100, 50 };

	for (uint8_t mark = 0; mark < 4; mark++) {
		udp_tx_reset(&tx, &a);
		queue(&to_b4, mark, sizes, 3);
		udp_flush(&a, &tx);
		expect_all(b.fd4, sizes, 3, mark);
		udp_tx_reset(&tx, &a);
		queue(&to_b6, mark, sizes, 3);
		udp_flush(&a, &tx);
		expect_all(b.fd6, sizes, 3, mark);
	}
	/* Different marks do not share a run. */
	udp_tx_reset(&tx, &a);
	udp_tx_add(&tx, &to_b4, 0, buffer, 10);
	udp_tx_add(&tx, &to_b4, 1, buffer, 10);
	ck_assert_uint_eq(tx.n_runs, 2);
}
END_TEST

/* Answers leave from the address that was written to. */
static const struct {
	const char *local, *remote;
} pairs[] = {
	/* 0 */ { "127.0.0.1", "127.0.0.1" },
	/* 1 */ { "127.0.0.2", "127.0.0.1" },
	/* 2 */ { "127.99.1.2", "127.0.0.1" },
	/* 3 */ { "[::1]", "[::1]" },
	/* 4 */ { "[fd00::2]", "[fd00::2]" },
};

START_TEST(answers_from_there)
{
	struct endpoint to = place(pairs[_i].local, b.port), back;
	bool v6 = to.addr.sa_family == AF_INET6;

	ck_assert_int_eq(udp_send_one(&a, &to, "hello", 5), 0);
	ck_assert_uint_eq(receive(v6 ? b.fd6 : b.fd4), 1);
	back = rx.from[rx.packets[0].message];
	ck_assert_uint_eq(back.src_ifindex, if_nametoindex("lo"));
	if (v6)
		ck_assert_mem_eq(&back.src6, &to.addr6.sin6_addr, 16);
	else
		ck_assert_uint_eq(back.src4.s_addr, to.addr4.sin_addr.s_addr);
	/* One by itself, and as part of a burst. */
	for (unsigned i = 0; i < 2; i++) {
		if (i) {
			udp_tx_reset(&tx, &b);
			udp_tx_add(&tx, &back, 0, buffer, 10);
			udp_tx_add(&tx, &back, 0, buffer + 10, 10);
			udp_flush(&b, &tx);
			ck_assert(!tx.stale_src[0]);
			ck_assert_uint_eq(tx.sent[0], 2);
		} else {
			ck_assert_int_eq(udp_send_one(&b, &back, "you", 3), 0);
		}
		ck_assert_uint_eq(receive(v6 ? a.fd6 : a.fd4), i + 1);
		ck_assert(endpoint_same_remote(&rx.from[0], &to));
	}
}
END_TEST

/* The address that was written to is gone, or its interface. */
START_TEST(stale_source)
{
	struct endpoint to = _i & 1 ? to_b6 : to_b4;
	int fd = _i & 1 ? b.fd6 : b.fd4;
	const size_t sizes[] = { 100, 100, 100 };

	if (_i & 1)
		to.src6.s6_addr[0] = 0x20;
	else
		to.src4.s_addr = htobe32(0x0a090909);
	to.src_ifindex = _i & 2 ? 999 : if_nametoindex("lo");
	queue(&to, 0, sizes, 3);
	udp_flush(&a, &tx);
	ck_assert(tx.stale_src[0]);
	ck_assert_uint_eq(tx.sent[0], 3);
	expect_all(fd, sizes, 3, 0);
	ck_assert_int_eq(udp_send_one(&a, &to, "hello", 5), 0);
	ck_assert_uint_eq(receive(fd), 1);
}
END_TEST

/* One that is good is not thought stale when the network itself is gone. */
START_TEST(no_route)
{
	struct endpoint to = place("192.0.2.1", 9);

	to.src4.s_addr = htobe32(INADDR_LOOPBACK);
	to.src_ifindex = 1;
	udp_tx_add(&tx, &to, 0, buffer, 10);
	udp_tx_add(&tx, &to_b4, 0, buffer, 10);
	fake.error = ENETUNREACH;
	fake.errors = 2;
	udp_flush(&a, &tx);
	ck_assert(!tx.stale_src[0]);
	ck_assert_uint_eq(tx.sent[0], 0);
	/* The next is not held up. */
	ck_assert_uint_eq(tx.sent[1], 1);
	fake.errors = 2;
	ck_assert_int_eq(udp_send_one(&a, &to, "x", 1), -ENETUNREACH);
}
END_TEST

/* How sends may fail: which errors say something about segmentation, and which of it stays. */
static const struct {
	int error;
	unsigned errors;
	bool only_segments;
	unsigned sent; /* of 10 */
	bool gso;      /* afterwards */
} failures[] = {
	/* 0 */ { EIO, 1, true, 10, false },        /* the device cannot checksum */
	/* 1 */ { EOPNOTSUPP, 1, true, 10, false },
	/* 2 */ { ENOPROTOOPT, 1, true, 10, false },
	/* 3 */ { EINVAL, 1, true, 10, true },      /* too large for this path */
	/* 4 */ { EMSGSIZE, 1, true, 10, true },
	/* 5 */ { EINTR, 3, false, 10, true },
	/* 6 */ { ENOBUFS, 1, false, 0, true },
	/* 7 */ { EAGAIN, 1, false, 0, true },
	/* 8 */ { EPERM, 1, false, 0, true },       /* a firewall */
	/* 9 */ { EINVAL, 4, false, 7, true },      /* of the single ones three are refused */
};

START_TEST(failing)
{
	const size_t sizes[] = { 100, 100, 100, 100, 100, 100, 100, 100, 100, 100 };
	unsigned got = 0;

	fake.error = failures[_i].error;
	fake.errors = failures[_i].errors;
	fake.only_segments = failures[_i].only_segments;
	queue(&to_b4, 0, sizes, 10);
	ck_assert_uint_eq(tx.n_runs, 1);
	udp_flush(&a, &tx);
	ck_assert_uint_eq(tx.sent[0], failures[_i].sent);
	ck_assert_int_eq(a.gso, failures[_i].gso);
	while (got < failures[_i].sent) {
		unsigned n = receive(b.fd4);

		ck_assert_uint_gt(n, 0);
		got += n;
	}
	ck_assert_uint_eq(recv_burst(b.fd4), 0);
	/* Switched off means off. */
	udp_tx_reset(&tx, &a);
	ck_assert_uint_eq(tx.segments, failures[_i].gso ? UDP_GSO_SEGMENTS : 1);
}
END_TEST

/* The kernel's own refusal: segments that do not fit the link, which it fragments instead. */
START_TEST(beyond_the_mtu)
{
	const size_t sizes[] = { 1452, 1452, 1452, 1452, 300 };

	sh("ip link set lo mtu 1300");
	queue(&to_b4, 0, sizes, 5);
	udp_flush(&a, &tx);
	ck_assert_uint_eq(sent_in_all(), 5);
	expect_all(b.fd4, sizes, 5, 0);
	udp_tx_reset(&tx, &a);
	queue(&to_b6, 0, sizes, 5);
	udp_flush(&a, &tx);
	ck_assert_uint_eq(sent_in_all(), 5);
	expect_all(b.fd6, sizes, 5, 0);
	ck_assert(a.gso);
}
END_TEST

/* sendmmsg that takes a few at a time; families in turn. */
START_TEST(little_by_little)
{
	unsigned got = 0;

	fake.per_call = 2;
	for (unsigned i = 0; i < 60; i++)
		udp_tx_add(&tx, i / 7 % 2 ? &to_b4 : &to_b6, 0, buffer, 10 + i);
	udp_flush(&a, &tx);
	ck_assert_uint_eq(sent_in_all(), 60);
	while (got < 60) {
		unsigned n = recv_burst(b.fd4) + recv_burst(b.fd6);

		ck_assert_uint_gt(n, 0);
		got += n;
	}
}
END_TEST

/* A port where nobody is: its ICMP error neither hides what waits nor keeps us busy. */
START_TEST(refused)
{
	struct endpoint nobody = place("127.0.0.1", 9);
	struct endpoint to_a = place("127.0.0.1", a.port);

	for (unsigned i = 0; i < 5; i++)
		(void)udp_send_one(&a, &nobody, "x", 1);
	ck_assert_uint_eq(recv_burst(a.fd4), 0);
	ck_assert_int_eq(udp_send_one(&b, &to_a, "y", 1), 0);
	ck_assert_uint_eq(receive(a.fd4), 1);
	ck_assert_uint_eq(rx.packets[0].data[0], 'y');
}
END_TEST

/* Datagrams without a byte, and the largest there are. */
START_TEST(extreme_lengths)
{
	static uint8_t large[65507];

	memset(large, 0x5a, sizeof(large));
	ck_assert_int_eq(udp_send_one(&a, &to_b4, large, 0), 0);
	ck_assert_uint_eq(receive(b.fd4), 1);
	ck_assert_uint_eq(rx.packets[0].len, 0);
	ck_assert_int_eq(udp_send_one(&a, &to_b4, large, sizeof(large)), 0);
	ck_assert_uint_eq(receive(b.fd4), 1);
	ck_assert_uint_eq(rx.packets[0].len, sizeof(large));
	ck_assert_mem_eq(rx.packets[0].data, large, sizeof(large));
}
END_TEST

/* Opening */

START_TEST(port_is_ours_alone)
{
	struct udp_sockets mine[4], others[2];
	uint16_t port;

	ck_assert_int_eq(udp_open(mine, 4, 0, 0, true), 0);
	port = mine[0].port;
	ck_assert_uint_ne(port, 0);
	for (unsigned i = 1; i < 4; i++)
		ck_assert_uint_eq(mine[i].port, port);
	ck_assert_int_eq(udp_open(others, 2, port, 0, true), -EADDRINUSE);
	ck_assert_int_eq(others[0].fd4, -1);
	ck_assert_int_eq(others[0].fd6, -1);
	for (unsigned i = 0; i < 4; i++)
		udp_close(&mine[i]);
	ck_assert_int_eq(udp_open(others, 2, port, 0, true), 0);
	udp_close(&others[0]);
	udp_close(&others[1]);
}
END_TEST

/* Somebody has the port in one family only. */
START_TEST(half_a_port)
{
	struct endpoint e = place(_i ? "[::]" : "0.0.0.0", 5555);
	int fd = socket(e.addr.sa_family, SOCK_DGRAM, 0), on = 1;
	struct udp_sockets s;

	if (_i)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	ck_assert_int_eq(bind(fd, &e.addr, endpoint_addr_len(&e)), 0);
	ck_assert_int_eq(udp_open(&s, 1, 5555, 0, true), -EADDRINUSE);
	ck_assert_int_eq(s.fd4, -1);
	ck_assert_int_eq(s.fd6, -1);
	close(fd);
	ck_assert_int_eq(udp_open(&s, 1, 5555, 0, true), 0);
	udp_close(&s);
}
END_TEST

START_TEST(missing_family)
{
	struct udp_sockets s;
	struct endpoint to = _i ? to_b4 : to_b6;

	fake.no_family = _i ? AF_INET : AF_INET6;
	ck_assert_int_eq(udp_open(&s, 1, 0, 0, true), 0);
	ck_assert_uint_ne(s.port, 0);
	ck_assert_int_lt(_i ? s.fd4 : s.fd6, 0);
	ck_assert_int_ge(_i ? s.fd6 : s.fd4, 0);
	ck_assert_int_eq(udp_send_one(&s, &to, "x", 1), -EAFNOSUPPORT);
	udp_tx_reset(&tx, &s);
	udp_tx_add(&tx, &to, 0, buffer, 10);
	udp_tx_add(&tx, _i ? &to_b6 : &to_b4, 0, buffer, 10);
	udp_flush(&s, &tx);
	ck_assert_uint_eq(tx.sent[0], 0);
	ck_assert_uint_eq(tx.sent[1], 1);
	ck_assert_int_eq(udp_set_mark(&s, 0), 0);
	udp_close(&s);
}
END_TEST

START_TEST(marks)
{
	struct udp_sockets s;
	unsigned mark = 0;
	socklen_t len = sizeof(mark);

	ck_assert_int_eq(udp_open(&s, 1, 0, 0xca6c, true), 0);
	ck_assert_int_eq(getsockopt(s.fd4, SOL_SOCKET, SO_MARK, &mark, &len), 0);
	ck_assert_uint_eq(mark, 0xca6c);
	ck_assert_int_eq(udp_set_mark(&s, 0x80000001), 0);
	ck_assert_int_eq(getsockopt(s.fd6, SOL_SOCKET, SO_MARK, &mark, &len), 0);
	ck_assert_uint_eq(mark, 0x80000001);
	udp_close(&s);
}
END_TEST

/* What arrives at a shared port arrives at one of its sockets. */
START_TEST(shared)
{
	struct udp_sockets many[4];
	unsigned got = 0;

	ck_assert_int_eq(udp_open(many, 4, 0, 0, true), 0);
	for (unsigned i = 0; i < 64; i++) {
		struct endpoint to = place("127.0.0.1", many[0].port);
		struct udp_sockets from;

		ck_assert_int_eq(udp_open(&from, 1, 0, 0, false), 0);
		ck_assert_int_eq(udp_send_one(&from, &to, "x", 1), 0);
		udp_close(&from);
	}
	for (unsigned i = 0; i < 4; i++)
		for (unsigned n; (n = recv_burst(many[i].fd4)); got += n)
			;
	ck_assert_uint_eq(got, 64);
	for (unsigned i = 0; i < 4; i++)
		udp_close(&many[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("udp");
	TCase *tc = tcase_create("udp");
	SRunner *sr = srunner_create(s);
	int failed;

	if (!in_netns_possible("test_udp"))
		return 77;
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, round_trip, 0, ARRAY_SIZE(trips));
	tcase_add_test(tc, without_gro);
	tcase_add_test(tc, room);
	tcase_add_test(tc, congestion);
	tcase_add_loop_test(tc, answers_from_there, 0, ARRAY_SIZE(pairs));
	tcase_add_loop_test(tc, stale_source, 0, 4);
	tcase_add_test(tc, no_route);
	tcase_add_loop_test(tc, failing, 0, ARRAY_SIZE(failures));
	tcase_add_test(tc, beyond_the_mtu);
	tcase_add_test(tc, little_by_little);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, extreme_lengths);
	tcase_add_test(tc, port_is_ours_alone);
	tcase_add_loop_test(tc, half_a_port, 0, 2);
	tcase_add_loop_test(tc, missing_family, 0, 2);
	tcase_add_test(tc, marks);
	tcase_add_test(tc, shared);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
