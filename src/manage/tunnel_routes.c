/* SPDX-License-Identifier: MIT */
/* Routes into a tunnel, and the rules that lead there. */
#include "tunnel_routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "../base/log.h"
#include "../config/tunnel.h"
#include "routes.h"
#include "../config/tunnel_place.h"

/* That many tables are tried, from the mark on. */
enum { TABLES_TRIED = 1000 };

static const uint8_t families[] = { AF_INET, AF_INET6 };

/* Routes */

struct entry {
	uint32_t table;
	struct prefix prefix;
};

struct plan {
	struct entry *v;
	size_t n;
};

static int compare_entries(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	if (a->prefix.family != b->prefix.family)
		return a->prefix.family < b->prefix.family ? -1 : 1;
	if (a->prefix.cidr != b->prefix.cidr)
		return a->prefix.cidr < b->prefix.cidr ? -1 : 1;
	return memcmp(a->prefix.addr, b->prefix.addr, sizeof(a->prefix.addr));
}

/* Everything that the peers may be sent, in order of tables. own: that of its default routes. */
static int plan_routes(struct plan *plan, const struct config_tenant *conf, uint32_t own)
{
	bool host4 = tunnel_takes_host(conf, AF_INET), host6 = tunnel_takes_host(conf, AF_INET6);
	uint32_t usual = conf->tunnel->table_kind == TUNNEL_TABLE_NUMBER ? conf->tunnel->table
									 : RT_TABLE_MAIN;
	size_t room = 0;

	*plan = (struct plan){ .n = 0 };
	if (conf->tunnel->table_kind == TUNNEL_TABLE_OFF)
		return 0;
	for (size_t i = 0; i < conf->n_peers; i++)
		room += conf->peers[i].allowed_ips.n;
	plan->v = calloc(room + 1, sizeof(*plan->v));
	if (!plan->v)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_peers; i++) {
		for (uint32_t k = 0; k < conf->peers[i].allowed_ips.n; k++) {
			const struct prefix *p = &conf->peers[i].allowed_ips.v[k].prefix;
			bool host = p->family == AF_INET ? host4 : host6;

			plan->v[plan->n].table = host && tunnel_is_default(p) ? own : usual;
			plan->v[plan->n++].prefix = *p;
		}
	}
	qsort(plan->v, plan->n, sizeof(*plan->v), compare_entries);
	return 0;
}

static bool plan_has(const struct plan *plan, const struct entry *e)
{
	return plan->n && bsearch(e, plan->v, plan->n, sizeof(*e), compare_entries);
}

/* Those of plan that are not in without: removed, or added. */
static void carry_out(struct routes *routes, const struct plan *plan, const struct plan *without,
		      void (*wish)(struct routes *routes, const struct prefix *p))
{
	for (size_t i = 0; i < plan->n; i++) {
		if (i && plan->v[i].table != plan->v[i - 1].table)
			routes_flush(routes);
		routes_use_table(routes, plan->v[i].table);
		if (!without || !plan_has(without, &plan->v[i]))
			wish(routes, &plan->v[i].prefix);
	}
	routes_flush(routes);
}

/* Choosing a table */

struct census {
	uint32_t table;
	bool is_looked_up;
	bool slots[TUNNEL_ROUTES_SLOTS]; /* which are taken */
	uint32_t mark, other_mark;       /* of a default route of ours that is not mark; 0: none */
};

static int count_rule(const struct netlink_rule *rule, void *arg)
{
	struct census *c = arg;
	uint32_t k = rule->priority - TUNNEL_ROUTES_SUPPRESS;

	c->is_looked_up |= rule->table == c->table;
	if (k >= TUNNEL_ROUTES_MARK - TUNNEL_ROUTES_SUPPRESS)
		k = rule->priority - TUNNEL_ROUTES_MARK;
	if (k < TUNNEL_ROUTES_SLOTS)
		c->slots[k] = true;
	if (rule->protocol == NETLINK_PROTO_BERTH && rule->invert && rule->fwmark != c->mark)
		c->other_mark = rule->fwmark;
	return 0;
}

