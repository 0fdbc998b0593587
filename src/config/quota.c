/* SPDX-License-Identifier: MIT */
/* Quotas as people write them. */
#include "quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "limits.h"
#include "rules.h"

struct unit {
	const char *name;
	uint64_t bytes;
};

static const struct unit units[] = {
	{ "KB", 1000 },
	{ "MB", 1000 * 1000 },
	{ "GB", 1000 * 1000 * 1000 },
	{ "TB", UINT64_C(1000) * 1000 * 1000 * 1000 },
	{ "KiB", 1 << 10 },
	{ "MiB", 1 << 20 },
	{ "GiB", 1 << 30 },
	{ "TiB", UINT64_C(1) << 40 },
};

static const char *const periods[] = { [QUOTA_DAY] = "day", [QUOTA_WEEK] = "week",
				       [QUOTA_MONTH] = "month" };

#define QUOTA_WORDS "(KB, MB, GB, TB, or KiB, MiB, GiB, TiB; then perhaps /day, /week or /month)"

static const struct unit *find_unit(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strlen(units[i].name) == len && strncasecmp(name, units[i].name, len) == 0)
			return &units[i];
	}
	return NULL;
}

static int parse_period(const struct rules_where *where, const char *text, const char *slash,
			enum quota_period *out)
{
	*out = QUOTA_FOREVER;
	if (!slash)
		return 0;
	for (enum quota_period p = QUOTA_DAY; p <= QUOTA_MONTH; p++) {
		if (strcasecmp(slash + 1, periods[p]) == 0) {
			*out = p;
			return 0;
		}
	}
	rules_fault(where, "'%s' is no period: write %.*s/month, /week, /day, or no period at all",
		    slash + 1, (int)(slash - text), text);
	return -EINVAL;
}

static int fault_unit(const struct rules_where *where, const char *text, const char *unit,
		      size_t len)
{
	int digits = (int)(unit - text);

	if (len == 0)
		rules_fault(where, "'%s' has no unit: write %.*sGB%s, or another of " QUOTA_WORDS,
			    text, digits, text, unit);
	else if (strspn(unit, "kmgtKMGT") && strncasecmp(unit + 1, "bit", 3) == 0)
		rules_fault(where, "'%s' is of bits, and a quota is of bytes, like 500GB/month "
			    QUOTA_WORDS, text);
	else
		rules_fault(where, "'%s' is no quota: write one like 500GB/month " QUOTA_WORDS,
			    text);
	return -EINVAL;
}

/* "GB/month" behind the number: unit and period. */
static int parse_rest(const struct rules_where *where, const char *text, const char *rest,
		      const struct unit **unit, enum quota_period *period)
{
	const char *slash = strchr(rest, '/');
	size_t len = slash ? (size_t)(slash - rest) : strlen(rest);

	*unit = find_unit(rest, len);
	if (!*unit)
		return fault_unit(where, text, rest, len);
	return parse_period(where, text, slash, period);
}

int quota_parse(const struct rules_where *where, const char *text, struct quota *out)
{
	const struct unit *unit = NULL;
	struct limits_number n;
	uint64_t bytes = 0;
	int err;

	out->bytes = 0;
	out->period = QUOTA_FOREVER;
	if (strcasecmp(text, "off") == 0)
		return 0;
	err = limits_number(text, &n);
	if (err == -EINVAL) {
		rules_fault(where, "'%s' is no quota: write one like 500GB/month " QUOTA_WORDS,
			    text);
		return err;
	}
	if (!err && parse_rest(where, text, n.unit, &unit, &out->period))
		return -EINVAL;
	if (unit && n.whole <= QUOTA_BYTES_MAX / unit->bytes)
		bytes = n.whole * unit->bytes + n.fraction * unit->bytes / n.scale;
	if (bytes < QUOTA_BYTES_MIN || bytes > QUOTA_BYTES_MAX) {
		rules_fault(where, "'%s' is not a quota from 1KB to 1000000TB, like 500GB/month",
			    text);
		return -EINVAL;
	}
	out->bytes = bytes;
	return 0;
}

const char *quota_format_bytes(uint64_t bytes, char buf[QUOTA_STRLEN])
{
	const struct unit *best = NULL;
	uint64_t whole, thousandths;
	int len;

	/* The greatest unit of which it is so many thousandths exactly. */
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t rest = bytes % units[i].bytes;

		if (bytes >= units[i].bytes && rest * 1000 % units[i].bytes == 0 &&
		    (!best || units[i].bytes > best->bytes))
			best = &units[i];
	}
	if (!best) {
		snprintf(buf, QUOTA_STRLEN, "%" PRIu64 "B", bytes);
		return buf;
	}
	whole = bytes / best->bytes;
	thousandths = bytes % best->bytes * 1000 / best->bytes;
	len = snprintf(buf, QUOTA_STRLEN, "%" PRIu64, whole);
	if (thousandths) {
		len += snprintf(buf + len, QUOTA_STRLEN - (size_t)len, ".%03u",
				(unsigned)thousandths);
		while (buf[len - 1] == '0')
			len--;
	}
	snprintf(buf + len, QUOTA_STRLEN - (size_t)len, "%s", best->name);
	return buf;
}

const char *quota_period_name(enum quota_period period)
{
	return periods[period];
}

static enum utc_period utc_of(enum quota_period period)
{
	return period == QUOTA_DAY ? UTC_DAY : period == QUOTA_WEEK ? UTC_WEEK : UTC_MONTH;
}

int64_t quota_start(enum quota_period period, int64_t now)
{
	return period == QUOTA_FOREVER ? 0 : utc_period_start(utc_of(period), now);
}

int64_t quota_end(enum quota_period period, int64_t now)
{
	return period == QUOTA_FOREVER ? 0 : utc_period_end(utc_of(period), now);
}

bool quota_equal(const struct quota *a, const struct quota *b)
{
	return a->bytes == b->bytes && a->period == b->period && a->rate == b->rate;
}
