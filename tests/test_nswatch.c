/* SPDX-License-Identifier: MIT */
/*
 * nswatch: namespaces that come, go and are others, against the kernel. The slow look at
 * all comes later than the tests have patience for: whatever they hear is an event's.
 */
#include "../src/manage/nswatch.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "../tun/netns.h"
#include "in_netns.h"
#include "loop_wait.h"

_Static_assert(NSWATCH_SLOW_MS > LOOP_WAIT_TICK_MS * LOOP_WAIT_TICKS, "see above");

static uv_loop_t loop;
static struct nswatch *watch;

/* Somebody who follows a namespace. */
struct follower {
	struct nswatch_item *item;
	const char *ref; /* for netns_open() */
	unsigned calls;
	int err;   /* when it was called last: 0, or why it cannot be entered */
	ino_t ino; /* of the namespace then */
};

static ino_t inode_of(const char *ref, int *err)
{
	int fd = netns_open(ref);
	struct stat st = { 0 };

	*err = min(fd, 0);
	if (fd >= 0) {
		ck_assert_int_eq(fstat(fd, &st), 0);
		close(fd);
	}
	return st.st_ino;
}

static void on_changed(void *arg)
{
	struct follower *f = arg;

	f->calls++;
	f->ino = inode_of(f->ref, &f->err);
}

/* ref is as netns_open() has it. */
static void follow(struct follower *f, const char *ref)
{
	enum tunnel_netns kind = TUNNEL_NETNS_NAME;

	*f = (struct follower){ .ref = ref };
	if (ref[0] == '/')
		kind = TUNNEL_NETNS_PATH;
	else if (!strncmp(ref, "pid:", 4))
		kind = TUNNEL_NETNS_PID;
	ck_assert_int_eq(nswatch_add(&f->item, watch, kind, ref + (kind == TUNNEL_NETNS_PID ? 4 : 0),
				     on_changed, f), 0);
	ck_assert_uint_eq(f->calls, 0);
	f->ino = inode_of(ref, &f->err);
}

static void setup(void)
{
	in_netns_setup();
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(nswatch_open(&watch, &loop), 0);
}

