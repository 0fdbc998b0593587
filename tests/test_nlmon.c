/* SPDX-License-Identifier: MIT */
/*
 * nlmon: events, against the kernel. An event is queued before the request that
 * causes it returns, so nothing here waits: what is not there will not come.
 * (What the kernel does on its own time, as with duplicate address detection, is
 * kept out of the way by links that stay down.)
 */
#include "../tun/nlmon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "../tun/netns.h"
#include "in_netns.h"

struct seen {
	int links, links_gone, addrs, addrs_gone, routes, routes_gone, neighs, neighs_gone;
	int overruns;
	struct netlink_link link;
	struct netlink_addr addr;
	struct netlink_route route;
	struct netlink_neigh neigh;
};

static void on_link(const struct netlink_link *link, bool gone, void *arg)
{
	struct seen *seen = arg;

	++*(gone ? &seen->links_gone : &seen->links);
	seen->link = *link;
}

static void on_addr(const struct netlink_addr *addr, bool gone, void *arg)
{
	struct seen *seen = arg;

	++*(gone ? &seen->addrs_gone : &seen->addrs);
	seen->addr = *addr;
}

static void on_route(const struct netlink_route *route, bool gone, void *arg)
{
	struct seen *seen = arg;

	++*(gone ? &seen->routes_gone : &seen->routes);
	seen->route = *route;
}

static void on_neigh(const struct netlink_neigh *neigh, bool gone, void *arg)
{
	struct seen *seen = arg;

	++*(gone ? &seen->neighs_gone : &seen->neighs);
	seen->neigh = *neigh;
}

static void on_overrun(void *arg)
{
	struct seen *seen = arg;

	seen->overruns++;
}

static const struct nlmon_callbacks callbacks = {
	.link = on_link,
	.addr = on_addr,
	.route = on_route,
	.neigh = on_neigh,
	.overrun = on_overrun,
};

static struct nlmon *mon;
static struct netlink *nl;

