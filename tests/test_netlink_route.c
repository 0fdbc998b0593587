/* SPDX-License-Identifier: MIT */
/* netlink: routes one by one and many at once, look-ups, rules, against the kernel. */
#include "../tun/netlink.h"

#include <errno.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include "netlink_fixture.h"

enum { BATCH = 10000, BATCH_FAULTY = BATCH / 2 };

static struct netlink_route route_to(const char *dst, int oif)
{
	struct netlink_route route = { .oif = oif };

	route.dst_len = prefix(dst, &route.family, route.dst);
	return route;
}

static struct netlink_lookup lookup_of(const char *dst, bool fib_match)
{
	struct netlink_lookup lookup = { .fib_match = fib_match };

	prefix(dst, &lookup.family, lookup.dst);
	return lookup;
}

/* ---- routes ---- */

struct found_route {
	struct netlink_route want;
	int matches;
	int total;
};

static int find_route(const struct netlink_route *route, void *arg)
{
	struct found_route *found = arg;

	found->total++;
	if (route->family == found->want.family && route->dst_len == found->want.dst_len &&
	    !memcmp(route->dst, found->want.dst, 16)) {
		found->want = *route;
		found->matches++;
	}
	return 0;
}

static int count_routes(struct netlink_route_filter filter)
{
	struct found_route found = { 0 };
	int err = netlink_route_list(nl, &filter, find_route, &found);

	return err ? err : found.total;
}

static const struct {
	const char *dst, *gateway;
	uint8_t type;
	uint32_t table, priority;
	bool src;
} routes[] = {
	{ "198.51.100.77/32", NULL, 0, 0, 0, false },
	{ "198.51.100.0/24", "192.0.2.9", 0, 0, 100, true },
	{ "198.51.100.0/24", "fe80::9", 0, 70000, 0, false }, /* IPv4 by way of IPv6 */
	{ "0.0.0.0/0", "192.0.2.9", 0, 51820, 0, false },
	{ "0.0.0.0/0", NULL, 0, 200, 0, false },
	{ "203.0.113.0/24", NULL, RTN_UNREACHABLE, 0, 0, false },
	{ "2001:db8:dead:beef::1234/128", NULL, 0, 0, 0, false },
	{ "2001:db8:1::/48", "2001:db8::9", 0, 0, 7, true },
	{ "::/0", "fe80::9", 0, 51820, 0, false },
	{ "::/0", NULL, 0, 200, 0, false },
	{ "2001:db8:2::/48", NULL, RTN_UNREACHABLE, 0, 0, false },
};

START_TEST(route_life)
{
	struct netlink_route route = route_to(routes[_i].dst, wan);
	struct netlink_route_filter filter = { .protocol = NETLINK_PROTO_BERTH };
	struct found_route found = { .want = route };
	uint8_t family;

	route.type = routes[_i].type;
	route.table = routes[_i].table;
	route.priority = routes[_i].priority;
	if (routes[_i].gateway)
		prefix(routes[_i].gateway, &route.gateway_family, route.gateway);
	route.has_src = routes[_i].src;
	if (route.has_src)
		prefix(route.family == AF_INET ? "192.0.2.1" : "2001:db8::1", &family, route.src);
	if (route.type == RTN_UNREACHABLE)
		route.oif = 0;

	ck_assert_int_eq(count_routes(filter), 0);
	ck_assert_int_eq(netlink_route_del(nl, &route), -ESRCH);
	ck_assert_msg(!netlink_route_add(nl, &route), "%d: %s", _i, netlink_error(nl));
	ck_assert_int_eq(netlink_route_add(nl, &route), -EEXIST);
	ck_assert_int_eq(netlink_route_list(nl, &filter, find_route, &found), 0);
	ck_assert_int_eq(found.total, 1);
	ck_assert_int_eq(found.matches, 1);
	ck_assert_uint_eq(found.want.protocol, NETLINK_PROTO_BERTH);
	ck_assert_uint_eq(found.want.type, route.type ? route.type : RTN_UNICAST);
	ck_assert_uint_eq(found.want.table, route.table ? route.table : RT_TABLE_MAIN);
	ck_assert_uint_eq(found.want.gateway_family, route.gateway_family);
	ck_assert_mem_eq(found.want.gateway, route.gateway, 16);
	ck_assert(found.want.has_src == route.has_src);
	ck_assert_mem_eq(found.want.src, route.src, 16);
	ck_assert(!found.want.multipath);
	if (route.priority)
		ck_assert_uint_eq(found.want.priority, route.priority);
	if (route.oif)
		ck_assert_int_eq(found.want.oif, wan);

	/* Takes its place rather than standing beside it. */
	route.gateway_family = 0;
	route.has_src = false;
	route.oif = route.type == RTN_UNREACHABLE ? 0 : tun;
	ck_assert_int_eq(netlink_route_replace(nl, &route), 0);
	ck_assert_int_eq(count_routes(filter), 1);
	filter.oif = tun;
	ck_assert_int_eq(count_routes(filter), route.oif ? 1 : 0);
	filter.oif = 0;

	ck_assert_int_eq(netlink_route_del(nl, &route), 0);
	ck_assert_int_eq(netlink_route_del(nl, &route), -ESRCH);
	ck_assert_int_eq(count_routes(filter), 0);
	ck_assert_int_eq(netlink_route_replace(nl, &route), 0);
	ck_assert_int_eq(count_routes(filter), 1);
}
END_TEST

