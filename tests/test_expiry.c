/* SPDX-License-Identifier: MIT */
/* `Expires`: real files and a real loop, a gateway made of values, and a clock moved by hand. */
#include "../src/base/clock.h"
#include "../src/base/utc.h"
#include "fakes.h"
#include "reload_lab.h"
#include "require.h"

static int64_t begin_at;

static void begin_today(void)
{
	/* The times of files are the kernel's. */
	begin_at = time(NULL);
	fake_clock_set_realtime(begin_at, 0);
	begin_open();
}

/* config.d/NAME.conf with Expires so many seconds from the beginning on. */
static void put_expiring(const char *name, unsigned key, const char *ips, int after)
{
	char path[128], text[1024], date[UTC_STRLEN];

	snprintf(path, sizeof(path), "config.d/%s.conf", name);
	snprintf(text, sizeof(text), "%s[Tenant]\nExpires = %s\n", tenant_text(key, ips),
		 utc_format(begin_at + after, date));
	files_put(path, 0600, text);
}

/* The clock runs on to so many seconds from the beginning. */
static bool at(int after)
{
	fake_clock_set_realtime(begin_at + after, 0);
	return fake_alarm_look();
}

static bool has_past(const char *name, int after)
{
	char line[256], date[UTC_STRLEN];

	snprintf(line, sizeof(line), "config.d/%s.conf:5: Expires: %s has passed: the tenant is "
		 "revoked", name, utc_format(begin_at + after, date));
	return has_logged(line);
}

START_TEST(at_its_second)
{
	char line[128], date[UTC_STRLEN];

	put_expiring("a", 1, "2001:db8::1", 100);
	put_expiring("b", 2, "2001:db8::2", 50);
	put("c", 3, "2001:db8::3");
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;c 0003 2001:db8::3/128;");
	ck_assert(!at(49));
	ck_assert(at(50));
	ck_assert_str_eq(fake_peer("b") ? "there" : "gone", "gone");
	ck_assert_uint_eq(fake.n_suspended, 1);
	snprintf(line, sizeof(line), "tenant b: revoked: it has expired (%s)",
		 utc_format(begin_at + 50, date));
	ck_assert(has_logged(line));
	ck_assert_uint_eq(counts().revoked, 1);
	ck_assert_uint_eq(counts().expired, 1);
	ck_assert_int_eq(reload_tenant(reload, "b")->state, TENANT_EXPIRED);
	ck_assert(!at(99));
	ck_assert(at(100));
	expect("c 0003 2001:db8::3/128;");
	ck_assert_uint_eq(counts().tenants, 2); /* with the fence */
	ck_assert(!at(10000));
}
END_TEST

/* A past date in a file is an error line, and a revocation of whoever was in force. */
START_TEST(past_when_read)
{
	put_expiring("a", 1, "2001:db8::1", -1);
	expect("");
	ck_assert(has_past("a", -1));
	ck_assert_uint_eq(counts().expired, 1);
	ck_assert_uint_eq(counts().refused, 0);
	/* It holds nothing, */
	put("b", 2, "2001:db8::1");
	expect("b 0002 2001:db8::1/128;");
	/* a later date brings it back, as soon as nobody has what it wants, */
	put_expiring("a", 1, "2001:db8::1", 60);
	expect("b 0002 2001:db8::1/128;");
	put("b", 2, "2001:db8::2");
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;");
	ck_assert_uint_eq(counts().expired, 0);
	/* and a past one revokes it, whose counts are kept. */
	fake.n_suspended = 0;
	put_expiring("a", 1, "2001:db8::1", 0);
	expect("b 0002 2001:db8::2/128;");
	ck_assert(has_past("a", 0));
	ck_assert_uint_eq(fake.n_suspended, 1);
	ck_assert_uint_eq(counts().revoked, 1);
	/* With its file goes what is remembered, */
	fake.n_absent = 0;
	run("rm config.d/a.conf");
	expect("b 0002 2001:db8::2/128;");
	ck_assert_uint_eq(fake.n_absent, 1);
	ck_assert_uint_eq(counts().expired, 0);
	ck_assert_ptr_null(reload_tenant(reload, "a"));
}
END_TEST

