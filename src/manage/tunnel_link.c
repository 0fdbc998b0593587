/* SPDX-License-Identifier: MIT */
/* The interface of a tunnel, inside its namespace. */
#include "tunnel_link.h"

#include <errno.h>
#include <stdio.h>

#include "../../tun/netns.h"
#include "../config/diff.h"
#include "link.h"
#include "routes.h"

int tunnel_link_namespace(const struct config_tunnel *conf, int *err)
{
	char pid[32];
	int fd = -1;

	*err = 0;
	switch (conf->netns_kind) {
	case TUNNEL_NETNS_HOST:
		return -1;
	case TUNNEL_NETNS_PID:
		snprintf(pid, sizeof(pid), "pid:%s", conf->netns);
		fd = netns_open(pid);
		break;
	case TUNNEL_NETNS_NAME:
	case TUNNEL_NETNS_PATH:
		fd = netns_open(conf->netns);
		break;
	}
	*err = min(fd, 0);
	return max(fd, -1);
}

/*
 * The device was made here, with all its queues: one made inside would be held
 * by its descriptors together with the whole namespace, and go never.
 */
static int move(const char *ifname, int netns, struct netlink *inside, const char *new_name)
{
	struct netlink *here;
	int index, err;

	/* Some kernels move a link first and then see that its name is taken. */
	if (netlink_link_index(inside, new_name) > 0)
		return -EEXIST;
	err = netlink_open(&here, -1);
	if (err)
		return err;
	index = netlink_link_index(here, ifname);
	err = index < 0 ? index : netlink_link_set_netns(here, index, netns, new_name);
	netlink_close(here);
	return err;
}

/* Everything that the peers may be sent goes into the tunnel (Table = auto). */
static void add_routes(struct routes *routes, const struct config_tenant *conf)
{
	for (size_t i = 0; i < conf->n_peers && !conf->tunnel->no_routes; i++)
		for (uint32_t k = 0; k < conf->peers[i].allowed_ips.n; k++)
			routes_add(routes, &conf->peers[i].allowed_ips.v[k].prefix);
}

static bool has_route(const struct config_tenant *conf, const struct prefix *p)
{
	for (size_t i = 0; i < conf->n_peers && !conf->tunnel->no_routes; i++)
		for (uint32_t k = 0; k < conf->peers[i].allowed_ips.n; k++)
			if (prefix_equal(&conf->peers[i].allowed_ips.v[k].prefix, p))
				return true;
	return false;
}

static int add_addresses(struct netlink *nl, int index, const struct config_tunnel *conf,
			 const struct config_address **failed)
{
	for (uint32_t i = 0; i < conf->addresses.n; i++) {
		int err = link_add_address(nl, index, &conf->addresses.v[i]);

		if (err) {
			*failed = &conf->addresses.v[i];
			return err;
		}
	}
	return 0;
}

/* The interface is where it belongs, and called index there. */
static int set_up(const struct config_tenant *conf, struct netlink *nl, int index, bool lo_too,
		  struct tunnel_link_failure *failure)
{
	struct routes *routes = routes_new(nl, index, conf->name);
	int err, lo;

	if (!routes)
		return -ENOMEM;
	err = netlink_link_set_mtu(nl, index, conf->tunnel->mtu);
	if (err)
		goto out;
	err = add_addresses(nl, index, conf->tunnel, &failure->address);
	if (err) {
		failure->what = TUNNEL_LINK_ADDRESS;
		goto out;
	}
	lo = lo_too ? netlink_link_index(nl, "lo") : 0;
	if (lo > 0)
		err = netlink_link_set_up(nl, lo);
	if (!err)
		err = netlink_link_set_up(nl, index);
	if (err)
		goto out;
	add_routes(routes, conf);
	routes_flush(routes);
out:
	routes_free(routes);
	return err;
}

int tunnel_link_make(const struct config_tenant *conf, const char *ifname, int netns,
		     struct tunnel_link_failure *failure)
{
	struct netlink *nl;
	int index, err;

	*failure = (struct tunnel_link_failure){ .what = TUNNEL_LINK_OTHER };
	err = netlink_open(&nl, netns);
	if (err)
		return err;
	if (netns >= 0)
		err = move(ifname, netns, nl, conf->tunnel->ifname);
	if (err == -EEXIST)
		failure->what = TUNNEL_LINK_NAME;
	if (!err) {
		index = netlink_link_index(nl, conf->tunnel->ifname);
		err = index < 0 ? index : set_up(conf, nl, index, netns >= 0, failure);
	}
	netlink_close(nl);
	return err;
}

static bool has_address(const struct config_tunnel *conf, const struct config_address *a)
{
	for (uint32_t i = 0; i < conf->addresses.n; i++)
		if (!memcmp(&conf->addresses.v[i], a, sizeof(*a)))
			return true;
	return false;
}

/*
 * The new ones first, as with its last address of a family an interface loses
 * its routes; and again at the end, as with the first address of an IPv4 network
 * Linux may remove the others of it.
 */
static int update_addresses(struct netlink *nl, int index, const struct config_tunnel *old,
			    const struct config_tunnel *new)
{
	const struct config_address *failed;
	int err = add_addresses(nl, index, new, &failed), err2;

	for (uint32_t i = 0; i < old->addresses.n; i++) {
		if (has_address(new, &old->addresses.v[i]))
			continue;
		err2 = link_remove_address(nl, index, &old->addresses.v[i]);
		err = err ? err : err2;
	}
	err2 = add_addresses(nl, index, new, &failed);
	return err ? err : err2;
}

static void update_routes(struct routes *routes, const struct config_tenant *old,
			  const struct config_tenant *new)
{
	for (size_t i = 0; i < old->n_peers && !old->tunnel->no_routes; i++)
		for (uint32_t k = 0; k < old->peers[i].allowed_ips.n; k++)
			if (!has_route(new, &old->peers[i].allowed_ips.v[k].prefix))
				routes_remove(routes, &old->peers[i].allowed_ips.v[k].prefix);
	/* Those that are there stay; some may have gone with an address. */
	add_routes(routes, new);
	routes_flush(routes);
}

int tunnel_link_update(const struct config_tenant *old, const struct config_tenant *new, int netns,
		       unsigned what)
{
	struct netlink *nl;
	struct routes *routes;
	int err = netlink_open(&nl, netns), index, err2;

	if (err)
		return err;
	index = netlink_link_index(nl, new->tunnel->ifname);
	routes = index < 0 ? NULL : routes_new(nl, index, new->name);
	if (!routes) {
		netlink_close(nl);
		return index < 0 ? index : -ENOMEM;
	}
	if (what & DIFF_LINK_MTU)
		err = netlink_link_set_mtu(nl, index, new->tunnel->mtu);
	if (what & DIFF_LINK_ADDRESSES) {
		err2 = update_addresses(nl, index, old->tunnel, new->tunnel);
		err = err ? err : err2;
	}
	if (what & (DIFF_LINK_ROUTES | DIFF_LINK_ADDRESSES))
		update_routes(routes, old, new);
	routes_free(routes);
	netlink_close(nl);
	return err;
}