START_TEST(route_refusals)
{
	struct netlink_route route = route_to("2001:db8:1::/48", tun);

	/* Somebody else's route to the same place is not ours to delete. */
	sh("ip -6 route add 2001:db8:1::/48 dev tun proto static");
	ck_assert_int_eq(netlink_route_del(nl, &route), -ESRCH);
	route.protocol = RTPROT_STATIC;
	ck_assert_int_eq(netlink_route_del(nl, &route), 0);

	route.oif = 9999;
	ck_assert_int_eq(netlink_route_add(nl, &route), -ENODEV);
	route.oif = -1;
	ck_assert_int_eq(netlink_route_add(nl, &route), -EINVAL);
	route.oif = tun;
	route.dst_len = 129;
	ck_assert_int_eq(netlink_route_add(nl, &route), -EINVAL);
	route.dst_len = 32; /* bits set beyond it: the kernel drops them for IPv6 only */
	route.family = AF_INET;
	route.gateway_family = AF_UNIX;
	ck_assert_int_eq(netlink_route_add(nl, &route), -EINVAL);
	route.family = AF_UNSPEC;
	ck_assert_int_eq(netlink_route_add(nl, &route), -EINVAL);
}
END_TEST

START_TEST(route_lists)
{
	struct netlink_route_filter filter = { .family = AF_INET };
	struct netlink_route route = route_to("198.51.100.1", tun);
	int ipv4, ipv6;

	ipv4 = count_routes((struct netlink_route_filter){ .family = AF_INET });
	ipv6 = count_routes((struct netlink_route_filter){ .family = AF_INET6 });
	ck_assert_int_gt(ipv4, 2);
	ck_assert_int_gt(ipv6, 2);
	ck_assert_int_eq(count_routes((struct netlink_route_filter){ 0 }), ipv4 + ipv6);
	ck_assert_int_eq(netlink_route_add(nl, &route), 0);
	route = route_to("198.51.100.2", wan);
	route.table = 1000;
	ck_assert_int_eq(netlink_route_add(nl, &route), 0);
	sh("ip route add 198.51.100.3 dev tun proto static");
	sh("ip route add 198.51.100.4 nexthop dev wan nexthop via 192.0.2.7 dev wan");

	filter.protocol = NETLINK_PROTO_BERTH;
	ck_assert_int_eq(count_routes(filter), 2);
	filter.table = 1000;
	ck_assert_int_eq(count_routes(filter), 1);
	filter.table = 1001;
	ck_assert_int_eq(count_routes(filter), 0);
	filter.family = 0;
	ck_assert_int_eq(count_routes(filter), 0);
	filter = (struct netlink_route_filter){ .family = AF_INET, .oif = tun };
	ck_assert_int_eq(count_routes(filter), 2);
	filter.protocol = RTPROT_STATIC;
	ck_assert_int_eq(count_routes(filter), 1);
	filter = (struct netlink_route_filter){ .family = AF_INET, .oif = 9999 };
	ck_assert_int_eq(count_routes(filter), -ENODEV);
}
END_TEST

