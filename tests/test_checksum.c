/* SPDX-License-Identifier: MIT */
/* The checksum against a byte-wise one, on every length and alignment that its loops tell apart. */
#include "../tun/checksum.h"

#include <errno.h>

#include "packets.h"

START_TEST(lengths_and_alignments)
{
	uint64_t rng = 1;
	uint8_t buf[512 + 64];
	size_t len, at;

	for (len = 0; len <= 512; len++) {
		for (at = 0; at < 33; at++) {
			uint16_t sum;

			fill_random(&rng, buf + at, len);
			sum = be16toh(checksum_fold(checksum_add(0, buf + at, len)));
			expect(sum == naive_sum(0, buf + at, len));
		}
	}
}
END_TEST

/* All ones make the most carries; the longest packet fills the lanes most. */
START_TEST(carries)
{
	static uint8_t buf[65536];
	size_t len;

	memset(buf, 0xff, sizeof(buf));
	for (len = 1; len <= sizeof(buf); len = len * 3 / 2 + 1) {
		uint64_t sum = checksum_add(UINT64_C(0xffffffffffff), buf, len);

		ck_assert_uint_eq(be16toh(checksum_fold(sum)), naive_sum(0xffff, buf, len));
	}
	memset(buf, 0, sizeof(buf));
	ck_assert_uint_eq(checksum_fold(checksum_add(0, buf, sizeof(buf))), 0);
	ck_assert_uint_eq(checksum_fold(UINT64_MAX), 0xffff);
	ck_assert_uint_eq(checksum_fold(UINT64_C(0xfffffffeffffffff)), 0xfffe);
}
END_TEST

START_TEST(pieces_add_up)
{
	uint64_t rng = 2;
	uint8_t buf[3000];
	size_t i;

	for (i = 0; i < 20000; i++) {
		size_t len = pick(&rng, sizeof(buf));
		size_t cut = pick(&rng, len + 1) & ~(size_t)1;
		uint64_t sum;

		if (i % 100 == 0)
			fill_random(&rng, buf, sizeof(buf));
		sum = checksum_add(checksum_add(0, buf, cut), buf + cut, len - cut);
		expect(be16toh(checksum_fold(sum)) == naive_sum(0, buf, len));
	}
}
END_TEST

/* The example of RFC 1071 §3. */
START_TEST(rfc1071)
{
	static const uint8_t words[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	ck_assert_uint_eq(be16toh(checksum_fold(checksum_add(0, words, 8))), 0xddf2);
	ck_assert_uint_eq(be16toh(checksum_finish(checksum_add(0, words, 8))), 0x220d);
}
END_TEST

START_TEST(pseudo_headers)
{
	uint64_t rng = 3;
	uint8_t pkt[40];
	size_t i;

	for (i = 0; i < 10000; i++) {
		size_t len = pick(&rng, 65536);
		uint8_t proto = (uint8_t)next_random(&rng);
		uint64_t sum;

		fill_random(&rng, pkt, sizeof(pkt));
		pkt[0] = 0x45;
		sum = checksum_pseudo4(pkt + 12, proto, len);
		expect(be16toh(checksum_fold(sum)) == naive_pseudo(pkt, proto, len));
		pkt[0] = 0x60;
		sum = checksum_pseudo6(pkt + 8, proto, len);
		expect(be16toh(checksum_fold(sum)) == naive_pseudo(pkt, proto, len));
	}
}
END_TEST

START_TEST(good_and_bad)
{
	uint64_t rng = 4;
	uint8_t buf[101];
	size_t i;

	for (i = 0; i < 10000; i++) {
		be16 field;

		fill_random(&rng, buf, sizeof(buf));
		field = checksum_load(buf + 10);
		checksum_store(buf + 10, 0);
		checksum_store(buf + 10, checksum_finish(checksum_add(0, buf, sizeof(buf))));
		expect(checksum_good(checksum_add(0, buf, sizeof(buf))));
		/* Taking a word out and putting it back is the same as never touching it. */
		expect(checksum_good(checksum_add(0, buf, sizeof(buf)) + field +
					checksum_minus(field)));
		buf[pick(&rng, sizeof(buf))] ^= (uint8_t)(1 + pick(&rng, 255));
		expect(!checksum_good(checksum_add(0, buf, sizeof(buf))));
	}
	expect(!checksum_good(0));
}
END_TEST

START_TEST(complete)
{
	static const struct {
		size_t len, start, offset;
		int result;
	} cases[] = {
		/* 0 */ { 60, 20, 16, 0 },
		/* 1 */ { 38, 20, 16, 0 },
		/* 2 */ { 37, 20, 16, -EINVAL },
		/* 3 */ { 20, 20, 0, -EINVAL },
		/* 4 */ { 20, 21, 0, -EINVAL },
		/* 5 */ { 20, 0, 18, 0 },
		/* 6 */ { 20, 0, 19, -EINVAL },
		/* 7 */ { 20, SIZE_MAX, 16, -EINVAL },
		/* 8 */ { 20, 16, SIZE_MAX, -EINVAL },
		/* 9 */ { 0, 0, 0, -EINVAL },
	};
	uint8_t pkt[60] = { 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t *copy = exact_copy(pkt, cases[i].len);

		ck_assert_msg(checksum_complete(copy, cases[i].len, cases[i].start,
						cases[i].offset) == cases[i].result,
			      "case %zu", i);
		free(copy);
	}
	/* A sum whose complement is zero must not come out as "no checksum". */
	memset(pkt, 0, sizeof(pkt));
	pkt[0] = pkt[1] = 0xff;
	ck_assert_int_eq(checksum_complete(pkt, 8, 0, 6), 0);
	ck_assert_uint_eq(load_be16(pkt + 6), 0xffff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("checksum");
	TCase *tc = tcase_create("checksum");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, lengths_and_alignments);
	tcase_add_test(tc, carries);
	tcase_add_test(tc, pieces_add_up);
	tcase_add_test(tc, rfc1071);
	tcase_add_test(tc, pseudo_headers);
	tcase_add_test(tc, good_and_bad);
	tcase_add_test(tc, complete);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
