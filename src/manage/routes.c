/* SPDX-License-Identifier: MIT */
/* Host routes towards the tenants. */
#include "routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"

/* Further ones of a batch are counted. */
enum { REFUSALS_SAID = 10, ROOM_KEPT = 1024 };

struct wish {
	enum netlink_op op;
	struct prefix prefix;
};

struct routes {
	struct netlink *nl;
	int ifindex;
	const char *name;
	const struct routes_place *place; /* NULL: it is the gateway's, on the host */
	uint32_t table;
	struct wish *wishes;
	size_t n, room;
	bool lost; /* there was no memory for one of them */
	int *verdicts; /* of the wishes, while they are carried out: 0 or -errno */
	routes_fn *told;
	void *arg;
};

struct routes *routes_new(struct netlink *nl, int ifindex, const char *name)
{
	struct routes *r = calloc(1, sizeof(*r));

	if (r)
		*r = (struct routes){ .nl = nl, .ifindex = ifindex, .name = name,
				      .table = RT_TABLE_MAIN };
	return r;
}

void routes_use_table(struct routes *r, uint32_t table)
{
	r->table = table;
}

void routes_use_place(struct routes *r, const struct routes_place *place)
{
	r->place = place;
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	free(r->wishes);
	free(r);
}

void routes_tell(struct routes *r, routes_fn *fn, void *arg)
{
	r->told = fn;
	r->arg = arg;
}

/* What a line about it begins with, before the name. */
static const char *kind(const struct routes *r)
{
	return r->place ? "tunnel " : "";
}

static void wish(struct routes *r, enum netlink_op op, const struct prefix *p)
{
	char text[PREFIX_STRLEN];

	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		struct wish *grown = realloc(r->wishes, room * sizeof(*grown));

		if (!grown) {
			log_error("%s%s: no memory for the route to %s", kind(r), r->name,
				  prefix_format(p, text));
			r->lost = true;
			return;
		}
		r->wishes = grown;
		r->room = room;
	}
	r->wishes[r->n++] = (struct wish){ .op = op, .prefix = *p };
}

void routes_add(struct routes *r, const struct prefix *p)
{
	wish(r, NETLINK_ADD, p);
}

void routes_remove(struct routes *r, const struct prefix *p)
{
	wish(r, NETLINK_DEL, p);
}

static struct netlink_route route_to(const struct routes *r, const struct prefix *p)
{
	struct netlink_route route = { .family = p->family,
				       .dst_len = p->cidr,
				       .oif = r->ifindex,
				       .table = r->table };

	memcpy(route.dst, p->addr, sizeof(route.dst));
	return route;
}

static void complain(const struct routes *r, const struct wish *w, int error, const char *text)
{
	char prefix[PREFIX_STRLEN];

	log_error("%s%s: cannot %s the route to %s: %s%s%s", kind(r), r->name,
		  w->op == NETLINK_ADD ? "add" : "remove", prefix_format(&w->prefix, prefix),
		  strerror(-error), *text ? ": " : "", text);
}

static void on_refused(size_t index, int error, const char *text, void *arg)
{
	struct routes *r = arg;
	const struct wish *w = &r->wishes[index];

	r->verdicts[index] = error;
	if (w->op == NETLINK_ADD && (r->told || error == -EEXIST))
		return;
	/* A route that is gone already, or went with the device, is as removed as can be. */
	if (w->op == NETLINK_DEL && (error == -ESRCH || error == -ENODEV))
		return;
	complain(r, w, error, text);
}

struct search {
	const struct prefix *prefix;
	struct netlink_route found;
};

static int is_prefix(const struct netlink_route *route, void *arg)
{
	struct search *s = arg;

	if (route->dst_len != s->prefix->cidr || memcmp(route->dst, s->prefix->addr, 16))
		return 0;
	s->found = *route;
	return 1;
}

static bool is_ours(const struct routes *r, const struct netlink_route *route)
{
	return route->oif == r->ifindex && route->protocol == NETLINK_PROTO_BERTH;
}

/* The route that the kernel has to that very prefix. False: none, by now. */
static bool find_existing(struct routes *r, const struct prefix *p, struct netlink_route *out)
{
	struct netlink_route_filter filter = { .family = p->family, .table = r->table };
	struct netlink_lookup lookup = { .family = p->family, .fib_match = true };
	struct search s = { .prefix = p };

	/* A look-up is quick, and mostly tells; the list is of all routes there are. */
	memcpy(lookup.dst, p->addr, sizeof(lookup.dst));
	if (r->table == RT_TABLE_MAIN && !netlink_route_get(r->nl, &lookup, out) &&
	    out->dst_len == p->cidr && is_ours(r, out))
		return true;
	if (netlink_route_list(r->nl, &filter, is_prefix, &s) != 1)
		return false;
	*out = s.found;
	return true;
}

/* Another tunnel's, or the gateway's, or another berthd's: nothing to be removed by hand. */
static void complain_sibling(const struct routes *r, const struct netlink_route *found,
			     const char *prefix, const char *link)
{
	const struct routes_place *place = r->place;
	const char *other = place->holder ? place->holder(place->arg, found->oif) : NULL;

	log_event(LOG_LEVEL_ERROR, r->name, "routes", "another tunnel has it",
		  "tunnel %s: %s has its route to %s by %s%s already%s: left alone, so packets to "
		  "there do not come to this one; only one of them can have it in table %u: see "
		  "AllowedIPs and Table of both", r->name, place->name, prefix,
		  other ? "tunnel " : "", other ? other : link,
		  other ? "" : ", another interface of berthd", r->table);
}

