/* SPDX-License-Identifier: MIT */
/* Neighbours at the uplinks: who is answered for, and who is announced. */
#include "uplinks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"
#include "waiting.h"

enum {
	/* Announcements for new addresses: 5,000 a second, which no switch minds. */
	ANNOUNCE_PER_TICK = 50,
	ANNOUNCE_TICK_MS = 10
};

struct uplinks;

struct port {
	struct uplinks *uplinks;
	const char *name;
	struct neigh *neigh; /* NULL: closed */
	struct waiting pending; /* addresses that are to be announced here */
	uv_timer_t announce;
	int said; /* why it cannot be used, once it was logged */
};

struct uplinks {
	const struct config_router *router;
	struct device *device;
	unsigned n, closing;
	struct port ports[];
};

/* Who is answered for */

static bool is_always(const struct uplinks *u, enum announce announce)
{
	return (announce == ANNOUNCE_DEFAULT ? u->router->announce : announce) == ANNOUNCE_ALWAYS;
}

/* Outside of Prefix nobody is answered for, whatever a peer has been given there. */
static enum neigh_owner owner_of(struct uplinks *u, int family, const uint8_t *addr)
{
	struct prefix p = prefix_host((uint8_t)family, addr);
	struct device_owner owner;

	if (!router_has_range(u->router, &p))
		return NEIGH_FOREIGN;
	if (!device_find_owner(u->device, family, addr, &owner))
		return NEIGH_UNOWNED;
	return is_always(u, owner.announce) || owner.connected ? NEIGH_HERE : NEIGH_AWAY;
}

static enum neigh_owner on_asked(void *arg, int family, const uint8_t *addr)
{
	struct port *port = arg;

	return owner_of(port->uplinks, family, addr);
}

bool uplinks_answer(struct uplinks *u, int family, const uint8_t *addr)
{
	return owner_of(u, family, addr) == NEIGH_HERE;
}

/* Announcing */

static void on_tick(uv_timer_t *timer)
{
	struct port *port = timer->data;
	const struct prefix *p;

	for (int i = 0; i < ANNOUNCE_PER_TICK && (p = waiting_first(&port->pending)); i++) {
		int err = 0;

		/* It may have been revoked since it was queued. */
		if (owner_of(port->uplinks, p->family, p->addr) == NEIGH_HERE)
			err = neigh_announce(port->neigh, p->family, p->addr);
		if (err == -ENOBUFS || err == -EAGAIN)
			return; /* the next tick tries again */
		waiting_advance(&port->pending);
	}
	if (!waiting_first(&port->pending))
		uv_timer_stop(timer);
}

/* Neighbours ask anyway: an announcement that is lost for want of memory is no fault. */
static void queue(struct port *port, const struct prefix *p)
{
	if (waiting_add(&port->pending, p) && !uv_is_active((uv_handle_t *)&port->announce))
		uv_timer_start(&port->announce, on_tick, 0, ANNOUNCE_TICK_MS);
}

void uplinks_announce(struct uplinks *u, const struct prefix *p)
{
	if (!prefix_is_host(p))
		return;
	for (unsigned i = 0; i < u->n; i++)
		queue(&u->ports[i], p);
}

void uplinks_arrived(struct uplinks *u, enum announce announce, const struct prefix *p)
{
	/* Those who always are have been announced when their file came. */
	if (!is_always(u, announce))
		uplinks_announce(u, p);
}

static void announce_peer(const struct device_peer *peer, void *arg)
{
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		if (prefix_is_host(&peer->allowed_ips[i]))
			queue(arg, &peer->allowed_ips[i]);
}

/* Following */

/* What neigh said about a change of its uplink. */
static void follow(struct port *port, int result)
{
	const struct uplinks *u = port->uplinks;
	int err = min(result, 0);

	if (result > 0) {
		log_info("%s: uplink %s has changed: announcing all addresses anew",
			 device_name(u->device), port->name);
		device_each_peer(u->device, announce_peer, port);
	} else if (err && err != port->said) {
		log_error("%s: uplink %s cannot be used: %s", device_name(u->device), port->name,
			  strerror(-err));
	}
	port->said = err;
}

