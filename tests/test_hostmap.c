/* SPDX-License-Identifier: MIT */
/* The hash of addresses against an array, with hashes that collide on purpose. */
#include <check.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "../src/table/hostmap.h"
#include "rcu_fixture.h"
#include "require.h"

enum { ENTRIES = 500, READERS = 2 };

static struct { uint64_t hash; bool there; } entries[ENTRIES];

/* Every entry that is there is found, unless another has its hash; none else is. */
static void check_all(const struct hostmap *map)
{
	size_t i, j, found;

	for (i = 0; i < ENTRIES; i++) {
		void *entry = hostmap_find(map, entries[i].hash);

		for (j = 0, found = 0; j < ENTRIES; j++)
			if (entries[j].there && entries[j].hash == entries[i].hash)
				found |= entry == &entries[j] ? 2 : 1;
		require(found ? found & 2 : !entry);
	}
}

START_TEST(against_array)
{
	size_t i, live = 0;
	struct hostmap map;
	int round;

	srand(3);
	hostmap_init(&map);
	for (i = 0; i < ENTRIES; i++) {
		entries[i].there = false;
		/* spread, in one run that wraps around, and few that many share */
		entries[i].hash = _i == 0 ? (uint64_t)rand() << 33 ^ (uint64_t)rand() :
				  _i == 1 ? UINT64_MAX - i % 7 * 1024 : i / 4;
	}
	check_all(&map);
	hostmap_remove(&map, 1, &map);
	for (round = 0; round < 20000; round++) {
		i = (size_t)rand() % ENTRIES;
		if (!entries[i].there) {
			hostmap_insert(&map, entries[i].hash, &entries[i]);
			live++;
		} else {
			hostmap_remove(&map, entries[i].hash, &entries[i]);
			hostmap_remove(&map, entries[i].hash, &entries[i]); /* not there */
			live--;
		}
		entries[i].there = !entries[i].there;
		require(map.live == live && map.used >= live);
		if (round % 100 == 0)
			check_all(&map);
	}
	hostmap_free(&map);
	ck_assert_ptr_null(hostmap_find(&map, entries[0].hash));
}
END_TEST

/* Neighbouring addresses spread over the slots, and another seed spreads them otherwise. */
START_TEST(hash)
{
	enum { BUCKETS = 1024 };
	unsigned char count[BUCKETS] = { 0 };
	struct hostmap map, other;
	uint64_t i, most = 0, same = 0;

	hostmap_init(&map);
	hostmap_init(&other);
	for (i = 0; i < BUCKETS; i++) {
		uint64_t h = hostmap_hash(&map, UINT64_C(0x20010db8deadbeef), 0x1000 + i);

		same += h == hostmap_hash(&other, UINT64_C(0x20010db8deadbeef), 0x1000 + i);
		most = max(most, (uint64_t)++count[h % BUCKETS]);
	}
	ck_assert_uint_eq(same, 0);
	/* One each on average. A random function has more than 12 once in a million million. */
	ck_assert_uint_le(most, 12);
}
END_TEST

static struct hostmap shared;
static atomic_bool stop;

static void *read_all(void *arg)
{
	uintptr_t faults = 0;
	size_t i;

	(void)arg;
	rcu_register_thread();
	rcu_turn_end();
	while (!stop) {
		rcu_turn_begin();
		for (i = 0; i < ENTRIES; i++) {
			void *entry = hostmap_find(&shared, entries[i].hash);

			/* The first half is always there, whatever happens around it. */
			faults += entry ? entry != &entries[i] : i < ENTRIES / 2;
		}
		rcu_turn_end();
	}
	rcu_unregister_thread();
	return (void *)faults;
}

START_TEST(readers_and_a_writer)
{
	pthread_t threads[READERS];
	void *faults;
	size_t i;
	int round;

	srand(4);
	hostmap_init(&shared);
	for (i = 0; i < ENTRIES; i++) {
		entries[i].hash = hostmap_hash(&shared, 7, i);
		entries[i].there = i < ENTRIES / 2;
		if (entries[i].there)
			hostmap_insert(&shared, entries[i].hash, &entries[i]);
	}
	for (i = 0; i < READERS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, read_all, NULL));
	for (round = 0; round < 50000; round++) {
		i = ENTRIES / 2 + (size_t)rand() % (ENTRIES / 2);
		if (entries[i].there)
			hostmap_remove(&shared, entries[i].hash, &entries[i]);
		else
			hostmap_insert(&shared, entries[i].hash, &entries[i]);
		entries[i].there = !entries[i].there;
		if (round % 16 == 0) {
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
	hostmap_free(&shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hostmap");
	TCase *t = tcase_create("hostmap");
	SRunner *sr = srunner_create(s);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rcu_setup, rcu_teardown);
	tcase_add_loop_test(t, against_array, 0, 3);
	tcase_add_test(t, hash);
	tcase_add_test(t, readers_and_a_writer);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
