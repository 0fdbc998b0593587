/* SPDX-License-Identifier: MIT */
/* Requests about routes, and look-ups in the FIB. */
#include <errno.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

static void put_table(struct nlmsghdr *nlh, struct rtmsg *rtm, uint32_t table)
{
	/* The header has eight bits for it; the attribute wins. */
	rtm->rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
	mnl_attr_put_u32(nlh, RTA_TABLE, table);
}

static int put_gateway(struct nlmsghdr *nlh, const struct netlink_route *route)
{
	size_t len = netlink_addr_len(route->gateway_family);
	struct {
		uint16_t family;
		uint8_t addr[16];
	} via = { .family = route->gateway_family };

	if (!route->gateway_family)
		return 0;
	if (!len)
		return -EINVAL;
	if (route->gateway_family == route->family) {
		mnl_attr_put(nlh, RTA_GATEWAY, len, route->gateway);
		return 0;
	}
	memcpy(via.addr, route->gateway, len);
	mnl_attr_put(nlh, RTA_VIA, offsetof(__typeof__(via), addr) + len, &via);
	return 0;
}

static uint8_t scope_of(enum netlink_op op, const struct netlink_route *route)
{
	if (op == NETLINK_DEL)
		return RT_SCOPE_NOWHERE; /* the kernel's "any" */
	if (route->family == AF_INET && !route->scope && !route->gateway_family && route->oif)
		return RT_SCOPE_LINK;
	return route->scope;
}

uint16_t netlink_route_flags(enum netlink_op op)
{
	switch (op) {
	case NETLINK_ADD:
		return NLM_F_CREATE | NLM_F_EXCL;
	case NETLINK_REPLACE:
		return NLM_F_CREATE | NLM_F_REPLACE;
	case NETLINK_DEL:
		break;
	}
	return 0;
}

int netlink_route_put(struct nlmsghdr *nlh, enum netlink_op op, const struct netlink_route *route)
{
	size_t len = netlink_addr_len(route->family);
	struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	if (!len || route->dst_len > 8 * len || route->oif < 0)
		return -EINVAL;

	rtm->rtm_family = route->family;
	rtm->rtm_dst_len = route->dst_len;
	rtm->rtm_type = route->type ? route->type : RTN_UNICAST;
	rtm->rtm_protocol = route->protocol ? route->protocol : NETLINK_PROTO_BERTH;
	rtm->rtm_scope = scope_of(op, route);
	rtm->rtm_flags = route->flags & RTNH_F_ONLINK; /* the others tell, they do not ask */
	put_table(nlh, rtm, route->table ? route->table : RT_TABLE_MAIN);
	if (route->dst_len)
		mnl_attr_put(nlh, RTA_DST, len, route->dst);
	if (route->oif)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)route->oif);
	if (route->has_src)
		mnl_attr_put(nlh, RTA_PREFSRC, len, route->src);
	if (route->priority)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, route->priority);
	return put_gateway(nlh, route);
}

static int change(struct netlink *nl, enum netlink_op op, const struct netlink_route *route)
{
	struct nlmsghdr *nlh;
	int err;

	nlh = netlink_message(nl, op == NETLINK_DEL ? RTM_DELROUTE : RTM_NEWROUTE,
			      netlink_route_flags(op), sizeof(struct rtmsg));
	err = netlink_route_put(nlh, op, route);
	return err ? err : netlink_request(nl, nlh, NULL, NULL);
}

int netlink_route_add(struct netlink *nl, const struct netlink_route *route)
{
	return change(nl, NETLINK_ADD, route);
}

int netlink_route_replace(struct netlink *nl, const struct netlink_route *route)
{
	return change(nl, NETLINK_REPLACE, route);
}

int netlink_route_del(struct netlink *nl, const struct netlink_route *route)
{
	return change(nl, NETLINK_DEL, route);
}

struct list {
	struct netlink_route_filter filter;
	netlink_route_fn *fn;
	void *arg;
};

