/* SPDX-License-Identifier: MIT */
/*
 * confine and landlock: for each kind of thread what it may do works, and what it may not
 * is refused or ends the process. Each trial is a process of its own.
 */
#include "../src/base/confine.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/base/landlock.h"
#include "../src/base/rcu.h"

RCU_PROGRAM

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED false
#else
#define FILTERED true
#endif

enum { KILLED = -1000 }; /* by the filter */

/* Trials: 0, or what errno says. */

static int or_errno(long result)
{
	return result < 0 ? errno : 0;
}

static int do_open(void)
{
	return or_errno(open("/etc/passwd", O_RDONLY));
}

static int do_packet_socket(void)
{
	return or_errno(socket(AF_PACKET, SOCK_RAW, 0));
}

static int do_udp_socket(void)
{
	return or_errno(socket(AF_INET, SOCK_DGRAM, 0));
}

static int do_exec(void)
{
	return or_errno(execl("/bin/true", "true", NULL));
}

static int do_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return or_errno(pid);
}

static int do_ptrace(void)
{
	return or_errno(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int do_read_other(void)
{
	return or_errno(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int do_mount(void)
{
	return or_errno(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int do_setns(void)
{
	return or_errno(setns(0, CLONE_NEWNET));
}

static int do_unshare(void)
{
	return or_errno(unshare(CLONE_NEWUSER));
}

static int do_bpf(void)
{
	return or_errno(syscall(SYS_bpf, 0, NULL, 0));
}

static int do_kill_other(void)
{
	return or_errno(kill(getppid(), 0));
}

static int do_setuid(void)
{
	return or_errno(syscall(SYS_setuid, 0));
}

static int do_dumpable(void)
{
	return or_errno(prctl(PR_SET_DUMPABLE, 1));
}

static int do_core_limit(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	return or_errno(setrlimit(RLIMIT_CORE, &all));
}

static int do_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? errno : 0;
}

static int do_code_later(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return or_errno(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int do_terminal(void)
{
	return or_errno(ioctl(0, TIOCSTI, "x")); /* puts words into a terminal's mouth */
}

static void *nop(void *arg)
{
	return arg;
}

static int do_thread(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, nop, NULL);

	return err ? err : pthread_join(thread, NULL);
}

static int do_memory(void)
{
	void *p = malloc(1 << 20), *page;

	if (!p)
		return ENOMEM;
	memset(p, 1, 1 << 20);
	free(p);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return or_errno(munmap(page, 4096));
}

#ifdef __x86_64__
/* getpid(2) as a 32-bit program makes it: allowed by its 64-bit number. */
static int do_32_bit(void)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "0"(20L)
			 : "memory", "r8", "r9", "r10", "r11");
	return result > 0 ? 0 : 1;
}
#endif

static int do_capability(void)
{
	return or_errno(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN));
}

/* The rest of the process: 0, an errno, or KILLED. */
static int try_as(enum confine_kind kind, int (*trial)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		static const unsigned caps[] = { CAP_NET_ADMIN };
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		if (confine_enable() || confine_capabilities(caps, 1))
			_exit(255);
		confine_thread(kind);
		_exit(trial());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		ck_assert_int_eq(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	return WEXITSTATUS(status);
}

static const struct {
	const char *what;
	int (*trial)(void);
	unsigned allowed; /* bits of the kinds that may */
} trials[] = {
#define MAY(kind) (1U << CONFINE_##kind)
#define ALL ((1U << CONFINE_KINDS) - 1)
	{ "open", do_open, ALL }, /* for some to be refused: below */
	{ "packet socket", do_packet_socket, MAY(BROKER) },
	{ "UDP socket", do_udp_socket, MAY(CONTROL) | MAY(LOOKUP) },
	{ "execve", do_exec, 0 },
	{ "fork", do_fork, 0 },
	{ "ptrace", do_ptrace, 0 },
	{ "process_vm_readv", do_read_other, 0 },
	{ "mount", do_mount, 0 },
	{ "setns", do_setns, MAY(BROKER) },
	{ "unshare", do_unshare, 0 },
	{ "bpf", do_bpf, MAY(BROKER) },
	{ "kill", do_kill_other, 0 },
	{ "setuid", do_setuid, 0 },
	{ "dumpable", do_dumpable, 0 },
	{ "limit of core dumps", do_core_limit, 0 },
	{ "code in memory", do_code, MAY(LOOKUP) },
	{ "code of data", do_code_later, MAY(LOOKUP) },
	{ "ioctl of a terminal", do_terminal, 0 },
	{ "thread", do_thread, MAY(CONTROL) | MAY(LOOKUP) },
	{ "memory", do_memory, ALL },
	{ "prctl", do_capability, MAY(CONTROL) | MAY(LOOKUP) },
};

#ifdef __x86_64__
/* Other numbers, for the same: where the kernel has them at all. */
START_TEST(calls_of_32_bit)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(do_32_bit());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return;
	ck_assert_int_eq(try_as((enum confine_kind)_i, do_32_bit), KILLED);
}
END_TEST
#endif

/* Of the kind _i: exactly what is marked is let through to the kernel. */
START_TEST(calls)
{
	enum confine_kind kind = (enum confine_kind)_i;

	for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
		bool may = trials[i].allowed & 1U << kind;

		ck_assert_msg((try_as(kind, trials[i].trial) != KILLED) == may,
			      "a %s thread: %s was %s", confine_name(kind), trials[i].what,
			      may ? "not allowed" : "allowed");
	}
}
END_TEST

/* glibc's malloc asks for a file of /proc now and then: no reason to end. */
START_TEST(files_are_refused)
{
	static const enum confine_kind kinds[] = { CONFINE_WORKER, CONFINE_HANDSHAKE,
						   CONFINE_RECLAIM };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		ck_assert_int_eq(try_as(kinds[i], do_open), SANITIZED ? 0 : EACCES);
}
END_TEST

/* A name that is misspelt is none that libseccomp knows: it would be left out silently. */
START_TEST(lists)
{
	static const char *const never[] = {
		"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv",
		"process_vm_writev", "mount", "umount2", "pivot_root", "chroot", "unshare",
		"kexec_load", "init_module", "finit_module", "delete_module", "setuid", "setresuid",
		"setgid", "keyctl", "userfaultfd", "io_uring_setup", "perf_event_open", "kill",
		"tkill", "pidfd_send_signal", "pidfd_getfd", "chown", "fchown", "fchownat", "mknod",
		"mknodat", "symlink", "link", "linkat", "personality", "process_madvise",
		"socket", "ioctl", "clone", "clone3", "prctl", "mmap", "mprotect", "prlimit64"
	};

	for (unsigned kind = 0; kind < CONFINE_KINDS; kind++)
		for (unsigned list = 0; list < CONFINE_LISTS; list++)
			for (const char *const *call = confine_calls(kind, list); *call; call++)
				for (size_t i = 0; i < ARRAY_SIZE(never); i++)
					ck_assert_str_ne(*call, never[i]);
}
END_TEST

static uint64_t field(const char *name)
{
	FILE *file = fopen("/proc/thread-self/status", "r");
	uint64_t value = UINT64_MAX;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtoull(line + strlen(name) + 1, NULL, 16);
	if (file)
		fclose(file);
	return value;
}

/* Of those that are wanted exactly: none that is not, and none comes back with execve(2). */
START_TEST(capabilities)
{
	static const unsigned caps[] = { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE };

	ck_assert_int_eq(confine_capabilities(caps, ARRAY_SIZE(caps)), 0);
	ck_assert_uint_eq(field("CapEff"), 1U << CAP_NET_ADMIN | 1U << CAP_NET_BIND_SERVICE);
	ck_assert_uint_eq(field("CapPrm"), 1U << CAP_NET_ADMIN | 1U << CAP_NET_BIND_SERVICE);
	ck_assert_uint_eq(field("CapInh"), 0);
	ck_assert_uint_eq(field("CapBnd"), 0);
	ck_assert_uint_eq(field("CapAmb"), 0);
	ck_assert_uint_eq(field("NoNewPrivs"), 1);
	ck_assert_int_eq(do_mount(), EPERM);
	ck_assert_int_eq(do_packet_socket(), EPERM);
}
END_TEST

START_TEST(user)
{
	static const unsigned caps[] = { CAP_NET_ADMIN, CAP_DAC_OVERRIDE };

	ck_assert_int_eq(confine_user(65534, 65534, caps, ARRAY_SIZE(caps)), 0);
	ck_assert_uint_eq(geteuid(), 65534);
	ck_assert_uint_eq(getuid(), 65534);
	ck_assert_uint_eq(getegid(), 65534);
	ck_assert_int_eq(getgroups(0, NULL), 0);
	ck_assert_uint_eq(field("CapEff"), 1U << CAP_NET_ADMIN | 1U << CAP_DAC_OVERRIDE);
	ck_assert_uint_eq(field("CapBnd"), 0);
	ck_assert_int_eq(do_setuid(), EPERM);
	ck_assert_int_eq(do_kill_other(), EPERM);
	ck_assert_int_eq(or_errno(chown("/", 1, 1)), EPERM);
}
END_TEST

/* Landlock */

static char folder[] = "/tmp/berth-confine.XXXXXX";

static const char *in(const char *name)
{
	static char path[4][128];
	static unsigned turn;

	turn = (turn + 1) % ARRAY_SIZE(path);
	snprintf(path[turn], sizeof(path[0]), "%s/%s", folder, name);
	return path[turn];
}

static int make(const char *name)
{
	int fd = open(in(name), O_WRONLY | O_CREAT, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void make_tree(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(mkdir(in("read"), 0700), 0);
	ck_assert_int_eq(mkdir(in("write"), 0700), 0);
	ck_assert_int_eq(mkdir(in("other"), 0700), 0);
	ck_assert_int_eq(make("read/a"), 0);
	ck_assert_int_eq(make("write/a"), 0);
	ck_assert_int_eq(make("other/a"), 0);
}

static void remove_tree(void)
{
	unlink(in("read/a"));
	unlink(in("write/a"));
	unlink(in("write/b"));
	unlink(in("other/a"));
	rmdir(in("read"));
	rmdir(in("write"));
	rmdir(in("other"));
	rmdir(folder);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

/* In a child, as what it gives up does not come back: the number of the line at fault. */
#define EXPECT(condition)                                                                      \
	do {                                                                                   \
		if (!(condition))                                                              \
			_exit(__LINE__ - first);                                               \
	} while (0)

static void live_within(int first)
{
	struct landlock rules;

	EXPECT(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EXPECT(!landlock_begin(&rules, true));
	EXPECT(!landlock_allow(&rules, in("read"), LANDLOCK_READ));
	EXPECT(!landlock_allow(&rules, in("write"), LANDLOCK_WRITE));
	EXPECT(!landlock_allow(&rules, in("is-not-there"), LANDLOCK_WRITE));
	EXPECT(!landlock_enforce(&rules));

	EXPECT(!or_errno(open(in("read/a"), O_RDONLY)));
	EXPECT(or_errno(open(in("read/a"), O_WRONLY)) == EACCES);
	EXPECT(make("read/b") == EACCES);
	EXPECT(or_errno(unlink(in("read/a"))) == EACCES);
	EXPECT(or_errno(rename(in("write/a"), in("read/a"))) == EACCES);

	EXPECT(!or_errno(open(in("write/a"), O_RDWR)));
	EXPECT(!make("write/b"));
	EXPECT(!or_errno(rename(in("write/b"), in("write/a"))));
	EXPECT(or_errno(symlink("/etc/passwd", in("write/link"))) == EACCES);
	EXPECT(or_errno(mknod(in("write/fifo"), S_IFIFO | 0600, 0)) == EACCES);

	EXPECT(or_errno(open(in("other/a"), O_RDONLY)) == EACCES);
	EXPECT(or_errno(open(folder, O_RDONLY | O_DIRECTORY)) == EACCES);
	EXPECT(do_open() == EACCES);
	EXPECT(make("is-not-there") == EACCES);
	_exit(0);
}

START_TEST(files)
{
	int status;
	pid_t pid;

	if (!has_landlock()) {
		printf("test_confine: skipped files: this kernel has no Landlock\n");
		return;
	}
	make_tree();
	pid = fork();
	if (!pid)
		live_within(__LINE__);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	remove_tree();
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* Without confine_enable(), as in all other tests and tools, nothing is denied. */
START_TEST(disabled)
{
	confine_thread(CONFINE_WORKER);
	ck_assert_int_eq(do_open(), 0);
	ck_assert_uint_eq(field("Seccomp"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("confine");
	TCase *tc = tcase_create("confine");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	if (FILTERED)
		tcase_add_loop_test(tc, calls, 0, CONFINE_KINDS);
#ifdef __x86_64__
	if (FILTERED)
		tcase_add_loop_test(tc, calls_of_32_bit, 0, CONFINE_KINDS);
#endif
	tcase_add_test(tc, lists);
	tcase_add_test(tc, files_are_refused);
	tcase_add_test(tc, disabled);
	tcase_add_test(tc, files);
	if (!geteuid()) {
		tcase_add_test(tc, capabilities);
		tcase_add_test(tc, user);
	} else {
		printf("test_confine: skipped capabilities and user: run it as root\n");
	}
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