/* Somebody else has the key of an expired one by now: he keeps it, whatever becomes of the file. */
START_TEST(key_of_another)
{
	unsigned made;

	put_expiring("a", 1, "2001:db8::1", 10);
	fence();
	ck_assert(at(10));
	put("b", 1, "2001:db8::2");
	expect("b 0001 2001:db8::2/128;");
	made = session("b");
	run("rm config.d/a.conf");
	expect("b 0001 2001:db8::2/128;");
	put_expiring("a", 1, "2001:db8::1", 5);
	expect("b 0001 2001:db8::2/128;");
	ck_assert_uint_eq(session("b"), made);
}
END_TEST

/* The clock is set: forward, back, and back to where nobody has expired. */
START_TEST(clock_is_set)
{
	unsigned made, looks;

	put_expiring("a", 1, "2001:db8::1", 100);
	put_expiring("b", 2, "2001:db8::2", 5000);
	fence();
	made = session("b");
	looks = fake.n_looks;
	fake_clock_set_realtime(begin_at + 4000, 0);
	fake_alarm_clock_was_set();
	/* The workers are told, as this may have been the end of a suspend. */
	ck_assert_uint_eq(fake.n_looks, looks + 1);
	ck_assert_ptr_null(fake_peer("a"));
	fake_clock_set_realtime(begin_at + 99, 0);
	fake_alarm_clock_was_set();
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;");
	ck_assert_uint_eq(session("b"), made);
	ck_assert_uint_eq(counts().expired, 0);
	ck_assert(at(100));
	expect("b 0002 2001:db8::2/128;");
	/* What was past when it was read comes back, too. */
	put_expiring("c", 3, "2001:db8::3", 50);
	expect("b 0002 2001:db8::2/128;");
	fake_clock_set_realtime(begin_at + 49, 0);
	fake_alarm_clock_was_set();
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;c 0003 2001:db8::3/128;");
	ck_assert(at(50));
	ck_assert_ptr_null(fake_peer("c"));
}
END_TEST

/* It waits for an address until its time is over: it never comes into force. */
START_TEST(expires_while_it_waits)
{
	put("a", 1, "2001:db8::1");
	expect("a 0001 2001:db8::1/128;");
	put_expiring("b", 2, "2001:db8::1", 10);
	expect("a 0001 2001:db8::1/128;");
	at(20);
	run("rm config.d/a.conf");
	expect("");
	ck_assert_uint_eq(counts().expired, 1);
}
END_TEST

/* A file that cannot come into force keeps what was good, date and all. */
START_TEST(faulty_since)
{
	put_expiring("a", 1, "2001:db8::1", 10);
	fence();
	files_put("config.d/a.conf", 0600, "nonsense\n");
	expect("a 0001 2001:db8::1/128;");
	ck_assert(at(10));
	expect("");
	/* The address is free for whoever has waited. */
	put_expiring("a", 1, "2001:db8::1", 30);
	put("b", 2, "2001:db8::1");
	expect("a 0001 2001:db8::1/128;");
	ck_assert(at(30));
	expect("b 0002 2001:db8::1/128;");
}
END_TEST

/* The folder is gone, and its date comes nevertheless. */
START_TEST(no_folder)
{
	put_expiring("a", 1, "2001:db8::1", 10);
	fence();
	run("mv config.d elsewhere");
	ck_assert(at(10));
	ck_assert_ptr_null(fake_peer("a"));
	run("mv elsewhere config.d");
	reload_all(reload);
	expect("");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("expiry");
	TCase *tc = tcase_create("expiry");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, begin_today, end);
	tcase_add_test(tc, at_its_second);
	tcase_add_test(tc, past_when_read);
	tcase_add_test(tc, key_of_another);
	tcase_add_test(tc, clock_is_set);
	tcase_add_test(tc, expires_while_it_waits);
	tcase_add_test(tc, faulty_since);
	tcase_add_test(tc, no_folder);
	return files_run(s, tc);
}
