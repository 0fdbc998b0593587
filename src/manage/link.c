/* SPDX-License-Identifier: MIT */
/* Addresses of our interfaces. */
#include "link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

static struct netlink_addr on_link(int index, const struct config_address *address)
{
	struct netlink_addr a = { .ifindex = index,
				  .family = address->family,
				  .prefixlen = address->length,
				  .flags = address->family == AF_INET6 ? IFA_F_NODAD : 0 };

	memcpy(a.addr, address->addr, sizeof(a.addr));
	return a;
}

int link_add_address(struct netlink *nl, int index, const struct config_address *address)
{
	struct netlink_addr a = on_link(index, address);

	return netlink_addr_add(nl, &a);
}

int link_add_quiet_address(struct netlink *nl, int index, const struct config_address *address)
{
	struct netlink_addr a = on_link(index, address);

	/*
	 * IPv4 takes an address of another link if the right one has none, but not one
	 * whose scope is the link.
	 */
	a.scope = address->family == AF_INET ? RT_SCOPE_LINK : 0;
	a.deprecated = address->family == AF_INET6;
	a.flags |= IFA_F_NOPREFIXROUTE;
	return netlink_addr_add(nl, &a);
}

int link_remove_address(struct netlink *nl, int index, const struct config_address *address)
{
	struct netlink_addr a = on_link(index, address);
	int err = netlink_addr_del(nl, &a);

	return err == -EADDRNOTAVAIL ? 0 : err;
}

struct netlink_lookup link_lookup_to(const struct endpoint *to, uint32_t mark)
{
	struct netlink_lookup lookup = { .family = (uint8_t)to->addr.sa_family, .mark = mark };

	if (lookup.family == AF_INET) {
		memcpy(lookup.dst, &to->addr4.sin_addr, sizeof(to->addr4.sin_addr));
	} else if (lookup.family == AF_INET6) {
		memcpy(lookup.dst, &to->addr6.sin6_addr, sizeof(to->addr6.sin6_addr));
		lookup.oif = (int)to->addr6.sin6_scope_id;
	}
	return lookup;
}
