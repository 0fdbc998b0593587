/* SPDX-License-Identifier: MIT */
/* Public keys: found, refused when there already, walked, and safe while others look. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "../src/table/peertable.h"
#include "rcu_fixture.h"
#include "require.h"

enum { MANY = 50000, READERS = 2, PEERS = 32, CHANGES = 20000 };

struct peer {
	uint8_t key[PEERTABLE_KEY_LEN];
	struct peertable_entry entry;
	struct rcu_head rcu;
	unsigned seen;
};

static struct peer many[MANY];

static void peer_init(struct peer *p, uint32_t number)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->key, &number, sizeof(number)); /* keys that differ in little */
	p->entry.key = p->key;
}

/* destroy must not run inside a turn */
static void table_free(struct peertable *table)
{
	rcu_turn_end();
	peertable_free(table);
	rcu_turn_begin();
}

START_TEST(lookups)
{
	struct peertable *table = peertable_new();
	struct peer twin, stranger;
	struct peertable_entry *entry;
	struct peertable_iter it;
	size_t i;

	ck_assert_ptr_nonnull(table);
	peertable_for_each(table, &it, entry)
		ck_abort_msg("an empty table has an entry");
	for (i = 0; i < MANY; i++) {
		peer_init(&many[i], (uint32_t)i);
		require(!peertable_insert(table, &many[i].entry));
		require(peertable_count(table) == i + 1);
		if (i % 64 == 0) {
			rcu_turn_end();
			rcu_turn_begin();
		}
	}
	for (i = 0; i < MANY; i++)
		require(peertable_lookup(table, many[i].key) == &many[i].entry);
	peer_init(&stranger, MANY);
	ck_assert_ptr_null(peertable_lookup(table, stranger.key));
	ck_assert(peertable_remove(table, &many[0].entry));
	ck_assert(!peertable_remove(table, &many[0].entry));
	ck_assert_ptr_null(peertable_lookup(table, many[0].key));
	ck_assert_uint_eq(peertable_count(table), MANY - 1);

	peer_init(&twin, 7);
	ck_assert_int_eq(peertable_insert(table, &twin.entry), -EEXIST);
	ck_assert_ptr_eq(peertable_lookup(table, twin.key), &many[7].entry);
	ck_assert_uint_eq(peertable_count(table), MANY - 1);

	/* Every one once, also when it is removed on the way. */
	peertable_for_each(table, &it, entry) {
		struct peer *p = container_of(entry, struct peer, entry);

		p->seen++;
		if ((p - many) % 2)
			require(peertable_remove(table, entry));
	}
	for (i = 0; i < MANY; i++) {
		require(many[i].seen == (i ? 1 : 0));
		require(!peertable_lookup(table, many[i].key) == (i % 2 || !i));
	}
	table_free(table);
	table_free(NULL);
}
END_TEST

/*
 * In slices, while others come and go: who is there all the time is met once, and nobody
 * twice. Whoever is met last in a slice may be gone when it goes on.
 */
START_TEST(slices)
{
	struct peertable_cursor cursor = { 0 };
	struct peertable *table = peertable_new();
	struct peertable_entry *entry = NULL;
	struct peertable_iter it;
	uint32_t next = MANY / 2, i;
	unsigned n_slices = 0;

	ck_assert_ptr_nonnull(table);
	ck_assert_ptr_null(peertable_resume(table, &cursor, &it));
	for (i = 0; i < MANY; i++) {
		peer_init(&many[i], i);
		if (i < MANY / 2)
			require(!peertable_insert(table, &many[i].entry));
	}
	do {
		struct peer *last = NULL;

		entry = peertable_resume(table, &cursor, &it);
		for (unsigned n = 0; entry && n < 100; n++) {
			last = container_of(entry, struct peer, entry);
			last->seen++;
			peertable_pause(entry, &cursor);
			entry = peertable_next(table, &it);
		}
		/* A third of them ends behind one that goes: an odd one. */
		if (last && (last - many) % 2 && n_slices % 3 == 0)
			require(peertable_remove(table, &last->entry));
		/* The table grows meanwhile, and gets more buckets. */
		for (i = 0; i < 80 && next < MANY; i++)
			require(!peertable_insert(table, &many[next++].entry));
		rcu_turn_end();
		rcu_turn_begin();
		n_slices++;
	} while (entry);
	ck_assert_uint_gt(n_slices, 250);
	for (i = 0; i < MANY; i++)
		require(i < MANY / 2 ? many[i].seen == 1 : many[i].seen <= 1);
	table_free(table);
}
END_TEST

/* ---- one thread adds and removes, others look ---- */

static struct peertable *shared;
static atomic_bool stop;

static void peer_free(struct rcu_head *head)
{
	struct peer *p = container_of(head, struct peer, rcu);

	rcu_grace_passed();
	sodium_memzero(p, sizeof(*p));
	free(p);
}

static void *read_all(void *arg)
{
	struct peertable_entry *entry;
	uintptr_t faults = 0;
	struct peer wanted;
	uint32_t i;

	(void)arg;
	rcu_register_thread();
	rcu_turn_end();
	while (!stop) {
		rcu_turn_begin();
		for (i = 0; i < PEERS; i++) {
			peer_init(&wanted, i);
			entry = peertable_lookup(shared, wanted.key);
			faults += entry ? !!memcmp(entry->key, wanted.key, sizeof(wanted.key)) :
					  i == 0; /* who is always there */
		}
		rcu_turn_end();
	}
	rcu_unregister_thread();
	return (void *)faults;
}

START_TEST(readers_and_a_writer)
{
	struct peer *peers[PEERS] = { NULL };
	struct peertable_entry *entry;
	struct peertable_iter it;
	pthread_t threads[READERS];
	size_t n, i, there = 1;
	void *faults;

	srand(6);
	shared = peertable_new();
	peer_init(&many[0], 0);
	ck_assert_int_eq(peertable_insert(shared, &many[0].entry), 0);
	for (i = 0; i < READERS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, read_all, NULL));
	for (n = 0; n < CHANGES; n++) {
		i = 1 + (size_t)rand() % (PEERS - 1);
		if (peers[i]) {
			require(peertable_remove(shared, &peers[i]->entry));
			call_rcu(&peers[i]->rcu, peer_free);
			peers[i] = NULL;
			there--;
		} else {
			peers[i] = malloc(sizeof(*peers[i]));
			require(peers[i]);
			peer_init(peers[i], (uint32_t)i);
			require(!peertable_insert(shared, &peers[i]->entry));
			there++;
		}
		require(peertable_count(shared) == there);
		if (n % 16 == 0) {
			rcu_turn_end();
			rcu_turn_begin();
		}
	}
	stop = true;
	rcu_turn_end();
	for (i = 0; i < READERS; i++) {
		pthread_join(threads[i], &faults);
		ck_assert_ptr_null(faults);
	}
	rcu_turn_begin();
	peertable_for_each(shared, &it, entry)
		there--;
	ck_assert_uint_eq(there, 0);
	table_free(shared);
	for (i = 0; i < PEERS; i++)
		free(peers[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peertable");
	TCase *t = tcase_create("peertable");
	SRunner *sr = srunner_create(s);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rcu_setup, rcu_teardown);
	tcase_add_test(t, lookups);
	tcase_add_test(t, slices);
	tcase_add_test(t, readers_and_a_writer);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