static bool readable(void)
{
	struct pollfd p = { .fd = nlmon_fd(mon), .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* All that has come since. */
static struct seen read_all(void)
{
	struct seen seen = { 0 };

	while (readable())
		ck_assert_int_eq(nlmon_read(mon, &callbacks, &seen), 0);
	return seen;
}

static void open_groups(unsigned int groups)
{
	ck_assert_int_eq(nlmon_open(&mon, -1, groups), 0);
}

static void setup(void)
{
	in_netns_setup();
	ck_assert_int_eq(netlink_open(&nl, -1), 0);
	mon = NULL;
}

static void teardown(void)
{
	nlmon_close(mon);
	netlink_close(nl);
}

static struct netlink_route host_route(uint32_t i)
{
	struct netlink_route route = { .family = AF_INET6, .dst_len = 128, .oif = 1 };

	route.dst[0] = 0xfd;
	store_be32(route.dst + 12, i);
	return route;
}

static void add_routes(struct netlink *through, enum netlink_op op, uint32_t n)
{
	struct netlink_route route;
	uint32_t i;

	ck_assert_int_eq(netlink_batch_begin(through, NULL, NULL), 0);
	for (i = 1; i <= n; i++) {
		route = host_route(i);
		netlink_batch_route(through, op, &route);
	}
	ck_assert_int_eq(netlink_batch_end(through), 0);
}

START_TEST(nothing_to_read)
{
	struct seen seen = { 0 };

	open_groups(NLMON_LINK | NLMON_ADDR | NLMON_ROUTE | NLMON_NEIGH);
	ck_assert(!readable());
	ck_assert_int_eq(nlmon_read(mon, &callbacks, &seen), 0);
	ck_assert_int_eq(fcntl(nlmon_fd(mon), F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(seen.links + seen.addrs + seen.routes + seen.neighs + seen.overruns, 0);
}
END_TEST

START_TEST(links)
{
	struct seen seen;
	int index;

	open_groups(NLMON_LINK);
	sh("ip link add wan type veth peer name wan-peer");
	seen = read_all();
	ck_assert_int_ge(seen.links, 2);
	ck_assert_int_eq(seen.links_gone, 0);
	ck_assert_str_eq(seen.link.kind, "veth");

	index = netlink_link_index(nl, "wan");
	ck_assert_int_eq(netlink_link_set_mtu(nl, index, 1420), 0);
	seen = read_all();
	ck_assert_int_ge(seen.links, 1);
	ck_assert_int_eq(seen.link.index, index);
	ck_assert_uint_eq(seen.link.mtu, 1420);

	ck_assert_int_eq(netlink_link_delete(nl, index), 0);
	seen = read_all();
	ck_assert_int_eq(seen.links_gone, 2);
	ck_assert_str_eq(seen.link.kind, "veth");
}
END_TEST

/* A link that is moved away is gone; the new namespace hears of it. */
START_TEST(links_that_move)
{
	struct seen seen;
	int ns, index;

	sh("ip netns add home && ip link add left type veth peer name right");
	ns = netns_open("home");
	ck_assert_int_ge(ns, 0);
	ck_assert_int_eq(nlmon_open(&mon, ns, NLMON_LINK), 0);
	index = netlink_link_index(nl, "left");
	ck_assert_int_eq(netlink_link_set_netns(nl, index, ns, "wg0"), 0);
	seen = read_all();
	ck_assert_int_ge(seen.links, 1);
	ck_assert_int_eq(seen.links_gone, 0);
	ck_assert_str_eq(seen.link.name, "wg0");
	nlmon_close(mon);

	open_groups(NLMON_LINK);
	index = netlink_link_index(nl, "right");
	ck_assert_int_eq(netlink_link_set_netns(nl, index, ns, NULL), 0);
	seen = read_all();
	ck_assert_int_eq(seen.links_gone, 1);
	ck_assert_int_eq(seen.link.index, index);
	ck_assert_str_eq(seen.link.name, "right");
	close(ns);
}
END_TEST

/* The kernel says RTM_DELLINK, but only the bridge has lost something. */
START_TEST(bridge_port_leaves)
{
	struct seen seen;

	sh("ip link add bridge0 type bridge && ip link add wan type veth peer name wan-peer");
	sh("ip link set wan master bridge0");
	open_groups(NLMON_LINK);
	sh("ip link set wan nomaster");
	seen = read_all();
	ck_assert_int_ge(seen.links, 1);
	ck_assert_int_eq(seen.links_gone, 0);
	ck_assert_int_eq(seen.link.master, 0);
}
END_TEST

START_TEST(addresses)
{
	struct seen seen;

	open_groups(NLMON_ADDR);
	sh("ip addr add 198.51.100.77/32 dev lo && ip addr add 2001:db8::7/128 dev lo");
	seen = read_all();
	ck_assert_int_ge(seen.addrs, 2); /* an IPv6 address may be told of twice */
	ck_assert_int_eq(seen.addr.ifindex, 1);
	ck_assert_uint_eq(seen.addr.family, AF_INET6);
	ck_assert_uint_eq(seen.addr.prefixlen, 128);
	ck_assert_uint_eq(seen.addr.addr[15], 7);
	sh("ip addr del 2001:db8::7/128 dev lo && ip addr del 198.51.100.77/32 dev lo");
	seen = read_all();
	ck_assert_int_eq(seen.addrs_gone, 2);
	ck_assert_uint_eq(seen.addr.family, AF_INET);
	ck_assert_mem_eq(seen.addr.addr, "\xc6\x33\x64\x4d", 4);
	ck_assert_int_eq(seen.links + seen.routes, 0);
}
END_TEST

START_TEST(routes)
{
	struct netlink_route route = host_route(7);
	struct seen seen;

	sh("ip link set lo up");
	open_groups(NLMON_ROUTE);
	ck_assert_int_eq(netlink_route_add(nl, &route), 0);
	seen = read_all();
	ck_assert_int_eq(seen.routes, 1);
	ck_assert_uint_eq(seen.route.protocol, NETLINK_PROTO_BERTH);
	ck_assert_mem_eq(seen.route.dst, route.dst, 16);
	ck_assert_int_eq(netlink_route_del(nl, &route), 0);
	seen = read_all();
	ck_assert_int_eq(seen.routes_gone, 1);
	sh("ip route add 198.51.100.0/24 dev lo");
	seen = read_all();
	ck_assert_int_eq(seen.routes, 1);
	ck_assert_uint_eq(seen.route.family, AF_INET);
	ck_assert_uint_eq(seen.route.dst_len, 24);
}
END_TEST

START_TEST(neighbours)
{
	struct seen seen;

	sh("ip link add wan type veth peer name wan-peer && ip link set wan up");
	open_groups(NLMON_NEIGH);
	sh("ip neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev wan nud permanent");
	seen = read_all();
	ck_assert_int_eq(seen.neighs, 1);
	ck_assert_uint_eq(seen.neigh.state, NUD_PERMANENT);
	ck_assert_uint_eq(seen.neigh.addr[15], 9);
	ck_assert_uint_eq(seen.neigh.lladdr_len, 6);
	ck_assert_mem_eq(seen.neigh.lladdr, "\x02\0\0\0\0\x09", 6);
	sh("ip neigh del 2001:db8::9 dev wan");
	seen = read_all();
	ck_assert_int_ge(seen.neighs_gone, 1);
}
END_TEST

/* Callbacks that are not there, groups that were not asked for. */
START_TEST(not_interested)
{
	static const struct nlmon_callbacks none;

	open_groups(0);
	sh("ip link set lo up && ip addr add 198.51.100.77/32 dev lo");
	ck_assert(!readable());
	nlmon_close(mon);
	open_groups(NLMON_LINK | NLMON_ADDR | NLMON_ROUTE | NLMON_NEIGH);
	sh("ip link set lo down && ip link set lo up && ip addr add 198.51.100.78/32 dev lo");
	ck_assert(readable());
	while (readable())
		ck_assert_int_eq(nlmon_read(mon, &none, NULL), 0);
}
END_TEST

START_TEST(ignores_one_port)
{
	struct netlink *other;
	struct seen seen;

	sh("ip link set lo up");
	ck_assert_int_eq(netlink_open(&other, -1), 0);
	open_groups(NLMON_ROUTE);
	ck_assert_int_eq(nlmon_ignore(mon, 0), 0);
	ck_assert_int_eq(nlmon_ignore(mon, netlink_port(nl)), 0);

	add_routes(nl, NETLINK_ADD, 20000); /* would be an overrun */
	ck_assert(!readable());
	add_routes(other, NETLINK_DEL, 5);
	seen = read_all();
	ck_assert_int_eq(seen.routes_gone, 5);
	ck_assert_int_eq(seen.overruns, 0);

	/* What the kernel does by itself is heard of as well. */
	ck_assert_int_eq(nlmon_ignore(mon, netlink_port(other)), 0);
	add_routes(nl, NETLINK_ADD, 3);
	seen = read_all();
	ck_assert_int_eq(seen.routes, 3);
	ck_assert_int_eq(nlmon_ignore(mon, 0), 0);
	add_routes(other, NETLINK_DEL, 2);
	seen = read_all();
	ck_assert_int_eq(seen.routes_gone, 2);
	netlink_close(other);
}
END_TEST

/* A storm is read in parts, so that the caller gets to its other work. */
START_TEST(bursts)
{
	struct seen seen = { 0 };
	int reads = 0;

	sh("ip link set lo up");
	open_groups(NLMON_ROUTE);
	add_routes(nl, NETLINK_ADD, 600);
	while (readable()) {
		ck_assert_int_eq(nlmon_read(mon, &callbacks, &seen), 0);
		reads++;
	}
	ck_assert_int_eq(seen.routes, 600);
	ck_assert_int_eq(seen.overruns, 0);
	ck_assert_int_gt(reads, 1);
}
END_TEST

static void resync(void *arg)
{
	struct netlink_route route = host_route(1 << 20);
	struct seen *seen = arg;

	seen->overruns++;
	/* What happens from here on is heard of. */
	ck_assert_int_eq(netlink_route_add(nl, &route), 0);
}

START_TEST(overrun)
{
	struct nlmon_callbacks resyncing = callbacks;
	struct seen seen = { 0 };
	int size = 4096;

	resyncing.overrun = resync;
	sh("ip link set lo up");
	open_groups(NLMON_ROUTE);
	ck_assert_int_eq(setsockopt(nlmon_fd(mon), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	add_routes(nl, NETLINK_ADD, 1000);

	ck_assert(readable());
	ck_assert_int_eq(nlmon_read(mon, &resyncing, &seen), 0);
	ck_assert_int_eq(seen.overruns, 1);
	ck_assert_int_eq(seen.routes, 0); /* what was queued is older than the loss */

	seen = read_all();
	ck_assert_int_eq(seen.overruns, 0);
	ck_assert_int_eq(seen.routes, 1);
	ck_assert_uint_eq(load_be32(seen.route.dst + 12), 1 << 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nlmon");
	TCase *kernel = tcase_create("kernel");
	SRunner *sr;
	int failed;

	if (!in_netns_possible("nlmon"))
		return EXIT_SUCCESS;

	tcase_set_timeout(kernel, 60);
	tcase_add_checked_fixture(kernel, setup, teardown);
	tcase_add_test(kernel, nothing_to_read);
	tcase_add_test(kernel, links);
	tcase_add_test(kernel, links_that_move);
	tcase_add_test(kernel, bridge_port_leaves);
	tcase_add_test(kernel, addresses);
	tcase_add_test(kernel, routes);
	tcase_add_test(kernel, neighbours);
	tcase_add_test(kernel, not_interested);
	tcase_add_test(kernel, ignores_one_port);
	tcase_add_test(kernel, bursts);
	tcase_add_test(kernel, overrun);
	suite_add_tcase(suite, kernel);

	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
