/* SPDX-License-Identifier: MIT */
/* What the process denies itself, in order. */
#include "privs.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "../../tun/broker.h"
#include "../base/confine.h"
#include "../base/log.h"
#include "../base/rcu.h"
#include "../host/owner.h"
#include "lookup.h"
#include "privs_files.h"

enum { PRIVILEGED_PORTS = 1024, CAPABILITIES_MAX = 4 };

/* Its home in the system's list of users; tools/systemd makes it. */
#define OWN_USER "berth"

/* Limits */

static void raise_limit(int resource, const char *name, rlim_t beyond)
{
	struct rlimit limit, more;

	if (getrlimit(resource, &limit))
		return;
	more = (struct rlimit){ beyond, beyond };
	if (limit.rlim_max < beyond && !setrlimit(resource, &more))
		return;
	if (limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(resource, &limit))
		log_warning("cannot raise the limit of %s: %s", name, strerror(errno));
}

static int forbid_dumps(void)
{
	struct rlimit none = { 0, 0 };
	/* LeakSanitizer stops the other threads by ptrace(2), without a capability. */
	int err = prctl(PR_SET_DUMPABLE, SANITIZED) || setrlimit(RLIMIT_CORE, &none) ? -errno : 0;

	if (err)
		log_error("cannot switch off core dumps: %s", strerror(-err));
	return err;
}

int privs_harden(void)
{
	int err = forbid_dumps();

	if (err)
		return err;
	raise_limit(RLIMIT_NOFILE, "open files", 0);
	/* So that CAP_IPC_LOCK is not needed later. */
	raise_limit(RLIMIT_MEMLOCK, "locked memory", RLIM_INFINITY);
	return 0;
}

/* The broker */

static void be_broker_with(const unsigned *caps, size_t n)
{
	int err;

	log_open(NULL); /* all descriptors are closed here */
	err = confine_capabilities(caps, n);
	if (err) {
		log_error("cannot give up the broker's privileges: %s", strerror(-err));
		_exit(1);
	}
	confine_thread(CONFINE_BROKER);
}

/* A file that names a namespace may come at any time. */
static void confine_broker(void)
{
	static const unsigned caps[] = {
		CAP_SYS_ADMIN,       /* setns(2) */
		CAP_BPF,             /* bpf(2); before Linux 5.8 that was SYS_ADMIN's */
		CAP_SYS_PTRACE,      /* /proc/PID/ns/net of somebody else's process */
		CAP_DAC_READ_SEARCH, /* the way there */
		CAP_NET_ADMIN,       /* what a netlink socket may do is what its opener might */
		CAP_NET_RAW,         /* packet sockets */
	};

	be_broker_with(caps, ARRAY_SIZE(caps));
}

/* No namespaces, no neighbours. */
static void confine_broker_of_dropin(void)
{
	static const unsigned caps[] = { CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_BPF };
	static const unsigned without_bpf[] = { CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN };

	if (prctl(PR_CAPBSET_READ, CAP_BPF) < 0) /* the kernel does not know it */
		be_broker_with(without_bpf, ARRAY_SIZE(without_bpf));
	else
		be_broker_with(caps, ARRAY_SIZE(caps));
}

int privs_begin(bool dropin)
{
	struct broker_ops ops = { .confine = dropin ? confine_broker_of_dropin : confine_broker,
				  .owner = owner_for_broker };
	int err;

	err = confine_enable();
	if (err) {
		log_error("cannot make the filters of system calls: %s", strerror(-err));
		return err;
	}
	err = broker_start(&ops);
	if (err)
		log_error("cannot start the process that opens namespaces: %s", strerror(-err));
	return err;
}

void privs_end(void)
{
	broker_stop();
}

/* Capabilities and user */

struct keeping {
	unsigned caps[CAPABILITIES_MAX];
	size_t n;
};

static void keep(struct keeping *k, unsigned cap)
{
	k->caps[k->n++] = cap;
}

static void keep_needed(struct keeping *k, bool low_ports, bool other_user)
{
	struct rlimit limit;

	keep(k, CAP_NET_ADMIN);
	if (low_ports)
		keep(k, CAP_NET_BIND_SERVICE);
	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur != RLIM_INFINITY)
		keep(k, CAP_IPC_LOCK);
	/* Keys, tenants and sockets stay root's; where is Landlock's matter. */
	if (other_user)
		keep(k, CAP_DAC_OVERRIDE);
}

