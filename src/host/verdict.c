/* SPDX-License-Identifier: MIT */
/* What the kernel's FIB says about packets for a tenant. */
#include "verdict.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "../base/log.h"

/* Looking around */

/*
 * IPv4 looks a packet that comes in up only with a source that may come from there:
 * that of the next hop to the Internet does. Nothing is sent to that address.
 */
static void find_router(struct verdict_view *view, struct verdict_port *port)
{
	struct netlink_lookup lookup = { .family = AF_INET, .dst = { 1, 1, 1, 1 } };
	struct netlink_route route;

	lookup.oif = port->ifindex;
	if (netlink_route_get(view->nl, &lookup, &route) || route.gateway_family != AF_INET)
		return;
	memcpy(port->router4, route.gateway, sizeof(port->router4));
	port->has_router = true;
}

void verdict_look_around(struct verdict_view *view)
{
	for (unsigned i = 0; i < view->router->n_uplinks; i++) {
		struct verdict_port *port = &view->ports[i];
		int index = netlink_link_index(view->nl, view->router->uplinks[i]);

		port->ifindex = max(index, 0);
		port->has_router = false;
		if (port->ifindex)
			find_router(view, port);
	}
}

/* Looking up */

/* In table local, which comes before all others. */
static bool is_own_address(uint8_t type)
{
	return type == RTN_LOCAL || type == RTN_ANYCAST || type == RTN_BROADCAST;
}

/* The route that was found, if packets to p go by it. */
static enum verdict_kind judge(const struct verdict_view *view, const struct prefix *p,
			       const struct netlink_route *won)
{
	bool elsewhere = won->table != RT_TABLE_MAIN;

	if (is_own_address(won->type))
		return VERDICT_LOCAL;
	/* Shorter than ours, which would win. */
	if (!elsewhere && won->dst_len < p->cidr)
		return VERDICT_MISSING;
	if (won->oif == view->ifindex)
		return VERDICT_OURS;
	if (elsewhere)
		return VERDICT_RULE;
	/* A part of a range may well be somebody else's. */
	return won->dst_len == p->cidr ? VERDICT_ROUTE : VERDICT_OURS;
}

static enum verdict_kind judge_error(int err)
{
	switch (err) {
	case -ENETUNREACH:
		return VERDICT_MISSING;
	case -EHOSTUNREACH:
	case -EACCES:
	case -EINVAL:
		return VERDICT_REJECTED;
	default:
		return VERDICT_UNKNOWN;
	}
}

static bool is_no_way(int err)
{
	return err == -ENETUNREACH || err == -EHOSTUNREACH;
}

/* One address of p, as seen from port; NULL: from the machine itself. */
static void look_up(struct verdict_view *view, const struct prefix *p, const uint8_t *addr,
		    const struct verdict_port *port, struct verdict *out)
{
	struct netlink_lookup lookup = { .family = p->family, .fib_match = true };
	int err;

	*out = (struct verdict){ 0 };
	memcpy(lookup.dst, addr, sizeof(lookup.dst));
	if (port && p->family == AF_INET6)
		lookup.iif = port->ifindex;
	if (port && p->family == AF_INET && port->has_router) {
		lookup.iif = port->ifindex;
		lookup.has_src = true;
		memcpy(lookup.src, port->router4, sizeof(port->router4));
	}
	err = netlink_route_get(view->nl, &lookup, &out->won);
	/* Perhaps for the source's sake, forwarding that is off, or an uplink that has gone. */
	if (err && lookup.iif && !(p->family == AF_INET6 && is_no_way(err))) {
		lookup.iif = 0;
		lookup.has_src = false;
		err = netlink_route_get(view->nl, &lookup, &out->won);
	}
	if (!err) {
		out->kind = judge(view, p, &out->won);
		return;
	}
	/* It is not told by which route. */
	*out = (struct verdict){ .kind = judge_error(err), .error = err };
}

static void last_address(const struct prefix *p, uint8_t addr[16])
{
	memcpy(addr, p->addr, 16);
	for (unsigned bit = p->cidr; bit < prefix_bits(p->family); bit++)
		addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

static void look_at(struct verdict_view *view, const struct prefix *p,
		    const struct verdict_port *port, struct verdict *out)
{
	uint8_t last[16];

	look_up(view, p, p->addr, port, out);
	if (out->kind != VERDICT_OURS || out->won.dst_len <= p->cidr)
		return;
	/* Another one's, within the range. */
	last_address(p, last);
	look_up(view, p, last, port, out);
}

void verdict_get(struct verdict_view *view, const struct prefix *p, struct verdict *out)
{
	unsigned n = view->router->n_uplinks, seen = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!view->ports[i].ifindex)
			continue;
		look_at(view, p, &view->ports[i], out);
		if (out->kind != VERDICT_OURS)
			return;
		seen++;
	}
	if (!seen)
		look_at(view, p, NULL, out);
}

bool verdict_equal(const struct verdict *a, const struct verdict *b)
{
	const struct netlink_route *x = &a->won, *y = &b->won;

	return a->kind == b->kind && a->error == b->error && x->type == y->type &&
	       x->table == y->table && x->oif == y->oif && x->dst_len == y->dst_len &&
	       x->protocol == y->protocol && x->priority == y->priority;
}

