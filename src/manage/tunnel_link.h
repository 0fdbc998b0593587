/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side of a tunnel of our own: its TUN device inside the
 * container's network namespace, with its addresses, MTU and routes. Of use to
 * tunnel.c alone. Control thread; nothing is kept open in between: a socket
 * inside would keep a namespace alive that everybody else has left.
 */
#ifndef BERTH_MANAGE_TUNNEL_LINK_H
#define BERTH_MANAGE_TUNNEL_LINK_H

#include <sys/types.h>
#include <urcu/list.h>

#include "../config/tenant.h"
#include "../path/device.h"
#include "tunnel_routes.h"

/* What there is of it. All zero: nothing. */
struct tunnel_link {
	struct tunnel_routes routes;
	int index; /* in its namespace */
	uint16_t mtu;
	dev_t netns_dev; /* of the namespace it is in; 0: ours */
	ino_t netns_ino;
	char name[TENANT_NAME_MAX + 1]; /* of the tunnel; "": it is not made */
	struct cds_list_head all; /* while it is: of all of ours */
};

/*
 * The namespace of the tunnel, for the caller to close; -1 and *err = 0 for
 * ours. Otherwise -1 and *err: -ENOENT: it is not there; -EINVAL: what is there
 * is no network namespace (yet).
 */
int tunnel_link_namespace(const struct config_tunnel *conf, int *err);

/* What failed in tunnel_link_make(). */
struct tunnel_link_failure {
	enum {
		TUNNEL_LINK_OTHER,
		TUNNEL_LINK_NAME,   /* the namespace has an interface of that name */
		TUNNEL_LINK_ADDRESS, /* *address cannot be added */
		TUNNEL_LINK_RULES    /* routing rules cannot be added, or no table is free */
	} what;
	const struct config_address *address;
};

/*
 * Moves the interface called ifname here to the namespace netns (-1: it stays)
 * as the file names it, and sets it up there. lo is put up too: nobody else
 * does in a fresh namespace. 0 or -errno and *failure.
 */
must_check int tunnel_link_make(struct tunnel_link *link, const struct config_tenant *conf,
				const char *ifname, int netns,
				struct tunnel_link_failure *failure);

/* Is it in that namespace (-1: ours), and not in one before of the same name? */
bool tunnel_link_is_in(const struct tunnel_link *link, int netns);

/* Takes back what does not go with the interface; it may be gone, and so may its namespace. */
void tunnel_link_unmake(struct tunnel_link *link, const struct config_tenant *conf);

/*
 * Leads the interface in the namespace netns from what it was to new; what is
 * in both is not touched; the MTU is not led. what: of diff_link(). 0 or the first -errno; the rest was
 * done all the same.
 */
must_check int tunnel_link_update(struct tunnel_link *link, const struct config_tenant *old,
				  const struct config_tenant *new, int netns, unsigned what);

/* What tunnel_link_restore() has found. */
struct tunnel_link_back {
	bool down;                       /* the interface: nothing can be put back */
	size_t addresses, routes, rules; /* that had gone, and are there again */
};

/*
 * Adds again what somebody has removed; what is there is not touched. 0 or the first -errno,
 * with the rest done all the same; -ENODEV: the interface is gone.
 */
must_check int tunnel_link_restore(const struct tunnel_link *link, const struct config_tenant *conf,
				   struct tunnel_link_back *back);

/*
 * Gives interface and device the MTU that the file says, or, where it leaves that to us,
 * that the way to the peers carries now: whenever an endpoint or a route has changed. Logs
 * what is new.
 */
void tunnel_link_follow_mtu(struct tunnel_link *link, const struct config_tenant *conf,
			    struct device *dev);

#endif
