/* SPDX-License-Identifier: MIT */
/*
 * What neigh must know of the uplink: its index, its hardware address and the
 * addresses that the kernel answers for there, read from the kernel whenever somebody asks. One thread
 * at a time per struct uplink.
 */
#ifndef BERTH_NEIGHBOR_UPLINK_H
#define BERTH_NEIGHBOR_UPLINK_H

#include "../../tun/netlink.h"
#include "ether.h"
#include "ndp.h"

/* How an IPv4 address begins as an IPv6 one (RFC 4291 §2.5.5.2). */
enum { UPLINK_MAPPED_LEN = 12 };
#define UPLINK_MAPPED { [10] = 0xff, [11] = 0xff }

struct uplink_address {
	bool known;
	uint8_t addr[NDP_ADDR_LEN];
};

/* Read by others, written by uplink.c. */
struct uplink {
	struct netlink *nl; /* ours alone: usable out of any nlmon callback */
	char name[IFNAMSIZ];
	int index; /* 0 while there is no usable link of that name */
	uint8_t link_address[ETHER_ADDR_LEN];
	struct uplink_address link_local;
	struct uplink_address global; /* one that lasts, not a temporary one */
	/* All it has, also those not usable yet, and the machine's IPv4 ones, mapped; in order. */
	uint8_t (*own)[NDP_ADDR_LEN];
	size_t n_own;
};

/*
 * Prepares *uplink for the link called name in the caller's network namespace;
 * nothing is read yet. 0, -ENAMETOOLONG, or what netlink_open() says;
 * uplink_close() is allowed in any case, and on a struct of zeros.
 */
must_check int uplink_open(struct uplink *uplink, const char *name);
void uplink_close(struct uplink *uplink);

/*
 * Reads everything anew. 0; -ENODEV there is no such link, -EMEDIUMTYPE it is
 * not Ethernet (index is 0 after both); or what netlink.h says.
 */
must_check int uplink_read(struct uplink *uplink);

#endif
