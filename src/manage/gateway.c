/* SPDX-License-Identifier: MIT */
/* The gateway: device, routes and neighbours under one roof. */
#include "gateway.h"

#include <errno.h>
#include <net/if.h>
#include <sodium.h>
#include <stdlib.h>

#include "../../tun/nlmon.h"
#include "../base/log.h"
#include "complain.h"
#include "link.h"
#include "routes.h"

enum {
	/* Announcements for new addresses: 5,000 a second, which no switch minds. */
	ANNOUNCE_PER_TICK = 50,
	ANNOUNCE_TICK_MS = 10
};

struct gateway {
	uv_loop_t *loop;
	const struct config_router *router;
	struct device *device;
	struct netlink *nl;
	int ifindex;
	bool down; /* somebody has set the interface down */
	struct routes *routes;
	struct neigh *neigh; /* NULL: no uplink */
	int said_uplink;     /* why it cannot be used, once it was logged */
	struct nlmon *mon;
	uv_poll_t mon_poll;
	uv_timer_t announce_timer;
	uv_async_t gone_async;
	struct prefix *announce; /* addresses to be announced */
	size_t n_announce, room_announce, next_announce;
	void (*gone)(void *arg);
	void *gone_arg;
	unsigned closing;
};

/* Neighbours */

static bool answer(void *arg, int family, const uint8_t *addr)
{
	struct gateway *gw = arg;

	return device_owns(gw->device, family, addr);
}

static void on_announce(uv_timer_t *timer)
{
	struct gateway *gw = timer->data;

	for (int i = 0; i < ANNOUNCE_PER_TICK && gw->next_announce < gw->n_announce; i++) {
		const struct prefix *p = &gw->announce[gw->next_announce];
		int err = 0;

		/* It may have been revoked since it was queued. */
		if (device_owns(gw->device, p->family, p->addr))
			err = neigh_announce(gw->neigh, p->family, p->addr);
		if (err == -ENOBUFS || err == -EAGAIN)
			return; /* the next tick tries again */
		gw->next_announce++;
	}
	if (gw->next_announce < gw->n_announce)
		return;
	gw->n_announce = 0;
	gw->next_announce = 0;
	uv_timer_stop(timer);
}

/* Neighbours ask anyway: an announcement that is lost for want of memory is no fault. */
static void queue_announcement(struct gateway *gw, const struct prefix *p)
{
	if (!gw->neigh || !prefix_is_host(p))
		return;
	if (gw->n_announce == gw->room_announce && gw->next_announce) {
		gw->n_announce -= gw->next_announce;
		memmove(gw->announce, &gw->announce[gw->next_announce],
			gw->n_announce * sizeof(*gw->announce));
		gw->next_announce = 0;
	}
	if (gw->n_announce == gw->room_announce) {
		size_t room = gw->room_announce ? 2 * gw->room_announce : 64;
		struct prefix *grown = realloc(gw->announce, room * sizeof(*grown));

		if (!grown)
			return;
		gw->announce = grown;
		gw->room_announce = room;
	}
	gw->announce[gw->n_announce++] = *p;
	if (!uv_is_active((uv_handle_t *)&gw->announce_timer))
		uv_timer_start(&gw->announce_timer, on_announce, 0, ANNOUNCE_TICK_MS);
}

static void announce_peer(const struct device_peer *peer, void *arg)
{
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		queue_announcement(arg, &peer->allowed_ips[i]);
}

/* What neigh said about a change of the uplink. */
static void follow(struct gateway *gw, int result)
{
	int err = min(result, 0);

	if (result > 0) {
		log_info("%s: uplink %s has changed: announcing all addresses anew",
			 device_name(gw->device), gw->router->uplink);
		device_each_peer(gw->device, announce_peer, gw);
	} else if (err && err != gw->said_uplink) {
		log_error("%s: uplink %s cannot be used: %s", device_name(gw->device),
			  gw->router->uplink, strerror(-err));
	}
	gw->said_uplink = err;
}

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

static void add_peer_routes(const struct device_peer *peer, void *arg)
{
	struct gateway *gw = arg;

	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		routes_add(gw->routes, &peer->allowed_ips[i]);
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
		device_each_peer(gw->device, add_peer_routes, gw);
		routes_flush(gw->routes);
	}
	gw->down = down;
}

static void refresh_own_link(struct gateway *gw)
{
	struct netlink_link link;

	if (!netlink_link_get(gw->nl, gw->ifindex, &link))
		on_own_link(gw, &link);
}

