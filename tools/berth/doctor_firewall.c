/* SPDX-License-Identifier: MIT */
/* doctor: what the firewall lets through. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>

#include "../../src/host/firewall.h"
#include "doctor.h"

/* nft takes several commands in one argument. */
static void mend_forward(struct doctor_row *row, const struct firewall_verdict *v, const char *tun)
{
	const char *chain = v->has_docker ? "DOCKER-USER" : v->chain;

	doctor_mend(row, "nft 'insert rule %s %s %s iifname \"%s\" accept; "
		    "insert rule %s %s %s oifname \"%s\" accept'", v->family, v->table, chain, tun,
		    v->family, v->table, chain, tun);
}

static void mend_legacy(struct doctor_row *row, const struct firewall_verdict *v, const char *tun)
{
	const char *tables = !strcmp(v->family, "ip") ? "iptables-legacy" : "ip6tables-legacy";

	doctor_mend(row, "%s -I %s -i %s -j ACCEPT; %s -I %s -o %s -j ACCEPT", tables, v->chain, tun,
		    tables, v->chain, tun);
}

static bool is_in_the_way(enum firewall_fate fate)
{
	return fate == FIREWALL_DROPS || fate == FIREWALL_UNSURE;
}

/* "nftables: chain FORWARD of ip6 filter" */
static struct doctor_row *say_forward(struct doctor *d, const struct firewall_verdict *v,
				      bool legacy, const char *way)
{
	bool sure = v->fate == FIREWALL_DROPS;
	const char *ip = !strcmp(v->family, "ip") ? "IPv4 " : !strcmp(v->family, "ip6") ? "IPv6 " : "";

	if (v->has_docker && v->by_policy && sure)
		return doctor_say(d, FINDING_FAIL, "Docker has set the policy of forwarded %spackets to "
				  "DROP, which are those of tenants, too: %s", ip, way);
	return doctor_say(d, sure ? FINDING_FAIL : FINDING_WARN, "%s: the %s of chain %s of %s %s drops "
			  "what is forwarded %s%s", legacy ? "iptables-legacy" : "nftables",
			  v->by_policy ? "policy" : "rules", v->chain, v->family, v->table, way,
			  sure ? "" : ", but for what other rules let through");
}

/* Packets to tenants, and from them. */
static void ask_both(struct doctor *d, const struct firewall *fw, uint8_t family, int uplink,
		     const char *uplink_name)
{
	const char *tun = d->router->name;
	const struct prefix *p = doctor_example(d, family);
	struct firewall_packet packets[2] = {
		{ .family = family, .iif = uplink_name, .iifindex = uplink, .oif = tun,
		  .oifindex = d->tun, .dst = p ? p->addr : NULL },
		{ .family = family, .iif = tun, .iifindex = d->tun, .oif = uplink_name,
		  .oifindex = uplink, .src = p ? p->addr : NULL },
	};
	static const char *const ways[] = { "to tenants", "from tenants" };
	struct firewall_verdict v;

	for (unsigned i = 0; i < 2; i++) {
		if (fw) {
			firewall_ask(fw, NF_INET_FORWARD, &packets[i], &v);
			if (is_in_the_way(v.fate)) {
				mend_forward(say_forward(d, &v, false, ways[i]), &v, tun);
				return;
			}
		}
		if (!firewall_ask_legacy(NF_INET_FORWARD, &packets[i], &v) && is_in_the_way(v.fate)) {
			mend_legacy(say_forward(d, &v, true, ways[i]), &v, tun);
			return;
		}
	}
	doctor_say(d, FINDING_OK, "%s of tenants passes between %s and %s",
		   family == AF_INET6 ? "IPv6" : "IPv4", uplink_name, tun);
}

/* By which interface the family comes in and goes out: an Uplink, or the default route's. */
static int way_out(struct doctor *d, uint8_t family, char name[IFNAMSIZ])
{
	const struct doctor_outside *out = doctor_outside(d, family);
	int index = out->found ? out->route.oif : d->router->n_uplinks ? d->uplinks[0] : 0;

	return index && !netlink_link_name(d->nl, index, name) ? index : 0;
}

static void check_forward(struct doctor *d, const struct firewall *fw)
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t family = i ? AF_INET : AF_INET6;
		char name[IFNAMSIZ];
		int index;

		if (!(i ? d->wants4 : d->wants6))
			continue;
		index = way_out(d, family, name);
		if (index)
			ask_both(d, fw, family, index, name);
	}
}

