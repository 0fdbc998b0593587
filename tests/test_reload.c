/* SPDX-License-Identifier: MIT */
/*
 * Every rule of "What a change does", file by file: what comes, changes and
 * goes, what is refused and who waits for what; then at random. What concerns
 * the folder as a whole is in test_reload_scan.c, what is said in test_reload_said.c.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "../src/manage/watch.h"
#include "no_lease.h"
#include "reload_lab.h"
#include "require.h"

/* Changes */

START_TEST(files_come_change_and_go)
{
	unsigned made;

	put("a", 1, "2001:db8::1/128, 203.0.113.1");
	expect("a 0001 203.0.113.1/32 2001:db8::1/128;");
	ck_assert(has_logged("tenant a: added, 203.0.113.1/32, 2001:db8::1/128\n"));
	made = session("a");
	put("a", 1, "2001:db8::2");
	expect("a 0001 2001:db8::2/128;");
	ck_assert_uint_eq(session("a"), made);
	put("b", 2, "2001:db8::1");
	expect("a 0001 2001:db8::2/128;b 0002 2001:db8::1/128;");
	put("a", 3, "2001:db8::2");
	expect("a 0003 2001:db8::2/128;b 0002 2001:db8::1/128;");
	ck_assert_uint_ne(session("a"), made);
	ck_assert_uint_eq(counts().tenants, 3);
	run("rm config.d/a.conf");
	expect("b 0002 2001:db8::1/128;");
	ck_assert(has_logged("tenant a: revoked"));
	ck_assert_uint_eq(counts().tenants, 2);
	ck_assert_uint_eq(counts().revoked, 1);
}
END_TEST

/* The same content, whichever way it is written, changes nothing at all. */
static const char *const rewrites[] = {
	"cat a.orig >config.d/a.conf",
	"cp a.orig config.d/.a.new; mv config.d/.a.new config.d/a.conf",
	"mv config.d/a.conf config.d/a.conf~; cat a.orig >config.d/a.conf",
	"mv config.d/a.conf x; mv x config.d/a.conf",
	"touch config.d/a.conf",
	"ln -f a.orig config.d/a.conf",
	"ln -sf ../a.orig config.d/a.conf",
	"(echo '# a comment'; cat a.orig) >config.d/a.conf",
	"sed s/PublicKey/publickey/ a.orig >config.d/a.conf",
	"cp a.orig new; mkdir d; mv new d/a.conf; mv config.d old; mv d config.d",
	("awk '/PublicKey/ { print $3 }' a.orig >k; "
	 "sed 's,PublicKey.*,PublicKeyFile = ../k,' a.orig >config.d/a.conf"),
};