static int stop_at_first(const struct netlink_route *route, void *arg)
{
	(void)route;
	(void)arg;
	return 1;
}

/* Has the table a route, of that family and protocol (0: any)? */
static bool has_routes(struct netlink *nl, uint32_t table, uint8_t family, uint8_t protocol)
{
	struct netlink_route_filter filter = { .family = family,
					       .protocol = protocol,
					       .table = table };

	return netlink_route_list(nl, &filter, stop_at_first, NULL) != 0;
}

/* Nobody else uses it, as far as one can see. 253 to 255 are the kernel's, and a mark may be any. */
static bool is_free(struct netlink *nl, struct census *c, uint32_t table)
{
	c->table = table;
	c->is_looked_up = false;
	return (table < RT_TABLE_DEFAULT || table > RT_TABLE_LOCAL) &&
	       !netlink_rule_list(nl, 0, 0, count_rule, c) && !c->is_looked_up &&
	       !has_routes(nl, table, 0, 0);
}

/* The mark's own number, as wg-quick has it, or the next that is free. */
static int choose_table(struct tunnel_routes *routes, struct netlink *nl,
			const struct config_tenant *conf)
{
	struct census c = { .mark = tunnel_mark(conf) };
	uint32_t table = c.mark;

	for (unsigned i = 0; !is_free(nl, &c, table); i++) {
		if (i == TABLES_TRIED)
			return -ENOSPC;
		table = TUNNEL_MARK_AUTO + i;
	}
	for (routes->slot = 0; c.slots[routes->slot]; routes->slot++)
		if (routes->slot == TUNNEL_ROUTES_SLOTS - 1)
			return -ENOSPC;
	routes->table = table;
	if (c.other_mark)
		log_event(LOG_LEVEL_WARNING, conf->name, "routes", "another FwMark",
			  "tunnel %s: another tunnel with a default route on this host has FwMark "
			  "0x%x, this one 0x%x, so that each may carry the other's packets in a "
			  "circle: give both the same FwMark", conf->name, c.other_mark, c.mark);
	return 0;
}

/* Rules */

static void add_host_rules(struct tunnel_routes *plan, const struct config_tenant *conf,
			   uint8_t family)
{
	plan->rules[plan->n_rules++] = (struct netlink_rule){
		.family = family,
		.table = RT_TABLE_MAIN,
		.suppress = true,
		.priority = TUNNEL_ROUTES_SUPPRESS + plan->slot,
	};
	plan->rules[plan->n_rules++] = (struct netlink_rule){
		.family = family,
		.fwmark = tunnel_mark(conf),
		.fwmask = UINT32_MAX,
		.invert = true,
		.table = plan->table,
		.priority = TUNNEL_ROUTES_MARK + plan->slot,
	};
}

static bool has_family(const struct config_tenant *conf, uint8_t family)
{
	for (size_t i = 0; i < conf->n_peers; i++)
		for (uint32_t k = 0; k < conf->peers[i].allowed_ips.n; k++)
			if (conf->peers[i].allowed_ips.v[k].prefix.family == family)
				return true;
	return false;
}

/* Without a route there it would lead nowhere. */
static void add_address_rules(struct tunnel_routes *plan, const struct config_tenant *conf)
{
	const struct config_addresses *addresses = &conf->tunnel->addresses;

	for (uint32_t i = 0; i < addresses->n; i++) {
		const struct config_address *a = &addresses->v[i];
		struct netlink_rule *rule = &plan->rules[plan->n_rules];

		if (!has_family(conf, a->family))
			continue;
		*rule = (struct netlink_rule){ .family = a->family,
					       .from_len = (uint8_t)prefix_bits(a->family),
					       .table = conf->tunnel->table,
					       .priority = TUNNEL_ROUTES_FROM };
		memcpy(rule->from, a->addr, sizeof(rule->from));
		plan->n_rules++;
	}
}

