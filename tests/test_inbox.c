/* SPDX-License-Identifier: MIT */
/* Work between threads: nothing lost, nothing twice, the oldest first. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "../src/base/inbox.h"
#include "packets.h"

enum { POSTERS = 3, ITEMS = 16, POSTS = 40000 };

struct thing {
	struct inbox_item item;
	_Atomic unsigned refs;         /* what a post that put it in owes */
	unsigned seen[POSTERS];        /* taker: greatest value of each poster */
	_Atomic unsigned sent[POSTERS];
};

static struct inbox inbox;
static struct thing things[ITEMS];
static _Atomic unsigned running;

START_TEST(order)
{
	struct inbox in = { NULL };
	struct inbox_item items[5] = { 0 }, *item;

	ck_assert_ptr_null(inbox_take_all(&in));
	for (unsigned i = 0; i < 5; i++)
		ck_assert(inbox_post(&in, &items[i], 1u << i));
	/* Posted again it stays where it is and wants more. */
	ck_assert(!inbox_post(&in, &items[2], 0x100));
	item = inbox_take_all(&in);
	ck_assert_ptr_null(inbox_take_all(&in));
	for (unsigned i = 0; i < 5; i++) {
		struct inbox_item *next = item->next;

		ck_assert_ptr_eq(item, &items[i]);
		/* Between taking and claiming, wishes still reach the claim. */
		ck_assert(!inbox_post(&in, item, 0x200));
		ck_assert_uint_eq(inbox_claim(item), (1u << i) | 0x200 | (i == 2 ? 0x100 : 0));
		/* After the claim it is a new one. */
		ck_assert(inbox_post(&in, item, 1));
		item = next;
	}
	ck_assert_ptr_null(item);
	ck_assert_ptr_eq(inbox_take_all(&in), &items[0]);
}
END_TEST

static void *poster(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t state = me + 1;

	for (unsigned i = 1; i <= POSTS; i++) {
		struct thing *t = &things[pick(&state, ITEMS)];

		atomic_store_explicit(&t->sent[me], i, memory_order_relaxed);
		if (inbox_post(&inbox, &t->item, 1u << me))
			atomic_fetch_add(&t->refs, 1);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* What was said before the post is known at the claim. */
static unsigned serve(void)
{
	struct inbox_item *item = inbox_take_all(&inbox);
	unsigned n = 0;

	while (item) {
		struct thing *t = container_of(item, struct thing, item);
		struct inbox_item *next = item->next;
		unsigned flags = inbox_claim(item);

		expect(flags && flags < 1u << POSTERS);
		for (unsigned p = 0; p < POSTERS; p++) {
			unsigned sent = atomic_load_explicit(&t->sent[p], memory_order_relaxed);

			expect(sent >= t->seen[p]);
			if (flags & 1u << p)
				t->seen[p] = sent;
		}
		n++;
		item = next;
	}
	return n;
}

START_TEST(across_threads)
{
	pthread_t threads[POSTERS];
	unsigned served = 0, owed = 0;

	atomic_store(&running, POSTERS);
	for (unsigned i = 0; i < POSTERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, poster,
						(void *)(uintptr_t)i), 0);
	while (atomic_load(&running))
		served += serve();
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	served += serve();
	for (unsigned i = 0; i < ITEMS; i++) {
		owed += atomic_load(&things[i].refs);
		for (unsigned p = 0; p < POSTERS; p++)
			ck_assert_uint_eq(things[i].seen[p], things[i].sent[p]);
	}
	/* Each that was put in came out once. */
	ck_assert_uint_eq(served, owed);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("inbox");
	TCase *tc = tcase_create("inbox");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, order);
	tcase_add_test(tc, across_threads);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
