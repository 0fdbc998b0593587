/* SPDX-License-Identifier: MIT */
/* Host routes towards the tenants. */
#include "routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"

struct wish {
	enum netlink_op op;
	struct prefix prefix;
};

struct routes {
	struct netlink *nl;
	int ifindex;
	const char *name;
	struct wish *wishes;
	size_t n, room;
	size_t *refused; /* wishes that ended in EEXIST: looked at after the batch */
	size_t n_refused;
};

struct routes *routes_new(struct netlink *nl, int ifindex, const char *name)
{
	struct routes *r = calloc(1, sizeof(*r));

	if (r)
		*r = (struct routes){ .nl = nl, .ifindex = ifindex, .name = name };
	return r;
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	free(r->wishes);
	free(r->refused);
	free(r);
}

static void wish(struct routes *r, enum netlink_op op, const struct prefix *p)
{
	char text[PREFIX_STRLEN];

	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		struct wish *grown = realloc(r->wishes, room * sizeof(*grown));

		if (!grown) {
			log_error("%s: no memory for the route to %s", r->name,
				  prefix_format(p, text));
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
				       .oif = r->ifindex };

	memcpy(route.dst, p->addr, sizeof(route.dst));
	return route;
}

static void on_refused(size_t index, int error, const char *text, void *arg)
{
	struct routes *r = arg;
	const struct wish *w = &r->wishes[index];
	char prefix[PREFIX_STRLEN];

	if (w->op == NETLINK_ADD && error == -EEXIST) {
		if (r->refused)
			r->refused[r->n_refused++] = index;
		return;
	}
	/* A route that is gone already, or went with the device, is as removed as can be. */
	if (w->op == NETLINK_DEL && (error == -ESRCH || error == -ENODEV))
		return;
	log_error("%s: cannot %s the route to %s: %s%s%s", r->name,
		  w->op == NETLINK_ADD ? "add" : "remove", prefix_format(&w->prefix, prefix),
		  strerror(-error), *text ? ": " : "", text);
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

/* There is a route to that very prefix: ours from before, or somebody else's? */
static void explain_existing(struct routes *r, const struct prefix *p)
{
	struct netlink_route_filter filter = { .family = p->family, .table = RT_TABLE_MAIN };
	struct search s = { .prefix = p };
	char prefix[PREFIX_STRLEN], link[IFNAMSIZ] = "?";

	if (netlink_route_list(r->nl, &filter, is_prefix, &s) != 1)
		return; /* gone meanwhile */
	if (s.found.oif == r->ifindex && s.found.protocol == NETLINK_PROTO_BERTH)
		return;
	if (netlink_link_name(r->nl, s.found.oif, link))
		snprintf(link, sizeof(link), "%d", s.found.oif);
	log_error("%s: there is a route to %s via %s already (protocol %u), which is not ours: "
		  "left alone, so the tenant is not reached; remove it with 'ip route del %s'",
		  r->name, prefix_format(p, prefix), link, s.found.protocol, prefix);
}

void routes_flush(struct routes *r)
{
	int refused;

	if (!r->n)
		return;
	free(r->refused);
	r->refused = calloc(r->n, sizeof(*r->refused));
	r->n_refused = 0;
	refused = netlink_batch_begin(r->nl, on_refused, r);
	if (!refused) {
		for (size_t i = 0; i < r->n; i++) {
			struct netlink_route route = route_to(r, &r->wishes[i].prefix);

			(void)netlink_batch_route(r->nl, r->wishes[i].op, &route);
		}
		refused = netlink_batch_end(r->nl);
	}
	if (refused < 0)
		log_error("%s: cannot tell the kernel of %zu routes: %s", r->name, r->n,
			  strerror(-refused));
	for (size_t i = 0; i < r->n_refused; i++)
		explain_existing(r, &r->wishes[r->refused[i]].prefix);
	r->n = 0;
}