void uplinks_link_changed(struct uplinks *u, const struct netlink_link *link)
{
	for (unsigned i = 0; i < u->n; i++)
		follow(&u->ports[i], neigh_link_changed(u->ports[i].neigh, link));
}

void uplinks_addr_changed(struct uplinks *u, const struct netlink_addr *addr)
{
	for (unsigned i = 0; i < u->n; i++)
		follow(&u->ports[i], neigh_addr_changed(u->ports[i].neigh, addr));
}

void uplinks_refresh(struct uplinks *u)
{
	for (unsigned i = 0; i < u->n; i++)
		follow(&u->ports[i], neigh_refresh(u->ports[i].neigh));
}

void uplinks_each(struct uplinks *u,
		  void (*fn)(const char *name, const struct neigh_stats *stats, void *arg),
		  void *arg)
{
	struct neigh_stats stats;

	for (unsigned i = 0; i < u->n; i++) {
		neigh_stats(u->ports[i].neigh, &stats);
		fn(u->ports[i].name, &stats, arg);
	}
}

void uplinks_each_asked(struct uplinks *u, const uint8_t addr[NDP_ADDR_LEN],
			void (*fn)(const char *name, uint64_t ago, void *arg), void *arg)
{
	for (unsigned i = 0; i < u->n; i++)
		fn(u->ports[i].name, neigh_asked_ago(u->ports[i].neigh, addr), arg);
}

/* Life */

static int open_port(struct port *port, uv_loop_t *loop)
{
	static const struct neigh_ops ops = { .owner = on_asked };
	const struct config_router *router = port->uplinks->router;
	char table[sizeof("berth--") + 2 * IFNAMSIZ];
	int err = neigh_open(&port->neigh, loop, port->name, &ops, port);

	if (err) {
		log_error("%s: Uplink = %s: %s", router->file, port->name,
			  err == -ENODEV ? "there is no such interface" :
			  err == -EMEDIUMTYPE ?
				  "not an Ethernet interface: it has no neighbours to answer" :
				  strerror(-err));
		return err;
	}
	neigh_set_source(port->neigh, router->neighbor_source);
	snprintf(table, sizeof(table), "berth-%s-%s", router->name, port->name);
	neigh_silence_kernel(port->neigh, table, &router->prefixes);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct port *port = handle->data;
	struct uplinks *u = port->uplinks;

	waiting_clear(&port->pending);
	if (!--u->closing)
		free(u);
}

static void close_ports(struct uplinks *u)
{
	for (unsigned i = 0; i < u->n; i++) {
		neigh_close(u->ports[i].neigh);
		u->ports[i].neigh = NULL;
		uv_close((uv_handle_t *)&u->ports[i].announce, on_closed);
	}
}

void uplinks_close(struct uplinks *u)
{
	if (!u)
		return;
	u->closing = u->n;
	if (!u->n)
		free(u); /* the last handle to be closed does it otherwise */
	else
		close_ports(u);
}

int uplinks_open(struct uplinks **out, uv_loop_t *loop, const struct config_router *router,
		 struct device *dev)
{
	unsigned n = router->n_uplinks;
	struct uplinks *u = calloc(1, sizeof(*u) + n * sizeof(u->ports[0]));
	int err = 0;

	*out = NULL;
	if (!u) {
		log_error("%s: no memory for its uplinks", router->name);
		return -ENOMEM;
	}
	u->router = router;
	u->device = dev;
	while (!err && u->n < n) {
		struct port *port = &u->ports[u->n++];

		port->uplinks = u;
		port->name = router->uplinks[u->n - 1];
		uv_timer_init(loop, &port->announce);
		port->announce.data = port;
		err = open_port(port, loop);
	}
	if (err) {
		uplinks_close(u);
		return err;
	}
	*out = u;
	return 0;
}
