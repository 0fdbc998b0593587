/* SPDX-License-Identifier: MIT */
/* What a gateway does not let through. */
#include "border.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>

/* The machine's own addresses, sorted. Immutable once published. */
struct own_addresses {
	struct rcu_head rcu;
	size_t n;
	struct prefix v[];
};

enum {
	/* RFC 4861, 3122, 3971, 4286, 2710, 3810: what is said to a link, and only there. */
	ICMP6_LISTENER_FIRST = 130,
	ICMP6_ND_LAST = 137,
	ICMP6_INVERSE_FIRST = 141,
	ICMP6_LISTENER2 = 143,
	ICMP6_SEND_FIRST = 148,
	ICMP6_SEND_LAST = 149,
	ICMP6_MRD_FIRST = 151,
	ICMP6_MRD_LAST = 153,
	ICMP4_ROUTER_ADVERT = 9, /* RFC 1256 */
	ICMP4_ROUTER_SOLICIT = 10,
	MULTICAST_SCOPE_LINK = 2, /* RFC 4291 §2.7 */
	EXTENSION_UNIT = 8,
	FRAGMENT_OFFSET = 0xfff8,
	AH_UNIT = 4
};

/* Sources that nobody has, whatever the prefix around them: RFC 1122 §3.2.1.3, RFC 4291 §2. */
static const struct prefix nobodys[] = {
	{ .family = AF_INET, .cidr = 8, .addr = { 0 } },
	{ .family = AF_INET, .cidr = 8, .addr = { 127 } },
	{ .family = AF_INET, .cidr = 16, .addr = { 169, 254 } },
	{ .family = AF_INET, .cidr = 3, .addr = { 224 } },
	{ .family = AF_INET6, .cidr = 80, .addr = { 0 } }, /* ::, ::1, v4-mapped, v4-compatible */
	{ .family = AF_INET6, .cidr = 10, .addr = { 0xfe, 0x80 } },
	{ .family = AF_INET6, .cidr = 8, .addr = { 0xff } },
};

/* Isolation */

bool border_keeps_apart(const struct peer *from, const struct peer *to)
{
	return from && to && from != to && (border_is_isolated(from) || border_is_isolated(to));
}

/* What is meant for a link, and source routes */

/* Beginning with ::/80 are loopback, the unspecified address, and IPv4 in two disguises. */
static bool is_link_destination6(const uint8_t a[16])
{
	if (a[0] == 0xff)
		return (a[1] & 15) <= MULTICAST_SCOPE_LINK;
	if (a[0] == 0xfe)
		return (a[1] & 0xc0) == 0x80;
	return !a[0] && !load_le64(a) && !load_be16(a + 8);
}

static bool is_link_message6(uint8_t type)
{
	return (type >= ICMP6_LISTENER_FIRST && type <= ICMP6_ND_LAST) ||
	       (type >= ICMP6_INVERSE_FIRST && type <= ICMP6_LISTENER2) ||
	       (type >= ICMP6_SEND_FIRST && type <= ICMP6_SEND_LAST) ||
	       (type >= ICMP6_MRD_FIRST && type <= ICMP6_MRD_LAST);
}

/*
 * Behind all extension headers, as the host would look (RFC 8200 §4). A chain that the
 * packet ends in is no packet; nor, RFC 7112 §5, if it is the first fragment of one.
 */
static enum drop_reason check_chain6(const uint8_t *p, size_t len)
{
	size_t at = IPV6_HEADER_LEN;
	uint8_t next = p[6];

