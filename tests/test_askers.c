/* SPDX-License-Identifier: MIT */
/*
 * Routers that believe only some sources, played against askers.c: how often
 * must each ask for an address until it has it?
 */
#include <check.h>
#include <stdlib.h>

#include "../src/neighbor/askers.h"

enum { ASKS_MAX = 3 /* MAX_MULTICAST_SOLICIT, RFC 4861 §10 */ };

static struct askers askers;
static uint64_t now;
static uint32_t targets; /* every one is asked for once */

static void setup(void)
{
	memset(&askers, 0, sizeof(askers));
	now = 1000 * NSEC_PER_SEC;
	targets = 0;
}

static unsigned ask(uint8_t router, uint32_t target, bool dad)
{
	struct ndp_solicitation s = { .is_dad = dad };

	memcpy(s.link_address, (uint8_t[]){ 2, 0, 0, 0, 0, router }, ETHER_ADDR_LEN);
	store_be32(&s.target[12], target);
	return askers_sources(&askers, &s, now);
}

/* The router, which believes the sources of a set, looks for a new target. How often it asks. */
static unsigned resolve(uint8_t router, unsigned believed, unsigned lost)
{
	uint32_t target = ++targets;

	now += 10 * NSEC_PER_SEC;
	for (unsigned n = 1; n <= ASKS_MAX; n++) {
		unsigned set = ask(router, target, false);

		ck_assert_uint_ne(set, 0);
		if (set & believed && n > lost)
			return n;
		now += NSEC_PER_SEC;
	}
	return ASKS_MAX + 1;
}

/* Whatever it believes: found with the second question, and after a few with the first. */
START_TEST(learnt)
{
	unsigned believed = (unsigned)_i + 1, n = 0;

	while (resolve(1, believed, 0) > 1)
		ck_assert_uint_lt(++n, 2 * ASKER_SOURCES);
	ck_assert_uint_le(n, 4); /* two for each wrong one that comes before it */
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_eq(resolve(1, believed, 0), 1);
	ck_assert_uint_eq(n == 0, believed & 1U << ASKER_LINK_LOCAL);
}
END_TEST

START_TEST(every_question_is_settled_by_the_second)
{
	for (unsigned i = 0; i < 200; i++)
		ck_assert_uint_le(resolve((uint8_t)(rand() % 3), 1U << rand() % ASKER_SOURCES, 0), 2);
}
END_TEST

/* A lost answer now and then is no reason to change what is good. */
START_TEST(losses)
{
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(resolve(1, 1U << ASKER_LINK_LOCAL, 1), 2);
		ck_assert_uint_eq(resolve(1, 1U << ASKER_LINK_LOCAL, 0), 1);
		ck_assert_uint_eq(resolve(1, 1U << ASKER_LINK_LOCAL, 0), 1);
	}
	ck_assert_uint_eq(askers_all_sources(&askers), 1U << ASKER_LINK_LOCAL);
}
END_TEST

/* Many at once: the questions come before any of them comes again. */
START_TEST(many_at_a_time)
{
	unsigned first = 0;

	for (unsigned round = 0; round < 10; round++) {
		uint32_t base = targets;

		targets += 50;
		now += 10 * NSEC_PER_SEC;
		first = 0;
		for (uint32_t i = 0; i < 50; i++)
			first += (ask(1, base + i, false) >> ASKER_TARGET) & 1;
		if (first == 50)
			break;
		now += NSEC_PER_SEC;
		for (uint32_t i = 0; i < 50; i++)
			ck_assert(ask(1, base + i, false) & 1U << ASKER_TARGET);
	}
	ck_assert_uint_eq(first, 50);
}
END_TEST

/* One who wants something special does not change what others get. */
START_TEST(each_for_himself)
{
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_uint_le(resolve(1, 1U << ASKER_TARGET, 0), 2);
		ck_assert_uint_eq(resolve(2, 1U << ASKER_LINK_LOCAL, 0), 1);
	}
	ck_assert_uint_eq(resolve(1, 1U << ASKER_TARGET, 0), 1);
	ck_assert_uint_eq(askers_all_sources(&askers), 1U << ASKER_TARGET | 1U << ASKER_LINK_LOCAL);
}
END_TEST

START_TEST(copies_and_late_ones)
{
	const unsigned first = 1U << ASKER_LINK_LOCAL, all = (1 << ASKER_SOURCES) - 1;

	ck_assert_uint_eq(ask(1, 7, false), first);
	now += ASKERS_AGAIN_FROM - 1;
	ck_assert_uint_eq(ask(1, 7, false), first); /* a copy, which does not begin it anew */
	now += 1;
	ck_assert_uint_eq(ask(1, 7, false), all);
	now += ASKERS_AGAIN_UNTIL;
	ck_assert_uint_eq(ask(1, 7, false), all);
	now += ASKERS_AGAIN_UNTIL + 1;
	ck_assert_uint_eq(ask(1, 7, false), first);
	ck_assert_uint_eq(ask(2, 7, false), first); /* somebody else's question */
}
END_TEST

/* Who detects duplicates says it three times, and wants silence. */
START_TEST(when_it_was_asked)
{
	uint8_t target[NDP_ADDR_LEN] = { 0 };

	store_be32(&target[12], 5);
	ck_assert_uint_eq(askers_asked(&askers, target), 0);
	(void)ask(1, 5, false);
	ck_assert_uint_eq(askers_asked(&askers, target), now);
	/* By whomever; the last time counts. */
	now += 60 * NSEC_PER_SEC;
	(void)ask(2, 5, false);
	ck_assert_uint_eq(askers_asked(&askers, target), now);
	store_be32(&target[12], 6);
	ck_assert_uint_eq(askers_asked(&askers, target), 0);
}
END_TEST

START_TEST(duplicate_detection)
{
	for (unsigned i = 0; i < 30; i++) {
		ck_assert_uint_eq(ask(1, 7, true), 1U << ASKER_LINK_LOCAL);
		now += NSEC_PER_SEC;
	}
}
END_TEST

/* A flood of askers pushes out those not heard of for longest, and what they taught. */
START_TEST(crowd)
{
	for (unsigned i = 0; i < 4; i++)
		resolve(1, 1U << ASKER_TARGET, 0);
	ck_assert_uint_eq(resolve(1, 1U << ASKER_TARGET, 0), 1);
	for (unsigned i = 2; i < 2 + ASKERS_MAX - 1; i++)
		ck_assert_uint_eq(resolve((uint8_t)i, 1U << ASKER_LINK_LOCAL, 0), 1);
	ck_assert_uint_eq(resolve(1, 1U << ASKER_TARGET, 0), 1); /* there was room for it */
	for (unsigned i = 100; i < 100 + ASKERS_MAX; i++)
		ck_assert_uint_eq(resolve((uint8_t)i, 1U << ASKER_LINK_LOCAL, 0), 1);
	ck_assert_uint_eq(resolve(1, 1U << ASKER_TARGET, 0), 2); /* a stranger again */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("askers");
	TCase *tc = tcase_create("askers");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, learnt, 0, (1 << ASKER_SOURCES) - 1);
	tcase_add_test(tc, every_question_is_settled_by_the_second);
	tcase_add_test(tc, losses);
	tcase_add_test(tc, many_at_a_time);
	tcase_add_test(tc, each_for_himself);
	tcase_add_test(tc, copies_and_late_ones);
	tcase_add_test(tc, when_it_was_asked);
	tcase_add_test(tc, duplicate_detection);
	tcase_add_test(tc, crowd);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
