/* SPDX-License-Identifier: MIT */
/* The gateway: device, routes and neighbours under one roof. */
#include "gateway.h"

#include <errno.h>
#include <net/if.h>
#include <sodium.h>
#include <stdio.h>
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
	struct routes *routes;
	struct neigh *neigh;
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
	if (result > 0) {
		log_info("%s: uplink %s has changed: announcing all addresses anew",
			 device_name(gw->device), gw->router->uplink);
		device_each_peer(gw->device, announce_peer, gw);
	} else if (result < 0) {
		log_error("%s: uplink %s cannot be used: %s", device_name(gw->device),
			  gw->router->uplink, strerror(-result));
	}
}

static void on_link(const struct netlink_link *link, bool deleted, void *arg)
{
	struct gateway *gw = arg;

	(void)deleted;
	follow(gw, neigh_link_changed(gw->neigh, link));
}

static void on_addr(const struct netlink_addr *addr, bool deleted, void *arg)
{
	struct gateway *gw = arg;

	(void)deleted;
	follow(gw, neigh_addr_changed(gw->neigh, addr));
}

static void on_overrun(void *arg)
{
	struct gateway *gw = arg;

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
	err = nlmon_open(&gw->mon, -1, NLMON_LINK | NLMON_ADDR);
	if (!err)
		err = nlmon_ignore(gw->mon, netlink_port(gw->nl));
	if (!err)
		err = uv_poll_init(gw->loop, &gw->mon_poll, nlmon_fd(gw->mon));
	if (err) {
		log_error("%s: cannot follow the uplink: %s", device_name(gw->device),
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
	gw->routes = routes_new(gw->nl, index, device_name(gw->device));
	if (!gw->routes)
		return -ENOMEM;
	err = netlink_link_set_mtu(gw->nl, index, r->mtu);
	if (err)
		goto out;
	for (uint32_t i = 0; i < r->addresses.n; i++) {
		err = link_add_address(gw->nl, index, &r->addresses.v[i]);
		if (err) {
			complain_address(r->name, &r->addresses.v[i], err);
			return err;
		}
	}
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

/* Is a sysctl set to this? Unreadable ones are somebody else's business. */
static bool sysctl_is(const char *path, char value)
{
	FILE *f = fopen(path, "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c == value;
}

/* What else the machine needs and we do not change behind the operator's back. */
static void warn_about_sysctls(const struct config_router *r)
{
	bool has4 = false, has6 = false;
	char path[64 + IFNAMSIZ];

	for (uint32_t i = 0; i < r->prefixes.n; i++) {
		has4 |= r->prefixes.v[i].prefix.family == AF_INET;
		has6 |= r->prefixes.v[i].prefix.family == AF_INET6;
	}
	if (has6 && sysctl_is("/proc/sys/net/ipv6/conf/all/forwarding", '0'))
		log_warning("%s: the kernel does not forward IPv6, so no tenant is reached: "
			    "sysctl -w net.ipv6.conf.all.forwarding=1", r->name);
	if (has4 && sysctl_is("/proc/sys/net/ipv4/ip_forward", '0'))
		log_warning("%s: the kernel does not forward IPv4, so no tenant is reached: "
			    "sysctl -w net.ipv4.ip_forward=1", r->name);
	if (!*r->uplink)
		return;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", r->uplink);
	if (has6 && sysctl_is(path, '1') &&
	    sysctl_is("/proc/sys/net/ipv6/conf/all/forwarding", '1'))
		log_warning("%s: with forwarding on, %s ignores router advertisements and may "
			    "lose its default route: sysctl -w net.ipv6.conf.%s.accept_ra=2",
			    r->name, r->uplink, r->uplink);
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
		err = open_neighbors(gw);
	if (err) {
		gateway_close(gw);
		return err;
	}
	warn_about_sysctls(router);
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
