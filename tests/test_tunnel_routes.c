/* SPDX-License-Identifier: MIT */
/*
 * Routes and rules of tunnels of our own, on a real FIB: src/manage/tunnel_routes.c. "wan"
 * has the machine's own default routes, "tun" and "tun2" are interfaces of tunnels.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include "../src/base/log.h"
#include "../src/manage/link.h"
#include "../src/manage/tunnel_routes.h"
#include "../tun/nlmon.h"
#include "config_values.h"
#include "netlink_fixture.h"

#define FAR4 "203.0.113.1"
#define FAR6 "2001:db8:7::1"
#define NEAR4 "192.0.2.9"

static char said[4096];

static void on_line(enum log_level level, const char *text, void *arg)
{
	size_t len = strlen(said);

	(void)level;
	(void)arg;
	snprintf(said + len, sizeof(said) - len, "%s\n", text);
}

static void routes_setup(void)
{
	static const struct log_hook hook = { .line = on_line };

	setup();
	sh("ip route add default via 192.0.2.254 && ip route add default via 2001:db8::254");
	sh("ip link add tun2 type veth peer name tun2-peer && ip link set tun2 up");
	said[0] = '\0';
	log_set_hook(&hook);
}

static void routes_teardown(void)
{
	log_set_hook(NULL);
	teardown();
}

/* A tunnel on the host whose peer has these ranges. table 0: auto. */
static struct config_tenant *tunnel_with(const char *ifname, const char *ranges, uint32_t table)
{
	struct config_tenant *t = make_tunnel(ifname, NULL, ifname);

	make_peer(t, 1, ranges);
	t->tunnel->table = table;
	t->tunnel->table_kind = table ? TUNNEL_TABLE_NUMBER : TUNNEL_TABLE_AUTO;
	return t;
}

static void add_address(struct config_tenant *t, const char *text)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { "f", 1, "Address", &faults };

	ck_assert_int_eq(value_addresses(&where, text, &t->tunnel->addresses), 0);
}

/* The link that a packet to there leaves by. */
static const char *way(const char *dst, const char *src, uint32_t mark)
{
	static char name[IFNAMSIZ];
	struct netlink_lookup lookup = { .mark = mark, .has_src = src };
	struct netlink_route route;
	int err;

	if (src)
		prefix(src, &lookup.family, lookup.src);
	prefix(dst, &lookup.family, lookup.dst);
	err = netlink_route_get(nl, &lookup, &route);
	if (err)
		return strerror(-err);
	ck_assert_int_eq(netlink_link_name(nl, route.oif, name), 0);
	return name;
}

static int print_rule(const struct netlink_rule *rule, void *arg)
{
	char from[INET6_ADDRSTRLEN];

	fprintf(arg, "%u %d", rule->priority, rule->family == AF_INET ? 4 : 6);
	if (rule->from_len)
		fprintf(arg, " from %s/%u", inet_ntop(rule->family, rule->from, from, sizeof(from)),
			rule->from_len);
	if (rule->fwmark)
		fprintf(arg, "%s mark %u", rule->invert ? " not" : "", rule->fwmark);
	fprintf(arg, " table %u%s\n", rule->table, rule->suppress ? " suppress" : "");
	return 0;
}

/* Ours, in order of families and priorities. */
static void expect_rules(const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_int_eq(netlink_rule_list(nl, 0, NETLINK_PROTO_BERTH, print_rule, out), 0);
	fclose(out);
	ck_assert_str_eq(text, expected);
	free(text);
}

#define RULES(k, T)                                            \
	"3260" #k " 4 table 254 suppress\n"                     \
	"3268" #k " 4 not mark 51820 table " #T "\n"            \
	"3260" #k " 6 table 254 suppress\n"                     \
	"3268" #k " 6 not mark 51820 table " #T "\n"

START_TEST(host_default)
{
	struct config_tenant *t = tunnel_with("tun", "0.0.0.0/0,::/0,10.0.0.0/8", 0);
	struct tunnel_routes routes = { 0 };

	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, NULL, t), 0);
	expect_rules(RULES(0, 51820));
	ck_assert_uint_eq(routes.table, 51820);
	ck_assert_str_eq(way(FAR4, NULL, 0), "tun");
	ck_assert_str_eq(way(FAR6, NULL, 0), "tun");
	ck_assert_str_eq(way("10.1.1.1", NULL, 0), "tun");
	/* What carries it finds out, and so does what has a route of its own. */
	ck_assert_str_eq(way(FAR4, NULL, 51820), "wan");
	ck_assert_str_eq(way(FAR6, NULL, 51820), "wan");
	ck_assert_str_eq(way(NEAR4, NULL, 0), "wan");
	sh("ip route get " FAR4 " mark 7 | grep -q 'dev tun'");

	tunnel_routes_clear(&routes, nl);
	expect_rules("");
	ck_assert_str_eq(way(FAR4, NULL, 0), "wan");
	ck_assert_str_eq(way(FAR6, NULL, 0), "wan");
	ck_assert_str_eq(said, "");
	tenant_free(t);
}
END_TEST

