/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: what may stand behind a key, in a request or in a file: numbers, names, addresses,
 * endpoints, keys, rates, quotas, dates. Whatever is taken is written as text, read again, and the
 * same; whatever is refused has one fault, in printable words. The input is a byte that says which
 * kind, and the text.
 *
 * Length: 120
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "../../src/base/encoding.h"
#include "../../src/base/endpoint.h"
#include "../../src/config/limits.h"
#include "../../src/config/value.h"
#include "fuzz.h"

/* Where the text would stand. */
static struct fault_list faults;
static const struct rules_where where = { .file = "fuzz", .line = 7, .key = "Key",
					  .faults = &faults };

/* err is what a function has said that adds its own fault. */
static void said(int err)
{
	must(err == 0 || err == -EINVAL);
	must((err != 0) == (faults.n_errors != 0));
	for (size_t i = 0; i < faults.n; i++) {
		const char *text = faults.faults[i].text;

		must(faults.faults[i].line == 7 && *text);
		for (; *text; text++)
			must((unsigned char)*text >= 0x20 && *text != 0x7f);
	}
	fault_list_free(&faults);
}

/* Nothing but digits, and their value, however large: -1 is no number, or none of 32 bits. */
static int64_t naive_number(const char *text, const char *digits, int base)
{
	int64_t n = *text ? 0 : -1;

	for (; *text && n >= 0; text++) {
		const char *at = strchr(digits, tolower((unsigned char)*text));

		n = at ? n * base + (at - digits) : -1;
		if (n > UINT32_MAX)
			n = -1;
	}
	return n;
}

static void try_numbers(const char *text)
{
	int64_t n = naive_number(text, "0123456789", 10), hex = -1;
	bool off = !strcasecmp(text, "off");
	uint16_t seconds;
	uint32_t out;
	int err = value_number(&where, text, 5, 70000, &out);

	said(err);
	must(err ? n < 5 || n > 70000 : out == n);
	if (!strncasecmp(text, "0x", 2))
		hex = naive_number(text + 2, "0123456789abcdef", 16);
	err = value_fwmark(&where, text, &out);
	said(err);
	must(err ? !off && n < 0 && hex < 0 : out == (off ? 0 : hex >= 0 ? hex : n));
	err = value_keepalive(&where, text, &seconds);
	said(err);
	must(err ? !off && (n < 0 || n > UINT16_MAX) : seconds == (off ? 0 : n));
	err = value_mtu(&where, text, &out);
	said(err);
	must(err || out == n);
}

static void try_names(const char *text)
{
	static const char *const words[] = { "always", "connected", "off" };
	char name[IFNAMSIZ];
	char *path = NULL;
	enum announce announce;
	unsigned choice;
	bool hold;
	int err = value_choice(&where, text, words, ARRAY_SIZE(words), &choice);

	said(err);
	must(err || !strcasecmp(words[choice], text));
	err = value_announce(&where, text, &announce);
	said(err);
	said(value_on_shared_key(&where, text, &hold));
	err = value_ifname(&where, text, name);
	said(err);
	must(err ? !value_is_ifname(text) : !strcmp(name, text) && !strpbrk(text, "/:% \t\n"));
	err = value_path(&where, "/etc", text, &path);
	said(err);
	must(err ? !*text : path[0] == '/');
	free(path);
	(void)rules_nearest(text, words, ARRAY_SIZE(words));
	rules_fault_unknown(&where, "key", text, words, ARRAY_SIZE(words));
	said(-EINVAL);
}

/* The C library's reading of one address, in front of its length. */
static void check_prefix(const char *text, const struct prefix *p)
{
	char host[INET6_ADDRSTRLEN] = "", buf[PREFIX_STRLEN];
	uint8_t addr[16] = { 0 };
	struct prefix again;

	strncpy(host, text, min(strcspn(text, "/"), sizeof(host) - 1));
	must(inet_pton(p->family, host, addr) == 1 && p->cidr <= prefix_bits(p->family));
	for (unsigned bit = 0; bit < 128; bit++) {
		unsigned wanted = bit < p->cidr ? addr[bit / 8] >> (7 - bit % 8) & 1 : 0;

		must((p->addr[bit / 8] >> (7 - bit % 8) & 1) == wanted);
	}
	must(!prefix_parse(&again, prefix_format(p, buf)));
	must(prefix_equal(p, &again) && prefix_contains(p, &again));
	must(!strcmp(prefix_format(&again, (char[PREFIX_STRLEN]){ 0 }), buf));
}

static void try_addresses(const char *text)
{
	struct config_addresses addresses = { 0 };
	struct config_ranges ranges = { 0 };
	struct prefix prefix;
	bool one = !prefix_parse(&prefix, text);
	int err = value_ranges(&where, text, &ranges);
	uint32_t n = ranges.n;

	said(err);
	must(!one || (n == 1 && prefix_equal(&ranges.v[0].prefix, &prefix)));
	if (one)
		check_prefix(text, &prefix);
	must(err || value_addresses(&where, text, &addresses) || addresses.n == n);
	value_sort_ranges(&ranges);
	must(ranges.n <= n && !ranges.n == !n);
	for (uint32_t i = 0; i + 1 < ranges.n; i++) {
		must(value_compare_ranges(&ranges.v[i], &ranges.v[i + 1]) < 0);
		must(!prefix_equal(&ranges.v[i].prefix, &ranges.v[i + 1].prefix));
	}
	free(ranges.v);
	free(addresses.v);
	fault_list_free(&faults);
}