START_TEST(the_same_content_is_no_change)
{
	unsigned made;
	size_t changes;

	put("a", 1, "2001:db8::1");
	fence();
	made = session("a");
	run("cp config.d/a.conf a.orig");
	changes = fake.n_changes;
	run(rewrites[_i]);
	fence();
	ck_assert_uint_eq(session("a"), made);
	/* Those of the fence only, one removal and one addition. */
	ck_assert_uint_le(fake.n_changes, changes + 3);
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

static const struct {
	const char *how, *undo;
} revocations[] = {
	{ "rm config.d/a.conf", NULL },
	{ ": >config.d/a.conf", NULL },
	{ "mv config.d/a.conf config.d/.a.conf", "mv config.d/.a.conf config.d/a.conf" },
	{ "mv config.d/a.conf .", "mv a.conf config.d/a.conf" },
	{ "mv config.d/a.conf config.d/a.conf.bak", "mv config.d/a.conf.bak config.d/a.conf" },
	{ "sed -i '/PublicKey/d' config.d/a.conf", NULL },
	{ "sed -i 's/PublicKey.*/PublicKey =/' config.d/a.conf", NULL },
	{ "sed -i 's/PublicKey.*/PublicKey =/; s/AllowedIPs.*/AllowedIPs = junk/' config.d/a.conf",
	  NULL },
	{ "echo '# nothing' >config.d/a.conf", NULL },
	{ "ln -sf /nowhere config.d/a.conf", "rm config.d/a.conf; cp a.orig config.d/a.conf" },
	{ "rm config.d/a.conf; ln -s ../later config.d/a.conf", "cp a.orig later" },
	{ "mv config.d/a.conf real; ln -s ../real config.d/a.conf; rm real", "cp a.orig real" },
	{ "ln config.d/a.conf other; rm config.d/a.conf", "ln other config.d/a.conf" },
};

/* Ways for a file to be there all at once. */
static const char *const arrivals[] = {
	"cp a.orig config.d/a.conf",
	"mv a.orig config.d/a.conf",
	"ln a.orig config.d/a.conf",
	"ln -s ../a.orig config.d/a.conf",
	"ln -s a.orig link; ln -s ../link config.d/a.conf",
	"cp a.orig config.d/.a.conf.swp; mv config.d/.a.conf.swp config.d/a.conf",
	"cp a.orig config.d/b.conf; mv config.d/b.conf config.d/a.conf",
};

START_TEST(it_comes_in_every_way)
{
	files_put("a.orig", 0600, tenant_text(1, "2001:db8::1"));
	run(arrivals[_i]);
	expect("a 0001 2001:db8::1/128;");
	run("cat config.d/a.conf >copy; rm config.d/a.conf; mv copy config.d/a.conf");
	expect("a 0001 2001:db8::1/128;");
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

/* Whichever end of a link is changed. */
START_TEST(a_link_is_what_it_is_a_link_to)
{
	unsigned made;

	run("mkdir real");
	files_put("real/a", 0600, tenant_text(1, "2001:db8::1"));
	run("ln -s ../real/a config.d/a.conf");
	expect("a 0001 2001:db8::1/128;");
	made = session("a");
	files_put("real/a", 0600, tenant_text(1, "2001:db8::2"));
	wait_for(!strcmp(state(), "a 0001 2001:db8::2/128;"));
	files_put("real/new", 0600, tenant_text(1, "2001:db8::3"));
	run("mv real/new real/a");
	wait_for(!strcmp(state(), "a 0001 2001:db8::3/128;"));
	files_put("real/b", 0600, tenant_text(1, "2001:db8::4"));
	run("ln -sfn ../real/b config.d/a.conf");
	expect("a 0001 2001:db8::4/128;");
	ck_assert_uint_eq(session("a"), made);
	run("rm real/a");
	expect("a 0001 2001:db8::4/128;");
	run("rm real/b");
	wait_for(!fake_peer("a"));
	ck_assert_uint_eq(counts().revoked, 1);
}
END_TEST

START_TEST(revoked_in_every_way)
{
	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	run("cp config.d/a.conf a.orig");
	fence();
	run(revocations[_i].how);
	fence_emptied();
	expect("b 0002 2001:db8::2/128;");
	ck_assert(has_logged("tenant a: revoked"));
	ck_assert_uint_eq(counts().revoked, 1);
	ck_assert_uint_eq(counts().refused, 0);
	run(revocations[_i].undo ? revocations[_i].undo : "cat a.orig >config.d/a.conf");
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;");
}
END_TEST

static const struct {
	const char *how, *undo;
} key_revocations[] = {
	{ "rm keys/a.pub", "echo $KEY >keys/a.pub" },
	{ "mv keys/a.pub keys/b.pub", "mv keys/b.pub keys/a.pub" },
	{ ": >keys/a.pub", "echo $KEY >keys/a.pub" },
	{ "mv keys old", "mv old keys" },
	{ "rm -r keys", "mkdir keys; echo $KEY >keys/a.pub" },
	{ "rm real/a.pub", "echo $KEY >real/a.pub" },
	{ "ln -sfn swapped keys", "ln -sfn first keys" },
	{ "ln -sfn swapped keys", "echo $KEY >swapped/a.pub" },
};

START_TEST(a_public_key_file_is_the_key)
{
	setenv("KEY", key_text(1), 1);
	run("mkdir keys real; echo $KEY >keys/a.pub");
	if (strstr(key_revocations[_i].how, "real"))
		run("mv keys/a.pub real/a.pub; ln -s ../real/a.pub keys/a.pub");
	if (strstr(key_revocations[_i].how, "swapped"))
		run("mv keys first; mkdir swapped; ln -s first keys");
	files_put("config.d/a.conf", 0600,
		  "[Peer]\nPublicKeyFile = ../keys/a.pub\nAllowedIPs = 2001:db8::1\n");
	wait_for(fake_peer("a"));
	run(key_revocations[_i].how);
	wait_for(!fake_peer("a"));
	ck_assert(has_logged("tenant a: revoked"));
	run(key_revocations[_i].undo);
	wait_for(fake_peer("a"));
	ck_assert_uint_eq(counts().refused, 0);
	run("rm config.d/a.conf");
	expect("");
}
END_TEST

START_TEST(a_public_key_file_changes)
{
	setenv("KEY", key_text(1), 1);
	setenv("KEY2", key_text(2), 1);
	run("echo $KEY >a.pub");
	files_put("config.d/a.conf", 0600, "[Peer]\nPublicKeyFile = ../a.pub\n");
	wait_for(fake_peer("a"));
	run("echo junk >a.pub");
	wait_for(counts().refused == 1);
	ck_assert(has_logged("config.d/a.conf:2: "));
	ck_assert(has_logged("tenant a: keeps its last good configuration"));
	run("echo $KEY2 >a.pub");
	wait_for(fake_peer("a") && fake_peer("a")->key[1] == 2);
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

START_TEST(a_link_leads_to_a_faulty_key_file)
{
	setenv("KEY", key_text(1), 1);
	run("mkdir one two; echo $KEY >one/a.pub; echo junk >two/a.pub; ln -s one keys");
	files_put("config.d/a.conf", 0600, "[Peer]\nPublicKeyFile = ../keys/a.pub\n");
	wait_for(fake_peer("a"));
	run("ln -sfn two keys");
	wait_for(counts().refused == 1);
	ck_assert_ptr_nonnull(fake_peer("a"));
	run(": >two/a.pub");
	wait_for(!fake_peer("a"));
}
END_TEST

START_TEST(a_slow_writer_revokes_nobody)
{
	char text[256];
	unsigned made;
	int fd;

	strcpy(text, tenant_text(1, "2001:db8::1"));
	put("a", 1, "2001:db8::1");
	fence();
	made = session("a");
	fd = open("config.d/a.conf", O_WRONLY | O_TRUNC | O_CLOEXEC);
	fence();
	reload_all(reload); /* not even then */
	fence();
	ck_assert_uint_eq(session("a"), made);
	ck_assert_int_eq(write(fd, text, 20), 20);
	fence();
	reload_all(reload);
	fence();
	ck_assert_uint_eq(session("a"), made);
	ck_assert_int_gt(write(fd, text + 20, strlen(text) - 20), 0);
	close(fd);
	expect("a 0001 2001:db8::1/128;");
	ck_assert_uint_eq(session("a"), made);
}
END_TEST

/* Told of by no close, and what may be half is what it is when somebody asks for everything. */
START_TEST(truncated_by_its_path)
{
	char text[512];

	put("a", 1, "2001:db8::1");
	strcpy(text, tenant_text(2, "2001:db8::2"));
	strcat(text, "AllowedIPs = 2001:db8::3\n");
	files_put("config.d/b.conf", 0600, text);
	fence();
	ck_assert_int_eq(truncate("config.d/a.conf", 0), 0);
	wait_for(!fake_peer("a"));
	if (!no_lease("config.d/b.conf")) {
		printf("test_reload: skipped the file of somebody else: run it as root\n");
		return;
	}
	expect("b 0002 2001:db8::2/128 2001:db8::3/128;");
	ck_assert_int_eq(truncate("config.d/b.conf", (off_t)strlen(text) - 25), 0);
	expect("b 0002 2001:db8::2/128 2001:db8::3/128;");
	reload_all(reload);
	expect("b 0002 2001:db8::2/128;");
}
END_TEST

static char rewritten[2][512];

/*
 * Writes the file over and over in place: in a hurry, and then again just when the
 * watcher, after a moment of peace, begins to read.
 */
static void *rewrite(void *arg)
{
	_Atomic bool *stop = arg;

	for (unsigned i = 0; !atomic_load(stop); i++) {
		const char *text = i & 1 ? rewritten[1] : rewritten[0];
		int fd = open("config.d/a.conf", O_WRONLY | O_TRUNC | O_CLOEXEC);
		size_t half = strlen(text) / 2;

		require(fd >= 0);
		usleep(i % 7 * 50);
		require(write(fd, text, half) == (ssize_t)half);
		usleep(i % 5 * 50);
		require(write(fd, text + half, strlen(text + half)) > 0);
		close(fd);
		usleep(i % 9 ? i % 3 * 200 : WATCH_SETTLE_MS * 1000 + i % 13 * 2000);
	}
	return NULL;
}

START_TEST(a_file_changes_while_it_is_read)
{
	_Atomic bool stop = false;
	pthread_t writer;
	unsigned made;
	size_t applied;

	strcpy(rewritten[0], tenant_text(1, "2001:db8::1"));
	strcpy(rewritten[1], tenant_text(1, "2001:db8::2, 2001:db8::3"));
	put("a", 1, "2001:db8::1");
	fence();
	made = session("a");
	applied = fake.n_applied;
	ck_assert_int_eq(pthread_create(&writer, NULL, rewrite, &stop), 0);
	wait_for(fake.n_applied >= applied + 20);
	atomic_store(&stop, true);
	pthread_join(writer, NULL);
	/* Never was it gone, or half of what somebody wrote. */
	ck_assert(!has_logged("revoked"));
	ck_assert_uint_eq(counts().refused, 0);
	ck_assert(!has_logged("config.d/a.conf:"));
	put("a", 1, "2001:db8::4");
	expect("a 0001 2001:db8::4/128;");
	ck_assert_uint_eq(session("a"), made);
}
END_TEST

/* Faults */

static const struct {
	const char *sed, *said;
} breakages[] = {
	{ "s/PublicKey.*/PublicKey = junk/", "config.d/a.conf:2: PublicKey" },
	{ "s/AllowedIPs.*/AllowedIPs = 2001:db8::zz/", "config.d/a.conf:3: AllowedIPs" },
	{ "s/AllowedIPs/AllowdIPs/", "config.d/a.conf:3: " },
	{ "s/AllowedIPs.*/AllowedIPs = 2001:db9::1/", "is in no Prefix of berth.conf" },
	{ "s/AllowedIPs.*/AllowedIPs = ::\\/0/", "is in no Prefix of berth.conf" },
	{ "$aPresharedKeyFile = nowhere", "config.d/a.conf:4: " },
	{ "$aRateLimit = 1mbit", "config.d/a.conf:4: " },
	{ "s/Peer/Peers/", "config.d/a.conf:1: unknown section 'Peers'" },
};

START_TEST(a_broken_file_keeps_the_last_good_one)
{
	unsigned made;
	char command[256];

	put("a", 1, "2001:db8::1");
	fence();
	made = session("a");
	snprintf(command, sizeof(command), "cp config.d/a.conf a.orig; sed -i '%s' config.d/a.conf",
		 breakages[_i].sed);
	run(command);
	expect("a 0001 2001:db8::1/128;");
	ck_assert_uint_eq(session("a"), made);
	ck_assert_msg(has_logged(breakages[_i].said), "%s not in\n%s", breakages[_i].said, logged);
	ck_assert(has_logged("tenant a: keeps its last good configuration"));
	ck_assert_uint_eq(counts().refused, 1);
	/* Once is enough, until somebody asks. */
	logged[0] = '\0';
	run("touch config.d/a.conf");
	fence();
	run("touch 'config.d/no name.conf'"); /* asks for a scan, and is told */
	wait_for(has_logged("no name.conf"));
	fence();
	ck_assert(!has_logged("a.conf"));
	reload_all(reload);
	wait_for(has_logged(breakages[_i].said));
	/* And a broken file that goes is a file that goes. */
	run("rm 'config.d/no name.conf' config.d/a.conf");
	expect("");
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

static unsigned told;

static void on_told(void *arg)
{
	ck_assert_ptr_eq(arg, &told);
	told++;
}

START_TEST(two_files_with_one_key)
{
	char why[128];

	reload_on_change(reload, on_told, &told);
	put("b", 1, "2001:db8::1");
	fence();
	put("a", 1, "2001:db8::2");
	expect("b 0001 2001:db8::1/128;");
	ck_assert(has_logged("config.d/a.conf:2: PublicKey: "));
	ck_assert(has_logged("already in config.d/b.conf"));
	ck_assert_uint_eq(counts().refused, 1);
	ck_assert_uint_ge(told, 2);
	/* Whoever asks hears it again; nothing comes of asking. */
	ck_assert(reload_refused(reload, "a", why, sizeof(why)));
	ck_assert_ptr_nonnull(strstr(why, "already in config.d/b.conf"));
	ck_assert(!reload_refused(reload, "b", why, sizeof(why)));
	ck_assert(!reload_refused(reload, "nobody", why, sizeof(why)));
	/* What is said is of the file as it is, also before the loop has turned. */
	put("a", 2, "2001:db8::2");
	ck_assert(!reload_refused(reload, "a", why, sizeof(why)));
	put("a", 1, "2001:db8::2");
	ck_assert(reload_refused(reload, "a", why, sizeof(why)));
	put("c", 0, "");
	run("echo x >>config.d/c.conf");
	fence();
	ck_assert(reload_refused(reload, "c", why, sizeof(why)));
	ck_assert_msg(strncmp(why, "config.d/c.conf:", 16) == 0, "%s", why);
	/* Mended, and asked about before the loop has turned. */
	put("c", 3, "2001:db8::3");
	ck_assert(!reload_refused(reload, "c", why, sizeof(why)));
	expect("b 0001 2001:db8::1/128;c 0003 2001:db8::3/128;");
	run("rm config.d/c.conf");
	expect("b 0001 2001:db8::1/128;");
	ck_assert_uint_eq(counts().refused, 1);
	/* When the rival goes, the file is good. */
	run("rm config.d/b.conf");
	expect("a 0001 2001:db8::2/128;");
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

START_TEST(overlapping_addresses)
{
	put("b", 1, "2001:db8::/80");
	fence();
	put("a", 2, "2001:db8::1");
	put("c", 3, "2001:db8::/64, 203.0.113.1");
	expect("b 0001 2001:db8::/80;");
	ck_assert(has_logged("config.d/a.conf:3: AllowedIPs: 2001:db8::1/128 overlaps 2001:db8::/80"));
	ck_assert(has_logged("config.d/c.conf:3: AllowedIPs: 2001:db8::/64 overlaps"));
	/* The rival changes its mind: who waited first has it. */
	put("b", 1, "203.0.113.2");
	expect("a 0002 2001:db8::1/128;b 0001 203.0.113.2/32;");
	run("rm config.d/a.conf");
	expect("b 0001 203.0.113.2/32;c 0003 203.0.113.1/32 2001:db8::/64;");
}
END_TEST

START_TEST(who_wanted_it_first_waits_first)
{
	put("m", 1, "2001:db8::1");
	fence();
	put("z", 2, "2001:db8::1");
	fence();
	put("a", 3, "2001:db8::1");
	fence();
	ck_assert_uint_eq(counts().refused, 2);
	/* To touch a file is not to come anew. */
	run("touch config.d/z.conf");
	fence();
	run("rm config.d/m.conf");
	expect("z 0002 2001:db8::1/128;");
	run("rm config.d/z.conf");
	expect("a 0003 2001:db8::1/128;");
}
END_TEST

START_TEST(a_refused_file_becomes_another)
{
	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	fence();
	put("b", 2, "2001:db8::1");
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;");
	ck_assert(has_logged("tenant b: keeps its last good configuration"));
	files_put("config.d/b.conf", 0600, "junk");
	expect("a 0001 2001:db8::1/128;b 0002 2001:db8::2/128;");
	/* It does not wait any more. */
	run("rm config.d/a.conf");
	expect("b 0002 2001:db8::2/128;");
	put("a", 1, "2001:db8::2");
	fence();
	files_put("config.d/a.conf", 0600, "");
	expect("b 0002 2001:db8::2/128;");
	put("b", 2, "2001:db8::3");
	expect("b 0002 2001:db8::3/128;");
	ck_assert_uint_eq(counts().refused, 0);
}
END_TEST

/* Exchanges */

START_TEST(two_swap_addresses)
{
	unsigned a, b;

	put("a", 1, "2001:db8::1");
	put("b", 2, "2001:db8::2");
	put("w", 9, "2001:db8::2"); /* who waits for it has no part in this */
	fence();
	a = session("a");
	b = session("b");
	put("a", 1, "2001:db8::2");
	if (_i)
		fence(); /* seen one by one: the first waits for the second */
	put("b", 2, "2001:db8::1");
	expect("a 0001 2001:db8::2/128;b 0002 2001:db8::1/128;");
	ck_assert_uint_eq(session("a"), a);
	ck_assert_uint_eq(session("b"), b);
	ck_assert_uint_eq(counts().refused, 1);
	/* By renaming: names change, so these are others. */
	run("mv config.d/a.conf t; mv config.d/b.conf config.d/a.conf; mv t config.d/b.conf");
	expect("a 0002 2001:db8::1/128;b 0001 2001:db8::2/128;");
}
END_TEST

START_TEST(three_rotate)
{
	put("a", 1, "2001:db8::1, 203.0.113.1");
	put("b", 2, "2001:db8::2, 203.0.113.2");
	put("c", 3, "2001:db8::3");
	put("x", 8, "2001:db8::8");
	fence();
	put("x", 8, "2001:db8::1"); /* wants in, and is not let */
	fence();
	put("a", 1, "2001:db8::2, 203.0.113.1");
	put("b", 2, "2001:db8::3, 203.0.113.2");
	put("c", 3, "2001:db8::1");
	expect("a 0001 203.0.113.1/32 2001:db8::2/128;b 0002 203.0.113.2/32 2001:db8::3/128;"
	       "c 0003 2001:db8::1/128;x 0008 2001:db8::8/128;");
	/* Keys rotate as well. */
	put("a", 2, "2001:db8::2");
	put("b", 3, "2001:db8::3");
	put("c", 1, "2001:db8::1");
	expect("a 0002 2001:db8::2/128;b 0003 2001:db8::3/128;c 0001 2001:db8::1/128;"
	       "x 0008 2001:db8::8/128;");
}
END_TEST

START_TEST(a_file_is_renamed)
{
	put("a", 1, "2001:db8::1");
	fence();
	logged[0] = '\0';
	run("mv config.d/a.conf config.d/b.conf");
	expect("b 0001 2001:db8::1/128;");
	ck_assert(has_logged("tenant a: revoked"));
	ck_assert(has_logged("tenant b: added"));
	ck_assert(!has_logged("already in"));
}
END_TEST

/* Tunnels */

START_TEST(tunnels)
{
	uint8_t key[32];
	struct device *dev;
	unsigned made;

	put("a", 1, "2001:db8::1");
	put_tunnel("t", "wg0"); /* without a peer */
	fence();
	ck_assert_ptr_nonnull(fake_tunnel("t"));
	ck_assert_uint_eq(counts().tunnels, 1);
	ck_assert_int_eq(reload_find(reload, "t", key, &dev), 1);
	ck_assert_int_eq(reload_find(reload, "a", key, &dev), 0);
	ck_assert_uint_eq(key[1], 1);
	made = fake_tunnel("t")->session;
	run("touch config.d/t.conf");
	put_tunnel("u", "wg0"); /* there is one */
	fence();
	ck_assert_uint_eq(fake_tunnel("t")->session, made);
	ck_assert_ptr_null(fake_tunnel("u"));
	ck_assert(has_logged("config.d/u.conf:4: Name: the interface 'wg0'"));
	/* A name is given away and taken. */
	put_tunnel("u", "wg1");
	fence();
	put_tunnel("t", "wg1");
	put_tunnel("u", "wg0");
	fence();
	ck_assert_str_eq(fake_tunnel("t")->ifname, "wg1");
	ck_assert_str_eq(fake_tunnel("u")->ifname, "wg0");
	/* From one kind to the other and back. */
	put("u", 5, "2001:db8::5");
	put_tunnel("a", "wg7");
	expect("u 0005 2001:db8::5/128;");
	ck_assert_ptr_null(fake_tunnel("u"));
	ck_assert_ptr_nonnull(fake_tunnel("a"));
	put("a", 1, "2001:db8::1");
	run("rm config.d/t.conf");
	expect("a 0001 2001:db8::1/128;u 0005 2001:db8::5/128;");
	ck_assert_uint_eq(counts().tunnels, 0);
	put_tunnel("t", "wg0"); /* and is closed at the end */
	fence();
}
END_TEST

/* At random */

enum { NAMES = 10, KEYS = 12, ADDRESSES = 12, ROUNDS = 60 };

/* What a file says, and what a peer is. */
struct says {
	enum { NOTHING, BROKEN, PEER } what;
	unsigned key;
	unsigned addresses; /* a set of bits */
	unsigned session;
};

static const char *random_name(unsigned i)
{
	static char name[2];

	name[0] = (char)('a' + i);
	return name;
}

static void random_write(unsigned i, const struct says *s, unsigned way)
{
	char ips[ADDRESSES * 24] = "", path[32], tmp[32];
	const char *text = s->what == NOTHING ? "[Peer]\nPublicKey =\n" : "[Peer]\njunk\n";
	size_t len = 0;

	for (unsigned k = 0; k < ADDRESSES; k++)
		if (s->addresses & 1U << k)
			len += (size_t)sprintf(ips + len, "%s2001:db8::%x", len ? "," : "", k + 1);
	if (s->what == PEER)
		text = tenant_text(s->key, ips);
	snprintf(path, sizeof(path), "config.d/%s.conf", random_name(i));
	snprintf(tmp, sizeof(tmp), "config.d/.%s.tmp", random_name(i));
	if (s->what == NOTHING && way & 1) {
		unlink(path);
	} else if (way & 2) {
		files_put(tmp, 0600, text);
		require(!rename(tmp, path));
	} else {
		files_put(path, 0600, text);
	}
}

static struct says peer_says(unsigned i)
{
	const struct fake_peer *p = fake_peer(random_name(i));
	struct says s = { NOTHING, 0, 0, 0 };

	if (!p)
		return s;
	s = (struct says){ PEER, p->key[1], 0, p->session };
	for (size_t k = 0; k < p->n_prefixes; k++)
		s.addresses |= 1U << (p->prefixes[k].addr[15] - 1);
	return s;
}

static bool same(const struct says *a, const struct says *b)
{
	return a->what == b->what &&
	       (a->what != PEER || (a->key == b->key && a->addresses == b->addresses));
}

static bool conflict(const struct says *a, const struct says *b)
{
	return a->what == PEER && b->what == PEER &&
	       (a->key == b->key || a->addresses & b->addresses);
}

static void check_random(const struct says *file, const struct says *before, const bool *changed)
{
	struct says now[NAMES];

	for (unsigned i = 0; i < NAMES; i++)
		now[i] = peer_says(i);
	for (unsigned i = 0; i < NAMES; i++) {
		bool in_the_way = false;

		for (unsigned k = 0; k < NAMES; k++) {
			require(k == i || !conflict(&now[i], &now[k]));
			in_the_way |= k != i && conflict(&file[i], &now[k]);
		}
		if (file[i].what == NOTHING)
			require(now[i].what == NOTHING);
		else if (file[i].what == BROKEN || in_the_way)
			require(same(&now[i], &before[i]));
		else
			require(same(&now[i], &file[i]));
		/* The first stays, and does not even notice. */
		if (!changed[i] && same(&file[i], &before[i]))
			require(now[i].session == before[i].session);
	}
}

START_TEST(at_random)
{
	struct says file[NAMES] = { 0 }, before[NAMES];
	bool conflicts = _i & 1;

	srandom(4711 + (unsigned)_i);
	for (int round = 0; round < ROUNDS; round++) {
		bool changed[NAMES] = { false }, emptied = false;

		for (unsigned i = 0; i < NAMES; i++)
			before[i] = peer_says(i);
		for (unsigned n = 1 + (unsigned)random() % 4; n; n--) {
			unsigned i = (unsigned)random() % NAMES, r = (unsigned)random() % 10;

			if (changed[i])
				continue;
			changed[i] = true;
			file[i] = (struct says){ r < 7 ? PEER : r < 8 && conflicts ? BROKEN : NOTHING,
						 1 + (unsigned)random() % KEYS,
						 (unsigned)(random() & random() & random()) %
							 (1U << ADDRESSES), 0 };
			if (!conflicts) {
				file[i].key = i + 1 + NAMES * ((unsigned)random() % 2);
				file[i].addresses = 1U << i;
			}
			emptied |= file[i].what == NOTHING;
			random_write(i, &file[i], (unsigned)random());
		}
		if (emptied)
			fence_emptied();
		else
			fence();
		check_random(file, before, changed);
	}
	if (!conflicts) {
		/* A fresh start finds the same. */
		char text[4096];

		strcpy(text, fake_peers());
		close_reload();
		memset(&fake, 0, sizeof(fake));
		open_reload();
		ck_assert_str_eq(text, fake_peers());
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload");
	TCase *tc = tcase_create("changes"), *race = tcase_create("race");

	tcase_add_checked_fixture(tc, begin_open, end);
	tcase_set_timeout(tc, 90);
	tcase_add_test(tc, files_come_change_and_go);
	tcase_add_loop_test(tc, the_same_content_is_no_change, 0, ARRAY_SIZE(rewrites));
	tcase_add_loop_test(tc, it_comes_in_every_way, 0, ARRAY_SIZE(arrivals));
	tcase_add_test(tc, a_link_is_what_it_is_a_link_to);
	tcase_add_loop_test(tc, revoked_in_every_way, 0, ARRAY_SIZE(revocations));
	tcase_add_loop_test(tc, a_public_key_file_is_the_key, 0, ARRAY_SIZE(key_revocations));
	tcase_add_test(tc, a_public_key_file_changes);
	tcase_add_test(tc, a_link_leads_to_a_faulty_key_file);
	tcase_add_test(tc, a_slow_writer_revokes_nobody);
	tcase_add_test(tc, truncated_by_its_path);
	tcase_add_loop_test(tc, a_broken_file_keeps_the_last_good_one, 0, ARRAY_SIZE(breakages));
	tcase_add_test(tc, two_files_with_one_key);
	tcase_add_test(tc, overlapping_addresses);
	tcase_add_test(tc, who_wanted_it_first_waits_first);
	tcase_add_test(tc, a_refused_file_becomes_another);
	tcase_add_loop_test(tc, two_swap_addresses, 0, 2);
	tcase_add_test(tc, three_rotate);
	tcase_add_test(tc, a_file_is_renamed);
	tcase_add_test(tc, tunnels);
	tcase_add_loop_test(tc, at_random, 0, 4);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(race, begin_open, end);
	tcase_set_timeout(race, 90);
	tcase_add_test(race, a_file_changes_while_it_is_read);
	suite_add_tcase(suite, race);
	return files_run_all(suite);
}
