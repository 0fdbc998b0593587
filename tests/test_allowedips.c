/* SPDX-License-Identifier: MIT */
/*
 * Crypto-key routing against a list that is searched from end to end, against
 * the published table of operations, and with readers while it changes.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../src/table/allowedips.h"
#include "rcu_fixture.h"
#include "require.h"
#include "vectors.h"

static uint64_t state = 88172645463325252;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	require(!prefix_parse(&p, text));
	return p;
}

static void *lookup(const struct allowedips *table, const struct prefix *p)
{
	return p->family == AF_INET ? allowedips_lookup4(table, p->addr) :
				      allowedips_lookup6(table, p->addr);
}

/* ---- the naive one ---- */

enum { NAIVE_MAX = 2000 };

struct naive {
	struct { struct prefix prefix; void *value; } of[NAIVE_MAX];
	size_t n;
};

static void *naive_lookup(const struct naive *list, const struct prefix *address)
{
	void *found = NULL;
	int longest = -1;
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (list->of[i].prefix.cidr <= longest ||
		    !prefix_contains(&list->of[i].prefix, address))
			continue;
		longest = list->of[i].prefix.cidr;
		found = list->of[i].value;
	}
	return found;
}

static size_t naive_find(const struct naive *list, const struct prefix *p)
{
	size_t i;

	for (i = 0; i < list->n && !prefix_equal(&list->of[i].prefix, p); i++)
		;
	return i;
}

static void *naive_insert(struct naive *list, const struct prefix *p, void *value)
{
	size_t i = naive_find(list, p);
	void *previous = i < list->n ? list->of[i].value : NULL;

	require(i < NAIVE_MAX);
	list->of[i].prefix = *p;
	list->of[i].value = value;
	list->n += i == list->n;
	return previous;
}

static void naive_remove_at(struct naive *list, size_t i)
{
	list->of[i] = list->of[--list->n];
}

/* Does one of others than `but` overlap? If so the value must be the owner of such a one. */
static bool naive_overlap_is(const struct naive *list, const struct prefix *p, const void *but,
			     const void *value)
{
	bool any = false, owned = false;
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (!prefix_contains(&list->of[i].prefix, p) &&
		    !prefix_contains(p, &list->of[i].prefix))
			continue;
		if (list->of[i].value == but)
			continue;
		any = true;
		owned |= list->of[i].value == value;
	}
	return any ? owned : !value;
}

/* ---- random operations ---- */

/*
 * Few bits in play, so that prefixes nest, share branches and collide: each
 * byte is one of two values, and lengths prefer the ends of bytes.
 */
static struct prefix rnd_prefix(bool whole)
{
	static const uint8_t bytes[][2] = { { 0x00, 0xff }, { 0x20, 0x21 }, { 0x80, 0x00 } };
	struct prefix p = { .family = rnd() % 2 ? AF_INET : AF_INET6 }, out;
	unsigned bits = prefix_bits(p.family), i, kind = rnd() % ARRAY_SIZE(bytes);
	char text[PREFIX_STRLEN];

	for (i = 0; i < bits / 8; i++)
		p.addr[i] = i > 2 && rnd() % 8 ? 0 : bytes[kind][rnd() % 2];
	p.cidr = (uint8_t)(whole || rnd() % 3 == 0 ? bits : rnd() % (bits + 1));
	/* There and back: clears the bits behind the length. */
	require(!prefix_parse(&out, prefix_format(&p, text)));
	return out;
}

static void check_queries(const struct allowedips *table, const struct naive *list, int n)
{
	struct allowedips trie; /* the same without the short cut of its hash */
	struct prefix p;
	size_t i;

	allowedips_init(&trie);
	rcu_publish(&trie.root4, rcu_read(&table->root4));
	rcu_publish(&trie.root6, rcu_read(&table->root6));
	while (n--) {
		p = rnd_prefix(true);
		/* Half of them in or next to something that is there. */
		if (list->n && rnd() % 2) {
			p = list->of[rnd() % list->n].prefix;
			p.cidr = (uint8_t)prefix_bits(p.family);
			p.addr[rnd() % (p.cidr / 8)] ^= (uint8_t)(rnd() % 2 << rnd() % 8);
		}
		require(lookup(table, &p) == naive_lookup(list, &p));
		require(lookup(&trie, &p) == naive_lookup(list, &p));

		p = rnd_prefix(false);
		i = naive_find(list, &p);
		require(allowedips_find_exact(table, &p) ==
			(i < list->n ? list->of[i].value : NULL));
		require(naive_overlap_is(list, &p, NULL, allowedips_overlap(table, &p, NULL)));
		if (list->n) {
			const void *but = list->of[rnd() % list->n].value;

			require(naive_overlap_is(list, &p, but,
						 allowedips_overlap(table, &p, but)));
		}
	}
}

