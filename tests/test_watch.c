/* SPDX-License-Identifier: MIT */
/*
 * config.d watched for real: files come and go as cp, mv, editors and slow
 * writers do it, and what is told is looked at. Nothing waits for a time: a
 * telling is waited for with a generous bound, and that something is *not* told
 * is seen when a later event of another tenant (the fence) has been.
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../src/manage/watch.h"
#include "config_files.h"
#include "loop_wait.h"
#include "no_lease.h"

enum { MANY = 10000 };

extern char **environ;

static uv_loop_t loop;
static struct watch *watch;
static struct told {
	char name[80];
	unsigned times;
} told[MANY + 8];
static size_t n_told, n_batches, n_rescans;
static unsigned fences;

static struct told *find_told(const char *name)
{
	for (size_t i = 0; i < n_told; i++)
		if (!strcmp(told[i].name, name))
			return &told[i];
	return NULL;
}

static unsigned times(const char *name)
{
	const struct told *t = find_told(name);

	return t ? t->times : 0;
}

static void on_changed(void *arg, const char *const *names, size_t n)
{
	(void)arg;
	n_batches++;
	ck_assert_uint_gt(n, 0);
	for (size_t i = 0; i < n; i++) {
		struct told *t = n_told < MANY ? find_told(names[i]) : NULL;

		if (i)
			ck_assert_str_lt(names[i - 1], names[i]);
		if (!t) {
			t = &told[n_told++];
			t->times = 0;
			snprintf(t->name, sizeof(t->name), "%s", names[i]);
		}
		t->times++;
	}
}

static void on_rescan(void *arg)
{
	(void)arg;
	n_rescans++;
}

static const struct watch_ops ops = { .changed = on_changed, .rescan = on_rescan };

#define wait_for(what) loop_wait(&loop, what, NULL)

/* All that has happened before is told when this returns, if ever. */
static void fence(void)
{
	unsigned before = fences++;

	files_put("config.d/zz-fence.conf", 0600, "");
	wait_for(times("zz-fence") > before);
	fences = times("zz-fence");
}

static void run(const char *command)
{
	ck_assert_msg(!system(command), "failed: %s", command);
}

static void name_keys(const char *tenant, const char *a, const char *b)
{
	char *paths[2] = { (char *)(uintptr_t)a, (char *)(uintptr_t)b };

	ck_assert_int_eq(watch_key_files(watch, tenant, paths, !!a + !!b), 0);
}

static void forget_told(void)
{
	n_told = n_batches = n_rescans = 0;
	fences = 0;
}

static void open_watch(void)
{
	files_begin();
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(watch_open(&watch, &loop, "config.d", &ops, NULL), 0);
	wait_for(n_rescans == 1);
	ck_assert_uint_eq(n_told, 0);
	forget_told();
}