	for (;;) {
		size_t size = EXTENSION_UNIT;

		switch (next) {
		case IPPROTO_ICMPV6:
			if (at >= len)
				return DROP_INNER_MALFORMED;
			return is_link_message6(p[at]) ? DROP_LINK_SCOPE : DROP_REASON_COUNT;
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
		case IPPROTO_AH:
			break;
		default:
			return DROP_REASON_COUNT;
		}
		if (at + EXTENSION_UNIT > len)
			return DROP_INNER_MALFORMED;
		if (next == IPPROTO_ROUTING && !p[at + 2])
			return DROP_SOURCE_ROUTE; /* type 0: RFC 5095 */
		if (next == IPPROTO_FRAGMENT && load_be16(p + at + 2) & FRAGMENT_OFFSET)
			return DROP_REASON_COUNT; /* the chain was in the first one */
		if (next == IPPROTO_AH)
			size = (p[at + 1] + 2u) * AH_UNIT;
		else if (next != IPPROTO_FRAGMENT)
			size = (p[at + 1] + 1u) * EXTENSION_UNIT;
		next = p[at];
		at += size;
	}
}

static enum drop_reason check6(const uint8_t *p, size_t len)
{
	if (is_link_destination6(p + 24))
		return DROP_LINK_SCOPE;
	if (likely(p[6] == IPPROTO_TCP || p[6] == IPPROTO_UDP))
		return DROP_REASON_COUNT;
	return check_chain6(p, len);
}

static bool is_link_destination4(const uint8_t a[4])
{
	if (a[0] >= 224)
		return load_be32(a) >> 8 == 0xe00000 || load_be32(a) == UINT32_MAX;
	return !a[0] || a[0] == 127 || (a[0] == 169 && a[1] == 254);
}

/* RFC 791 §3.1. Source routes are dropped as RFC 7126 §4.3 would have it. */
static enum drop_reason check_options4(const uint8_t *p, size_t header)
{
	for (size_t at = IPV4_HEADER_MIN; at < header;) {
		if (p[at] == IPOPT_EOL)
			break;
		if (p[at] == IPOPT_NOP) {
			at++;
			continue;
		}
		if (at + 1 == header || p[at + 1] < 2 || p[at + 1] > header - at)
			return DROP_INNER_MALFORMED;
		if (p[at] == IPOPT_LSRR || p[at] == IPOPT_SSRR)
			return DROP_SOURCE_ROUTE;
		at += p[at + 1];
	}
	return DROP_REASON_COUNT;
}

static enum drop_reason check4(const uint8_t *p, size_t len)
{
	size_t header = (p[0] & 15) * 4u;
	enum drop_reason reason;

	if (is_link_destination4(p + 16))
		return DROP_LINK_SCOPE;
	if (unlikely(header != IPV4_HEADER_MIN)) {
		if (header < IPV4_HEADER_MIN || header > len)
			return DROP_INNER_MALFORMED;
		reason = check_options4(p, header);
		if (reason != DROP_REASON_COUNT)
			return reason;
	}
	if (p[9] == IPPROTO_IGMP)
		return DROP_LINK_SCOPE;
	if (p[9] == IPPROTO_ICMP && !(load_be16(p + 6) & IP_OFFMASK) && len > header &&
	    (p[header] == ICMP_REDIRECT || p[header] == ICMP4_ROUTER_ADVERT ||
	     p[header] == ICMP4_ROUTER_SOLICIT))
		return DROP_LINK_SCOPE;
	return DROP_REASON_COUNT;
}

/* Sources */

static int compare_hosts(const void *x, const void *y)
{
	const struct prefix *a = x, *b = y;

	return a->family == b->family ? memcmp(a->addr, b->addr, sizeof(a->addr))
				      : a->family - b->family;
}

/* There may be thousands: somebody who forges each packet must not have us go through them all. */
bool border_is_own(const struct datapath *dp, uint8_t family, const uint8_t *addr)
{
	const struct own_addresses *own = rcu_read(&dp->own);
	struct prefix host = prefix_host(family, addr);

	return own && bsearch(&host, own->v, own->n, sizeof(host), compare_hosts);
}

static bool is_nobodys(uint8_t family, const uint8_t *addr)
{
	struct prefix host = prefix_host(family, addr);

	for (unsigned i = 0; i < ARRAY_SIZE(nobodys); i++)
		if (prefix_contains(&nobodys[i], &host))
			return true;
	return false;
}