START_TEST(random_operations)
{
	static struct naive list;
	struct allowedips table;
	void *value, *previous;
	struct prefix p;
	size_t i, most = 0;
	int round;

	state += (uint64_t)_i;
	list.n = 0;
	allowedips_init(&table);
	for (round = 0; round < 6000; round++) {
		bool grow = rnd() % 100 < (round / 1000 % 2 ? 25 : 75);

		p = rnd_prefix(false);
		value = (void *)(uintptr_t)(1 + rnd() % 50);
		if (grow) {
			require(!allowedips_insert(&table, &p, value, &previous));
			require(previous == naive_insert(&list, &p, value));
		} else {
			if (list.n && rnd() % 8)
				p = list.of[rnd() % list.n].prefix;
			i = naive_find(&list, &p);
			if (i == list.n || rnd() % 8 == 0) { /* absent, or another's */
				require(allowedips_remove(&table, &p, &list) == -ENOENT);
			} else {
				require(!allowedips_remove(&table, &p, list.of[i].value));
				naive_remove_at(&list, i);
			}
		}
		most = max(most, list.n);
		require(allowedips_empty(&table) == !list.n);
		check_queries(&table, &list, 5);
	}
	require(most > 300);
	/* And down to nothing. */
	while (list.n) {
		i = rnd() % list.n;
		require(!allowedips_remove(&table, &list.of[i].prefix, list.of[i].value));
		naive_remove_at(&list, i);
		check_queries(&table, &list, 2);
	}
	require(allowedips_empty(&table));
	allowedips_free(&table);
}
END_TEST

/* ---- by hand ---- */

START_TEST(nested)
{
	struct prefix all = prefix("::/0"), net = prefix("2001:db8::/32"),
		      host = prefix("2001:db8::1"), other = prefix("2001:db8::2"),
		      far = prefix("fd00::1"), v4 = prefix("32.1.13.184"),
		      all4 = prefix("0.0.0.0/0");
	struct allowedips table;
	char a, b, c;

	allowedips_init(&table);
	ck_assert(allowedips_empty(&table));
	ck_assert_ptr_null(lookup(&table, &host));
	ck_assert_int_eq(allowedips_insert(&table, &host, &a, NULL), 0);
	ck_assert_int_eq(allowedips_insert(&table, &net, &b, NULL), 0);
	ck_assert_int_eq(allowedips_insert(&table, &all, &c, NULL), 0);
	ck_assert_ptr_eq(lookup(&table, &host), &a);
	ck_assert_ptr_eq(lookup(&table, &other), &b);
	ck_assert_ptr_eq(lookup(&table, &far), &c);
	ck_assert_msg(!lookup(&table, &v4), "families are apart");
	ck_assert_ptr_null(allowedips_overlap(&table, &all4, NULL));
	ck_assert_ptr_eq(allowedips_find_exact(&table, &net), &b);
	ck_assert_ptr_null(allowedips_find_exact(&table, &other));
	ck_assert_int_eq(allowedips_remove(&table, &net, &a), -ENOENT);
	ck_assert_int_eq(allowedips_remove(&table, &net, &b), 0);
	ck_assert_ptr_eq(lookup(&table, &other), &c);
	ck_assert_ptr_eq(lookup(&table, &host), &a);
	ck_assert_int_eq(allowedips_remove(&table, &all, &c), 0);
	ck_assert_ptr_null(lookup(&table, &other));
	ck_assert_ptr_eq(allowedips_overlap(&table, &all, NULL), &a);
	allowedips_free(&table);
	ck_assert(allowedips_empty(&table));
}
END_TEST

