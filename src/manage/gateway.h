/* SPDX-License-Identifier: MIT */
/*
 * The gateway: the device of berth.conf with what stands around it: its
 * address, the routes to the tenants, and answers to the neighbours who ask
 * for them. Control thread.
 */
#ifndef BERTH_MANAGE_GATEWAY_H
#define BERTH_MANAGE_GATEWAY_H

#include <uv.h>

#include "../config/router.h"
#include "../path/device.h"
#include "uplinks.h"

struct gateway;

/*
 * Opens everything that the router's [Interface] and [Router] ask for; faults
 * are logged, one sentence each. gone is called on the loop when the
 * interface is deleted from outside. router stays the caller's and must live
 * as long. 0 or -errno.
 */
must_check int gateway_open(struct gateway **out, uv_loop_t *loop, struct workers *ws,
			    const struct config_router *router, void (*gone)(void *arg),
			    void *arg);

/* Withdraws routes and answers, then closes the device. The loop turns once more. */
void gateway_close(struct gateway *gw);

struct device *gateway_device(struct gateway *gw);

/* With which uplinks_each() can be asked. */
struct uplinks *gateway_uplinks(struct gateway *gw);

#endif
