/* SPDX-License-Identifier: MIT */
/* TAI64N: known encodings, order, whitening. */
#include "../crypto/tai64n.h"

#include "vectors.h"

enum { LEN = NOISE_TIMESTAMP_LEN };

static const struct {
	int64_t sec;
	long nsec;
	const char *hex;
} table[] = {
	{ 0, 0, "400000000000000a00000000" },
	{ 0, (1 << 24) - 1, "400000000000000a00000000" },
	{ 0, 1 << 24, "400000000000000a01000000" },
	{ 0, 999999999, "400000000000000a3b000000" },
	{ 1, 0, "400000000000000b00000000" },
	{ -1, 0, "400000000000000900000000" },
	{ -11, 0, "3fffffffffffffff00000000" },
	{ INT64_C(0xffffffff) - 10, 0, "40000000ffffffff00000000" },
	{ INT64_C(0xffffffff) - 9, 0, "400000010000000000000000" },
};

static void encode(uint8_t out[LEN], int64_t sec, long nsec)
{
	struct timespec ts = { .tv_sec = (time_t)sec, .tv_nsec = nsec };

	tai64n_encode(out, &ts);
}

START_TEST(encoding)
{
	uint8_t got[LEN], want[LEN];

	encode(got, table[_i].sec, table[_i].nsec);
	ck_assert_uint_eq(vectors_hex(table[_i].hex, want, LEN), LEN);
	ck_assert_mem_eq(got, want, LEN);
}
END_TEST

/* What was encoded comes back; before 1970 it is 1970. */
START_TEST(seconds)
{
	uint8_t in[LEN], nonsense[LEN];

	ck_assert_uint_eq(vectors_hex(table[_i].hex, in, LEN), LEN);
	ck_assert_int_eq(tai64n_seconds(in), max(table[_i].sec, INT64_C(0)));
	memset(nonsense, 0, sizeof(nonsense));
	ck_assert_int_eq(tai64n_seconds(nonsense), 0);
	memset(nonsense, 0xff, sizeof(nonsense));
	ck_assert_int_eq(tai64n_seconds(nonsense), 0);
}
END_TEST

/* Times of a grid that steps over seconds: later is after, equal and earlier are not. */
START_TEST(order)
{
	uint8_t previous[LEN], now[LEN];
	uint64_t ns;

	encode(previous, 1700000000, 0);
	for (ns = INITIATION_MIN_INTERVAL; ns < 10 * NSEC_PER_SEC; ns += INITIATION_MIN_INTERVAL) {
		encode(now, 1700000000 + (int64_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC));
		ck_assert(tai64n_after(now, previous));
		ck_assert(!tai64n_after(previous, now));
		ck_assert(!tai64n_after(now, now));
		memcpy(previous, now, LEN);
	}
}
END_TEST

/* Each byte counts, and the first ones most. */
START_TEST(order_of_bytes)
{
	uint8_t a[LEN] = { 0 }, b[LEN] = { 0 };
	unsigned i;

	for (i = 0; i < LEN; i++) {
		memset(a, 0, LEN);
		memset(b, 0, LEN);
		a[i] = 0x80;
		if (i + 1 < LEN)
			memset(b + i + 1, 0xff, LEN - i - 1);
		ck_assert(tai64n_after(a, b));
		ck_assert(!tai64n_after(b, a));
	}
}
END_TEST

START_TEST(known_answers)
{
	json_t *cases = vectors_load("wireguard/tai64n.json");
	uint8_t got[LEN], want[LEN], exact[LEN];
	json_t *one;
	size_t i;

	if (!cases)
		return;
	ck_assert_uint_ge(json_array_size(cases), 8);
	json_array_foreach(cases, i, one) {
		encode(got, vectors_integer(one, "unix_sec"), (long)vectors_integer(one, "nsec"));
		vectors_exact(one, "bytes_whitened", want, LEN);
		ck_assert_mem_eq(got, want, LEN);
		/* Rounding only ever goes down. */
		vectors_exact(one, "bytes", exact, LEN);
		ck_assert(!tai64n_after(got, exact));
	}
	json_decref(cases);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tai64n");
	TCase *tc = tcase_create("tai64n");

	tcase_add_loop_test(tc, encoding, 0, ARRAY_SIZE(table));
	tcase_add_loop_test(tc, seconds, 0, ARRAY_SIZE(table));
	tcase_add_test(tc, order);
	tcase_add_test(tc, order_of_bytes);
	tcase_add_test(tc, known_answers);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
