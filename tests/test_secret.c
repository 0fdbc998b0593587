/* SPDX-License-Identifier: MIT */
/* Memory for secrets: zeroed, wiped, given back, hidden from children. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/base/secret.h"
#include "page_flags.h"
#include "require.h"

enum { OBJECTS = 3000, THREADS = 4 };

static bool all_are(const void *object, uint8_t value, size_t len)
{
	const uint8_t *p = object;

	while (len && *p == value)
		p++, len--;
	return !len;
}

static const struct {
	size_t size;
	int result;
} inits[] = { { 0, -EINVAL }, { SECRET_OBJECT_MAX + 1, -EINVAL }, { SIZE_MAX, -EINVAL },
	      { 1, 0 }, { 8, 0 }, { 63, 0 }, { 64, 0 }, { 65, 0 }, { 500, 0 },
	      { SECRET_OBJECT_MAX, 0 } };

START_TEST(init)
{
	struct secret_pool pool;
	size_t size = inits[_i].size;
	uint8_t *a, *b;

	ck_assert_int_eq(secret_pool_init(&pool, size), inits[_i].result);
	if (inits[_i].result)
		return;
	ck_assert_uint_eq(pool.slabs, 0);
	a = secret_pool_alloc(&pool);
	b = secret_pool_alloc(&pool);
	ck_assert(a && b && !((uintptr_t)a % SECRET_ALIGN) && !((uintptr_t)b % SECRET_ALIGN));
	memset(a, 0xaa, size);
	ck_assert(all_are(b, 0, size));
	memset(b, 0xbb, size);
	ck_assert(all_are(a, 0xaa, size));
	secret_pool_free(&pool, a);
	ck_assert(all_are(b, 0xbb, size));
	secret_pool_free(&pool, NULL);
	secret_pool_free(&pool, b);
	ck_assert_uint_eq(pool.objects, 0);
	secret_pool_destroy(&pool);
}
END_TEST

/* Random order; every object keeps its own pattern, every new one is zero. */
START_TEST(against_patterns)
{
	static struct { uint8_t *object, pattern; } held[OBJECTS];
	size_t size = 200, live = 0, i, most = 0;
	struct secret_pool pool;
	int round;

	srand(2);
	ck_assert_int_eq(secret_pool_init(&pool, size), 0);
	for (round = 0; round < 200000; round++) {
		/* Slopes: mostly up, then mostly down. */
		bool up = rand() % 100 < (round / 20000 % 2 ? 20 : 80);

		i = (size_t)rand() % OBJECTS;
		if (up && !held[i].object) {
			held[i].object = secret_pool_alloc(&pool);
			require(held[i].object);
			require(all_are(held[i].object, 0, size));
			held[i].pattern = (uint8_t)rand();
			memset(held[i].object, held[i].pattern, size);
			live++;
		} else if (!up && held[i].object) {
			require(all_are(held[i].object, held[i].pattern, size));
			secret_pool_free(&pool, held[i].object);
			held[i].object = NULL;
			live--;
		}
		require(pool.objects == live);
		most = max(most, pool.slabs);
	}
	ck_assert_uint_gt(most, 5);
	for (i = 0; i < OBJECTS; i++)
		secret_pool_free(&pool, held[i].object);
	ck_assert_uint_eq(pool.objects, 0);
	ck_assert_msg(pool.slabs == 1, "empty slabs are given back");
	secret_pool_destroy(&pool);
}
END_TEST

/* What the kernel says of the pages: "lo" locked, "dd" not dumped, "wf" wiped on fork. */
START_TEST(page_flags)
{
	char flags[PAGE_FLAGS_LINE];
	struct secret_pool pool;

	ck_assert_int_eq(secret_pool_init(&pool, 100), 0);
	page_flags_of(secret_pool_alloc(&pool), flags);
	ck_assert_ptr_nonnull(strstr(flags, " dd"));
	ck_assert_ptr_nonnull(strstr(flags, " wf"));
	if (MLOCK_WORKS)
		ck_assert(!strstr(flags, " lo") == !secret_pool_locked(&pool));
	secret_pool_destroy(&pool);
}
END_TEST

/* mlock() refused: it works all the same, and says so. */
START_TEST(not_locked)
{
	static const struct rlimit none = { 0, 0 };
	struct secret_pool pool;

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	if (!geteuid() && seteuid(65534)) /* root is not bound by the limit */
		return;
	ck_assert_int_eq(secret_pool_init(&pool, 100), 0);
	ck_assert(secret_pool_locked(&pool));
	ck_assert_ptr_nonnull(secret_pool_alloc(&pool));
	ck_assert(!secret_pool_locked(&pool));
	secret_pool_destroy(&pool);
}
END_TEST

START_TEST(wiped_in_child)
{
	struct secret_pool pool;
	uint8_t *object;
	int status;
	pid_t pid;

	ck_assert_int_eq(secret_pool_init(&pool, 100), 0);
	object = secret_pool_alloc(&pool);
	memset(object, 0xaa, 100);
	pid = fork();
	if (!pid)
		_exit(all_are(object, 0, 100) ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(all_are(object, 0xaa, 100));
	secret_pool_destroy(&pool);
}
END_TEST

static struct secret_pool shared;

static void *churn(void *arg)
{
	uint8_t *held[50] = { NULL };
	uintptr_t faults = 0;
	unsigned seed = (unsigned)(uintptr_t)arg;
	int round;

	for (round = 0; round < 20000; round++) {
		size_t i = (size_t)rand_r(&seed) % ARRAY_SIZE(held);

		if (held[i]) {
			faults += !all_are(held[i], (uint8_t)(uintptr_t)arg, 1000);
			secret_pool_free(&shared, held[i]);
			held[i] = NULL;
		} else {
			held[i] = secret_pool_alloc(&shared);
			faults += !all_are(held[i], 0, 1000);
			memset(held[i], (int)(uintptr_t)arg, 1000);
		}
	}
	for (round = 0; round < (int)ARRAY_SIZE(held); round++)
		secret_pool_free(&shared, held[round]);
	return (void *)faults;
}

START_TEST(from_threads)
{
	pthread_t threads[THREADS];
	void *faults;
	uintptr_t i;

	ck_assert_int_eq(secret_pool_init(&shared, 1000), 0);
	for (i = 0; i < THREADS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, churn, (void *)(i + 1)));
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &faults);
		ck_assert_ptr_null(faults);
	}
	ck_assert_uint_eq(shared.objects, 0);
	ck_assert_uint_eq(shared.slabs, 1);
	secret_pool_destroy(&shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("secret");
	TCase *t = tcase_create("secret");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, init, 0, ARRAY_SIZE(inits));
	tcase_add_test(t, against_patterns);
	tcase_add_test(t, page_flags);
	if (MLOCK_WORKS)
		tcase_add_test(t, not_locked);
	tcase_add_test(t, wiped_in_child);
	tcase_add_test(t, from_threads);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
