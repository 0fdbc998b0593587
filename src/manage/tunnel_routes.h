/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel sends packets into a tunnel of our own: its routes, and the rules that
 * choose a table for them.
 *
 *	Table = off	nothing
 *	Table = auto	AllowedIPs in the main table. On the host a default route is in a
 *			table of its own, of rules that are wg-quick's:
 *			 32600+k  lookup main suppress_prefixlength 0
 *			 32680+k  not fwmark M lookup T
 *			The packets that carry the tunnel bear the mark M, and find out. It is
 *			the same for all tunnels without an FwMark, so that none goes through
 *			another; T and k are each one's own.
 *	Table = N	AllowedIPs in table N, and for each address of the interface
 *			 32500    from ADDRESS lookup N
 *
 * Routes go with the interface, rules do not: they carry our protocol number, and those of
 * a run that was killed are found by it. Control thread.
 */
#ifndef BERTH_MANAGE_TUNNEL_ROUTES_H
#define BERTH_MANAGE_TUNNEL_ROUTES_H

#include "../../tun/netlink.h"
#include "../config/tenant.h"

enum {
	TUNNEL_ROUTES_FROM = 32500,     /* priorities of rules; main is looked up at 32766 */
	TUNNEL_ROUTES_SUPPRESS = 32600,
	TUNNEL_ROUTES_MARK = 32680,
	TUNNEL_ROUTES_SLOTS = 80
};

/* What is there at present. All zero: nothing. */
struct tunnel_routes {
	uint32_t table; /* T; 0: none is needed */
	uint32_t slot;  /* k */
	struct netlink_rule *rules;
	size_t n_rules;
	/* As in struct routes_place; the owner's, who sets it before each update. May be NULL. */
	const char *(*holder)(void *arg, int ifindex);
	void *arg;
};

/*
 * Leads from old (NULL: nothing, the interface is new) to new, on the interface of that
 * index; addresses are there already. A route that cannot be is logged. 0; or a rule
 * could not be added or no table was free: -errno, and *routes tells what is there.
 */
must_check int tunnel_routes_update(struct tunnel_routes *routes, struct netlink *nl, int index,
				    const struct config_tenant *old,
				    const struct config_tenant *new);

/*
 * Adds again what of conf, to which *routes was led, is not there any more; the interface is
 * up. *n_routes and *n_rules: so many were not. Where somebody else has put a route in the
 * place of ours, it is left alone. Logs nothing of single ones. 0, or the first -errno.
 */
must_check int tunnel_routes_restore(const struct tunnel_routes *routes, struct netlink *nl,
				     int index, const struct config_tenant *conf,
				     size_t *n_routes, size_t *n_rules);

/* Removes the rules; the routes go with the interface. *routes is all zero again. */
void tunnel_routes_clear(struct tunnel_routes *routes, struct netlink *nl);

/* The same, where the namespace is gone and took the rules along. */
void tunnel_routes_forget(struct tunnel_routes *routes);

/*
 * Removes rules of ours which lead to tables without routes of ours, or from addresses that
 * nobody has: left over. Those of another berthd are in use, and stay. Logs.
 */
void tunnel_routes_sweep(struct netlink *nl);

/* That on the host: of files that were deleted meanwhile, too. Before any tunnel is made. */
void tunnel_routes_sweep_host(void);

#endif
