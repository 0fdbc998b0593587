/* SPDX-License-Identifier: MIT */
/* netns: references to namespaces, and calls inside them. */
#include "../tun/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "in_netns.h"

static ino_t inode_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

/* The namespace of the calling thread. */
static ino_t inode_here(void)
{
	struct stat st;

	ck_assert_int_eq(stat("/proc/thread-self/ns/net", &st), 0);
	return st.st_ino;
}

START_TEST(bad_references)
{
	static const struct {
		const char *ref;
		int error;
	} cases[] = {
		{ "", -EINVAL },
		{ ".", -EINVAL },
		{ "..", -EINVAL },
		{ "../run/netns/a", -EINVAL },
		{ "a/b", -EINVAL },
		{ "a/", -EINVAL },
		{ "pid:", -EINVAL },
		{ "pid:0", -EINVAL },
		{ "pid:-1", -EINVAL },
		{ "pid:+1", -EINVAL },
		{ "pid: 1", -EINVAL },
		{ "pid:1 ", -EINVAL },
		{ "pid:1/../2", -EINVAL },
		{ "pid:self", -EINVAL },
		{ "pid:2147483648", -EINVAL },
		{ "pid:18446744073709551617", -EINVAL }, /* 2^64 + 1 */
		{ "pid:2147483647", -ENOENT },           /* beyond PID_MAX_LIMIT */
		{ "berth-test-is-not-there", -ENOENT },
		{ "..berth-test-is-not-there", -ENOENT }, /* odd, but a name */
		{ "/berth/test/is/not/there", -ENOENT },
		{ "/", -EINVAL },
		{ "/dev/null", -EINVAL },
		{ "/proc/self/ns/uts", -EINVAL }, /* a namespace of another kind */
		{ "/proc/self/status", -EINVAL },
	};
	int fd = netns_open(cases[_i].ref);

	ck_assert_msg(fd == cases[_i].error, "%d: '%s' gives %d", _i, cases[_i].ref, fd);
}
END_TEST
enum { BAD_REFERENCES = 24 };

START_TEST(overlong_name)
{
	char name[4096];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(netns_open(name), -EINVAL);
	name[256] = '\0';
	ck_assert_int_eq(netns_open(name), -EINVAL);
	name[255] = '\0';
	ck_assert_int_eq(netns_open(name), -ENOENT);
}
END_TEST

START_TEST(own_namespace_by_path_and_pid)
{
	char ref[32];
	int fd;

	fd = netns_open("/proc/self/ns/net");
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(inode_of(fd), inode_here());
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);

	snprintf(ref, sizeof(ref), "pid:%d", (int)getpid());
	fd = netns_open(ref);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(inode_of(fd), inode_here());
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}
END_TEST

struct seen {
	int calls;
	pthread_t thread;
	ino_t inode;
	bool term_blocked;
	int result;
};

static int look(void *arg)
{
	struct seen *seen = arg;
	sigset_t mask;

	seen->calls++;
	seen->thread = pthread_self();
	seen->inode = inode_here();
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	seen->term_blocked = sigismember(&mask, SIGTERM);
	return seen->result;
}

START_TEST(call_here)
{
	struct seen seen = { .result = 7 };

	ck_assert_int_eq(netns_call(-1, look, &seen), 7);
	ck_assert_int_eq(seen.calls, 1);
	ck_assert(pthread_equal(seen.thread, pthread_self()));
	ck_assert(!seen.term_blocked);
}
END_TEST

START_TEST(call_into_what_is_no_namespace)
{
	struct seen seen = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_lt(netns_call(fd, look, &seen), 0);
	close(fd);
	ck_assert_int_lt(netns_call(fd, look, &seen), 0); /* not even open */
	ck_assert_int_eq(seen.calls, 0);
}
END_TEST

START_TEST(name)
{
	ino_t here = inode_here();
	struct seen seen = { .result = -EXDEV };
	sigset_t mask;
	int fd;

	ck_assert_int_eq(netns_open("chatmail"), -ENOENT);
	sh("ip netns add chatmail");
	fd = netns_open("chatmail");
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_ne(inode_of(fd), here);

	/* Inside on a thread of its own; the caller has not moved. */
	ck_assert_int_eq(netns_call(fd, look, &seen), -EXDEV);
	ck_assert_int_eq(seen.calls, 1);
	ck_assert_uint_eq(seen.inode, inode_of(fd));
	ck_assert(!pthread_equal(seen.thread, pthread_self()));
	ck_assert(seen.term_blocked);
	ck_assert_uint_eq(inode_here(), here);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ck_assert(!sigismember(&mask, SIGTERM));

	/* The descriptor outlives the name. */
	sh("ip netns del chatmail");
	ck_assert_int_eq(netns_open("chatmail"), -ENOENT);
	seen.result = 0;
	ck_assert_int_eq(netns_call(fd, look, &seen), 0);
	ck_assert_uint_eq(seen.inode, inode_of(fd));
	close(fd);
}
END_TEST

START_TEST(left_over_files)
{
	/* What `ip netns` leaves when its mount is gone: an empty file. */
	sh("mkdir -p /run/netns && : >/run/netns/stale");
	ck_assert_int_eq(netns_open("stale"), -EINVAL);
	/* Must not wait for a writer. */
	sh("mkfifo /run/netns/fifo");
	ck_assert_int_eq(netns_open("fifo"), -EINVAL);
	ck_assert_int_eq(netns_open("/run/netns/fifo"), -EINVAL);
}
END_TEST

START_TEST(pid_of_another)
{
	int ready[2], leave[2], fd;
	struct seen seen = { 0 };
	char ref[32], byte = 0;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(leave, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		close(leave[1]);
		if (unshare(CLONE_NEWNET) || write(ready[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(leave[0], &byte, 1) < 0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);

	snprintf(ref, sizeof(ref), "pid:%d", (int)pid);
	fd = netns_open(ref);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_ne(inode_of(fd), inode_here());
	close(leave[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);

	/* The process is gone, its namespace is not, as long as we hold it. */
	ck_assert_int_eq(netns_open(ref), -ENOENT);
	ck_assert_int_eq(netns_call(fd, look, &seen), 0);
	ck_assert_uint_eq(seen.inode, inode_of(fd));
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("netns");
	TCase *plain = tcase_create("plain"), *kernel = tcase_create("kernel");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_add_loop_test(plain, bad_references, 0, BAD_REFERENCES);
	tcase_add_test(plain, overlong_name);
	tcase_add_test(plain, own_namespace_by_path_and_pid);
	tcase_add_test(plain, call_here);
	tcase_add_test(plain, call_into_what_is_no_namespace);
	suite_add_tcase(suite, plain);

	tcase_add_checked_fixture(kernel, in_netns_setup, NULL);
	tcase_add_test(kernel, name);
	tcase_add_test(kernel, left_over_files);
	tcase_add_test(kernel, pid_of_another);
	tcase_set_timeout(kernel, 30);
	suite_add_tcase(suite, kernel);
	if (!in_netns_possible("netns"))
		tcase_set_tags(kernel, "root");

	srunner_run_tagged(sr, NULL, NULL, NULL, "root", CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
