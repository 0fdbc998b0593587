/* SPDX-License-Identifier: MIT */
/* doctor: where the kernel sends packets. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>

#include "../../src/host/verdict.h"
#include "doctor.h"

/* A look-up takes some 10 us; a machine with more tenants is not asked for each of them. */
enum { LOOKUPS_MAX = 4096 };

static void check_default(struct doctor *d, uint8_t family)
{
	const struct doctor_outside *out = doctor_outside(d, family);
	const char *ip = family == AF_INET6 ? "IPv6" : "IPv4";
	struct doctor_row *row;
	char link[IFNAMSIZ];

	if (!out->found) {
		row = doctor_say(d, FINDING_FAIL, "there is no route to the Internet over %s: what tenants "
				 "send ends here", ip);
		doctor_mend(row, "ip %s route add default via %s dev %s",
			    family == AF_INET6 ? "-6" : "-4",
			    family == AF_INET6 ? "fe80::1" : "ROUTER",
			    d->router->n_uplinks ? d->router->uplinks[0] : "eth0");
	} else if (d->tun && out->route.oif == d->tun) {
		row = doctor_say(d, FINDING_FAIL, "the route to the Internet over %s leads into %s: no "
				 "tenant can have it", ip, d->router->name);
		doctor_mend(row, "ip %s route show dev %s", family == AF_INET6 ? "-6" : "-4",
			    d->router->name);
	} else if (!netlink_link_name(d->nl, out->route.oif, link)) {
		doctor_say(d, FINDING_OK, "the route to the Internet over %s is by %s", ip, link);
	}
}

static void check_defaults(struct doctor *d)
{
	if (d->wants6)
		check_default(d, AF_INET6);
	if (d->wants4)
		check_default(d, AF_INET);
}

/* Tenants' routes */

/* Without a berthd that has made them, only what would win all the same is a fault. */
static bool is_fault(const struct doctor *d, const struct verdict *verdict)
{
	switch (verdict->kind) {
	case VERDICT_OURS:
	case VERDICT_UNKNOWN:
		return false;
	case VERDICT_MISSING:
	case VERDICT_ROUTE:
		return d->status && d->tun;
	default:
		return true;
	}
}

static void say_loss(struct doctor *d, struct verdict_view *view, const struct doctor_address *a,
		     const struct verdict *verdict)
{
	char address[PREFIX_STRLEN];
	struct verdict_words words;
	struct doctor_row *row;

	verdict_describe(view, d->router->name, &a->prefix, verdict, &words);
	prefix_format(&a->prefix, address);
	/* berthd puts it back by itself, so it is said what it says of itself. */
	if (verdict->kind == VERDICT_MISSING) {
		doctor_say(d, FINDING_FAIL, "packets to %s (%s) do not come to berthd: the route to it is "
			   "not there; berthd's log says why", address, a->tenant);
		return;
	}
	row = doctor_say(d, FINDING_FAIL, "packets to %s (%s) do not come to berthd: %s", address,
			 a->tenant, words.why);
	doctor_mend(row, "%s", words.command);
}

static void check_tenants(struct doctor *d)
{
	struct verdict_view view = { .nl = d->nl, .ifindex = d->tun, .router = d->router };
	size_t n = min(d->n_addresses, (size_t)LOOKUPS_MAX), lost = 0;

	if (!d->gateway || !n)
		return;
	verdict_look_around(&view);
	for (size_t i = 0; i < n; i++) {
		struct verdict verdict;

		verdict_get(&view, &d->addresses[i].prefix, &verdict);
		if (!is_fault(d, &verdict))
			continue;
		/* The first one tells, and mostly stands for all. */
		if (!lost++)
			say_loss(d, &view, &d->addresses[i], &verdict);
	}
	if (lost > 1)
		doctor_say(d, FINDING_FAIL, "and so with %zu address%s more", lost - 1,
			   lost == 2 ? "" : "es");
	else if (!lost && d->status)
		doctor_say(d, FINDING_OK, "packets to %s%zu address%s of tenants go to %s",
			   n < d->n_addresses ? "the first " : "", n, n == 1 ? "" : "es",
			   d->router->name);
	else if (!lost)
		doctor_say(d, FINDING_OK, "nothing is in the way of routes to %zu address%s", n,
			   n == 1 ? "" : "es");
}

/* Whoever talks to this machine must not be answered by a tenant. */
static void check_source(struct doctor *d)
{
	for (unsigned i = 0; d->gateway && i < 2; i++) {
		uint8_t family = i ? AF_INET : AF_INET6;
		const struct doctor_outside *out = doctor_outside(d, family);
		const struct doctor_address *owner;
		char address[INET6_ADDRSTRLEN], link[IFNAMSIZ];

		if (!out->found || !out->route.has_src ||
		    netlink_link_name(d->nl, out->route.oif, link))
			continue;
		owner = doctor_owner(d, family, out->route.src);
		inet_ntop(family, out->route.src, address, sizeof(address));
		if (!owner) {
			doctor_say(d, FINDING_OK, "this machine itself speaks as %s", address);
			continue;
		}
		doctor_say(d, FINDING_FAIL, "this machine itself speaks as %s (%s), which is %s's: the "
			   "answers go there; the tenant needs another one", address, link,
			   owner->tenant);
	}
}

/* Whole prefixes */

struct on_link {
	const struct prefix *prefix;
	int ifindex;
};

static int note_on_link(const struct netlink_route *route, void *arg)
{
	struct on_link *found = arg;

	/* The kernel's own route of a link that has an address of the prefix, or the provider's. */
	if (route->family == found->prefix->family && route->dst_len == found->prefix->cidr &&
	    !memcmp(route->dst, found->prefix->addr, sizeof(route->dst)) && route->oif &&
	    !route->gateway_family && route->type == RTN_UNICAST)
		found->ifindex = route->oif;
	return 0;
}

/* A prefix that lies on a link, where somebody has to answer for each address. */
static void check_prefix(struct doctor *d)
{
	static const struct netlink_route_filter any = { .table = RT_TABLE_MAIN };

	for (uint32_t i = 0; d->gateway && i < d->router->prefixes.n; i++) {
		struct on_link found = { .prefix = &d->router->prefixes.v[i].prefix };
		char prefix[PREFIX_STRLEN], link[IFNAMSIZ];
		bool answered = false;
		struct doctor_row *row;

		(void)!netlink_route_list(d->nl, &any, note_on_link, &found);
		if (!found.ifindex || found.ifindex == d->tun ||
		    netlink_link_name(d->nl, found.ifindex, link))
			continue;
		for (unsigned j = 0; j < d->router->n_uplinks; j++)
			answered |= d->uplinks[j] == found.ifindex;
		prefix_format(found.prefix, prefix);
		if (answered) {
			doctor_say(d, FINDING_OK, "%s lies on %s, where berthd answers", prefix, link);
			continue;
		}
		row = doctor_say(d, FINDING_WARN, "%s lies on %s, which is no Uplink: nobody answers there "
				 "for tenants", prefix, link);
		doctor_mend(row, "sed -i '/^\\[Router\\]/a Uplink = %s' %s", link, d->router->file);
	}
}

const struct doctor_check doctor_routes[] = {
	{ "default-route", check_defaults }, { "prefix", check_prefix },
	{ "tenant-routes", check_tenants },  { "source", check_source },
	{ 0 },
};
