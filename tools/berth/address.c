/* SPDX-License-Identifier: MIT */
/* The addresses of a new tenant, and that of the gateway. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "freeaddress.h"

/* The address alone where it is one, else the range. */
static const char *show(const struct prefix *p, char buf[PREFIX_STRLEN])
{
	char *slash;

	prefix_format(p, buf);
	slash = prefix_is_host(p) ? strchr(buf, '/') : NULL;
	if (slash)
		*slash = '\0';
	return buf;
}

/* All of them, for a sentence. */
static void show_prefixes(const struct config_router *router, char *buf, size_t room)
{
	char text[PREFIX_STRLEN];
	size_t len = 0;

	*buf = '\0';
	for (uint32_t i = 0; i < router->prefixes.n && len < room; i++)
		len += (size_t)snprintf(buf + len, room - len, "%s%s", i ? ", " : "",
					prefix_format(&router->prefixes.v[i].prefix, text));
}

struct search {
	const struct prefix *range;
	bool found;
};

static void look_at(const struct prefix *host, void *arg)
{
	struct search *s = arg;

	s->found |= prefix_contains(s->range, host);
}

static bool is_own(const struct holdings *h, const struct prefix *range)
{
	for (uint32_t i = 0; i < h->router->addresses.n; i++) {
		const struct config_address *own = &h->router->addresses.v[i];
		struct prefix host = prefix_host(own->family, own->addr);

		if (prefix_contains(range, &host))
			return true;
	}
	return false;
}

bool address_has_rest(const struct prefix *range, const char *text)
{
	char alone[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	uint8_t addr[16] = { 0 };

	if (len >= sizeof(alone))
		return false;
	memcpy(alone, text, len);
	alone[len] = '\0';
	return inet_pton(range->family, alone, addr) == 1 &&
	       memcmp(addr, range->addr, prefix_bits(range->family) / 8) != 0;
}

/*
 * The Prefix of which it is the first address, to which all routers of the link answer
 * (RFC 4291 §2.6.1); a link of two has none (RFC 6164). NULL: it is none such.
 */
static const struct prefix *routers_prefix(const struct holdings *h, const struct prefix *host)
{
	for (uint32_t i = 0; i < h->router->prefixes.n; i++) {
		const struct prefix *p = &h->router->prefixes.v[i].prefix;

		if (p->family == AF_INET6 && p->cidr < 127 && prefix_is_host(host) &&
		    prefix_contains(p, host) && memcmp(p->addr, host->addr, 16) == 0)
			return p;
	}
	return NULL;
}

int address_take(struct addresses *out, const struct holdings *h, const struct machine *m,
		 const char *text)
{
	char shown[PREFIX_STRLEN], prefixes[256];
	struct search search = { 0 };
	const struct prefix *pool;
	const char *holder;
	struct prefix range;

	if (prefix_parse(&range, text))
		return complain("'%s' is no address: 2001:db8::5, or 192.0.2.5, is meant", text);
	show(&range, shown);
	if (address_has_rest(&range, text))
		return complain("'%s' has bits behind its length: %s is the range, and an address "
				"has no length", text, shown);
	if (!router_has_range(h->router, &range)) {
		show_prefixes(h->router, prefixes, sizeof(prefixes));
		return complain("%s lies in no Prefix of %s, which has %s", shown, h->router->file,
				prefixes);
	}
	pool = routers_prefix(h, &range);
	if (pool)
		return complain("%s is that of all routers of %s: take another, or leave --address "
				"away for the next free one", shown, prefix_format(pool, prefixes));
	holder = claims_holder(h->claims, &range);
	if (holder)
		return complain("%s is in use by %s: take another, or leave --address away for "
				"the next free one", shown, holder);
	search.range = &range;
	machine_each_taken(m, look_at, &search);
	if (search.found || is_own(h, &range))
		return complain("%s is in use by this machine or a neighbour of it: take another, "
				"or leave --address away for the next free one", shown);
	if (out->n == ADDRESSES_MAX)
		return complain("more than %d addresses are for a file written by hand",
				ADDRESSES_MAX);
	for (size_t i = 0; i < out->n; i++)
		if (prefix_contains(&out->v[i], &range) || prefix_contains(&range, &out->v[i]))
			return complain("%s is given twice", shown);
	out->v[out->n++] = range;
	return EXIT_GOOD;
}

bool address_has_family(const struct holdings *h, uint8_t family)
{
	for (uint32_t i = 0; i < h->router->prefixes.n; i++)
		if (h->router->prefixes.v[i].prefix.family == family)
			return true;
	return false;
}

static void take_of_machine(const struct prefix *host, void *arg)
{
	/* Without memory the search goes on without it: berthd has the last word. */
	(void)holdings_take(arg, host);
}

static int compare_lines(const void *a, const void *b)
{
	const struct config_range *x = a, *y = b;

	return x->line < y->line ? -1 : x->line > y->line;
}

/* The Prefixes in the order of the file: it is the operator's. NULL: no memory. */
static struct config_range *in_order(const struct config_router *router)
{
	struct config_range *v = calloc(router->prefixes.n + 1, sizeof(*v));

	for (uint32_t i = 0; v && i < router->prefixes.n; i++)
		v[i] = router->prefixes.v[i];
	if (v)
		qsort(v, router->prefixes.n, sizeof(*v), compare_lines);
	return v;
}

static int complain_full(const struct holdings *h, uint8_t family)
{
	char text[PREFIX_STRLEN], list[256];
	size_t len = 0, n = 0;

	for (uint32_t i = 0; i < h->router->prefixes.n && len < sizeof(list); i++) {
		const struct prefix *p = &h->router->prefixes.v[i].prefix;

		if (p->family != family)
			continue;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", n++ ? ", " : "",
					prefix_format(p, text));
	}
	return complain("every address of %s is in use: revoke a tenant, or add a Prefix to %s",
			list, h->router->file);
}

