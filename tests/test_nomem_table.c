/* SPDX-License-Identifier: MIT */
/* Tables and what lies below them without memory: what fails has changed nothing. */
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "../src/base/log.h"
#include "../src/base/ring.h"
#include "../src/base/secret.h"
#include "../src/peer/limit.h"
#include "../src/table/allowedips.h"
#include "../src/table/index.h"
#include "../src/table/peertable.h"
#include "nomem_try.h"
#include "rcu_fixture.h"

/* allowedips: a naive list beside it says what must be found. */

enum { N_ROUTES = 24 };

static struct allowedips table;
static struct prefix routes[N_ROUTES];
static size_t n_in;
static char owners[N_ROUTES];

static void add_route(size_t i, const char *text)
{
	ck_assert_int_eq(prefix_parse(&routes[i], text), 0);
}

/* Hosts and networks within each other: each kind of branch is made, and hosts enough to grow. */
static void make_routes(void)
{
	static const char *const nets[] = { "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24",
					    "192.168.0.0/16", "2001:db8::/32", "2001:db8:1::/48",
					    "::/0", "2001:db8:1:2::/64" };
	char text[32];

	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		add_route(i, nets[i]);
	for (size_t i = ARRAY_SIZE(nets); i < N_ROUTES; i++) {
		(void)snprintf(text, sizeof(text), i % 2 ? "10.1.2.%zu" : "2001:db8:1:2::%zu", i);
		add_route(i, text);
	}
}

static void *naive(const struct prefix *addr)
{
	const struct prefix *best = NULL;

	for (size_t i = 0; i < n_in; i++)
		if (prefix_contains(&routes[i], addr) && (!best || routes[i].cidr > best->cidr))
			best = &routes[i];
	return best ? &owners[best - routes] : NULL;
}

static void check_routes(void)
{
	for (size_t i = 0; i < N_ROUTES; i++) {
		struct prefix host = routes[i];
		void *found;

		host.cidr = prefix_bits(host.family);
		found = host.family == AF_INET ? allowedips_lookup4(&table, host.addr)
					       : allowedips_lookup6(&table, host.addr);
		ck_assert_ptr_eq(found, naive(&host));
		ck_assert_ptr_eq(allowedips_find_exact(&table, &routes[i]),
				 i < n_in ? &owners[i] : NULL);
	}
}

static void table_begin(void)
{
	allowedips_init(&table);
	n_in = 0;
}

static int insert_all(void)
{
	int err = 0;

	for (; n_in < N_ROUTES && !err; n_in += !err)
		err = allowedips_insert(&table, &routes[n_in], &owners[n_in], NULL);
	return err;
}

static void check_table(int err)
{
	ck_assert_int_eq(n_in == N_ROUTES, !err);
	check_routes();
}

/* Removing needs no memory; the hash may have left some out. */
static void table_end(void)
{
	while (n_in) {
		n_in--;
		ck_assert_int_eq(allowedips_remove(&table, &routes[n_in], &owners[n_in]), 0);
		check_routes();
	}
	rcu_barrier();
	allowedips_free(&table);
}

START_TEST(test_allowedips)
{
	static const struct nomem_work w = { .name = "allowedips", .before = table_begin,
					     .work = insert_all, .check = check_table,
					     .after = table_end };

	make_routes();
	ck_assert_uint_gt(nomem_try(&w), N_ROUTES);
}
END_TEST

/*
 * liburcu asserts that it has its own tables: without memory for those the process ends, as
 * SECURITY.md has it. What is ours around them is made, or is not.
 */
START_TEST(test_tables)
{
	struct index_table *indices;
	struct peertable *peers;

	nomem_arm(1, 0, NOMEM_HERE);
	indices = index_table_new();
	ck_assert_uint_eq(nomem_disarm(), 1);
	ck_assert_ptr_null(indices);
	nomem_arm(1, 0, NOMEM_HERE);
	peers = peertable_new();
	ck_assert_uint_eq(nomem_disarm(), 1);
	ck_assert_ptr_null(peers);
}
END_TEST

START_TEST(test_tables_end)
{
	nomem_arm(2, 0, NOMEM_HERE);
	(void)!index_table_new();
}
END_TEST

/* Locked memory, of mmap() */

enum { N_OBJECTS = 300 };

static struct secret_pool pool;
static void *objects[N_OBJECTS];
static size_t n_objects;

static int fill_pool(void)
{
	while (n_objects < N_OBJECTS) {
		objects[n_objects] = secret_pool_alloc(&pool);
		if (!objects[n_objects])
			return -ENOMEM;
		n_objects++;
	}
	return 0;
}

static void empty_pool(void)
{
	while (n_objects)
		secret_pool_free(&pool, objects[--n_objects]);
}

START_TEST(test_secret)
{
	static const struct nomem_work w = { .name = "secrets", .work = fill_pool,
					     .after = empty_pool };

	ck_assert_int_eq(secret_pool_init(&pool, 700), 0);
	ck_assert_uint_gt(nomem_try(&w), 1);
	secret_pool_destroy(&pool);
}
END_TEST

/* Limits: two queues and a meter, on first use. */

static _Atomic size_t held;
static struct limit *limit;

static int make_limit(void)
{
	static const struct limits limits = { .rate_up = 1000000, .rate_down = 1000000 };

	limit = limit_new(&held);
	if (!limit)
		return -ENOMEM;
	(void)!limit_set(limit, &limits);
	return 0;
}

static void free_limit(void)
{
	(void)limit_close(limit);
	limit_free(limit);
}

START_TEST(test_limit)
{
	static const struct nomem_work w = { .name = "limits", .work = make_limit,
					     .after = free_limit };

	ck_assert_uint_ge(nomem_try(&w), 2);
}
END_TEST

static struct ring ring;

static int make_ring(void)
{
	return ring_init(&ring, 64, 100);
}

static void free_ring(void)
{
	ring_free(&ring);
}

START_TEST(test_ring)
{
	static const struct nomem_work w = { .name = "ring", .work = make_ring,
					     .after = free_ring };

	ck_assert_uint_ge(nomem_try(&w), 2);
}
END_TEST

/* The log: what has to be said when there is no memory needs none. */
START_TEST(test_log)
{
	int ends[2];
	char text[256] = "";

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	log_error("warm");
	ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 0);
	nomem_arm(1, 1, NOMEM_ANYWHERE);
	log_event(LOG_LEVEL_ERROR, "alice", "failed", "no memory", "tenant %s: %s of %d bytes",
		  "alice", "no memory", 4096);
	ck_assert_uint_eq(nomem_disarm(), 0);
	ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, "tenant alice: no memory of 4096 bytes"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nomem_table");
	TCase *tcase = tcase_create("every allocation fails");
	SRunner *runner;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tcase, rcu_setup, rcu_teardown);
	tcase_add_test(tcase, test_allowedips);
	tcase_add_test(tcase, test_tables);
	tcase_add_test_raise_signal(tcase, test_tables_end, SIGABRT);
	tcase_add_test(tcase, test_secret);
	tcase_add_test(tcase, test_limit);
	tcase_add_test(tcase, test_ring);
	tcase_add_test(tcase, test_log);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
