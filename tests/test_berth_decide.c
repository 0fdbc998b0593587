/* SPDX-License-Identifier: MIT */
/* What `berth init` decides: machines as values, and what is made of them. */
#include "../tools/berth/decide.h"

#include <check.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { ETH0 = 2, ETH1 = 3, LO = 1, PPP0 = 4 };

static struct {
	struct machine m;
	struct netlink_link links[8];
	struct netlink_addr addrs[16];
	struct netlink_route routes[16];
	struct netlink_neigh neighs[4];
	struct wishes wishes;
	struct place place;
	char why[DECIDE_WHY_MAX];
	struct note notes[DECIDE_NOTES_MAX];
} lab;

static struct prefix range(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return p;
}

static void add_link(int index, const char *name, uint16_t type)
{
	struct netlink_link *link = &lab.links[lab.m.n_links++];

	*link = (struct netlink_link){ .index = index, .type = type };
	strcpy(link->name, name);
}

static void add_addr(int ifindex, const char *text, uint32_t flags)
{
	struct netlink_addr *addr = &lab.addrs[lab.m.n_addrs++];
	char alone[64];
	struct prefix host;

	strcpy(alone, text);
	*strchr(alone, '/') = '\0';
	host = range(alone);
	*addr = (struct netlink_addr){ .ifindex = ifindex,
				       .family = host.family,
				       .prefixlen = (uint8_t)atoi(strchr(text, '/') + 1),
				       .flags = flags };
	memcpy(addr->addr, host.addr, sizeof(host.addr));
}

static struct netlink_route *add_route(int oif, const char *text)
{
	struct netlink_route *route = &lab.routes[lab.m.n_routes++];
	struct prefix dst = range(text);

	*route = (struct netlink_route){ .family = dst.family,
					 .dst_len = dst.cidr,
					 .type = RTN_UNICAST,
					 .oif = oif,
					 .priority = 1024 };
	memcpy(route->dst, dst.addr, sizeof(dst.addr));
	return route;
}

static void add_default(int oif, const char *gateway, uint32_t priority)
{
	struct prefix via = range(gateway);
	struct netlink_route *route = add_route(oif, via.family == AF_INET ? "0.0.0.0/0" : "::/0");

	route->gateway_family = via.family;
	memcpy(route->gateway, via.addr, sizeof(via.addr));
	route->priority = priority;
}

/* lo and eth0, which has what many VPS have. */
static void setup(void)
{
	memset(&lab, 0, sizeof(lab));
	lab.m.links = lab.links;
	lab.m.addrs = lab.addrs;
	lab.m.routes = lab.routes;
	lab.m.neighs = lab.neighs;
	add_link(LO, "lo", ARPHRD_LOOPBACK);
	add_link(ETH0, "eth0", ARPHRD_ETHER);
	add_link(ETH1, "eth1", ARPHRD_ETHER);
	add_link(PPP0, "ppp0", ARPHRD_PPP);
	add_addr(LO, "::1/128", 0);
	add_addr(ETH0, "fe80::1/64", 0);
}

static int decide(void)
{
	return decide_place(&lab.place, &lab.m, &lab.wishes, lab.why);
}

static void expect_place(const char *uplink, const char *prefix, const char *why)
{
	char text[PREFIX_STRLEN];

	ck_assert_msg(!decide(), "%s", lab.why);
	ck_assert_str_eq(lab.place.uplink->name, uplink);
	ck_assert_uint_eq(lab.place.n_prefixes, 1);
	ck_assert_str_eq(prefix_format(&lab.place.prefixes[0], text), prefix);
	ck_assert_str_eq(lab.place.prefix_why[0], why);
}

START_TEST(usual)
{
	add_addr(ETH0, "192.0.2.2/24", 0);
	add_addr(ETH0, "2001:db8:1:2:aaaa::1/64", IFA_F_TEMPORARY);
	add_addr(ETH0, "2001:db8:1:3::1/64", IFA_F_DEPRECATED);
	add_addr(ETH0, "fd00::2/64", 0);
	add_addr(ETH0, "2001:db8:1:1::2/64", 0);
	add_default(ETH0, "192.0.2.1", 0);
	add_default(ETH0, "fe80::ff", 1024);
	expect_place("eth0", "2001:db8:1:1::/64", "eth0 has the address 2001:db8:1:1::2");
	ck_assert(!lab.place.routed);
	ck_assert_str_eq(lab.place.why, "the default route leads there");
}
END_TEST

