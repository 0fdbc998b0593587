/* SPDX-License-Identifier: MIT */
/* This machine's network as a value. */
#include "machine.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

/* Room is a power of two. */
static void *grow(void **v, size_t *n, size_t size)
{
	if ((*n & (*n - 1)) == 0) {
		void *grown = reallocarray(*v, *n ? 2 * *n : 1, size);

		if (!grown)
			return NULL;
		*v = grown;
	}
	return (char *)*v + size * (*n)++;
}

#define APPEND(v, n, entry)                                               \
	({                                                                \
		void *list_ = (v);                                        \
		void *at_ = grow(&list_, &(n), sizeof(*(entry)));         \
		(v) = list_;                                              \
		if (at_)                                                  \
			memcpy(at_, entry, sizeof(*(entry)));             \
		at_ ? 0 : -ENOMEM;                                        \
	})

static int add_link(const struct netlink_link *link, void *arg)
{
	struct machine *m = arg;

	return APPEND(m->links, m->n_links, link);
}

static int add_addr(const struct netlink_addr *addr, void *arg)
{
	struct machine *m = arg;

	return APPEND(m->addrs, m->n_addrs, addr);
}

static int add_route(const struct netlink_route *route, void *arg)
{
	struct machine *m = arg;

	/* Those of berth's own tenants may be many, and say nothing about the machine. */
	if (route->protocol == NETLINK_PROTO_BERTH)
		return 0;
	return APPEND(m->routes, m->n_routes, route);
}

static int add_neigh(const struct netlink_neigh *neigh, void *arg)
{
	struct machine *m = arg;

	return APPEND(m->neighs, m->n_neighs, neigh);
}

struct look {
	struct netlink *nl;
	struct machine *m;
};

static int look(void *arg)
{
	static const struct netlink_route_filter main_table = { .table = RT_TABLE_MAIN };
	const struct look *l = arg;
	struct netlink *nl = l->nl;
	struct machine *m = l->m;
	int err = netlink_link_list(nl, add_link, m);

	if (!err)
		err = netlink_addr_list(nl, 0, 0, add_addr, m);
	if (!err)
		err = netlink_route_list(nl, &main_table, add_route, m);
	if (!err)
		err = netlink_neigh_list(nl, 0, add_neigh, m);
	if (err)
		machine_free(m);
	return err;
}

int machine_look(struct machine *m)
{
	struct look l = { .m = m };
	int err;

	*m = (struct machine){ 0 };
	err = netlink_open(&l.nl, -1);
	if (err)
		return err;
	err = netlink_list_whole(look, &l);
	netlink_close(l.nl);
	return err;
}

void machine_free(struct machine *m)
{
	free(m->links);
	free(m->addrs);
	free(m->routes);
	free(m->neighs);
	*m = (struct machine){ 0 };
}

const struct netlink_link *machine_link(const struct machine *m, int index)
{
	for (size_t i = 0; i < m->n_links; i++)
		if (m->links[i].index == index)
			return &m->links[i];
	return NULL;
}

const struct netlink_link *machine_link_named(const struct machine *m, const char *name)
{
	for (size_t i = 0; i < m->n_links; i++)
		if (strcmp(m->links[i].name, name) == 0)
			return &m->links[i];
	return NULL;
}

const struct netlink_route *machine_default(const struct machine *m, uint8_t family)
{
	const struct netlink_route *best = NULL;

	for (size_t i = 0; i < m->n_routes; i++) {
		const struct netlink_route *r = &m->routes[i];

		if (r->family != family || r->dst_len || r->type != RTN_UNICAST || !r->oif)
			continue;
		if (!best || r->priority < best->priority)
			best = r;
	}
	return best;
}

/* Ranges that are nobody's on the internet: RFC 6890 and the registries it began. */
static const char *const special[] = {
	"0.0.0.0/8",	"10.0.0.0/8",	  "100.64.0.0/10",  "127.0.0.0/8",
	"169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
};

bool machine_is_public(uint8_t family, const uint8_t addr[16])
{
	struct prefix host = prefix_host(family, addr), range;

	if (family == AF_INET6) /* RFC 4291 §2.4: what is given out so far, 2000::/3 */
		return (addr[0] & 0xe0) == 0x20;
	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (!prefix_parse(&range, special[i]) && prefix_contains(&range, &host))
			return false;
	return true;
}

const struct netlink_addr *machine_public_addr(const struct machine *m, int ifindex,
					       uint8_t family)
{
	for (size_t i = 0; i < m->n_addrs; i++) {
		const struct netlink_addr *a = &m->addrs[i];

		if (a->ifindex == ifindex && a->family == family &&
		    !(a->flags & (IFA_F_TEMPORARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE)) &&
		    machine_is_public(family, a->addr))
			return a;
	}
	return NULL;
}

void machine_each_taken(const struct machine *m,
			void (*fn)(const struct prefix *host, void *arg), void *arg)
{
	struct prefix host;

	for (size_t i = 0; i < m->n_addrs; i++) {
		host = prefix_host(m->addrs[i].family, m->addrs[i].addr);
		fn(&host, arg);
	}
	for (size_t i = 0; i < m->n_routes; i++) {
		if (!m->routes[i].gateway_family)
			continue;
		host = prefix_host(m->routes[i].gateway_family, m->routes[i].gateway);
		fn(&host, arg);
	}
	for (size_t i = 0; i < m->n_neighs; i++) {
		if (m->neighs[i].state & (NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP))
			continue;
		host = prefix_host(m->neighs[i].family, m->neighs[i].addr);
		fn(&host, arg);
	}
}