static void try_endpoints(const char *text)
{
	char buf[ENDPOINT_STRLEN];
	uint8_t bytes[ENDPOINT_BYTES];
	struct endpoint e, again;
	char *copy = NULL;
	bool numeric = !endpoint_parse(&e, text);
	int err = value_endpoint(&where, text, &copy);

	said(err);
	must(err || !strcmp(copy, text));
	free(copy);
	if (!numeric)
		return;
	must(!endpoint_parse(&again, endpoint_format(&e, buf)));
	must(endpoint_equal(&e, &again) && endpoint_same_remote(&e, &again));
	must(!strcmp(endpoint_format(&again, (char[ENDPOINT_STRLEN]){ 0 }), buf));
	must(endpoint_cookie_bytes(&e, bytes) == (e.addr.sa_family == AF_INET ? 6 : 18));
}

static void try_keys(const char *text)
{
	uint8_t key[KEY_LEN], again[KEY_LEN];
	char base64[KEY_BASE64_STRLEN], hex[KEY_HEX_STRLEN], words[128];

	if (!key_from_base64(key, text)) {
		must(!strcmp(key_to_base64(key, base64), text)); /* one key, one text */
		must(!key_from_hex(again, key_to_hex(key, hex)) && !memcmp(key, again, KEY_LEN));
	} else {
		must(key_is_zero(key));
	}
	if (!key_from_hex(key, text)) {
		must(!strcasecmp(key_to_hex(key, hex), text));
		must(!key_from_base64(again, key_to_base64(key, base64)));
		must(!memcmp(key, again, KEY_LEN));
	}
	said(value_key(&where, text, false, key));
	/* Of a secret its length is said, and nothing else. */
	if (value_key(&where, text, true, key)) {
		(void)snprintf(words, sizeof(words), "Key: this is not a key (44 characters of base64 "
			       "expected, %zu found)", strlen(text));
		must(!strcmp(faults.faults[0].text, words) || key_is_zero(key));
	}
	fault_list_free(&faults);
}

static void try_limits(const char *text)
{
	char rate_text[LIMITS_RATE_STRLEN], bytes_text[QUOTA_STRLEN];
	struct quota quota = { 0 };
	uint64_t rate, again;
	int err = limits_rate(&where, text, &rate);

	said(err);
	if (!err) {
		must(rate >= LIMITS_RATE_MIN && rate <= LIMITS_RATE_MAX);
		must(!limits_rate(&where, limits_format_rate(rate, rate_text), &again));
		must(rate == again);
	}
	err = limits_rate_or_off(&where, text, &rate);
	said(err);
	must(err || rate >= LIMITS_RATE_MIN || !strcasecmp(text, "off"));
	err = quota_parse(&where, text, &quota);
	said(err);
	must(err || !quota.bytes ||
	     (quota.bytes >= QUOTA_BYTES_MIN && quota.bytes <= QUOTA_BYTES_MAX));
	if (!err && quota.bytes) {
		struct quota q = { 0 };

		(void)quota_format_bytes(quota.bytes, bytes_text);
		/* Bytes that are no round number of any unit are for reading only. */
		if (!isdigit((unsigned char)bytes_text[strlen(bytes_text) - 2])) {
			must(!quota_parse(&where, bytes_text, &q));
			must(q.bytes == quota.bytes);
		}
	}
}

static void try_dates(const char *text)
{
	char buf[UTC_STRLEN];
	int64_t when, again;
	int err = utc_parse(text, &when);

	must(err == 0 || err == -EINVAL || err == -ERANGE);
	if (err)
		return;
	must(when >= 0 && when <= UTC_MAX);
	must(!utc_parse(utc_format(when, buf), &again) && when == again);
	for (enum utc_period p = UTC_DAY; p <= UTC_MONTH; p++) {
		int64_t start = utc_period_start(p, when), end = utc_period_end(p, when);

		must(start <= when && when < end && start % 86400 == 0 && end % 86400 == 0);
		/* The week of 1970 began in 1969, the last one ends in 10000. */
		if (start > 0)
			must(utc_period_start(p, start) == start && utc_period_end(p, start - 1) == start);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(const char *text) = { try_numbers,	  try_names,  try_addresses,
							   try_endpoints, try_keys,   try_limits,
							   try_dates };
	struct input in = { data, size };
	uint8_t kind = take_u8(&in);
	size_t len;
	char *text = take_text(&in, '\0', &len);

	tries[kind % ARRAY_SIZE(tries)](text);
	free(text);
	return 0;
}