/* The better metric wins, and IPv6 decides. */
START_TEST(two_uplinks)
{
	add_addr(ETH1, "2001:db8:1::2/64", 0);
	add_default(ETH0, "fe80::1", 1024);
	add_default(ETH1, "fe80::2", 100);
	add_default(ETH0, "192.0.2.1", 0);
	expect_place("eth1", "2001:db8:1::/64", "eth1 has the address 2001:db8:1::2");
	ck_assert_str_eq(lab.place.why, "the default route of IPv6 leads there");
}
END_TEST

START_TEST(wished)
{
	lab.wishes.uplink = "eth1";
	lab.wishes.prefixes[0] = range("2001:db8:9::/80");
	lab.wishes.n_prefixes = 1;
	expect_place("eth1", "2001:db8:9::/80", "as you said");
	lab.wishes.uplink = "eth9";
	ck_assert_int_eq(decide(), -EINVAL);
	ck_assert_str_eq(lab.why, "there is no interface 'eth9'");
}
END_TEST

/* IPv4 is named, IPv6 is found all the same; it need not be there. */
START_TEST(wished_ipv4)
{
	lab.wishes.prefixes[0] = range("198.51.100.0/28");
	lab.wishes.n_prefixes = 1;
	add_default(ETH0, "192.0.2.1", 0);
	expect_place("eth0", "198.51.100.0/28", "as you said");
	add_addr(ETH0, "2001:db8:1::2/64", 0);
	ck_assert_int_eq(decide(), 0);
	ck_assert_uint_eq(lab.place.n_prefixes, 2);
}
END_TEST

START_TEST(routed_on_lo)
{
	add_addr(ETH0, "2001:db8:ffff::7/128", 0);
	add_default(ETH0, "fe80::ff", 1024);
	(void)add_route(LO, "2001:db8:5::/48");
	expect_place("eth0", "2001:db8:5::/48", "it is on lo, not on eth0, so it is routed here");
	ck_assert(lab.place.routed);
	ck_assert(!decide_answers(&lab.place, HEARD_NOTHING, lab.why));
	/* What is seen beats what is thought. */
	ck_assert(decide_answers(&lab.place, HEARD_ASKED, lab.why));
}
END_TEST

START_TEST(routed_thrown_away)
{
	add_default(ETH0, "fe80::ff", 1024);
	add_route(LO, "2001:db8:5::/48")->type = RTN_UNREACHABLE;
	expect_place("eth0", "2001:db8:5::/48", "a route throws it away, so it is routed here");
}
END_TEST

/* A route through another router, or one that is not public, is no prefix of ours. */
START_TEST(not_routed)
{
	struct netlink_route *route;

	add_default(ETH0, "fe80::ff", 1024);
	(void)add_route(ETH1, "fd00:5::/48");
	(void)add_route(ETH0, "2001:db8:6::/64");
	route = add_route(ETH1, "2001:db8:5::/48");
	route->gateway_family = AF_INET6;
	ck_assert_int_eq(decide(), -EINVAL);
	ck_assert_str_eq(lab.why, "eth0 has no public IPv6 address: --prefix says which addresses "
				  "tenants may have");
}
END_TEST

START_TEST(single_address)
{
	add_addr(ETH0, "2001:db8:1::7/128", 0);
	add_default(ETH0, "fe80::ff", 1024);
	ck_assert_int_eq(decide(), -EINVAL);
	ck_assert_str_eq(lab.why, "eth0 has only the single address 2001:db8:1::7/128: the "
				  "provider's panel says which prefix is yours; give it by --prefix");
}
END_TEST

START_TEST(nowhere)
{
	ck_assert_int_eq(decide(), -EINVAL);
	ck_assert_str_eq(lab.why, "no default route leads out of this machine: name the interface "
				  "with --uplink");
}
END_TEST

static const struct {
	int link;
	enum heard heard;
	bool answers;
	const char *why;
} ways[] = {
	/* 0 */ { ETH0, HEARD_ASKED, true, "on-link: the router asked" },
	/* 1 */ { ETH0, HEARD_ROUTED, false, "routed to us" },
	/* 2 */ { ETH0, HEARD_NOTHING, true, "(all was silent)" },
	/* 3 */ { ETH0, HEARD_NOT_TRIED, true, "cannot tell: assumed on-link" },
	/* 4 */ { PPP0, HEARD_NOTHING, false, "ppp0 is no Ethernet" },
};

START_TEST(way)
{
	struct place place = { .uplink = machine_link(&lab.m, ways[_i].link) };

	ck_assert_int_eq(decide_answers(&place, ways[_i].heard, lab.why), ways[_i].answers);
	ck_assert_msg(strstr(lab.why, ways[_i].why) != NULL, "%s", lab.why);
}
END_TEST

