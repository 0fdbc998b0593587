/* SPDX-License-Identifier: MIT */
/* Records of what survives a restart, from and to text. */
#include "statefile.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "../base/encoding.h"
#include "../config/tenant.h"
#include "stamp.h"

#define MAGIC "berth-state "
#define SUM " sum="

enum {
	MAGIC_LEN = sizeof(MAGIC) - 1,
	SUM_LEN = sizeof(SUM) - 1,
	SUM_DIGITS = 16,
	STAMP_STRLEN = 2 * NOISE_TIMESTAMP_LEN + 1
};

const char statefile_version[] = MAGIC "1\n";

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

static int read_word(struct statefile_record *out, const char *key, const char *value)
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
	if (!strcmp(key, "name")) {
		if (!tenant_name_valid(value))
			return -EINVAL;
		strcpy(out->name, value);
	}
	return 0; /* the sum; and what a later version has to say */
}

/* Takes the line apart, which is written to. False: a word is none, and *word is it. */
static bool read_words(struct statefile_record *out, char *line, const char **word)
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
		if (read_word(out, w, value + 1))
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
	else if (!read_words(&record, line, &word))
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
