/* SPDX-License-Identifier: MIT */
/* The gateway: device, routes and neighbours under one roof. */
#include "gateway.h"

#include <errno.h>
#include <net/if.h>
#include <sodium.h>
#include <stdlib.h>

#include "../../tun/nlmon.h"
#include "../base/log.h"
#include "../base/poll.h"
#include "../host/owner.h"
#include "complain.h"
#include "fib.h"
#include "link.h"
#include "own.h"
#include "uapi_sock.h"

struct gateway {
	uv_loop_t *loop;
	const struct config_router *router;
	struct device *device;
	struct netlink *nl;
	int ifindex;
	bool down; /* somebody has set the interface down */
	struct fib *fib;
	struct uplinks *uplinks;
	struct nlmon *mon;
	uv_poll_t mon_poll;
	uv_async_t gone_async;
	void (*gone)(void *arg);
	void *gone_arg;
	unsigned closing;
};

/* Our own interface */

static int add_addresses(struct gateway *gw)
{
	const struct config_router *r = gw->router;

	for (uint32_t i = 0; i < r->addresses.n; i++) {
		int err = link_add_address(gw->nl, gw->ifindex, &r->addresses.v[i]);

		if (err) {
			complain_address(r->name, &r->addresses.v[i], err);
			return err;
		}
	}
	return 0;
}

/* With an interface that is set down, the kernel takes its addresses and routes away. */
static void on_own_link(struct gateway *gw, const struct netlink_link *link)
{
	bool down = !(link->flags & IFF_UP);

	if (link->mtu && link->mtu <= UINT16_MAX)
		device_set_mtu(gw->device, (uint16_t)link->mtu);
	if (down && !gw->down)
		log_warning("%s: somebody has set the interface down: no tenant is reached; "
			    "'ip link set %s up'", link->name, link->name);
	if (gw->down && !down) {
		log_info("%s: up again: its routes are installed anew", link->name);
		(void)!add_addresses(gw);
	}
	gw->down = down;
}

static void refresh_own_link(struct gateway *gw)
{
	struct netlink_link link;

	if (netlink_link_get(gw->nl, gw->ifindex, &link))
		return;
	on_own_link(gw, &link);
	fib_link_changed(gw->fib, &link, false);
}

static void on_link(const struct netlink_link *link, bool deleted, void *arg)
{
	struct gateway *gw = arg;

	if (link->index == gw->ifindex && !deleted)
		on_own_link(gw, link);
	fib_link_changed(gw->fib, link, deleted);
	uplinks_link_changed(gw->uplinks, link);
}

static void on_addr(const struct netlink_addr *addr, bool deleted, void *arg)
{
	struct gateway *gw = arg;

	own_changed(gw->device, gw->nl, addr, deleted);
	fib_addr_changed(gw->fib, addr, deleted);
	uplinks_addr_changed(gw->uplinks, addr);
}

static void on_route(const struct netlink_route *route, bool gone, void *arg)
{
	struct gateway *gw = arg;

	fib_route_changed(gw->fib, route, gone);
}

static void on_rule(void *arg)
{
	struct gateway *gw = arg;

	fib_rule_changed(gw->fib);
}

static void on_overrun(void *arg)
{
	struct gateway *gw = arg;

	refresh_own_link(gw);
	own_refresh(gw->device, gw->nl);
	fib_refresh(gw->fib);
	uplinks_refresh(gw->uplinks);
}

static void on_mon(uv_poll_t *poll, int status, int events)
{
	static const struct nlmon_callbacks callbacks = { .link = on_link,
							  .addr = on_addr,
							  .route = on_route,
							  .rule = on_rule,
							  .overrun = on_overrun };
	struct gateway *gw = poll->data;

	(void)events;
	if (nlmon_read(gw->mon, &callbacks, gw) < 0)
		on_overrun(gw);
	if (poll_go_on(poll, status, on_mon))
		log_error("%s: cannot follow the interfaces any more", device_name(gw->device));
}

