/* SPDX-License-Identifier: MIT */
/* Network namespaces: finding one, and doing something inside one. */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/nsfs.h>

#include "broker.h"

/*
 * O_NONBLOCK: the path comes from a configuration file, and opening a FIFO
 * would wait for its writer. The magic number is asked first because an ioctl
 * may mean anything to a device.
 */
static int open_path(const char *path)
{
	struct statfs fs;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) || fs.f_type != NSFS_MAGIC ||
	    ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* @digits: decimal and nothing else, 1 to INT_MAX. */
static int open_pid(const char *digits)
{
	char path[sizeof("/proc/2147483647/ns/net")];
	uint64_t pid = 0;
	const char *p;

	for (p = digits; *p >= '0' && *p <= '9'; p++) {
		pid = pid * 10 + (uint64_t)(*p - '0');
		if (pid > INT_MAX)
			return -EINVAL;
	}
	if (*p || !pid)
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return open_path(path);
}

/* A name is one component of a path and cannot climb out of the folder. */
static bool name_is_valid(const char *name)
{
	size_t len = strnlen(name, NAME_MAX + 1);

	return len && len <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

static int open_name(const char *name)
{
	static const char *const folders[] = { "/run/netns", "/var/run/netns" };
	char path[sizeof("/var/run/netns/") + NAME_MAX];
	int fd = -ENOENT;
	size_t i;

	if (!name_is_valid(name))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(folders) && fd == -ENOENT; i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		fd = open_path(path);
	}
	return fd;
}

int netns_open(const char *ref)
{
	if (broker_is_on())
		return broker_netns(ref);
	if (ref[0] == '/')
		return open_path(ref);
	if (!strncmp(ref, "pid:", 4))
		return open_pid(ref + 4);
	return open_name(ref);
}

struct call {
	int nsfd;
	int (*fn)(void *arg);
	void *arg;
	int result;
};

static void *call_thread(void *arg)
{
	struct call *call = arg;

	if (setns(call->nsfd, CLONE_NEWNET))
		call->result = -errno;
	else
		call->result = call->fn(call->arg);
	return NULL;
}

int netns_call(int nsfd, int (*fn)(void *arg), void *arg)
{
	struct call call = { .nsfd = nsfd, .fn = fn, .arg = arg };
	sigset_t all, old;
	pthread_t thread;
	int err;

	if (nsfd < 0)
		return fn(arg);

	/* The new thread inherits the mask: the caller's handlers are not for it. */
	sigfillset(&all);
	err = pthread_sigmask(SIG_SETMASK, &all, &old);
	if (err)
		return -err;
	err = pthread_create(&thread, NULL, call_thread, &call);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;

	err = pthread_join(thread, NULL);
	return err ? -err : call.result;
}