static void close_watch(void)
{
	watch_close(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	files_end();
}

/* One action each, told once (settled), of the tenants named. */
static const struct {
	const char *before, *action, *first, *second;
} actions[] = {
	{ NULL, "echo x >config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "echo y >config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "echo y >>config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "cp config.d/a.conf t; mv t config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "rm config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "mv config.d/a.conf config.d/a.conf~", "a", NULL },
	{ "echo x >config.d/a.conf", "mv config.d/a.conf config.d/b.conf", "a", "b" },
	{ "echo x >config.d/a.conf", "mv config.d/a.conf config.d/.b.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "mv config.d/a.conf .", "a", NULL },
	{ "echo x >a.conf", "mv a.conf config.d", "a", NULL },
	{ "echo x >a.conf", "ln a.conf config.d", "a", NULL },
	{ "echo x >a.conf", "ln -s ../a.conf config.d", "a", NULL },
	{ NULL, "ln -s /nowhere config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "chmod 644 config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "touch config.d/a.conf", "a", NULL },
	{ "echo x >config.d/a.conf", "truncate -s 0 config.d/a.conf", "a", NULL },
	{ NULL, "mkdir config.d/a.conf", "a", NULL },
	/* What editors do: vim, with and without backup; emacs; sed -i; a lock file beside it. */
	{ "echo x >config.d/a.conf",
	  "mv config.d/a.conf config.d/a.conf~; echo y >config.d/a.conf; rm config.d/a.conf~", "a",
	  NULL },
	{ "echo x >config.d/a.conf",
	  "echo y >config.d/.a.conf.swp; cat config.d/.a.conf.swp >config.d/a.conf; "
	  "rm config.d/.a.conf.swp", "a", NULL },
	{ "echo x >config.d/a.conf",
	  "ln -s me@here config.d/.#a.conf; cp config.d/a.conf config.d/#a.conf#; "
	  "echo y >config.d/a.conf; rm config.d/.#a.conf config.d/#a.conf#", "a", NULL },
	{ "echo x >config.d/a.conf", "sed -i s/x/y/ config.d/a.conf", "a", NULL },
	/* Away and back is one change, if at all. */
	{ "echo x >config.d/a.conf", "mv config.d/a.conf .; mv a.conf config.d", "a", NULL },
	/* A swap. */
	{ "echo x >config.d/a.conf; echo y >config.d/b.conf",
	  "mv config.d/a.conf t; mv config.d/b.conf config.d/a.conf; mv t config.d/b.conf", "a",
	  "b" },
	/* Names that are no tenants. */
	{ NULL, "cd config.d; touch a .a.conf '#a.conf' a.conf~ a.conf.swp a.conf.bak a.conf.tmp "
		"a.conf.dpkg-new a.CONF", NULL, NULL },
};

START_TEST(one_action_one_telling)
{
	if (actions[_i].before) {
		run(actions[_i].before);
		fence();
		forget_told();
	}
	run(actions[_i].action);
	fence();
	if (actions[_i].first)
		ck_assert_uint_eq(times(actions[_i].first), 1);
	if (actions[_i].second)
		ck_assert_uint_eq(times(actions[_i].second), 1);
	/* Two that belong together come together. */
	if (actions[_i].second)
		ck_assert_uint_le(n_batches, 2);
	ck_assert_uint_eq(n_told, 1 + !!actions[_i].first + !!actions[_i].second);
	ck_assert_uint_eq(n_rescans, 0);
}
END_TEST

START_TEST(bad_names_are_for_the_scan)
{
	run("touch 'config.d/no name.conf'");
	wait_for(n_rescans == 1);
	ck_assert_uint_eq(n_told, 0);
}
END_TEST

START_TEST(nothing_is_told_while_somebody_writes)
{
	int fd;

	run("echo x >config.d/a.conf");
	fence();
	forget_told();
	/* Truncated, and long nothing. */
	fd = open("config.d/a.conf", O_WRONLY | O_TRUNC | O_CLOEXEC);
	fence();
	ck_assert_uint_eq(times("a"), 0);
	ck_assert(watch_pending(watch, "a"));
	ck_assert_int_eq(write(fd, "y", 1), 1);
	fence();
	ck_assert_uint_eq(times("a"), 0);
	/* A chmod of somebody else does not make it whole. */
	ck_assert_int_eq(chmod("config.d/a.conf", 0640), 0);
	fence();
	ck_assert_uint_eq(times("a"), 0);
	close(fd);
	ck_assert(watch_pending(watch, "a"));
	wait_for(times("a") == 1);
	ck_assert(!watch_pending(watch, "a"));
}
END_TEST

/* What no close follows: the kernel is asked whether somebody is there. */
START_TEST(truncated_by_its_path)
{
	run("mkdir keys; echo x >config.d/a.conf; echo k >keys/k");
	name_keys("b", "keys/k", NULL);
	fence();
	forget_told();
	ck_assert_int_eq(truncate("config.d/a.conf", 0), 0);
	ck_assert_int_eq(truncate("keys/k", 0), 0);
	ck_assert_int_eq(mknod("config.d/c.conf", S_IFREG | 0600, 0), 0);
	fence();
	wait_for(times("a") && times("b") && times("c"));
	ck_assert(!watch_pending(watch, "a"));
	ck_assert_uint_eq(n_told, 4);
}
END_TEST

/* Where it does not answer, silence does; where it does, none is long enough. */
START_TEST(truncated_by_its_path_and_not_ours)
{
	int ours, theirs;

	run("echo x >config.d/a.conf; echo x >config.d/b.conf; echo x >config.d/c.conf");
	if (!no_lease("config.d/b.conf") || !no_lease("config.d/c.conf")) {
		printf("test_watch: skipped the files of somebody else: run it as root\n");
		return;
	}
	fence();
	forget_told();
	ours = open("config.d/a.conf", O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_int_eq(truncate("config.d/b.conf", 0), 0);
	theirs = open("config.d/c.conf", O_WRONLY | O_TRUNC | O_CLOEXEC);
	fence();
	ck_assert_uint_eq(times("b"), 0);
	ck_assert(watch_pending(watch, "b"));
	ck_assert(!watch_writing(watch, "b"));
	ck_assert(watch_writing(watch, "a"));
	ck_assert_int_eq(write(theirs, "y", 1), 1);
	wait_for(times("b"));
	ck_assert_uint_eq(times("a"), 0);
	ck_assert(watch_writing(watch, "a"));
	wait_for(times("c"));
	ck_assert_uint_eq(times("a"), 0);
	/* Others are told as soon as ever meanwhile, and he who closes is. */
	close(ours);
	wait_for(times("a") == 1);
	close(theirs);
}
END_TEST

START_TEST(a_new_file_is_told_when_it_is_closed)
{
	int fd;

	run("echo x >config.d/a.conf");
	fence();
	forget_told();
	ck_assert_int_eq(rename("config.d/a.conf", "config.d/a.conf~"), 0);
	fd = open("config.d/a.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	fence();
	ck_assert_uint_eq(times("a"), 0);
	ck_assert_int_eq(write(fd, "y", 1), 1);
	fence();
	ck_assert_uint_eq(times("a"), 0);
	close(fd);
	wait_for(times("a") == 1);
}
END_TEST

START_TEST(a_file_that_is_linked_when_it_is_whole)
{
	int fd = open("config.d", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	char path[64];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(linkat(AT_FDCWD, path, AT_FDCWD, "config.d/a.conf", AT_SYMLINK_FOLLOW), 0);
	wait_for(times("a"));
	close(fd);
}
END_TEST

START_TEST(moved_away_while_it_is_written)
{
	int fd;

	run("echo x >config.d/a.conf");
	fence();
	forget_told();
	fd = open("config.d/a.conf", O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_int_eq(rename("config.d/a.conf", "a.conf"), 0);
	wait_for(times("a") == 1);
	close(fd);
}
END_TEST

/* Events without end do not put off the telling. */
START_TEST(told_in_spite_of_further_events)
{
	files_put("config.d/a.conf", 0600, "x");
	for (unsigned i = 0; times("a") < 3; i++) {
		chmod("config.d/a.conf", i & 1 ? 0600 : 0640);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	for (forget_told(); times("a") < 3;) {
		files_put("config.d/a.conf", 0600, "x");
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}
END_TEST

START_TEST(many_in_few_batches)
{
	char *const argv[] = { "cp", "-r", "many/.", "config.d", NULL };
	char path[64];
	pid_t pid;

	ck_assert_int_eq(mkdir("many", 0700), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "many/t%05d.conf", i);
		files_put(path, 0600, "x");
	}
	ck_assert_int_eq(posix_spawnp(&pid, "cp", NULL, NULL, argv, environ), 0);
	wait_for(n_told == MANY || n_rescans);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	if (!n_rescans)
		ck_assert_uint_lt(n_batches, MANY / 20);
}
END_TEST

static bool queue_limit(unsigned *out)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	bool ok = f && fscanf(f, "%u", out) == 1 && *out < 1000000;

	if (f)
		fclose(f);
	return ok;
}

START_TEST(an_overflow_asks_for_a_scan)
{
	unsigned limit;
	int fd;

	if (!queue_limit(&limit)) {
		printf("test_watch: skipped the overflow: the queue is too long here\n");
		return;
	}
	files_put("config.d/a.conf", 0600, "x");
	files_put("config.d/b.conf", 0600, "x");
	fd = open("config.d/c.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (unsigned i = 0; i < limit; i += 2) {
		chmod("config.d/a.conf", i & 2 ? 0600 : 0640);
		chmod("config.d/b.conf", i & 2 ? 0600 : 0640);
	}
	close(fd); /* of which we do not hear */
	wait_for(n_rescans == 1 && times("a") && times("b"));
	/* Nobody waits for a close that will never be told. */
	wait_for(!watch_pending(watch, "c"));
	forget_told();
	files_put("config.d/c.conf", 0600, "y");
	wait_for(times("c"));
}
END_TEST

/* The folder */

static const char *const replacements[] = {
	"mv config.d old; mkdir config.d",
	"rm -r config.d; mkdir config.d",
	"mv config.d old; mv old config.d",
	"mkdir new; mv config.d old; mv new config.d",
	"ln -s new link; mkdir new; mv config.d old; mv link config.d",
};

START_TEST(a_folder_is_replaced)
{
	run("echo x >config.d/a.conf");
	fence();
	forget_told();
	run(replacements[_i]);
	wait_for(n_rescans);
	forget_told();
	run("echo x >config.d/b.conf");
	wait_for(times("b") == 1);
	/* Of the old one nothing is heard. */
	forget_told();
	run("test ! -d old || echo x >old/c.conf");
	fence();
	ck_assert_uint_eq(times("c"), 0);
}
END_TEST

START_TEST(a_folder_is_away_for_a_while)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	run("mv config.d old");
	for (int i = 0; i < 20; i++)
		uv_run(&loop, UV_RUN_ONCE); /* it is looked for */
	ck_assert_uint_eq(n_rescans, 0);
	run("mv old config.d");
	wait_for(n_rescans == 1);
	close(fd);
}
END_TEST

START_TEST(a_folder_that_comes_later)
{
	watch_close(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(watch_open(&watch, &loop, "later.d", &ops, NULL), 0);
	for (int i = 0; i < 5; i++)
		uv_run(&loop, UV_RUN_ONCE);
	ck_assert_uint_eq(n_rescans, 0);
	run("mkdir later.d");
	wait_for(n_rescans == 1);
	run("echo x >later.d/a.conf");
	wait_for(times("a") == 1);
}
END_TEST

/* Key files */

static const char *const key_actions[] = {
	"echo x >keys/k",
	"rm keys/k",
	"cp keys/k keys/t; mv keys/t keys/k",
	"mv keys/k .",
	"chmod 640 keys/k",
	"sed -i s/k/x/ keys/k",
	": >keys/k",
};

START_TEST(a_key_file_changes)
{
	run("mkdir keys; echo k >keys/k");
	name_keys("a", "keys/k", NULL);
	name_keys("b", "other", "keys/k");
	name_keys("c", "keys/l", NULL);
	run(key_actions[_i]);
	wait_for(times("a") && times("b"));
	fence();
	ck_assert_uint_eq(times("a"), 1);
	ck_assert_uint_eq(times("b"), 1);
	ck_assert_uint_eq(times("c"), 0);
	/* Whoever names it no more hears no more. */
	forget_told();
	name_keys("a", NULL, NULL);
	run("echo y >keys/k");
	wait_for(times("b") == 1);
	fence();
	ck_assert_uint_eq(times("a"), 0);
}
END_TEST

START_TEST(a_key_file_in_the_folder_itself)
{
	run("echo k >config.d/k");
	name_keys("a", "config.d/k", NULL);
	run("echo x >config.d/k");
	wait_for(times("a") == 1);
	/* To forget it is not to forget the folder. */
	name_keys("a", NULL, NULL);
	fence();
	name_keys("a", "config.d/k", NULL);
	run("mv config.d old; cp -r old config.d");
	wait_for(n_rescans);
	wait_for(times("a") == 2);
	name_keys("a", "config.d/k", NULL);
	run("rm config.d/k");
	wait_for(times("a") == 3);
}
END_TEST

START_TEST(a_key_file_is_written_slowly)
{
	int fd;

	run("mkdir keys; echo k >keys/k");
	name_keys("a", "keys/k", NULL);
	fd = open("keys/k", O_WRONLY | O_TRUNC | O_CLOEXEC);
	fence();
	files_put("config.d/a.conf", 0600, "");
	fence();
	ck_assert_uint_eq(times("a"), 0);
	ck_assert(watch_pending(watch, "a"));
	/* Even if it is named anew meanwhile. */
	name_keys("a", "keys/k", NULL);
	fence();
	ck_assert_uint_eq(times("a"), 0);
	close(fd);
	wait_for(times("a") == 1);
}
END_TEST

START_TEST(the_folder_of_key_files_comes_and_goes)
{
	name_keys("a", "keys/k", NULL); /* not there yet */
	run("mkdir keys");
	wait_for(times("a") == 1);
	run("echo k >keys/k");
	wait_for(times("a") == 2);
	run("mv keys old");
	wait_for(times("a") == 3);
	run("mkdir keys; echo k >keys/k");
	wait_for(times("a") >= 4);
	fence();
	forget_told();
	run("rm -r keys");
	wait_for(times("a") >= 1);
	fence();
	forget_told();
	run("echo k >old/k");
	fence();
	ck_assert_uint_eq(times("a"), 0);
}
END_TEST

START_TEST(links_are_followed)
{
	run("mkdir keys real; echo k >real/k; ln -s ../real/k keys/l; ln -s l keys/k");
	name_keys("a", "keys/k", NULL);
	run("echo x >real/k");
	wait_for(times("a") == 1);
	run("ln -sfn ../real/other keys/l");
	wait_for(times("a") == 2);
	run("ln -s k keys/loop; rm keys/l; ln -s loop keys/l");
	wait_for(times("a") >= 3);
	name_keys("a", "keys/k", NULL); /* and comes to an end */
}
END_TEST

START_TEST(links_to_folders_are_followed)
{
	run("mkdir -p one two x/three; echo k >one/k; echo k >two/k; echo k >x/three/k; "
	    "ln -s one keys; ln -s x y; ln -s $PWD/keys whole");
	name_keys("a", "keys/k", NULL);
	name_keys("b", "whole/../keys/k", NULL);
	run("ln -sfn two keys");
	wait_for(times("a") == 1 && times("b") == 1);
	fence();
	name_keys("a", "keys/k", NULL); /* as who reads it does */
	run("echo x >two/k");
	wait_for(times("a") == 2);
	run("ln -sfn y/three keys");
	wait_for(times("a") == 3);
	fence();
	/* A link on the way that a link leads. */
	name_keys("a", "keys/k", NULL);
	run("mkdir -p z/three; echo k >z/three/k; ln -sfn z y");
	wait_for(times("a") == 4);
	fence();
	/* One that leads nowhere yet, and a ring. */
	run("ln -sfn later keys");
	wait_for(times("a") == 5);
	name_keys("a", "keys/k", NULL);
	run("mkdir later");
	wait_for(times("a") > 5);
	run("ln -sfn keys keys");
	fence();
	name_keys("a", "keys/k", NULL);
}
END_TEST

/* Every tenant names the same file, and each other one of his own. */
START_TEST(many_key_files)
{
	char name[32], path[64];

	run("mkdir keys; echo k >keys/all");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "t%05d", i);
		snprintf(path, sizeof(path), "keys/%05d", i);
		name_keys(name, "keys/all", path);
	}
	run("echo x >keys/all");
	wait_for(n_told == MANY);
	ck_assert_uint_le(n_batches, 3);
	forget_told();
	run("echo x >keys/00007");
	wait_for(times("t00007") == 1);
	ck_assert_uint_eq(n_told, 1);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "t%05d", i);
		name_keys(name, NULL, NULL);
	}
}
END_TEST

/* Limits of inotify: a user namespace has its own. */

static bool set_limit(const char *name, const char *value)
{
	char path[64];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "/proc/sys/user/max_inotify_%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, value, strlen(value)) > 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static const char *const limits[] = { "watches", "instances" };

START_TEST(without_inotify_it_scans)
{
	watch_close(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	if (unshare(CLONE_NEWUSER) || !set_limit(limits[_i], "0")) {
		printf("test_watch: skipped the limits of inotify: no user namespace to be had\n");
		ck_assert_int_eq(watch_open(&watch, &loop, "config.d", &ops, NULL), 0);
		return;
	}
	ck_assert_int_eq(watch_open(&watch, &loop, "config.d", &ops, NULL), 0);
	wait_for(n_rescans >= 2);
	ck_assert_int_eq(watch_key_files(watch, "a", (char *[]){ "config.d/k" }, 1), 0);
	ck_assert(set_limit(limits[_i], "100"));
	if (_i == 0) {
		/* As soon as there is one to be had, it is used. */
		forget_told();
		wait_for((files_put("config.d/a.conf", 0600, "x"), times("a")));
	}
}
END_TEST

/* Everything at once in the hands of the kernel when we are closed. */
START_TEST(closed_in_the_middle)
{
	run("mkdir keys; echo k >keys/k; echo x >config.d/a.conf");
	name_keys("a", "keys/k", "missing/k");
	watch_touch(watch, "b");
	run("echo y >keys/k; mv config.d old");
	uv_run(&loop, UV_RUN_NOWAIT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watch");
	TCase *tc = tcase_create("watch");

	tcase_add_checked_fixture(tc, open_watch, close_watch);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, one_action_one_telling, 0, ARRAY_SIZE(actions));
	tcase_add_test(tc, bad_names_are_for_the_scan);
	tcase_add_test(tc, nothing_is_told_while_somebody_writes);
	tcase_add_test(tc, truncated_by_its_path);
	tcase_add_test(tc, truncated_by_its_path_and_not_ours);
	tcase_add_test(tc, a_new_file_is_told_when_it_is_closed);
	tcase_add_test(tc, a_file_that_is_linked_when_it_is_whole);
	tcase_add_test(tc, moved_away_while_it_is_written);
	tcase_add_test(tc, told_in_spite_of_further_events);
	tcase_add_test(tc, many_in_few_batches);
	tcase_add_test(tc, an_overflow_asks_for_a_scan);
	tcase_add_loop_test(tc, a_folder_is_replaced, 0, ARRAY_SIZE(replacements));
	tcase_add_test(tc, a_folder_is_away_for_a_while);
	tcase_add_test(tc, a_folder_that_comes_later);
	tcase_add_loop_test(tc, a_key_file_changes, 0, ARRAY_SIZE(key_actions));
	tcase_add_test(tc, a_key_file_in_the_folder_itself);
	tcase_add_test(tc, a_key_file_is_written_slowly);
	tcase_add_test(tc, the_folder_of_key_files_comes_and_goes);
	tcase_add_test(tc, links_are_followed);
	tcase_add_test(tc, links_to_folders_are_followed);
	tcase_add_test(tc, many_key_files);
	tcase_add_loop_test(tc, without_inotify_it_scans, 0, ARRAY_SIZE(limits));
	tcase_add_test(tc, closed_in_the_middle);
	suite_add_tcase(suite, tc);
	return files_run_all(suite);
}