/* 129 routes inside one another: as deep as it gets, also for freeing. */
START_TEST(deepest)
{
	struct prefix p = { .family = AF_INET6 }, address = { .family = AF_INET6, .cidr = 128 };
	struct allowedips table;
	static char values[129];
	unsigned n, i;

	allowedips_init(&table);
	for (n = 0; n <= 128; n++) { /* ones, as long as the prefix is */
		if (n)
			p.addr[(n - 1) / 8] |= (uint8_t)(0x80 >> (n - 1) % 8);
		p.cidr = (uint8_t)n;
		ck_assert_int_eq(allowedips_insert(&table, &p, &values[n], NULL), 0);
	}
	memset(address.addr, 0xff, sizeof(address.addr));
	ck_assert_ptr_eq(lookup(&table, &address), &values[128]);
	for (i = 0; i < 128; i++) {
		address.addr[i / 8] ^= (uint8_t)(0x80 >> i % 8);
		ck_assert_ptr_eq(lookup(&table, &address), &values[i]);
		/* and one beside it at each depth: the tree is as full as can be */
		ck_assert_int_eq(allowedips_insert(&table, &address, &values[0], NULL), 0);
		address.addr[i / 8] ^= (uint8_t)(0x80 >> i % 8);
	}
	allowedips_free(&table);
}
END_TEST

/* ---- the published operations ---- */

struct owned {
	struct prefix prefix;
	char owner;
};

struct play {
	struct allowedips table;
	struct owned owned[512]; /* as a peer's own list of prefixes would know it */
	size_t n;
};

static char names[128]; /* "a" is &names['a'] */

static void play_remove_at(struct play *p, size_t i)
{
	void *value = &names[(int)p->owned[i].owner];

	require(!allowedips_remove(&p->table, &p->owned[i].prefix, value));
	p->owned[i] = p->owned[--p->n];
}

static void play_insert(struct play *p, char owner, const char *text)
{
	struct owned new_one = { prefix(text), owner };
	void *previous;
	size_t i;

	require(!allowedips_insert(&p->table, &new_one.prefix, &names[(int)owner], &previous));
	for (i = 0; i < p->n && !prefix_equal(&p->owned[i].prefix, &new_one.prefix); i++)
		;
	require(i < p->n ? previous == &names[(int)p->owned[i].owner] : !previous);
	p->owned[i] = new_one;
	p->n += i == p->n;
}

/* Each operation names its peer or null; removing what a peer does not own changes nothing. */
static void play_remove(struct play *p, const char *owner, const char *text)
{
	struct prefix gone = prefix(text);
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (prefix_equal(&p->owned[i].prefix, &gone) && owner &&
		    p->owned[i].owner == *owner) {
			play_remove_at(p, i);
			return;
		}
	}
	require(allowedips_remove(&p->table, &gone, owner ? &names[(int)*owner] : names) ==
		-ENOENT);
}

static void play_enumerate(const struct play *p, char owner, const json_t *want)
{
	size_t i, n = 0;

	for (i = 0; i < p->n; i++)
		n += p->owned[i].owner == owner;
	require(n == json_array_size(want));
	for (i = 0; i < n; i++) {
		struct prefix q = prefix(json_string_value(json_array_get(want, i)));

		require(allowedips_find_exact(&p->table, &q) == &names[(int)owner]);
	}
}

static void play_op(struct play *p, const json_t *op)
{
	const char *what = json_string_value(json_array_get(op, 0));
	const char *one = json_string_value(json_array_get(op, 1));
	const char *two = json_string_value(json_array_get(op, 2));
	struct prefix address;
	size_t i;

	if (!strcmp(what, "insert")) {
		play_insert(p, *one, two);
	} else if (!strcmp(what, "lookup")) {
		address = prefix(one);
		require(lookup(&p->table, &address) == (two ? &names[(int)*two] : NULL));
	} else if (!strcmp(what, "lookup_not")) {
		address = prefix(one);
		require(lookup(&p->table, &address) != &names[(int)*two]);
	} else if (!strcmp(what, "remove")) {
		play_remove(p, one, two);
	} else if (!strcmp(what, "remove_peer")) {
		for (i = p->n; i > 0; i--)
			if (p->owned[i - 1].owner == *one)
				play_remove_at(p, i - 1);
	} else if (!strcmp(what, "clear")) {
		allowedips_free(&p->table);
		p->n = 0;
	} else if (!strcmp(what, "enumerate")) {
		play_enumerate(p, *one, json_array_get(op, 2));
	} else {
		require(!strcmp(what, "note"));
	}
}