/* Neither loops through the other, whichever was first. */
START_TEST(host_two)
{
	struct config_tenant *a = tunnel_with("tun", "0.0.0.0/0,::/0", 0);
	struct config_tenant *b = tunnel_with("tun2", "0.0.0.0/0,::/0", 0);
	int tun2 = netlink_link_index(nl, "tun2");
	struct tunnel_routes ra = { 0 }, rb = { 0 };

	ck_assert_int_eq(tunnel_routes_update(&ra, nl, tun, NULL, a), 0);
	ck_assert_int_eq(tunnel_routes_update(&rb, nl, tun2, NULL, b), 0);
	ck_assert_uint_eq(rb.table, 51821);
	ck_assert_str_eq(way(FAR4, NULL, 0), "tun");
	ck_assert_str_eq(way(FAR4, NULL, 51820), "wan");
	ck_assert_str_eq(way(NEAR4, NULL, 0), "wan");
	tunnel_routes_clear(&ra, nl);
	expect_rules(RULES(1, 51821));
	ck_assert_str_eq(way(FAR4, NULL, 0), "tun2");
	ck_assert_str_eq(way(FAR6, NULL, 0), "tun2");
	ck_assert_str_eq(way(FAR4, NULL, 51820), "wan");
	ck_assert_str_eq(way(NEAR4, NULL, 0), "wan");
	ck_assert_str_eq(said, "");

	/* With different marks they would: said. */
	a->tunnel->fwmark = 7;
	sh("ip route flush table 51820 && ip -6 route flush table 51820");
	ck_assert_int_eq(tunnel_routes_update(&ra, nl, tun, NULL, a), 0);
	ck_assert_uint_eq(ra.table, 7);
	ck_assert_ptr_nonnull(strstr(said, "FwMark 0xca6c, this one 0x7"));
	tunnel_routes_clear(&ra, nl);
	tunnel_routes_clear(&rb, nl);
	expect_rules("");
	tenant_free(a);
	tenant_free(b);
}
END_TEST

/* Tables and priorities that somebody else uses are his. */
START_TEST(host_taken)
{
	struct config_tenant *t = tunnel_with("tun", "0.0.0.0/1,128.0.0.0/1", 0);
	struct tunnel_routes routes = { 0 };

	sh("ip route add 198.51.100.0/24 dev wan table 51820");
	sh("ip -6 rule add from fd00::7 lookup 51821 pref 32600");
	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, NULL, t), 0);
	expect_rules("32601 4 table 254 suppress\n32681 4 not mark 51820 table 51822\n");
	ck_assert_str_eq(way(FAR4, NULL, 0), "tun");
	ck_assert_str_eq(way("1.1.1.1", NULL, 0), "tun");
	ck_assert_str_eq(way(FAR6, NULL, 0), "wan");
	tunnel_routes_clear(&routes, nl);
	expect_rules("");
	sh("ip route show table 51820 | grep -q 198.51.100.0/24");
	sh("ip -6 rule | grep -q fd00::7");
	tenant_free(t);
}
END_TEST

START_TEST(number)
{
	struct config_tenant *t = tunnel_with("tun", "0.0.0.0/0,::/0", 77);
	struct tunnel_routes routes = { 0 };

	add_address(t, "198.51.100.7/24,2001:db8:1::7/64");
	for (uint32_t i = 0; i < t->tunnel->addresses.n; i++)
		ck_assert_int_eq(link_add_quiet_address(nl, tun, &t->tunnel->addresses.v[i]), 0);
	/* Somebody has one of the rules already, and keeps it. */
	sh("ip rule add from 198.51.100.7 lookup 77 pref 32500 protocol static");
	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, NULL, t), 0);
	expect_rules("32500 4 from 198.51.100.7/32 table 77\n"
		     "32500 6 from 2001:db8:1::7/128 table 77\n");
	ck_assert_str_eq(way(FAR4, "198.51.100.7", 0), "tun");
	ck_assert_str_eq(way(FAR6, "2001:db8:1::7", 0), "tun");
	/* All others go as ever, also to the network that the address names. */
	ck_assert_str_eq(way(FAR4, NULL, 0), "wan");
	ck_assert_str_eq(way(FAR6, NULL, 0), "wan");
	ck_assert_str_eq(way("198.51.100.9", NULL, 0), "wan");
	ck_assert_str_eq(way("2001:db8:1::9", NULL, 0), "wan");
	tunnel_routes_clear(&routes, nl);
	expect_rules("");
	sh("ip rule | grep -q 'from 198.51.100.7 lookup 77'");
	tenant_free(t);
}
END_TEST

