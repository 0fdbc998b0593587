/* SPDX-License-Identifier: MIT */
/* The interface of a tunnel, inside its namespace. */
#include "tunnel_link.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tun/netns.h"
#include "../base/log.h"
#include "../config/diff.h"
#include "../config/tunnel.h"
#include "link.h"
#include "tunnel_mtu.h"
#include "tunnel_rpfilter.h"

/* Those that are made, so that each may be told of another in its namespace. */
static CDS_LIST_HEAD(all_links);

static void enlist(struct tunnel_link *link, const char *name)
{
	if (!*link->name)
		cds_list_add(&link->all, &all_links);
	strcpy(link->name, name);
}

static void delist(struct tunnel_link *link)
{
	if (*link->name)
		cds_list_del(&link->all);
	link->name[0] = '\0';
}

static const char *holder_of(void *arg, int ifindex)
{
	const struct tunnel_link *link = arg, *other;

	cds_list_for_each_entry(other, &all_links, all) {
		/* cppcheck-suppress uninitvar ; the macro sets it */
		if (other != link && other->index == ifindex &&
		    other->netns_dev == link->netns_dev && other->netns_ino == link->netns_ino)
			return other->name;
	}
	return NULL;
}

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

/*
 * Where a table of its own is for packets from our addresses, nothing else on the machine
 * is to come by them.
 */
static bool is_quiet(const struct config_tunnel *conf)
{
	return conf->table_kind == TUNNEL_TABLE_NUMBER && conf->table != RT_TABLE_MAIN;
}

static int add_address(struct netlink *nl, int index, const struct config_tunnel *conf,
		       const struct config_address *a)
{
	return is_quiet(conf) ? link_add_quiet_address(nl, index, a)
			      : link_add_address(nl, index, a);
}

static int add_addresses(struct netlink *nl, int index, const struct config_tunnel *conf,
			 const struct config_address **failed)
{
	for (uint32_t i = 0; i < conf->addresses.n; i++) {
		const struct config_address *a = &conf->addresses.v[i];
		int err = add_address(nl, index, conf, a);

		if (err) {
			*failed = a;
			return err;
		}
	}
	return 0;
}

/* Its addresses are there and it is up: what is to go into it does. */
static int lead(struct tunnel_link *link, struct netlink *nl, int index,
		const struct config_tenant *old, const struct config_tenant *new)
{
	if (tunnel_takes_host(new, AF_INET) && !(old && tunnel_takes_host(old, AF_INET)))
		tunnel_rpfilter_prepare(new->name);
	link->routes.holder = holder_of;
	link->routes.arg = link;
	return tunnel_routes_update(&link->routes, nl, index, old, new);
}

/* The interface is where it belongs, and called index there. */
static int set_up(struct tunnel_link *link, const struct config_tenant *conf, struct netlink *nl,
		  int index, bool lo_too, struct tunnel_link_failure *failure)
{
	int err, lo;

	link->mtu = tunnel_mtu_first(conf->tunnel);
	err = netlink_link_set_mtu(nl, index, link->mtu);
	if (!err)
		err = netlink_link_set_no_link_local(nl, index);
	if (err)
		return err;
	err = add_addresses(nl, index, conf->tunnel, &failure->address);
	if (err) {
		failure->what = TUNNEL_LINK_ADDRESS;
		return err;
	}
	lo = lo_too ? netlink_link_index(nl, "lo") : 0;
	if (lo > 0)
		err = netlink_link_set_up(nl, lo);
	if (!err)
		err = netlink_link_set_up(nl, index);
	if (err)
		return err;
	failure->what = TUNNEL_LINK_RULES;
	return lead(link, nl, index, NULL, conf);
}

/* Which namespace is it? Numbers that no other one has as long as it lives. */
static void identify(int netns, struct stat *st)
{
	if (netns < 0 || fstat(netns, st))
		*st = (struct stat){ .st_ino = 0 };
}

bool tunnel_link_is_in(const struct tunnel_link *link, int netns)
{
	struct stat st;

	identify(netns, &st);
	return st.st_dev == link->netns_dev && st.st_ino == link->netns_ino;
}

int tunnel_link_make(struct tunnel_link *link, const struct config_tenant *conf,
		     const char *ifname, int netns, struct tunnel_link_failure *failure)
{
	struct netlink *nl;
	struct stat st;
	int index, err;

	*failure = (struct tunnel_link_failure){ .what = TUNNEL_LINK_OTHER };
	identify(netns, &st);
	link->netns_dev = st.st_dev;
	link->netns_ino = st.st_ino;
	err = netlink_open(&nl, netns);
	if (err)
		return err;
	if (netns >= 0)
		err = move(ifname, netns, nl, conf->tunnel->ifname);
	if (err == -EEXIST)
		failure->what = TUNNEL_LINK_NAME;
	if (!err) {
		index = netlink_link_index(nl, conf->tunnel->ifname);
		link->index = max(index, 0);
		enlist(link, conf->name);
		err = index < 0 ? index : set_up(link, conf, nl, index, netns >= 0, failure);
	}
	netlink_close(nl);
	return err;
}

