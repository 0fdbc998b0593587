/* SPDX-License-Identifier: MIT */
/*
 * This machine's network as a value: what the kernel says of links, addresses, routes and
 * neighbours, for those who decide something by it.
 */
#ifndef BERTH_TOOLS_MACHINE_H
#define BERTH_TOOLS_MACHINE_H

#include "../../src/base/prefix.h"
#include "../../tun/netlink.h"

struct machine {
	struct netlink_link *links;
	size_t n_links;
	struct netlink_addr *addrs;
	size_t n_addrs;
	struct netlink_route *routes; /* of the main table */
	size_t n_routes;
	struct netlink_neigh *neighs;
	size_t n_neighs;
};

/* Asks the kernel. 0, or -errno, and *m is empty. */
must_check int machine_look(struct machine *m);

void machine_free(struct machine *m);

/* NULL: there is none. */
const struct netlink_link *machine_link(const struct machine *m, int index);
const struct netlink_link *machine_link_named(const struct machine *m, const char *name);

/* The default route of that family that the kernel prefers. NULL: there is none. */
const struct netlink_route *machine_default(const struct machine *m, uint8_t family);

/* Can the whole internet reach it: no private, link-local or other special one (RFC 6890)? */
bool machine_is_public(uint8_t family, const uint8_t addr[16]);

/*
 * A lasting public address of the link, of that family: neither temporary (RFC 8981) nor
 * deprecated. NULL: there is none.
 */
const struct netlink_addr *machine_public_addr(const struct machine *m, int ifindex,
					       uint8_t family);

/*
 * Calls fn for each address that is somebody's: this machine's own, its routers', and
 * of neighbours who answer.
 */
void machine_each_taken(const struct machine *m,
			void (*fn)(const struct prefix *host, void *arg), void *arg);

#endif
