/* SPDX-License-Identifier: MIT */
/*
 * Which socket of a port a message comes to: real ones, on the loopback of a network namespace
 * of our own.
 */
#include <netinet/udp.h>
#include <poll.h>
#include <sodium.h>

#include "../crypto/messages.h"
#include "../src/path/udp.h"
#include "in_netns.h"

enum { QUEUES = 3, SOURCES = 24, KINDS = 4, LEN = 148 };

static struct udp_sockets s[QUEUES];

/* As they are numbered below: of each queue one after the other. */
static int fd_of(unsigned i)
{
	const int fds[KINDS] = { s[i / KINDS].fd4, s[i / KINDS].fd6, s[i / KINDS].handshake4,
				 s[i / KINDS].handshake6 };

	return fds[i % KINDS];
}

/* The same in each run. */
static uint32_t next_number(void)
{
	static uint32_t number = 1;

	return number = number * 1664525 + 1013904223;
}

static const char *name_of_numbers(void)
{
	return "fixed";
}

static void fill(void *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)buf)[i] = (uint8_t)(next_number() >> 24);
}

static void open_port(unsigned n)
{
	static randombytes_implementation fixed = {
		.implementation_name = name_of_numbers, .random = next_number, .buf = fill
	};

	ck_assert_int_eq(randombytes_set_implementation(&fixed), 0);
	ck_assert_int_ge(sodium_init(), 0);
	in_netns_setup();
	sh("ip link set lo up");
	/* Customers of a provider who gives each a /48, and uses the first network of it. */
	for (unsigned i = 1; i <= SOURCES; i++)
		sh("ip addr add fd00:db8:%x::1/128 dev lo nodad", i);
	wait_for_addresses();
	ck_assert_int_eq(udp_open(s, n, 0, 0, true), 0);
	for (unsigned i = 0; i < n * KINDS; i++)
		ck_assert_int_ge(fd_of(i), 0);
}

/* A socket at the source of that number, connected to the port. */
static int sender(bool v6, unsigned source)
{
	struct endpoint from, to;
	char text[ENDPOINT_STRLEN];
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_ge(fd, 0);
	if (v6)
		snprintf(text, sizeof(text), "[fd00:db8:%x::1]:1234", source);
	else
		snprintf(text, sizeof(text), "127.0.%u.1:1234", source);
	ck_assert_int_eq(endpoint_parse(&from, text), 0);
	ck_assert_int_eq(bind(fd, &from.addr, endpoint_addr_len(&from)), 0);
	snprintf(text, sizeof(text), v6 ? "[::1]:%u" : "127.0.0.1:%u", s[0].port);
	ck_assert_int_eq(endpoint_parse(&to, text), 0);
	ck_assert_int_eq(connect(fd, &to.addr, endpoint_addr_len(&to)), 0);
	return fd;
}

/* The number of the socket that has something, which is taken, and its length. */
static unsigned arrival(unsigned n, size_t *len)
{
	struct pollfd polls[QUEUES * KINDS];
	uint8_t data[4096];
	unsigned at = 0;
	ssize_t got;

	for (unsigned i = 0; i < n * KINDS; i++)
		polls[i] = (struct pollfd){ .fd = fd_of(i), .events = POLLIN };
	ck_assert_int_eq(poll(polls, n * KINDS, 10000), 1);
	while (!polls[at].revents)
		at++;
	got = recv(polls[at].fd, data, sizeof(data), MSG_DONTWAIT);
	ck_assert_int_ge(got, 0);
	*len = (size_t)got;
	ck_assert_int_eq(poll(polls, n * KINDS, 0), 0);
	return at;
}

static unsigned lands(unsigned n, int fd, const void *msg, size_t len)
{
	unsigned at;
	size_t got;

	ck_assert_int_eq(send(fd, msg, len, 0), (ssize_t)len);
	at = arrival(n, &got);
	ck_assert_uint_eq(got, len);
	return at;
}

static const unsigned sizes[] = { 1, QUEUES };

/* Data: to the home that its index names, whoever sends it. */
START_TEST(data_comes_home)
{
	unsigned n = sizes[_i % 2];
	bool v6 = _i / 2;
	uint8_t msg[MESSAGE_DATA_OVERHEAD] = { MESSAGE_DATA };

	open_port(n);
	for (unsigned source = 1; source <= 3; source++) {
		int fd = sender(v6, source);

		for (unsigned index = 0; index < 256; index++) {
			msg[4] = (uint8_t)index;
			ck_assert_uint_eq(lands(n, fd, msg, sizeof(msg)),
					  KINDS * (index % n) + v6);
		}
		close(fd);
	}
}
END_TEST