void tunnel_link_unmake(struct tunnel_link *link, const struct config_tenant *conf)
{
	struct netlink *nl = NULL;
	int netns, err;

	delist(link);
	if (!link->routes.n_rules) {
		tunnel_routes_forget(&link->routes);
		return;
	}
	netns = tunnel_link_namespace(conf->tunnel, &err);
	if (!err && tunnel_link_is_in(link, netns))
		err = netlink_open(&nl, netns);
	if (!err && nl)
		tunnel_routes_clear(&link->routes, nl);
	else
		tunnel_routes_forget(&link->routes);
	netlink_close(nl);
	if (netns >= 0)
		close(netns);
}

static int set_mtu(const struct config_tenant *conf, uint16_t mtu)
{
	struct netlink *nl;
	int index, err, netns = tunnel_link_namespace(conf->tunnel, &err);

	if (!err)
		err = netlink_open(&nl, netns);
	if (!err) {
		index = netlink_link_index(nl, conf->tunnel->ifname);
		err = index < 0 ? index : netlink_link_set_mtu(nl, index, mtu);
		netlink_close(nl);
	}
	if (netns >= 0)
		close(netns);
	return err;
}

void tunnel_link_follow_mtu(struct tunnel_link *link, const struct config_tenant *conf,
			    struct device *dev)
{
	uint16_t mtu = tunnel_mtu_find(conf, dev);

	if (!mtu || mtu == link->mtu || set_mtu(conf, mtu))
		return;
	link->mtu = mtu;
	device_set_mtu(dev, mtu);
	log_event(LOG_LEVEL_INFO, conf->name, "mtu", NULL,
		  "tunnel %s: MTU %u", conf->name, mtu);
}

/* Restoring */

static int is_it(const struct netlink_addr *addr, void *arg)
{
	const struct config_address *a = arg;

	return addr->family == a->family && addr->prefixlen == a->length &&
	       memcmp(addr->addr, a->addr, sizeof(addr->addr)) == 0;
}

/* Looked for first: one that is added again makes an event, also if it was there. */
static int restore_addresses(struct netlink *nl, int index, const struct config_tunnel *conf,
			     size_t *n)
{
	int ret = 0;

	for (uint32_t i = 0; i < conf->addresses.n; i++) {
		struct config_address a = conf->addresses.v[i];
		int err = netlink_addr_list(nl, a.family, index, is_it, &a);

		if (err > 0)
			continue;
		if (!err)
			err = add_address(nl, index, conf, &a);
		if (!err)
			(*n)++;
		/* Torn by somebody's change, which is an event again. */
		else if (err != -EAGAIN)
			ret = ret ? ret : err;
	}
	return ret;
}

static int restore(const struct tunnel_link *link, const struct config_tenant *conf,
		   struct netlink *nl, struct tunnel_link_back *back)
{
	struct netlink_link now;
	int err = netlink_link_get(nl, link->index, &now), err2;

	if (err)
		return err;
	back->down = !(now.flags & IFF_UP);
	if (back->down)
		return 0;
	err = restore_addresses(nl, link->index, conf->tunnel, &back->addresses);
	err2 = tunnel_routes_restore(&link->routes, nl, link->index, conf, &back->routes,
				     &back->rules);
	return err ? err : err2;
}

int tunnel_link_restore(const struct tunnel_link *link, const struct config_tenant *conf,
			struct tunnel_link_back *back)
{
	struct netlink *nl;
	int err, netns = tunnel_link_namespace(conf->tunnel, &err);

	*back = (struct tunnel_link_back){ .down = false };
	/* Another one of that name may have another interface of that index. */
	if (!err && !tunnel_link_is_in(link, netns))
		err = -ENODEV;
	if (!err)
		err = netlink_open(&nl, netns);
	if (!err) {
		err = restore(link, conf, nl, back);
		netlink_close(nl);
	}
	if (netns >= 0)
		close(netns);
	return err;
}

/* Changing */

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
 * Linux may remove the others of it. One that is there does not become quiet, or cease to be.
 */
static int update_addresses(struct netlink *nl, int index, const struct config_tunnel *old,
			    const struct config_tunnel *new)
{
	bool all = is_quiet(old) != is_quiet(new);
	const struct config_address *failed;
	int err = all ? 0 : add_addresses(nl, index, new, &failed), err2;

	for (uint32_t i = 0; i < old->addresses.n; i++) {
		if (!all && has_address(new, &old->addresses.v[i]))
			continue;
		err2 = link_remove_address(nl, index, &old->addresses.v[i]);
		err = err ? err : err2;
	}
	err2 = add_addresses(nl, index, new, &failed);
	return err ? err : err2;
}

int tunnel_link_update(struct tunnel_link *link, const struct config_tenant *old,
		       const struct config_tenant *new, int netns, unsigned what)
{
	struct netlink *nl;
	int err = netlink_open(&nl, netns), index, err2;

	if (err)
		return err;
	index = netlink_link_index(nl, new->tunnel->ifname);
	if (index < 0) {
		netlink_close(nl);
		return index;
	}
	if (what & DIFF_LINK_ADDRESSES || is_quiet(old->tunnel) != is_quiet(new->tunnel))
		err = update_addresses(nl, index, old->tunnel, new->tunnel);
	if (what & (DIFF_LINK_ROUTES | DIFF_LINK_ADDRESSES)) {
		err2 = lead(link, nl, index, old, new);
		err = err ? err : err2;
	}
	netlink_close(nl);
	return err;
}
