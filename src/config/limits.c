/* SPDX-License-Identifier: MIT */
/* Rates as people write them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include "limits.h"
#include "rules.h"

enum { WHOLE_MAX = 15, FRACTION_MAX = 6 }; /* digits */

struct unit {
	const char *name;
	uint64_t bits;
};

static const struct unit units[] = {
	{ "bit", 1 },
	{ "kbit", 1000 },
	{ "mbit", 1000 * 1000 },
	{ "gbit", 1000 * 1000 * 1000 },
	{ "tbit", UINT64_C(1000) * 1000 * 1000 * 1000 },
	{ "kibit", 1 << 10 },
	{ "mibit", 1 << 20 },
	{ "gibit", 1 << 30 },
	{ "tibit", UINT64_C(1) << 40 },
};
enum { N_DECIMAL = 5 };

#define RATE_WORDS "(bit, kbit, mbit, gbit or tbit: bits per second)"

int limits_number(const char *text, struct limits_number *n)
{
	size_t len = strspn(text, "0123456789");
	size_t zeros = strspn(text, "0");

	*n = (struct limits_number){ .scale = 1 };
	if (!len)
		return -EINVAL;
	if (len - min(len, zeros) > WHOLE_MAX)
		return -ERANGE;
	n->whole = strtoull(text, NULL, 10);
	n->unit = text + len;
	if (*n->unit != '.')
		return 0;
	len = strspn(++n->unit, "0123456789");
	if (!len || len > FRACTION_MAX)
		return -EINVAL;
	n->fraction = strtoull(n->unit, NULL, 10);
	for (; len; len--, n->unit++)
		n->scale *= 10;
	return 0;
}

static const struct unit *find_unit(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcasecmp(name, units[i].name) == 0)
			return &units[i];
	}
	return NULL;
}

/* To tc(8) it is bytes, to most others bits. */
static bool is_bps(const char *unit)
{
	static const char *const names[] = { "bps",  "kbps",  "mbps",  "gbps",  "tbps",
					     "kibps", "mibps", "gibps", "tibps" };

	return rules_find(unit, names, ARRAY_SIZE(names)) >= 0;
}

static int fault_unit(const struct rules_where *where, const char *text, const struct limits_number *n)
{
	int len = (int)(n->unit - text);

	if (!*n->unit)
		rules_fault(where, "'%s' has no unit: write %smbit, or another of " RATE_WORDS, text,
			    text);
	else if (is_bps(n->unit))
		rules_fault(where, "'%s' is bytes to some and bits to others: write %.*s%.*sbit "
			    RATE_WORDS, text, len, text, (int)strlen(n->unit) - 3, n->unit);
	else
		rules_fault(where, "'%s' is no rate: write %.*smbit, or another of " RATE_WORDS,
			    text, len, text);
	return -EINVAL;
}

static int fault_range(const struct rules_where *where, const char *text)
{
	char least[LIMITS_RATE_STRLEN], most[LIMITS_RATE_STRLEN];

	rules_fault(where, "'%s' is not a rate from %s to %s, like 100mbit", text,
		    limits_format_rate(LIMITS_RATE_MIN, least),
		    limits_format_rate(LIMITS_RATE_MAX, most));
	return -EINVAL;
}

int limits_rate(const struct rules_where *where, const char *text, uint64_t *out)
{
	const struct unit *unit;
	struct limits_number n;
	int err = limits_number(text, &n);
	uint64_t rate;

	if (err == -ERANGE)
		return fault_range(where, text);
	if (err) {
		rules_fault(where, "'%s' is no rate: write one like 100mbit or 1.5gbit " RATE_WORDS,
			    text);
		return err;
	}
	unit = find_unit(n.unit);
	if (!unit)
		return fault_unit(where, text, &n);
	if (n.whole > LIMITS_RATE_MAX / unit->bits)
		return fault_range(where, text);
	rate = n.whole * unit->bits + n.fraction * unit->bits / n.scale;
	if (rate < LIMITS_RATE_MIN || rate > LIMITS_RATE_MAX)
		return fault_range(where, text);
	*out = rate;
	return 0;
}

int limits_rate_or_off(const struct rules_where *where, const char *text, uint64_t *out)
{
	if (strcasecmp(text, "off") == 0) {
		*out = 0;
		return 0;
	}
	return limits_rate(where, text, out);
}

const char *limits_format_rate(uint64_t rate, char buf[LIMITS_RATE_STRLEN])
{
	unsigned i = N_DECIMAL - 1;
	uint64_t rest;
	int len;

	/* The greatest unit of which it is so many thousandths exactly. */
	while (i && (rate < units[i].bits || rate % (units[i].bits / 1000)))
		i--;
	len = snprintf(buf, LIMITS_RATE_STRLEN, "%" PRIu64, rate / units[i].bits);
	rest = rate % units[i].bits;
	if (rest) {
		rest /= units[i].bits / 1000;
		len += snprintf(buf + len, LIMITS_RATE_STRLEN - (size_t)len, ".%03" PRIu64, rest);
		while (buf[len - 1] == '0')
			len--;
	}
	snprintf(buf + len, LIMITS_RATE_STRLEN - (size_t)len, "%s", units[i].name);
	return buf;
}

bool limits_equal(const struct limits *a, const struct limits *b)
{
	static const struct limits none;

	a = a ? a : &none;
	b = b ? b : &none;
	return a->rate_up == b->rate_up && a->rate_down == b->rate_down &&
	       quota_equal(&a->quota, &b->quota);
}