/* Links, addresses, routes and rules: the uplinks', our own, and what others do to ours. */
static int open_monitor(struct gateway *gw)
{
	int err = nlmon_open(&gw->mon, -1, NLMON_LINK | NLMON_ADDR | NLMON_ROUTE | NLMON_RULE);

	if (!err)
		err = nlmon_ignore(gw->mon, netlink_port(gw->nl));
	if (!err)
		err = uv_poll_init(gw->loop, &gw->mon_poll, nlmon_fd(gw->mon));
	if (err) {
		log_error("%s: cannot follow the interfaces: %s", device_name(gw->device),
			  strerror(-err));
		return err;
	}
	gw->mon_poll.data = gw;
	own_refresh(gw->device, gw->nl);
	return uv_poll_start(&gw->mon_poll, UV_READABLE, on_mon);
}

/* What the device tells us */

static void on_address_added(void *arg, const struct prefix *p, const char *name)
{
	struct gateway *gw = arg;

	(void)name;
	fib_add(gw->fib, p);
	uplinks_announce(gw->uplinks, p);
}

static void on_address_removed(void *arg, const struct prefix *p, const char *name)
{
	struct gateway *gw = arg;

	(void)name;
	fib_remove(gw->fib, p);
}

static void on_applied(void *arg)
{
	struct gateway *gw = arg;

	fib_flush(gw->fib);
}

static void on_arrived(void *arg, enum announce announce, const struct prefix *addresses,
		       size_t n)
{
	struct gateway *gw = arg;

	for (size_t i = 0; gw->uplinks && i < n; i++)
		uplinks_arrived(gw->uplinks, announce, &addresses[i]);
}

/* What the routes are asked for */

static bool is_wanted(void *arg, const struct prefix *p)
{
	struct gateway *gw = arg;

	return device_has_prefix(gw->device, p);
}

struct visit {
	void (*fn)(const struct prefix *p, void *arg);
	void *arg;
};

static void visit_peer(const struct device_peer *peer, void *arg)
{
	struct visit *visit = arg;

	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		visit->fn(&peer->allowed_ips[i], visit->arg);
}

static void each_wanted(void *arg, void (*fn)(const struct prefix *p, void *fn_arg),
			void *fn_arg)
{
	struct gateway *gw = arg;
	struct visit visit = { .fn = fn, .arg = fn_arg };

	device_each_peer(gw->device, visit_peer, &visit);
}

static const struct fib_ops fib_ops = { .is_wanted = is_wanted, .each_wanted = each_wanted };

static void on_gone(void *arg)
{
	struct gateway *gw = arg;

	uv_async_send(&gw->gone_async);
}

static void on_gone_async(uv_async_t *async)
{
	struct gateway *gw = async->data;

	gw->gone(gw->gone_arg);
}

/* Opening */

/*
 * Another instance of that name? It would share its TUN device with us, whose packets and
 * routes are its own until somebody else finds out: before anything is touched.
 */
static int check_alone(const char *ifname)
{
	char path[UAPI_SOCK_PATH_MAX];
	struct owner owner;

	if (!owner_of_socket(uapi_sock_path(ifname, path), &owner))
		return 0;
	complain_socket(path, -EADDRINUSE);
	return -EADDRINUSE;
}

static int open_device(struct gateway *gw, struct workers *ws)
{
	const struct config_router *r = gw->router;
	struct device_options options = {
		.name = r->name,
		.netns = -1,
		.tun_fd = -1,
		.mtu = r->mtu,
		.offload = !r->no_offload,
		.gateway = true,
		.isolate = r->isolate == ISOLATE_YES,
		.rules = r,
		.observer = { .arg = gw,
			      .address_added = on_address_added,
			      .address_removed = on_address_removed,
			      .applied = on_applied,
			      .arrived = on_arrived,
			      .gone = on_gone },
	};
	int err = check_alone(r->name);

	if (err)
		return err;
	err = device_open(&gw->device, ws, &options);
	if (err)
		complain_tun(r->name, err);
	return err;
}

