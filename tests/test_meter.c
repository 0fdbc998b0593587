/* SPDX-License-Identifier: MIT */
/* Quotas as they are used up, over periods of a clock that the test moves. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "../src/peer/meter.h"
#include "require.h"

enum { ALLOWED = 10000 };

static struct meter m;

static int64_t at(const char *text)
{
	int64_t when;

	require(!utc_parse(text, &when));
	return when;
}

static struct quota quota(enum quota_period period, uint64_t rate)
{
	return (struct quota){ .bytes = ALLOWED, .period = period, .rate = rate };
}

static void setup(void)
{
	struct quota q = quota(QUOTA_MONTH, 256000);

	m = (struct meter){ 0 };
	meter_init(&m);
	meter_set(&m, &q, at("2026-11-26T10:00:00Z"));
}

static uint64_t used(void)
{
	return meter_get(&m).used;
}

static enum meter_state state(void)
{
	return meter_get(&m).state;
}

/* No quota: nothing is counted, and all passes. */
START_TEST(none)
{
	static const struct quota off;

	ck_assert(meter_spend(&m, 100, false));
	meter_set(&m, &off, 0);
	ck_assert(meter_spend(&m, UINT64_C(1) << 40, false));
	ck_assert_uint_eq(used(), 0);
	ck_assert_int_eq(state(), METER_OK);
	ck_assert(!meter_turn(&m, at("2030-01-01")));
	/* Another quota begins at nothing. */
	meter_set(&m, &(struct quota){ ALLOWED, QUOTA_DAY, 1 }, at("2026-11-26T10:00:00Z"));
	ck_assert_uint_eq(used(), 0);
	ck_assert_int_eq(m.start, at("2026-11-26"));
}
END_TEST

START_TEST(throttles)
{
	ck_assert(meter_spend(&m, ALLOWED * 8 / 10 - 1, false));
	ck_assert_int_eq(state(), METER_OK);
	ck_assert(meter_spend(&m, 1, false));
	ck_assert_int_eq(state(), METER_WARNED);
	ck_assert(meter_spend(&m, ALLOWED * 2 / 10 - 1, false));
	ck_assert_int_eq(state(), METER_WARNED);
	ck_assert(meter_spend(&m, 5000, false));
	ck_assert_int_eq(state(), METER_OVER);
	ck_assert(meter_is_over(&m) && !meter_is_shut(&m));
	ck_assert(meter_spend(&m, 100, true));
	ck_assert_uint_eq(used(), ALLOWED + 5099);
}
END_TEST

/* Packets pass as long as they fit, and none behind the one that does not. */
START_TEST(blocks)
{
	struct quota q = quota(QUOTA_MONTH, 0);

	meter_set(&m, &q, at("2026-11-26T10:00:00Z"));
	ck_assert(meter_spend(&m, ALLOWED - 10, false));
	/* A burst does not fit, but one packet of it may. */
	ck_assert(!meter_spend(&m, 11, false));
	ck_assert(!meter_is_shut(&m));
	ck_assert(meter_spend(&m, 5, true));
	ck_assert(!meter_spend(&m, 6, true));
	ck_assert(meter_is_shut(&m));
	ck_assert(!meter_spend(&m, 5, true));
	ck_assert(!meter_spend(&m, 1, false));
	ck_assert_uint_eq(used(), ALLOWED - 5);
	ck_assert_int_eq(state(), METER_OVER);
	meter_reset(&m);
	ck_assert(!meter_is_shut(&m));
	ck_assert(meter_spend(&m, ALLOWED, true));
	ck_assert_int_eq(state(), METER_OVER);
	ck_assert(!meter_spend(&m, 1, true));
	ck_assert(!meter_spend(&m, UINT64_MAX, true));
}
END_TEST

/* A new word of the file acts at once; what was used counts on. */
START_TEST(changes)
{
	struct quota q = quota(QUOTA_MONTH, 256000);
	int64_t now = at("2026-11-26T10:00:00Z");

	ck_assert(meter_spend(&m, ALLOWED, false));
	ck_assert(meter_is_over(&m));
	q.bytes = ALLOWED + 1;
	meter_set(&m, &q, now);
	ck_assert(!meter_is_over(&m));
	ck_assert_uint_eq(used(), ALLOWED);
	q.bytes = ALLOWED - 1;
	meter_set(&m, &q, now);
	ck_assert(meter_is_over(&m));
	q.rate = 0;
	meter_set(&m, &q, now);
	ck_assert(meter_is_shut(&m));
	q.rate = 1;
	meter_set(&m, &q, now);
	ck_assert(meter_is_over(&m) && !meter_is_shut(&m));
	q.period = QUOTA_DAY;
	meter_set(&m, &q, now);
	ck_assert_uint_eq(used(), 0);
	ck_assert(!meter_is_over(&m));
}
END_TEST

static const struct {
	enum quota_period period;
	const char *begin, *last, *next;
} turns[] = {
	{ QUOTA_DAY, "2026-11-26T10:00:00Z", "2026-11-26T23:59:59Z", "2026-11-27T00:00:00Z" },
	{ QUOTA_WEEK, "2026-11-26T10:00:00Z", "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z" },
	{ QUOTA_MONTH, "2026-11-26T10:00:00Z", "2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z" },
	{ QUOTA_MONTH, "2026-12-26T10:00:00Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z" },
	{ QUOTA_MONTH, "2028-02-01T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z" },
	{ QUOTA_DAY, "2028-02-29T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z" },
	{ QUOTA_WEEK, "2026-12-31T00:00:00Z", "2027-01-03T23:59:59Z", "2027-01-04T00:00:00Z" },
};

