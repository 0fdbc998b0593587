/* SPDX-License-Identifier: MIT */
/*
 * For tests that talk to the kernel: a network namespace of the test's own.
 *
 * It belongs to the test's process (Check forks one per test) and is gone with
 * it, whatever happens. Its /run is empty and private for the same reason:
 * `ip netns add` leaves nothing behind.
 */
#ifndef BERTH_TESTS_IN_NETNS_H
#define BERTH_TESTS_IN_NETNS_H

#include <check.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Can we? Tried in a child, so that the caller stays where it is. Says so if not. */
static inline int in_netns_possible(const char *test)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(unshare(CLONE_NEWNET | CLONE_NEWNS) ? 1 : 0);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return 1;
	printf("%s: skipped what needs a network namespace: run it as root\n", test);
	return 0;
}

/* Checked fixture. */
static inline void in_netns_setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("run", "/run", "tmpfs", 0, NULL), 0);
}

/* Run a command, which must succeed. */
static inline void __attribute__((format(printf, 1, 2))) sh(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	ck_assert_msg(!system(command), "failed: %s", command);
}

/*
 * Until all addresses of IPv6 are the machine's own: even with "nodad" the kernel leaves that
 * to a work queue, whose last step is the local route. Before it, it answers for none of them.
 */
static inline void wait_for_addresses(void)
{
	sh("for a in $(ip -6 -o addr show up | sed 's|.* inet6 ||; s|[/ ].*||'); do "
	   "until ip -6 route get $a | grep -q ^local; do sleep 0.01; done; done");
}

#endif
