/* SPDX-License-Identifier: MIT */
/* The bounded queue: order, bounds, and every item exactly once across threads. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "../src/base/ring.h"
#include "require.h"

enum { PRODUCERS = 3, CONSUMERS = 2, ITEMS = 40000, CELLS = 64 };

static const struct {
	size_t cells, cell_size;
	int result;
} inits[] = {
	{ 0, 8, -EINVAL },  { 1, 8, -EINVAL },	 { 3, 8, -EINVAL },
	{ 48, 8, -EINVAL }, { 64, 0, -EINVAL },	 { 64, SIZE_MAX, -EINVAL },
	{ 2, 1, 0 },	    { 4, 148, 0 },	 { (size_t)1 << 62, 64, -ENOMEM },
	{ 1024, 64, 0 },    { 2, 1 << 20, 0 },
};

START_TEST(init)
{
	struct ring ring;

	ck_assert_int_eq(ring_init(&ring, inits[_i].cells, inits[_i].cell_size), inits[_i].result);
	ring_free(&ring);
	ring_free(&ring); /* once more does no harm */
}
END_TEST

/* Against plain counters: what goes in comes out, in order, and never more than fits. */
START_TEST(one_thread)
{
	uint32_t pushed = 0, popped = 0, item[37], want;
	struct ring ring;
	int i;

	srand(1);
	ck_assert_int_eq(ring_init(&ring, 16, sizeof(item)), 0);
	for (i = 0; i < 100000; i++) {
		if (rand() % 2) {
			memset(item, 0, sizeof(item));
			item[0] = item[36] = pushed;
			require(ring_push(&ring, item) == (pushed - popped < 16));
			pushed += pushed - popped < 16;
		} else {
			want = popped;
			require(ring_pop(&ring, item) == (popped != pushed));
			if (popped != pushed) {
				require(item[0] == want && item[36] == want);
				popped++;
			}
		}
		require(ring_count(&ring) == pushed - popped);
	}
	ring_free(&ring);
}
END_TEST

/* The counters pass the end of their type without anybody noticing. */
START_TEST(wraps)
{
	size_t near = SIZE_MAX - 9, i, item;
	struct ring ring;

	ck_assert_int_eq(ring_init(&ring, 4, sizeof(item)), 0);
	/* As if SIZE_MAX - 9 items had gone through; turns lead each cell's data. */
	near &= ~(size_t)3;
	ring.head = ring.tail = near;
	for (i = 0; i < 4; i++)
		*(atomic_size_t *)(ring.cells + i * ring.stride) = near + i;
	for (i = 0; i < 40; i++) {
		ck_assert(ring_push(&ring, &i));
		if (i < 2)
			continue;
		ck_assert_uint_eq(ring_count(&ring), 3);
		ck_assert(ring_pop(&ring, &item));
		ck_assert_uint_eq(item, i - 2);
	}
	ring_free(&ring);
}
END_TEST

struct item {
	unsigned producer, number;
	uint8_t body[100]; /* so that a torn copy would show */
};

static struct ring shared;
static atomic_uint taken;
static atomic_uchar seen[PRODUCERS][ITEMS];

static void *produce(void *arg)
{
	struct item item = { .producer = (unsigned)(uintptr_t)arg };

	for (item.number = 0; item.number < ITEMS; item.number++) {
		memset(item.body, (int)(item.number + item.producer), sizeof(item.body));
		while (!ring_push(&shared, &item))
			sched_yield();
	}
	return NULL;
}

/* Returns how often something was wrong. */
static void *consume(void *arg)
{
	unsigned next[PRODUCERS] = { 0 };
	uintptr_t faults = 0;
	struct item item;
	size_t i;

	(void)arg;
	while (taken < PRODUCERS * ITEMS) {
		if (!ring_pop(&shared, &item)) {
			sched_yield();
			continue;
		}
		taken++;
		faults += item.number < next[item.producer]; /* order per producer */
		next[item.producer] = item.number + 1;
		faults += atomic_fetch_add(&seen[item.producer][item.number], 1);
		for (i = 0; i < sizeof(item.body); i++)
			faults += item.body[i] != (uint8_t)(item.number + item.producer);
		faults += ring_count(&shared) > CELLS;
	}
	return (void *)faults;
}

START_TEST(threads)
{
	pthread_t producers[PRODUCERS], consumers[CONSUMERS];
	void *faults;
	uintptr_t i;

	ck_assert_int_eq(ring_init(&shared, CELLS, sizeof(struct item)), 0);
	for (i = 0; i < CONSUMERS; i++)
		ck_assert(!pthread_create(&consumers[i], NULL, consume, NULL));
	for (i = 0; i < PRODUCERS; i++)
		ck_assert(!pthread_create(&producers[i], NULL, produce, (void *)i));
	for (i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i], NULL);
	for (i = 0; i < CONSUMERS; i++) {
		pthread_join(consumers[i], &faults);
		ck_assert_ptr_null(faults);
	}
	ck_assert_uint_eq(taken, PRODUCERS * ITEMS);
	ck_assert_uint_eq(ring_count(&shared), 0);
	ring_free(&shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, init, 0, ARRAY_SIZE(inits));
	tcase_add_test(t, one_thread);
	tcase_add_test(t, wraps);
	tcase_add_test(t, threads);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