/* All else: to a handshake socket, always the same for one source, and each has its sources. */
START_TEST(others)
{
	static const uint32_t types[] = {
		MESSAGE_INITIATION, MESSAGE_RESPONSE, MESSAGE_COOKIE_REPLY, 0, 5, 0x104, 0x4000000,
	};
	unsigned n = sizes[_i % 2], per_queue[QUEUES] = { 0 };
	bool v6 = _i / 2;
	uint8_t msg[LEN];

	open_port(n);
	memset(msg, 0xa5, sizeof(msg));
	for (unsigned source = 1; source <= SOURCES; source++) {
		unsigned first = QUEUES * KINDS;
		int fd = sender(v6, source);

		for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
			unsigned at;

			store_le32(msg, types[i]);
			at = lands(n, fd, msg, sizeof(msg));
			ck_assert_uint_eq(at % KINDS, 2u + v6);
			ck_assert(first == QUEUES * KINDS || at == first);
			first = at;
		}
		per_queue[first / KINDS]++;
		close(fd);
	}
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_ge(per_queue[i], SOURCES / n / 4);
}
END_TEST

/* Too short for data: that is not what it is, whatever it says. */
START_TEST(shorter)
{
	uint8_t msg[MESSAGE_DATA_OVERHEAD] = { MESSAGE_DATA };
	int fd;

	open_port(QUEUES);
	fd = sender(_i, 1);
	for (size_t len = 0; len < sizeof(msg); len++)
		ck_assert_uint_eq(lands(QUEUES, fd, msg, len) % KINDS, 2u + (unsigned)_i);
	close(fd);
}
END_TEST

/* What had no room is told with the next message. */
START_TEST(overflow)
{
	uint8_t msg[LEN] = { MESSAGE_INITIATION };
	unsigned sent = 0, got = 0, n;
	struct udp_rx *rx = calloc(1, sizeof(*rx));
	int fd, small = 4096;

	ck_assert_int_eq(udp_rx_init(rx), 0);
	open_port(1);
	ck_assert_int_eq(setsockopt(s[0].handshake4, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	fd = sender(false, 1);
	for (; sent < 100; sent++)
		ck_assert_int_eq(send(fd, msg, sizeof(msg), 0), sizeof(msg));
	while ((n = udp_recv_some(s[0].handshake4, rx, rx)))
		got += n;
	ck_assert_uint_lt(got, sent);
	/* Those of before the last one that found room. */
	ck_assert_int_eq(send(fd, msg, sizeof(msg), 0), sizeof(msg));
	ck_assert_uint_eq(udp_recv_some(s[0].handshake4, rx, rx), 1);
	ck_assert_uint_eq(rx->overflow, sent - got);
	udp_rx_free(rx);
	free(rx);
	close(fd);
}
END_TEST

/* What GRO has merged stays together, in its order, where its first packet belongs. */
START_TEST(merged)
{
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(uint16_t))];
	} control = { 0 };
	uint16_t segment = 1000;
	uint8_t data[1000 + LEN] = { MESSAGE_DATA };
	struct cmsghdr *c;
	size_t got;
	int fd;

	open_port(QUEUES);
	fd = sender(false, 1);
	data[4] = 1;
	data[1000] = MESSAGE_INITIATION;
	iov = (struct iovec){ .iov_base = data, .iov_len = sizeof(data) };
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	ck_assert_int_eq(sendmsg(fd, &msg, 0), sizeof(data));
	ck_assert_uint_eq(arrival(QUEUES, &got), KINDS);
	ck_assert_uint_eq(got, sizeof(data));
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("udp_steer");
	TCase *tc = tcase_create("udp_steer");
	SRunner *sr = srunner_create(suite);
	int failed;

	if (!in_netns_possible("test_udp_steer"))
		return 77;
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, data_comes_home, 0, 2 * ARRAY_SIZE(sizes));
	tcase_add_loop_test(tc, others, 0, 2 * ARRAY_SIZE(sizes));
	tcase_add_loop_test(tc, shorter, 0, 2);
	tcase_add_test(tc, overflow);
	tcase_add_test(tc, merged);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