START_TEST(turns_at_its_second)
{
	struct quota q = quota(turns[_i].period, 0);

	setup();
	m.quota = (struct quota){ 0 };
	meter_set(&m, &q, at(turns[_i].begin));
	ck_assert(!meter_spend(&m, ALLOWED + 1, true));
	m.said = METER_OVER;
	ck_assert(!meter_turn(&m, at(turns[_i].last)));
	ck_assert(meter_is_shut(&m));
	ck_assert_int_eq(quota_end(q.period, m.start), at(turns[_i].next));
	ck_assert(meter_turn(&m, at(turns[_i].next)));
	ck_assert(!meter_is_shut(&m));
	ck_assert_uint_eq(used(), 0);
	ck_assert_int_eq(m.said, METER_OK);
	ck_assert(!meter_turn(&m, at(turns[_i].next)));
	/* Periods that nobody has seen are no more than one. */
	ck_assert(meter_spend(&m, 10, true));
	ck_assert(meter_turn(&m, at("2031-01-01")));
	ck_assert(!meter_turn(&m, at("2031-01-01")));
	/* The clock is set back: nothing is given away, nor when it comes back. */
	ck_assert(meter_spend(&m, 10, true));
	ck_assert(!meter_turn(&m, at(turns[_i].begin)));
	ck_assert_uint_eq(used(), 10);
	ck_assert(!meter_turn(&m, at(turns[_i].last)));
	ck_assert(meter_turn(&m, at(turns[_i].next)));
}
END_TEST

START_TEST(forever)
{
	struct quota q = quota(QUOTA_FOREVER, 1);

	meter_set(&m, &q, at("2026-11-26"));
	ck_assert(meter_spend(&m, ALLOWED, false));
	ck_assert(!meter_turn(&m, at("2099-01-01")));
	ck_assert(meter_is_over(&m));
	ck_assert_int_eq(meter_get(&m).start, 0);
}
END_TEST

static const struct {
	uint64_t used;
	const char *start;
	uint64_t now;
	enum meter_state state;
} recalled[] = {
	{ 500, "2026-11-01", 500, METER_OK },
	{ 8500, "2026-11-01", 8500, METER_WARNED },
	{ ALLOWED, "2026-11-01", ALLOWED, METER_OVER },
	{ ALLOWED, "2026-10-01", 0, METER_OK },   /* while it was off, a month began */
	{ ALLOWED, "2026-12-01", ALLOWED, METER_OVER }, /* the clock is wrong */
};

START_TEST(recalls)
{
	meter_recall(&m, recalled[_i].used, at(recalled[_i].start), at("2026-11-26T10:00:00Z"));
	ck_assert_uint_eq(used(), recalled[_i].now);
	ck_assert_int_eq(state(), recalled[_i].state);
	/* What was said before the restart is not said again. */
	ck_assert_int_eq(m.said, recalled[_i].state);
	ck_assert_int_eq(m.start, at("2026-11-01"));
}
END_TEST

enum { THREADS = 4, PACKETS = 200000, SIZE = 7 };

static void *spend_all(void *arg)
{
	_Atomic uint64_t *passed = arg;

	for (unsigned i = 0; i < PACKETS; i++)
		if (meter_spend(&m, SIZE, true))
			atomic_fetch_add(passed, 1);
	return NULL;
}

/* Any number of workers: exactly what fits passes, whatever they do at once. */
START_TEST(threads)
{
	struct quota q = { .bytes = (uint64_t)SIZE * PACKETS * 2 + 3, .rate = 0 };
	_Atomic uint64_t passed = 0;
	pthread_t id[THREADS];

	meter_set(&m, &q, 0);
	for (unsigned i = 0; i < THREADS; i++)
		require(!pthread_create(&id[i], NULL, spend_all, &passed));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	ck_assert_uint_eq(passed, PACKETS * 2);
	ck_assert_uint_eq(used(), (uint64_t)SIZE * PACKETS * 2);
	ck_assert(meter_is_shut(&m));
}
END_TEST

static _Atomic bool stop;

static void *spend_on(void *arg)
{
	while (!atomic_load(&stop))
		(void)!meter_spend(&m, SIZE, true);
	return arg;
}

/* A reset is never undone by a worker that has found the last epoch used up. */
START_TEST(reset_while_it_is_used_up)
{
	struct quota q = { .bytes = SIZE * 50, .rate = 1 };
	pthread_t id[THREADS];

	meter_set(&m, &q, 0);
	for (unsigned i = 0; i < THREADS; i++)
		require(!pthread_create(&id[i], NULL, spend_on, NULL));
	for (unsigned i = 0; i < 20000; i++)
		meter_reset(&m);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	/* A worker of the last epoch may have been the one to use it up: the next packet tells. */
	ck_assert(meter_spend(&m, SIZE, true));
	ck_assert_int_eq(meter_is_over(&m), used() >= q.bytes);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("meter");
	TCase *tc = tcase_create("meter");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, none);
	tcase_add_test(tc, throttles);
	tcase_add_test(tc, blocks);
	tcase_add_test(tc, changes);
	tcase_add_loop_test(tc, turns_at_its_second, 0, sizeof(turns) / sizeof(*turns));
	tcase_add_test(tc, forever);
	tcase_add_loop_test(tc, recalls, 0, sizeof(recalled) / sizeof(*recalled));
	tcase_add_test(tc, threads);
	tcase_add_test(tc, reset_while_it_is_used_up);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