static void teardown(void)
{
	nswatch_close(watch);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* A process that waits, in our namespace. */
static pid_t spawn(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* Not even the folder is there; and the file is there before what is mounted over it. */
START_TEST(name_comes)
{
	struct follower f;

	follow(&f, "box");
	ck_assert_int_eq(f.err, -ENOENT);
	sh("ip netns add box");
	loop_wait(&loop, !f.err && f.calls, NULL);
	nswatch_remove(f.item);
}
END_TEST

START_TEST(name_is_another_one)
{
	struct follower f;
	unsigned before;
	ino_t first;

	sh("ip netns add box");
	follow(&f, "box");
	ck_assert_int_eq(f.err, 0);
	before = count_fds();
	for (unsigned i = 0; i < 10; i++) {
		first = f.ino;
		/* Lest the new one get the number of the old. */
		sh("mkdir -p /run/old && touch /run/old/%u && mount --bind /run/netns/box /run/old/%u",
		   i, i);
		sh("ip netns del box");
		loop_wait(&loop, f.err == -ENOENT, NULL);
		sh("ip netns add box");
		loop_wait(&loop, !f.err, NULL);
		ck_assert_uint_ne(f.ino, first);
		/* And without a moment in between. */
		first = f.ino;
		sh("touch /run/old/b%u && mount --bind /run/netns/box /run/old/b%u", i, i);
		sh("ip netns del box; ip netns add box");
		loop_wait(&loop, !f.err && f.ino != first, NULL);
	}
	ck_assert_uint_eq(count_fds(), before);
	nswatch_remove(f.item);
}
END_TEST

/* What happens beside it is not its business. */
START_TEST(other_names)
{
	struct follower box, other;

	sh("mkdir -p /run/netns");
	follow(&box, "box");
	follow(&other, "other");
	sh("touch /run/netns/other /run/netns/boxes /run/netns/bo");
	loop_wait(&loop, other.calls, NULL);
	ck_assert_uint_eq(box.calls, 0);
	nswatch_remove(other.item);
	/* Its folder is watched still. */
	sh("touch /run/netns/box");
	loop_wait(&loop, box.calls, NULL);
	ck_assert_int_eq(box.err, -EINVAL);
	nswatch_remove(box.item);
}
END_TEST

START_TEST(path_comes_step_by_step)
{
	struct follower f;

	follow(&f, "/run/a/b/c");
	ck_assert_int_eq(f.err, -ENOENT);
	sh("mkdir /run/a");
	loop_wait(&loop, f.calls, NULL);
	sh("mkdir /run/a/b && touch /run/a/b/c");
	loop_wait(&loop, f.err == -EINVAL, NULL);
	sh("mount --bind /proc/self/ns/net /run/a/b/c");
	loop_wait(&loop, !f.err, NULL);
	sh("umount /run/a/b/c");
	loop_wait(&loop, f.err == -EINVAL, NULL);
	sh("rm -r /run/a");
	loop_wait(&loop, f.err == -ENOENT, NULL);
	sh("mkdir -p /run/a/b && ln -s /proc/self/ns/net /run/a/b/c");
	loop_wait(&loop, !f.err, NULL);
	nswatch_remove(f.item);
}
END_TEST

START_TEST(link_leads_elsewhere)
{
	struct follower f;
	ino_t first;

	sh("ip netns add one && ip netns add two && ln -s /run/netns/one /run/box");
	follow(&f, "/run/box");
	ck_assert_int_eq(f.err, 0);
	first = f.ino;
	sh("ln -s /run/netns/two /run/new && mv -T /run/new /run/box");
	loop_wait(&loop, !f.err && f.ino != first, NULL);
	nswatch_remove(f.item);
}
END_TEST

/* By number, by path, and by a link to that. */
static void follow_process(struct follower *f, int how, pid_t pid, char ref[64])
{
	if (how == 0)
		snprintf(ref, 64, "pid:%d", (int)pid);
	else if (how == 1)
		snprintf(ref, 64, "/proc/%d/ns/net", (int)pid);
	else
		strcpy(ref, "/run/box");
	if (how == 2 && access("/run/box", F_OK))
		sh("ln -s /proc/%d/ns/net /run/box", (int)pid);
	follow(f, ref);
}

START_TEST(process_ends)
{
	unsigned before = count_fds();
	pid_t pid = spawn();
	struct follower f;
	char ref[64];

	follow_process(&f, _i, pid, ref);
	ck_assert_int_eq(f.err, 0);
	ck_assert(!nswatch_ended(f.item));
	end(pid);
	/* Known at once, whether it was told already or not. */
	ck_assert(nswatch_ended(f.item));
	ck_assert_uint_eq(f.calls, 0);
	loop_wait(&loop, f.calls, NULL);
	ck_assert(nswatch_ended(f.item));
	/* Who comes under its number is another one, whatever else is mounted. */
	f.calls = 0;
	sh("mkdir -p /run/x && mount -t tmpfs x /run/x");
	loop_wait(&loop, f.calls, NULL);
	ck_assert(nswatch_ended(f.item));
	nswatch_remove(f.item);
	uv_run(&loop, UV_RUN_NOWAIT);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

START_TEST(process_was_never_there)
{
	pid_t pid = spawn();
	struct follower f;
	char ref[64];

	end(pid);
	follow_process(&f, _i, pid, ref);
	ck_assert(nswatch_ended(f.item));
	nswatch_remove(f.item);
}
END_TEST

/* No descriptor beyond those that are open. */
static void allow_fds(bool any)
{
	static struct rlimit usual;
	struct rlimit none;
	int lowest;

	if (any) {
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
		return;
	}
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
	lowest = dup(0);
	ck_assert_int_ge(lowest, 0);
	close(lowest);
	none = (struct rlimit){ .rlim_cur = (rlim_t)lowest, .rlim_max = usual.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

/* A shortage is no end: it is not for good, and meanwhile the end is known all the same. */
START_TEST(process_without_descriptors)
{
	pid_t pid = spawn(), next = spawn();
	struct follower f, g;
	char ref[64], ref2[64];

	if (_i == 2)
		sh("ln -s /proc/%d/ns/net /run/box", (int)pid); /* it takes descriptors */
	allow_fds(false);
	follow_process(&f, _i, pid, ref);
	follow_process(&g, 0, next, ref2);
	ck_assert_int_eq(f.err, -EMFILE);
	ck_assert(!nswatch_ended(f.item));
	ck_assert(!nswatch_ended(g.item));
	end(next);
	ck_assert(nswatch_ended(g.item));
	ck_assert(!nswatch_ended(f.item));
	allow_fds(true);
	/* Without an event: it is looked for. */
	loop_wait(&loop, f.calls && g.calls, NULL);
	ck_assert_int_eq(f.err, 0);
	ck_assert(!nswatch_ended(f.item));
	ck_assert(nswatch_ended(g.item));
	/* From here on it is followed. */
	f.calls = 0;
	end(pid);
	loop_wait(&loop, f.calls, NULL);
	ck_assert(nswatch_ended(f.item));
	nswatch_remove(g.item);
	nswatch_remove(f.item);
}
END_TEST

/* A link is made anew when the container starts: that is somebody's word for it. */
START_TEST(link_to_the_next_process)
{
	pid_t pid = spawn(), next = spawn();
	struct follower f;
	char ref[64];

	follow_process(&f, 2, pid, ref);
	end(pid);
	loop_wait(&loop, f.calls, NULL);
	ck_assert(nswatch_ended(f.item));
	sh("ln -sfn /proc/%d/ns/net /run/box", (int)next);
	loop_wait(&loop, !f.err, NULL);
	ck_assert(!nswatch_ended(f.item));
	end(next);
	loop_wait(&loop, f.err == -ENOENT, NULL);
	ck_assert(nswatch_ended(f.item));
	nswatch_remove(f.item);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nswatch");
	TCase *kernel = tcase_create("kernel");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(kernel, setup, teardown);
	tcase_add_test(kernel, name_comes);
	tcase_add_test(kernel, name_is_another_one);
	tcase_add_test(kernel, other_names);
	tcase_add_test(kernel, path_comes_step_by_step);
	tcase_add_test(kernel, link_leads_elsewhere);
	tcase_add_loop_test(kernel, process_ends, 0, 3);
	tcase_add_loop_test(kernel, process_was_never_there, 0, 3);
	tcase_add_loop_test(kernel, process_without_descriptors, 0, 3);
	tcase_add_test(kernel, link_to_the_next_process);
	tcase_set_timeout(kernel, 60);
	suite_add_tcase(suite, kernel);
	if (!in_netns_possible("nswatch"))
		tcase_set_tags(kernel, "root");

	srunner_run_tagged(sr, NULL, NULL, NULL, "root", CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
