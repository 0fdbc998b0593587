/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side of a tunnel of our own: its TUN device inside the
 * container's network namespace, with its addresses, MTU and routes. Of use to
 * tunnel.c alone. Control thread; nothing is kept open in between: a socket
 * inside would keep a namespace alive that everybody else has left.
 */
#ifndef BERTH_MANAGE_TUNNEL_LINK_H
#define BERTH_MANAGE_TUNNEL_LINK_H

#include "../config/tenant.h"

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
		TUNNEL_LINK_ADDRESS /* *address cannot be added */
	} what;
	const struct config_address *address;
};

/*
 * Moves the interface called ifname here to the namespace netns (-1: it stays)
 * as the file names it, and sets it up there. lo is put up too: nobody else
 * does in a fresh namespace. 0 or -errno and *failure.
 */
must_check int tunnel_link_make(const struct config_tenant *conf, const char *ifname, int netns,
				struct tunnel_link_failure *failure);

/*
 * Leads the interface in the namespace netns from what it was to new; what is
 * in both is not touched. what: of diff_link(). 0 or the first -errno; the rest was
 * done all the same.
 */
must_check int tunnel_link_update(const struct config_tenant *old,
				  const struct config_tenant *new, int netns, unsigned what);

#endif