static void on_link(const struct netlink_link *link, bool deleted, void *arg)
{
	struct gateway *gw = arg;

	if (link->index == gw->ifindex && !deleted)
		on_own_link(gw, link);
	if (gw->neigh)
		follow(gw, neigh_link_changed(gw->neigh, link));
}

static void on_addr(const struct netlink_addr *addr, bool deleted, void *arg)
{
	struct gateway *gw = arg;

	(void)deleted;
	if (gw->neigh)
		follow(gw, neigh_addr_changed(gw->neigh, addr));
}

static void on_overrun(void *arg)
{
	struct gateway *gw = arg;

	refresh_own_link(gw);
	if (gw->neigh)
		follow(gw, neigh_refresh(gw->neigh));
}

static void on_mon(uv_poll_t *poll, int status, int events)
{
	static const struct nlmon_callbacks callbacks = { .link = on_link,
							  .addr = on_addr,
							  .overrun = on_overrun };
	struct gateway *gw = poll->data;

	(void)status;
	(void)events;
	if (nlmon_read(gw->mon, &callbacks, gw) < 0)
		on_overrun(gw);
}

static int open_neighbors(struct gateway *gw)
{
	static const struct neigh_ops ops = { .answer = answer };
	const char *uplink = gw->router->uplink;
	int err;

	if (!*uplink)
		return 0;
	err = neigh_open(&gw->neigh, gw->loop, uplink, &ops, gw);
	if (err) {
		log_error("%s: Uplink = %s: %s", gw->router->file, uplink,
			  err == -ENODEV ? "there is no such interface" :
			  err == -EMEDIUMTYPE ?
				  "not an Ethernet interface: it has no neighbours to answer" :
				  strerror(-err));
		return err;
	}
	neigh_set_source(gw->neigh, gw->router->neighbor_source);
	return 0;
}

/* Links and addresses: those of the uplink, and our own. */
static int open_monitor(struct gateway *gw)
{
	int err = nlmon_open(&gw->mon, -1, NLMON_LINK | NLMON_ADDR);

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
	return uv_poll_start(&gw->mon_poll, UV_READABLE, on_mon);
}

/* What the device tells us */

static void on_address_added(void *arg, const struct prefix *p, const char *name)
{
	struct gateway *gw = arg;

	(void)name;
	routes_add(gw->routes, p);
	queue_announcement(gw, p);
}

static void on_address_removed(void *arg, const struct prefix *p, const char *name)
{
	struct gateway *gw = arg;

	(void)name;
	routes_remove(gw->routes, p);
}

static void on_applied(void *arg)
{
	struct gateway *gw = arg;

	if (gw->routes)
		routes_flush(gw->routes);
}

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

static int open_device(struct gateway *gw, struct workers *ws)
{
	const struct config_router *r = gw->router;
	struct device_options options = {
		.name = r->name,
		.netns = -1,
		.tun_fd = -1,
		.mtu = r->mtu,
		.offload = !r->no_offload,
		.observer = { .arg = gw,
			      .address_added = on_address_added,
			      .address_removed = on_address_removed,
			      .applied = on_applied,
			      .gone = on_gone },
	};
	int err = device_open(&gw->device, ws, &options);

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
	gw->routes = routes_new(gw->nl, index, device_name(gw->device));
	if (!gw->routes)
		return -ENOMEM;
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
	free(gw->announce);
	free(gw);
}

int gateway_open(struct gateway **out, uv_loop_t *loop, struct workers *ws,
		 const struct config_router *router, void (*gone)(void *arg), void *arg)
{
	struct gateway *gw = calloc(1, sizeof(*gw));
	int err;

	if (!gw)
		return -ENOMEM;
	*gw = (struct gateway){ .loop = loop, .router = router, .gone = gone, .gone_arg = arg };
	err = uv_async_init(loop, &gw->gone_async, on_gone_async);
	if (err) {
		free(gw);
		return err;
	}
	uv_timer_init(loop, &gw->announce_timer);
	gw->gone_async.data = gw;
	gw->announce_timer.data = gw;
	err = open_device(gw, ws);
	if (!err)
		err = open_link(gw);
	if (!err)
		err = open_protocol(gw);
	if (!err)
		err = open_monitor(gw);
	if (!err)
		err = open_neighbors(gw);
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
	neigh_close(gw->neigh);
	gw->neigh = NULL;
	if (gw->device)
		device_close(gw->device);
	routes_free(gw->routes);
	netlink_close(gw->nl);
	gw->closing = 2;
	uv_close((uv_handle_t *)&gw->announce_timer, on_handle_closed);
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

bool gateway_neigh_stats(struct gateway *gw, struct neigh_stats *out)
{
	if (!gw->neigh)
		return false;
	neigh_stats(gw->neigh, out);
	return true;
}
