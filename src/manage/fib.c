/* SPDX-License-Identifier: MIT */
/* Routes that stay, and win. */
#include "fib.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"

enum {
	/* Some microseconds each: a slice holds the loop up for a millisecond or two. */
	LOOKUPS_PER_TICK = 256,
	TICK_MS = 10,
	/* A flush is many events; and twice as long each time, if it happens again soon. */
	RESTORE_MS = 50,
	RESTORE_MAX_MS = 60000,
	/* Rules and other tables concern every address: looked at no more often than this. */
	VERIFY_ALL_MS = 2000,
	/* Further ones are counted. */
	LOSSES_SAID = 10,
	ROOM_KEPT = 1024
};

/* Prefixes that wait for something. */
struct waiting {
	struct prefix *list;
	size_t n, room, next;
};

/* An address to which packets do not come, and the route by which they go. */
struct loss {
	struct prefix prefix;
	struct netlink_route won;
};

struct fib {
	struct routes *routes;
	struct netlink *nl;
	struct device *device;
	int ifindex;
	char uplink[IFNAMSIZ];
	bool down;               /* the interface: there are no routes to it */
	struct waiting lost;     /* routes to be put back */
	struct waiting unproven; /* to be looked up */
	uv_timer_t restore, verify, verify_all;
	uint64_t restored;       /* when it was done last; ms of the loop, 0: never */
	uint64_t patience;       /* ms to wait before the next time */

	/* of the look-ups since unproven was empty */
	struct loss losses[LOSSES_SAID];
	size_t n_losses;
	uint64_t hash; /* of all losses */
	bool all;      /* every address was among them */
	uint64_t said; /* hash of the losses that were said last; 0: none */
	unsigned closing;
};

/* Lists */

static void add(struct waiting *w, const struct prefix *p)
{
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 16;
		struct prefix *grown = realloc(w->list, room * sizeof(*grown));

		if (!grown)
			return; /* the next event about it, or SIGHUP, tries again */
		w->list = grown;
		w->room = room;
	}
	w->list[w->n++] = *p;
}

static void clear(struct waiting *w)
{
	w->n = w->next = 0;
	if (w->room <= ROOM_KEPT)
		return;
	free(w->list);
	*w = (struct waiting){ 0 };
}

/* Putting back */

static void say_restored(struct fib *fib, size_t n, const struct prefix *first, bool again)
{
	char text[PREFIX_STRLEN];

	log_warning("%s: somebody has removed %zu %s to tenants (%s%s), which %s put back%s",
		    device_name(fib->device), n, n == 1 ? "route" : "routes",
		    prefix_format(first, text), n == 1 ? "" : " and more", n == 1 ? "is" : "are",
		    again ? "; it happens again and again: systemd-networkd does that unless "
			    "networkd.conf says ManageForeignRoutes=no" : "");
}

static void on_restore(uv_timer_t *timer)
{
	struct fib *fib = timer->data;
	struct waiting *w = &fib->lost;
	uint64_t now = uv_now(timer->loop);
	bool again = fib->restored && now - fib->restored < fib->patience + RESTORE_MAX_MS;
	const struct prefix *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		/* It may have been revoked meanwhile. */
		if (!device_has_prefix(fib->device, &w->list[i]))
			continue;
		routes_add(fib->routes, &w->list[i]);
		first = first ? first : &w->list[i];
		n++;
	}
	routes_flush(fib->routes);
	if (n) {
		say_restored(fib, n, first, again);
		fib->restored = now;
		fib->patience = again ? min(2 * fib->patience, (uint64_t)RESTORE_MAX_MS) :
					RESTORE_MS;
	}
	clear(w);
}

static void put_back(struct fib *fib, const struct prefix *p)
{
	add(&fib->lost, p);
	if (!uv_is_active((uv_handle_t *)&fib->restore))
		uv_timer_start(&fib->restore, on_restore, fib->patience, 0);
}

/* Verifying */

static bool is_ours(const struct fib *fib, const struct netlink_route *route)
{
	return route->oif == fib->ifindex && route->type == RTN_UNICAST;
}

