/* SPDX-License-Identifier: MIT */
/* What is known of keys that no peer has, against a plain array. */
#include <check.h>
#include <stdlib.h>

#include "../src/manage/known.h"
#include "state_records.h"

enum { KEYS = 50, STEPS = 200000 };

static struct known known;

/* By key; n: when it came to its list. */
static struct {
	bool there;
	struct statefile_record record;
	unsigned since;
} model[KEYS];

static void setup(void)
{
	known_init(&known);
}

static void teardown(void)
{
	known_free(&known);
}

static const uint64_t some_drops[DROP_REASON_COUNT] = { 1, 2, 3 };

static struct statefile_record random_record(unsigned i)
{
	struct statefile_record r = { .key = { (uint8_t)i } };

	if (rand() % 4)
		r.timestamp[3] = (uint8_t)rand();
	if (rand() % 4)
		ck_assert_int_eq(endpoint_parse(&r.endpoint, "192.0.2.1:1"), 0);
	if (rand() % 2)
		strcpy(r.name, rand() % 2 ? "a" : "b");
	if (rand() % 4 == 0)
		r.rx_packets = r.rx_bytes = (uint64_t)rand();
	if (rand() % 4 == 0)
		r.drops = some_drops;
	return r;
}

static void model_put(unsigned i, struct statefile_record r, unsigned now)
{
	if (model[i].there && model[i].record.timestamp[3] > r.timestamp[3])
		r.timestamp[3] = model[i].record.timestamp[3];
	if (!*r.name) {
		r.endpoint = (struct endpoint){ 0 };
		r.rx_packets = r.rx_bytes = 0;
		r.drops = NULL;
	}
	model[i].there = r.timestamp[3] || endpoint_is_set(&r.endpoint) || r.rx_packets || r.drops;
	model[i].record = r;
	model[i].since = now;
}

static void model_settle(unsigned now)
{
	for (;;) {
		unsigned oldest = KEYS;

		for (unsigned i = 0; i < KEYS; i++)
			if (model[i].there && *model[i].record.name &&
			    (oldest == KEYS || model[i].since < model[oldest].since))
				oldest = i;
		if (oldest == KEYS)
			return;
		model[oldest].record.name[0] = '\0';
		model_put(oldest, model[oldest].record, now++);
	}
}

struct visit {
	unsigned n, last;
	bool named;
};

static void check_record(void *arg, const struct statefile_record *record)
{
	struct visit *v = arg;
	unsigned i = record->key[0];

	require(i < KEYS && model[i].there);
	expect_same(record, &model[i].record);
	/* Those of revoked tenants first, each list by age. */
	require(!v->named || *record->name);
	if (*record->name && !v->named) {
		v->named = true;
		v->last = 0;
	}
	require(model[i].since > v->last || !v->last);
	v->last = model[i].since;
	v->n++;
}

static void check_all(void)
{
	struct visit v = { 0 };
	unsigned n = 0, revoked = 0;

	for (unsigned i = 0; i < KEYS; i++) {
		n += model[i].there;
		revoked += model[i].there && !*model[i].record.name;
	}
	known_each(&known, check_record, &v);
	require(v.n == n && known.n == n && known.n_revoked == revoked);
}

static bool never(void *arg, const char *name)
{
	(void)arg, (void)name;
	return false;
}

static bool only_a(void *arg, const char *name)
{
	ck_assert_ptr_eq(arg, &known);
	return !strcmp(name, "a");
}

START_TEST(like_an_array)
{
	unsigned now = 1;

	srand(1);
	for (unsigned step = 0; step < STEPS; step++, now += 2 * KEYS) {
		unsigned i = (unsigned)rand() % KEYS;
		struct statefile_record r = random_record(i);

		if (rand() % 2) {
			require(!known_put(&known, &r));
			model_put(i, r, now);
		} else {
			const uint8_t key[NOISE_KEY_LEN] = { (uint8_t)i };

			require(known_take(&known, key, &r) == model[i].there);
			if (model[i].there)
				expect_same(&r, &model[i].record);
			else
				require(r.key[0] == i && !endpoint_is_set(&r.endpoint));
			statefile_release(&r);
			model[i].there = false;
		}
		if (step % 1000 == 999) {
			(void)known_settle(&known, never, NULL);
			model_settle(now + 1);
		}
		if (step % 100 == 0)
			check_all();
	}
}
END_TEST

/* Those that were revoked first are forgotten first, and nobody else. */
START_TEST(bounded)
{
	struct statefile_record r = { .timestamp = { 1 } };

	strcpy(r.name, "named");
	require(!known_put(&known, &r));
	r.name[0] = '\0';
	for (uint32_t i = 1; i <= KNOWN_REVOKED_MAX + 100; i++) {
		store_le32(r.key, i);
		require(!known_put(&known, &r));
	}
	ck_assert_uint_eq(known.n, KNOWN_REVOKED_MAX + 1);
	ck_assert_uint_eq(known.n_revoked, KNOWN_REVOKED_MAX);
	for (uint32_t i = 0; i <= KNOWN_REVOKED_MAX + 100; i++) {
		uint8_t key[NOISE_KEY_LEN] = { 0 };

		store_le32(key, i);
		require(known_take(&known, key, &r) == (i == 0 || i > 100));
	}
}
END_TEST

/* What was counted of an expired tenant waits for it, until its file is gone as well. */
START_TEST(suspended)
{
	struct statefile_record r = { .key = { 1 }, .timestamp = { 1 }, .name = "a",
				      .rx_packets = 5, .drops = some_drops }, out;
	const uint8_t key[NOISE_KEY_LEN] = { 1 }, other[NOISE_KEY_LEN] = { 2 };

	require(!known_put(&known, &r));
	known_suspend(&known, other);
	known_suspend(&known, key);
	require(!known_settle(&known, never, NULL));
	if (_i) {
		require(known_revoke(&known, key, &out));
		require(!*out.name && !out.rx_packets && !out.drops && out.timestamp[0]);
		require(!known_revoke(&known, key, &out));
		require(!known_revoke(&known, other, &out));
		known_suspend(&known, key);
		require(known.n_revoked == 1);
		r.name[0] = '\0';
		r.rx_packets = 0;
		r.drops = NULL;
	}
	require(known_take(&known, key, &out));
	expect_same(&out, &r);
	statefile_release(&out);
}
END_TEST

/* Those that may still come are kept, and asked about again. */
START_TEST(settled)
{
	struct statefile_record a = { .key = { 1 }, .timestamp = { 1 }, .name = "a",
				      .rx_packets = 5 },
				b = { .key = { 2 }, .timestamp = { 1 }, .name = "b",
				      .rx_packets = 5 }, out;

	require(!known_put(&known, &a) && !known_put(&known, &b));
	require(known_settle(&known, only_a, &known));
	require(!known_settle(&known, only_a, &known));
	require(known.n == 2 && known.n_revoked == 1);
	require(known_take(&known, b.key, &out) && !*out.name && !out.rx_packets);
	if (_i)
		require(known_settle(&known, never, NULL) && known.n_revoked == 1);
	require(known_take(&known, a.key, &out));
	require(out.rx_packets == (_i ? 0 : 5) && out.timestamp[0] == 1);
	statefile_release(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("known");
	TCase *tc = tcase_create("known");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, like_an_array);
	tcase_add_test(tc, bounded);
	tcase_add_loop_test(tc, suspended, 0, 2);
	tcase_add_loop_test(tc, settled, 0, 2);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