/* The datagrams that carry the tunnels */

static void check_port(struct doctor *d, const struct firewall *fw)
{
	struct firewall_verdict v;
	bool said = false;

	for (unsigned i = 0; i < 2; i++) {
		char name[IFNAMSIZ];
		struct firewall_packet packet = { .family = i ? AF_INET : AF_INET6,
						  .iif = name,
						  .protocol = IPPROTO_UDP,
						  .port = d->router->listen_port };
		struct doctor_row *row;

		packet.iifindex = way_out(d, packet.family, name);
		if (!packet.iifindex || !doctor_outside(d, packet.family)->found)
			continue;
		if (fw) {
			firewall_ask(fw, NF_INET_LOCAL_IN, &packet, &v);
			if (is_in_the_way(v.fate)) {
				row = doctor_say(d, v.fate == FIREWALL_DROPS ? FINDING_FAIL : FINDING_WARN,
						 "nftables: the %s of chain %s of %s %s drops what comes to UDP "
						 "port %u: no tunnel comes up", v.by_policy ? "policy" : "rules",
						 v.chain, v.family, v.table, packet.port);
				doctor_mend(row, "nft insert rule %s %s %s udp dport %u accept", v.family,
					    v.table, v.chain, packet.port);
				said = true;
				continue;
			}
		}
		if (!firewall_ask_legacy(NF_INET_LOCAL_IN, &packet, &v) && is_in_the_way(v.fate)) {
			row = doctor_say(d, FINDING_WARN, "iptables-legacy: the chain %s of %s may drop what "
					 "comes to UDP port %u", v.chain, v.family, packet.port);
			doctor_mend(row, "%s -I INPUT -p udp --dport %u -j ACCEPT",
				    i ? "iptables-legacy" : "ip6tables-legacy", packet.port);
			said = true;
		}
	}
	if (!said)
		doctor_say(d, FINDING_OK, "UDP port %u is open", d->router->listen_port);
}

/* Tenants are to be seen under their own addresses. */
static void check_rewriting(struct doctor *d, const struct firewall *fw)
{
	bool said = false;

	for (unsigned i = 0; fw && i < 2; i++) {
		uint8_t family = i ? AF_INET : AF_INET6;
		const struct prefix *p = doctor_example(d, family);
		char name[IFNAMSIZ], text[PREFIX_STRLEN];
		struct firewall_packet packet = { .family = family, .iif = d->router->name,
						  .iifindex = d->tun, .oif = name };
		struct firewall_verdict v;
		struct doctor_row *row;

		packet.oifindex = way_out(d, family, name);
		if (!packet.oifindex || !p)
			continue;
		packet.src = p->addr;
		firewall_ask(fw, NF_INET_POST_ROUTING, &packet, &v);
		if (v.fate != FIREWALL_REWRITES)
			continue;
		for (uint32_t j = 0; j < d->router->prefixes.n; j++)
			if (prefix_contains(&d->router->prefixes.v[j].prefix, p))
				prefix_format(&d->router->prefixes.v[j].prefix, text);
		row = doctor_say(d, FINDING_FAIL, "nftables: chain %s of %s %s gives what tenants send "
				 "another source address", v.chain, v.family, v.table);
		doctor_mend(row, "nft insert rule %s %s %s %s saddr %s accept", v.family, v.table,
			    v.chain, family == AF_INET6 ? "ip6" : "ip", text);
		said = true;
	}
	if (!said)
		doctor_say(d, FINDING_OK, "tenants are seen under their own addresses");
}

/* Reading it takes a look at every rule: once for the three checks. */
static void check_firewall(struct doctor *d)
{
	struct firewall *fw;
	int err;

	if (!d->gateway)
		return;
	err = firewall_load(&fw);
	if (err == -EPERM || err == -EACCES) {
		doctor_say(d, FINDING_WARN, "the firewall cannot be read: run this as root");
		return;
	}
	d->check = "forward";
	check_forward(d, fw);
	d->check = "udp-port";
	check_port(d, fw);
	d->check = "own-address";
	check_rewriting(d, fw);
	firewall_free(fw);
}

const struct doctor_check doctor_firewall[] = {
	{ "firewall", check_firewall },
	{ 0 },
};
