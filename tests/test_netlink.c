/* SPDX-License-Identifier: MIT */
/* netlink: requests about links and addresses, against the kernel. */
#include "../tun/netlink.h"

#include <errno.h>
#include <sys/socket.h>

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>

#include "../tun/netns.h"
#include "netlink_fixture.h"

static struct netlink_addr addr_on(const char *text, int ifindex)
{
	struct netlink_addr addr = { .ifindex = ifindex };

	addr.prefixlen = prefix(text, &addr.family, addr.addr);
	return addr;
}

START_TEST(link_names)
{
	char name[IFNAMSIZ];

	ck_assert_int_eq(netlink_link_index(nl, "lo"), 1);
	ck_assert_int_eq(netlink_link_index(nl, "nowhere"), -ENODEV);
	ck_assert_int_eq(netlink_link_index(nl, ""), -ENODEV);
	ck_assert_int_eq(netlink_link_index(nl, "sixteen-letters-"), -ENODEV);
	ck_assert_int_eq(netlink_link_name(nl, wan, name), 0);
	ck_assert_str_eq(name, "wan");
	ck_assert_int_eq(netlink_link_name(nl, 9999, name), -ENODEV);
	ck_assert_int_eq(netlink_link_name(nl, 0, name), -ENODEV);
	ck_assert_int_eq(netlink_link_name(nl, -1, name), -ENODEV);
}
END_TEST

START_TEST(link_fields)
{
	struct netlink_link link;

	ck_assert_int_eq(netlink_link_get(nl, 1, &link), 0);
	ck_assert_str_eq(link.name, "lo");
	ck_assert_str_eq(link.kind, "");
	ck_assert_uint_eq(link.type, ARPHRD_LOOPBACK);
	ck_assert(link.flags & IFF_LOOPBACK);
	ck_assert_uint_eq(link.mtu, 65536);

	sh("ip link set wan address 02:00:00:00:be:27 && ip link add bridge0 type bridge");
	sh("ip link set wan master bridge0");
	ck_assert_int_eq(netlink_link_get(nl, wan, &link), 0);
	ck_assert_int_eq(link.index, wan);
	ck_assert_str_eq(link.name, "wan");
	ck_assert_str_eq(link.kind, "veth");
	ck_assert_uint_eq(link.type, ARPHRD_ETHER);
	ck_assert_uint_eq(link.operstate, IF_OPER_UP);
	ck_assert(link.carrier);
	ck_assert(link.flags & IFF_UP);
	ck_assert_uint_eq(link.mtu, 1500);
	ck_assert_uint_eq(link.hwaddr_len, 6);
	ck_assert_mem_eq(link.hwaddr, "\x02\x00\x00\x00\xbe\x27", 6);
	ck_assert_int_eq(link.master, netlink_link_index(nl, "bridge0"));

	sh("ip link set wan-peer down");
	ck_assert_int_eq(netlink_link_get(nl, wan, &link), 0);
	ck_assert(!link.carrier);
	ck_assert(link.flags & IFF_UP);
}
END_TEST

START_TEST(link_changes)
{
	struct netlink_link link;

	ck_assert_int_eq(netlink_link_set_mtu(nl, wan, 1280), 0);
	ck_assert_int_eq(netlink_link_set_down(nl, wan), 0);
	ck_assert_int_eq(netlink_link_set_no_link_local(nl, wan), 0);
	ck_assert_int_eq(netlink_link_rename(nl, wan, "uplink"), 0);
	ck_assert_int_eq(netlink_link_get(nl, wan, &link), 0);
	ck_assert_uint_eq(link.mtu, 1280);
	ck_assert(!(link.flags & IFF_UP));
	ck_assert_str_eq(link.name, "uplink");
	ck_assert_int_eq(netlink_link_set_up(nl, wan), 0);
	ck_assert_int_eq(netlink_link_get(nl, wan, &link), 0);
	ck_assert(link.flags & IFF_UP);
	sh("[ -z \"$(ip -6 addr show dev uplink scope link)\" ]");
	/* The least MTU of IPv6 is 1280. */
	ck_assert_int_eq(netlink_link_set_mtu(nl, wan, 1279), 0);
	ck_assert_int_eq(netlink_link_set_no_link_local(nl, wan), 0);

	ck_assert_int_eq(netlink_link_delete(nl, wan), 0);
	ck_assert_int_eq(netlink_link_get(nl, wan, &link), -ENODEV);
	ck_assert_int_eq(netlink_link_delete(nl, wan), -ENODEV);
}
END_TEST