START_TEST(route_multipath)
{
	struct netlink_route_filter filter = { .family = AF_INET, .table = RT_TABLE_MAIN };
	struct found_route found = { .want = route_to("198.51.100.0/24", 0) };
	uint8_t family, gateway[16];

	sh("ip route add 198.51.100.0/24 nexthop via 192.0.2.7 dev wan nexthop dev tun");
	ck_assert_int_eq(netlink_route_list(nl, &filter, find_route, &found), 0);
	ck_assert_int_eq(found.matches, 1);
	ck_assert(found.want.multipath);
	ck_assert_int_eq(found.want.oif, wan);
	prefix("192.0.2.7", &family, gateway);
	ck_assert_uint_eq(found.want.gateway_family, AF_INET);
	ck_assert_mem_eq(found.want.gateway, gateway, 16);
}
END_TEST

/* ---- look-ups ---- */

/* Where does it go, and which entry says so? */
static void check_lookup(const char *dst, int oif, uint8_t dst_len, uint8_t protocol)
{
	struct netlink_lookup lookup = lookup_of(dst, false);
	struct netlink_route route;

	ck_assert_msg(!netlink_route_get(nl, &lookup, &route), "%s: %s", dst, netlink_error(nl));
	ck_assert_int_eq(route.oif, oif);
	ck_assert_uint_eq(route.table, RT_TABLE_MAIN);
	ck_assert_uint_eq(route.dst_len, lookup.family == AF_INET ? 32 : 128);
	if (oif == wan)
		ck_assert(route.has_src);

	lookup.fib_match = true;
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_int_eq(route.oif, oif);
	ck_assert_uint_eq(route.table, RT_TABLE_MAIN);
	ck_assert_uint_eq(route.dst_len, dst_len);
	ck_assert_uint_eq(route.protocol, protocol);
}

START_TEST(on_link_prefix_against_host_route)
{
	static const struct {
		const char *host, *other;
		uint8_t host_len, on_link_len;
	} cases[] = {
		{ "192.0.2.77", "192.0.2.78", 32, 24 },
		{ "2001:db8::1234", "2001:db8::1235", 128, 64 },
	};
	struct netlink_route route = route_to(cases[_i].host, tun);

	check_lookup(cases[_i].host, wan, cases[_i].on_link_len, RTPROT_KERNEL);
	ck_assert_int_eq(netlink_route_add(nl, &route), 0);
	check_lookup(cases[_i].host, tun, cases[_i].host_len, NETLINK_PROTO_BERTH);
	check_lookup(cases[_i].other, wan, cases[_i].on_link_len, RTPROT_KERNEL);
	ck_assert_int_eq(netlink_route_del(nl, &route), 0);
	check_lookup(cases[_i].host, wan, cases[_i].on_link_len, RTPROT_KERNEL);
}
END_TEST

START_TEST(lookup_verdicts)
{
	static const char *const dsts[] = { "198.51.100.1", "2001:db8:1::1" };
	static const struct {
		uint8_t type;
		int error;
	} types[] = { { RTN_UNREACHABLE, -EHOSTUNREACH },
		      { RTN_PROHIBIT, -EACCES },
		      { RTN_BLACKHOLE, -EINVAL } };
	struct netlink_lookup lookup = lookup_of(dsts[_i], false);
	struct netlink_route entry = route_to(dsts[_i], 0), route;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(types); i++) {
		lookup.fib_match = i % 2;
		entry.type = types[i / 2].type;
		ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), -ENETUNREACH);
		ck_assert_int_eq(netlink_route_add(nl, &entry), 0);
		ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), types[i / 2].error);
		ck_assert_int_eq(netlink_route_del(nl, &entry), 0);
	}
	lookup.family = AF_UNSPEC;
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), -EINVAL);
}
END_TEST

START_TEST(lookup_source)
{
	struct netlink_lookup lookup = lookup_of("192.0.2.200", false);
	struct netlink_route route;
	uint8_t family, want[16];

	prefix("192.0.2.1", &family, want);
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert(route.has_src);
	ck_assert_mem_eq(route.src, want, 16);

	lookup = lookup_of("2001:db8::200", false);
	prefix("2001:db8::1", &family, want);
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert(route.has_src);
	ck_assert_mem_eq(route.src, want, 16);
}
END_TEST

