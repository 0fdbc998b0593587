/* SPDX-License-Identifier: MIT */
/*
 * The folder of tenants as a whole: when it cannot be read or is another one,
 * what a scan finds that no event told, and the scan at the start.
 */
#include <sched.h>
#include <sys/mount.h>

#include "reload_lab.h"
#include "require.h"

/* The folder */

/* Tenants t0000 and on, keys from 1 on; with fewer addresses than tenants several want each. */
static void put_many(unsigned n, unsigned addresses)
{
	char name[16], ips[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "t%04u", i);
		snprintf(ips, sizeof(ips), "2001:db8::%x", i % addresses);
		put(name, i + 1, ips);
	}
}

START_TEST(an_unreadable_folder_changes_nothing)
{
	unsigned made;

	put("a", 1, "2001:db8::1");
	fence();
	made = session("a");
	run("mv config.d away");
	logged[0] = '\0';
	reload_all(reload);
	wait_for(has_logged("config.d"));
	ck_assert_uint_eq(session("a"), made);
	run("rm away/a.conf; mv away config.d");
	wait_for(!fake_peer("a"));
}
END_TEST

START_TEST(a_folder_takes_the_place_of_another)
{
	unsigned b;

	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	fence();
	b = session("b");
	run("cp -a config.d new; rm new/a.conf; mv config.d old; mv new config.d");
	put("c", 3, "2001:db8::1");
	wait_for(!fake_peer("a") && fake_peer("c"));
	expect("b 0002 2001:db8::2/128;c 0003 2001:db8::1/128;");
	ck_assert_uint_eq(session("b"), b);
}
END_TEST

START_TEST(an_unmounted_folder_changes_nothing)
{
	unsigned made;

	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL)) {
		printf("test_reload_scan: skipped the unmounted folder: run it as root\n");
		return;
	}
	ck_assert_int_eq(mount("none", "config.d", "tmpfs", 0, NULL), 0);
	put("a", 1, "2001:db8::1");
	close_reload();
	open_reload();
	made = session("a");
	logged[0] = '\0';
	ck_assert_int_eq(umount2("config.d", MNT_DETACH), 0);
	wait_for(has_logged("not mounted?"));
	ck_assert_uint_eq(session("a"), made);
	reload_all(reload);
	wait_for(!fake_peer("a"));
}
END_TEST

/* One that is mounted over it is another folder, and so is the one below it again. */
START_TEST(a_folder_is_mounted_over)
{
	unsigned made;

	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL)) {
		printf("test_reload_scan: skipped the folder mounted over: run it as root\n");
		return;
	}
	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	fence();
	made = session("a");
	run("mkdir other; cp config.d/a.conf other");
	files_put("other/c.conf", 0600, tenant_text(3, "2001:db8::2"));
	ck_assert_int_eq(mount("other", "config.d", "none", MS_BIND, NULL), 0);
	reload_all(reload);
	wait_for(fake_peer("c"));
	expect("a 0001 2001:db8::1/128;c 0003 2001:db8::2/128;");
	ck_assert_int_eq(umount2("config.d", MNT_DETACH), 0);
	reload_all(reload);
	wait_for(fake_peer("b"));
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;");
	ck_assert_uint_eq(session("a"), made);
}
END_TEST

/* What wg(8) does */

/* As if wg(8) had: files say nothing of it. */
static struct fake_peer *by_wg(const char *name)
{
	return (struct fake_peer *)(uintptr_t)fake_peer(name);
}