START_TEST(link_refusals)
{
	ck_assert_int_eq(netlink_link_set_mtu(nl, wan, 10), -EINVAL);
	ck_assert_msg(strstr(netlink_error(nl), "mtu"), "'%s'", netlink_error(nl));
	/* The next success takes the explanation back. */
	ck_assert_int_eq(netlink_link_set_mtu(nl, wan, 1400), 0);
	ck_assert_str_eq(netlink_error(nl), "");

	ck_assert_int_eq(netlink_link_rename(nl, wan, "tun"), -EEXIST);
	ck_assert_int_eq(netlink_link_rename(nl, wan, "a/b"), -EINVAL);
	ck_assert_int_eq(netlink_link_rename(nl, wan, ""), -EINVAL);
	ck_assert_int_eq(netlink_link_rename(nl, wan, "sixteen-letters-"), -EINVAL);
	ck_assert_int_eq(netlink_link_set_up(nl, 0), -ENODEV);
	ck_assert_int_eq(netlink_link_set_down(nl, -1), -ENODEV);
	ck_assert_int_eq(netlink_link_set_up(nl, 9999), -ENODEV);
	ck_assert_int_eq(netlink_link_set_netns(nl, wan, -1, NULL), -EBADF);
}
END_TEST

static int count_link(const struct netlink_link *link, void *arg)
{
	int *count = arg;

	(void)link;
	++*count;
	return 0;
}

static int stop_at_once(const struct netlink_link *link, void *arg)
{
	int *count = arg;

	(void)link;
	++*count;
	return 42;
}

/* All of these would disturb the request that is being answered. */
static int reenter(const struct netlink_link *link, void *arg)
{
	(void)arg;
	ck_assert_int_eq(netlink_link_set_up(nl, link->index), -EBUSY);
	ck_assert_int_eq(netlink_link_index(nl, "lo"), -EBUSY);
	ck_assert_int_eq(netlink_batch_begin(nl, NULL, NULL), -EBUSY);
	return 0;
}

START_TEST(link_lists)
{
	int count = 0;

	ck_assert_int_eq(netlink_link_list(nl, count_link, &count), 0);
	ck_assert_int_eq(count, 5);
	count = 0;
	ck_assert_int_eq(netlink_link_list(nl, stop_at_once, &count), 42);
	ck_assert_int_eq(count, 1);
	ck_assert_int_eq(netlink_link_list(nl, reenter, NULL), 0);
	ck_assert_int_eq(netlink_link_index(nl, "lo"), 1);
}
END_TEST

START_TEST(link_moves)
{
	struct netlink *inside;
	struct netlink_link link;
	int ns, index, peer = netlink_link_index(nl, "tun-peer");

	sh("ip netns add home && ip -n home link add taken type bridge");
	ns = netns_open("home");
	ck_assert_int_ge(ns, 0);
	ck_assert_int_eq(netlink_open(&inside, ns), 0);
	ck_assert_int_eq(netlink_link_index(inside, "wan"), -ENODEV);

	ck_assert_int_eq(netlink_link_set_netns(nl, peer, ns, "taken"), -EEXIST);
	ck_assert_int_gt(netlink_link_index(inside, "taken"), 0);
	/* Here or there, depending on the kernel, but under its old name. */
	ck_assert((netlink_link_index(nl, "tun-peer") > 0) !=
		  (netlink_link_index(inside, "tun-peer") > 0));

	/* Another "tun" out here is no hindrance to one in there, nor the reverse. */
	ck_assert_int_eq(netlink_link_set_netns(nl, wan, ns, "tun"), 0);
	close(ns);
	ck_assert_int_eq(netlink_link_index(nl, "wan"), -ENODEV);
	ck_assert_int_eq(netlink_link_index(nl, "tun"), tun);
	index = netlink_link_index(inside, "tun");
	ck_assert_int_gt(index, 0);
	ck_assert_int_eq(netlink_link_get(inside, index, &link), 0);
	ck_assert_str_eq(link.kind, "veth");
	ck_assert(!(link.flags & IFF_UP));
	ck_assert_int_eq(netlink_link_set_up(inside, index), 0);

	ns = netns_open("home");
	ck_assert_int_eq(netlink_link_set_netns(nl, tun, ns, "wg0"), 0);
	ck_assert_int_gt(netlink_link_index(inside, "wg0"), 0);
	peer = netlink_link_index(nl, "wan-peer");
	ck_assert_int_eq(netlink_link_set_netns(nl, peer, ns, NULL), 0);
	ck_assert_int_gt(netlink_link_index(inside, "wan-peer"), 0);
	close(ns);
	netlink_close(inside);
}
END_TEST

struct found_addr {
	struct netlink_addr want;
	int matches;
	int total;
};

