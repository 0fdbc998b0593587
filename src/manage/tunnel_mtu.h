/* SPDX-License-Identifier: MIT */
/* The MTU of a tunnel whose file leaves it to us, as wg-quick finds it. Control thread. */
#ifndef BERTH_MANAGE_TUNNEL_MTU_H
#define BERTH_MANAGE_TUNNEL_MTU_H

#include "../config/tenant.h"
#include "../path/device.h"

/* Ethernet's 1500 less the most that a packet grows by: IPv6 40, UDP 8, header and tag 32. */
enum { TUNNEL_MTU_OVERHEAD = 80, TUNNEL_MTU_USUAL = 1420, TUNNEL_MTU_LEAST = 1280 };

/* Until more is known. */
static inline uint16_t tunnel_mtu_first(const struct config_tunnel *conf)
{
	return conf->mtu ? conf->mtu : TUNNEL_MTU_USUAL;
}

/*
 * What the file says; or the least that a way to a peer's present endpoint carries (of a
 * peer without one, the default route), less the overhead, and no less than IPv6 must
 * have. One look-up per peer. 0: the kernel could not be asked.
 */
uint16_t tunnel_mtu_find(const struct config_tenant *conf, struct device *dev);

#endif
