/* SPDX-License-Identifier: MIT */
/* The timing wheel against a plain array that is searched from end to end. */
#include <check.h>
#include <stdlib.h>

#include "../src/base/wheel.h"
#include "require.h"

enum { MANY = 100000, FEW = 300 };

struct item {
	struct wheel_timer timer;
	bool armed;      /* what the naive list says */
	uint64_t due;    /* its deadline there */
	uint64_t armed_at; /* the wheel's time when it was armed */
	unsigned fired;
};

static struct item items[MANY];

/* Deterministic on every libc. */
static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* From a fraction of a tick to a century: every magnitude as likely as the others. */
static uint64_t rnd_span(unsigned most_bits)
{
	return rnd() >> (63 - rnd() % most_bits);
}

static void arm(struct wheel *w, struct item *it, uint64_t now, uint64_t deadline)
{
	it->armed = true;
	it->due = deadline;
	it->armed_at = now;
	wheel_arm(w, &it->timer, deadline);
}

static void disarm(struct wheel *w, struct item *it)
{
	it->armed = false;
	wheel_disarm(w, &it->timer);
}

/* The tick by which a timer must have fired, in ns. */
static uint64_t limit_of(const struct item *it)
{
	uint64_t tick = it->due / WHEEL_TICK + !!(it->due % WHEEL_TICK);

	return max(tick, it->armed_at / WHEEL_TICK + 1) * WHEEL_TICK;
}

/* Not too early; what is overdue is looked for afterwards. */
static void fire(struct wheel_timer *t, uint64_t now, void *arg)
{
	struct item *it = container_of(t, struct item, timer);

	(void)arg;
	require(!wheel_armed(t));
	require(it->armed);
	require(now >= it->due);
	it->armed = false;
	it->fired++;
}

static void check_against_list(const struct wheel *w, size_t n, uint64_t now)
{
	uint64_t first = UINT64_MAX, next = wheel_next(w);
	size_t i;

	for (i = 0; i < n; i++) {
		require(wheel_armed(&items[i].timer) == items[i].armed);
		if (!items[i].armed)
			continue;
		require(limit_of(&items[i]) > now);
		first = min(first, limit_of(&items[i]));
	}
	require(next <= first);
	if (first == UINT64_MAX)
		require(next == UINT64_MAX);
	else
		require(next > now);
}

START_TEST(random_operations)
{
	uint64_t now = rnd_span(50);
	struct wheel w;
	struct item *it;
	int i;

	state = 0x9e3779b97f4a7c15 + (uint64_t)_i;
	memset(items, 0, FEW * sizeof(*items));
	wheel_init(&w, now, WHEEL_TICK_SHIFT);
	for (i = 0; i < 30000; i++) {
		it = &items[rnd() % FEW];
		switch (rnd() % 8) {
		case 0:
			disarm(&w, it);
			break;
		case 1: /* in the past */
			arm(&w, it, w.tick * WHEEL_TICK, now - min(now, rnd_span(40)));
			break;
		case 2:
			now += rnd_span(rnd() % 50 ? 30 : 56); /* 1 s, or years */
			wheel_expire(&w, now, fire, NULL);
			check_against_list(&w, FEW, now);
			break;
		case 3: /* as the loop would */
			if (wheel_next(&w) == UINT64_MAX)
				break;
			now = max(now, wheel_next(&w));
			wheel_expire(&w, now, fire, NULL);
			check_against_list(&w, FEW, now);
			break;
		default:
			arm(&w, it, w.tick * WHEEL_TICK, now + rnd_span(rnd() % 20 ? 42 : 58));
		}
	}
	check_against_list(&w, FEW, w.tick * WHEEL_TICK);
}
END_TEST

/* Every timer alone: fires when wheel_next() says, in at most one wake-up per level. */
START_TEST(alone)
{
	uint64_t now, deadline;
	unsigned wakes;
	struct wheel w;
	int i;

	state = 3;
	for (i = 0; i < 20000; i++) {
		memset(items, 0, sizeof(*items));
		now = rnd_span(58);
		deadline = now + rnd_span(58);
		wheel_init(&w, now, WHEEL_TICK_SHIFT);
		arm(&w, &items[0], now, deadline);
		for (wakes = 0; items[0].armed; wakes++) {
			now = wheel_next(&w);
			require(now != UINT64_MAX);
			wheel_expire(&w, now, fire, NULL);
			if (deadline - min(deadline, now) > NSEC_PER_SEC << 33)
				break; /* centuries: one wake-up every 104 days is fine */
		}
		if (items[0].armed)
			continue;
		require(now == limit_of(&items[0]));
		require(wakes <= WHEEL_LEVELS + 64);
		require(wheel_next(&w) == UINT64_MAX);
	}
}
END_TEST

