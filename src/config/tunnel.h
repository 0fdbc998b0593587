/* SPDX-License-Identifier: MIT */
/* What must hold in the file of a tunnel of our own as a whole. Any thread. */
#ifndef BERTH_CONFIG_TUNNEL_H
#define BERTH_CONFIG_TUNNEL_H

#include "tenant.h"

/*
 * Completes a tunnel whose file was read, and whose peers and ranges are in
 * order: names the interface like the file unless it has a name, and adds a
 * fault for each public key or range that two peers have, and warnings for what
 * cannot be done as it stands there. interface_line: where [Interface] stands.
 * 0 (whatever faults were added) or -ENOMEM.
 */
must_check int tunnel_finish(struct config_tenant *tenant, unsigned interface_line,
			     struct fault_list *faults);

/* Of the packets that carry a tunnel with a default route, unless FwMark says otherwise. */
enum { TUNNEL_MARK_AUTO = 51820 };

/*
 * Is that range as good as a default route: everything, half of it (0.0.0.0/1), or all
 * of the global addresses (2000::/3)? The way to the peers may lie in it.
 */
bool tunnel_is_default(const struct prefix *range);

/*
 * Does a default route of the family (AF_…) go into it by a table of its own, chosen
 * by rules, so that its own packets find out? So it is on the host with Table = auto.
 */
bool tunnel_takes_host(const struct config_tenant *tenant, uint8_t family);

/* The mark of the packets that carry it; 0: none. */
uint32_t tunnel_mark(const struct config_tenant *tenant);

#endif
