/* SPDX-License-Identifier: MIT */
/*
 * What a gateway does not let through, beyond addresses that are not the sender's own:
 *
 *  - from a tenant, what is meant for a link, which a tunnel of a gateway is not: router
 *    advertisements, redirects and their kin, addresses of link or loopback; and source
 *    routes, which go on to somewhere that nobody has checked;
 *  - from a tenant whose AllowedIPs are a prefix, those addresses in it that are nobody's
 *    to send from: the gateway's own, and the ones just named;
 *  - from tenant to tenant, when either of them is isolated.
 *
 * A device of our own towards a gateway, and a drop-in, do none of it (datapath.gateway).
 */
#ifndef BERTH_PATH_BORDER_H
#define BERTH_PATH_BORDER_H

#include "../base/packet.h"
#include "datapath.h"

/* Are any two tenants kept apart? Any thread. */
static inline bool border_isolates(const struct datapath *dp)
{
	return unlikely(atomic_load_explicit(&dp->n_isolated, memory_order_relaxed));
}

/* Any thread. */
static inline bool border_is_isolated(const struct peer *peer)
{
	return atomic_load_explicit(&peer->border, memory_order_relaxed) & PEER_BORDER_ISOLATED;
}

/*
 * Must a packet of one tenant not reach the other (NULL: the address is nobody's)? Asked for
 * what has come out of a tunnel, and again for what goes into one: between the two the host
 * may have given it another destination. Any thread, RCU turn.
 */
bool border_keeps_apart(const struct peer *from, const struct peer *to);

/*
 * May it pass that the tenant sends? in is of the whole packet at data, and its source the
 * tenant's by allowedips. DROP_REASON_COUNT: it may. Any worker, RCU turn.
 */
must_check enum drop_reason border_check(const struct datapath *dp, const struct peer *peer,
					 const struct inner *in, const uint8_t *data);

/* All below: control thread. */

/* The peer is about to get the prefix: are there addresses in it that it must not use? */
void border_prefix_added(const struct datapath *dp, struct peer *peer, const struct prefix *p);

/*
 * Isolated or not from here on, as it says or else as the router does. What workers are
 * letting through at this moment is let through still.
 */
void border_isolate(struct datapath *dp, struct peer *peer, enum isolate isolate);

/* So many that were isolated are gone, and no worker has a packet of theirs any more. */
void border_forget(struct datapath *dp, unsigned n);

/*
 * These n host prefixes are the machine's own addresses from here on, in place of those
 * before. RCU turn. 0 or -ENOMEM: those before stay.
 */
must_check int border_set_own(struct datapath *dp, const struct prefix *own, size_t n);

/* Is it one of them? */
bool border_is_own(const struct datapath *dp, uint8_t family, const uint8_t *addr);

#endif
