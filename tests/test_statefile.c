/* SPDX-License-Identifier: MIT */
/* Records as lines: there and back, and every way in which a line can be damaged. */
#include <errno.h>
#include <inttypes.h>

#include "../src/base/encoding.h"
#include "../src/manage/statefile.h"
#include "../src/manage/stamp.h"
#include "config_files.h"
#include "state_records.h"

enum { RECORDS_MAX = 16 };

static struct {
	struct statefile_record records[RECORDS_MAX];
	uint64_t drops[RECORDS_MAX][DROP_REASON_COUNT];
	size_t n;
} got;

static void take(void *arg, const struct statefile_record *record)
{
	require(arg == &got);
	require(got.n < RECORDS_MAX);
	got.records[got.n] = *record;
	if (record->drops) {
		memcpy(got.drops[got.n], record->drops, sizeof(got.drops[0]));
		got.records[got.n].drops = got.drops[got.n];
	}
	got.n++;
}

static int read_text(const char *text, size_t len, struct fault_list *faults)
{
	/* Exactly as long as it says, so that a sanitizer sees each byte beyond. */
	char *copy = malloc(len + !len);
	int err;

	memcpy(copy, text, len);
	got.n = 0;
	err = statefile_read("state", copy, len, faults, take, &got);
	free(copy);
	return err;
}

static struct statefile_record sample(unsigned i)
{
	struct statefile_record r = { .key = { 1, (uint8_t)i } };

	snprintf(r.name, sizeof(r.name), "tenant-%u", i);
	memset(r.timestamp, (int)i + 1, sizeof(r.timestamp));
	ck_assert_int_eq(endpoint_parse(&r.endpoint, i & 1 ? "192.0.2.1:51820"
							   : "[fe80::1%4]:65535"), 0);
	return r;
}

static struct statefile_record sample_counts(unsigned i)
{
	static const uint64_t drops[DROP_REASON_COUNT] = { [DROP_BAD_TAG] = 3,
							   [DROP_SEND_FAILED] = UINT64_MAX };
	struct statefile_record r = sample(i);

	r.rx_bytes = UINT64_MAX;
	r.rx_packets = 7;
	r.tx_bytes = 0;
	r.tx_packets = 1;
	r.drops = drops;
	return r;
}

START_TEST(format)
{
	struct fault_list faults = { 0 };
	char line[STATEFILE_LINE_MAX];
	struct statefile_record r = sample(1);

	ck_assert_uint_eq(statefile_format(line, &r), strlen(line));
	ck_assert_str_eq(line, "key=AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= name=tenant-1 "
			       "stamp=020202020202020202020202 endpoint=192.0.2.1:51820 "
			       "sum=4249e010b1f2001c\n");
	ck_assert_int_eq(read_text(line, strlen(line), &faults), 0);
	files_expect(&faults, "");
	ck_assert_uint_eq(got.n, 1);
	expect_same(&got.records[0], &r);
	r = sample_counts(1);
	statefile_format(line, &r);
	ck_assert_ptr_nonnull(strstr(line, " endpoint=192.0.2.1:51820 rx=18446744073709551615,7 "
					   "tx=0,1 drops=bad-tag:3,send-failed:"
					   "18446744073709551615 sum="));
}
END_TEST

/* Who is held. */
START_TEST(held)
{
	struct statefile_record r = { .key = { 1 }, .held = true };
	struct fault_list faults = { 0 };
	char line[STATEFILE_LINE_MAX];

	statefile_format(line, &r);
	ck_assert_ptr_nonnull(strstr(line, "AAA= held=1 sum="));
	ck_assert_int_eq(read_text(line, strlen(line), &faults), 0);
	files_expect(&faults, "");
	ck_assert_uint_eq(got.n, 1);
	ck_assert(got.records[0].held);
	r.held = false;
	statefile_format(line, &r);
	ck_assert_int_eq(read_text(line, strlen(line), &faults), 0);
	ck_assert(!got.records[0].held);
}
END_TEST

