/* SPDX-License-Identifier: MIT */
/* Tunnels of our own, inside the namespaces of their containers. */
#include "tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../tun/netns.h"
#include "../base/log.h"
#include "../config/diff.h"
#include "../config/router.h"
#include "complain.h"
#include "resolve.h"
#include "routes.h"

enum { RETRY_MS = 1000 };

struct tunnel {
	uv_loop_t *loop;
	struct workers *ws;
	bool offload;
	char *name; /* of the file */
	const struct config_tenant *conf; /* borrowed */
	struct device *device;
	struct netlink *nl; /* inside the namespace */
	int ifindex;
	struct routes *routes;
	struct resolver *resolver;
	uv_timer_t retry;
	uv_async_t gone_async;
	int last_error; /* said already */
	unsigned closing;
};

/* Opening */

/* As written, or what fits an outer path of 1,500 with IPv6. */
static uint16_t tunnel_mtu(const struct config_tenant *conf)
{
	return conf->tunnel->mtu ? conf->tunnel->mtu : ROUTER_MTU_DEFAULT;
}

/* The namespace as netns_open() takes it; -1 for ours. */
static int open_namespace(const struct config_tunnel *conf)
{
	char pid[32];

	switch (conf->netns_kind) {
	case TUNNEL_NETNS_HOST:
		return -1;
	case TUNNEL_NETNS_PID:
		snprintf(pid, sizeof(pid), "pid:%s", conf->netns);
		return netns_open(pid);
	case TUNNEL_NETNS_NAME:
	case TUNNEL_NETNS_PATH:
		return netns_open(conf->netns);
	}
	return -EINVAL;
}

static void on_gone(void *arg)
{
	struct tunnel *t = arg;

	uv_async_send(&t->gone_async);
}

static int make_device(struct tunnel *t, int netns)
{
	struct device_options options = { .name = t->conf->tunnel->ifname,
					  .netns = netns,
					  .tun_fd = -1,
					  .mtu = tunnel_mtu(t->conf),
					  .offload = t->offload,
					  .observer = { .arg = t, .gone = on_gone } };
	int err = device_open(&t->device, t->ws, &options);

	if (err && err != t->last_error)
		complain_tun(options.name, err);
	return err;
}

static int add_addresses(struct tunnel *t, const struct config_tunnel *conf)
{
	for (uint32_t i = 0; i < conf->addresses.n; i++) {
		int err = complain_add_address(t->nl, t->ifindex, &conf->addresses.v[i], t->name);

		if (err)
			return err;
	}
	return 0;
}

/* Everything that the peers may be sent goes into the tunnel (Table = auto). */
static void add_routes(struct tunnel *t, const struct config_tenant *conf)
{
	if (conf->tunnel->no_routes)
		return;
	for (size_t i = 0; i < conf->n_peers; i++)
		for (uint32_t k = 0; k < conf->peers[i].allowed_ips.n; k++)
			routes_add(t->routes, &conf->peers[i].allowed_ips.v[k].prefix);
}

static void remove_routes(struct tunnel *t, const struct config_tenant *conf)
{
	if (conf->tunnel->no_routes)
		return;
	for (size_t i = 0; i < conf->n_peers; i++)
		for (uint32_t k = 0; k < conf->peers[i].allowed_ips.n; k++)
			routes_remove(t->routes, &conf->peers[i].allowed_ips.v[k].prefix);
}

/* Address, MTU, routes; and `lo`, which nobody else puts up in a fresh namespace. */
static int make_link(struct tunnel *t, int netns)
{
	int err = netlink_open(&t->nl, netns);
	int lo;

	if (err)
		return err;
	t->ifindex = netlink_link_index(t->nl, device_name(t->device));
	if (t->ifindex < 0)
		return t->ifindex;
	t->routes = routes_new(t->nl, t->ifindex, t->name);
	if (!t->routes)
		return -ENOMEM;
	err = netlink_link_set_mtu(t->nl, t->ifindex, tunnel_mtu(t->conf));
	if (!err)
		err = add_addresses(t, t->conf->tunnel);
	if (!err)
		err = netlink_link_set_up(t->nl, t->ifindex);
	if (err)
		return err;
	lo = netns >= 0 ? netlink_link_index(t->nl, "lo") : 0;
	if (lo > 0)
		err = netlink_link_set_up(t->nl, lo);
	add_routes(t, t->conf);
	routes_flush(t->routes);
	return err;
}

static int apply(struct tunnel *t, const struct config_tenant *old,
		 const struct config_tenant *new)
{
	struct change_list list = { 0 };
	size_t failed = 0;
	int err = diff_tenant(old, new, &list);

	if (!err)
		err = device_apply(t->device, list.changes, list.n, &failed);
	if (err && failed < list.n && list.changes[failed].kind == CHANGE_LISTEN_PORT)
		complain_port(t->name, (uint16_t)list.changes[failed].number, err);
	else if (err)
		log_error("tunnel %s: %s", t->name, strerror(-err));
	change_list_free(&list);
	return err;
}

/* Sockets come up also when the file names no port: the kernel picks one. */
static int open_port(struct tunnel *t)
{
	struct change port = { .kind = CHANGE_LISTEN_PORT,
			       .number = t->conf->tunnel->listen_port };
	size_t failed;
	int err = device_apply(t->device, &port, 1, &failed);

	if (err)
		complain_port(t->name, t->conf->tunnel->listen_port, err);
	return err;
}

static void unmake(struct tunnel *t)
{
	resolver_free(t->resolver);
	t->resolver = NULL;
	if (t->device)
		device_close(t->device);
	t->device = NULL;
	routes_free(t->routes);
	t->routes = NULL;
	netlink_close(t->nl);
	t->nl = NULL;
}

