/* SPDX-License-Identifier: MIT */
/* What the way to the peers carries. */
#include "tunnel_mtu.h"

#include <sodium.h>

#include "../../tun/netlink.h"
#include "link.h"

/* A tunnel of our own has one peer, or a few. */
enum { ENDPOINTS_MAX = 32 };

struct gathering {
	struct endpoint to[ENDPOINTS_MAX];
	size_t n;
};

static void gather(const struct device_peer *peer, void *arg)
{
	struct gathering *g = arg;

	if (g->n < ENDPOINTS_MAX && endpoint_is_set(&peer->endpoint))
		g->to[g->n++] = peer->endpoint;
}

/* 0: there is no way, or it leads into the tunnel itself. */
static uint32_t ask(struct netlink *nl, const struct netlink_lookup *lookup, int own_index)
{
	struct netlink_route route;
	struct netlink_link link;

	if (netlink_route_get(nl, lookup, &route) || route.oif == own_index)
		return 0;
	if (route.mtu)
		return route.mtu;
	return netlink_link_get(nl, route.oif, &link) ? 0 : link.mtu;
}

static uint32_t way_to(struct netlink *nl, const struct endpoint *to, uint32_t mark, int own_index)
{
	struct netlink_lookup lookup = link_lookup_to(to, mark);

	return ask(nl, &lookup, own_index);
}

/* To addresses that nobody has: the dummy of RFC 7600, the discard prefix of RFC 6666. */
static uint32_t default_way(struct netlink *nl, uint32_t mark, int own_index)
{
	struct netlink_lookup lookup4 = { .family = AF_INET, .mark = mark, .dst = { 192, 0, 0, 8 } };
	struct netlink_lookup lookup6 = { .family = AF_INET6, .mark = mark, .dst = { 1 } };
	uint32_t mtu = ask(nl, &lookup4, own_index);

	return mtu ? mtu : ask(nl, &lookup6, own_index);
}

uint16_t tunnel_mtu_find(const struct config_tenant *conf, struct device *dev)
{
	struct gathering g = { .n = 0 };
	struct device_info info;
	uint32_t least = 0, mtu;
	struct netlink *nl;
	int own_index = -1;

	if (conf->tunnel->mtu)
		return conf->tunnel->mtu;
	if (netlink_open(&nl, -1))
		return 0;
	device_get(dev, &info);
	sodium_memzero(info.private_key, sizeof(info.private_key));
	device_each_peer(dev, gather, &g);
	if (conf->tunnel->netns_kind == TUNNEL_NETNS_HOST)
		own_index = netlink_link_index(nl, conf->tunnel->ifname);
	for (size_t i = 0; i < g.n; i++) {
		mtu = way_to(nl, &g.to[i], info.fwmark, own_index);
		if (mtu && (!least || mtu < least))
			least = mtu;
	}
	if (!least)
		least = default_way(nl, info.fwmark, own_index);
	netlink_close(nl);
	if (!least)
		return TUNNEL_MTU_USUAL;
	least = min(least, (uint32_t)UINT16_MAX);
	return (uint16_t)max(least - min(least, (uint32_t)TUNNEL_MTU_OVERHEAD),
			     (uint32_t)TUNNEL_MTU_LEAST);
}
