/* SPDX-License-Identifier: MIT */
/* What is read of an inner packet, with every length that a header may claim. */
#include <check.h>
#include <stdlib.h>

#include "../src/base/packet.h"
#include "packets.h"

static const struct {
	size_t len;     /* of what there is */
	uint8_t first;  /* version, and IHL of IPv4 */
	unsigned claim; /* total length of IPv4, payload length of IPv6 */
	size_t out;     /* 0: refused */
} cases[] = {
	/* 0 */ { 0, 0x45, 0, 0 },
	/* 1 */ { 1, 0x45, 1, 0 },
	/* 2 */ { 19, 0x45, 19, 0 },
	/* 3 */ { 20, 0x45, 20, 20 },
	/* 4 */ { 20, 0x45, 21, 0 },
	/* 5 */ { 32, 0x45, 21, 21 },
	/* 6 */ { 32, 0x45, 32, 32 },
	/* 7 */ { 32, 0x45, 19, 0 },
	/* 8 */ { 32, 0x45, 0, 0 },
	/* 9 */ { 32, 0x45, 65535, 0 },
	/* 10 */ { 65535, 0x45, 65535, 65535 },
	/* 11 */ { 65536, 0x45, 65535, 65535 },
	/* 12 */ { 32, 0x05, 20, 0 },
	/* 13 */ { 32, 0x55, 20, 0 },
	/* 14 */ { 32, 0xf5, 20, 0 },
	/* 15 */ { 39, 0x60, 0, 0 },
	/* 16 */ { 40, 0x60, 0, 40 },
	/* 17 */ { 40, 0x60, 1, 0 },
	/* 18 */ { 48, 0x60, 8, 48 },
	/* 19 */ { 48, 0x60, 7, 47 },
	/* 20 */ { 48, 0x60, 9, 0 },
	/* 21 */ { 48, 0x6f, 8, 48 },
	/* 22 */ { 48, 0x60, 65495, 0 },
	/* 23 */ { 48, 0x60, 65496, 0 }, /* 65536 with the header */
	/* 24 */ { 48, 0x60, 65504, 0 }, /* 8 in 16 bits */
	/* 25 */ { 48, 0x60, 65535, 0 },
	/* 26 */ { 65575, 0x60, 65535, 65575 },
	/* 27 */ { 65574, 0x60, 65535, 0 },
	/* 28 */ { 60, 0x70, 20, 0 },
};

START_TEST(table)
{
	uint8_t *packet = calloc(1, max(cases[_i].len, (size_t)40));
	bool ip4 = cases[_i].first >> 4 == 4;
	struct inner in;
	uint8_t *exact;

	packet[0] = cases[_i].first;
	store_be16(packet + (cases[_i].first >> 4 == 6 ? 4 : 2), (uint16_t)cases[_i].claim);
	exact = exact_copy(packet, cases[_i].len);
	ck_assert_int_eq(inner_parse(&in, exact, cases[_i].len), cases[_i].out != 0);
	if (cases[_i].out) {
		ck_assert_uint_eq(in.len, cases[_i].out);
		ck_assert_uint_eq(in.family, ip4 ? AF_INET : AF_INET6);
		ck_assert_ptr_eq(in.src, exact + (ip4 ? 12 : 8));
		ck_assert_ptr_eq(in.dst, exact + (ip4 ? 16 : 24));
	}
	free(exact);
	free(packet);
}
END_TEST

/* Every TOS, identification and TTL that matter: the checksum stays as good as it was. */
START_TEST(ce4)
{
	uint64_t state = 1;

	for (unsigned i = 0; i < 100000; i++) {
		uint8_t packet[20], before[20];
		uint16_t sum;
		struct inner in;

		fill_random(&state, packet, sizeof(packet));
		packet[0] = (uint8_t)(0x40 | (packet[0] & 15));
		packet[1] = (uint8_t)i;
		store_be16(packet + 2, 20);
		store_be16(packet + 10, 0);
		sum = (uint16_t)~naive_sum(0, packet, 20);
		/* Now and then one that is wrong: it must stay wrong. */
		store_be16(packet + 10, (uint16_t)(sum + (i % 7 == 0)));
		memcpy(before, packet, sizeof(packet));
		expect(inner_parse(&in, packet, sizeof(packet)));
		expect(in.ecn == (i & 3));
		inner_set_ce(&in, packet);
		if (in.ecn == ECN_NOT_ECT) {
			expect(!memcmp(before, packet, sizeof(packet)));
			continue;
		}
		expect(packet[1] == (before[1] | 3));
		expect((naive_sum(0, packet, 20) == 0xffff) == (i % 7 != 0));
		packet[1] = before[1];
		memcpy(packet + 10, before + 10, 2);
		expect(!memcmp(before, packet, sizeof(packet)));
	}
}
END_TEST

START_TEST(ce6)
{
	for (unsigned tclass = 0; tclass < 256; tclass++) {
		uint8_t packet[40] = { 0 }, before[40];
		unsigned expected = tclass & 3 ? tclass | 3 : tclass;
		struct inner in;

		packet[0] = (uint8_t)(0x60 | tclass >> 4);
		packet[1] = (uint8_t)(tclass << 4 | 0x0c);
		memcpy(before, packet, sizeof(packet));
		ck_assert(inner_parse(&in, packet, sizeof(packet)));
		ck_assert_uint_eq(in.ecn, tclass & 3);
		inner_set_ce(&in, packet);
		ck_assert_uint_eq((packet[0] & 15u) << 4 | packet[1] >> 4, expected);
		packet[1] = before[1];
		ck_assert_mem_eq(packet, before, sizeof(packet));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("packet");
	TCase *tc = tcase_create("packet");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, table, 0, ARRAY_SIZE(cases));
	tcase_add_test(tc, ce4);
	tcase_add_test(tc, ce6);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