static bool is_low(uint16_t port)
{
	return port && port < PRIVILEGED_PORTS;
}

static bool wants_low_ports(const struct config_router *router)
{
	return (router->gateway && is_low(router->listen_port)) ||
	       (endpoint_is_set(&router->metrics_listen) &&
		is_low(endpoint_port(&router->metrics_listen)));
}

/*
 * Whom to become. 0: *uid and *gid are set; 0 means to stay who we are. The default is not
 * there when berthd runs from where it was built: that is said, and no reason not to start.
 */
static int find_user(const struct config_router *router, uid_t *uid, gid_t *gid)
{
	const char *name = router->user ? router->user : OWN_USER;
	const struct passwd *user;

	*uid = 0;
	*gid = 0;
	/* Who is not root cannot become another; systemd has chosen already. */
	if (geteuid() && !router->user)
		return 0;
	errno = 0;
	user = getpwnam(name);
	if (user && geteuid() && user->pw_uid != geteuid()) {
		log_error("%s: User = %s: started as uid %u, who cannot become somebody else: take "
			  "the line out, or let root start it", router->file, name, geteuid());
		return -EPERM;
	}
	if (user && geteuid())
		return 0;
	if (user) {
		*uid = user->pw_uid;
		*gid = user->pw_gid;
	} else if (router->user) {
		log_error("%s: User = %s: there is no such user", router->file, name);
		return -ENOENT;
	} else {
		log_warning("there is no user " OWN_USER ", so this runs as root, though without "
			    "root's capabilities: useradd --system --shell /usr/sbin/nologin "
			    "--home-dir /nonexistent " OWN_USER);
	}
	return 0;
}

static int drop(const struct config_router *router)
{
	struct keeping k = { .n = 0 };
	uid_t uid;
	gid_t gid;
	int err = find_user(router, &uid, &gid);

	if (err)
		return err;
	keep_needed(&k, wants_low_ports(router), uid != 0);
	if (uid)
		err = confine_user(uid, gid, k.caps, k.n);
	else
		err = confine_capabilities(k.caps, k.n);
	if (err)
		log_error("cannot give up privileges: %s", strerror(-err));
	/* With another user the kernel sets it to what it is for everybody. */
	return err ? err : forbid_dumps();
}

/* Threads */

static void confine_reclaim(struct rcu_head *head)
{
	(void)head;
	confine_thread(CONFINE_RECLAIM);
}

/* liburcu's own thread denies itself its share as the first thing that it is asked for. */
static int confine_control(void)
{
	static struct rcu_head head;

	/* libuv's pool: one thread, as it has one job, with which it confines itself. */
	if (setenv("UV_THREADPOOL_SIZE", "1", 1))
		return -errno;
	/* No filter sees what goes through a ring; libuv 1.45 to 1.48 would make one. */
	if (setenv("UV_USE_IO_URING", "0", 1))
		return -errno;
	confine_thread(CONFINE_CONTROL);
	if (!get_default_call_rcu_data())
		return -EAGAIN;
	call_rcu(&head, confine_reclaim);
	rcu_settle();
	return 0;
}

static void confine_lookup(void)
{
	int err = privs_files_lookup();

	if (err) {
		log_error("cannot confine look-ups of names: %s", strerror(-err));
		_exit(1);
	}
	confine_thread(CONFINE_LOOKUP);
}

/* Together */

int privs_router(const struct config_router *router)
{
	int err;

	tzset(); /* reads a file */
	privs_files_make(router);
	err = drop(router);
	if (err)
		return err;
	err = lookup_prepare(confine_lookup);
	if (!err)
		err = privs_files_router(router);
	if (!err)
		err = confine_control();
	if (err)
		log_error("cannot give up privileges: %s", strerror(-err));
	return err;
}

int privs_dropin(void)
{
	struct keeping k = { .n = 0 };
	int err;

	tzset();
	/* Any port may be asked for by `wg set` at any time. */
	keep_needed(&k, true, false);
	err = confine_capabilities(k.caps, k.n);
	if (!err)
		err = privs_files_dropin();
	if (!err)
		err = confine_control();
	if (err)
		log_error("cannot give up privileges: %s", strerror(-err));
	return err;
}
