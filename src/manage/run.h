/* SPDX-License-Identifier: MIT */
/*
 * `berthd -c FILE`: gateway, tenants, tunnels and sockets, from start to stop.
 * The calling thread becomes the control thread; it is registered with RCU.
 */
#ifndef BERTH_MANAGE_RUN_H
#define BERTH_MANAGE_RUN_H

/* Returns the exit status of the process: 0 after SIGTERM or SIGINT, else 1. */
int router_run(const char *path);

#endif
