/* SPDX-License-Identifier: MIT */
/*
 * Hearing of it when the kernel's links, addresses, routes, rules or neighbours change.
 *
 * Threads: one thread at a time per struct nlmon.
 */
#ifndef BERTH_TUN_NLMON_H
#define BERTH_TUN_NLMON_H

#include "netlink.h"

struct nlmon;

enum {
	NLMON_LINK = 1 << 0,
	NLMON_ADDR = 1 << 1,  /* IPv4 and IPv6 */
	NLMON_ROUTE = 1 << 2, /* IPv4 and IPv6 */
	NLMON_NEIGH = 1 << 3,
	NLMON_RULE = 1 << 4 /* IPv4 and IPv6 */
};

/*
 * @gone is false for what is new or changed. A member that is NULL is skipped.
 * Callbacks may make requests through any struct netlink.
 */
struct nlmon_callbacks {
	void (*link)(const struct netlink_link *link, bool gone, void *arg);
	void (*addr)(const struct netlink_addr *addr, bool gone, void *arg);
	void (*route)(const struct netlink_route *route, bool gone, void *arg);
	void (*neigh)(const struct netlink_neigh *neigh, bool gone, void *arg);
	/* Some rule has come or gone: what matters is what they say together. */
	void (*rule)(void *arg);
	/*
	 * Events were lost. Everything that was still queued is older than the
	 * loss and has been thrown away; what comes later is whole again. List
	 * all that matters anew, now.
	 */
	void (*overrun)(void *arg);
};

/*
 * Subscribe to @groups (NLMON_*) in the namespace @nsfd (< 0: the caller's).
 * Subscribe first and list afterwards, and nothing is missed.
 */
must_check int nlmon_open(struct nlmon **mon, int nsfd, unsigned int groups);
void nlmon_close(struct nlmon *mon); /* NULL is fine */

/*
 * Be deaf to what the netlink socket @port (netlink_port) causes itself: it is
 * dropped in the kernel, so that our own 100,000 routes do not overrun us.
 * One port; a second call replaces the first, 0 hears everything again.
 */
must_check int nlmon_ignore(struct nlmon *mon, uint32_t port);

/* To be polled for reading; level-triggered. Never read it elsewhere. */
int nlmon_fd(const struct nlmon *mon);

/*
 * Deliver what has come, without ever blocking: at most some hundred datagrams,
 * so that a storm does not starve the caller's other work; the rest keeps the
 * descriptor readable. Returns 0 or a negative errno (the socket is broken).
 */
must_check int nlmon_read(struct nlmon *mon, const struct nlmon_callbacks *callbacks, void *arg);

/*
 * Deliver the events in @buf, @len bytes as the kernel sends them, aligned to
 * four bytes. Pure; what cannot be parsed is skipped. For nlmon_read and tests.
 */
void nlmon_deliver(const void *buf, size_t len, const struct nlmon_callbacks *callbacks, void *arg);

#endif