START_TEST(lookup_mtu)
{
	struct netlink_lookup lookup = lookup_of("203.0.113.1", false);
	struct netlink_lookup lookup6 = lookup_of("2001:db8:7::1", false);
	struct netlink_route route;

	sh("ip route add 203.0.113.0/24 via 192.0.2.9 mtu 1300");
	sh("ip route add 2001:db8:7::/48 via 2001:db8::9 mtu 1290");
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_uint_eq(route.mtu, 1300);
	ck_assert_int_eq(netlink_route_get(nl, &lookup6, &route), 0);
	ck_assert_uint_eq(route.mtu, 1290);
	lookup = lookup_of("192.0.2.9", false);
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_uint_eq(route.mtu, 0);
}
END_TEST

/* ---- batches ---- */

struct failures {
	int count;
	size_t index[4];
	int error[4];
	bool text;
};

static void failed(size_t index, int error, const char *text, void *arg)
{
	struct failures *failures = arg;

	if (failures->count < 4) {
		failures->index[failures->count] = index;
		failures->error[failures->count] = error;
		failures->text = text[0];
	}
	failures->count++;
}

/* Host route number @i of a batch. */
static struct netlink_route batch_route(uint8_t family, unsigned int i)
{
	struct netlink_route route;

	route = route_to(family == AF_INET ? "10.0.0.0/32" : "fd00::/128", tun);
	if (family == AF_INET)
		store_be32(route.dst, UINT32_C(10) << 24 | i);
	else
		store_be32(route.dst + 12, i);
	return route;
}

START_TEST(batches)
{
	uint8_t family = _i ? AF_INET6 : AF_INET;
	struct netlink_route_filter filter = { .family = family, .protocol = NETLINK_PROTO_BERTH };
	struct failures failures = { 0 };
	struct netlink_route route;
	unsigned int i;

	ck_assert_int_eq(netlink_batch_begin(nl, failed, &failures), 0);
	for (i = 0; i < BATCH; i++) {
		route = batch_route(family, i);
		if (i == BATCH_FAULTY)
			route.oif = 9999;
		else if (i == BATCH_FAULTY + 1)
			route = batch_route(family, i - 2); /* for the second time */
		else if (i == BATCH_FAULTY + 2)
			route.family = AF_UNSPEC; /* does not even get to the kernel */
		ck_assert_int_eq(netlink_batch_route(nl, NETLINK_ADD, &route), 0);
	}
	ck_assert_int_eq(netlink_batch_end(nl), 3);
	ck_assert_int_eq(failures.count, 3);
	/* Ours are known at once, the kernel's with their chunk. */
	ck_assert_uint_eq(failures.index[0], BATCH_FAULTY + 2);
	ck_assert_int_eq(failures.error[0], -EINVAL);
	ck_assert_uint_eq(failures.index[1], BATCH_FAULTY);
	ck_assert_int_eq(failures.error[1], -ENODEV);
	ck_assert_uint_eq(failures.index[2], BATCH_FAULTY + 1);
	ck_assert_int_eq(failures.error[2], -EEXIST);
	ck_assert_int_eq(count_routes(filter), BATCH - 3);

	/* All are there: every single one fails, and every single one is heard of. */
	failures.count = 0;
	ck_assert_int_eq(netlink_batch_begin(nl, failed, &failures), 0);
	for (i = 0; i < BATCH_FAULTY; i++) {
		route = batch_route(family, i);
		netlink_batch_route(nl, NETLINK_ADD, &route);
	}
	ck_assert_int_eq(netlink_batch_end(nl), BATCH_FAULTY);
	ck_assert_int_eq(failures.count, BATCH_FAULTY);
	ck_assert_uint_eq(failures.index[3], 3);

	ck_assert_int_eq(netlink_batch_begin(nl, NULL, NULL), 0);
	for (i = 0; i < BATCH; i++) {
		route = batch_route(family, i);
		netlink_batch_route(nl, i % 2 ? NETLINK_DEL : NETLINK_REPLACE, &route);
	}
	ck_assert_int_eq(netlink_batch_end(nl), 1); /* BATCH_FAULTY + 1 was never there */
	ck_assert_int_eq(count_routes(filter), BATCH / 2);
}
END_TEST

