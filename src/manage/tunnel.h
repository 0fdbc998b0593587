/* SPDX-License-Identifier: MIT */
/*
 * A tunnel of our own: the home side of a berth. Its TUN device lives inside
 * the container's network namespace, its UDP socket stays outside with us, so
 * the container never holds the key. Control thread.
 */
#ifndef BERTH_MANAGE_TUNNEL_H
#define BERTH_MANAGE_TUNNEL_H

#include <uv.h>

#include "../config/tenant.h"
#include "../path/device.h"

struct tunnel;

/* What all tunnels share: who watches namespaces and the network for them. */
struct tunnels;

/* 0 or -errno; what cannot be watched is logged, and done without. */
must_check int tunnels_new(struct tunnels **out, uv_loop_t *loop, struct workers *ws, bool offload);

/* After the last tunnel_close(). The loop turns once more. NULL is fine. */
void tunnels_free(struct tunnels *ts);

/*
 * Makes the tunnel that conf (TENANT_TUNNEL, good) describes: device, address,
 * routes, peers. When its namespace is not there yet, or anything else is in the
 * way, that is logged once and tried again until it works or the tunnel is
 * closed; but not when it is named by a process that is not there: the next one of that
 * number is another one's. It follows its namespace: when that is deleted and made again, so
 * is the tunnel. When the network around us changes, its peers hear from it at once. conf stays the caller's and must live until tunnel_update() has
 * brought another or tunnel_close() has returned. 0 or -errno.
 */
must_check int tunnel_open(struct tunnel **out, struct tunnels *ts,
			   const struct config_tenant *conf);

/*
 * Leads from what it was to new, with as little disturbance as there can be:
 * peers, keys, addresses, routes and MTU change in place, sessions go on. False
 * when it must be made anew (another namespace or name; something failed, which
 * was logged): close it, then.
 */
must_check bool tunnel_update(struct tunnel *t, const struct config_tenant *new);

/* Takes it all back. The loop turns once more. */
void tunnel_close(struct tunnel *t);

/* NULL while it waits for its namespace. */
struct device *tunnel_device(struct tunnel *t);

#endif
