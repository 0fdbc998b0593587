/* SPDX-License-Identifier: MIT */
/*
 * Addresses of our interfaces, as the configuration writes them, and the way to
 * others'. Control thread; errors are those of tun/netlink.h, nothing is logged.
 */
#ifndef BERTH_MANAGE_LINK_H
#define BERTH_MANAGE_LINK_H

#include "../../tun/netlink.h"
#include "../base/endpoint.h"
#include "../config/value.h"

/*
 * Without duplicate address detection: the address is ours alone by
 * construction, and a TUN device has nobody to ask. One that is there is no error.
 */
must_check int link_add_address(struct netlink *nl, int index,
				const struct config_address *address);

/*
 * The same, for one that nobody is to use who does not ask for it: never chosen as the
 * source of a packet that leaves elsewhere, and without a route to its network.
 */
must_check int link_add_quiet_address(struct netlink *nl, int index,
				      const struct config_address *address);

/* One that is not there is no error. */
must_check int link_remove_address(struct netlink *nl, int index,
				   const struct config_address *address);

/* Asks for the way to an address of the outside, for packets with that mark. Any thread. */
struct netlink_lookup link_lookup_to(const struct endpoint *to, uint32_t mark);

#endif
