/* SPDX-License-Identifier: MIT */
/*
 * From what a tenant was to what it is now, as changes for the device that
 * carries it. Pure functions. Any thread.
 */
#ifndef BERTH_CONFIG_DIFF_H
#define BERTH_CONFIG_DIFF_H

#include "change.h"
#include "tenant.h"

/*
 * Appends what leads from old to new, nothing when they are equal. NULL or
 * revoked stands for "is not there". A peer whose public key stays is updated
 * in one change and keeps its session; a new key is one removal and one
 * addition, removals first. Endpoints are set when they are numbers (names are
 * looked up elsewhere) and have changed. No change ever takes an address from another
 * peer (PEER_MAY_TAKE).
 *
 * Both must be of the same kind: a file that turns from tenant to tunnel is a
 * removal there and an addition here, for different devices. For a tunnel the
 * private key, the mark and the port are included; its link is not, see below.
 *
 * 0 or -ENOMEM (*out is then incomplete: throw it away).
 */
must_check int diff_tenant(const struct config_tenant *old, const struct config_tenant *new,
			   struct change_list *out);

/* What about the interface of a tunnel differs. */
enum diff_link {
	DIFF_LINK_PLACE = 1 << 0,     /* namespace or name: it must be made anew */
	DIFF_LINK_ADDRESSES = 1 << 1, /* set those of new, remove the others */
	DIFF_LINK_MTU = 1 << 2,
	DIFF_LINK_ROUTES = 1 << 3 /* AllowedIPs of any peer, Table, or FwMark */
};

/* Both are tunnels of our own, in good state. A set of enum diff_link. */
unsigned diff_link(const struct config_tenant *old, const struct config_tenant *new);

#endif
