/* SPDX-License-Identifier: MIT */
/* Dates as people write them, and the beginnings of days, weeks and months. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "../src/base/utc.h"
#include "require.h"

static const struct {
	const char *text;
	int err;
	int64_t when;
} dates[] = {
	/* as `date -u -d TEXT +%s` has them */
	{ "1970-01-01T00:00:00Z", 0, 0 },
	{ "2027-01-01T00:00:00Z", 0, 1798761600 },
	{ "2027-01-01", 0, 1798761600 },
	{ "2027-01-01 00:00:00Z", 0, 1798761600 },
	{ "2027-01-01t00:00:00z", 0, 1798761600 },
	{ "2027-01-01T01:00:00+01:00", 0, 1798761600 },
	{ "2026-12-31T18:30:00-05:30", 0, 1798761600 },
	{ "2028-02-29T23:59:59Z", 0, 1835481599 },
	{ "2000-02-29", 0, 951782400 },
	{ "2038-01-19T03:14:08Z", 0, INT64_C(2147483648) },
	{ "9999-12-31T23:59:59Z", 0, UTC_MAX },
	{ "", -EINVAL, 0 },
	{ "soon", -EINVAL, 0 },
	{ "2027-1-1", -EINVAL, 0 },
	{ "01.01.2027", -EINVAL, 0 },
	{ "2027-01-01T00:00:00", -EINVAL, 0 }, /* whose time? */
	{ "2027-01-01T00:00Z", -EINVAL, 0 },
	{ "2027-01-01T00:00:00.5Z", -EINVAL, 0 },
	{ "2027-01-01T00:00:00+0100", -EINVAL, 0 },
	{ "2027-01-01T00:00:00+01:00Z", -EINVAL, 0 },
	{ "2027-01-01T00:00:00ZZ", -EINVAL, 0 },
	{ "2027-01-01Z", -EINVAL, 0 },
	{ "2027-01-01X00:00:00Z", -EINVAL, 0 },
	{ "12027-01-01", -EINVAL, 0 },
	{ "+027-01-01", -EINVAL, 0 },
	{ "2027-02-29", -ERANGE, 0 },
	{ "2100-02-29", -ERANGE, 0 },
	{ "2027-04-31T00:00:00Z", -ERANGE, 0 },
	{ "2027-00-10", -ERANGE, 0 },
	{ "2027-13-01", -ERANGE, 0 },
	{ "2027-01-00", -ERANGE, 0 },
	{ "2027-01-01T24:00:00Z", -ERANGE, 0 },
	{ "2027-01-01T00:60:00Z", -ERANGE, 0 },
	{ "2016-12-31T23:59:60Z", -ERANGE, 0 }, /* that leap second was; UTC counts none here */
	{ "2027-01-01T00:00:00+24:00", -ERANGE, 0 },
	{ "1969-12-31", -ERANGE, 0 },
	{ "1970-01-01T00:00:00+01:00", -ERANGE, 0 },
	{ "9999-12-31T23:59:59-01:00", -ERANGE, 0 },
};

START_TEST(parse)
{
	int64_t when = -1;

	ck_assert_int_eq(utc_parse(dates[_i].text, &when), dates[_i].err);
	ck_assert_int_eq(when, dates[_i].err ? -1 : dates[_i].when);
}
END_TEST

START_TEST(format)
{
	char buf[UTC_STRLEN];
	int64_t when;

	ck_assert_str_eq(utc_format(1798761600, buf), "2027-01-01T00:00:00Z");
	ck_assert_str_eq(utc_format(-1, buf), "1970-01-01T00:00:00Z");
	ck_assert_str_eq(utc_format(INT64_MAX, buf), "9999-12-31T23:59:59Z");
	srand(1);
	for (unsigned i = 0; i < 100000; i++) {
		int64_t t = ((int64_t)rand() << 20 ^ rand()) % (UTC_MAX + 1);

		require(!utc_parse(utc_format(t, buf), &when) && when == t);
	}
}
END_TEST