/* Table = main: as wg-quick, routes there and no rule. */
START_TEST(number_main)
{
	struct config_tenant *t = tunnel_with("tun", "0.0.0.0/0,10.0.0.0/8", RT_TABLE_MAIN);
	struct tunnel_routes routes = { 0 };

	add_address(t, "198.51.100.7");
	sh("ip route replace default via 192.0.2.254 metric 0");
	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, NULL, t), 0);
	expect_rules("");
	ck_assert_str_eq(way("10.0.0.1", NULL, 0), "tun");
	ck_assert_str_eq(way(FAR4, NULL, 0), "wan");
	ck_assert_ptr_nonnull(strstr(said, "tunnel tun: there is a route to 0.0.0.0/0 via wan "
					   "already (protocol 3), which is not ours: left alone"));
	ck_assert_ptr_nonnull(strstr(said, "'ip -4 route del 0.0.0.0/0 dev wan table 254'"));
	tunnel_routes_clear(&routes, nl);
	tenant_free(t);
}
END_TEST

/* What is said to be typed is typed on the host: it must go to where the route is. */
static const struct {
	enum tunnel_netns kind;
	const char *netns, *range, *command;
} commands[] = {
	{ TUNNEL_NETNS_NAME, "blog", "::/0", "'ip -n blog -6 route del ::/0 dev wan table 254'" },
	{ TUNNEL_NETNS_NAME, "blog", "0.0.0.0/0",
	  "'ip -n blog -4 route del 0.0.0.0/0 dev wan table 254'" },
	{ TUNNEL_NETNS_PATH, "/run/x", "::/0",
	  "'nsenter --net=/run/x ip -6 route del ::/0 dev wan table 254'" },
	{ TUNNEL_NETNS_PID, "7", "::/0",
	  "'nsenter --net=/proc/7/ns/net ip -6 route del ::/0 dev wan table 254'" },
};

START_TEST(foreign_command)
{
	struct config_tenant *t = make_tunnel("shop", commands[_i].netns, "tun");
	struct tunnel_routes routes = { 0 };

	t->tunnel->netns_kind = commands[_i].kind;
	make_peer(t, 1, commands[_i].range);
	sh("ip route replace default dev wan metric 0");
	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, NULL, t), 0);
	ck_assert_msg(strstr(said, commands[_i].command) != NULL, "%s", said);
	tunnel_routes_clear(&routes, nl);
	tenant_free(t);
}
END_TEST

static const char *name_holder(void *arg, int ifindex)
{
	return ifindex == *(int *)arg ? "blog" : NULL;
}

/* Nobody is told to remove what another tunnel needs. */
START_TEST(another_tunnel)
{
	struct config_tenant *a = make_tunnel("blog", "blog", "tun2");
	struct config_tenant *b = make_tunnel("shop", "blog", "tun");
	int tun2 = netlink_link_index(nl, "tun2");
	struct tunnel_routes ra = { 0 }, rb = { 0 };

	make_peer(a, 1, "2001:db8:7::/48");
	make_peer(b, 2, "2001:db8:7::/48,10.0.0.0/8");
	ck_assert_int_eq(tunnel_routes_update(&ra, nl, tun2, NULL, a), 0);
	rb.holder = name_holder;
	rb.arg = &tun2;
	ck_assert_int_eq(tunnel_routes_update(&rb, nl, tun, NULL, b), 0);
	ck_assert_str_eq(said, "tunnel shop: namespace blog has its route to 2001:db8:7::/48 by "
			       "tunnel blog already: left alone, so packets to there do not come "
			       "to this one; only one of them can have it in table 254: see "
			       "AllowedIPs and Table of both\n");
	ck_assert_str_eq(way("10.1.1.1", NULL, 0), "tun");
	ck_assert_str_eq(way(FAR6, NULL, 0), "tun2");
	tunnel_routes_clear(&rb, nl);
	/* Of another process: its interface is all that is known of it. */
	said[0] = '\0';
	ck_assert_int_eq(tunnel_routes_update(&rb, nl, tun, NULL, b), 0);
	ck_assert_msg(strstr(said, "to 2001:db8:7::/48 by tun2 already, another interface of "
				   "berthd: left alone") != NULL, "%s", said);
	ck_assert_ptr_null(strstr(said, "route del"));
	tunnel_routes_clear(&ra, nl);
	tunnel_routes_clear(&rb, nl);
	tenant_free(a);
	tenant_free(b);
}
END_TEST

