/* SPDX-License-Identifier: MIT */
/*
 * The uplinks of the gateway: for whom neighbours are answered there, and who
 * is announced when. One struct neigh for each. Control thread.
 */
#ifndef BERTH_MANAGE_UPLINKS_H
#define BERTH_MANAGE_UPLINKS_H

#include "../config/router.h"
#include "../neighbor/neigh.h"
#include "../path/device.h"

struct uplinks;

/*
 * Begins to answer on every Uplink of the router for the peers of the device.
 * Both must live as long. Faults are logged. 0 or -errno; *out is then NULL.
 */
must_check int uplinks_open(struct uplinks **out, uv_loop_t *loop,
			    const struct config_router *router, struct device *dev);

/* Silent at once. The loop turns once more. NULL is fine. */
void uplinks_close(struct uplinks *u);

/*
 * An address is new: tells the neighbours, soon and no faster than they like. Ranges
 * are not announced. What is revoked before its turn comes is left out, as is who is not
 * connected and must be (Announce).
 */
void uplinks_announce(struct uplinks *u, const struct prefix *p);

/* Its tenant, who is announced as he says, is connected now: told if it is news. RCU turn. */
void uplinks_arrived(struct uplinks *u, enum announce announce, const struct prefix *p);

/* What the kernel reports of links and addresses: those of the uplinks are followed. */
void uplinks_link_changed(struct uplinks *u, const struct netlink_link *link);
void uplinks_addr_changed(struct uplinks *u, const struct netlink_addr *addr);

/* Events were lost. */
void uplinks_refresh(struct uplinks *u);

/* Is whoever asks for the address answered? As if one had: who comes then is announced. */
bool uplinks_answer(struct uplinks *u, int family, const uint8_t *addr);

/* Calls fn for each uplink. */
void uplinks_each(struct uplinks *u,
		  void (*fn)(const char *name, const struct neigh_stats *stats, void *arg),
		  void *arg);

/* The same, with the time since somebody asked for an IPv6 address: neigh_asked_ago(). */
void uplinks_each_asked(struct uplinks *u, const uint8_t addr[NDP_ADDR_LEN],
			void (*fn)(const char *name, uint64_t ago, void *arg), void *arg);

#endif