START_TEST(sighup_undoes_what_wg_has_done)
{
	struct fake_peer *stranger = &fake.peers[FAKE_PEERS - 1];
	unsigned b, c, d;

	put("a", 1, "2001:db8::1, 203.0.113.1");
	put("b", 2, "2001:db8::2, 203.0.113.2");
	put("c", 3, "2001:db8::3");
	put("d", 4, "2001:db8::4");
	put("e", 5, "2001:db8::5");
	fence();
	b = session("b"), c = session("c"), d = session("d");
	by_wg("a")->there = false;
	by_wg("b")->n_prefixes = 1;
	by_wg("d")->preshared_key[7] = 1;
	/* Removed, and added again as one of no file; and one that no file has ever had. */
	strcpy(by_wg("e")->name, "peer(AAUB…AAA=)");
	*stranger = (struct fake_peer){ .there = true, .name = "peer(CQkJ…AAA=)",
					.key = { 9, 9, 9 } };
	/* It is not a change of the file that is missed. */
	run("touch config.d/a.conf");
	fence();
	ck_assert_ptr_null(fake_peer("a"));

	logged[0] = '\0';
	reload_all(reload);
	wait_for(fake_peer("a") && fake_peer("e"));
	expect("a 0001 203.0.113.1/32 2001:db8::1/128;b 0002 203.0.113.2/32 2001:db8::2/128;"
	       "c 0003 2001:db8::3/128;d 0004 2001:db8::4/128;e 0005 2001:db8::5/128;");
	ck_assert_ptr_null(fake_peer("peer(CQkJ…AAA=)"));
	ck_assert_uint_eq(fake_peer("d")->preshared_key[7], 0);
	ck_assert_uint_eq(session("b"), b);
	ck_assert_uint_eq(session("c"), c);
	ck_assert_uint_eq(session("d"), d);
	ck_assert(has_logged("tenant a: put back as its file says: wg had removed it"));
	ck_assert(has_logged("tenant b: put back as its file says: wg had changed its AllowedIPs"));
	ck_assert(!has_logged("tenant c"));
	ck_assert(has_logged("tenant d: put back as its file says: wg had changed its key"));
	ck_assert(has_logged("tenant e: put back as its file says: wg had removed it"));
	ck_assert(has_logged("is removed: it was added by wg, and no file has it"));
}
END_TEST

/* And nothing else: who is as his file says is not touched. */
START_TEST(sighup_changes_nothing_otherwise)
{
	size_t changes;

	put("a", 1, "2001:db8::1, 203.0.113.1, 2001:db8::1, 2001:db8::1:0/112");
	put("b", 2, "");
	fence();
	changes = fake.n_changes;
	logged[0] = '\0';
	reload_all(reload);
	/* The fence is one removal and one addition, or the first of them. */
	fence();
	ck_assert_uint_le(fake.n_changes, changes + 2);
	ck_assert(!has_logged("put back"));
}
END_TEST

START_TEST(no_memory_to_undo_it)
{
	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	fence();
	by_wg("a")->there = by_wg("b")->there = false;
	strcpy(fake.fail_name, "a");
	reload_all(reload);
	wait_for(fake_peer("b"));
	ck_assert_ptr_null(fake_peer("a"));
	ck_assert(has_logged("tenant a: not put back as files say: "));
	reload_all(reload);
	wait_for(fake_peer("a"));
}
END_TEST

/* What events miss */

/* Makes the watcher ask for a scan of what has changed. */
static void ask_for_scan(void)
{
	run("touch 'config.d/no name.conf'; rm 'config.d/no name.conf'");
	fence();
}

START_TEST(a_scan_finds_what_events_missed)
{
	size_t changes;

	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	put("c", 3, "2001:db8::3");
	fence();
	run("ln config.d/a.conf a; ln config.d/b.conf b; ln config.d/c.conf c");
	fence();
	/* Through another name: no event of ours. A swap, and a new address. */
	files_put("a", 0600, tenant_text(1, "2001:db8::2"));
	files_put("b", 0600, tenant_text(2, "2001:db8::1"));
	files_put("c", 0600, tenant_text(3, "2001:db8::4"));
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;c 0003 2001:db8::3/128;");
	ask_for_scan();
	expect("a 0001 2001:db8::2/128;b 0002 2001:db8::1/128;c 0003 2001:db8::4/128;");
	changes = fake.n_changes;
	ask_for_scan();
	ck_assert_uint_le(fake.n_changes, changes + 2);
}
END_TEST

