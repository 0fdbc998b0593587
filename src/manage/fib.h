/* SPDX-License-Identifier: MIT */
/*
 * Watches over the routes to the tenants once routes.c has installed them: that
 * they stay, and that the kernel goes by them.
 *
 * Somebody removes them (`ip route flush`; systemd-networkd, which takes every route
 * that is not in its files for a left-over): they are put back. If that happens again
 * and again, less and less often, so that nobody fights at full speed.
 *
 * Something else wins: a rule that looks up another table first, a route to the same
 * prefix with a better metric, or the address is the machine's own. Then a FIB
 * look-up says so, and one line of the log says what to do about it. Look-ups are
 * made a slice at a time, and after a change only for what it is about.
 *
 * Control thread.
 */
#ifndef BERTH_MANAGE_FIB_H
#define BERTH_MANAGE_FIB_H

#include <uv.h>

#include "../path/device.h"
#include "routes.h"

struct fib;

/*
 * Watches the routes to the peers of dev, through routes and nl, which stay the
 * caller's. ifindex is the index of its interface; uplink is where packets for
 * tenants come in, or "". 0, or -ENOMEM.
 */
must_check int fib_open(struct fib **out, uv_loop_t *loop, struct routes *routes,
			struct netlink *nl, struct device *dev, int ifindex, const char *uplink);

/* The loop turns once more. NULL is fine, here and in all of the others. */
void fib_close(struct fib *fib);

/* A route was installed: does the kernel go by it? Answered soon, and said if not. */
void fib_verify(struct fib *fib, const struct prefix *p);

/* What the kernel reports: a route, changed by anybody but us; a rule. */
void fib_route_changed(struct fib *fib, const struct netlink_route *route, bool gone);
void fib_rule_changed(struct fib *fib);

/* The interface: up, its routes are to be installed anew; down, the kernel has dropped them. */
void fib_link_changed(struct fib *fib, bool up);

/* Events were lost: what is missing is found and put back. */
void fib_refresh(struct fib *fib);

#endif
