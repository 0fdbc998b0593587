/* SPDX-License-Identifier: MIT */
/* Records of what survives a restart, from and to text. */
#include "statefile.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/encoding.h"
#include "../base/utc.h"
#include "../config/tenant.h"
#include "stamp.h"

#define MAGIC "berth-state "
#define SUM " sum="

enum {
	MAGIC_LEN = sizeof(MAGIC) - 1,
	SUM_LEN = sizeof(SUM) - 1,
	SUM_DIGITS = 16,
	STAMP_STRLEN = 2 * NOISE_TIMESTAMP_LEN + 1,
	DECIMAL_STRLEN = 21 /* of 64 bits */
};

const char statefile_version[] = MAGIC "1\n";

int statefile_copy(struct statefile_record *out, const struct statefile_record *record)
{
	size_t size = DROP_REASON_COUNT * sizeof(*record->drops);
	uint64_t *drops = record->drops ? malloc(size) : NULL;

	if (record->drops && !drops)
		return -ENOMEM;
	if (drops)
		memcpy(drops, record->drops, size);
	*out = *record;
	out->drops = drops;
	return 0;
}

void statefile_release(struct statefile_record *record)
{
	free((void *)record->drops);
	record->drops = NULL;
}

void statefile_clear_counts(struct statefile_record *record)
{
	statefile_release(record);
	record->rx_bytes = record->rx_packets = record->tx_bytes = record->tx_packets = 0;
	record->quota_used = 0;
	record->quota_start = 0;
}

bool statefile_has_counts(const struct statefile_record *record)
{
	return record->rx_packets || record->tx_packets || record->drops || record->quota_used;
}

/* The sum of len bytes, as it stands behind them. */
static void format_sum(char out[SUM_DIGITS + 1], const char *line, size_t len)
{
	(void)snprintf(out, SUM_DIGITS + 1, "%016" PRIx64,
		       stamp_hash(STAMP_HASH_INIT, line, len));
}

/* Writing */

static void add_word(char line[STATEFILE_LINE_MAX], size_t *len, const char *key,
		     const char *value)
{
	*len += (size_t)snprintf(line + *len, STATEFILE_LINE_MAX - *len, "%s%s=%s",
				 *len ? " " : "", key, value);
}

/* A word of two numbers; unless: nothing, if that is 0. */
static void add_pair(char line[STATEFILE_LINE_MAX], size_t *len, const char *key, uint64_t first,
		     uint64_t second, uint64_t unless)
{
	char value[2 * DECIMAL_STRLEN];

	if (!unless)
		return;
	(void)snprintf(value, sizeof(value), "%" PRIu64 ",%" PRIu64, first, second);
	add_word(line, len, key, value);
}

static void add_drops(char line[STATEFILE_LINE_MAX], size_t *len, const uint64_t *drops)
{
	const char *before = " drops=";

	for (unsigned i = 0; drops && i < DROP_REASON_COUNT; i++) {
		if (!drops[i])
			continue;
		*len += (size_t)snprintf(line + *len, STATEFILE_LINE_MAX - *len, "%s%s:%" PRIu64,
					 before, drop_name((enum drop_reason)i), drops[i]);
		before = ",";
	}
}

size_t statefile_format(char line[STATEFILE_LINE_MAX], const struct statefile_record *record)
{
	char key[KEY_BASE64_STRLEN], stamp[STAMP_STRLEN], endpoint[ENDPOINT_STRLEN];
	char sum[SUM_DIGITS + 1];
	size_t len = 0;

	add_word(line, &len, "key", key_to_base64(record->key, key));
	if (*record->name)
		add_word(line, &len, "name", record->name);
	if (!sodium_is_zero(record->timestamp, sizeof(record->timestamp)))
		add_word(line, &len, "stamp",
			 sodium_bin2hex(stamp, sizeof(stamp), record->timestamp,
					sizeof(record->timestamp)));
	if (endpoint_is_set(&record->endpoint))
		add_word(line, &len, "endpoint", endpoint_format(&record->endpoint, endpoint));
	if (record->held)
		add_word(line, &len, "held", "1");
	add_pair(line, &len, "rx", record->rx_bytes, record->rx_packets, record->rx_packets);
	add_pair(line, &len, "tx", record->tx_bytes, record->tx_packets, record->tx_packets);
	add_pair(line, &len, "quota", record->quota_used, (uint64_t)record->quota_start,
		 record->quota_used);
	add_drops(line, &len, record->drops);
	format_sum(sum, line, len);
	add_word(line, &len, "sum", sum);
	line[len++] = '\n';
	line[len] = '\0';
	return len;
}

/* Reading */

static int read_timestamp(uint8_t out[NOISE_TIMESTAMP_LEN], const char *text)
{
	size_t len;

	if (strlen(text) != 2 * NOISE_TIMESTAMP_LEN ||
	    sodium_hex2bin(out, NOISE_TIMESTAMP_LEN, text, 2 * NOISE_TIMESTAMP_LEN, NULL, &len,
			   NULL) ||
	    len != NOISE_TIMESTAMP_LEN)
		return -EINVAL;
	return 0;
}

/* A number up to the character end. Returns what stands behind that, NULL: it is none. */
static const char *read_number(uint64_t *out, const char *text, char end)
{
	char *rest;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*out = strtoull(text, &rest, 10);
	if (errno || *rest != end)
		return NULL;
	return end ? rest + 1 : rest;
}