enum drop_reason border_check(const struct datapath *dp, const struct peer *peer,
			      const struct inner *in, const uint8_t *data)
{
	unsigned border = atomic_load_explicit(&peer->border, memory_order_relaxed);
	enum drop_reason reason;

	if (unlikely(border & PEER_BORDER_SOURCES) &&
	    (is_nobodys(in->family, in->src) || border_is_own(dp, in->family, in->src)))
		return DROP_SOURCE_NOT_ALLOWED;
	reason = in->family == AF_INET ? check4(data, in->len) : check6(data, in->len);
	if (reason == DROP_REASON_COUNT && border_isolates(dp) &&
	    border_keeps_apart(peer, datapath_owner(dp, in->family, in->dst)))
		return DROP_ISOLATED;
	return reason;
}

/* Control */

static void set_bit(struct peer *peer, unsigned bit)
{
	atomic_fetch_or_explicit(&peer->border, (uint8_t)bit, memory_order_relaxed);
}

static bool overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_contains(a, b) || prefix_contains(b, a);
}

/* Never cleared: to look once too often costs nothing but the look. */
void border_prefix_added(const struct datapath *dp, struct peer *peer, const struct prefix *p)
{
	const struct own_addresses *own = rcu_read(&dp->own);

	for (unsigned i = 0; i < ARRAY_SIZE(nobodys); i++)
		if (overlaps(&nobodys[i], p))
			set_bit(peer, PEER_BORDER_SOURCES);
	for (size_t i = 0; own && i < own->n; i++)
		if (prefix_contains(p, &own->v[i]))
			set_bit(peer, PEER_BORDER_SOURCES);
}

void border_isolate(struct datapath *dp, struct peer *peer, enum isolate isolate)
{
	bool is = isolate == ISOLATE_DEFAULT ? dp->isolate : isolate == ISOLATE_YES;

	if (is == border_is_isolated(peer))
		return;
	if (is) {
		set_bit(peer, PEER_BORDER_ISOLATED);
		atomic_fetch_add_explicit(&dp->n_isolated, 1, memory_order_relaxed);
	} else {
		border_forget(dp, 1);
		atomic_fetch_and_explicit(&peer->border, (uint8_t)~PEER_BORDER_ISOLATED,
					  memory_order_relaxed);
	}
}

void border_forget(struct datapath *dp, unsigned n)
{
	atomic_fetch_sub_explicit(&dp->n_isolated, n, memory_order_relaxed);
}

static void own_free(struct rcu_head *rcu)
{
	rcu_grace_passed();
	free(container_of(rcu, struct own_addresses, rcu));
}

/* All whose prefixes hold it: those of wg(8) may lie within each other. */
static void mark_holders(struct datapath *dp, const struct prefix *own)
{
	for (unsigned cidr = 0; cidr <= prefix_bits(own->family); cidr++) {
		struct prefix p = *own;
		struct peer *peer;

		p.cidr = (uint8_t)cidr;
		peer = allowedips_find_exact(&dp->allowedips, &p);
		if (peer)
			set_bit(peer, PEER_BORDER_SOURCES);
	}
}

int border_set_own(struct datapath *dp, const struct prefix *own, size_t n)
{
	struct own_addresses *old = atomic_load_explicit(&dp->own, memory_order_relaxed);
	struct own_addresses *new = NULL;

	if (n) {
		new = malloc(sizeof(*new) + n * sizeof(new->v[0]));
		if (!new)
			return -ENOMEM;
		new->n = n;
		memcpy(new->v, own, n * sizeof(new->v[0]));
		qsort(new->v, n, sizeof(new->v[0]), compare_hosts);
	}
	rcu_publish(&dp->own, new);
	for (size_t i = 0; i < n; i++)
		mark_holders(dp, &own[i]);
	if (old)
		call_rcu(&old->rcu, own_free);
	return 0;
}
