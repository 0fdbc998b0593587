/* SPDX-License-Identifier: MIT */
/* IPv4 packets cut, and put together again by a slow and obvious reference. */
#include <check.h>
#include <stdlib.h>

#include "../src/path/fragment.h"
#include "packets.h"

enum { ROOM = 70000 };

/* Byte by byte where it belongs, each once. Returns the length of the payload. */
static size_t put_together(uint8_t *out, uint8_t *filled, const uint8_t *piece, size_t len,
			   size_t base)
{
	size_t ihl = (piece[0] & 15) * 4u;
	size_t at = (load_be16(piece + 6) & 0x1fff) * 8u - base;

	expect(load_be16(piece + 2) == len);
	expect(naive_sum(0, piece, ihl) == 0xffff);
	for (size_t i = ihl; i < len; i++, at++) {
		expect(!filled[at]);
		filled[at] = 1;
		out[at] = piece[i];
	}
	return len - ihl;
}

/* All there is about one packet in one MTU. base: the offset that it has itself, in bytes. */
static void cut_and_join(const uint8_t *packet, size_t len, size_t mtu, size_t base, bool more)
{
	static uint8_t joined[ROOM], filled[ROOM];
	size_t ihl = (packet[0] & 15) * 4u, done = 0, total = 0, n, pieces = 0;
	uint8_t *exact = exact_copy(packet, len), *piece = malloc(mtu);
	struct inner in;

	expect(piece && inner_parse(&in, exact, len) && fragment_may(&in, exact));
	memset(filled, 0, len);
	while ((n = fragment_next(piece, mtu, &in, exact, &done))) {
		bool last = done == len - ihl;

		expect(n <= mtu);
		expect(!(piece[6] & 0x40));
		expect(!!(piece[6] & 0x20) == (!last || more));
		expect(last || (n - ihl) % 8 == 0);
		/* as large as it may be */
		expect(last || n + 8 > mtu);
		expect(!memcmp(piece + 4, packet + 4, 2));
		expect(!memcmp(piece + 8, packet + 8, 2));
		expect(!memcmp(piece + 12, packet + 12, 8));
		total += put_together(joined, filled, piece, n, base);
		pieces++;
	}
	ck_assert_uint_eq(total, len - ihl);
	ck_assert_mem_eq(joined, packet + ihl, total);
	ck_assert_uint_ge(pieces, (len - ihl + mtu - ihl - 1) / (mtu - ihl));
	free(exact);
	free(piece);
}

START_TEST(sizes)
{
	static uint8_t packet[ROOM], payload[ROOM];
	uint64_t seed = 1 + (uint64_t)_i;

	fill_random(&seed, payload, sizeof(payload));
	for (unsigned i = 0; i < 3000; i++) {
		struct recipe r = { .ip4 = true, .proto = IPPROTO_UDP, .host = 3, .ttl = 9,
				    .tos = 0xb8, .id = (uint16_t)i,
				    .ip_extra = 4 * pick(&seed, 11) };
		size_t n = pick(&seed, i % 50 ? 3000 : 65000);
		size_t len = make_packet(packet, &r, payload, n);

		cut_and_join(packet, len, FRAGMENT_MTU_MIN + pick(&seed, 2000), 0, false);
	}
}
END_TEST

/* One that is a fragment already. */
START_TEST(again)
{
	static uint8_t packet[ROOM];
	struct recipe r = { .ip4 = true, .proto = IPPROTO_UDP, .host = 3, .ttl = 9 };
	uint8_t payload[1400] = { 1, 2, 3 };
	size_t len = make_packet(packet, &r, payload, sizeof(payload));

	store_be16(packet + 6, 0x2000 | 100);
	cut_and_join(packet, len, 576, 800, true);
	store_be16(packet + 6, 100);
	cut_and_join(packet, len, 576, 800, false);
}
END_TEST

/* Options go along if they say so, and are blank otherwise (RFC 791 §3.1). */
START_TEST(options)
{
	static const uint8_t given[12] = { 7, 7, 4, 1, 2, 3, 4, 0x83, 3, 4, 1, 0 };
	static const uint8_t second[12] = { 1, 1, 1, 1, 1, 1, 1, 0x83, 3, 4, 1, 0 };
	struct recipe r = { .ip4 = true, .proto = IPPROTO_UDP, .host = 3, .ttl = 9, .ip_extra = 12 };
	uint8_t packet[2000], piece[800], payload[1400] = { 0 };
	size_t len = make_packet(packet, &r, payload, sizeof(payload)), done = 0;
	struct inner in;

	memcpy(packet + 20, given, sizeof(given));
	ck_assert(inner_parse(&in, packet, len));
	ck_assert_uint_gt(fragment_next(piece, sizeof(piece), &in, packet, &done), 0);
	ck_assert_mem_eq(piece + 20, given, sizeof(given));
	ck_assert_uint_gt(fragment_next(piece, sizeof(piece), &in, packet, &done), 0);
	ck_assert_mem_eq(piece + 20, second, sizeof(second));
}
END_TEST

START_TEST(not_cut)
{
	struct recipe r = { .ip4 = true, .proto = IPPROTO_UDP, .df = true };
	uint8_t packet[200], piece[200], payload[100] = { 0 };
	size_t len = make_packet(packet, &r, payload, sizeof(payload)), done = 0;
	struct inner in;

	ck_assert(inner_parse(&in, packet, len));
	ck_assert(!fragment_may(&in, packet));
	r.ip4 = false;
	len = make_packet(packet, &r, payload, sizeof(payload));
	ck_assert(inner_parse(&in, packet, len));
	ck_assert(!fragment_may(&in, packet));
	/* A header that is none, or is all there is. */
	r = (struct recipe){ .ip4 = true, .proto = IPPROTO_UDP };
	len = make_packet(packet, &r, payload, sizeof(payload));
	for (uint8_t ihl = 0; ihl < 16; ihl++) {
		packet[0] = 0x40 | ihl;
		store_be16(packet + 2, 40);
		ck_assert(inner_parse(&in, packet, len));
		done = 0;
		ck_assert(!fragment_next(piece, 100, &in, packet, &done) == (ihl < 5 || ihl >= 10));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fragment");
	TCase *tc = tcase_create("fragment");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, sizes, 0, 4);
	tcase_add_test(tc, again);
	tcase_add_test(tc, options);
	tcase_add_test(tc, not_cut);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