START_TEST(a_scan_believes_an_empty_file_the_second_time)
{
	unsigned a;

	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	fence();
	a = session("a");
	run("ln config.d/a.conf a; ln config.d/b.conf b");
	fence();
	run(": >a; : >b");
	ask_for_scan();
	ck_assert_ptr_nonnull(fake_peer("a"));
	ck_assert_ptr_nonnull(fake_peer("b"));
	files_put("a", 0600, tenant_text(1, "2001:db8::1"));
	wait_for(!fake_peer("b"));
	expect("a 0001 2001:db8::1/128;");
	ck_assert_uint_eq(session("a"), a);
}
END_TEST

/* One of whom no event tells, by another name or since it is late, has it open all the same. */
START_TEST(an_unseen_writer_revokes_nobody)
{
	char text[256];
	unsigned made;
	int fd;

	strcpy(text, tenant_text(1, "2001:db8::2"));
	put("a", 1, "2001:db8::1");
	run("ln config.d/a.conf other");
	fence();
	made = session("a");
	fd = open("other", O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_int_eq(chmod("config.d/a.conf", 0640), 0);
	fence_emptied();
	ck_assert_uint_eq(session("a"), made);
	ck_assert_int_gt(write(fd, text, strlen(text)), 0);
	close(fd);
	wait_for(strstr(state(), "2001:db8::2/128"));
	ck_assert_uint_eq(session("a"), made);
}
END_TEST

/* What is wrong with the file of one that is revoked is said once, too, until somebody asks. */
START_TEST(faults_of_the_revoked_are_said_once)
{
	put("a", 1, "2001:db8::1");
	fence();
	run("printf '[Peer]\\nPublicKey =\\nAllowedIPs = junk\\n' >config.d/a.conf");
	fence_emptied();
	ck_assert(has_logged("config.d/a.conf:3: AllowedIPs: 'junk'"));
	ck_assert(has_logged("tenant a: revoked"));
	logged[0] = '\0';
	ask_for_scan();
	run("touch config.d/a.conf");
	ask_for_scan();
	ck_assert(!has_logged("config.d/a.conf"));
	reload_all(reload);
	wait_for(has_logged("config.d/a.conf:3: AllowedIPs: 'junk'"));
	run("rm config.d/a.conf");
	put("a", 1, "2001:db8::1");
	expect("a 0001 2001:db8::1/128;");
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

START_TEST(no_memory_in_the_device)
{
	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	fence();
	strcpy(fake.fail_name, "a");
	put("a", 1, "2001:db8::3");
	put("b", 2, "2001:db8::4");
	put("c", 3, "2001:db8::5");
	expect("b 0002 2001:db8::4/128;c 0003 2001:db8::5/128;");
	ck_assert(has_logged("tenant a: not in force"));
	ck_assert_uint_eq(counts().refused, 1);
	ck_assert_uint_eq(counts().tenants, 3);
	/* The next scan tries again. */
	ask_for_scan();
	expect("a 0001 2001:db8::3/128;b 0002 2001:db8::4/128;c 0003 2001:db8::5/128;");
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

/* Starting */

START_TEST(at_the_start_the_first_by_name_is_first)
{
	char name[16];

	/* Over several slices of the scan, each address twice. */
	put_many(600, 300);
	open_reload();
	ck_assert_uint_eq(counts().tenants, 300);
	ck_assert_uint_eq(counts().refused, 300);
	for (unsigned i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "t%04u", i);
		require(!!fake_peer(name) == (i < 300));
	}
	/* A change of somebody in the middle of all this. */
	run("rm config.d/t0000.conf");
	wait_for(fake_peer("t0300"));
	run("rm config.d/t*.conf");
	expect("");
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

static void know(const char *name, unsigned key)
{
	uint8_t bytes[NOISE_KEY_LEN] = { (uint8_t)(key >> 8), (uint8_t)key, 1 };

	reload_known(reload, name, bytes);
}

/* Whoever had an address before the restart has it afterwards: known by name and by key. */
START_TEST(at_the_start_the_known_are_first)
{
	put("a", 1, "2001:db8::9");
	put("b", 2, "2001:db8::8");
	put("c", 3, "2001:db8::7");
	put("t", 4, "2001:db8::9");
	put("u", 5, "2001:db8::8");
	put("v", 6, "2001:db8::7");
	put("z", 7, "2001:db8::1");
	ck_assert_int_eq(reload_open(&reload, &loop, NULL, &router, fake_gateway()), 0);
	know("t", 4);
	/* The name has another key now; the key has another name; there is no such file. */
	know("u", 50);
	know("w", 6);
	know("gone", 8);
	/* Two keys that one name has had. */
	know("z", 70);
	know("z", 7);
	wait_for(has_logged("tunnels"));
	ck_assert(has_logged("config.d/a.conf:3: AllowedIPs: 2001:db8::9/128 is already in "
			     "config.d/t.conf"));
	ck_assert(has_logged("config.d/u.conf:3"));
	ck_assert(has_logged("config.d/v.conf:3"));
	ck_assert_uint_eq(counts().refused, 3);
	ck_assert(has_logged("tenants 4, tunnels 0; some files are faulty"));
	expect("b 0002 2001:db8::8/128;c 0003 2001:db8::7/128;t 0004 2001:db8::9/128;"
	       "z 0007 2001:db8::1/128;");
	/* From here on it is who came first, as ever. */
	run("rm config.d/t.conf");
	expect("a 0001 2001:db8::9/128;b 0002 2001:db8::8/128;c 0003 2001:db8::7/128;"
	       "z 0007 2001:db8::1/128;");
}
END_TEST

/* Somebody changes files, and asks for all of them, while the known are read. */
START_TEST(changes_while_the_known_are_read)
{
	char name[16];

	put_many(1200, 1200);
	ck_assert_int_eq(reload_open(&reload, &loop, NULL, &router, fake_gateway()), 0);
	for (unsigned i = 600; i < 1200; i++) {
		snprintf(name, sizeof(name), "t%04u", i);
		know(name, i + 1);
	}
	wait_for(fake_peer("t0600"));
	ck_assert_ptr_null(fake_peer("t0000"));
	ck_assert_ptr_null(fake_peer("t1199"));
	run("rm config.d/t0001.conf config.d/t0601.conf config.d/t1198.conf");
	put("a", 2000, "2001:db8::4af");
	put("b", 2001, "2001:db8::ffff");
	if (_i)
		reload_all(reload);
	wait_for(has_logged("tunnels"));
	fence();
	ck_assert_ptr_null(fake_peer("t0001"));
	ck_assert_ptr_null(fake_peer("t0601"));
	ck_assert_ptr_null(fake_peer("t1198"));
	ck_assert_ptr_null(fake_peer("a"));
	ck_assert_ptr_nonnull(fake_peer("b"));
	ck_assert_ptr_nonnull(fake_peer("t1199"));
	ck_assert_uint_eq(counts().tenants, 1199);
}
END_TEST

START_TEST(changes_during_the_start)
{
	put_many(1200, 1200);
	ck_assert_int_eq(reload_open(&reload, &loop, NULL, &router, fake_gateway()), 0);
	wait_for(fake_peer("t0000"));
	ck_assert_ptr_null(fake_peer("t1199"));
	/* One that was read, one that was not, one that claims what a later one has. */
	run("rm config.d/t0001.conf config.d/t1198.conf");
	put("t1197", 2000, "2001:db8::4ad");
	put("zz", 2001, "2001:db8::4ac");
	wait_for(has_logged("tunnels"));
	fence();
	ck_assert_ptr_null(fake_peer("t0001"));
	ck_assert_ptr_null(fake_peer("t1198"));
	ck_assert_ptr_null(fake_peer("zz"));
	ck_assert_uint_eq(fake_peer("t1197")->key[0] << 8 | fake_peer("t1197")->key[1], 2000);
	ck_assert_uint_eq(counts().tenants, 1199);
}
END_TEST

/* What is known of a tenant is kept until it is certain that it has no file. */
START_TEST(who_may_still_come)
{
	put("conflict", 1, "2001:db8::2");
	put("faulty", 2, "junk");
	put("a", 1, "2001:db8::1");
	ck_assert_int_eq(reload_open(&reload, &loop, NULL, &router, fake_gateway()), 0);
	ck_assert(reload_may_come(reload, "nobody"));
	wait_for(has_logged("tunnels"));
	ck_assert(!reload_may_come(reload, "nobody"));
	ck_assert(!reload_may_come(reload, "a"));
	ck_assert(reload_may_come(reload, "conflict"));
	ck_assert(reload_may_come(reload, "faulty"));
	run("rm config.d/faulty.conf");
	fence();
	ck_assert(!reload_may_come(reload, "faulty"));
}
END_TEST

/* Of a folder that cannot be read, or is not mounted yet, nobody knows whose file is in it. */
START_TEST(a_folder_that_comes_late)
{
	if (_i)
		run("mv config.d away");
	ck_assert_int_eq(reload_open(&reload, &loop, NULL, &router, fake_gateway()), 0);
	wait_for(has_logged(_i ? "config.d" : "tunnels"));
	ck_assert(reload_may_come(reload, "a"));
	if (_i)
		run("mv away config.d");
	put("b", 1, "2001:db8::1");
	wait_for(fake_peer("b"));
	reload_all(reload);
	wait_for(!reload_may_come(reload, "a"));
}
END_TEST

/* Nor of an empty one, unless somebody says that he means it. */
START_TEST(an_empty_folder_that_is_meant)
{
	open_reload();
	ck_assert(reload_may_come(reload, "a"));
	reload_all(reload);
	wait_for(!reload_may_come(reload, "a"));
}
END_TEST

START_TEST(closed_while_it_scans)
{
	put_many(600, 600);
	ck_assert_int_eq(reload_open(&reload, &loop, NULL, &router, fake_gateway()), 0);
	wait_for(fake_peer("t0000"));
	ck_assert_ptr_null(fake_peer("t0599"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload_scan");
	TCase *tc = tcase_create("folder"), *start = tcase_create("start");

	tcase_add_checked_fixture(tc, begin_open, end);
	tcase_set_timeout(tc, 90);
	tcase_add_test(tc, an_unreadable_folder_changes_nothing);
	tcase_add_test(tc, a_folder_takes_the_place_of_another);
	tcase_add_test(tc, an_unmounted_folder_changes_nothing);
	tcase_add_test(tc, a_folder_is_mounted_over);
	tcase_add_test(tc, sighup_undoes_what_wg_has_done);
	tcase_add_test(tc, sighup_changes_nothing_otherwise);
	tcase_add_test(tc, no_memory_to_undo_it);
	tcase_add_test(tc, a_scan_finds_what_events_missed);
	tcase_add_test(tc, a_scan_believes_an_empty_file_the_second_time);
	tcase_add_test(tc, an_unseen_writer_revokes_nobody);
	tcase_add_test(tc, faults_of_the_revoked_are_said_once);
	tcase_add_test(tc, no_memory_in_the_device);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(start, begin, end);
	tcase_set_timeout(start, 90);
	tcase_add_test(start, at_the_start_the_first_by_name_is_first);
	tcase_add_test(start, at_the_start_the_known_are_first);
	tcase_add_loop_test(start, changes_while_the_known_are_read, 0, 2);
	tcase_add_test(start, changes_during_the_start);
	tcase_add_test(start, who_may_still_come);
	tcase_add_loop_test(start, a_folder_that_comes_late, 0, 2);
	tcase_add_test(start, an_empty_folder_that_is_meant);
	tcase_add_test(start, closed_while_it_scans);
	suite_add_tcase(suite, start);
	return files_run_all(suite);
}
