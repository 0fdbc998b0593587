/* SPDX-License-Identifier: MIT */
/* berthd: what starts, in order. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#include "../crypto/selftest.h"
#include "base/journal.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/version.h"
#include "config/config.h"
#include "manage/dropin.h"
#include "manage/privs.h"
#include "manage/run.h"

RCU_PROGRAM

static const char usage[] =
	"usage: berthd -c FILE      route: the gateway and tunnels of FILE, in the foreground\n"
	"       berthd -n -c FILE   read FILE and all tenants, print every fault, exit 1 if any\n"
	"       berthd [-f] IFNAME  in the place of `wireguard-go IFNAME`; -f: in the foreground\n"
	"       -v more words, -q fewer, -h, --help this, -V, --version its version\n"
	"\n"
	"Without FILE and IFNAME nothing is done. For IFNAME the environment may hold\n"
	"LOG_LEVEL (debug, error, silent), WG_TUN_FD, WG_UAPI_FD and WG_PROCESS_FOREGROUND=1.\n";

struct arguments {
	const char *config, *ifname;
	bool check, foreground;
	int verbosity;
};

static int parse_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' },
					       { "version", no_argument, NULL, 'V' },
					       { "foreground", no_argument, NULL, 'f' },
					       { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "c:nfvqhV", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			a->config = optarg;
			break;
		case 'n':
			a->check = true;
			break;
		case 'f':
			a->foreground = true;
			break;
		case 'v':
			a->verbosity++;
			break;
		case 'q':
			a->verbosity--;
			break;
		case 'V':
			puts("berthd " BERTH_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return -EINVAL;
		}
	}
	if (optind < argc)
		a->ifname = argv[optind++];
	/* One job at a time: a file or an interface. */
	if (optind < argc || !a->config == !a->ifname || (a->check && !a->config))
		return -EINVAL;
	return 0;
}

/* wireguard-go's words for IFNAME, ours for the router. */
static void set_log_level(const struct arguments *a)
{
	const char *level = getenv("LOG_LEVEL");
	int n = LOG_LEVEL_INFO + a->verbosity;

	if (level && a->ifname) {
		if (!strcmp(level, "verbose") || !strcmp(level, "debug"))
			n = LOG_LEVEL_DEBUG;
		else if (!strcmp(level, "error"))
			n = LOG_LEVEL_ERROR;
		else if (!strcmp(level, "silent"))
			n = LOG_LEVEL_SILENT;
	}
	log_set_level((enum log_level)max(min(n, (int)LOG_LEVEL_DEBUG), (int)LOG_LEVEL_SILENT));
}

static int check_config(const char *path)
{
	struct fault_list faults = { 0 };
	int err = config_check(path, &faults);

	fault_print(&faults, stdout);
	if (err && !faults.n)
		printf("%s: %s\n", path, strerror(-err));
	fault_list_free(&faults);
	return err ? 1 : 0;
}

/* A descriptor in the environment, or -1. */
static int fd_from(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long fd;

	if (!text || !*text)
		return -1;
	fd = strtol(text, &end, 10);
	if (*end || fd < 0 || fd > INT32_MAX) {
		log_error("%s: '%s' is not the number of a descriptor", name, text);
		exit(1);
	}
	return (int)fd;
}

/* Going to the background: the parent stays until the child works or has failed. */

struct background {
	int pipe_end; /* to the parent, or -1 */
	bool keep_log;
};

static void tell_parent(void *arg)
{
	struct background *b = arg;
	int null;

	if (b->pipe_end < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		if (!b->keep_log) {
			dup2(null, STDOUT_FILENO);
			dup2(null, STDERR_FILENO);
		}
		close(null);
	}
	(void)!write(b->pipe_end, "", 1);
	close(b->pipe_end);
	b->pipe_end = -1;
}

/* Whoever asks for a log wants to read it, in the background too (as wireguard-go has it). */
static bool wants_log(void)
{
	const char *level = getenv("LOG_LEVEL");

	return level && *level && strcmp(level, "silent") != 0;
}

static int wait_for_child(pid_t child, int pipe_end)
{
	int status;
	char ready;

	if (read(pipe_end, &ready, 1) == 1)
		return 0;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		return WEXITSTATUS(status);
	return 1;
}

static int start_all(bool dropin)
{
	const char *failed = NULL;
	int err;

	log_open(JOURNAL_SOCKET);
	/* A client that hangs up is an error of write(), not the end of us. */
	signal(SIGPIPE, SIG_IGN);
	if (privs_harden())
		return -EPERM;
	if (sodium_init() < 0) {
		log_error("libsodium cannot be initialised");
		return -EIO;
	}
	err = selftest_run(&failed);
	if (err == -ENOMEM)
		log_error("no memory for the self-test of %s", failed);
	else if (err)
		log_error("self-test of %s failed: this machine or library computes wrong results",
			  failed ? failed : "the cryptography");
	if (err)
		return err;
	if (privs_begin(dropin))
		return -EPERM;
	rcu_register_thread();
	rcu_turn_end();
	return 0;
}

static int run_dropin(const struct arguments *a)
{
	const char *foreground = getenv("WG_PROCESS_FOREGROUND");
	struct background background = { .pipe_end = -1, .keep_log = wants_log() };
	int ends[2];
	struct dropin_options options = { .ifname = a->ifname,
					  .tun_fd = fd_from("WG_TUN_FD"),
					  .uapi_fd = fd_from("WG_UAPI_FD"),
					  .ready = tell_parent,
					  .arg = &background };
	pid_t child;

	if (!a->foreground && !(foreground && !strcmp(foreground, "1"))) {
		if (pipe2(ends, O_CLOEXEC)) {
			log_error("cannot go to the background: %s", strerror(errno));
			return 1;
		}
		child = fork(); /* before there is any thread */
		if (child > 0) {
			close(ends[1]);
			return wait_for_child(child, ends[0]);
		}
		if (child < 0) {
			log_error("cannot go to the background: %s", strerror(errno));
			return 1;
		}
		close(ends[0]);
		background.pipe_end = ends[1];
		setsid();
		(void)!chdir("/");
	}
	if (start_all(true))
		return 1;
	return dropin_run(&options);
}

int main(int argc, char **argv)
{
	struct arguments a = { 0 };
	int status;

	if (parse_arguments(&a, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	set_log_level(&a);
	if (a.check)
		return check_config(a.config);
	if (a.ifname) {
		status = run_dropin(&a);
	} else {
		if (start_all(false))
			return 1;
		status = router_run(a.config);
	}
	privs_end();
	return status;
}