/* The machine's packets do not take our address, even where it has no other. */
START_TEST(quiet_source)
{
	struct config_address a4 = { AF_INET, 32, { 198, 51, 100, 7 } };
	struct config_address a6 = { AF_INET6, 128, { 0x20, 0x01, 0x0d, 0xb8, 0, 7, [15] = 7 } };
	struct netlink_lookup to4 = { .family = AF_INET, .dst = { 203, 0, 113, 1 } };
	struct netlink_lookup to6 = { .family = AF_INET6 };
	struct netlink_route route;
	uint8_t family;

	prefix(FAR6, &family, to6.dst);
	sh("ip addr flush dev wan && ip addr add fd00::1/128 nodad dev lo");
	sh("ip link set wan down && ip link set wan up");
	sh("ip route add default dev wan && ip -6 route add default dev wan");
	ck_assert_int_eq(link_add_address(nl, tun, &a4), 0);
	ck_assert_int_eq(link_add_address(nl, tun, &a6), 0);
	ck_assert_int_eq(netlink_route_get(nl, &to4, &route), 0);
	ck_assert_mem_eq(route.src, a4.addr, 16);
	ck_assert_int_eq(netlink_route_get(nl, &to6, &route), 0);
	ck_assert_mem_eq(route.src, a6.addr, 16);

	ck_assert_int_eq(link_remove_address(nl, tun, &a4), 0);
	ck_assert_int_eq(link_remove_address(nl, tun, &a6), 0);
	ck_assert_int_eq(link_add_quiet_address(nl, tun, &a4), 0);
	ck_assert_int_eq(link_add_quiet_address(nl, tun, &a6), 0);
	ck_assert_int_eq(netlink_route_get(nl, &to4, &route), 0);
	ck_assert_mem_ne(route.src, a4.addr, 16);
	ck_assert_int_eq(netlink_route_get(nl, &to6, &route), 0);
	ck_assert_mem_ne(route.src, a6.addr, 16);
}
END_TEST

/* From each to each: what is there at the end does not depend on the way. */
START_TEST(updates)
{
	enum { KINDS = 5 };
	struct config_tenant *t[KINDS] = {
		tunnel_with("tun", "0.0.0.0/0,::/0", 0),
		tunnel_with("tun", "0.0.0.0/0,10.0.0.0/8", 77),
		tunnel_with("tun", "10.0.0.0/8", 0),
		tunnel_with("tun", "0.0.0.0/0", 0),
		tunnel_with("tun", "::/0,10.0.0.0/9", 78),
	};
	static const char *const rules[KINDS] = {
		RULES(0, 51820), "32500 4 from 198.51.100.7/32 table 77\n", "", "", "",
	};
	static const char *const ways[KINDS][3] = { /* far4, far6, 10.1.1.1 */
		{ "tun", "tun", "tun" }, { "wan", "wan", "wan" }, { "wan", "wan", "tun" },
		{ "wan", "wan", "wan" }, { "wan", "wan", "wan" },
	};
	int from = _i / KINDS, to = _i % KINDS;
	struct tunnel_routes routes = { 0 };

	add_address(t[1], "198.51.100.7");
	t[3]->tunnel->table_kind = TUNNEL_TABLE_OFF;
	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, NULL, t[from]), 0);
	expect_rules(rules[from]);
	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, t[from], t[to]), 0);
	expect_rules(rules[to]);
	ck_assert_str_eq(way(FAR4, NULL, 0), ways[to][0]);
	ck_assert_str_eq(way(FAR6, NULL, 0), ways[to][1]);
	ck_assert_str_eq(way("10.1.1.1", NULL, 0), ways[to][2]);
	ck_assert_uint_eq(routes.table, to ? 0 : 51820);
	if (to == 3)
		sh("! ip route show table all protocol 146 | grep .");
	tunnel_routes_clear(&routes, nl);
	expect_rules("");
	ck_assert_str_eq(said, "");
	for (int i = 0; i < KINDS; i++)
		tenant_free(t[i]);
}
END_TEST