START_TEST(batch_order)
{
	struct netlink_route route = batch_route(AF_INET6, 1);
	struct failures failures = { 0 };
	int i;

	ck_assert_int_eq(netlink_batch_route(nl, NETLINK_ADD, &route), -EINVAL);
	ck_assert_int_eq(netlink_batch_end(nl), -EINVAL);
	ck_assert_int_eq(netlink_batch_begin(nl, failed, &failures), 0);
	ck_assert_int_eq(netlink_batch_end(nl), 0);

	ck_assert_int_eq(netlink_batch_begin(nl, failed, &failures), 0);
	ck_assert_int_eq(netlink_batch_begin(nl, failed, &failures), -EBUSY);
	/* One after the other: what was added is there to be deleted. */
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(netlink_batch_route(nl, NETLINK_ADD, &route), 0);
		ck_assert_int_eq(netlink_batch_route(nl, NETLINK_DEL, &route), 0);
	}
	ck_assert_int_eq(netlink_route_add(nl, &route), -EBUSY);
	ck_assert_int_eq(netlink_link_index(nl, "lo"), -EBUSY);
	ck_assert_int_eq(netlink_batch_end(nl), 0);
	ck_assert_int_eq(failures.count, 0);
	ck_assert_int_eq(netlink_route_add(nl, &route), 0);

	/* Left open: closing the socket frees it (teardown). */
	ck_assert_int_eq(netlink_batch_begin(nl, failed, &failures), 0);
	ck_assert_int_eq(netlink_batch_route(nl, NETLINK_DEL, &route), 0);
}
END_TEST

/* Reports that do not fit are a loss that is noticed, not a success. */
START_TEST(batch_lost_reports)
{
	struct netlink_route route = batch_route(AF_INET, 1);
	char path[64], target[64];
	int i, fd = -1, size = 1, n;

	/* The socket is nl's secret; it is the only netlink socket there is. */
	for (i = 3; i < 64 && fd < 0; i++) {
		socklen_t len = sizeof(n);

		snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		if (readlink(path, target, sizeof(target)) > 0 &&
		    !getsockopt(i, SOL_SOCKET, SO_DOMAIN, &n, &len) && n == AF_NETLINK)
			fd = i;
	}
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(netlink_route_add(nl, &route), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);

	ck_assert_int_eq(netlink_batch_begin(nl, NULL, NULL), 0);
	for (i = 0; i < 1000; i++)
		netlink_batch_route(nl, NETLINK_ADD, &route);
	ck_assert_int_eq(netlink_batch_end(nl), -ENOBUFS);
	/* And afterwards it works again. */
	ck_assert_int_eq(netlink_route_del(nl, &route), 0);
}
END_TEST

/* ---- rules ---- */

struct found_rules {
	struct netlink_rule rule;
	int total;
};

static int find_rule(const struct netlink_rule *rule, void *arg)
{
	struct found_rules *found = arg;

	found->rule = *rule;
	found->total++;
	return 0;
}

static const struct {
	const char *from;
	uint32_t fwmark, fwmask, table, priority;
	bool invert, suppress;
} rules[] = {
	{ "2001:db8:dead:beef::1234", 0, 0, 51820, 0, false, false },
	{ "198.51.100.77", 0, 0, 200, 1000, false, false },
	{ "198.51.100.0/24", 0xca6c, 0xffff, 51820, 0, true, false },
	{ "::/0", 0xca6c, 0, 51820, 0, true, false },
	{ "::/0", 0, 0, 0, 32000, false, true },
	{ "0.0.0.0/0", 0, 0, 0, 0, false, true },
};

