/* SPDX-License-Identifier: MIT */
/* Address ranges: what is accepted, what is refused, who contains whom. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "../src/base/prefix.h"

static const struct {
	const char *text, *canonical; /* NULL: refused */
} parses[] = {
	{ "192.0.2.1", "192.0.2.1/32" },
	{ "192.0.2.1/32", "192.0.2.1/32" },
	{ "192.0.2.255/24", "192.0.2.0/24" },
	{ "192.0.2.255/25", "192.0.2.128/25" },
	{ "192.0.2.255/31", "192.0.2.254/31" },
	{ "255.255.255.255/1", "128.0.0.0/1" },
	{ "255.255.255.255/0", "0.0.0.0/0" },
	{ "0.0.0.0/0", "0.0.0.0/0" },
	{ "::/0", "::/0" },
	{ "2001:db8::1", "2001:db8::1/128" },
	{ "2001:DB8:0:0::1/128", "2001:db8::1/128" },
	{ "2001:db8:ffff::/33", "2001:db8:8000::/33" },
	{ "2001:db8::ffff/127", "2001:db8::fffe/127" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/64", "ffff:ffff:ffff:ffff::/64" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
	{ "::ffff:192.0.2.1/128", "::ffff:192.0.2.1/128" },
	{ "", NULL },
	{ "/", NULL },
	{ "/24", NULL },
	{ "192.0.2.1/", NULL },
	{ "192.0.2.1/33", NULL },
	{ "192.0.2.1/-1", NULL },
	{ "192.0.2.1/+1", NULL },
	{ "192.0.2.1/ 1", NULL },
	{ "192.0.2.1/1 ", NULL },
	{ "192.0.2.1/024", NULL },
	{ "192.0.2.1/00", NULL },
	{ "192.0.2.1/0x8", NULL },
	{ "192.0.2.1/4294967304", NULL },
	{ "192.0.2.1/24/24", NULL },
	{ "192.0.2.1/255.255.255.0", NULL },
	{ " 192.0.2.1", NULL },
	{ "192.0.2.1 ", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.01", NULL },
	{ "192.0.2.256", NULL },
	{ "192.0.2.1.1", NULL },
	{ "3221225985", NULL },
	{ "2001:db8::1/129", NULL },
	{ "2001:db8::1/1000", NULL },
	{ "2001:db8::1::/64", NULL },
	{ "2001:db8:1", NULL },
	{ "[2001:db8::1]/64", NULL },
	{ "fe80::1%2/64", NULL },
	{ "fe80::1%lo", NULL },
	{ ":/0", NULL },
	{ "example.com", NULL },
	{ "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff:1111:2222:3333:4444:5555/64", NULL },
};

START_TEST(parse)
{
	struct prefix p, again;
	char buf[PREFIX_STRLEN];

	memset(&p, 0xaa, sizeof(p));
	if (!parses[_i].canonical) {
		ck_assert_int_eq(prefix_parse(&p, parses[_i].text), -EINVAL);
		return;
	}
	ck_assert_int_eq(prefix_parse(&p, parses[_i].text), 0);
	ck_assert_str_eq(prefix_format(&p, buf), parses[_i].canonical);
	ck_assert_int_eq(prefix_parse(&again, buf), 0);
	ck_assert(prefix_equal(&p, &again));
	ck_assert_mem_eq(&p, &again, sizeof(p));
}
END_TEST

static const struct {
	const char *outer, *inner;
	bool contains;
} pairs[] = {
	{ "0.0.0.0/0", "192.0.2.1/32", true },
	{ "192.0.2.0/24", "192.0.2.255/32", true },
	{ "192.0.2.0/24", "192.0.2.0/24", true },
	{ "192.0.2.0/24", "192.0.2.0/23", false },
	{ "192.0.2.0/24", "192.0.3.0/24", false },
	{ "192.0.2.0/25", "192.0.2.128/25", false },
	{ "192.0.2.1/32", "192.0.2.1/32", true },
	{ "::/0", "2001:db8::/32", true },
	{ "2001:db8::/32", "2001:db8:ffff::1/128", true },
	{ "2001:db8::/33", "2001:db8:8000::/33", false },
	{ "2001:db8::/127", "2001:db8::1/128", true },
	{ "2001:db8::/127", "2001:db8::2/128", false },
	{ "::/0", "192.0.2.1/32", false },
	{ "0.0.0.0/0", "::/0", false },
};

START_TEST(contains)
{
	struct prefix outer, inner;

	ck_assert_int_eq(prefix_parse(&outer, pairs[_i].outer), 0);
	ck_assert_int_eq(prefix_parse(&inner, pairs[_i].inner), 0);
	ck_assert(prefix_contains(&outer, &inner) == pairs[_i].contains);
	ck_assert(prefix_equal(&outer, &inner) == prefix_equal(&inner, &outer));
	ck_assert(prefix_equal(&outer, &inner) ==
		  (pairs[_i].contains && prefix_contains(&inner, &outer)));
}
END_TEST

START_TEST(longest_text_fits)
{
	static const uint8_t most[16] = { 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
					  0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa };
	struct prefix p = { .family = AF_INET6, .cidr = 128 };
	char buf[PREFIX_STRLEN];

	memcpy(p.addr, most, sizeof(most));
	ck_assert_str_eq(prefix_format(&p, buf), "aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa/128");
	ck_assert(prefix_is_host(&p));
	p.cidr = 127;
	ck_assert(!prefix_is_host(&p));
	p.family = AF_UNSPEC;
	ck_assert_str_eq(prefix_format(&p, buf), "(none)");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prefix");
	TCase *t = tcase_create("prefix");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, parse, 0, ARRAY_SIZE(parses));
	tcase_add_loop_test(t, contains, 0, ARRAY_SIZE(pairs));
	tcase_add_test(t, longest_text_fits);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
