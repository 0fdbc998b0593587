/* SPDX-License-Identifier: MIT */
/* What a thread denies itself: capabilities and system calls. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "confine_private.h"
#include "log.h"

enum { FILTER_MAX = 1024, MAKING_MS = 10000 };

static bool enabled;
static _Thread_local bool done;
/* Made once, before there are threads. */
static struct {
	unsigned short n;
	struct sock_filter code[FILTER_MAX];
} filters[CONFINE_KINDS];

/* Capabilities */

/* As many of the list as we have, and no more. */
static void choose(const unsigned *caps, size_t n)
{
	bool has[CAP_LAST_CAP + 1] = { false };

	capng_get_caps_process();
	for (size_t i = 0; i < n; i++)
		has[caps[i]] = capng_have_capability(CAPNG_PERMITTED, caps[i]);
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < n; i++)
		if (has[caps[i]])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, caps[i]);
}

/*
 * The bounding set says what execve(2) could bring back, which no_new_privs forbids and no
 * filter allows: where we may not change it, for want of CAP_SETPCAP, nothing is lost.
 */
static int renounce(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EPERM)
			return -errno;
	return 0;
}

int confine_capabilities(const unsigned *caps, size_t n)
{
	int err = renounce();

	if (err)
		return err;
	choose(caps, n);
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

int confine_user(uint32_t uid, uint32_t gid, const unsigned *caps, size_t n)
{
	int err = renounce();

	if (err)
		return err;
	choose(caps, n);
	return capng_change_id((int)uid, (int)gid, CAPNG_DROP_SUPP_GRP) ? -EPERM : 0;
}

/*
 * What a thread keeps that has no use for capabilities. Those that take memory for keys lock it;
 * there is CAP_IPC_LOCK only where the limit of locked memory could not be raised.
 */
static int drop_all(enum confine_kind kind)
{
	static const unsigned lock[] = { CAP_IPC_LOCK };

	static const unsigned override[] = { CAP_DAC_OVERRIDE }; /* the state folder may be root's */

	if (kind == CONFINE_WRITER)
		choose(override, 1);
	else
		choose(lock, kind == CONFINE_WORKER || kind == CONFINE_HANDSHAKE ? 1 : 0);
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

/* System calls */

static int allow_lists(scmp_filter_ctx ctx, enum confine_kind kind)
{
	int err = 0;

	for (unsigned list = 0; list < CONFINE_LISTS; list++)
		for (const char *const *call = confine_calls(kind, list); *call && !err; call++)
			err = confine_allow(ctx, *call);
	return err;
}

static int write_filter(enum confine_kind kind, int fd)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err;

	if (!ctx)
		return -ENOMEM;
	/* Numbers of the 32-bit system calls are no way around it. */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = allow_lists(ctx, kind);
	if (!err)
		err = confine_add_conditions(ctx, kind);
	if (!err)
		err = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	return err;
}

/* Written twice, and alike. */
static int read_filter(enum confine_kind kind, int fd)
{
	struct sock_filter again[FILTER_MAX];
	struct stat st;
	size_t size;

	if (fstat(fd, &st))
		return -errno;
	size = (size_t)st.st_size / 2;
	if (!size || size > sizeof(again))
		return -EFBIG;
	if (pread(fd, filters[kind].code, size, 0) != (ssize_t)size ||
	    pread(fd, again, size, (off_t)size) != (ssize_t)size)
		return -EIO;
	if (memcmp(filters[kind].code, again, size))
		return -ENOMEM;
	filters[kind].n = (unsigned short)(size / sizeof(struct sock_filter));
	return 0;
}

/*
 * Each of them twice: where there is no memory for a rule, libseccomp may leave it out and say
 * nothing, and the thread would be killed at that system call, in weeks perhaps.
 */
static _Noreturn void make_filters(const int *fds)
{
	int err = 0;

	for (unsigned i = 0; i < 2 * CONFINE_KINDS && !err; i++)
		err = write_filter(i / 2, fds[i / 2]);
	_exit(err ? 1 : 0);
}

/* Its end closes the pipe. 0: it has done what it was made for. */
static int wait_for_maker(pid_t child, int pipe_end)
{
	struct pollfd end = { .fd = pipe_end };
	int status;

	while (poll(&end, 1, MAKING_MS) < 0 && errno == EINTR)
		;
	if (!end.revents)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOMEM;
}

/*
 * A process of its own makes them: libseccomp takes memory ten thousand times, and goes round
 * in circles or crashes where there is none.
 */
static int in_child(const int *fds)
{
	int ends[2], err;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child)
		make_filters(fds);
	err = child < 0 ? -errno : 0;
	close(ends[1]);
	if (!err)
		err = wait_for_maker(child, ends[0]);
	close(ends[0]);
	return err;
}

int confine_enable(void)
{
	int fds[CONFINE_KINDS] = { 0 }, err = 0;
	unsigned n = 0;

	enabled = true;
	if (SANITIZED)
		return 0;
	while (n < CONFINE_KINDS && (fds[n] = memfd_create("filter", MFD_CLOEXEC)) >= 0)
		n++;
	err = n < CONFINE_KINDS ? -errno : in_child(fds);
	for (unsigned kind = 0; kind < CONFINE_KINDS && !err; kind++)
		err = read_filter(kind, fds[kind]);
	while (n)
		close(fds[--n]);
	return err;
}

static int filter(enum confine_kind kind)
{
	struct sock_fprog program = { .len = filters[kind].n, .filter = filters[kind].code };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

void confine_thread(enum confine_kind kind)
{
	int err = 0;

	if (!enabled || done)
		return;
	done = true;
	/* The first thread's name is the process's. */
	if (kind != CONFINE_CONTROL)
		(void)prctl(PR_SET_NAME, confine_name(kind));
	if (kind != CONFINE_CONTROL && kind != CONFINE_BROKER)
		err = drop_all(kind);
	if (!err && !SANITIZED)
		err = filter(kind);
	if (!err)
		return;
	log_error("cannot give up the privileges of the %s thread: %s", confine_name(kind),
		  strerror(-err));
	_exit(1);
}