/* Once more what the kernel may have done: older ones do not, nor those without IPv6. */
static bool filter_matches(const struct netlink_route_filter *filter,
			   const struct netlink_route *route)
{
	/* Cached results of look-ups are not routes. */
	return !(route->flags & RTM_F_CLONED) && route->family == filter->family &&
	       (!filter->protocol || route->protocol == filter->protocol) &&
	       (!filter->table || route->table == filter->table) &&
	       (!filter->oif || route->multipath || route->oif == filter->oif);
}

static int list_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct list *list = arg;
	struct netlink_route route;
	int err;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return 0;
	err = netlink_parse_route(nlh, &route);
	if (err)
		return err == -EAFNOSUPPORT ? 0 : err;
	return filter_matches(&list->filter, &route) ? list->fn(&route, list->arg) : 0;
}

static int list_family(struct netlink *nl, struct list *list)
{
	struct rtmsg *rtm;
	struct nlmsghdr *nlh;
	int err;

	nlh = netlink_message(nl, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm));
	rtm = mnl_nlmsg_get_payload(nlh);
	rtm->rtm_family = list->filter.family;
	rtm->rtm_protocol = list->filter.protocol;
	if (list->filter.table)
		put_table(nlh, rtm, list->filter.table);
	if (list->filter.oif)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)list->filter.oif);
	err = netlink_request(nl, nlh, list_message, list);
	/* A table comes into being with its first route. */
	return err == -ENOENT && list->filter.table ? 0 : err;
}

int netlink_route_list(struct netlink *nl, const struct netlink_route_filter *filter,
		       netlink_route_fn *fn, void *arg)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct list list = { .filter = *filter, .fn = fn, .arg = arg };
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		if (filter->family && filter->family != families[i])
			continue;
		list.filter.family = families[i];
		err = list_family(nl, &list);
		if (err)
			return err;
	}
	return 0;
}

static int get_message(const struct nlmsghdr *nlh, void *arg)
{
	struct netlink_route *route = arg;

	return nlh->nlmsg_type == RTM_NEWROUTE ? netlink_parse_route(nlh, route) : 0;
}

int netlink_route_get(struct netlink *nl, const struct netlink_lookup *lookup,
		      struct netlink_route *route)
{
	size_t len = netlink_addr_len(lookup->family);
	struct rtmsg *rtm;
	struct nlmsghdr *nlh;
	int err;

	if (!len)
		return -EINVAL;
	nlh = netlink_message(nl, RTM_GETROUTE, 0, sizeof(*rtm));
	rtm = mnl_nlmsg_get_payload(nlh);
	rtm->rtm_family = lookup->family;
	rtm->rtm_dst_len = (uint8_t)(8 * len);
	mnl_attr_put(nlh, RTA_DST, len, lookup->dst);
	if (lookup->fib_match)
		rtm->rtm_flags |= RTM_F_FIB_MATCH;
	/* IPv6 tells the table unasked, and refuses the flag. */
	if (lookup->family == AF_INET)
		rtm->rtm_flags |= RTM_F_LOOKUP_TABLE;
	if (lookup->has_src) {
		rtm->rtm_src_len = (uint8_t)(8 * len);
		mnl_attr_put(nlh, RTA_SRC, len, lookup->src);
	}
	if (lookup->iif > 0)
		mnl_attr_put_u32(nlh, RTA_IIF, (uint32_t)lookup->iif);
	if (lookup->oif > 0)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)lookup->oif);
	if (lookup->mark)
		mnl_attr_put_u32(nlh, RTA_MARK, lookup->mark);

	route->family = AF_UNSPEC;
	err = netlink_request(nl, nlh, get_message, route);
	if (err)
		return err;
	if (route->family != lookup->family)
		return -EBADMSG;
	/* IPv4 answers this with an error of its own. */
	return route->type == RTN_UNREACHABLE ? -EHOSTUNREACH : 0;
}
