/* SPDX-License-Identifier: MIT */
/*
 * What somebody has changed of a gateway with wg(8) becomes again what files say. A watcher
 * of files cannot see it: they are the same as ever. Control thread.
 */
#ifndef BERTH_MANAGE_RESTORE_H
#define BERTH_MANAGE_RESTORE_H

#include "../config/router.h"
#include "../path/device.h"
#include "entries.h"

/*
 * Compares the gateway with the tenants that are in force, and with berth.conf as it was read
 * at the start: who is missing is added, whose AllowedIPs, preshared key or keepalive differ
 * gets them back, who has no file is removed, and so with private key, mark and port. Who is
 * as his file says keeps his session. Logs each. True if anything was changed.
 */
bool restore_gateway(struct device *dev, const struct config_router *router,
		     const struct entries *entries);

#endif
