/* SPDX-License-Identifier: MIT */
/* How much a tenant may carry, as a value, and the words for it. Any thread. */
#ifndef BERTH_CONFIG_QUOTA_H
#define BERTH_CONFIG_QUOTA_H

#include "../base/utc.h"

struct rules_where;

enum quota_period {
	QUOTA_FOREVER, /* until it is reset by hand */
	QUOTA_DAY,
	QUOTA_WEEK,
	QUOTA_MONTH
};

/* Of inner packets of both ways together, from their IP header on, that have passed. */
struct quota {
	uint64_t bytes; /* 0: none, and all below is 0 */
	enum quota_period period;
	uint64_t rate; /* bit/s each way once it is used up; 0: nothing passes */
};

#define QUOTA_BYTES_MIN UINT64_C(1000)
#define QUOTA_BYTES_MAX UINT64_C(1000000000000000000)
/* Enough to be told that it is used up, and to read mail. */
#define QUOTA_RATE_DEFAULT UINT64_C(256000) /* bit/s */

enum { QUOTA_STRLEN = 32 };

/*
 * "500GB/month": a number, perhaps with a fraction, and without a blank one of KB, MB, GB, TB
 * (powers of 1000) or KiB, MiB, GiB, TiB (of 1024), in any case; then perhaps /day, /week or
 * /month. "off": none. Sets bytes and period of *out. 0; -EINVAL, and a fault with an example of
 * a right one was added.
 */
must_check int quota_parse(const struct rules_where *where, const char *text, struct quota *out);

/* "500GB", "1.5GiB", "1234567B". Returns buf. */
const char *quota_format_bytes(uint64_t bytes, char buf[QUOTA_STRLEN]);

/* "day", "week", "month", or NULL: there is none. */
const char *quota_period_name(enum quota_period period);

/*
 * Where the period that now (seconds of UTC) lies in begins and ends: days at 00:00:00Z, weeks on
 * Monday, months on the first. 0: a quota without a period does neither.
 */
int64_t quota_start(enum quota_period period, int64_t now);
int64_t quota_end(enum quota_period period, int64_t now);

bool quota_equal(const struct quota *a, const struct quota *b);

#endif
