/* SPDX-License-Identifier: MIT */
/* Where a tunnel of our own is, in words that an operator can type. Any thread. */
#ifndef BERTH_CONFIG_TUNNEL_PLACE_H
#define BERTH_CONFIG_TUNNEL_PLACE_H

#include <limits.h>

#include "tenant.h"

enum { TUNNEL_PLACE_STRLEN = PATH_MAX + 32 };

/*
 * How ip(8) is called there: "ip", "ip -n blog", or "nsenter --net=/proc/7/ns/net ip" where
 * the namespace has no name. A command without it is one for the host. Returns buf.
 */
const char *tunnel_place_ip(const struct config_tunnel *conf, char buf[TUNNEL_PLACE_STRLEN]);

/* The namespace as its file names it; "this machine". */
const char *tunnel_place_name(const struct config_tunnel *conf, char buf[TUNNEL_PLACE_STRLEN]);

#endif
