/* SPDX-License-Identifier: MIT */
/* Moments in UTC; the calendar is the C library's. */
#include "utc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, WEEK = 7 * DAY };

/*
 * Takes the text by a pattern in which 0 stands for a digit of the next number, and anything
 * else for itself. Returns what stands behind, or NULL.
 */
static const char *match(const char *text, const char *pattern, int *numbers)
{
	bool in_number = false;

	for (; *pattern; pattern++, text++) {
		if (*pattern != '0') {
			if (*text != *pattern)
				return NULL;
			in_number = false;
			continue;
		}
		if (!isdigit((unsigned char)*text))
			return NULL;
		if (!in_number)
			*numbers++ = 0;
		in_number = true;
		numbers[-1] = 10 * numbers[-1] + (*text - '0');
	}
	return text;
}

/* "Z" or "+01:00", the last thing there is; *seconds that UTC is behind. */
static int parse_zone(const char *text, int *seconds)
{
	int n[2] = { 0 }, sign = *text == '-' ? -1 : 1;
	const char *rest;

	*seconds = 0;
	if ((*text == 'Z' || *text == 'z') && !text[1])
		return 0;
	if (*text != '+' && *text != '-')
		return -EINVAL;
	rest = match(text + 1, "00:00", n);
	if (!rest || *rest)
		return -EINVAL;
	*seconds = sign * (n[0] * HOUR + n[1] * MINUTE);
	return n[0] < 24 && n[1] < 60 ? 0 : -ERANGE;
}

int utc_parse(const char *text, int64_t *out)
{
	int date[3], time[3] = { 0 }, zone = 0, err = 0;
	const char *rest = match(text, "0000-00-00", date);
	struct tm tm, same;
	int64_t when;

	if (rest && *rest) {
		if (!strchr("Tt ", *rest))
			return -EINVAL;
		rest = match(rest + 1, "00:00:00", time);
		err = rest ? parse_zone(rest, &zone) : -EINVAL;
	}
	if (!rest || err)
		return rest ? err : -EINVAL;
	if (date[0] < 1970 || time[0] > 23 || time[1] > 59 || time[2] > 59)
		return -ERANGE;
	tm = (struct tm){ .tm_year = date[0] - 1900, .tm_mon = date[1] - 1, .tm_mday = date[2],
			  .tm_hour = time[0], .tm_min = time[1], .tm_sec = time[2] };
	same = tm;
	when = timegm(&tm);
	/* It makes March of the 30th of February. */
	if (tm.tm_mday != same.tm_mday || tm.tm_mon != same.tm_mon)
		return -ERANGE;
	when -= zone;
	if (when < 0 || when > UTC_MAX)
		return -ERANGE;
	*out = when;
	return 0;
}

static struct tm calendar(int64_t when)
{
	time_t t = max(min(when, UTC_MAX), INT64_C(0));
	struct tm tm = { 0 };

	(void)gmtime_r(&t, &tm);
	return tm;
}

const char *utc_format(int64_t when, char buf[UTC_STRLEN])
{
	struct tm tm = calendar(when);

	if (!strftime(buf, UTC_STRLEN, "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf[0] = '\0';
	return buf;
}

/* The first of the month, so many months later. */
static int64_t month_start(int64_t when, int later)
{
	struct tm tm = calendar(when);
	struct tm first = { .tm_year = tm.tm_year, .tm_mon = tm.tm_mon + later, .tm_mday = 1 };

	return timegm(&first);
}

int64_t utc_period_start(enum utc_period period, int64_t when)
{
	switch (period) {
	case UTC_DAY:
		return when - when % DAY;
	case UTC_WEEK:
		/* 1970 began on a Thursday, three days into its week. */
		return when - (when + 3 * DAY) % WEEK;
	case UTC_MONTH:
		break;
	}
	return month_start(when, 0);
}

int64_t utc_period_end(enum utc_period period, int64_t when)
{
	if (period == UTC_MONTH)
		return month_start(when, 1);
	return utc_period_start(period, when) + (period == UTC_DAY ? DAY : WEEK);
}
