/* SPDX-License-Identifier: MIT */
/* Deficit round robin (src/base/fairq.c). */
#include <check.h>
#include <stdlib.h>

#include "../src/base/fairq.h"

static struct fairq fq;

static int take(void)
{
	int slot = fairq_take(&fq);

	ck_assert_int_ge(slot, 0);
	ck_assert_int_lt(slot, (int)fq.n_slots);
	return slot;
}

static int push(uint32_t bucket, uint32_t cost)
{
	int slot = take();

	fairq_push(&fq, (unsigned)slot, bucket, cost);
	return slot;
}

static int pop(void)
{
	int slot = fairq_peek(&fq);

	if (slot < 0)
		return -1;
	ck_assert_int_eq(fairq_peek(&fq), slot); /* looking changes nothing */
	fairq_pop(&fq);
	fairq_give(&fq, (unsigned)slot);
	return slot;
}

START_TEST(slots)
{
	fairq_init(&fq, 3);
	ck_assert_int_eq(take(), 0);
	ck_assert_int_eq(take(), 1);
	ck_assert_int_eq(take(), 2);
	ck_assert_int_eq(fairq_take(&fq), -1);
	ck_assert_int_eq(fairq_evict(&fq), -1); /* taken, not queued */
	fairq_give(&fq, 1);
	ck_assert_int_eq(take(), 1);
	ck_assert(fairq_is_empty(&fq));
	ck_assert_int_eq(fairq_peek(&fq), -1);
}
END_TEST

START_TEST(order_within_a_bucket)
{
	int slot[8];

	fairq_init(&fq, 8);
	for (int i = 0; i < 8; i++)
		slot[i] = push(7, 100000);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pop(), slot[i]);
	ck_assert_int_eq(pop(), -1);
	ck_assert(fairq_is_empty(&fq));
}
END_TEST

START_TEST(newcomer_first)
{
	bool fresh;
	int late;

	fairq_init(&fq, 16);
	for (int i = 0; i < 8; i++)
		push(1, FAIRQ_QUANTUM);
	pop();
	pop();
	ck_assert_uint_eq(fairq_peek(&fq) >= 0 ? fairq_bucket(&fq, &fresh) : 0, 1);
	ck_assert(!fresh);
	late = push(2, 100);
	ck_assert_uint_eq(fairq_peek(&fq) >= 0 ? fairq_bucket(&fq, &fresh) : 0, 2);
	ck_assert(fresh);
	ck_assert_int_eq(pop(), late);
	/* Not for ever: what he has more of waits its turn. */
	push(2, FAIRQ_QUANTUM);
	push(2, FAIRQ_QUANTUM);
	pop();
	ck_assert_int_ne(fairq_peek(&fq), -1);
}
END_TEST

/* Two that always want more get the same, whatever the sizes of what they send. */
START_TEST(equal_shares)
{
	uint64_t got[2] = { 0 };
	unsigned waiting[2] = { 0 };
	uint8_t bucket[FAIRQ_SLOTS_MAX];
	uint32_t cost;
	int slot;

	srand(3);
	fairq_init(&fq, 32);
	for (int i = 0; i < 20000; i++) {
		for (unsigned who = 0; who < 2; who++) {
			for (; waiting[who] < 16; waiting[who]++) {
				cost = who ? 500 + (uint32_t)rand() % 1000 : 65000;
				slot = push(who, cost);
				bucket[slot] = (uint8_t)who;
			}
		}
		slot = fairq_peek(&fq);
		ck_assert_int_ge(slot, 0);
		cost = fq.cost[slot];
		ck_assert_int_eq(pop(), slot);
		waiting[bucket[slot]]--;
		got[bucket[slot]] += cost;
	}
	ck_assert_uint_lt(got[0] * 100, got[1] * 102);
	ck_assert_uint_lt(got[1] * 100, got[0] * 102);
}
END_TEST

START_TEST(fattest_loses_its_oldest)
{
	int fat, slot;

	fairq_init(&fq, 8);
	push(1, 10);
	fat = push(2, 500);
	push(3, 20);
	push(2, 500);
	push(3, 900);
	ck_assert_uint_eq(fairq_most(&fq), 1000);
	slot = fairq_evict(&fq);
	ck_assert_int_eq(slot, fat);
	fairq_give(&fq, (unsigned)slot);
	ck_assert_uint_eq(fq.n_queued, 4);
	/* Now bucket 3 has 920. */
	slot = fairq_evict(&fq);
	fairq_give(&fq, (unsigned)slot);
	ck_assert_uint_eq(fq.cost[slot], 20);
	while (pop() >= 0)
		;
	ck_assert_uint_eq(fq.n_free, 8);
}
END_TEST

/* Whatever happens: every slot is in one place, and everything comes out. */
START_TEST(at_random)
{
	unsigned queued = 0;

	srand(9);
	fairq_init(&fq, FAIRQ_SLOTS_MAX);
	for (int i = 0; i < 50000; i++) {
		int what = rand() % 8, slot;

		if (what < 4 && fq.n_free) {
			push((uint32_t)rand() % 12 * 41, 1 + (uint32_t)rand() % 200000);
			queued++;
		} else if (what == 4) {
			slot = fairq_evict(&fq);
			ck_assert_int_eq(slot < 0, !queued);
			if (slot >= 0) {
				fairq_give(&fq, (unsigned)slot);
				queued--;
			}
		} else {
			ck_assert_int_eq(pop() < 0, !queued);
			queued -= queued > 0;
		}
		ck_assert_uint_eq(fq.n_queued, queued);
		ck_assert_uint_eq(fq.n_free + queued, FAIRQ_SLOTS_MAX);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fairq");
	TCase *t = tcase_create("fairq");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, slots);
	tcase_add_test(t, order_within_a_bucket);
	tcase_add_test(t, newcomer_first);
	tcase_add_test(t, equal_shares);
	tcase_add_test(t, fattest_loses_its_oldest);
	tcase_add_test(t, at_random);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