static const struct {
	const char *when, *day, *week, *month;          /* beginning */
	const char *day_end, *week_end, *month_end;
} periods[] = {
	{ "2026-11-26T10:00:00Z", "2026-11-26", "2026-11-23", "2026-11-01",
	  "2026-11-27", "2026-11-30", "2026-12-01" },
	/* the first and the last second of a year; its week is that of Monday the 28th */
	{ "2027-01-01T00:00:00Z", "2027-01-01", "2026-12-28", "2027-01-01",
	  "2027-01-02", "2027-01-04", "2027-02-01" },
	{ "2026-12-31T23:59:59Z", "2026-12-31", "2026-12-28", "2026-12-01",
	  "2027-01-01", "2027-01-04", "2027-01-01" },
	/* leap years, and none of them */
	{ "2028-02-29T12:00:00Z", "2028-02-29", "2028-02-28", "2028-02-01",
	  "2028-03-01", "2028-03-06", "2028-03-01" },
	{ "2027-02-28T23:59:59Z", "2027-02-28", "2027-02-22", "2027-02-01",
	  "2027-03-01", "2027-03-01", "2027-03-01" },
	{ "2000-02-28T00:00:00Z", "2000-02-28", "2000-02-28", "2000-02-01",
	  "2000-02-29", "2000-03-06", "2000-03-01" },
	{ "2100-02-28T00:00:00Z", "2100-02-28", "2100-02-22", "2100-02-01",
	  "2100-03-01", "2100-03-01", "2100-03-01" },
	/* a Sunday and a Monday */
	{ "2026-11-29T23:59:59Z", "2026-11-29", "2026-11-23", "2026-11-01",
	  "2026-11-30", "2026-11-30", "2026-12-01" },
	{ "2026-11-30T00:00:00Z", "2026-11-30", "2026-11-30", "2026-11-01",
	  "2026-12-01", "2026-12-07", "2026-12-01" },
	/* the first time there is: its week began before, which nobody can have counted */
	{ "1970-01-05T00:00:01Z", "1970-01-05", "1970-01-05", "1970-01-01",
	  "1970-01-06", "1970-01-12", "1970-02-01" },
};

static int64_t at(const char *text)
{
	int64_t when;

	ck_assert_int_eq(utc_parse(text, &when), 0);
	return when;
}

START_TEST(period)
{
	int64_t when = at(periods[_i].when);

	ck_assert_int_eq(utc_period_start(UTC_DAY, when), at(periods[_i].day));
	ck_assert_int_eq(utc_period_start(UTC_WEEK, when), at(periods[_i].week));
	ck_assert_int_eq(utc_period_start(UTC_MONTH, when), at(periods[_i].month));
	ck_assert_int_eq(utc_period_end(UTC_DAY, when), at(periods[_i].day_end));
	ck_assert_int_eq(utc_period_end(UTC_WEEK, when), at(periods[_i].week_end));
	ck_assert_int_eq(utc_period_end(UTC_MONTH, when), at(periods[_i].month_end));
}
END_TEST

/* Each second is in one period, whose end is the beginning of the next. */
START_TEST(periods_meet)
{
	static const int longest[] = { [UTC_DAY] = 86400, [UTC_WEEK] = 7 * 86400,
				       [UTC_MONTH] = 31 * 86400 };

	for (enum utc_period p = UTC_DAY; p <= UTC_MONTH; p++) {
		int64_t when = at("1999-12-27");

		while (when < at("2105-01-01")) {
			int64_t end = utc_period_end(p, when);

			require(utc_period_start(p, when) <= when && when < end);
			require(utc_period_end(p, end - 1) == end);
			require(utc_period_start(p, end) == end);
			require(end - utc_period_start(p, when) <= longest[p]);
			when = end;
		}
	}
}
END_TEST

/* Where the machine is does not matter. */
START_TEST(time_zone)
{
	setenv("TZ", "America/New_York", 1);
	tzset();
	ck_assert_int_eq(at("2027-01-01"), 1798761600);
	ck_assert_int_eq(utc_period_start(UTC_MONTH, 1798761600), 1798761600);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("utc");
	TCase *tc = tcase_create("utc");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, parse, 0, sizeof(dates) / sizeof(*dates));
	tcase_add_test(tc, format);
	tcase_add_loop_test(tc, period, 0, sizeof(periods) / sizeof(*periods));
	tcase_add_test(tc, periods_meet);
	tcase_add_test(tc, time_zone);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
