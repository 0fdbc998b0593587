/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: datagrams of NETLINK_ROUTE through every parser.
 *
 * Length: 1000
 */
#include <libmnl/libmnl.h>

#include "../../tun/netlink_parse.h"
#include "../../tun/nlmon.h"
#include "fuzz.h"

/* Look at all of the text, so that the sanitizer does. */
static void use(const char *text, size_t size)
{
	must(strnlen(text, size) < size);
}

static void on_link(const struct netlink_link *link, bool gone, void *arg)
{
	(void)gone;
	(void)arg;
	use(link->name, sizeof(link->name));
	use(link->kind, sizeof(link->kind));
	must(link->index > 0 && link->master >= 0 && link->hwaddr_len <= sizeof(link->hwaddr));
}

static void check_prefix(uint8_t family, uint8_t len)
{
	must(netlink_addr_len(family) && len <= 8 * netlink_addr_len(family));
}

static void on_addr(const struct netlink_addr *addr, bool gone, void *arg)
{
	(void)gone;
	(void)arg;
	check_prefix(addr->family, addr->prefixlen);
	must(addr->ifindex > 0);
}

static void on_route(const struct netlink_route *route, bool gone, void *arg)
{
	(void)gone;
	(void)arg;
	check_prefix(route->family, route->dst_len);
	if (route->gateway_family)
		check_prefix(route->gateway_family, 0);
	must(route->oif >= 0);
}

static void on_neigh(const struct netlink_neigh *neigh, bool gone, void *arg)
{
	(void)gone;
	(void)arg;
	check_prefix(neigh->family, 0);
	must(neigh->lladdr_len <= sizeof(neigh->lladdr));
}

/* What nlmon does not hear of. */
static void check_others(const struct nlmsghdr *nlh)
{
	struct netlink_rule rule;
	const char *text;
	int error;

	if (!netlink_parse_rule(nlh, &rule))
		check_prefix(rule.family, rule.from_len);
	if (!netlink_parse_verdict(nlh, &error, &text)) {
		use(text, nlh->nlmsg_len);
		must(error <= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct nlmon_callbacks callbacks = {
		.link = on_link, .addr = on_addr, .route = on_route, .neigh = on_neigh
	};
	const struct nlmsghdr *nlh;
	const void *pos;
	struct input in = { data, size };
	void *copy = take_copy(&in, size, &size);

	nlmon_deliver(copy, size, &callbacks, NULL);
	pos = copy;
	while ((nlh = netlink_parse_next(&pos, &size)))
		check_others(nlh);
	free(copy);
	return 0;
}