static int find_addr(const struct netlink_addr *addr, void *arg)
{
	struct found_addr *found = arg;

	found->total++;
	if (addr->family == found->want.family && addr->ifindex == found->want.ifindex &&
	    addr->prefixlen == found->want.prefixlen && !memcmp(addr->addr, found->want.addr, 16)) {
		found->want = *addr;
		found->matches++;
	}
	return 0;
}

START_TEST(addresses)
{
	static const char *const texts[] = { "198.51.100.77/32", "2001:db8:dead:beef::1234/128",
					     "10.1.2.3/8", "fd00:1::1/64" };
	struct netlink_addr addr = addr_on(texts[_i], tun);
	struct found_addr found = { .want = addr };

	addr.flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE;
	ck_assert_int_eq(netlink_addr_add(nl, &addr), 0);
	ck_assert_int_eq(netlink_addr_add(nl, &addr), 0);
	ck_assert_int_eq(netlink_addr_list(nl, 0, 0, find_addr, &found), 0);
	ck_assert_int_eq(found.matches, 1);
	ck_assert_int_gt(found.total, 1);
	ck_assert(found.want.flags & IFA_F_NOPREFIXROUTE); /* does not fit into ifa_flags */
	ck_assert(!(found.want.flags & IFA_F_TENTATIVE));

	found = (struct found_addr){ .want = addr };
	ck_assert_int_eq(netlink_addr_list(nl, addr.family, wan, find_addr, &found), 0);
	ck_assert_int_eq(found.matches, 0);
	ck_assert_int_gt(found.total, 0);
	found = (struct found_addr){ .want = addr };
	ck_assert_int_eq(netlink_addr_list(nl, addr.family == AF_INET ? AF_INET6 : AF_INET, tun,
					   find_addr, &found), 0);
	ck_assert_int_eq(found.matches, 0);

	ck_assert_int_eq(netlink_addr_del(nl, &addr), 0);
	ck_assert_int_eq(netlink_addr_del(nl, &addr), -EADDRNOTAVAIL);
	addr.prefixlen = addr.family == AF_INET ? 33 : 129;
	ck_assert_int_eq(netlink_addr_add(nl, &addr), -EINVAL);
	addr.prefixlen = 32;
	addr.family = AF_UNIX;
	ck_assert_int_eq(netlink_addr_add(nl, &addr), -EINVAL);
	addr.family = AF_INET;
	addr.ifindex = 0;
	ck_assert_int_eq(netlink_addr_add(nl, &addr), -ENODEV);
	addr.ifindex = 9999;
	ck_assert_int_eq(netlink_addr_add(nl, &addr), -ENODEV);
}
END_TEST
enum { ADDRESSES = 4 };

/* Valid, and yet not what a packet leaves with of itself. */
START_TEST(address_deprecated)
{
	struct netlink_addr addr = addr_on("2001:db8::2/64", wan);
	struct netlink_lookup lookup = { .family = AF_INET6 };
	struct found_addr found = { .want = addr };
	struct netlink_route route;

	sh("ip addr del 2001:db8::1/64 dev wan && ip addr add fd00::1/64 nodad dev wan");
	sh("ip route add default via fe80::9 dev wan");
	prefix("2001:db8::9", &lookup.family, lookup.dst);
	addr.flags = IFA_F_NODAD;
	ck_assert_int_eq(netlink_addr_add(nl, &addr), 0);
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_mem_eq(route.src, addr.addr, 16);
	addr.deprecated = true;
	ck_assert_int_eq(netlink_addr_add(nl, &addr), 0);
	ck_assert_int_eq(netlink_addr_list(nl, AF_INET6, wan, find_addr, &found), 0);
	ck_assert_int_eq(found.matches, 1);
	ck_assert(found.want.flags & IFA_F_DEPRECATED);
	ck_assert_int_eq(netlink_route_get(nl, &lookup, &route), 0);
	ck_assert_mem_ne(route.src, addr.addr, 16);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("netlink");
	TCase *kernel = tcase_create("kernel");
	SRunner *sr;
	int failures;

	if (!in_netns_possible("netlink"))
		return EXIT_SUCCESS;

	tcase_set_timeout(kernel, 60);
	tcase_add_checked_fixture(kernel, setup, teardown);
	tcase_add_test(kernel, link_names);
	tcase_add_test(kernel, link_fields);
	tcase_add_test(kernel, link_changes);
	tcase_add_test(kernel, link_refusals);
	tcase_add_test(kernel, link_lists);
	tcase_add_test(kernel, link_moves);
	tcase_add_loop_test(kernel, addresses, 0, ADDRESSES);
	tcase_add_test(kernel, address_deprecated);
	suite_add_tcase(suite, kernel);

	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
