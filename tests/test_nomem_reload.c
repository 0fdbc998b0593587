/* SPDX-License-Identifier: MIT */
/*
 * config.d is read while memory is missing: every tenant is as he was, or as his file says, or
 * not there, and never half; and when there is memory, all is as the files say.
 */
#include "../src/base/rcu.h"
#include "nomem_try.h"
#include "reload_lab.h"

RCU_PROGRAM

enum { N_STAY = 12 };

static const char before_state[] = "alice 0001 203.0.113.1/32;bob 0002 203.0.113.2/32;"
				   "carol 0003 203.0.113.3/32;dave 0004 203.0.113.4/32;";
static const char after_state[] = "alice 0001 203.0.113.11/32;carol 0003 203.0.113.4/32;"
				  "dave 0004 203.0.113.3/32;erin 0005 203.0.113.5/32;"
				  "frank 0002 203.0.113.2/32;";
static unsigned scans;
static bool scanned;

static void on_scanned(void *arg)
{
	(void)arg;
	scanned = true;
}

/* The crowd that does not change, and then those in question. */
static const char *questioned(void)
{
	return state();
}

static void put_before(void)
{
	put("alice", 1, "203.0.113.1/32");
	put("bob", 2, "203.0.113.2/32");
	put("carol", 3, "203.0.113.3/32");
	put("dave", 4, "203.0.113.4/32");
	unlink("config.d/erin.conf");
	unlink("config.d/frank.conf");
}

/* One changes, one goes and leaves his key to another, two exchange addresses, one comes. */
static void put_after(void)
{
	put("alice", 1, "203.0.113.11/32");
	unlink("config.d/bob.conf");
	put("carol", 3, "203.0.113.4/32");
	put("dave", 4, "203.0.113.3/32");
	put("erin", 5, "203.0.113.5/32");
	put("frank", 2, "203.0.113.2/32");
}

static bool stay_stays(void)
{
	char name[16];

	for (int i = 0; i < N_STAY; i++) {
		(void)snprintf(name, sizeof(name), "zstay%02d", i);
		if (!fake_peer(name))
			return false;
	}
	return true;
}

/* Of any two, no address twice; and each line is one of before or of after, whole. */
static void check_whole(void)
{
	static char all[sizeof(before_state) + sizeof(after_state)];
	char *copy = strdup(state()), *save, *line;

	(void)snprintf(all, sizeof(all), "%s%s", before_state, after_state);
	for (line = strtok_r(copy, ";", &save); line; line = strtok_r(NULL, ";", &save)) {
		if (strncmp(line, "zstay", 5))
			ck_assert_msg(strstr(all, line), "half: %s", line);
	}
	free(copy);
	ck_assert(stay_stays());
}

static bool is_state(const char *wanted)
{
	return !strncmp(questioned(), wanted, strlen(wanted)) &&
	       !strncmp(questioned() + strlen(wanted), "zstay00", 7);
}

/* False: no allocation of that number. */
static bool scan_without(uint64_t at, uint64_t every)
{
	uint64_t failed;

	logged[0] = '\0';
	scanned = false;
	put_after();
	nomem_arm(at, every, NOMEM_HERE);
	reload_all(reload);
	/* Some turns: without memory there may be no scan that ends. */
	for (int i = 0; i < 40; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	failed = nomem_disarm();
	check_whole();
	if (failed)
		reload_all(reload); /* a second earlier than by itself */
	wait_for(is_state(after_state));
	wait_for(counts().refused == 0);
	ck_assert_uint_eq(counts().tenants, N_STAY + 5);
	put_before();
	reload_all(reload);
	wait_for(is_state(before_state));
	wait_for(counts().refused == 0);
	ck_assert_uint_eq(counts().tenants, N_STAY + 4);
	scans++;
	return failed;
}

START_TEST(test_scan)
{
	uint64_t at;
	char name[16], ip[32];

	for (int i = 0; i < N_STAY; i++) {
		(void)snprintf(name, sizeof(name), "zstay%02d", i);
		(void)snprintf(ip, sizeof(ip), "2001:db8::%d/128", i + 1);
		put(name, (unsigned)i + 1000, ip);
	}
	put_before();
	reload_on_read(reload, on_scanned, NULL);
	reload_all(reload);
	wait_for(is_state(before_state));
	/* Of the crowd's files one allocation is like another: in steps. */
	for (at = 1; scan_without(at, _i); at += at < 100 ? 1 : 7)
		;
	ck_assert_uint_gt(scans, 60);
	reload_on_read(reload, NULL, NULL);
}
END_TEST

/*
 * A file changes, one allocation fails on the way from the event to what is in force, and
 * nobody tells of the file again: it comes into force all the same, within wait_for(), which is
 * shorter than the slow scan is rare.
 */
START_TEST(test_by_itself)
{
	uint64_t failed = 1, n = 0;
	unsigned key = 100;

	fence();
	for (uint64_t at = 1; failed; at += 3) {
		const struct fake_peer *erin;

		nomem_arm(at, 0, NOMEM_HERE);
		nomem_spared++;
		put("erin", ++key, "203.0.113.5/32");
		nomem_spared--;
		wait_for((erin = fake_peer("erin")) && erin->key[1] == key);
		failed = nomem_disarm();
		wait_for(!counts().refused);
		n += failed;
	}
	ck_assert_uint_gt(n, 5);
}
END_TEST

/* What is said when not even the folder can be read. */
/* What wg(8) has removed comes back whole, or not yet. */
START_TEST(test_restore)
{
	static const char *const names[] = { "anna", "ben" };
	uint64_t failed = 1, n = 0;

	put("anna", 1, "2001:db8::a1, 203.0.113.1");
	put("ben", 2, "2001:db8::b1, 203.0.113.2");
	fence();
	for (uint64_t at = 1; failed; at++) {
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			((struct fake_peer *)(uintptr_t)fake_peer(names[i]))->there = false;
		nomem_arm(at, 0, NOMEM_HERE);
		reload_all(reload);
		for (int i = 0; i < 40; i++)
			uv_run(&loop, UV_RUN_NOWAIT);
		failed = nomem_disarm();
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			ck_assert(!fake_peer(names[i]) || fake_peer(names[i])->n_prefixes == 2);
		reload_all(reload);
		wait_for(fake_peer("anna") && fake_peer("ben") && !counts().refused);
		n += failed;
	}
	ck_assert(has_logged("no memory to put back what wg has changed"));
	ck_assert_uint_gt(n, 5);
}
END_TEST

START_TEST(test_said)
{
	logged[0] = '\0';
	nomem_arm(1, 1, NOMEM_HERE);
	reload_all(reload);
	(void)nomem_disarm();
	ck_assert_msg(has_logged("no memory to read it; tried again"), "%s", logged);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nomem_reload");
	TCase *tcase = tcase_create("every allocation fails");

	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, begin_open, end);
	tcase_add_loop_test(tcase, test_scan, 0, 2);
	tcase_add_test(tcase, test_by_itself);
	tcase_add_test(tcase, test_restore);
	tcase_add_test(tcase, test_said);
	suite_add_tcase(suite, tcase);
	return files_run_all(suite);
}
