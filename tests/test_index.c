/* SPDX-License-Identifier: MIT */
/* Receiver indices: unique, replaced in one step, and safe while others look. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>

#include "../src/table/index.h"
#include "rcu_fixture.h"
#include "require.h"

enum { MANY = 100000, READERS = 2, SESSIONS = 16, REPLACEMENTS = 20000 };

static struct index_entry many[MANY];

static int compare(const void *a, const void *b)
{
	uint32_t x = ((const struct index_entry *)a)->index;
	uint32_t y = ((const struct index_entry *)b)->index;

	return (x > y) - (x < y);
}

/* destroy must not run inside a turn */
static void table_free(struct index_table *table)
{
	rcu_turn_end();
	index_table_free(table);
	rcu_turn_begin();
}

START_TEST(lookups)
{
	struct index_table *table = index_table_new();
	static struct index_entry sorted[MANY];
	size_t i;

	ck_assert_ptr_nonnull(table);
	for (i = 0; i < MANY; i++) {
		index_insert(table, &many[i], 0, 1);
		if (i % 64 == 0) { /* as between two handshakes */
			rcu_turn_end();
			rcu_turn_begin();
		}
	}
	for (i = 0; i < MANY; i++)
		require(index_lookup(table, many[i].index) == &many[i]);
	memcpy(sorted, many, sizeof(many));
	qsort(sorted, MANY, sizeof(sorted[0]), compare);
	for (i = 1; i < MANY; i++)
		require(sorted[i].index != sorted[i - 1].index);

	for (i = 0; i < MANY; i += 2) {
		require(index_remove(table, &many[i]));
		require(!index_remove(table, &many[i]));
	}
	for (i = 0; i < MANY; i++)
		require(index_lookup(table, many[i].index) == (i % 2 ? &many[i] : NULL));
	table_free(table); /* with half of them in it */
}
END_TEST

START_TEST(replacing)
{
	struct index_table *table = index_table_new();
	struct index_entry a, b, c;
	uint32_t index;

	index_insert(table, &a, 0, 1);
	index = a.index;
	ck_assert_int_eq(index_replace(table, &a, &b), 0);
	ck_assert_uint_eq(b.index, index);
	ck_assert_ptr_eq(index_lookup(table, index), &b);
	ck_assert_msg(index_replace(table, &a, &c) == -ENOENT, "a is no longer there");
	ck_assert_ptr_eq(index_lookup(table, index), &b);
	ck_assert(!index_remove(table, &a));
	ck_assert(index_remove(table, &b));
	ck_assert_int_eq(index_replace(table, &b, &c), -ENOENT);
	ck_assert_ptr_null(index_lookup(table, index));
	table_free(table);
	table_free(NULL);
}
END_TEST

/* A home has a thousand tunnels and may have a table for each. */
START_TEST(many_tables)
{
	struct index_table *tables[1000];
	struct index_entry entry;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		tables[i] = index_table_new();
		require(tables[i]);
		index_insert(tables[i], &entry, 0, 1);
		require(index_remove(tables[i], &entry));
	}
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		table_free(tables[i]);
}
END_TEST

/* ---- one thread replaces and frees, others look ---- */

struct session {
	struct index_entry entry;
	struct rcu_head rcu;
	uint32_t alive;
};

static struct index_table *shared;
static uint32_t indices[SESSIONS];
static atomic_bool stop;

static void session_free(struct rcu_head *head)
{
	struct session *s = container_of(head, struct session, rcu);

	rcu_grace_passed();
	s->alive = 0;
	free(s);
}

static struct session *session_new(void)
{
	struct session *s = calloc(1, sizeof(*s));

	require(s);
	s->alive = 0x600d5e55;
	return s;
}

static void *read_all(void *arg)
{
	uintptr_t faults = 0;
	size_t i;

	(void)arg;
	rcu_register_thread();
	rcu_turn_end();
	while (!stop) {
		rcu_turn_begin();
		for (i = 0; i < SESSIONS; i++) {
			struct index_entry *entry = index_lookup(shared, indices[i]);

			/* Replacing never leaves a gap. */
			faults += !entry || entry->index != indices[i] ||
				  container_of(entry, struct session, entry)->alive != 0x600d5e55;
		}
		rcu_turn_end();
	}
	rcu_unregister_thread();
	return (void *)faults;
}

START_TEST(readers_and_a_writer)
{
	struct session *sessions[SESSIONS];
	struct index_entry extra;
	pthread_t threads[READERS];
	void *faults;
	size_t i, n;

	srand(5);
	shared = index_table_new();
	for (i = 0; i < SESSIONS; i++) {
		sessions[i] = session_new();
		index_insert(shared, &sessions[i]->entry, 0, 1);
		indices[i] = sessions[i]->entry.index;
	}
	for (i = 0; i < READERS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, read_all, NULL));
	for (n = 0; n < REPLACEMENTS; n++) {
		struct session *next = session_new();

		i = (size_t)rand() % SESSIONS;
		require(!index_replace(shared, &sessions[i]->entry, &next->entry));
		call_rcu(&sessions[i]->rcu, session_free);
		sessions[i] = next;
		if (n % 16 == 0) {
			rcu_turn_end();
			sched_yield();
			rcu_turn_begin();
		}
	}
	index_insert(shared, &extra, 0, 1);
	stop = true;
	rcu_turn_end();
	for (i = 0; i < READERS; i++) {
		pthread_join(threads[i], &faults);
		ck_assert_ptr_null(faults);
	}
	rcu_turn_begin();
	table_free(shared);
	for (i = 0; i < SESSIONS; i++)
		free(sessions[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("index");
	TCase *t = tcase_create("index");
	SRunner *sr = srunner_create(s);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rcu_setup, rcu_teardown);
	tcase_add_test(t, lookups);
	tcase_add_test(t, replacing);
	tcase_add_test(t, many_tables);
	tcase_add_test(t, readers_and_a_writer);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
