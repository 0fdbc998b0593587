/* SPDX-License-Identifier: MIT */
/* What a gateway on this machine should be. */
#include "decide.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "freeaddress.h"

/* Of a prefix that is longer little can be given away. */
enum { PREFIX_LONGEST6 = 124 };

static int printf_like(2, 3) say(char why[DECIDE_WHY_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, DECIDE_WHY_MAX, fmt, args);
	va_end(args);
	return -EINVAL;
}

static struct prefix network_of(uint8_t family, const uint8_t addr[16], uint8_t len)
{
	char text[INET6_ADDRSTRLEN] = "", whole[INET6_ADDRSTRLEN + 4];
	struct prefix p = prefix_host(family, addr);

	/* The parser clears what is behind the length. */
	(void)inet_ntop(family, addr, text, sizeof(text));
	(void)snprintf(whole, sizeof(whole), "%s/%u", text, len);
	return prefix_parse(&p, whole) ? prefix_host(family, addr) : p;
}

/* Where */

static int find_uplink(struct place *out, const struct machine *m, const char *wish,
		       char why[DECIDE_WHY_MAX])
{
	const struct netlink_route *v6 = machine_default(m, AF_INET6);
	const struct netlink_route *v4 = machine_default(m, AF_INET);
	const struct netlink_route *route = v6 ? v6 : v4;

	if (wish) {
		out->uplink = machine_link_named(m, wish);
		(void)say(out->why, "as you said");
		if (!out->uplink)
			return say(why, "there is no interface '%s'", wish);
		return 0;
	}
	out->uplink = route ? machine_link(m, route->oif) : NULL;
	if (!out->uplink)
		return say(why, "no default route leads out of this machine: name the interface "
			   "with --uplink");
	(void)say(out->why, "the default route%s leads there",
		  v6 && v4 && v6->oif != v4->oif ? " of IPv6" : v6 ? "" : " of IPv4");
	return 0;
}

static bool is_lasting(const struct netlink_addr *a)
{
	return !(a->flags & (IFA_F_TEMPORARY | IFA_F_DEPRECATED));
}

