/* SPDX-License-Identifier: MIT */
/*
 * What a tenant of the gateway may use, as a value, and the words for it. Any thread.
 */
#ifndef BERTH_CONFIG_LIMITS_H
#define BERTH_CONFIG_LIMITS_H

#include "quota.h"

struct rules_where;

/* Of inner packets, from their IP header on: what WireGuard and the way there add is not counted. */
struct limits {
	uint64_t rate_up;   /* from the tenant, bit/s; 0: no limit */
	uint64_t rate_down; /* to the tenant, bit/s; 0: no limit */
	struct quota quota;
};

/*
 * Under the least, one full packet takes longer than TCP waits for its first answer (RFC 6298
 * §2: 1 s); above the greatest no link is.
 */
#define LIMITS_RATE_MIN UINT64_C(16000)         /* bit/s */
#define LIMITS_RATE_MAX UINT64_C(1000000000000) /* bit/s */

enum { LIMITS_RATE_STRLEN = 24 };

/* A number with a fraction, and what stands behind it. */
struct limits_number {
	uint64_t whole, fraction, scale; /* whole + fraction / scale */
	const char *unit;
};

/* 0; -EINVAL: not a number; -ERANGE: more digits than anything has. */
must_check int limits_number(const char *text, struct limits_number *n);

/*
 * A rate as tc(8) writes bits: a number, perhaps with a fraction, and without a blank one of
 * bit, kbit, mbit, gbit, tbit (powers of 1000) or kibit, mibit, gibit, tibit (of 1024), in any
 * case. Not all that tc takes: a number alone, and bps (which there is bytes), are
 * refused, since half of those who write them mean something else. *out: bit/s, in [LIMITS_RATE_MIN,
 * LIMITS_RATE_MAX]. 0; -EINVAL, and a fault with an example of a right one was added.
 */
must_check int limits_rate(const struct rules_where *where, const char *text, uint64_t *out);

/* The same, or "off": 0. */
must_check int limits_rate_or_off(const struct rules_where *where, const char *text,
				  uint64_t *out);

/* "100mbit", "1.5gbit", "1234567bit": what limits_rate() reads as this. Returns buf. */
const char *limits_format_rate(uint64_t rate, char buf[LIMITS_RATE_STRLEN]);

/* NULL stands for no limits at all, as a value of nothing but zeros does. */
bool limits_equal(const struct limits *a, const struct limits *b);

#endif