/* Gives the interface its MTU and addresses, and puts it up. */
static int open_link(struct gateway *gw)
{
	const struct config_router *r = gw->router;
	int index, err;

	err = netlink_open(&gw->nl, -1);
	if (err)
		goto out;
	index = netlink_link_index(gw->nl, device_name(gw->device));
	if (index < 0) {
		err = index;
		goto out;
	}
	gw->ifindex = index;
	err = fib_open(&gw->fib, gw->loop, gw->nl, index, device_name(gw->device), r, &fib_ops, gw);
	if (err)
		goto out;
	err = netlink_link_set_mtu(gw->nl, index, r->mtu);
	if (err)
		goto out;
	err = add_addresses(gw);
	if (err)
		return err; /* said already */
	err = netlink_link_set_up(gw->nl, index);
out:
	if (err)
		log_error("%s: cannot set up the interface: %s", r->name, strerror(-err));
	return err;
}

static int open_protocol(struct gateway *gw)
{
	const struct config_router *r = gw->router;
	struct change changes[3] = {
		{ .kind = CHANGE_PRIVATE_KEY },
		{ .kind = CHANGE_FWMARK, .number = r->fwmark },
		{ .kind = CHANGE_LISTEN_PORT, .number = r->listen_port },
	};
	size_t failed = 0;
	int err;

	memcpy(changes[0].key, r->private_key, sizeof(changes[0].key));
	err = device_apply(gw->device, changes, ARRAY_SIZE(changes), &failed);
	sodium_memzero(changes[0].key, sizeof(changes[0].key));
	if (err && changes[failed].kind == CHANGE_LISTEN_PORT)
		complain_port(r->name, r->listen_port, err);
	else if (err)
		log_error("%s: %s", r->name, strerror(-err));
	return err;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct gateway *gw = handle->data;

	if (--gw->closing)
		return;
	if (gw->mon)
		nlmon_close(gw->mon);
	free(gw);
}

int gateway_open(struct gateway **out, uv_loop_t *loop, struct workers *ws,
		 const struct config_router *router, void (*gone)(void *arg), void *arg)
{
	struct gateway *gw = calloc(1, sizeof(*gw));
	int err;

	if (!gw) {
		log_error("%s: no memory for a gateway", router->name);
		return -ENOMEM;
	}
	*gw = (struct gateway){ .loop = loop, .router = router, .gone = gone, .gone_arg = arg };
	err = uv_async_init(loop, &gw->gone_async, on_gone_async);
	if (err) {
		free(gw);
		return err;
	}
	gw->gone_async.data = gw;
	err = open_device(gw, ws);
	if (!err)
		err = open_link(gw);
	if (!err)
		err = open_protocol(gw);
	if (!err)
		err = open_monitor(gw);
	if (!err)
		err = uplinks_open(&gw->uplinks, loop, router, gw->device);
	if (err) {
		gateway_close(gw);
		return err;
	}
	complain_sysctls(router);
	*out = gw;
	return 0;
}

void gateway_close(struct gateway *gw)
{
	/* Silent first: nobody is told to send here any more. */
	uplinks_close(gw->uplinks);
	gw->uplinks = NULL;
	if (gw->device)
		device_close(gw->device);
	/* Behind it: the routes on an interface that stays are removed with the peers. */
	fib_close(gw->fib);
	gw->fib = NULL;
	netlink_close(gw->nl);
	gw->closing = 1;
	uv_close((uv_handle_t *)&gw->gone_async, on_handle_closed);
	if (gw->mon_poll.data) {
		gw->closing++;
		uv_close((uv_handle_t *)&gw->mon_poll, on_handle_closed);
	}
}

struct device *gateway_device(struct gateway *gw)
{
	return gw->device;
}

struct uplinks *gateway_uplinks(struct gateway *gw)
{
	return gw->uplinks;
}