/* Nobody's: neither ours, nor the router's, nor a neighbour's. */
START_TEST(stranger)
{
	struct prefix out, again;

	add_addr(ETH0, "2001:db8:1::2/64", 0);
	add_default(ETH0, "fe80::ff", 1024);
	ck_assert_int_eq(decide(), 0);
	ck_assert(decide_stranger(&lab.place, &lab.m, &out));
	ck_assert(prefix_contains(&lab.place.prefixes[0], &out));
	lab.neighs[0] = (struct netlink_neigh){ .ifindex = ETH0, .family = AF_INET6,
						.state = NUD_REACHABLE };
	memcpy(lab.neighs[0].addr, out.addr, 16);
	lab.m.n_neighs = 1;
	ck_assert(decide_stranger(&lab.place, &lab.m, &again));
	ck_assert(!prefix_equal(&out, &again));
	/* One that was asked for and has not answered is nobody. */
	lab.neighs[0].state = NUD_FAILED;
	ck_assert(decide_stranger(&lab.place, &lab.m, &again));
	ck_assert(prefix_equal(&out, &again));
}
END_TEST

static size_t traps(struct settings settings)
{
	ck_assert_int_eq(decide(), 0);
	return decide_traps(&lab.place, &lab.m, &settings, lab.notes);
}

START_TEST(all_well)
{
	add_addr(ETH0, "2001:db8:1::2/64", 0);
	add_default(ETH0, "fe80::ff", 1024);
	ck_assert_uint_eq(traps((struct settings){ .forwarding6 = true, .accept_ra = 2 }), 0);
	/* IPv4 that nobody has need not be forwarded. */
	ck_assert_uint_eq(traps((struct settings){ .forwarding6 = true, .accept_ra = 0 }), 0);
}
END_TEST

START_TEST(all_wrong)
{
	add_addr(ETH0, "2001:db8:1::2/64", 0);
	add_addr(ETH1, "2001:db8:1::8000/113", 0);
	add_default(ETH0, "fe80::ff", 1024);
	lab.routes[0].protocol = RTPROT_RA;
	lab.wishes.prefixes[0] = range("198.51.100.0/28");
	lab.wishes.n_prefixes = 1;
	ck_assert_uint_eq(traps((struct settings){ .accept_ra = 1, .port = 51821,
						   .port_was_taken = true }), 5);
	ck_assert_str_eq(lab.notes[0].command, "sysctl -w net.ipv6.conf.all.forwarding=1");
	ck_assert_str_eq(lab.notes[1].command, "sysctl -w net.ipv4.ip_forward=1");
	ck_assert_str_eq(lab.notes[2].command, "sysctl -w net.ipv6.conf.eth0.accept_ra=2");
	ck_assert_ptr_nonnull(strstr(lab.notes[2].why, "default route is lost"));
	ck_assert_ptr_nonnull(strstr(lab.notes[3].why, "eth1 has an address of the prefix"));
	ck_assert_ptr_nonnull(strstr(lab.notes[4].why, "51821"));
}
END_TEST

static const struct {
	const char *addr;
	bool is_public;
} publics[] = {
	{ "10.1.2.3", false },	   { "100.64.0.1", false },   { "100.128.0.1", true },
	{ "127.0.0.1", false },	   { "169.254.1.1", false },  { "172.15.0.1", true },
	{ "172.31.255.255", false }, { "192.168.7.2", false }, { "192.0.2.2", true },
	{ "224.0.0.1", false },	   { "0.0.0.0", false },      { "223.255.255.255", true },
	{ "2001:db8::1", true },   { "3fff::1", true },	      { "fd00::1", false },
	{ "fe80::1", false },	   { "::1", false },	      { "4000::1", false },
};

START_TEST(public_addresses)
{
	struct prefix p = range(publics[_i].addr);

	ck_assert_int_eq(machine_is_public(p.family, p.addr), publics[_i].is_public);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("berth_decide");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, usual);
	tcase_add_test(t, two_uplinks);
	tcase_add_test(t, wished);
	tcase_add_test(t, wished_ipv4);
	tcase_add_test(t, routed_on_lo);
	tcase_add_test(t, routed_thrown_away);
	tcase_add_test(t, not_routed);
	tcase_add_test(t, single_address);
	tcase_add_test(t, nowhere);
	tcase_add_loop_test(t, way, 0, ARRAY_SIZE(ways));
	tcase_add_test(t, stranger);
	tcase_add_test(t, all_well);
	tcase_add_test(t, all_wrong);
	tcase_add_loop_test(t, public_addresses, 0, ARRAY_SIZE(publics));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