/* Whatever is there or not. */
START_TEST(round_trip)
{
	struct fault_list faults = { 0 };
	char line[STATEFILE_LINE_MAX];

	for (unsigned what = 0; what < 16; what++) {
		struct statefile_record r = what & 8 ? sample_counts(what) : sample(what);
		size_t len;

		if (what & 1)
			r.name[0] = '\0';
		if (what & 2)
			memset(r.timestamp, 0, sizeof(r.timestamp));
		if (what & 4)
			r.endpoint = (struct endpoint){ 0 };
		len = statefile_format(line, &r);
		ck_assert_int_eq(read_text(line, len, &faults), 0);
		ck_assert_uint_eq(got.n, 1);
		expect_same(&got.records[0], &r);
		/* A last line without its newline is whole, if its sum is there. */
		ck_assert_int_eq(read_text(line, len - 1, &faults), 0);
		ck_assert_uint_eq(got.n, 1);
	}
	/* The longest there is. */
	{
		struct statefile_record r = sample_counts(0);
		uint64_t drops[DROP_REASON_COUNT];

		memset(drops, 0xff, sizeof(drops));
		r.drops = drops;
		r.rx_packets = r.tx_packets = r.tx_bytes = UINT64_MAX;
		memset(r.name, 'x', TENANT_NAME_MAX);
		ck_assert_int_eq(endpoint_parse(&r.endpoint,
			"[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535"), 0);
		ck_assert_uint_lt(statefile_format(line, &r), STATEFILE_LINE_MAX);
		ck_assert_int_eq(read_text(line, strlen(line), &faults), 0);
		expect_same(&got.records[0], &r);
	}
	files_expect(&faults, "");
}
END_TEST

static size_t three(char *text, size_t at[4])
{
	size_t len = (size_t)sprintf(text, "%s", statefile_version);

	for (unsigned i = 0; i < 3; i++) {
		struct statefile_record r = sample(i);

		at[i] = len;
		len += statefile_format(text + len, &r);
	}
	at[3] = len;
	return len;
}

/* Any byte of the second line becomes any other: the first and third stay. */
START_TEST(damaged)
{
	struct fault_list faults = { 0 };
	char text[4 * STATEFILE_LINE_MAX];
	size_t at[4], len = three(text, at);

	for (size_t i = at[1]; i < at[2] - 1; i++) {
		for (unsigned flip = 1; flip < 256; flip++) {
			struct statefile_record a = sample(0), b = sample(2);

			text[i] = (char)((uint8_t)text[i] ^ flip);
			require(!read_text(text, len, &faults));
			text[i] = (char)((uint8_t)text[i] ^ flip);
			require(got.n == 2);
			expect_same(&got.records[0], &a);
			expect_same(&got.records[1], &b);
			/* A newline makes two damaged lines of one. */
			require(faults.n >= 1 && faults.n <= 2 && !faults.n_errors);
			require(faults.faults[0].line >= 3 && faults.faults[0].line <= 4);
			fault_list_free(&faults);
		}
	}
}
END_TEST

/* Cut anywhere: what is whole before is there, and nothing else. */
START_TEST(torn)
{
	struct fault_list faults = { 0 };
	char text[4 * STATEFILE_LINE_MAX];
	size_t at[4], len = three(text, at);

	for (size_t cut = 0; cut <= len; cut++) {
		size_t whole = 0;

		while (whole < 3 && at[whole + 1] - 1 <= cut)
			whole++;
		ck_assert_int_le(read_text(text, cut, &faults), 0);
		require(got.n == whole);
		fault_list_free(&faults);
	}
	/* What is appended behind a torn line begins with a newline. */
	memmove(text + at[1] + 30, text + at[2] - 1, len - at[2] + 1);
	len -= at[2] - at[1] - 31;
	ck_assert_int_eq(read_text(text, len, &faults), 0);
	ck_assert_uint_eq(got.n, 2);
	files_expect(&faults, "state:3: warning: torn or damaged: what it says of a tenant is "
			      "lost\n");
}
END_TEST

static void with_sum(char *line, const char *text)
{
	sprintf(line, "%s sum=%016" PRIx64 "\n", text,
		stamp_hash(STAMP_HASH_INIT, text, strlen(text)));
}

#define K "key=AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define K0 "key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define LEFT_OUT(word) \
	"state:1: warning: '" word "' is not what it should be: the line is left out\n"