int address_next(struct addresses *out, struct holdings *h, const struct machine *m,
		 uint8_t family, const char *name)
{
	struct config_range *pools;
	int err = -ENOSPC;

	if (!address_has_family(h, family))
		return complain("%s has no Prefix of IPv%c to take an address from",
				h->router->file, family == AF_INET ? '4' : '6');
	pools = in_order(h->router);
	if (!pools)
		return complain("not enough memory");
	machine_each_taken(m, take_of_machine, h);
	if (h->n_taken)
		qsort(h->taken, h->n_taken, sizeof(*h->taken), freeaddress_compare);
	for (uint32_t i = 0; err && i < h->router->prefixes.n; i++)
		if (pools[i].prefix.family == family)
			err = freeaddress_find(&pools[i].prefix, h->taken, h->n_taken, name,
					       &out->v[out->n]);
	free(pools);
	if (err)
		return complain_full(h, family);
	out->n++;
	return EXIT_GOOD;
}

/* Where homes reach us */

/* The link where the world is: the first uplink, else that of the default route. */
static const struct netlink_link *outside(const struct config_router *router,
					  const struct machine *m)
{
	const struct netlink_route *route = machine_default(m, AF_INET);

	if (router->n_uplinks)
		return machine_link_named(m, router->uplinks[0]);
	if (!route)
		route = machine_default(m, AF_INET6);
	return route ? machine_link(m, route->oif) : NULL;
}

static char *format_endpoint(uint8_t family, const uint8_t addr[16], unsigned port)
{
	char text[INET6_ADDRSTRLEN], *out;

	if (!inet_ntop(family, addr, text, sizeof(text)) ||
	    asprintf(&out, family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port) < 0)
		return NULL;
	return out;
}

/* HOST, HOST:PORT, an address, [an address], [an address]:PORT. */
static char *complete_endpoint(const char *given, unsigned port)
{
	size_t len = strlen(given);
	const char *colon = strchr(given, ':');
	struct prefix host;
	char *out;

	if (!prefix_parse(&host, given) && prefix_is_host(&host) && !strchr(given, '/'))
		return format_endpoint(host.family, host.addr, port);
	if (!colon || (*given == '[' && len && given[len - 1] == ']'))
		return asprintf(&out, "%s:%u", given, port) < 0 ? NULL : out;
	return strdup(given);
}

static bool is_endpoint(const char *text)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { .file = "", .faults = &faults };
	char *copy = NULL;
	bool good = !value_endpoint(&where, text, &copy);

	free(copy);
	fault_list_free(&faults);
	return good;
}

/* Who has no zone with it cannot say on which of a home's links it is. */
static bool is_local(const char *text)
{
	struct endpoint e;

	return !endpoint_parse(&e, text) && e.addr.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LINKLOCAL(&e.addr6.sin6_addr) && !e.addr6.sin6_scope_id;
}

char *address_endpoint(const struct config_router *router, const struct machine *m,
		       const char *given)
{
	const struct netlink_link *link = outside(router, m);
	const struct netlink_addr *addr = NULL;
	char *out = NULL;

	if (!given && link) {
		addr = machine_public_addr(m, link->index, AF_INET);
		if (!addr)
			addr = machine_public_addr(m, link->index, AF_INET6);
	}
	if (!given && !addr) {
		(void)complain("this machine has no public address of its own that homes could "
			       "call: --endpoint HOST names it");
		return NULL;
	}
	out = given ? complete_endpoint(given, router->listen_port)
		    : format_endpoint(addr->family, addr->addr, router->listen_port);
	if (out && is_local(out)) {
		(void)complain("'%s' is a link-local address without a zone, which no home can "
			       "call: vps.example.com or a public address is meant", given);
		free(out);
		return NULL;
	}
	if (out && is_endpoint(out))
		return out;
	(void)complain("'%s' is no endpoint: vps.example.com, 192.0.2.1:51820 or "
		       "[2001:db8::1]:51820 is meant", given ? given : "");
	free(out);
	return NULL;
}