static void complain_foreign(const struct routes *r, const struct netlink_route *found,
			     const char *prefix, const char *link)
{
	log_error("%s%s: there is a route to %s via %s already (protocol %u), which is not ours: "
		  "left alone, so packets to there do not come to us; remove it with "
		  "'%s -%d route del %s%s%s table %u'", kind(r), r->name, prefix, link,
		  found->protocol, r->place ? r->place->ip : "ip",
		  found->family == AF_INET6 ? 6 : 4, prefix, found->oif ? " dev " : "",
		  found->oif ? link : "", r->table);
}

/* True if it is somebody else's. */
static bool is_foreign(struct routes *r, const struct prefix *p, bool say)
{
	struct netlink_route found;
	char prefix[PREFIX_STRLEN], link[IFNAMSIZ] = "?";

	if (!find_existing(r, p, &found) || is_ours(r, &found))
		return false;
	if (!say)
		return true;
	if (netlink_link_name(r->nl, found.oif, link))
		snprintf(link, sizeof(link), "%d", found.oif);
	prefix_format(p, prefix);
	if (r->place && found.protocol == NETLINK_PROTO_BERTH)
		complain_sibling(r, &found, prefix, link);
	else
		complain_foreign(r, &found, prefix, link);
	return true;
}

static void explain_refused(struct routes *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->wishes[i].op == NETLINK_ADD && r->verdicts[i] == -EEXIST)
			n += is_foreign(r, &r->wishes[i].prefix, n < REFUSALS_SAID);
	if (n > REFUSALS_SAID)
		log_error("%s%s: and %zu routes more that others have", kind(r), r->name,
			  n - REFUSALS_SAID);
}

static void tell(struct routes *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->wishes[i].op == NETLINK_ADD)
			r->told(r->arg, &r->wishes[i].prefix, r->verdicts[i]);
}

/* A start has a hundred thousand wishes; a change after it, one. */
static void forget_wishes(struct routes *r)
{
	r->n = 0;
	if (r->room <= ROOM_KEPT)
		return;
	free(r->wishes);
	r->wishes = NULL;
	r->room = 0;
}

static int carry_out(struct routes *r)
{
	int err = netlink_batch_begin(r->nl, on_refused, r);

	if (err)
		return err;
	for (size_t i = 0; i < r->n; i++) {
		struct netlink_route route = route_to(r, &r->wishes[i].prefix);

		(void)netlink_batch_route(r->nl, r->wishes[i].op, &route);
	}
	return min(netlink_batch_end(r->nl), 0);
}

static int flush(struct routes *r)
{
	int err = -ENOMEM;

	if (!r->n)
		return 0;
	r->verdicts = calloc(r->n, sizeof(*r->verdicts));
	if (r->verdicts)
		err = carry_out(r);
	if (err)
		log_error("%s%s: cannot tell the kernel of %zu routes: %s", kind(r), r->name, r->n,
			  strerror(-err));
	else if (r->told)
		tell(r);
	else
		explain_refused(r);
	free(r->verdicts);
	r->verdicts = NULL;
	forget_wishes(r);
	return err;
}

int routes_flush(struct routes *r)
{
	int err = flush(r);

	if (!err && r->lost)
		err = -ENOMEM;
	r->lost = false;
	return err;
}

static int sweep_one(const struct netlink_route *route, void *arg)
{
	struct prefix p = { .family = route->family, .cidr = route->dst_len };

	memcpy(p.addr, route->dst, sizeof(p.addr));
	routes_remove(arg, &p);
	return 0;
}

static int list_ours(struct routes *r, netlink_route_fn *fn, void *arg)
{
	struct netlink_route_filter filter = { .protocol = NETLINK_PROTO_BERTH,
					       .table = r->table,
					       .oif = r->ifindex };

	return netlink_route_list(r->nl, &filter, fn, arg);
}

void routes_sweep(struct routes *r)
{
	int err = list_ours(r, sweep_one, r);

	if (err)
		log_warning("%s: cannot look for routes of an earlier run: %s", r->name,
			    strerror(-err));
	if (r->n)
		log_info("%s: %zu routes of an earlier run are removed", r->name, r->n);
	routes_flush(r);
}

struct pruning {
	struct routes *routes;
	bool (*is_wanted)(void *arg, const struct prefix *p);
	void *arg;
};

static int prune_one(const struct netlink_route *route, void *arg)
{
	struct pruning *pruning = arg;
	struct prefix p = { .family = route->family, .cidr = route->dst_len };

	memcpy(p.addr, route->dst, sizeof(p.addr));
	if (!pruning->is_wanted(pruning->arg, &p))
		routes_remove(pruning->routes, &p);
	return 0;
}

int routes_prune(struct routes *r, bool (*is_wanted)(void *arg, const struct prefix *p), void *arg)
{
	struct pruning pruning = { .routes = r, .is_wanted = is_wanted, .arg = arg };
	int err = list_ours(r, prune_one, &pruning);

	if (err)
		log_warning("%s: cannot look for routes that are to be removed: %s", r->name,
			    strerror(-err));
	else if (r->n)
		log_info("%s: %zu routes that could not be removed before are removed", r->name,
			 r->n);
	/* What was seen of a list that broke off is wanted no more, too. */
	return min(routes_flush(r), err);
}
