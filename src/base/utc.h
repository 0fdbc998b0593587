/* SPDX-License-Identifier: MIT */
/*
 * Moments as seconds since 1970 in UTC, as people write them (RFC 3339), and where days,
 * weeks and months begin. Pure; any thread.
 */
#ifndef BERTH_BASE_UTC_H
#define BERTH_BASE_UTC_H

#include "../base.h"

enum { UTC_STRLEN = 32 };

/* The latest that can be written, 9999-12-31T23:59:59Z. */
#define UTC_MAX INT64_C(253402300799)

/*
 * "2027-01-01T00:00:00Z", or with an offset such as +01:00 for the Z; a date alone is its
 * beginning in UTC. A blank may stand for the T. No fractions, no leap seconds. 0; -EINVAL:
 * it is written otherwise; -ERANGE: there is no such day or time from 1970 to 9999.
 */
must_check int utc_parse(const char *text, int64_t *out);

/* With Z; a moment before 1970 or behind UTC_MAX as the nearest of them. Returns buf. */
const char *utc_format(int64_t when, char buf[UTC_STRLEN]);

enum utc_period { UTC_DAY, UTC_WEEK, UTC_MONTH }; /* a week begins on Monday (ISO 8601) */

/* The beginning, 00:00:00Z, of the period that when lies in. when: from 0 to UTC_MAX. */
int64_t utc_period_start(enum utc_period period, int64_t when);

/* The beginning of the next one, which is the end of this. */
int64_t utc_period_end(enum utc_period period, int64_t when);

#endif
