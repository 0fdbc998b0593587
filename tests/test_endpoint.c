/* SPDX-License-Identifier: MIT */
/* UDP addresses: what is accepted, what is refused, what makes two the same. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "../src/base/endpoint.h"

static const struct {
	const char *text, *canonical; /* NULL: refused */
} parses[] = {
	{ "192.0.2.1:51820", "192.0.2.1:51820" },
	{ "192.0.2.1:1", "192.0.2.1:1" },
	{ "192.0.2.1:65535", "192.0.2.1:65535" },
	{ "[2001:db8::1]:51820", "[2001:db8::1]:51820" },
	{ "[2001:DB8:0::1]:51820", "[2001:db8::1]:51820" },
	{ "[fe80::1%2]:51820", "[fe80::1%2]:51820" },
	{ "[fe80::1%4294967295]:65535", "[fe80::1%4294967295]:65535" },
	{ "[::ffff:192.0.2.1]:51820", "192.0.2.1:51820" },
	{ "[::]:1", "[::]:1" },
	{ "", NULL },
	{ ":", NULL },
	{ ":51820", NULL },
	{ "[]:51820", NULL },
	{ "[", NULL },
	{ "[2001:db8::1]", NULL },
	{ "[2001:db8::1]51820", NULL },
	{ "[2001:db8::1]:", NULL },
	{ "[2001:db8::1]:0", NULL },
	{ "[2001:db8::1]:65536", NULL },
	{ "[2001:db8::1]:051820", NULL },
	{ "[2001:db8::1]:51820 ", NULL },
	{ "[2001:db8::1]:+5182", NULL },
	{ "[2001:db8::1]:99999999999999999999", NULL },
	{ "[192.0.2.1]:51820", NULL },
	{ "2001:db8::1:51820", NULL },
	{ "[fe80::1%]:51820", NULL },
	{ "[fe80::1%4294967296]:51820", NULL },
	{ "[fe80::1%02]:51820", NULL },
	{ "[fe80::1%eth0]:51820", NULL },
	{ "[fe80::1%2%3]:51820", NULL },
	{ "[::ffff:192.0.2.1%2]:51820", NULL },
	{ "192.0.2.1", NULL },
	{ "192.0.2.1:", NULL },
	{ "192.0.2.1:0", NULL },
	{ "192.0.2.1:65536", NULL },
	{ "192.0.2.1:-1", NULL },
	{ "192.0.2.1:http", NULL },
	{ "192.0.2.01:51820", NULL },
	{ " 192.0.2.1:51820", NULL },
	{ "192.0.2:51820", NULL },
	{ "example.com:51820", NULL },
	{ "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff:1111:2222:3333:4444:5555:6666:7777]:1", NULL },
};

START_TEST(parse)
{
	struct endpoint e, again;
	char buf[ENDPOINT_STRLEN];

	memset(&e, 0xaa, sizeof(e));
	if (!parses[_i].canonical) {
		ck_assert_int_eq(endpoint_parse(&e, parses[_i].text), -EINVAL);
		return;
	}
	ck_assert_int_eq(endpoint_parse(&e, parses[_i].text), 0);
	ck_assert(endpoint_is_set(&e));
	ck_assert_uint_eq(e.src_ifindex, 0);
	ck_assert_str_eq(endpoint_format(&e, buf), parses[_i].canonical);
	ck_assert_int_eq(endpoint_parse(&again, buf), 0);
	ck_assert(endpoint_equal(&e, &again));
}
END_TEST

static struct endpoint from(const char *text)
{
	struct endpoint e;

	ck_assert_int_eq(endpoint_parse(&e, text), 0);
	return e;
}

START_TEST(same_and_equal)
{
	static const char *const all[] = { "192.0.2.1:1",   "192.0.2.1:2",   "192.0.2.2:1",
					   "[2001:db8::1]:1", "[2001:db8::1]:2",
					   "[2001:db8::2]:1", "[fe80::1%1]:1", "[fe80::1%2]:1" };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		for (j = 0; j < ARRAY_SIZE(all); j++) {
			struct endpoint a = from(all[i]), b = from(all[j]);

			ck_assert(endpoint_same_remote(&a, &b) == (i == j));
			ck_assert(endpoint_equal(&a, &b) == (i == j));
		}
	}
}
END_TEST

START_TEST(local_side)
{
	static const char *const remotes[] = { "192.0.2.1:1", "[2001:db8::1]:1" };
	struct endpoint a = from(remotes[_i]), b = from(remotes[_i]);

	a.src_ifindex = 3;
	ck_assert(endpoint_same_remote(&a, &b) && !endpoint_equal(&a, &b));
	endpoint_clear_src(&a);
	ck_assert(endpoint_equal(&a, &b));
	if (a.addr.sa_family == AF_INET)
		a.src4.s_addr = htonl(0xc0000203);
	else
		a.src6.s6_addr[15] = 3;
	ck_assert(endpoint_same_remote(&a, &b) && !endpoint_equal(&a, &b));
	endpoint_clear_src(&a);
	ck_assert(endpoint_equal(&a, &b));

	/* A flow label says nothing about who it is. */
	if (a.addr.sa_family == AF_INET6) {
		a.addr6.sin6_flowinfo = 7;
		ck_assert(endpoint_equal(&a, &b));
	}
}
END_TEST

START_TEST(bytes)
{
	static const uint8_t want4[] = { 192, 0, 2, 1, 0xca, 0x6c };
	static const uint8_t want6[] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0,    0,   0,
					 0,    0,    0,    0,    0, 0, 1, 0xca, 0x6c };
	struct endpoint e4 = from("192.0.2.1:51820"), e6 = from("[2001:db8::1]:51820");
	uint8_t out[ENDPOINT_BYTES];
	const uint8_t *addr;

	ck_assert_uint_eq(endpoint_cookie_bytes(&e4, out), 6);
	ck_assert_mem_eq(out, want4, 6);
	ck_assert_uint_eq(endpoint_cookie_bytes(&e6, out), 18);
	ck_assert_mem_eq(out, want6, 18);
	ck_assert_uint_eq(endpoint_source_bytes(&e4, &addr), 4);
	ck_assert_mem_eq(addr, want4, 4);
	ck_assert_uint_eq(endpoint_source_bytes(&e6, &addr), 16);
	ck_assert_mem_eq(addr, want6, 16);
}
END_TEST

START_TEST(unset)
{
	struct endpoint none = { 0 }, e = from("192.0.2.1:1");
	uint8_t out[ENDPOINT_BYTES];
	char buf[ENDPOINT_STRLEN];
	const uint8_t *addr;

	ck_assert(!endpoint_is_set(&none));
	ck_assert_str_eq(endpoint_format(&none, buf), "(none)");
	ck_assert(endpoint_equal(&none, &none));
	ck_assert(!endpoint_same_remote(&none, &e));
	ck_assert_uint_eq(endpoint_cookie_bytes(&none, out), 0);
	ck_assert_uint_eq(endpoint_source_bytes(&none, &addr), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("endpoint");
	TCase *t = tcase_create("endpoint");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, parse, 0, ARRAY_SIZE(parses));
	tcase_add_test(t, same_and_equal);
	tcase_add_loop_test(t, local_side, 0, 2);
	tcase_add_test(t, bytes);
	tcase_add_test(t, unset);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
