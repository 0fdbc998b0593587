/* SPDX-License-Identifier: MIT */
/*
 * What files say comes into force: peers of the gateway, tunnels of our own,
 * a line in the log, a counter. Control thread.
 */
#ifndef BERTH_MANAGE_ENFORCE_H
#define BERTH_MANAGE_ENFORCE_H

#include "../config/claims.h"
#include "entries.h"
#include "gateway.h"
#include "tunnel.h"

struct enforce {
	uv_loop_t *loop;
	struct workers *ws;
	const struct config_router *router;
	struct gateway *gateway; /* NULL: no tenants but tunnels */
	struct claims *claims;
	struct tunnels *shared; /* of all tunnels; NULL until there is one */
	bool starting; /* what is added is no news */

	size_t tenants, tunnels; /* in force */
	size_t expired;          /* have a file, and are revoked */
	uint64_t revoked;        /* ever */
};

/*
 * Brings into force what the granted ones of the n entries want: e->conf
 * becomes it, e->wanted is NULL afterwards. When this returns, the last packet
 * of a revoked tenant has passed. An entry for which there is no memory is taken out whole,
 * also one of which claims were lost: it is not granted any more, and has no conf, no wanted
 * and no claims. Removing needs no memory.
 */
void enforce(struct enforce *f, struct file_entry *const *batch, size_t n);

/*
 * Revokes these n, which are in force and past: e->conf stays, as one that has expired, and
 * claims nothing. What was counted of them is kept. When this returns, the last packet has
 * passed.
 */
void enforce_expiry(struct enforce *f, struct file_entry *const *due, size_t n);

/* Closes what the entry has opened. */
void enforce_close(struct file_entry *e);

#endif
