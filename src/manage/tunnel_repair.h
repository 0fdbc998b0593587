/* SPDX-License-Identifier: MIT */
/*
 * What others take away from a tunnel's interface, and we put back: its addresses, routes and
 * rules. Whoever sets it down and up takes the routes and the addresses of IPv6; and
 * systemd-networkd removes rules and routes that it does not know, unless it is told not to.
 * Without them all goes its way beside the tunnel, readable by everybody. Control thread.
 */
#ifndef BERTH_MANAGE_TUNNEL_REPAIR_H
#define BERTH_MANAGE_TUNNEL_REPAIR_H

#include "tunnel_link.h"

enum {
	TUNNEL_REPAIR_CALM_MS = 60000 /* who takes it away within this again, does so always */
};

/* What was seen and said. All zero: an interface that was just made. */
struct tunnel_repair {
	bool down;       /* somebody has set it so */
	uint64_t at;     /* ms: something had to be put back last; 0: never */
	bool said_again; /* that it happens again and again */
	int said_err;    /* why something could not be; 0: all could */
};

/*
 * Looks and puts back; what is there is not touched, so that it makes no event by which it
 * would be called again. now: ms. Logs what had gone, and what keeps going only once.
 */
void tunnel_repair(struct tunnel_repair *repair, const struct tunnel_link *link,
		   const struct config_tenant *conf, uint64_t now);

#endif
