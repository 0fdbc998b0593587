/* SPDX-License-Identifier: MIT */
/*
 * The naive side of test_gro.c: which packets of a burst belong together, and whether any has
 * overtaken one of its own flow, found by comparing every packet with every other.
 */
#ifndef BERTH_TESTS_GRO_ORACLE_H
#define BERTH_TESTS_GRO_ORACLE_H

#include "../tun/gro.h"
#include "packets.h"

enum { BURST = 256, PKT_MAX = 2048 };

/* The burst as it is given, as it was before, and how long each packet is. */
static uint8_t bytes[BURST][PKT_MAX], before[BURST][PKT_MAX];
static struct span pkts[BURST];
static size_t n_pkts;

/* Which packet of the burst stands at iovec @i of a super-packet. */
static inline size_t index_of(const struct gro *g, const struct gro_super *s, size_t i)
{
	return (size_t)((uint8_t *)g->iov[s->iov + 1 + i].iov_base - bytes[0]) / PKT_MAX;
}

static inline bool is_df(const uint8_t *pkt)
{
	return pkt[0] >> 4 == 4 && pkt[6] & 0x40;
}

static inline uint8_t proto_of(const uint8_t *pkt)
{
	return pkt[0] >> 4 == 4 ? pkt[9] : pkt[6];
}

/* Where two packets must not change places. ICMP and the like are left in order anyway. */
static inline bool related(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	bool ip4 = a[0] >> 4 == 4;
	size_t l4 = ip4 ? 20 : 40;
	bool whole;

	if (a[0] >> 4 != b[0] >> 4 || memcmp(a + (ip4 ? 12 : 8), b + (ip4 ? 12 : 8), ip4 ? 8 : 32))
		return false;
	whole = ip4 ? !(load_be16(a + 6) & 0x3fff) && !(load_be16(b + 6) & 0x3fff) :
		      (a[6] == IPPROTO_TCP || a[6] == IPPROTO_UDP) &&
			      (b[6] == IPPROTO_TCP || b[6] == IPPROTO_UDP);
	if (!whole || a_len < l4 + 4 || b_len < l4 + 4)
		return true;
	return proto_of(a) == proto_of(b) && !memcmp(a + naive_l4(a), b + naive_l4(b), 4);
}

/* Related packets leave in the order in which they came. */
static inline void check_order(const struct gro *g)
{
	size_t order[BURST], n = 0, i, k;

	for (i = 0; i < g->n_supers; i++)
		for (k = 0; k < gro_packets(&g->supers[i]); k++)
			order[n++] = index_of(g, &g->supers[i], k);
	for (i = 0; i < n; i++)
		for (k = i + 1; k < n; k++)
			expect(order[i] < order[k] ||
				  !related(before[order[i]], pkts[order[i]].len,
					   before[order[k]], pkts[order[k]].len));
}

struct naive_group {
	size_t members[BURST];
	size_t count, bytes;
};

/*
 * A packet that segmentation could make: no options of IP, data, no TCP flags but ACK (0x10), PSH
 * (0x08) and ECE (0x40), all sums right.
 */
static inline bool naive_mergeable(size_t k)
{
	const uint8_t *pkt = before[k];
	size_t len = pkts[k].len, l4 = pkt[0] >> 4 == 4 ? 20 : 40;
	uint8_t proto = proto_of(pkt);

	if (pkt[0] != 0x45 && pkt[0] >> 4 != 6)
		return false;
	if (pkt[0] == 0x45 && load_be16(pkt + 6) & 0xbfff)
		return false;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return false;
	if (proto == IPPROTO_TCP && ((pkt[l4 + 13] & ~(0x08 | 0x40)) != 0x10 ||
				     l4 + (pkt[l4 + 12] >> 4) * 4u >= len))
		return false;
	if (proto == IPPROTO_UDP && len <= l4 + 8)
		return false;
	return naive_valid(pkt, len, proto);
}

static inline size_t naive_headers(const uint8_t *pkt)
{
	size_t l4 = pkt[0] >> 4 == 4 ? 20 : 40;

	return l4 + (proto_of(pkt) == IPPROTO_TCP ? (pkt[l4 + 12] >> 4) * 4u : 8);
}

/* Whether the members are what one gets by cutting their data behind the first one's headers. */
static inline bool naive_cuts(const struct naive_group *g)
{
	const uint8_t *head = before[g->members[0]];
	size_t headers = naive_headers(head), l4 = naive_l4(head), offset = 0, i;
	size_t size = pkts[g->members[0]].len - headers;
	bool tcp = proto_of(head) == IPPROTO_TCP, counts = true, fixed = is_df(head);

	for (i = 0; i < g->count; i++) {
		const uint8_t *pkt = before[g->members[i]];
		size_t len = pkts[g->members[i]].len;
		bool last = i == g->count - 1;
		uint8_t copy[PKT_MAX];

		if (len < headers || len - headers > size || (!last && len - headers != size))
			return false;
		memcpy(copy, head, headers);
		memcpy(copy + headers, pkt + headers, len - headers);
		if (tcp) {
			store_be32(copy + l4 + 4, (uint32_t)(load_be32(head + l4 + 4) + offset));
			copy[l4 + 13] &= (uint8_t)~0x08;
			if (last)
				copy[l4 + 13] |= pkt[l4 + 13] & 0x08;
		}
		if (head[0] >> 4 == 4) {
			counts &= load_be16(pkt + 4) == (uint16_t)(load_be16(head + 4) + i);
			fixed &= load_be16(pkt + 4) == load_be16(head + 4);
			memcpy(copy + 4, pkt + 4, 2);
		}
		naive_finish(copy, len, proto_of(head));
		if (memcmp(copy, pkt, len))
			return false;
		offset += len - headers;
	}
	return counts || fixed;
}

/* The groups of the burst; quadratic, and looks at nothing but packets. */
static inline size_t naive_groups(struct naive_group *groups)
{
	size_t n = 0, i, k;

	for (i = 0; i < n_pkts; i++) {
		struct naive_group *g = NULL;
		size_t last = 0;

		/* The youngest related packet; packet i may only follow that one. */
		for (k = 0; k < n; k++) {
			size_t m = groups[k].members[groups[k].count - 1];

			if (related(before[m], pkts[m].len, before[i], pkts[i].len) &&
			    (!g || m > last)) {
				g = &groups[k];
				last = m;
			}
		}
		if (g && naive_mergeable(i) && naive_mergeable(last) &&
		    g->count < (proto_of(before[i]) == IPPROTO_TCP ? 1023 : 64)) {
			g->members[g->count++] = i;
			g->bytes += pkts[i].len - naive_headers(before[i]);
			if (g->bytes <= 65535 && naive_cuts(g))
				continue;
			g->count--;
			g->bytes -= pkts[i].len - naive_headers(before[i]);
		}
		groups[n].members[0] = i;
		groups[n].count = 1;
		groups[n++].bytes = pkts[i].len;
	}
	return n;
}

#endif
