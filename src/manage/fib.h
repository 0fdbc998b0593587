/* SPDX-License-Identifier: MIT */
/*
 * The routes to the tenants: that they are there, that they stay, and that the kernel
 * goes by them.
 *
 * Somebody removes them (`ip route flush`; systemd-networkd, which takes every route
 * that is not in its files for a left-over; the kernel, without an event, when the
 * interface loses its last IPv4 address): they are put back. If that happens again and
 * again, less and less often, so that nobody fights at full speed.
 *
 * Something else wins: a rule that looks up another table first, a route to the same
 * prefix with a better metric, a blackhole, or the address is the machine's own. Then a
 * look-up says so, and one line of the log says what to do about it.
 *
 *	event about p, or p is new ──> unproven ──look-up──> to us: good
 *	all, after what may concern any ──┘           └────> missing ──installed again──┐
 *	                              to us: was gone <─look-up── tried <───────────────┘
 *	                              not to us: lost, and said (losses.h)
 *
 * Look-ups are made a slice at a time, rounds over all have a rest between them, and
 * every list has a bound: other people's routing daemons may change thousands of
 * routes a second.
 *
 * Control thread.
 */
#ifndef BERTH_MANAGE_FIB_H
#define BERTH_MANAGE_FIB_H

#include <uv.h>

#include "../../tun/netlink.h"
#include "../base/prefix.h"
#include "../config/router.h"

struct fib;

/* Which prefixes there are routes to. */
struct fib_ops {
	bool (*is_wanted)(void *arg, const struct prefix *p);
	void (*each_wanted)(void *arg, void (*fn)(const struct prefix *p, void *fn_arg),
			    void *fn_arg);
};

/*
 * For the interface of that index, called name, through nl; all pointers stay the
 * caller's. The router tells the uplinks at which packets come in. What an earlier run
 * has left on the interface is removed. 0, or -ENOMEM.
 */
must_check int fib_open(struct fib **out, uv_loop_t *loop, struct netlink *nl, int ifindex,
			const char *name, const struct config_router *router,
			const struct fib_ops *ops, void *arg);

/* The loop turns once more. The routes go with the device. NULL is fine, here and below. */
void fib_close(struct fib *fib);

/* A prefix is wanted, or is not any more: at the next flush. */
void fib_add(struct fib *fib, const struct prefix *p);
void fib_remove(struct fib *fib, const struct prefix *p);
void fib_flush(struct fib *fib);

/* What the kernel reports, but for what we have done ourselves. */
void fib_route_changed(struct fib *fib, const struct netlink_route *route, bool gone);
void fib_rule_changed(struct fib *fib);
void fib_addr_changed(struct fib *fib, const struct netlink_addr *addr, bool gone);
void fib_link_changed(struct fib *fib, const struct netlink_link *link, bool gone);

/* Events were lost: what is missing is found and put back. */
void fib_refresh(struct fib *fib);

#endif
