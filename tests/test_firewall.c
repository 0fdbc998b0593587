/* SPDX-License-Identifier: MIT */
/*
 * firewall: real rules, put in place by nft and iptables in a network namespace of the
 * test's own, and packets of which more or less is known.
 */
#include "../src/host/firewall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>

#include "in_netns.h"

static const uint8_t tenant[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0xa1 };

/* To a tenant, from the uplink. */
static const struct firewall_packet in6 = { .family = AF_INET6, .iif = "eth0", .oif = "berth0",
					    .dst = tenant };
static const struct firewall_packet in4 = { .family = AF_INET, .iif = "eth0", .oif = "berth0" };
static const struct firewall_packet to_port = { .family = AF_INET6, .iif = "eth0",
						.protocol = IPPROTO_UDP, .port = 51820 };

#define FORWARD(family, policy, rules)                                                        \
	"table " family " f { chain c { type filter hook forward priority 0; policy " policy  \
	"; " rules "\n}; }"
#define INPUT(rules)                                                                          \
	"table inet f { chain c { type filter hook input priority 0; policy drop; " rules "\n}; }"
#define NAT(rules)                                                                            \
	"table inet f { chain c { type nat hook postrouting priority 100; " rules "\n}; }"

static const struct ask {
	const char *rules;
	unsigned hook;
	const struct firewall_packet *packet;
	enum firewall_fate fate;
} asks[] = {
	/* 0: policies */
	{ "", NF_INET_FORWARD, &in6, FIREWALL_PASSES },
	{ FORWARD("inet", "accept", ""), NF_INET_FORWARD, &in6, FIREWALL_PASSES },
	{ FORWARD("inet", "drop", ""), NF_INET_FORWARD, &in6, FIREWALL_DROPS },
	{ FORWARD("ip6", "drop", ""), NF_INET_FORWARD, &in6, FIREWALL_DROPS },
	{ FORWARD("ip", "drop", ""), NF_INET_FORWARD, &in6, FIREWALL_PASSES },
	{ FORWARD("ip", "drop", ""), NF_INET_FORWARD, &in4, FIREWALL_DROPS },
	{ FORWARD("inet", "drop", ""), NF_INET_LOCAL_IN, &to_port, FIREWALL_PASSES },
	/* 7: interfaces */
	{ FORWARD("inet", "drop", "oifname \"berth0\" accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_PASSES },
	{ FORWARD("inet", "drop", "oifname \"berth*\" counter accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_PASSES },
	{ FORWARD("inet", "drop", "iifname \"berth0\" accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_DROPS },
	{ FORWARD("inet", "drop", "iifname != \"lan0\" accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_PASSES },
	{ FORWARD("inet", "drop", "oifname { \"a\", \"berth0\" } accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_PASSES },
	{ FORWARD("inet", "drop", "oifname != { \"a\", \"berth0\" } accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_DROPS },
	/* 13: addresses */
	{ FORWARD("ip6", "drop", "ip6 daddr 2001:db8::/64 accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_PASSES },
	{ FORWARD("ip6", "drop", "ip6 daddr 2001:db8:1::/64 accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_DROPS },
	{ FORWARD("inet", "drop", "ip daddr 203.0.113.1 accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_DROPS },
	{ FORWARD("inet", "drop", "ip daddr 203.0.113.1 accept"), NF_INET_FORWARD, &in4,
	  FIREWALL_UNSURE },
	{ FORWARD("ip6", "accept", "ip6 saddr 2001:db8:bad::/48 drop"), NF_INET_FORWARD, &in6,
	  FIREWALL_PASSES },
	/* 18: connections, ports, and what is not understood */
	{ FORWARD("inet", "drop", "ct state established,related accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_DROPS },
	{ FORWARD("inet", "drop", "ct state new accept"), NF_INET_FORWARD, &in6, FIREWALL_PASSES },
	{ FORWARD("inet", "drop", "ct state vmap { established : accept, new : accept }"),
	  NF_INET_FORWARD, &in6, FIREWALL_PASSES },
	{ FORWARD("inet", "drop", "tcp dport 80 accept"), NF_INET_FORWARD, &in6, FIREWALL_UNSURE },
	{ FORWARD("inet", "drop", "limit rate 1/second accept"), NF_INET_FORWARD, &in6,
	  FIREWALL_UNSURE },
	{ FORWARD("inet", "accept", "reject"), NF_INET_FORWARD, &in6, FIREWALL_DROPS },
	{ INPUT("udp dport 51820 accept"), NF_INET_LOCAL_IN, &to_port, FIREWALL_PASSES },
	{ INPUT("udp dport 51000-52000 accept"), NF_INET_LOCAL_IN, &to_port, FIREWALL_PASSES },
	{ INPUT("udp dport { 53, 51820 } accept"), NF_INET_LOCAL_IN, &to_port, FIREWALL_PASSES },
	{ INPUT("udp dport 53 accept; tcp dport 51820 accept"), NF_INET_LOCAL_IN, &to_port,
	  FIREWALL_DROPS },
	/* 28: chains */
	{ "table inet f { chain s { oifname \"berth0\" accept; }; chain c { type filter hook forward "
	  "priority 0; policy drop; jump s; }; }", NF_INET_FORWARD, &in6, FIREWALL_PASSES },
	{ "table inet f { chain s { return; accept; }; chain c { type filter hook forward "
	  "priority 0; policy drop; jump s; }; }", NF_INET_FORWARD, &in6, FIREWALL_DROPS },
	{ "table inet f { chain s { counter; }; chain c { type filter hook forward "
	  "priority 0; policy drop; goto s; accept; }; }", NF_INET_FORWARD, &in6, FIREWALL_DROPS },
	{ "table inet f { chain s { accept; }; chain c { type filter hook forward "
	  "priority 0; policy drop; tcp dport 80 jump s; }; }", NF_INET_FORWARD, &in6,
	  FIREWALL_UNSURE },
	/* 32: two base chains, both of which must let it pass */
	{ FORWARD("inet", "accept", "accept") "\ntable ip6 g { chain c { type filter hook forward "
	  "priority 9; policy drop; }; }", NF_INET_FORWARD, &in6, FIREWALL_DROPS },
	/* 33: other source addresses */
	{ NAT("oifname \"berth0\" masquerade"), NF_INET_POST_ROUTING, &in6, FIREWALL_REWRITES },
	{ NAT("oifname \"eth9\" masquerade"), NF_INET_POST_ROUTING, &in6, FIREWALL_PASSES },
	{ NAT("ip6 daddr 2001:db8::/32 accept; masquerade"), NF_INET_POST_ROUTING, &in6,
	  FIREWALL_PASSES },
};

START_TEST(nft)
{
	const struct ask *ask = &asks[_i];
	struct firewall_verdict v;
	struct firewall *fw;

	if (*ask->rules)
		sh("nft '%s'", ask->rules);
	ck_assert_int_eq(firewall_load(&fw), 0);
	firewall_ask(fw, ask->hook, ask->packet, &v);
	ck_assert_msg(v.fate == ask->fate, "%s: %d instead of %d", ask->rules, v.fate, ask->fate);
	if (v.fate != FIREWALL_PASSES) {
		ck_assert_str_eq(v.chain, "c");
		ck_assert_ptr_nonnull(v.table);
	}
	firewall_free(fw);
}
END_TEST

static const struct legacy {
	const char *rules; /* behind the name of the program, with ';' between */
	enum firewall_fate fate;
} legacies[] = {
	/* 0 */ { "-P FORWARD ACCEPT", FIREWALL_PASSES },
	/* 1 */ { "-P FORWARD DROP", FIREWALL_DROPS },
	/* 2 */ { "-P FORWARD DROP; -A FORWARD -o berth0 -j ACCEPT", FIREWALL_PASSES },
	/* 3 */ { "-P FORWARD DROP; -A FORWARD -o berth+ -j ACCEPT", FIREWALL_PASSES },
	/* 4 */ { "-P FORWARD DROP; -A FORWARD ! -o berth0 -j ACCEPT", FIREWALL_DROPS },
	/* 5 */ { "-P FORWARD DROP; -A FORWARD -p tcp -j ACCEPT", FIREWALL_UNSURE },
	/* 6 */ { "-P FORWARD DROP; -A FORWARD -d 198.51.100.1 -j ACCEPT", FIREWALL_UNSURE },
	/* 7 */ { "-P FORWARD DROP; -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
		  FIREWALL_DROPS },
	/* 8 */ { "-P FORWARD DROP; -A FORWARD -m conntrack --ctstate NEW -j ACCEPT",
		  FIREWALL_PASSES },
	/* 9 */ { "-P FORWARD DROP; -N s; -A s -o berth0 -j ACCEPT; -A FORWARD -j s",
		  FIREWALL_PASSES },
	/* 10 */ { "-P FORWARD DROP; -N s; -A s -j RETURN; -A s -j ACCEPT; -A FORWARD -j s",
		   FIREWALL_DROPS },
	/* 11 */ { "-P FORWARD DROP; -N s; -A s -j RETURN; -A FORWARD -g s; -A FORWARD -j ACCEPT",
		   FIREWALL_DROPS },
	/* 12 */ { "-A FORWARD -i eth0 -j REJECT", FIREWALL_DROPS },
	/* 13 */ { "-A FORWARD -i eth1 -j DROP", FIREWALL_PASSES },
};

START_TEST(legacy)
{
	const struct legacy *l = &legacies[_i];
	struct firewall_verdict v;
	char rules[256];
	int err;

	if (system("command -v iptables-legacy >/dev/null && "
		   "iptables-legacy -S >/dev/null 2>&1")) {
		printf("firewall: no iptables-legacy here, its rules are not tried\n");
		return;
	}
	snprintf(rules, sizeof(rules), "%s", l->rules);
	for (char *rule = strtok(rules, ";"); rule; rule = strtok(NULL, ";"))
		sh("iptables-legacy %s", rule);
	err = firewall_ask_legacy(NF_INET_FORWARD, &in4, &v);
	ck_assert_int_eq(err, 0);
	ck_assert_msg(v.fate == l->fate, "%s: %d instead of %d", l->rules, v.fate, l->fate);
	ck_assert_str_eq(v.chain, "FORWARD");
}
END_TEST

/* What asks must not make the table that it asks for. */
START_TEST(legacy_unused)
{
	struct firewall_verdict v;

	ck_assert_int_eq(firewall_ask_legacy(NF_INET_FORWARD, &in6, &v), -ENOENT);
	ck_assert_int_ne(system("grep -q filter /proc/self/net/ip6_tables_names"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("firewall");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	if (!in_netns_possible("firewall"))
		return 77;
	tcase_add_checked_fixture(t, in_netns_setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, nft, 0, ARRAY_SIZE(asks));
	tcase_add_loop_test(t, legacy, 0, ARRAY_SIZE(legacies));
	tcase_add_test(t, legacy_unused);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
