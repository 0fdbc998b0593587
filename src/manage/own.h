/* SPDX-License-Identifier: MIT */
/*
 * Keeps a gateway's device told of the machine's own addresses, on whatever interface: from
 * those no tenant sends, though its prefix may hold them. Control thread.
 */
#ifndef BERTH_MANAGE_OWN_H
#define BERTH_MANAGE_OWN_H

#include "../../tun/netlink.h"
#include "../path/device.h"

/* Lists them all. What goes wrong is logged; the device then keeps those it knows. */
void own_refresh(struct device *device, struct netlink *nl);

/* One has come, or gone, or is told once more, which makes no work. */
void own_changed(struct device *device, struct netlink *nl, const struct netlink_addr *addr,
		 bool gone);

#endif