static void printf_like(3, 4) add_prefix(struct place *out, const struct prefix *p,
					 const char *fmt, ...)
{
	va_list args;

	for (size_t i = 0; i < out->n_prefixes; i++)
		if (prefix_contains(&out->prefixes[i], p))
			return;
	if (out->n_prefixes == DECIDE_PREFIXES_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(out->prefix_why[out->n_prefixes], DECIDE_WHY_MAX, fmt, args);
	va_end(args);
	out->prefixes[out->n_prefixes++] = *p;
}

static bool has_family(const struct place *place, uint8_t family)
{
	for (size_t i = 0; i < place->n_prefixes; i++)
		if (place->prefixes[i].family == family)
			return true;
	return false;
}

/* A prefix of the uplink itself. */
static void find_on_uplink(struct place *out, const struct machine *m)
{
	char addr[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < m->n_addrs; i++) {
		const struct netlink_addr *a = &m->addrs[i];
		struct prefix p;

		if (a->family != AF_INET6 || a->ifindex != out->uplink->index || !is_lasting(a) ||
		    !machine_is_public(AF_INET6, a->addr) || a->prefixlen > PREFIX_LONGEST6)
			continue;
		p = network_of(AF_INET6, a->addr, a->prefixlen);
		(void)inet_ntop(AF_INET6, a->addr, addr, sizeof(addr));
		add_prefix(out, &p, "%s has the address %s", out->uplink->name, addr);
		return;
	}
}

/* A prefix that is on another link, or is thrown away as a whole, is routed to this machine. */
static void find_routed(struct place *out, const struct machine *m)
{
	for (size_t i = 0; i < m->n_routes; i++) {
		const struct netlink_route *r = &m->routes[i];
		bool thrown = r->type == RTN_UNREACHABLE || r->type == RTN_BLACKHOLE ||
			      r->type == RTN_PROHIBIT;
		const struct netlink_link *link = machine_link(m, r->oif);
		struct prefix p;

		if (r->family != AF_INET6 || r->dst_len < 16 || r->dst_len > PREFIX_LONGEST6 ||
		    !machine_is_public(AF_INET6, r->dst) || r->gateway_family)
			continue;
		if (!thrown && (!link || link == out->uplink))
			continue;
		p = network_of(AF_INET6, r->dst, r->dst_len);
		out->routed = true;
		if (thrown)
			add_prefix(out, &p, "a route throws it away, so it is routed here");
		else
			add_prefix(out, &p, "it is on %s, not on %s, so it is routed here",
				   link->name, out->uplink->name);
		return;
	}
}

static int complain_no_prefix(const struct place *out, const struct machine *m,
			      char why[DECIDE_WHY_MAX])
{
	const struct netlink_addr *one = machine_public_addr(m, out->uplink->index, AF_INET6);
	char addr[INET6_ADDRSTRLEN];

	if (!one)
		return say(why, "%s has no public IPv6 address: --prefix says which addresses "
			   "tenants may have", out->uplink->name);
	(void)inet_ntop(AF_INET6, one->addr, addr, sizeof(addr));
	return say(why, "%s has only the single address %s/%u: the provider's panel says which prefix "
		   "is yours; give it by --prefix", out->uplink->name, addr, one->prefixlen);
}

int decide_place(struct place *out, const struct machine *m, const struct wishes *wishes,
		 char why[DECIDE_WHY_MAX])
{
	int err;

	*out = (struct place){ 0 };
	err = find_uplink(out, m, wishes->uplink, why);
	if (err || !out->uplink)
		return -EINVAL;
	for (size_t i = 0; i < wishes->n_prefixes; i++)
		add_prefix(out, &wishes->prefixes[i], "as you said");
	/* IPv4 has to be named by whoever has rented it; IPv6 comes with the machine. */
	if (!has_family(out, AF_INET6))
		find_on_uplink(out, m);
	if (!has_family(out, AF_INET6))
		find_routed(out, m);
	return out->n_prefixes ? 0 : complain_no_prefix(out, m, why);
}

/* Is it asked for? */

struct taken {
	struct prefix v[256];
	size_t n;
};

static void take(const struct prefix *host, void *arg)
{
	struct taken *taken = arg;

	if (taken->n < ARRAY_SIZE(taken->v))
		taken->v[taken->n++] = *host;
}

bool decide_stranger(const struct place *place, const struct machine *m, struct prefix *out)
{
	struct taken taken = { .n = 0 };

	machine_each_taken(m, take, &taken);
	qsort(taken.v, taken.n, sizeof(taken.v[0]), freeaddress_compare);
	for (size_t i = 0; i < place->n_prefixes; i++)
		if (place->prefixes[i].family == AF_INET6 &&
		    !freeaddress_find(&place->prefixes[i], taken.v, taken.n, "nobody", out))
			return true;
	return false;
}

bool decide_answers(const struct place *place, enum heard heard, char why[DECIDE_WHY_MAX])
{
	if (place->uplink->type != ARPHRD_ETHER) {
		(void)say(why, "%s is no Ethernet, where nobody asks: the prefix is routed to us",
			  place->uplink->name);
		return false;
	}
	if (place->routed && heard != HEARD_ASKED) {
		(void)say(why, "routed to us: the prefix is not the link's, where nobody asks");
		return false;
	}
	switch (heard) {
	case HEARD_ASKED:
		(void)say(why, "on-link: the router asked for an address that nobody has");
		return true;
	case HEARD_ROUTED:
		(void)say(why, "routed to us: a packet to nobody's address came unasked");
		return false;
	default:
		(void)say(why, "cannot tell%s: assumed on-link, which is right for most VPS",
			  heard == HEARD_NOT_TRIED ? "" : " (all was silent)");
		return true;
	}
}

/* What stands in the way */

static void add_note(struct note notes[DECIDE_NOTES_MAX], size_t *n, struct note note)
{
	if (*n < DECIDE_NOTES_MAX)
		notes[(*n)++] = note;
}

static bool covers_other_link(const struct place *place, const struct machine *m,
			      const struct netlink_link **link)
{
	for (size_t i = 0; i < m->n_addrs; i++) {
		struct prefix host = prefix_host(m->addrs[i].family, m->addrs[i].addr);

		if (m->addrs[i].ifindex == place->uplink->index || place->routed)
			continue;
		for (size_t k = 0; k < place->n_prefixes; k++) {
			*link = machine_link(m, m->addrs[i].ifindex);
			if (*link && prefix_contains(&place->prefixes[k], &host))
				return true;
		}
	}
	return false;
}

size_t decide_traps(const struct place *place, const struct machine *m,
		    const struct settings *settings, struct note notes[DECIDE_NOTES_MAX])
{
	const struct netlink_route *route = machine_default(m, AF_INET6);
	const struct netlink_link *other;
	struct note note = { .command = "" };
	size_t n = 0;

	if (has_family(place, AF_INET6) && !settings->forwarding6)
		add_note(notes, &n, (struct note){ "sysctl -w net.ipv6.conf.all.forwarding=1",
						   "the kernel does not forward IPv6 yet" });
	if (has_family(place, AF_INET) && !settings->forwarding4)
		add_note(notes, &n, (struct note){ "sysctl -w net.ipv4.ip_forward=1",
						   "the kernel does not forward IPv4 yet" });
	if (settings->accept_ra == 1 && has_family(place, AF_INET6)) {
		(void)say(note.command, "sysctl -w net.ipv6.conf.%s.accept_ra=2",
			  place->uplink->name);
		(void)say(note.why, route && route->protocol == RTPROT_RA
				  ? "else the default route is lost: a router advertises it, and who "
				    "forwards does not listen"
				  : "with 1, who forwards does not listen to routers' advertisements");
		add_note(notes, &n, note);
	}
	if (covers_other_link(place, m, &other)) {
		note.command[0] = '\0';
		(void)say(note.why, "%s has an address of the prefix, too: if more are behind it, name a part "
			  "of the prefix for tenants with --prefix",
			  other->name);
		add_note(notes, &n, note);
	}
	if (settings->port_was_taken) {
		note.command[0] = '\0';
		(void)say(note.why, "UDP port 51820 is in use by another program, so it is %u",
			  settings->port);
		add_note(notes, &n, note);
	}
	return n;
}