/* As many as a big router has, over hours, with a machine that sleeps in between. */
START_TEST(many)
{
	uint64_t now = 77 * NSEC_PER_SEC, fired = 0, wanted = 0;
	struct wheel w;
	size_t i;
	int round;

	state = 5;
	memset(items, 0, sizeof(items));
	wheel_init(&w, now, WHEEL_TICK_SHIFT);
	for (i = 0; i < MANY; i++)
		arm(&w, &items[i], now, now + rnd() % (180 * NSEC_PER_SEC));
	for (round = 0; round < 400; round++) {
		now += round % 100 == 99 ? 86400 * NSEC_PER_SEC : rnd() % NSEC_PER_SEC;
		wheel_expire(&w, now, fire, NULL);
		for (i = 0; i < 1000; i++)
			arm(&w, &items[rnd() % MANY], now, now + rnd() % (180 * NSEC_PER_SEC));
		if (round % 20 == 0)
			check_against_list(&w, MANY, w.tick * WHEEL_TICK);
	}
	for (i = 0; i < MANY; i++) {
		wanted += items[i].armed;
		fired -= items[i].fired;
	}
	wheel_expire(&w, now + 181 * NSEC_PER_SEC, fire, NULL);
	for (i = 0; i < MANY; i++)
		fired += items[i].fired;
	require(fired == wanted);
	require(wheel_next(&w) == UINT64_MAX);
}
END_TEST

/* Callbacks that arm and disarm whatever they like. */
static void meddle(struct wheel_timer *t, uint64_t now, void *arg)
{
	struct item *it = container_of(t, struct item, timer);
	struct wheel *w = arg;
	int i;

	fire(t, now, NULL);
	for (i = 0; i < 3; i++) {
		struct item *other = &items[rnd() % FEW];

		if (rnd() % 2)
			disarm(w, other);
		else
			arm(w, other, now, now + rnd_span(36));
	}
	if (rnd() % 2)
		arm(w, it, now, now - rnd() % now); /* itself, in the past even */
}

START_TEST(callbacks)
{
	uint64_t now = NSEC_PER_SEC;
	struct wheel w;
	int i;

	state = 7;
	memset(items, 0, FEW * sizeof(*items));
	wheel_init(&w, now, WHEEL_TICK_SHIFT);
	for (i = 0; i < FEW; i++)
		arm(&w, &items[i], now, now + rnd_span(36));
	for (i = 0; i < 5000; i++) {
		now += rnd_span(rnd() % 10 ? 28 : 38);
		wheel_expire(&w, now, meddle, &w);
		check_against_list(&w, FEW, w.tick * WHEEL_TICK);
		arm(&w, &items[rnd() % FEW], now, now + rnd_span(36));
	}
}
END_TEST

static void count(struct wheel_timer *t, uint64_t now, void *arg)
{
	(void)t, (void)now;
	++*(unsigned *)arg;
}

START_TEST(edges)
{
	struct wheel_timer t = { .deadline = 0 };
	unsigned fired = 0;
	struct wheel w;

	wheel_init(&w, 10 * WHEEL_TICK + 5, WHEEL_TICK_SHIFT);
	ck_assert_uint_eq(wheel_next(&w), UINT64_MAX);
	wheel_disarm(&w, &t);
	wheel_expire(&w, 11 * WHEEL_TICK, count, &fired);

	/* exactly on a tick, and one nanosecond past it */
	wheel_arm(&w, &t, 20 * WHEEL_TICK);
	ck_assert_uint_eq(wheel_next(&w), 20 * WHEEL_TICK);
	wheel_arm(&w, &t, 20 * WHEEL_TICK + 1);
	ck_assert_uint_eq(wheel_next(&w), 21 * WHEEL_TICK);
	wheel_expire(&w, 21 * WHEEL_TICK - 1, count, &fired);
	ck_assert_uint_eq(fired, 0);
	wheel_expire(&w, 21 * WHEEL_TICK, count, &fired);
	ck_assert_uint_eq(fired, 1);

	/* time that goes back or stands still */
	wheel_arm(&w, &t, 0);
	wheel_expire(&w, 0, count, &fired);
	wheel_expire(&w, 21 * WHEEL_TICK, count, &fired);
	ck_assert_uint_eq(fired, 1);
	ck_assert_uint_eq(wheel_next(&w), 22 * WHEEL_TICK);
	wheel_expire(&w, 22 * WHEEL_TICK, count, &fired);
	ck_assert_uint_eq(fired, 2);

	/* never */
	wheel_arm(&w, &t, UINT64_MAX);
	wheel_expire(&w, UINT64_MAX / 4, count, &fired);
	ck_assert_uint_eq(fired, 2);
	ck_assert(wheel_armed(&t));
	wheel_disarm(&w, &t);
	ck_assert(!wheel_armed(&t));
	ck_assert_uint_eq(wheel_next(&w), UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wheel");
	TCase *t = tcase_create("wheel");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_operations, 0, 8);
	tcase_add_test(t, alone);
	tcase_add_test(t, many);
	tcase_add_test(t, callbacks);
	tcase_add_test(t, edges);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