static int read_pair(uint64_t *first, uint64_t *second, const char *text)
{
	text = read_number(first, text, ',');
	return text && read_number(second, text, '\0') ? 0 : -EINVAL;
}

static int read_quota(struct statefile_record *out, const char *text)
{
	uint64_t start;
	int err = read_pair(&out->quota_used, &start, text);

	if (err || start > (uint64_t)UTC_MAX)
		return -EINVAL;
	out->quota_start = (int64_t)start;
	return 0;
}

/* Reasons that are not known are another version's. */
static int read_drops(uint64_t drops[DROP_REASON_COUNT], char *text)
{
	char *rest = NULL;

	for (char *w = strtok_r(text, ",", &rest); w; w = strtok_r(NULL, ",", &rest)) {
		char *colon = strchr(w, ':');
		enum drop_reason reason;
		uint64_t n;

		if (!colon || !read_number(&n, colon + 1, '\0'))
			return -EINVAL;
		reason = drop_find(w, (size_t)(colon - w));
		if (reason < DROP_REASON_COUNT)
			drops[reason] = n;
	}
	return 0;
}

/* drops: where those of the line go. */
static int read_word(struct statefile_record *out, uint64_t drops[DROP_REASON_COUNT],
		     const char *key, char *value)
{
	if (!strcmp(key, "key"))
		return key_from_base64(out->key, value);
	if (!strcmp(key, "stamp"))
		return read_timestamp(out->timestamp, value);
	if (!strcmp(key, "endpoint"))
		return endpoint_parse(&out->endpoint, value);
	if (!strcmp(key, "held")) {
		out->held = true;
		return strcmp(value, "1") ? -EINVAL : 0;
	}
	if (!strcmp(key, "rx"))
		return read_pair(&out->rx_bytes, &out->rx_packets, value);
	if (!strcmp(key, "tx"))
		return read_pair(&out->tx_bytes, &out->tx_packets, value);
	if (!strcmp(key, "quota"))
		return read_quota(out, value);
	if (!strcmp(key, "drops")) {
		out->drops = drops;
		return read_drops(drops, value);
	}
	if (!strcmp(key, "name")) {
		if (!tenant_name_valid(value))
			return -EINVAL;
		strcpy(out->name, value);
	}
	return 0; /* the sum; and what a later version has to say */
}

/* Takes the line apart, which is written to. False: a word is none, and *word is it. */
static bool read_words(struct statefile_record *out, uint64_t drops[DROP_REASON_COUNT],
		       char *line, const char **word)
{
	char *rest = NULL;

	*out = (struct statefile_record){ 0 };
	*word = "key";
	for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(w, '=');

		*word = w;
		if (!value)
			return false;
		*value = '\0';
		if (read_word(out, drops, w, value + 1))
			return false;
	}
	*word = "key";
	return !key_is_zero(out->key);
}

/* Does it end in the sum of what stands before? line has a NUL behind it. */
static bool is_whole(const char *line, size_t len)
{
	char sum[SUM_DIGITS + 1];
	size_t before;

	if (len < SUM_LEN + SUM_DIGITS || strlen(line) != len)
		return false;
	before = len - SUM_LEN - SUM_DIGITS;
	format_sum(sum, line, before);
	return !memcmp(line + before, SUM, SUM_LEN) && !strcmp(line + before + SUM_LEN, sum);
}

struct reading {
	const char *file;
	unsigned line;
	struct fault_list *faults;
	void (*fn)(void *arg, const struct statefile_record *record);
	void *arg;
};

static void read_record(const struct reading *r, const char *text, size_t len)
{
	uint64_t drops[DROP_REASON_COUNT] = { 0 };
	struct statefile_record record;
	char line[STATEFILE_LINE_MAX];
	const char *word;

	if (len < sizeof(line)) {
		memcpy(line, text, len);
		line[len] = '\0';
	}
	if (len >= sizeof(line) || !is_whole(line, len))
		fault_warn(r->faults, r->file, r->line,
			   "torn or damaged: what it says of a tenant is lost");
	else if (!read_words(&record, drops, line, &word))
		fault_warn(r->faults, r->file, r->line,
			   "'%s' is not what it should be: the line is left out", word);
	else
		r->fn(r->arg, &record);
}

/* A first line that is no version at all is damaged, and costs itself only. */
static int check_version(const struct reading *r, const char *text, size_t len)
{
	if (len == sizeof(statefile_version) - 2 && !memcmp(text, statefile_version, len))
		return 0;
	fault_add(r->faults, r->file, r->line,
		  "'%.*s' is a format that this version of berth does not know: not used",
		  (int)min(len, (size_t)STATEFILE_LINE_MAX), text);
	return -EPROTO;
}

int statefile_read(const char *file, const char *text, size_t len, struct fault_list *faults,
		   void (*fn)(void *arg, const struct statefile_record *record), void *arg)
{
	struct reading r = { .file = file, .faults = faults, .fn = fn, .arg = arg };
	const char *end = text + len;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);

		r.line++;
		if (r.line == 1 && n > MAGIC_LEN && !memcmp(text, MAGIC, MAGIC_LEN)) {
			if (check_version(&r, text, n))
				return -EPROTO;
		} else if (n) {
			read_record(&r, text, n);
		}
		text += n + (newline != NULL);
	}
	return 0;
}
