/* SPDX-License-Identifier: MIT */
/* Rates as people write them, and what is said of those that are none. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "../src/config/limits.h"
#include "../src/config/rules.h"

static const struct {
	const char *text;
	uint64_t rate;
} good[] = {
	{ "16kbit", 16000 },
	{ "16000bit", 16000 },
	{ "256kbit", 256000 },
	{ "0000000000000000000256kbit", 256000 },
	{ "10mbit", 10000000 },
	{ "10Mbit", 10000000 },
	{ "10MBIT", 10000000 },
	{ "2gbit", UINT64_C(2000000000) },
	{ "1tbit", UINT64_C(1000000000000) },
	{ "1.0tbit", UINT64_C(1000000000000) },
	{ "1.5gbit", 1500000000 },
	{ "0.5mbit", 500000 },
	{ "1.234567mbit", 1234567 },
	{ "0.016001mbit", 16001 },
	{ "16.0009kbit", 16000 }, /* less than a bit is nothing */
	{ "16kibit", 16384 },
	{ "1mibit", 1048576 },
	{ "1.5gibit", 1610612736 },
	{ "0.5tibit", UINT64_C(549755813888) },
};

START_TEST(good_rates)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { "a.conf", 7, "RateUp", &faults };
	char text[LIMITS_RATE_STRLEN];
	uint64_t rate = 1, again;

	ck_assert_int_eq(limits_rate(&where, good[_i].text, &rate), 0);
	ck_assert_uint_eq(rate, good[_i].rate);
	/* What is printed is read as the same. */
	ck_assert_int_eq(limits_rate(&where, limits_format_rate(rate, text), &again), 0);
	ck_assert_uint_eq(again, rate);
	ck_assert_int_eq(limits_rate_or_off(&where, good[_i].text, &again), 0);
	ck_assert_uint_eq(again, rate);
	ck_assert_uint_eq(faults.n, 0);
}
END_TEST

#define WORDS "(bit, kbit, mbit, gbit or tbit: bits per second)"
#define RANGE " is not a rate from 16kbit to 1tbit, like 100mbit"
#define SHAPE " is no rate: write one like 100mbit or 1.5gbit " WORDS

static const struct {
	const char *text, *fault;
} bad[] = {
	{ "", "''" SHAPE },
	{ "mbit", "'mbit'" SHAPE },
	{ "-1mbit", "'-1mbit'" SHAPE },
	{ "+1mbit", "'+1mbit'" SHAPE },
	{ " 1mbit", "' 1mbit'" SHAPE },
	{ ".5mbit", "'.5mbit'" SHAPE },
	{ "1.mbit", "'1.mbit'" SHAPE },
	{ "1.2345678gbit", "'1.2345678gbit'" SHAPE },
	{ "inf", "'inf'" SHAPE },
	{ "off", "'off'" SHAPE },
	{ "100", "'100' has no unit: write 100mbit, or another of " WORDS },
	{ "1.5", "'1.5' has no unit: write 1.5mbit, or another of " WORDS },
	{ "10mbps", "'10mbps' is bytes to some and bits to others: write 10mbit " WORDS },
	{ "9Kibps", "'9Kibps' is bytes to some and bits to others: write 9Kibit " WORDS },
	{ "80bps", "'80bps' is bytes to some and bits to others: write 80bit " WORDS },
	{ "10 mbit", "'10 mbit' is no rate: write 10mbit, or another of " WORDS },
	{ "10mb", "'10mb' is no rate: write 10mbit, or another of " WORDS },
	{ "10mbit/s", "'10mbit/s' is no rate: write 10mbit, or another of " WORDS },
	{ "1e3mbit", "'1e3mbit' is no rate: write 1mbit, or another of " WORDS },
	{ "0x10mbit", "'0x10mbit' is no rate: write 0mbit, or another of " WORDS },
	{ "1,5mbit", "'1,5mbit' is no rate: write 1mbit, or another of " WORDS },
	{ "0mbit", "'0mbit'" RANGE },
	{ "0.0gbit", "'0.0gbit'" RANGE },
	{ "15999bit", "'15999bit'" RANGE },
	{ "15.9kbit", "'15.9kbit'" RANGE },
	{ "1.000001tbit", "'1.000001tbit'" RANGE },
	{ "1tibit", "'1tibit'" RANGE },
	{ "1001gbit", "'1001gbit'" RANGE },
	{ "18446744073709551616bit", "'18446744073709551616bit'" RANGE }, /* 2^64 */
	{ "18446744073709mbit", "'18446744073709mbit'" RANGE }, /* over 2^64 in bits */
	{ "999999999999999tibit", "'999999999999999tibit'" RANGE },
};

START_TEST(bad_rates)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { "a.conf", 7, "RateUp", &faults };
	uint64_t rate = 42;
	char text[256];

	ck_assert_int_eq(limits_rate(&where, bad[_i].text, &rate), -EINVAL);
	ck_assert_uint_eq(rate, 42);
	ck_assert_uint_eq(faults.n_errors, 1);
	snprintf(text, sizeof(text), "RateUp: %s", bad[_i].fault);
	ck_assert_str_eq(faults.faults[0].text, text);
	ck_assert_uint_eq(faults.faults[0].line, 7);
	fault_list_free(&faults);
}
END_TEST

START_TEST(off)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { "a.conf", 7, "RateUp", &faults };
	uint64_t rate = 42;

	ck_assert_int_eq(limits_rate_or_off(&where, "Off", &rate), 0);
	ck_assert_uint_eq(rate, 0);
	ck_assert_int_eq(limits_rate_or_off(&where, "0", &rate), -EINVAL);
	fault_list_free(&faults);
}
END_TEST

static const struct {
	uint64_t rate;
	const char *text;
} printed[] = {
	{ 16000, "16kbit" },
	{ 1500000000, "1.5gbit" },
	{ 1234567, "1234.567kbit" },
	{ 16001, "16.001kbit" },
	{ 1050000, "1.05mbit" },
	{ 1048576, "1048.576kbit" },
	{ 500, "500bit" },
	{ UINT64_C(999999999999), "999999999.999kbit" },
	{ UINT64_C(1000000000000), "1tbit" },
};

START_TEST(printing)
{
	char text[LIMITS_RATE_STRLEN];

	ck_assert_str_eq(limits_format_rate(printed[_i].rate, text), printed[_i].text);
}
END_TEST

START_TEST(comparing)
{
	struct limits none = { 0 }, up = { .rate_up = 1 }, down = { .rate_down = 1 };

	ck_assert(limits_equal(NULL, NULL) && limits_equal(NULL, &none));
	ck_assert(limits_equal(&up, &up) && limits_equal(&down, &down));
	ck_assert(!limits_equal(&up, &down) && !limits_equal(&up, NULL));
	ck_assert(!limits_equal(NULL, &down) && !limits_equal(&none, &down));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limits");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, good_rates, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(t, bad_rates, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, off);
	tcase_add_loop_test(t, printing, 0, ARRAY_SIZE(printed));
	tcase_add_test(t, comparing);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