/* After kill -9: the interface is gone, and its routes with it. */
START_TEST(sweep)
{
	struct config_tenant *a = tunnel_with("tun", "0.0.0.0/0,::/0", 0);
	struct config_tenant *b = tunnel_with("tun2", "0.0.0.0/0", 0);
	struct config_tenant *c = tunnel_with("tun", "0.0.0.0/0", 77);
	int tun2 = netlink_link_index(nl, "tun2");
	struct tunnel_routes ra = { 0 }, rb = { 0 }, rc = { 0 };

	add_address(c, "198.51.100.7");
	sh("ip addr add 198.51.100.7 dev tun");
	sh("ip rule add from 198.51.100.8 lookup 77 pref 32500");
	ck_assert_int_eq(tunnel_routes_update(&ra, nl, tun, NULL, a), 0);
	ck_assert_int_eq(tunnel_routes_update(&rb, nl, tun2, NULL, b), 0);
	ck_assert_int_eq(tunnel_routes_update(&rc, nl, tun, NULL, c), 0);
	/* All of it is in use. */
	tunnel_routes_sweep(nl);
	ck_assert_str_eq(said, "");
	sh("ip link del tun");
	tunnel_routes_sweep_host();
	expect_rules("32601 4 table 254 suppress\n32681 4 not mark 51820 table 51821\n");
	ck_assert_str_eq(said, "5 routing rules of an earlier run are removed\n");
	ck_assert_str_eq(way(FAR4, NULL, 0), "tun2");
	sh("ip rule | grep -q 198.51.100.8");
	tunnel_routes_forget(&ra);
	tunnel_routes_clear(&rb, nl);
	tunnel_routes_forget(&rc);
	tenant_free(a);
	tenant_free(b);
	tenant_free(c);
}
END_TEST

static void expect_restored(const struct tunnel_routes *routes, const struct config_tenant *t,
			    size_t n_routes, size_t n_rules)
{
	size_t got_routes, got_rules;

	ck_assert_int_eq(tunnel_routes_restore(routes, nl, tun, t, &got_routes, &got_rules), 0);
	ck_assert_uint_eq(got_routes, n_routes);
	ck_assert_uint_eq(got_rules, n_rules);
}

START_TEST(restored)
{
	struct config_tenant *t = tunnel_with("tun", "0.0.0.0/0,::/0,10.0.0.0/8", 0);
	struct pollfd fd = { .events = POLLIN };
	struct tunnel_routes routes = { 0 };
	struct nlmon *mon;

	ck_assert_int_eq(tunnel_routes_update(&routes, nl, tun, NULL, t), 0);
	expect_restored(&routes, t, 0, 0);
	sh("ip link set tun down && ip link set tun up");
	ck_assert_str_eq(way(FAR4, NULL, 0), "wan");
	expect_restored(&routes, t, 3, 0);
	sh("ip rule del pref 32680 && ip -6 rule del pref 32600 && ip route del 10.0.0.0/8");
	expect_restored(&routes, t, 1, 2);
	/* Without an event: whoever looks at every one would look for ever. */
	ck_assert_int_eq(nlmon_open(&mon, -1, NLMON_ROUTE | NLMON_RULE), 0);
	expect_restored(&routes, t, 0, 0);
	fd.fd = nlmon_fd(mon);
	ck_assert_int_eq(poll(&fd, 1, 100), 0);
	nlmon_close(mon);
	expect_rules(RULES(0, 51820));
	ck_assert_str_eq(way(FAR4, NULL, 0), "tun");
	ck_assert_str_eq(way(FAR6, NULL, 0), "tun");
	ck_assert_str_eq(way("10.1.1.1", NULL, 0), "tun");
	/* Somebody's own stays, and is not complained of at every look. */
	sh("ip route replace 10.0.0.0/8 dev wan");
	expect_restored(&routes, t, 0, 0);
	ck_assert_str_eq(way("10.1.1.1", NULL, 0), "wan");
	ck_assert_str_eq(said, "");
	tunnel_routes_clear(&routes, nl);
	tenant_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tunnel_routes");
	TCase *kernel = tcase_create("kernel");
	SRunner *sr;
	int failures;

	if (!in_netns_possible("tunnel_routes"))
		return EXIT_SUCCESS;
	tcase_set_timeout(kernel, 60);
	tcase_add_checked_fixture(kernel, routes_setup, routes_teardown);
	tcase_add_test(kernel, host_default);
	tcase_add_test(kernel, host_two);
	tcase_add_test(kernel, host_taken);
	tcase_add_test(kernel, number);
	tcase_add_test(kernel, number_main);
	tcase_add_loop_test(kernel, foreign_command, 0, ARRAY_SIZE(commands));
	tcase_add_test(kernel, another_tunnel);
	tcase_add_test(kernel, quiet_source);
	tcase_add_loop_test(kernel, updates, 0, 25);
	tcase_add_test(kernel, sweep);
	tcase_add_test(kernel, restored);
	suite_add_tcase(suite, kernel);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
