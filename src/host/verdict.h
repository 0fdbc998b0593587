/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel sends packets for a tenant: look-ups in its FIB, as for packets that
 * come in at the uplinks, and what they mean. One thread at a time.
 */
#ifndef BERTH_HOST_VERDICT_H
#define BERTH_HOST_VERDICT_H

#include "../../tun/netlink.h"
#include "../base/prefix.h"
#include "../config/router.h"

enum verdict_kind {
	VERDICT_OURS,     /* to us */
	VERDICT_MISSING,  /* not to us, but our route would win if it were there */
	VERDICT_LOCAL,    /* to the machine itself, which has that address */
	VERDICT_RULE,     /* where a rule wants them: into another table */
	VERDICT_REJECTED, /* nowhere: a blackhole, prohibit or unreachable route or rule */
	VERDICT_ROUTE,    /* by somebody else's route to the same prefix */
	VERDICT_REFUSED,  /* the kernel does not take our route; not found by a look-up */
	VERDICT_UNKNOWN   /* the kernel could not be asked */
};

struct verdict {
	enum verdict_kind kind;
	struct netlink_route won; /* the route by which they go; all zero: it was not told */
	int error;                /* negative, of VERDICT_REFUSED and VERDICT_REJECTED */
};

/* From where it is looked. */
struct verdict_view {
	struct netlink *nl;
	int ifindex; /* of our own interface */
	const struct config_router *router;
	struct verdict_port {
		int ifindex;        /* 0: not there */
		bool has_router;    /* one who sends us IPv4 */
		uint8_t router4[4]; /* his address */
	} ports[ROUTER_UPLINKS_MAX];
};

/* Looks who the uplinks are by now: before some look-ups, when time has passed. */
void verdict_look_around(struct verdict_view *view);

/*
 * The verdict on packets to p: of the first uplink at which it is not VERDICT_OURS. A
 * range is judged by its first and last address, as far as nobody has a route of
 * his own to them.
 */
void verdict_get(struct verdict_view *view, const struct prefix *p, struct verdict *out);

/* The same reason? */
bool verdict_equal(const struct verdict *a, const struct verdict *b);

/* Why packets do not come to us. */
struct verdict_words {
	char why[192];
	char command[160]; /* which mends it; "" if none does */
	bool only_shows;   /* it mends nothing, but shows what is there */
};

/* In words, for the interface called name; empty for what is good or not known. */
void verdict_describe(struct verdict_view *view, const char *name, const struct prefix *p,
		      const struct verdict *verdict, struct verdict_words *out);

/*
 * Logs, for the interface called name, that packets to p do not come to it, why, and
 * what can be done about it.
 */
void verdict_explain(struct verdict_view *view, const char *name, const struct prefix *p,
		     const struct verdict *verdict);

#endif