static int plan_rules(struct tunnel_routes *plan, const struct config_tenant *conf)
{
	const struct config_tunnel *tunnel = conf->tunnel;

	plan->n_rules = 0;
	plan->rules = calloc(2 * ARRAY_SIZE(families) + tunnel->addresses.n,
			     sizeof(*plan->rules));
	if (!plan->rules)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (tunnel_takes_host(conf, families[i]))
			add_host_rules(plan, conf, families[i]);
	if (tunnel->table_kind == TUNNEL_TABLE_NUMBER && tunnel->table != RT_TABLE_MAIN)
		add_address_rules(plan, conf);
	return 0;
}

static bool same_rule(const struct netlink_rule *a, const struct netlink_rule *b)
{
	return a->family == b->family && a->from_len == b->from_len &&
	       memcmp(a->from, b->from, sizeof(a->from)) == 0 && a->fwmark == b->fwmark &&
	       a->table == b->table && a->invert == b->invert && a->suppress == b->suppress &&
	       a->priority == b->priority;
}

static bool has_rule(const struct tunnel_routes *routes, const struct netlink_rule *rule)
{
	for (size_t i = 0; i < routes->n_rules; i++)
		if (same_rule(&routes->rules[i], rule))
			return true;
	return false;
}

/* Backwards: the main table is hidden as long as there is something behind it. */
static void remove_rules(const struct tunnel_routes *routes, struct netlink *nl,
			 const struct tunnel_routes *but)
{
	for (size_t i = routes->n_rules; i-- > 0;) {
		int err = but && has_rule(but, &routes->rules[i])
				  ? 0 : netlink_rule_del(nl, &routes->rules[i]);

		if (err && err != -ENOENT)
			log_warning("cannot remove a routing rule (priority %u): %s",
				    routes->rules[i].priority, strerror(-err));
	}
}

/* What is there already stays; and if it is not ours, it does the same. */
static int add_rules(struct tunnel_routes *plan, struct netlink *nl)
{
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < plan->n_rules; i++) {
		int err = netlink_rule_add(nl, &plan->rules[i]);

		if (!err || err == -EEXIST)
			plan->rules[n++] = plan->rules[i];
		else
			ret = ret ? ret : err;
	}
	plan->n_rules = n;
	return ret;
}

/*
 * No rule is there before its routes, and no route goes before its rule; what is new comes
 * before the old goes, so that meanwhile nothing leaves by another way.
 */
static int replace(struct tunnel_routes *routes, struct tunnel_routes *next, struct netlink *nl,
		   struct routes *way, const struct plan *before, const struct plan *after)
{
	int err;

	/* Those that are there stay; some may have gone with an address. */
	carry_out(way, after, NULL, routes_add);
	err = add_rules(next, nl);
	remove_rules(routes, nl, next);
	carry_out(way, before, after, routes_remove);
	free(routes->rules);
	*routes = *next;
	return err;
}

int tunnel_routes_update(struct tunnel_routes *routes, struct netlink *nl, int index,
			 const struct config_tenant *old, const struct config_tenant *new)
{
	bool host = tunnel_takes_host(new, AF_INET) || tunnel_takes_host(new, AF_INET6);
	struct tunnel_routes next = { .table = host ? routes->table : 0, .slot = routes->slot };
	char name[TUNNEL_PLACE_STRLEN], ip[TUNNEL_PLACE_STRLEN];
	struct routes_place place = { .name = tunnel_place_name(new->tunnel, name),
				      .ip = tunnel_place_ip(new->tunnel, ip),
				      .holder = routes->holder,
				      .arg = routes->arg };
	struct plan before = { .n = 0 }, after = { .n = 0 };
	struct routes *way = routes_new(nl, index, new->name);
	int err = way ? 0 : -ENOMEM;

	if (way)
		routes_use_place(way, &place);
	if (!old)
		tunnel_routes_sweep(nl);
	if (!err && host && !next.table)
		err = choose_table(&next, nl, new);
	if (!err && old)
		err = plan_routes(&before, old, routes->table);
	if (!err)
		err = plan_routes(&after, new, next.table);
	if (!err)
		err = plan_rules(&next, new);
	if (!err)
		err = replace(routes, &next, nl, way, &before, &after);
	free(before.v);
	free(after.v);
	routes_free(way);
	return err;
}

struct tally {
	size_t n;
	int err; /* the first one */
};