static const char *link_name(struct fib *fib, int index, char name[IFNAMSIZ])
{
	if (!index || netlink_link_name(fib->nl, index, name))
		(void)snprintf(name, IFNAMSIZ, "%s", index ? "?" : "none");
	return name;
}

/* What wins, and what can be done about it. */
static void explain(struct fib *fib, const struct loss *loss)
{
	const struct netlink_route *won = &loss->won;
	const struct prefix *p = &loss->prefix;
	struct prefix dst = { .family = p->family, .cidr = won->dst_len };
	const char *ip = p->family == AF_INET6 ? "ip -6" : "ip";
	char wanted[PREFIX_STRLEN], winner[PREFIX_STRLEN], link[IFNAMSIZ];

	memcpy(dst.addr, won->dst, sizeof(dst.addr));
	prefix_format(p, wanted);
	prefix_format(&dst, winner);
	link_name(fib, won->oif, link);
	if (won->type == RTN_LOCAL || won->type == RTN_ANYCAST)
		log_error("%s: packets to %s do not come to us: this machine has that address "
			  "itself: '%s address del %s dev %s'", device_name(fib->device), wanted, ip,
			  winner, link);
	else if (won->table != RT_TABLE_MAIN)
		log_error("%s: packets to %s do not come to us: a rule sends them to table %u, "
			  "where the route to %s via %s wins: see '%s rule show'",
			  device_name(fib->device), wanted, won->table, winner, link, ip);
	else
		log_error("%s: packets to %s do not come to us: the route to %s via %s (protocol "
			  "%u, metric %u) wins: '%s route del %s metric %u'",
			  device_name(fib->device), wanted, winner, link, won->protocol,
			  won->priority, ip, winner, won->priority);
}

/* A look-up as for a packet that came in at the uplink, where that can be asked. */
static int look_up(struct fib *fib, const struct prefix *p, struct netlink_route *won)
{
	struct netlink_lookup lookup = { .family = p->family, .fib_match = true };

	memcpy(lookup.dst, p->addr, sizeof(lookup.dst));
	/* IPv4 would want a source that is not a martian there. */
	if (p->family == AF_INET6 && *fib->uplink)
		lookup.iif = max(netlink_link_index(fib->nl, fib->uplink), 0);
	return netlink_route_get(fib->nl, &lookup, won);
}

/* FNV-1a, not for adversaries. */
static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void note_loss(struct fib *fib, const struct prefix *p, const struct netlink_route *won)
{
	if (fib->n_losses < LOSSES_SAID)
		fib->losses[fib->n_losses] = (struct loss){ .prefix = *p, .won = *won };
	fib->n_losses++;
	fib->hash = mix(mix(fib->hash + 1, p, sizeof(*p)), &won->oif, sizeof(won->oif));
}

static void verify_one(struct fib *fib, const struct prefix *p)
{
	struct netlink_route won;
	int err;

	/* What was revoked meanwhile needs no route. */
	if (!device_has_prefix(fib->device, p))
		return;
	err = look_up(fib, p, &won);
	if (!err && is_ours(fib, &won))
		return;
	if (!err && (won.table != RT_TABLE_MAIN || won.dst_len == p->cidr))
		note_loss(fib, p, &won);
	else if (!err || err == -ENETUNREACH)
		put_back(fib, p); /* ours is not there, by no event that we have heard of */
}

static void end_verifying(struct fib *fib)
{
	size_t n = min(fib->n_losses, (size_t)LOSSES_SAID);

	clear(&fib->unproven);
	uv_timer_stop(&fib->verify);
	if (fib->n_losses && fib->hash != fib->said) {
		for (size_t i = 0; i < n; i++)
			explain(fib, &fib->losses[i]);
		if (fib->n_losses > n)
			log_error("%s: and %zu addresses more to which packets do not come",
				  device_name(fib->device), fib->n_losses - n);
	}
	if (fib->n_losses || fib->all)
		fib->said = fib->hash;
	fib->n_losses = 0;
	fib->hash = 0;
	fib->all = false;
}

