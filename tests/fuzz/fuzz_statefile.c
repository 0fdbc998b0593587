/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer over the files that survive a restart: whatever is accepted is written and
 * read as the same again.
 *
 * Length: 1000
 *
 * A sum is not guessed: every input is tried as it is, and once more with a right sum
 * behind each of its lines.
 */
#include <inttypes.h>

#include "../../src/manage/stamp.h"
#include "../../src/manage/statefile.h"
#include "fuzz.h"

static void expect_same(void *arg, const struct statefile_record *b)
{
	const struct statefile_record *a = arg;

	must(!memcmp(a->key, b->key, sizeof(a->key)));
	must(!memcmp(a->timestamp, b->timestamp, sizeof(a->timestamp)));
	must(!strcmp(a->name, b->name));
	must(endpoint_same_remote(&a->endpoint, &b->endpoint) && a->held == b->held);
	/* Bytes of no packets, and a period in which nothing was used, are not written. */
	must(a->rx_packets == b->rx_packets && (!a->rx_packets || a->rx_bytes == b->rx_bytes));
	must(a->tx_packets == b->tx_packets && (!a->tx_packets || a->tx_bytes == b->tx_bytes));
	must(a->quota_used == b->quota_used);
	must(!a->quota_used || a->quota_start == b->quota_start);
	for (size_t i = 0; i < DROP_REASON_COUNT; i++)
		must((a->drops ? a->drops[i] : 0) == (b->drops ? b->drops[i] : 0));
}

static void write_and_read(void *arg, const struct statefile_record *record)
{
	struct statefile_record copy = *record;
	struct fault_list faults = { 0 };
	char line[STATEFILE_LINE_MAX];
	size_t len = statefile_format(line, record);

	(void)arg;
	must(len == strlen(line) && line[len - 1] == '\n' && !memchr(line, '\n', len - 1));
	must(!statefile_read("again", line, len, &faults, expect_same, &copy));
	must(!faults.n);
}

static void try_text(const char *text, size_t len)
{
	struct fault_list faults = { 0 };

	(void)!statefile_read("fuzz", text, len, &faults, write_and_read, NULL);
	fault_list_free(&faults);
}

/* Lines with right sums, into out, which has room enough. */
static size_t add_sums(char *out, const char *text, size_t len)
{
	const char *end = text + len;
	size_t used = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);

		memcpy(out + used, text, n);
		used += n;
		used += (size_t)sprintf(out + used, " sum=%016" PRIx64 "\n",
					stamp_hash(STAMP_HASH_INIT, text, n));
		text += n + (newline != NULL);
	}
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *summed = malloc(23 * (size + 1));

	if (!summed)
		return 0;
	try_text((const char *)data, size);
	try_text(summed, add_sums(summed, (const char *)data, size));
	free(summed);
	return 0;
}
