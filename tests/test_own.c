/* SPDX-License-Identifier: MIT */
/* The machine's own addresses, from a kernel that stands in for itself. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/base/log.h"
#include "../src/manage/own.h"
#include "require.h"

enum { NEVER = 1000 };

static struct {
	unsigned torn; /* lists that will be */
	unsigned lists;
	struct prefix own[8];
	size_t n_own;
	char logged[256];
} fake;

static void on_line(enum log_level level, const char *text, void *arg)
{
	(void)level, (void)arg;
	snprintf(fake.logged, sizeof(fake.logged), "%s", text);
}

static struct netlink_addr address(const char *text)
{
	struct netlink_addr addr = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	require(inet_pton(addr.family, text, addr.addr) == 1);
	return addr;
}

/* Of a torn list the second address is missing and the first one doubled. */
int netlink_addr_list(struct netlink *nl, int family, int ifindex, netlink_addr_fn *fn, void *arg)
{
	bool torn = fake.torn > 0;
	struct netlink_addr first = address("192.0.2.1"), second = address("2001:db8::1");

	(void)nl;
	require(!family && !ifindex);
	fake.lists++;
	require(!fn(&first, arg) && !fn(torn ? &first : &second, arg));
	fake.torn -= torn;
	return torn ? -EAGAIN : 0;
}

const char *device_name(const struct device *dev)
{
	(void)dev;
	return "berth0";
}

int device_set_own(struct device *dev, const struct prefix *own, size_t n)
{
	(void)dev;
	require(n <= ARRAY_SIZE(fake.own));
	memcpy(fake.own, own, n * sizeof(*own));
	fake.n_own = n;
	return 0;
}

bool device_is_own(struct device *dev, int family, const uint8_t *addr)
{
	struct prefix wanted = prefix_host(family, addr);

	(void)dev;
	for (size_t i = 0; i < fake.n_own; i++)
		if (prefix_equal(&fake.own[i], &wanted))
			return true;
	return false;
}

static bool has(const char *text)
{
	struct netlink_addr addr = address(text);

	return device_is_own(NULL, addr.family, addr.addr);
}

static void setup(void)
{
	static const struct log_hook hook = { .line = on_line };

	log_set_hook(&hook);
}

/* A tenant must not send from an address that a torn list left out. */
START_TEST(torn)
{
	fake.torn = (unsigned)_i;
	own_refresh(NULL, NULL);
	ck_assert_uint_eq(fake.lists, (unsigned)_i + 1);
	ck_assert_uint_eq(fake.n_own, 2);
	ck_assert(has("192.0.2.1") && has("2001:db8::1"));
	ck_assert_str_eq(fake.logged, "");
}
END_TEST

/* It is said, and those that are known stay. */
START_TEST(torn_for_ever)
{
	own_refresh(NULL, NULL);
	fake.torn = NEVER;
	own_refresh(NULL, NULL);
	ck_assert_uint_lt(fake.lists, 20);
	ck_assert_uint_eq(fake.n_own, 2);
	ck_assert(strstr(fake.logged, "berth0: cannot list this machine's addresses"));
}
END_TEST

/* What is told once more makes no work; what is gone may be on another interface as well. */
START_TEST(changed)
{
	struct netlink_addr known = address("192.0.2.1"), new = address("192.0.2.9");

	own_refresh(NULL, NULL);
	own_changed(NULL, NULL, &known, false);
	ck_assert_uint_eq(fake.lists, 1);
	own_changed(NULL, NULL, &new, false);
	ck_assert_uint_eq(fake.lists, 2);
	own_changed(NULL, NULL, &known, true);
	ck_assert_uint_eq(fake.lists, 3);
	ck_assert(has("192.0.2.1"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("own");
	TCase *tc = tcase_create("own");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, torn, 0, 4);
	tcase_add_test(tc, torn_for_ever);
	tcase_add_test(tc, changed);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
