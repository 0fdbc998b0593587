/* SPDX-License-Identifier: MIT */
/* Who is served when a socket holds more than a burst: on the loopback of a namespace of our own. */
#include <netinet/udp.h>

#include "../src/path/udp.h"
#include "in_netns.h"
#include "no_filter.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { FAT = 'f', THIN = 't', FAT_SIZE = 1400, SEGMENT = 1000 };

static struct udp_sockets b;
static struct udp_rx rx;
static struct endpoint to_b;
static unsigned n_lost[256];

static void setup(void)
{
	char text[ENDPOINT_STRLEN];

	in_netns_setup();
	sh("ip link set lo up");
	ck_assert_int_eq(udp_open(&b, 1, 0, 0, true), 0);
	ck_assert_int_eq(udp_rx_init(&rx), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", b.port);
	ck_assert_int_eq(endpoint_parse(&to_b, text), 0);
}

static void teardown(void)
{
	udp_rx_free(&rx);
	udp_close(&b);
}

static uint32_t bucket_by_first(void *owner, const uint8_t *message, size_t len)
{
	(void)owner;
	return len ? message[0] : 0;
}

static void count_lost(void *owner, const uint8_t *message, size_t len, unsigned n)
{
	ck_assert_ptr_eq(owner, &rx);
	ck_assert_uint_gt(len, 0);
	n_lost[message[0]] += n;
}

static const struct udp_rx_judge fair = { .bucket = bucket_by_first, .lost = count_lost };

static int sender(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &to_b.addr, sizeof(to_b.addr4)), 0);
	return fd;
}

