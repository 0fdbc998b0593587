/* SPDX-License-Identifier: MIT */
/*
 * The lists of system calls. Found by strace(1) under the network tests, and rounded up to
 * what glibc, libuv and liburcu do in rarer moments with the same rights: a call that
 * gives a thread nothing new is not worth an outage.
 */
#include "confine.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <asm/ioctls.h>

#include "confine_private.h"

/* Memory, time, waiting, signals to oneself, and descriptors that are open already. */
static const char *const common[] = {
	"read", "write", "readv", "writev", "close", "lseek", "fstat", "newfstatat", "fcntl",
	"brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock",
	"futex", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday",
	"time", "getrandom", "sysinfo", "getrusage",
	"poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "rt_sigtimedwait",
	"restart_syscall", "sched_yield", "sched_getaffinity", "getcpu",
	"getpid", "gettid", "getuid", "geteuid", "getgid", "getegid",
	"membarrier", "rseq", "set_robust_list", "get_robust_list", "exit", "exit_group", NULL
};

static const char *const nothing[] = { NULL };

static const char *const packets[] = { "recvmsg", "recvmmsg", "sendmsg", "sendmmsg", "sendto",
				       "recvfrom", "getsockopt", "getsockname", NULL };

static const char *const files[] = { "open", "openat", "stat", "lstat", "statx", "fstatfs",
				     "access", "faccessat", "faccessat2", "readlink", "readlinkat",
				     "getdents", "getdents64", "pread64", "preadv", "flock",
				     "fadvise64", NULL };

/* Landlock says where. */
static const char *const writing[] = { "rename", "renameat", "renameat2", "unlink", "unlinkat",
				       "fsync", "fdatasync", "ftruncate", "fallocate", "pwrite64",
				       "pwritev", NULL };

static const char *const control[] = {
	"mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "umask", "getcwd",
	"bind", "listen", "accept", "accept4", "connect", "shutdown", "getpeername",
	"setsockopt", "pipe2", "eventfd2", "epoll_create1", "timerfd_create", "timerfd_settime",
	"inotify_init1", "inotify_add_watch", "inotify_rm_watch", "pidfd_open", "dup", "dup2", "dup3",
	"wait4", "waitid", "uname", "set_tid_address", "sched_setaffinity", "sched_getparam",
	"sched_getscheduler", "sched_getattr",
	/* Threads that it makes deny themselves more. */
	"seccomp", "capget", "capset", NULL
};

static const char *const lookup[] = { "bind", "connect", "setsockopt", "getpeername", "uname",
				      "pipe2", "eventfd2", "dup", "seccomp", NULL };

static const char *const broker_calls[] = { "recvmsg", "sendmsg", "setns", "fstatfs", "open",
					    "openat", "bpf", "dup2",
					    /* who has a port: /proc */
					    "getdents", "getdents64", "readlinkat", NULL };

const char *const *confine_calls(enum confine_kind kind, unsigned list)
{
	static const char *const *const lists[CONFINE_KINDS][CONFINE_LISTS - 1] = {
		[CONFINE_CONTROL] = { packets, files, writing, control },
		[CONFINE_WORKER] = { packets, nothing, nothing, nothing },
		[CONFINE_HANDSHAKE] = { packets, nothing, nothing, nothing },
		[CONFINE_RECLAIM] = { nothing, nothing, nothing, nothing },
		[CONFINE_WRITER] = { files, writing, nothing, nothing },
		[CONFINE_LOOKUP] = { packets, files, lookup, nothing },
		[CONFINE_BROKER] = { broker_calls, nothing, nothing, nothing },
	};

	return list ? lists[kind][list - 1] : common;
}

const char *confine_name(enum confine_kind kind)
{
	static const char *const names[CONFINE_KINDS] = {
		[CONFINE_CONTROL] = "control",	   [CONFINE_WORKER] = "worker",
		[CONFINE_HANDSHAKE] = "handshake", [CONFINE_RECLAIM] = "reclaim",
		[CONFINE_WRITER] = "writer",	   [CONFINE_LOOKUP] = "lookup",
		[CONFINE_BROKER] = "berth-broker",
	};

	return names[kind];
}

int confine_allow(void *ctx, const char *call)
{
	int number = seccomp_syscall_resolve_name(call);

	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
}

static int allow_if(void *ctx, int call, struct scmp_arg_cmp condition)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1, condition);
}

/* An argument that the kernel takes as 32 bits: what stands above them is nothing. */
#define INT_ARG(n, value) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)(value))

