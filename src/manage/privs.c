/* SPDX-License-Identifier: MIT */
/* What the process denies itself, in order. */
#include "privs.h"

#include <errno.h>
#include <pwd.h>
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
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(resource, &limit))
		log_warning("cannot raise the limit of %s: %s", name, strerror(errno));
}

static void forbid_dumps(void)
{
	struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
		log_warning("cannot switch off core dumps: %s", strerror(errno));
}

void privs_harden(void)
{
	forbid_dumps();
	raise_limit(RLIMIT_NOFILE, "open files", 0);
	/* So that CAP_IPC_LOCK is not needed later. */
	raise_limit(RLIMIT_MEMLOCK, "locked memory", RLIM_INFINITY);
}

/* The broker */

static void confine_broker(void)
{
	static const unsigned caps[] = {
		CAP_SYS_ADMIN,       /* setns(2), bpf(2) */
		CAP_SYS_PTRACE,      /* /proc/PID/ns/net of somebody else's process */
		CAP_DAC_READ_SEARCH, /* the way there */
		CAP_NET_ADMIN,       /* what a netlink socket may do is what its opener might */
		CAP_NET_RAW,         /* packet sockets */
	};
	int err = confine_capabilities(caps, ARRAY_SIZE(caps));

	if (err) {
		log_error("cannot give up the broker's privileges: %s", strerror(-err));
		_exit(1);
	}
	confine_thread(CONFINE_BROKER);
}

int privs_begin(void)
{
	static const struct broker_ops ops = { .confine = confine_broker,
					       .owner = owner_for_broker };
	int err;

	confine_enable();
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
	struct passwd *user;

	*uid = 0;
	*gid = 0;
	if (geteuid())
		return 0;
	errno = 0;
	user = getpwnam(name);
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
	forbid_dumps();
	return err;
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

	confine_thread(CONFINE_CONTROL);
	if (!get_default_call_rcu_data())
		return -EAGAIN;
	call_rcu(&head, confine_reclaim);
	rcu_barrier();
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