/* By the other family. */
static int sender6(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(b.port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static unsigned behind, behind6; /* of the two sockets */

static void send_some(int fd, uint8_t who, unsigned n, size_t size)
{
	uint8_t data[FAT_SIZE] = { who };

	for (unsigned i = 0; i < n; i++) {
		data[1] = (uint8_t)i;
		ck_assert_int_eq(send(fd, data, size, 0), (ssize_t)size);
	}
}

/* Takes one burst; returns how many packets of who are in it, in the order they were sent. */
static unsigned take(int fd, uint8_t who, uint8_t *next)
{
	unsigned n = udp_recv_burst(fd, &behind, &rx, &rx, &fair), found = 0;

	for (unsigned i = 0; i < n; i++) {
		if (rx.packets[i].data[0] != who)
			continue;
		ck_assert_uint_eq(rx.packets[i].data[1], (*next)++);
		found++;
	}
	return found;
}

/* Behind what fills the socket, and yet in the first burst. */
START_TEST(little_comes_first)
{
	int fat = sender(), thin = sender();
	uint8_t next = 0, next_fat = 0;
	unsigned n_fat = 40;

	send_some(fat, FAT, n_fat, FAT_SIZE);
	send_some(thin, THIN, 2, 100);
	ck_assert_uint_eq(take(b.fd4, THIN, &next), 2);
	for (unsigned i = 0; i < rx.n_packets; i++)
		if (rx.packets[i].data[0] == FAT)
			ck_assert_uint_eq(rx.packets[i].data[1], next_fat++);
	while (udp_rx_waits(&rx))
		ck_assert_uint_gt(take(-1, FAT, &next_fat), 0);
	ck_assert_uint_eq(next_fat, n_fat);
	ck_assert_uint_eq(n_lost[FAT] + n_lost[THIN], 0);
	close(fat);
	close(thin);
}
END_TEST

/* What somebody little sends is opened, and answered, without what others had waiting. */
START_TEST(little_comes_alone)
{
	int fat = sender(), thin = sender();
	uint8_t next = 0, next_fat = 0;

	send_some(fat, FAT, UDP_RX_SLOTS - 4, FAT_SIZE);
	ck_assert_uint_gt(take(b.fd4, FAT, &next_fat), 0);
	for (unsigned i = 0; i < 2; i++) {
		next = 0;
		send_some(thin, THIN, 2, 100);
		ck_assert_uint_eq(take(b.fd4, THIN, &next), 2);
		ck_assert_uint_eq(rx.n_packets, 2);
		ck_assert_uint_gt(take(-1, FAT, &next_fat), 1);
	}
	close(fat);
	close(thin);
}
END_TEST

/* Super-packets of one never take the slots by which the socket is emptied. */
START_TEST(fat_has_an_end)
{
	static const uint8_t super[60000] = { FAT };
	int fat = sender(), size = SEGMENT;
	unsigned bursts = 0;

	ck_assert_int_eq(setsockopt(fat, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	while (!n_lost[FAT]) {
		for (unsigned i = 0; i < 10; i++)
			ck_assert_int_eq(send(fat, super, sizeof(super), 0), sizeof(super));
		(void)udp_recv_burst(b.fd4, &behind, &rx, &rx, &fair);
		ck_assert_uint_ge(rx.queue.n_free, UDP_RX_MESSAGES);
		ck_assert_uint_lt(++bursts, UDP_RX_PATIENCE);
	}
	close(fat);
}
END_TEST

/* Whoever sends more than is taken loses, but not before that is certain, and nobody else. */
START_TEST(too_much)
{
	int fat = sender(), thin = sender();
	unsigned bursts = 0;
	uint8_t next = 0;

	while (!n_lost[FAT]) {
		send_some(fat, FAT, 2 * UDP_RX_SLOTS, FAT_SIZE);
		(void)udp_recv_burst(b.fd4, &behind, &rx, &rx, &fair);
		ck_assert_uint_lt(++bursts, 4 * UDP_RX_PATIENCE);
	}
	ck_assert_uint_ge(bursts, UDP_RX_PATIENCE);
	for (unsigned i = 0; i < 100; i++) {
		send_some(fat, FAT, 2 * UDP_RX_SLOTS, FAT_SIZE);
		next = 0;
		send_some(thin, THIN, 1, 100);
		ck_assert_uint_eq(take(b.fd4, THIN, &next), 1);
	}
	ck_assert_uint_gt(n_lost[FAT], 100 * UDP_RX_SLOTS);
	ck_assert_uint_eq(n_lost[THIN], 0);
	close(fat);
	close(thin);
}
END_TEST

/* Of an owner that is gone nothing comes any more, and his slots are used again. */
START_TEST(forgotten)
{
	int fat = sender();
	uint8_t next = 0;

	for (unsigned i = 0; i < 3; i++) {
		send_some(fat, FAT, UDP_RX_SLOTS - 1, FAT_SIZE);
		next = 0;
		ck_assert_uint_gt(take(b.fd4, FAT, &next), 0);
		ck_assert(udp_rx_waits(&rx));
		udp_rx_forget(&rx, &rx);
		ck_assert_uint_eq(take(-1, FAT, &next), 0);
		ck_assert(!udp_rx_waits(&rx));
	}
	ck_assert_uint_eq(take(b.fd4, FAT, &next), 0);
	ck_assert_uint_eq(rx.queue.n_free, UDP_RX_SLOTS);
	close(fat);
}
END_TEST

/* What the other family's socket brings, or another device's, is no sign that this one is empty. */
START_TEST(too_much_beside_a_quiet_one)
{
	int fat = sender(), thin = sender(), other = sender6();
	unsigned got = 0, n;

	for (unsigned i = 0; i < 3 * UDP_RX_PATIENCE + 100; i++) {
		send_some(fat, FAT, 2 * UDP_RX_SLOTS, FAT_SIZE);
		if (i >= 3 * UDP_RX_PATIENCE)
			send_some(thin, THIN, 1, 100);
		n = udp_recv_burst(b.fd4, &behind, &rx, &rx, &fair);
		for (unsigned k = 0; k < n; k++)
			got += rx.packets[k].data[0] == THIN;
		ck_assert_int_eq(send(other, "o", 1, 0), 1);
		n = udp_recv_burst(b.fd6, &behind6, &rx, &rx, &fair);
		for (unsigned k = 0; k < n; k++)
			got += rx.packets[k].data[0] == THIN;
	}
	/* The last ones may still wait. */
	ck_assert_uint_ge(got, 90);
	close(fat);
	close(thin);
	close(other);
}
END_TEST

/* Of a handshake socket one call's worth is taken, and the rest stays where it is. */
START_TEST(some)
{
	int fat = sender();
	uint8_t next = 0;

	send_some(fat, FAT, 40, 100);
	for (unsigned left = 40; left; left -= UDP_RX_SOME) {
		unsigned n = udp_recv_some(b.fd4, &rx, &rx);

		ck_assert_uint_eq(n, UDP_RX_SOME);
		ck_assert(rx.more);
		ck_assert_ptr_eq(rx.owner, &rx);
		for (unsigned i = 0; i < n; i++)
			ck_assert_uint_eq(rx.packets[i].data[1], next++);
		ck_assert(!udp_rx_waits(&rx));
	}
	ck_assert_uint_eq(udp_recv_some(b.fd4, &rx, &rx), 0);
	ck_assert(!rx.more);
	close(fat);
}
END_TEST

/* It neither disturbs what waits of the other sockets, nor finds no place because of that. */
START_TEST(some_beside_what_waits)
{
	int fat = sender(), other = sender6();
	unsigned taken = 0, n;
	uint8_t next = 0;

	send_some(fat, FAT, 2 * UDP_RX_SLOTS, 100);
	taken += take(b.fd4, FAT, &next);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(udp_rx_waits(&rx));
		send_some(other, THIN, 1, 100);
		ck_assert_uint_eq(udp_recv_some(b.fd6, &rx, &rx), 1);
		ck_assert_uint_eq(rx.packets[0].data[0], THIN);
	}
	ck_assert_uint_eq(n_lost[FAT], 0);
	while (udp_rx_waits(&rx)) {
		n = udp_recv_burst(-1, NULL, &rx, &rx, &fair);
		ck_assert_uint_gt(n, 0);
		taken += n;
	}
	while ((n = udp_recv_some(b.fd4, &rx, &rx)))
		taken += n;
	ck_assert_uint_eq(taken, 2 * UDP_RX_SLOTS);
	close(fat);
	close(other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("udp_fair");
	TCase *tc = tcase_create("udp_fair");
	SRunner *sr = srunner_create(s);
	int failed;

	if (!in_netns_possible("test_udp_fair"))
		return 77;
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, little_comes_first);
	tcase_add_test(tc, little_comes_alone);
	tcase_add_test(tc, fat_has_an_end);
	tcase_add_test(tc, too_much);
	tcase_add_test(tc, forgotten);
	tcase_add_test(tc, too_much_beside_a_quiet_one);
	tcase_add_test(tc, some);
	tcase_add_test(tc, some_beside_what_waits);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