/* Memory that is written is never executed, except where libraries are loaded. */
static int add_mappings(void *ctx, bool may_load)
{
	static const int calls[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && !err; i++)
		err = may_load ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0)
			       : allow_if(ctx, calls[i],
					  SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err;
}

/*
 * A worker has its slices shortened before it denies itself that (path/worker.c). 0 is the
 * caller.
 */
static int add_slices(void *ctx)
{
	return allow_if(ctx, SCMP_SYS(sched_setattr), INT_ARG(0, 0));
}

/* Lines for the journal, by a socket that is connected already (base/journal.h): to nobody else. */
static int add_log(void *ctx)
{
	return allow_if(ctx, SCMP_SYS(sendto), SCMP_A4_64(SCMP_CMP_EQ, 0, 0));
}

/* abort(3), and nobody else's end. Filters are made by a child of the process that they are for. */
static int add_own_signals(void *ctx)
{
	return allow_if(ctx, SCMP_SYS(tgkill), INT_ARG(0, getppid()));
}

/* Threads of this process. clone3(2) hides its flags in memory: glibc then takes the other. */
static int add_threads(void *ctx)
{
	int err = allow_if(ctx, SCMP_SYS(clone),
			   SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	return err ? err : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int add_sockets(void *ctx, const int *families, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = allow_if(ctx, SCMP_SYS(socket),
			       INT_ARG(0, families[i]));
	return err;
}

static int add_ioctls(void *ctx, const unsigned *requests, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = allow_if(ctx, SCMP_SYS(ioctl), INT_ARG(1, requests[i]));
	return err;
}

static int add_prctls(void *ctx)
{
	static const int options[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS,
				       PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ, PR_CAP_AMBIENT };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options) && !err; i++)
		err = allow_if(ctx, SCMP_SYS(prctl),
			       INT_ARG(0, options[i]));
	return err;
}

/* One's own limits are read, nobody's are set. */
static int add_limits(void *ctx)
{
	return allow_if(ctx, SCMP_SYS(prlimit64), SCMP_A2_64(SCMP_CMP_EQ, 0, 0));
}

/*
 * Refused, and no more: to give memory back, malloc of glibc looks into
 * /proc/sys/vm/overcommit_memory, whoever calls it, and does without.
 */
static int refuse_files(void *ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
}

static int add_for_kind(void *ctx, enum confine_kind kind)
{
	static const int net[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	static const int broker[] = { AF_PACKET, AF_NETLINK };
	/* libuv's and glibc's own come first: so many are everybody's who has a loop. */
	static const unsigned devices[] = { FIONBIO, FIOCLEX, FIONREAD, TUNSETOFFLOAD, TCGETS,
					    TUNSETIFF, TUNGETIFF, TUNSETVNETHDRSZ,
					    TUNGETFEATURES, TUNSETSTEERINGEBPF, SIOCGIFINDEX };
	static const unsigned namespaces[] = { NS_GET_NSTYPE };
	enum { OF_A_LOOP = 3, OF_A_WORKER = 4 };
	int err = 0;

	switch (kind) {
	case CONFINE_CONTROL:
		err = add_sockets(ctx, net, ARRAY_SIZE(net));
		if (!err)
			err = add_ioctls(ctx, devices, ARRAY_SIZE(devices));
		if (!err)
			err = add_slices(ctx);
		break;
	case CONFINE_RECLAIM:
		err = refuse_files(ctx);
		return err ? err : add_log(ctx);
	case CONFINE_WRITER:
		return add_log(ctx);
	case CONFINE_WORKER:
		err = refuse_files(ctx);
		return err ? err : add_ioctls(ctx, devices, OF_A_WORKER);
	case CONFINE_HANDSHAKE:
		err = refuse_files(ctx);
		return err ? err : add_ioctls(ctx, devices, OF_A_LOOP);
	case CONFINE_LOOKUP:
		err = add_sockets(ctx, net, ARRAY_SIZE(net));
		if (!err)
			err = add_ioctls(ctx, devices, OF_A_LOOP);
		break;
	case CONFINE_BROKER:
		err = add_sockets(ctx, broker, ARRAY_SIZE(broker));
		return err ? err : add_ioctls(ctx, namespaces, ARRAY_SIZE(namespaces));
	default:
		return 0;
	}
	if (!err)
		err = add_threads(ctx);
	return err ? err : add_prctls(ctx);
}

int confine_add_conditions(void *ctx, enum confine_kind kind)
{
	int err = add_mappings(ctx, kind == CONFINE_LOOKUP);

	if (!err)
		err = add_own_signals(ctx);
	if (!err)
		err = add_limits(ctx);
	return err ? err : add_for_kind(ctx, kind);
}