START_TEST(rule_life)
{
	struct netlink_rule rule = {
		.fwmark = rules[_i].fwmark,
		.fwmask = rules[_i].fwmask,
		.table = rules[_i].table,
		.priority = rules[_i].priority,
		.invert = rules[_i].invert,
		.suppress = rules[_i].suppress,
	};
	struct found_rules found = { 0 };

	rule.from_len = prefix(rules[_i].from, &rule.family, rule.from);
	ck_assert_int_eq(netlink_rule_del(nl, &rule), -ENOENT);
	ck_assert_msg(!netlink_rule_add(nl, &rule), "%d: %s", _i, netlink_error(nl));
	if (rule.priority)
		ck_assert_int_eq(netlink_rule_add(nl, &rule), -EEXIST);
	ck_assert_int_eq(netlink_rule_list(nl, 0, NETLINK_PROTO_BERTH, find_rule, &found), 0);
	ck_assert_int_eq(found.total, 1);
	ck_assert_uint_eq(found.rule.family, rule.family);
	ck_assert_uint_eq(found.rule.from_len, rule.from_len);
	ck_assert_mem_eq(found.rule.from, rule.from, 16);
	ck_assert_uint_eq(found.rule.fwmark, rule.fwmark);
	if (rule.fwmark && !rule.fwmask)
		ck_assert_uint_eq(found.rule.fwmask, UINT32_MAX);
	else
		ck_assert_uint_eq(found.rule.fwmask, rule.fwmask);
	ck_assert_uint_eq(found.rule.table, rule.table ? rule.table : RT_TABLE_MAIN);
	ck_assert(found.rule.invert == rule.invert);
	ck_assert(found.rule.suppress == rule.suppress);
	ck_assert_uint_eq(found.rule.suppress_prefixlength, 0);

	/* What was listed deletes itself. */
	ck_assert_int_eq(netlink_rule_del(nl, &found.rule), 0);
	found.total = 0;
	ck_assert_int_eq(netlink_rule_list(nl, 0, NETLINK_PROTO_BERTH, find_rule, &found), 0);
	ck_assert_int_eq(found.total, 0);
	ck_assert_int_eq(netlink_rule_list(nl, 0, 0, find_rule, &found), 0);
	ck_assert_int_eq(found.total, 5); /* the kernel's: local, main; IPv4 has default */
	rule.from_len = 200;
	ck_assert_int_eq(netlink_rule_add(nl, &rule), -EINVAL);
}
END_TEST

/* What wg-quick does with a default route: unmarked packets, and no default of others. */
START_TEST(rules_at_work)
{
	struct netlink_rule unmarked = {
		.family = AF_INET, .fwmark = 51820, .table = 51820, .invert = true
	};
	struct netlink_rule suppress = { .family = AF_INET, .suppress = true };
	struct netlink_lookup lookup = lookup_of("203.0.113.1", false);
	struct netlink_lookup near = lookup_of("192.0.2.9", false);
	struct netlink_route all = route_to("0.0.0.0/0", tun), route;

	sh("ip route add default via 192.0.2.254");
	all.table = 51820;
	ck_assert_int_eq(netlink_route_add(nl, &all), 0);
	ck_assert_int_eq(netlink_rule_add(nl, &unmarked), 0);
	ck_assert_int_eq(netlink_rule_add(nl, &suppress), 0);

	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_int_eq(route.oif, tun);
	ck_assert_uint_eq(route.table, 51820);
	ck_assert_int_eq(netlink_route_get(nl, &near, &route), 0);
	ck_assert_int_eq(route.oif, wan);
	lookup.mark = 51820;
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_int_eq(route.oif, wan);

	ck_assert_int_eq(netlink_rule_del(nl, &suppress), 0);
	ck_assert_int_eq(netlink_route_get(nl, &near, &route), 0);
	ck_assert_int_eq(route.oif, tun);
	ck_assert_int_eq(netlink_rule_del(nl, &unmarked), 0);
	lookup.mark = 0;
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_int_eq(route.oif, wan);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("netlink_route");
	TCase *kernel = tcase_create("kernel");
	SRunner *sr;
	int failures;

	if (!in_netns_possible("netlink_route"))
		return EXIT_SUCCESS;

	tcase_set_timeout(kernel, 60);
	tcase_add_checked_fixture(kernel, setup, teardown);
	tcase_add_loop_test(kernel, route_life, 0, ARRAY_SIZE(routes));
	tcase_add_test(kernel, route_refusals);
	tcase_add_test(kernel, route_lists);
	tcase_add_test(kernel, route_multipath);
	tcase_add_loop_test(kernel, on_link_prefix_against_host_route, 0, 2);
	tcase_add_loop_test(kernel, lookup_verdicts, 0, 2);
	tcase_add_test(kernel, lookup_source);
	tcase_add_test(kernel, lookup_mtu);
	tcase_add_loop_test(kernel, batches, 0, 2);
	tcase_add_test(kernel, batch_order);
	tcase_add_test(kernel, batch_lost_reports);
	tcase_add_loop_test(kernel, rule_life, 0, ARRAY_SIZE(rules));
	tcase_add_test(kernel, rules_at_work);
	suite_add_tcase(suite, kernel);

	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