START_TEST(published)
{
	json_t *root = vectors_load("tables/allowedips.json");
	static struct play p;
	json_t *op;
	size_t i;

	if (!root)
		return;
	allowedips_init(&p.table);
	json_array_foreach(vectors_get(root, "ops"), i, op)
		play_op(&p, op);
	ck_assert_uint_ge(i, 200);
	allowedips_free(&p.table);
	json_decref(root);
}
END_TEST

/* ---- readers while it changes ---- */

enum { READERS = 2, HOSTS = 64, WRITES = 30000 };

/* The value of every prefix is one of its length and bits, so a reader can judge it. */
static struct { struct prefix prefix; uint64_t alive; } hosts[HOSTS];
static struct allowedips shared;
static atomic_bool stop;

static struct prefix host_prefix(unsigned i)
{
	char text[64];

	/* Lengths from 112 on, so that they nest. */
	snprintf(text, sizeof(text), "2001:db8::%x/%u", (i * 2654435761u) % 256, 112 + i % 17);
	return prefix(text);
}

static void *read_all(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg + 1;
	uintptr_t faults = 0;

	rcu_register_thread();
	rcu_turn_end();
	while (!stop) {
		int i;

		rcu_turn_begin();
		for (i = 0; i < 100; i++) {
			struct prefix address = prefix("2001:db8::");
			const struct prefix *found;

			seed = seed * 6364136223846793005 + 1442695040888963407;
			address.addr[15] = (uint8_t)(seed >> 56);
			found = lookup(&shared, &address);
			/* Never somebody whose prefix is another; and ::/0 is always there. */
			faults += !found || !prefix_contains(found, &address);
			allowedips_overlap(&shared, &address, NULL);
			allowedips_find_exact(&shared, &address);
		}
		rcu_turn_end();
	}
	rcu_unregister_thread();
	return (void *)faults;
}

START_TEST(readers_and_a_writer)
{
	struct prefix all = prefix("::/0");
	pthread_t threads[READERS];
	bool there[HOSTS] = { false };
	void *faults;
	unsigned i, n;

	allowedips_init(&shared);
	ck_assert_int_eq(allowedips_insert(&shared, &all, &all, NULL), 0);
	for (i = 0; i < HOSTS; i++)
		hosts[i].prefix = host_prefix(i);
	for (i = 0; i < READERS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, read_all, (void *)(uintptr_t)i));
	for (n = 0; n < WRITES; n++) {
		i = rnd() % HOSTS;
		if (there[i])
			allowedips_remove(&shared, &hosts[i].prefix, &hosts[i].prefix);
		else
			require(!allowedips_insert(&shared, &hosts[i].prefix, &hosts[i].prefix,
						   NULL));
		there[i] = !there[i];
		if (n % 16 == 0) {
			rcu_turn_end();
			sched_yield();
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
	allowedips_free(&shared);
}
END_TEST

/* ---- how fast; nothing is asserted ---- */

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static const size_t sizes[] = { 1, 1000, 100000 };

START_TEST(speed)
{
	enum { LOOKUPS = 1000000 };
	size_t n = sizes[_i], i;
	struct prefix *p = calloc(n, sizeof(*p));
	struct allowedips table;
	uintptr_t found = 0;
	double from;

	allowedips_init(&table);
	for (i = 0; i < n; i++) { /* addresses of tenants under one /64 */
		uint64_t low = rnd();

		p[i] = prefix("2001:db8:dead:beef::");
		memcpy(p[i].addr + 8, &low, 8);
		require(!allowedips_insert(&table, &p[i], &p[i], NULL));
	}
	from = seconds();
	for (i = 0; i < LOOKUPS; i++)
		found += allowedips_lookup6(&table, p[i * 7919 % n].addr) == &p[i * 7919 % n];
	fprintf(stderr, "allowedips: %.1f ns/lookup among %zu /128s\n",
		(seconds() - from) * 1e9 / LOOKUPS, n);
	ck_assert_uint_eq(found, LOOKUPS);
	allowedips_free(&table);
	free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("allowedips");
	TCase *t = tcase_create("allowedips");
	SRunner *sr = srunner_create(s);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, rcu_setup, rcu_teardown);
	tcase_add_test(t, nested);
	tcase_add_test(t, deepest);
	tcase_add_test(t, published);
	tcase_add_loop_test(t, random_operations, 0, 2);
	tcase_add_test(t, readers_and_a_writer);
	tcase_add_loop_test(t, speed, 0, ARRAY_SIZE(sizes));
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