/* Explaining */

static const char *type_name(uint8_t type)
{
	switch (type) {
	case RTN_LOCAL:
		return "local";
	case RTN_ANYCAST:
		return "anycast";
	default:
		return "broadcast";
	}
}

/* The kernel's fib_props of IPv4; those of IPv6 are the same. */
static const char *rejection_name(int err)
{
	return err == -EINVAL ? "blackhole" : err == -EACCES ? "prohibit" : "unreachable";
}

/* The words of which the sentences are made. */
struct words {
	const char *name, *ip;
	char wanted[PREFIX_STRLEN], winner[PREFIX_STRLEN], link[IFNAMSIZ];
};

static void find_words(struct verdict_view *view, const char *name, const struct prefix *p,
		       const struct netlink_route *won, struct words *out)
{
	struct prefix dst = { .family = p->family, .cidr = won->dst_len };

	out->name = name;
	out->ip = p->family == AF_INET6 ? "ip -6" : "ip";
	memcpy(dst.addr, won->dst, sizeof(dst.addr));
	prefix_format(p, out->wanted);
	prefix_format(&dst, out->winner);
	if (!won->oif || netlink_link_name(view->nl, won->oif, out->link))
		(void)snprintf(out->link, sizeof(out->link), "%s", won->oif ? "?" : "none");
}

#define WHY(out, ...) (void)snprintf((out)->why, sizeof((out)->why), __VA_ARGS__)
#define MEND(out, ...) (void)snprintf((out)->command, sizeof((out)->command), __VA_ARGS__)

static void describe_local(const struct words *w, const struct netlink_route *won, bool host,
			   struct verdict_words *out)
{
	if (won->type == RTN_LOCAL && host) {
		/* No command: it may be the very address by which the machine is reached. */
		WHY(out, "this machine has that address itself, on %s: the tenant needs another one",
		    w->link);
	} else {
		WHY(out, "the machine takes them itself, by its %s route to %s",
		    type_name(won->type), w->winner);
		MEND(out, "%s route del %s %s dev %s table local", w->ip, type_name(won->type),
		     w->winner, w->link);
	}
}

static void describe_rejected(const struct words *w, int err, struct verdict_words *out)
{
	const char *type = rejection_name(err);

	WHY(out, "a route or rule of type %s wins", type);
	MEND(out, "%s route show table all type %s; %s rule show", w->ip, type, w->ip);
	out->only_shows = true;
}

static void describe_refused(const struct words *w, int family, int err,
			     struct verdict_words *out)
{
	if (family == AF_INET6 && err == -EACCES) {
		WHY(out, "IPv6 is switched off here");
		MEND(out, "sysctl net.ipv6.conf.%s.disable_ipv6=0", w->name);
	} else {
		WHY(out, "the kernel does not take the route there: %s", strerror(-err));
	}
}

void verdict_describe(struct verdict_view *view, const char *name, const struct prefix *p,
		      const struct verdict *verdict, struct verdict_words *out)
{
	const struct netlink_route *won = &verdict->won;
	struct words w;

	*out = (struct verdict_words){ 0 };
	find_words(view, name, p, won, &w);
	switch (verdict->kind) {
	case VERDICT_LOCAL:
		describe_local(&w, won, won->dst_len == prefix_bits(p->family), out);
		break;
	case VERDICT_REJECTED:
		describe_rejected(&w, verdict->error, out);
		break;
	case VERDICT_RULE:
		WHY(out, "a rule sends them to table %u, where the route to %s via %s wins",
		    won->table, w.winner, w.link);
		MEND(out, "%s rule show", w.ip);
		out->only_shows = true;
		break;
	case VERDICT_REFUSED:
		describe_refused(&w, p->family, verdict->error, out);
		break;
	case VERDICT_ROUTE:
		WHY(out, "the route to %s via %s (protocol %u, metric %u), which is not ours, wins",
		    w.winner, w.link, won->protocol, won->priority);
		MEND(out, "%s route del %s metric %u", w.ip, w.winner, won->priority);
		break;
	case VERDICT_MISSING:
		WHY(out, "there is a route already, which is not ours and leads nowhere");
		MEND(out, "%s route show %s", w.ip, w.wanted);
		out->only_shows = true;
		break;
	case VERDICT_OURS:
	case VERDICT_UNKNOWN:
		break;
	}
}

void verdict_explain(struct verdict_view *view, const char *name, const struct prefix *p,
		     const struct verdict *verdict)
{
	char wanted[PREFIX_STRLEN];
	struct verdict_words w;

	verdict_describe(view, name, p, verdict, &w);
	prefix_format(p, wanted);
	if (*w.command)
		log_error("%s: packets to %s do not come to us: %s: %s'%s'", name, wanted, w.why,
			  w.only_shows ? "see " : "", w.command);
	else if (*w.why)
		log_error("%s: packets to %s do not come to us: %s", name, wanted, w.why);
}