static void say_once(struct tunnel *t, int err)
{
	const struct config_tunnel *conf = t->conf->tunnel;

	if (err == t->last_error)
		return;
	t->last_error = err;
	if (err == -ENOENT && conf->netns)
		log_warning("tunnel %s: network namespace %s is not there yet: waiting for it",
			    t->name, conf->netns);
	else
		log_error("tunnel %s: cannot be set up: %s; trying again every second", t->name,
			  strerror(-err));
}

static int make(struct tunnel *t)
{
	int netns = open_namespace(t->conf->tunnel);
	int err = 0;

	if (netns < 0 && t->conf->tunnel->netns_kind != TUNNEL_NETNS_HOST)
		err = netns;
	if (!err)
		err = make_device(t, netns);
	if (!err)
		err = open_port(t);
	if (!err)
		err = make_link(t, netns);
	if (!err)
		err = apply(t, NULL, t->conf);
	if (!err)
		err = resolver_new(&t->resolver, t->loop, t->device, t->conf);
	if (netns >= 0)
		close(netns);
	if (!err) {
		t->last_error = 0;
		log_info("tunnel %s: %s is up in %s %s", t->name, device_name(t->device),
			 t->conf->tunnel->netns ? "namespace" : "this",
			 t->conf->tunnel->netns ? t->conf->tunnel->netns : "machine");
		return 0;
	}
	unmake(t);
	say_once(t, err);
	return err;
}

static void on_retry(uv_timer_t *timer)
{
	struct tunnel *t = timer->data;

	if (!make(t))
		uv_timer_stop(timer);
}

/* The container went, and its namespace with our device in it. */
static void on_gone_async(uv_async_t *async)
{
	struct tunnel *t = async->data;

	if (!t->device)
		return;
	log_warning("tunnel %s: its interface is gone: making it anew", t->name);
	unmake(t);
	uv_timer_start(&t->retry, on_retry, 0, RETRY_MS);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct tunnel *t = handle->data;

	if (--t->closing)
		return;
	free(t->name);
	free(t);
}

int tunnel_open(struct tunnel **out, uv_loop_t *loop, struct workers *ws,
		const struct config_tenant *conf, bool offload)
{
	struct tunnel *t = calloc(1, sizeof(*t));
	int err = -ENOMEM;

	if (!t)
		return -ENOMEM;
	*t = (struct tunnel){ .loop = loop, .ws = ws, .offload = offload, .conf = conf };
	t->name = strdup(conf->name);
	if (!t->name)
		goto free_t;
	err = uv_async_init(loop, &t->gone_async, on_gone_async);
	if (err)
		goto free_t;
	uv_timer_init(loop, &t->retry);
	t->gone_async.data = t;
	t->retry.data = t;
	if (make(t))
		uv_timer_start(&t->retry, on_retry, RETRY_MS, RETRY_MS);
	*out = t;
	return 0;

free_t:
	free(t->name);
	free(t);
	return err;
}

static bool has_address(const struct config_tunnel *conf, const struct config_address *a)
{
	for (uint32_t i = 0; i < conf->addresses.n; i++)
		if (!memcmp(&conf->addresses.v[i], a, sizeof(*a)))
			return true;
	return false;
}

static void remove_addresses(struct tunnel *t, const struct config_tunnel *old,
			     const struct config_tunnel *new)
{
	for (uint32_t i = 0; i < old->addresses.n; i++) {
		const struct config_address *a = &old->addresses.v[i];
		struct netlink_addr gone = { .ifindex = t->ifindex,
					     .family = a->family,
					     .prefixlen = a->length };

		if (has_address(new, a))
			continue;
		memcpy(gone.addr, a->addr, sizeof(gone.addr));
		(void)!netlink_addr_del(t->nl, &gone);
	}
}

/* The link's side of an update; what fails is logged, and the rest goes on. */
static void update_link(struct tunnel *t, const struct config_tenant *old, unsigned what)
{
	uint16_t mtu = tunnel_mtu(t->conf);

	if (what & DIFF_LINK_MTU) {
		if (netlink_link_set_mtu(t->nl, t->ifindex, mtu))
			log_error("tunnel %s: cannot set MTU %u: %s", t->name, mtu,
				  netlink_error(t->nl));
		device_set_mtu(t->device, mtu);
	}
	if (what & DIFF_LINK_ADDRESSES) {
		remove_addresses(t, old->tunnel, t->conf->tunnel);
		(void)!add_addresses(t, t->conf->tunnel);
	}
	if (what & (DIFF_LINK_ROUTES | DIFF_LINK_ADDRESSES)) {
		/* Routes may have gone with the address they were made for. */
		remove_routes(t, old);
		routes_flush(t->routes);
		add_routes(t, t->conf);
		routes_flush(t->routes);
	}
}

bool tunnel_update(struct tunnel *t, const struct config_tenant *new)
{
	const struct config_tenant *old = t->conf;
	unsigned what = diff_link(old, new);

	if (!t->device || what & DIFF_LINK_PLACE)
		return false;
	t->conf = new;
	update_link(t, old, what);
	resolver_free(t->resolver);
	t->resolver = NULL;
	return !apply(t, old, new) && !resolver_new(&t->resolver, t->loop, t->device, new);
}

void tunnel_close(struct tunnel *t)
{
	unmake(t);
	t->closing = 2;
	uv_close((uv_handle_t *)&t->retry, on_handle_closed);
	uv_close((uv_handle_t *)&t->gone_async, on_handle_closed);
}

struct device *tunnel_device(struct tunnel *t)
{
	return t->device;
}

const char *tunnel_name(const struct tunnel *t)
{
	return t->name;
}