/* Right sums over what nobody has written. */
static const struct {
	const char *text, *faults;
} strange[] = {
	{ K, "" },
	{ K " later=5 name=a", "" },
	{ K " rx=1,2 tx=0,0 drops=bad-tag:3,of-a-later-version:4", "" },
	{ K " rx=123", LEFT_OUT("rx") },
	{ K " rx=1,", LEFT_OUT("rx") },
	{ K " rx=1,2,3", LEFT_OUT("rx") },
	{ K " tx=-1,2", LEFT_OUT("tx") },
	{ K " tx=18446744073709551616,2", LEFT_OUT("tx") },
	{ K " drops=bad-tag", LEFT_OUT("drops") },
	{ K " drops=bad-tag:x", LEFT_OUT("drops") },
	{ "  " K "   name=a  ", "" },
	{ "name=a", LEFT_OUT("key") },
	{ K0, LEFT_OUT("key") },
	{ "", LEFT_OUT("key") },
	{ K " word", LEFT_OUT("word") },
	{ K " name=", LEFT_OUT("name") },
	{ K " name=../a", LEFT_OUT("name") },
	{ K " name=0123456789012345678901234567890123456789012345678901234567890123x",
	  LEFT_OUT("name") },
	{ K " stamp=00", LEFT_OUT("stamp") },
	{ K " stamp=0202020202020202020202zz", LEFT_OUT("stamp") },
	{ K " stamp=02020202020202020202020202", LEFT_OUT("stamp") },
	{ K " endpoint=vps.example.com:1", LEFT_OUT("endpoint") },
	{ K " endpoint=192.0.2.1:0", LEFT_OUT("endpoint") },
	{ "key=AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", LEFT_OUT("key") },
};

START_TEST(strange_words)
{
	struct fault_list faults = { 0 };
	char line[STATEFILE_LINE_MAX];

	with_sum(line, strange[_i].text);
	ck_assert_int_eq(read_text(line, strlen(line), &faults), 0);
	ck_assert_uint_eq(got.n, !*strange[_i].faults);
	files_expect(&faults, strange[_i].faults);
}
END_TEST

START_TEST(versions)
{
	struct fault_list faults = { 0 };
	char text[4 * STATEFILE_LINE_MAX];
	size_t at[4], len = three(text, at);

	ck_assert_int_eq(read_text("", 0, &faults), 0);
	ck_assert_uint_eq(got.n, 0);
	text[strlen("berth-state ")] = '2';
	ck_assert_int_eq(read_text(text, len, &faults), -EPROTO);
	ck_assert_uint_eq(got.n, 0);
	files_expect(&faults, "state:1: 'berth-state 2' is a format that this version of berth "
			      "does not know: not used\n");
	/* One that is damaged costs itself. */
	text[0] = 'x';
	ck_assert_int_eq(read_text(text, len, &faults), 0);
	ck_assert_uint_eq(got.n, 3);
	ck_assert_uint_eq(faults.n, 1);
	fault_list_free(&faults);
}
END_TEST

/* Garbage, and lines without an end, are many warnings and no harm. */
START_TEST(garbage)
{
	struct fault_list faults = { 0 };
	static char text[1 << 16];

	srand(1);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = rand() % 8 ? (char)rand() : '\n';
	ck_assert_int_eq(read_text(text, sizeof(text), &faults), 0);
	ck_assert_uint_eq(got.n, 0);
	ck_assert_uint_eq(faults.n, FAULTS_PER_FILE);
	fault_list_free(&faults);
	memset(text, 'k', sizeof(text));
	ck_assert_int_eq(read_text(text, sizeof(text), &faults), 0);
	ck_assert_uint_eq(faults.n, 1);
	fault_list_free(&faults);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("statefile");
	TCase *tc = tcase_create("statefile");

	tcase_add_test(tc, format);
	tcase_add_test(tc, held);
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, damaged);
	tcase_add_test(tc, torn);
	tcase_add_loop_test(tc, strange_words, 0, sizeof(strange) / sizeof(*strange));
	tcase_add_test(tc, versions);
	tcase_add_test(tc, garbage);
	return files_run(s, tc);
}
