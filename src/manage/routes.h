/* SPDX-License-Identifier: MIT */
/*
 * Host routes: one for each address of a tenant, to the TUN device, with our
 * own protocol number. Changes are collected and sent to the kernel together.
 * Control thread.
 */
#ifndef BERTH_MANAGE_ROUTES_H
#define BERTH_MANAGE_ROUTES_H

#include "../../tun/netlink.h"
#include "../base/prefix.h"

struct routes;

/* nl stays the caller's. ifindex and name are the TUN device's. NULL: no memory. */
struct routes *routes_new(struct netlink *nl, int ifindex, const char *name);

/* Whatever is done from here on is done in that table, not in the main one. */
void routes_use_table(struct routes *routes, uint32_t table);

/*
 * The routes are those of a tunnel of our own, whose name routes_new() was told: for what is
 * said of them. Several may share a namespace, and where that is not ours a command must go
 * there.
 */
struct routes_place {
	const char *name; /* "namespace blog" */
	const char *ip;   /* how ip(8) is called there: tunnel_place.h */
	/* Which other tunnel has the interface of that index there; NULL: none. May be NULL. */
	const char *(*holder)(void *arg, int ifindex);
	void *arg;
};

/* place must live as long. */
void routes_use_place(struct routes *routes, const struct routes_place *place);

/* What was not flushed is forgotten; installed routes go with the device. */
void routes_free(struct routes *routes);

/*
 * Removes what an earlier run has left on the interface. With a TUN device of our own
 * nothing is: the kernel takes the routes away with the last descriptor. One that was made
 * beforehand to stay (`ip tuntap add`) keeps them.
 */
void routes_sweep(struct routes *routes);

/*
 * Asks the kernel for all of our routes and removes those that are not wanted: after a
 * flush that failed, whose removals nobody else remembers. 0, or -errno: the kernel could
 * not be asked, which is logged, and some may still be there.
 */
must_check int routes_prune(struct routes *routes,
			    bool (*is_wanted)(void *arg, const struct prefix *p), void *arg);

/*
 * From here on fn is told of every addition what became of it, after the batch: 0, or
 * -EEXIST (there is a route to p already: ours or somebody else's), or why the kernel
 * refused it. These are then not logged. If the kernel could not be asked, fn is told
 * nothing.
 */
typedef void routes_fn(void *arg, const struct prefix *p, int error);
void routes_tell(struct routes *routes, routes_fn *fn, void *arg);

/* To be done at the next flush; a removal and an addition of one prefix keep their order. */
void routes_add(struct routes *routes, const struct prefix *p);
void routes_remove(struct routes *routes, const struct prefix *p);

/*
 * Does everything that was asked for. A route that the kernel refuses is
 * logged with the reason; one that somebody else has is named with its owner
 * and left alone. 0, or -errno, which is logged too: the kernel could not be asked, or
 * there was no memory for one of them. What was not done then is forgotten.
 */
int routes_flush(struct routes *routes);

#endif