static void on_verify(uv_timer_t *timer)
{
	struct fib *fib = timer->data;
	struct waiting *w = &fib->unproven;

	for (int i = 0; i < LOOKUPS_PER_TICK && w->next < w->n; i++)
		verify_one(fib, &w->list[w->next++]);
	if (w->next == w->n)
		end_verifying(fib);
}

/* Ranges have host routes of others in them, rightly: only addresses can be looked up. */
static void prove(struct fib *fib, const struct prefix *p)
{
	if (!prefix_is_host(p) || fib->down)
		return;
	add(&fib->unproven, p);
	if (!uv_is_active((uv_handle_t *)&fib->verify))
		uv_timer_start(&fib->verify, on_verify, TICK_MS, TICK_MS);
}

void fib_verify(struct fib *fib, const struct prefix *p)
{
	if (fib)
		prove(fib, p);
}

static void prove_peer(const struct device_peer *peer, void *arg)
{
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		prove(arg, &peer->allowed_ips[i]);
}

static void on_verify_all(uv_timer_t *timer)
{
	struct fib *fib = timer->data;

	device_each_peer(fib->device, prove_peer, fib);
	fib->all = fib->unproven.n != 0;
}

/* Everything may be affected; soon, but once for many changes. */
static void verify_all(struct fib *fib)
{
	if (!uv_is_active((uv_handle_t *)&fib->verify_all))
		uv_timer_start(&fib->verify_all, on_verify_all, VERIFY_ALL_MS, 0);
}

/* Events */

void fib_route_changed(struct fib *fib, const struct netlink_route *route, bool gone)
{
	struct prefix p = { .family = route->family, .cidr = route->dst_len };

	if (!fib || fib->down)
		return;
	memcpy(p.addr, route->dst, sizeof(p.addr));
	if (route->table != RT_TABLE_MAIN && route->table != RT_TABLE_LOCAL)
		verify_all(fib); /* there less specific ones may win, by a rule */
	else if (!device_has_prefix(fib->device, &p))
		return; /* the whole of a BGP table, where there is one */
	else if (gone && route->table == RT_TABLE_MAIN)
		put_back(fib, &p);
	else
		prove(fib, &p);
}

void fib_rule_changed(struct fib *fib)
{
	if (fib)
		verify_all(fib);
}

static void install_peer(const struct device_peer *peer, void *arg)
{
	struct fib *fib = arg;

	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		routes_add(fib->routes, &peer->allowed_ips[i]);
}

void fib_link_changed(struct fib *fib, bool up)
{
	if (!fib)
		return;
	fib->down = !up;
	/* What waits to be put back is among those that are installed below. */
	clear(&fib->lost);
	uv_timer_stop(&fib->restore);
	if (!up)
		return;
	device_each_peer(fib->device, install_peer, fib);
	routes_flush(fib->routes);
	verify_all(fib);
}

void fib_refresh(struct fib *fib)
{
	if (fib)
		verify_all(fib);
}

/* Life */

int fib_open(struct fib **out, uv_loop_t *loop, struct routes *routes, struct netlink *nl,
	     struct device *dev, int ifindex, const char *uplink)
{
	struct fib *fib = calloc(1, sizeof(*fib));

	*out = fib;
	if (!fib)
		return -ENOMEM;
	*fib = (struct fib){ .routes = routes, .nl = nl, .device = dev, .ifindex = ifindex,
			     .patience = RESTORE_MS };
	(void)snprintf(fib->uplink, sizeof(fib->uplink), "%s", uplink);
	uv_timer_init(loop, &fib->restore);
	uv_timer_init(loop, &fib->verify);
	uv_timer_init(loop, &fib->verify_all);
	fib->restore.data = fib->verify.data = fib->verify_all.data = fib;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct fib *fib = handle->data;

	if (--fib->closing)
		return;
	free(fib->lost.list);
	free(fib->unproven.list);
	free(fib);
}

void fib_close(struct fib *fib)
{
	if (!fib)
		return;
	fib->closing = 3;
	uv_close((uv_handle_t *)&fib->restore, on_closed);
	uv_close((uv_handle_t *)&fib->verify, on_closed);
	uv_close((uv_handle_t *)&fib->verify_all, on_closed);
}