static void count_told(void *arg, const struct prefix *p, int err)
{
	struct tally *tally = arg;

	(void)p;
	if (!err)
		tally->n++;
	else if (err != -EEXIST && !tally->err)
		tally->err = err;
}

/* Adding is asking: the kernel says of each what it has, and of that makes no event. */
int tunnel_routes_restore(const struct tunnel_routes *routes, struct netlink *nl, int index,
			  const struct config_tenant *conf, size_t *n_routes, size_t *n_rules)
{
	struct tally of_routes = { .n = 0 }, of_rules = { .n = 0 };
	struct routes *way = routes_new(nl, index, conf->name);
	struct plan plan = { .n = 0 };
	int err = way ? plan_routes(&plan, conf, routes->table) : -ENOMEM;

	if (!err) {
		routes_tell(way, count_told, &of_routes);
		carry_out(way, &plan, NULL, routes_add);
		for (size_t i = 0; i < routes->n_rules; i++)
			count_told(&of_rules, NULL, netlink_rule_add(nl, &routes->rules[i]));
		err = of_routes.err ? of_routes.err : of_rules.err;
	}
	free(plan.v);
	routes_free(way);
	*n_routes = of_routes.n;
	*n_rules = of_rules.n;
	return err;
}

void tunnel_routes_forget(struct tunnel_routes *routes)
{
	free(routes->rules);
	*routes = (struct tunnel_routes){ .n_rules = 0 };
}

void tunnel_routes_clear(struct tunnel_routes *routes, struct netlink *nl)
{
	remove_rules(routes, nl, NULL);
	tunnel_routes_forget(routes);
}

/* Left over */

struct search {
	struct netlink_rule *found;
	size_t n;
};

static int gather(const struct netlink_rule *rule, void *arg)
{
	struct search *s = arg;
	struct netlink_rule *grown = reallocarray(s->found, s->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	s->found = grown;
	grown[s->n++] = *rule;
	return 0;
}

static int is_from(const struct netlink_addr *addr, void *arg)
{
	const struct netlink_rule *rule = arg;

	return memcmp(addr->addr, rule->from, sizeof(rule->from)) == 0;
}

/* A table of a tunnel that is up has its routes, and the tunnel its addresses. */
static bool is_used(struct netlink *nl, const struct search *s, const struct netlink_rule *rule)
{
	struct netlink_rule from = *rule;

	if (rule->suppress) {
		for (size_t i = 0; i < s->n; i++)
			if (s->found[i].invert && s->found[i].family == rule->family &&
			    s->found[i].priority - TUNNEL_ROUTES_MARK ==
				    rule->priority - TUNNEL_ROUTES_SUPPRESS)
				return is_used(nl, s, &s->found[i]);
		return false;
	}
	if (!has_routes(nl, rule->table, rule->family, NETLINK_PROTO_BERTH))
		return false;
	return !rule->from_len || netlink_addr_list(nl, rule->family, 0, is_from, &from) != 0;
}

void tunnel_routes_sweep(struct netlink *nl)
{
	struct search s = { .n = 0 };
	struct tunnel_routes old = { .n_rules = 0 };
	int err = netlink_rule_list(nl, 0, NETLINK_PROTO_BERTH, gather, &s);

	if (err)
		log_warning("cannot look for routing rules of an earlier run: %s", strerror(-err));
	old.rules = s.n ? calloc(s.n, sizeof(*old.rules)) : NULL;
	for (size_t i = 0; old.rules && i < s.n; i++)
		if (!is_used(nl, &s, &s.found[i]))
			old.rules[old.n_rules++] = s.found[i];
	if (old.n_rules)
		log_info("%zu routing rules of an earlier run are removed", old.n_rules);
	tunnel_routes_clear(&old, nl);
	free(s.found);
}

void tunnel_routes_sweep_host(void)
{
	struct netlink *nl;
	int err = netlink_open(&nl, -1);

	if (err) {
		log_warning("cannot look for routing rules of an earlier run: %s", strerror(-err));
		return;
	}
	tunnel_routes_sweep(nl);
	netlink_close(nl);
}
