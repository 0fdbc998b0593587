/* SPDX-License-Identifier: MIT */
/* The next free address: against one that looks at each address in turn. */
#include "../tools/berth/freeaddress.h"

#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static struct prefix range(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return p;
}

/* The address for name in pool, "-" if it is full. */
static const char *find(const char *pool, struct prefix *taken, size_t n, const char *name)
{
	static char text[PREFIX_STRLEN];
	struct prefix p = range(pool), out;
	int err;

	if (n)
		qsort(taken, n, sizeof(*taken), freeaddress_compare);
	err = freeaddress_find(&p, taken, n, name, &out);
	if (err) {
		ck_assert_int_eq(err, -ENOSPC);
		return "-";
	}
	ck_assert(prefix_is_host(&out) && prefix_contains(&p, &out));
	return prefix_format(&out, text);
}

/* The rule is for ever: an operator's notes and DNS have these addresses. */
START_TEST(stable)
{
	ck_assert_str_eq(find("2001:db8:beef::/64", NULL, 0, "blog"),
			 "2001:db8:beef:0:daaf:f4b0:fba5:8ce3/128");
	ck_assert_str_eq(find("203.0.113.8/30", NULL, 0, "phone"), "203.0.113.9/32");
}
END_TEST

/* Names go to different places, and the same name in another prefix too. */
START_TEST(scattered)
{
	char first[PREFIX_STRLEN];

	strcpy(first, find("2001:db8::/64", NULL, 0, "alice"));
	ck_assert_str_ne(first, find("2001:db8::/64", NULL, 0, "bob"));
	ck_assert_str_ne(first + strlen("2001:db8::"),
			 find("2001:db9::/64", NULL, 0, "alice") + strlen("2001:db9::"));
}
END_TEST

static const struct {
	const char *pool;
	size_t room; /* tenants until it is full */
} pools[] = {
	/* 0 */ { "2001:db8::/120", 255 },
	/* 1 */ { "2001:db8::/124", 15 },
	/* 2 */ { "2001:db8::/126", 3 },
	/* 3 */ { "2001:db8::/127", 2 },
	/* 4 */ { "2001:db8::7/128", 1 },
	/* 5 */ { "192.0.2.0/24", 254 },
	/* 6 */ { "192.0.2.0/30", 2 },
	/* 7 */ { "192.0.2.6/31", 2 },
	/* 8 */ { "192.0.2.7/32", 1 },
	/* 9: where numbers end */ { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124", 15 },
	/* 10 */ { "255.255.255.252/30", 2 },
	/* 11 */ { "0.0.0.0/30", 2 },
};

/* As many names as there are addresses, each one different, and not one more. */
START_TEST(fills)
{
	struct prefix pool = range(pools[_i].pool), taken[256];
	size_t n = 0;
	char name[16];

	for (;;) {
		struct prefix out;

		snprintf(name, sizeof(name), "t%zu", n);
		qsort(taken, n, sizeof(*taken), freeaddress_compare);
		if (freeaddress_find(&pool, taken, n, name, &out))
			break;
		ck_assert(prefix_contains(&pool, &out));
		for (size_t i = 0; i < n; i++)
			ck_assert(!prefix_equal(&taken[i], &out));
		ck_assert_uint_lt(n, pools[_i].room);
		taken[n++] = out;
	}
	ck_assert_uint_eq(n, pools[_i].room);
}
END_TEST

START_TEST(never_the_first)
{
	struct prefix pool = range("2001:db8::/126"), out;
	char name[16];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		ck_assert_int_eq(freeaddress_find(&pool, NULL, 0, name, &out), 0);
		ck_assert_int_ne(out.addr[15], 0);
	}
}
END_TEST

/* Whole ranges are stepped over, also nested ones, ones around the pool, and other families'. */
START_TEST(ranges)
{
	struct prefix half[] = { range("2001:db8::/65"), range("2001:db8::1:0/112"),
				 range("10.0.0.0/8"), range("2001:db8::5/128") };
	struct prefix all[] = { range("2001:db8::/65"), range("2001:db8:0:0:8000::/65") };
	struct prefix around[] = { range("2001:db8::/32") };
	struct prefix out, pool = range("2001:db8::/64");
	char name[16];

	qsort(half, ARRAY_SIZE(half), sizeof(*half), freeaddress_compare);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		ck_assert_int_eq(freeaddress_find(&pool, half, ARRAY_SIZE(half), name, &out), 0);
		ck_assert_int_ge(out.addr[8], 0x80);
	}
	ck_assert_str_eq(find("2001:db8::/64", all, ARRAY_SIZE(all), "x"), "-");
	ck_assert_str_eq(find("2001:db8::/64", around, ARRAY_SIZE(around), "x"), "-");
}
END_TEST

static bool is_taken(const struct prefix *taken, size_t n, const struct prefix *host)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_contains(&taken[i], host))
			return true;
	return false;
}

/* The first free one from where an empty pool would have begun. */
static int find_slowly(const struct prefix *pool, const struct prefix *taken, size_t n,
		       const char *name, struct prefix *out)
{
	struct prefix host;

	ck_assert_int_eq(freeaddress_find(pool, NULL, 0, name, &host), 0);
	for (unsigned i = 0; i < 256; i++) {
		if (host.addr[15] && !is_taken(taken, n, &host)) {
			*out = host;
			return 0;
		}
		host.addr[15]++;
	}
	return -ENOSPC;
}

START_TEST(as_the_slow_one)
{
	struct prefix pool = range("2001:db8::/120"), taken[40];
	unsigned full = 0;
	char name[16];

	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct prefix fast, slow;
		size_t n = (size_t)rand() % ARRAY_SIZE(taken);
		int err;

		for (size_t i = 0; i < n; i++) {
			char text[PREFIX_STRLEN];

			snprintf(text, sizeof(text), "2001:db8::%x/%d", rand() % 256,
				 121 + rand() % 8);
			taken[i] = range(text);
		}
		qsort(taken, n, sizeof(*taken), freeaddress_compare);
		snprintf(name, sizeof(name), "t%d", round);
		err = freeaddress_find(&pool, taken, n, name, &fast);
		ck_assert_int_eq(err, find_slowly(&pool, taken, n, name, &slow));
		ck_assert(err || prefix_equal(&fast, &slow));
		full += err != 0;
	}
	/* Both kinds of answers were seen. */
	ck_assert_uint_gt(full, 10);
	ck_assert_uint_lt(full, 2990);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("berth_freeaddress");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_test(t, stable);
	tcase_add_test(t, scattered);
	tcase_add_loop_test(t, fills, 0, ARRAY_SIZE(pools));
	tcase_add_test(t, never_the_first);
	tcase_add_test(t, ranges);
	tcase_add_test(t, as_the_slow_one);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
