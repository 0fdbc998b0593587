/* SPDX-License-Identifier: MIT */
/*
 * Coalescing. Two oracles: a naive one that says which packets belong together (a packet may
 * join if the packets could have been cut from one), and segmentation, which must
 * give back what went in.
 */
#include "../tun/gro.h"

#include <errno.h>

#include "gro_oracle.h"
#include "packets.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };

static uint8_t payload[65536];

static void start(void)
{
	n_pkts = 0;
}

static uint8_t *push(const struct recipe *r, size_t len)
{
	pkts[n_pkts].data = bytes[n_pkts];
	pkts[n_pkts].len = make_packet(bytes[n_pkts], r, payload, len);
	return bytes[n_pkts++];
}

static void coalesce(struct gro *g, unsigned int can)
{
	memcpy(before, bytes, n_pkts * PKT_MAX);
	gro_coalesce(g, pkts, n_pkts, can);
}

/* Equal, except for the id of an IPv4 packet with DF set (RFC 6864). */
static bool same_packet(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint8_t x[PKT_MAX], y[PKT_MAX];

	memcpy(x, a, len);
	memcpy(y, b, len);
	if (is_df(x) && is_df(y)) {
		memset(x + 4, 0, 2);
		memset(x + 10, 0, 2);
		memset(y + 4, 0, 2);
		memset(y + 10, 0, 2);
	}
	return !memcmp(x, y, len);
}

/* The super-packet, split again, is what went in; all lengths and fields agree. */
static void check_super(const struct gro *g, const struct gro_super *s)
{
	static uint8_t flat[70000], out[200000];
	static struct span segs[GRO_MAX_PACKETS];
	static const struct gso_layout bare = { 0, 0, 1, 0 };
	size_t len = 0, i;
	int n;

	expect(g->iov[s->iov].iov_base == &s->vh);
	expect(g->iov[s->iov].iov_len == sizeof(s->vh));
	for (i = 1; i < s->iov_count; i++) {
		memcpy(flat + len, g->iov[s->iov + i].iov_base, g->iov[s->iov + i].iov_len);
		len += g->iov[s->iov + i].iov_len;
	}
	if (gro_packets(s) == 1) {
		struct virtio_net_hdr zero = { 0 };
		size_t k = index_of(g, s, 0);

		expect(!memcmp(&s->vh, &zero, sizeof(zero)));
		expect(len == pkts[k].len);
		expect(!memcmp(flat, before[k], len));
		return;
	}
	expect(len <= 65535);
	expect(s->vh.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM);
	if (flat[0] >> 4 == 4) {
		expect(load_be16(flat + 2) == len);
		expect(naive_sum(0, flat, 20) == 0xffff);
	} else {
		expect(load_be16(flat + 4) == len - 40);
	}
	expect(load_be16(flat + s->vh.csum_start + s->vh.csum_offset) ==
	       naive_pseudo(flat, proto_of(flat), len - s->vh.csum_start));
	n = gso_split(&s->vh, flat, len, &bare, out, sizeof(out), segs, ARRAY_SIZE(segs));
	expect(n == (int)gro_packets(s));
	for (i = 0; i < gro_packets(s); i++) {
		size_t k = index_of(g, s, i);

		expect(segs[i].len == pkts[k].len);
		expect(same_packet(segs[i].data, before[k], segs[i].len));
	}
}

/* Each packet is there once. */
static void check_supers(const struct gro *g)
{
	bool seen[BURST] = { false };
	size_t i, k, total = 0;

	for (i = 0; i < g->n_supers; i++) {
		check_super(g, &g->supers[i]);
		for (k = 0; k < gro_packets(&g->supers[i]); k++) {
			size_t index = index_of(g, &g->supers[i], k);

			expect(!seen[index]);
			seen[index] = true;
			total++;
		}
	}
	expect(total == n_pkts);
}

/* Taken apart, every byte is as it was. */
static void check_undo(struct gro *g)
{
	size_t i, k;

	for (i = 0; i < g->n_supers; i++) {
		gro_undo(g, &g->supers[i]);
		for (k = 0; k < gro_packets(&g->supers[i]); k++) {
			size_t index = index_of(g, &g->supers[i], k);
			struct span pkt = gro_packet(g, &g->supers[i], k);

			expect(pkt.data == pkts[index].data);
			expect(pkt.len == pkts[index].len);
			expect(!memcmp(pkt.data, before[index], pkt.len));
		}
	}
	expect(!memcmp(bytes, before, n_pkts * PKT_MAX));
}

/* What the two packets of a case become: 1 super-packet or 2 packets. */
enum change { NOTHING, BYTE, RESUM }; /* RESUM: with checksums made right afterwards */

struct pair_case {
	enum change change;
	size_t at;     /* in the second packet */
	uint8_t flip;  /* bits */
	size_t supers;
};

static void run_pairs(const struct recipe *base, const struct pair_case *cases, size_t n)
{
	struct gro g;
	size_t i;

	ck_assert_int_eq(gro_init(&g, BURST), 0);
	for (i = 0; i < n; i++) {
		struct recipe r = *base;
		uint8_t *second;

		start();
		push(&r, 1000);
		r.seq += 1000;
		r.id++;
		second = push(&r, 1000);
		if (cases[i].change != NOTHING)
			second[cases[i].at] ^= cases[i].flip;
		if (cases[i].change == RESUM)
			naive_finish(second, pkts[1].len, r.proto);
		coalesce(&g, GRO_TCP | GRO_UDP);
		ck_assert_msg(g.n_supers == cases[i].supers, "case %zu: %zu", i, g.n_supers);
		check_supers(&g);
		check_undo(&g);
	}
	gro_free(&g);
}

START_TEST(pairs_tcp4)
{
	static const struct pair_case cases[] = {
		/* 0 */ { NOTHING, 0, 0, 1 },
		/* 1: type of service */ { RESUM, 1, 0x01, 2 },
		/* 2: id */ { RESUM, 5, 0x04, 2 },
		/* 3: DF */ { RESUM, 6, 0x40, 2 },
		/* 4: more fragments */ { RESUM, 6, 0x20, 2 },
		/* 5: reserved bit */ { RESUM, 6, 0x80, 2 },
		/* 6: fragment offset */ { RESUM, 7, 0x01, 2 },
		/* 7: time to live */ { RESUM, 8, 0x01, 2 },
		/* 8: header checksum */ { BYTE, 10, 0x01, 2 },
		/* 9: source */ { RESUM, 15, 0x01, 2 },
		/* 10: destination */ { RESUM, 19, 0x01, 2 },
		/* 11: port */ { RESUM, 21, 0x01, 2 },
		/* 12: port */ { RESUM, 23, 0x01, 2 },
		/* 13: sequence */ { RESUM, 27, 0x01, 2 },
		/* 14: acknowledgement */ { RESUM, 31, 0x01, 2 },
		/* 15: reserved */ { RESUM, 32, 0x01, 2 },
		/* 16: header length */ { RESUM, 32, 0x10, 2 },
		/* 17 */ { RESUM, 33, FIN, 2 },
		/* 18 */ { RESUM, 33, SYN, 2 },
		/* 19 */ { RESUM, 33, RST, 2 },
		/* 20 */ { RESUM, 33, PSH, 1 },
		/* 21 */ { RESUM, 33, ACK, 2 },
		/* 22 */ { RESUM, 33, URG, 2 },
		/* 23 */ { RESUM, 33, ECE, 2 },
		/* 24 */ { RESUM, 33, CWR, 2 },
		/* 25: window */ { RESUM, 35, 0x01, 2 },
		/* 26: checksum */ { BYTE, 36, 0x01, 2 },
		/* 27: urgent pointer */ { RESUM, 39, 0x01, 2 },
		/* 28: options */ { RESUM, 45, 0x01, 2 },
		/* 29: payload */ { BYTE, 900, 0x01, 2 },
		/* 30: payload */ { RESUM, 900, 0x01, 1 },
		/* 31: total length */ { BYTE, 3, 0x01, 2 },
		/* 32: version */ { BYTE, 0, 0x20, 2 },
		/* 33: protocol */ { BYTE, 9, 0x20, 2 },
	};
	struct recipe r = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK, .ttl = 64,
			    .tcp_extra = 12, .id = 0x10ff, .seq = UINT32_MAX - 500 };

	run_pairs(&r, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(pairs_tcp6)
{
	static const struct pair_case cases[] = {
		/* 0 */ { NOTHING, 0, 0, 1 },
		/* 1: traffic class */ { RESUM, 0, 0x01, 2 },
		/* 2: traffic class */ { RESUM, 1, 0x10, 2 },
		/* 3: flow label */ { RESUM, 3, 0x01, 2 },
		/* 4: payload length */ { BYTE, 5, 0x01, 2 },
		/* 5: next header */ { BYTE, 6, 0x20, 2 },
		/* 6: hop limit */ { RESUM, 7, 0x01, 2 },
		/* 7: source */ { RESUM, 8, 0x01, 2 },
		/* 8: destination */ { RESUM, 39, 0x01, 2 },
		/* 9: port */ { RESUM, 40, 0x01, 2 },
		/* 10: PSH */ { RESUM, 53, PSH, 1 },
		/* 11: checksum */ { BYTE, 57, 0x80, 2 },
		/* 12: payload */ { RESUM, 700, 0x80, 1 },
	};
	struct recipe r = { .proto = IPPROTO_TCP, .flags = ACK | ECE, .ttl = 64 };

	run_pairs(&r, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(pairs_udp)
{
	static const struct pair_case cases[] = {
		/* 0 */ { NOTHING, 0, 0, 1 },
		/* 1: port */ { RESUM, 20, 0x01, 2 },
		/* 2: UDP length */ { BYTE, 25, 0x01, 2 },
		/* 3: checksum */ { BYTE, 26, 0x01, 2 },
		/* 4: payload */ { RESUM, 500, 0x01, 1 },
	};
	static const struct pair_case no_first[] = { { NOTHING, 0, 0, 2 } };
	struct recipe r = { .ip4 = true, .proto = IPPROTO_UDP, .ttl = 64 };

	run_pairs(&r, cases, ARRAY_SIZE(cases));
	r.ip_extra = 4; /* IPv4 options */
	run_pairs(&r, no_first, 1);
	r.ip4 = false; /* IPv6 extension header */
	r.ip_extra = 8;
	run_pairs(&r, no_first, 1);
}
END_TEST

/* The same id in all is as good as counting, but only with DF, and not mixed. */
START_TEST(ip_ids)
{
	static const struct {
		bool df;
		uint16_t ids[4];
		size_t supers;
	} cases[] = {
		/* 0 */ { false, { 7, 8, 9, 10 }, 1 },
		/* 1 */ { false, { 7, 7, 7, 7 }, 4 },
		/* 2 */ { true, { 7, 8, 9, 10 }, 1 },
		/* 3 */ { true, { 7, 7, 7, 7 }, 1 },
		/* 4 */ { true, { 7, 7, 8, 9 }, 2 },
		/* 5 */ { true, { 7, 8, 8, 8 }, 2 },
		/* 6 */ { true, { 7, 8, 7, 8 }, 2 },
		/* 7 */ { false, { 0xfffe, 0xffff, 0, 1 }, 1 },
		/* 8 */ { false, { 9, 8, 7, 6 }, 4 },
		/* 9 */ { true, { 7, 7, 9, 10 }, 2 },
		/* 10 */ { true, { 7, 8, 7, 9 }, 3 },
	};
	struct gro g;
	size_t i, k;

	ck_assert_int_eq(gro_init(&g, BURST), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct recipe r = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK,
				    .df = cases[i].df };

		start();
		for (k = 0; k < 4; k++, r.seq += 100) {
			r.id = cases[i].ids[k];
			push(&r, 100);
		}
		coalesce(&g, GRO_TCP);
		ck_assert_msg(g.n_supers == cases[i].supers, "case %zu: %zu", i, g.n_supers);
		check_supers(&g);
	}
	gro_free(&g);
}
END_TEST

/* What both packets have, and what still keeps them apart. */
START_TEST(never_merged)
{
	static const struct {
		bool ip4;
		uint8_t proto;
		size_t at;
		uint8_t value;
	} cases[] = {
		/* 0: more fragments */ { true, IPPROTO_TCP, 6, 0x20 },
		/* 1: reserved bit */ { true, IPPROTO_TCP, 6, 0x80 },
		/* 2: fragment offset */ { true, IPPROTO_UDP, 7, 0x01 },
		/* 3: reserved bits of TCP */ { true, IPPROTO_TCP, 32, 0x51 },
		/* 4: the same */ { false, IPPROTO_TCP, 52, 0x58 },
		/* 5 */ { true, IPPROTO_TCP, 33, ACK | URG },
		/* 6 */ { false, IPPROTO_TCP, 53, ACK | CWR },
		/* 7: no acknowledgement */ { false, IPPROTO_TCP, 53, 0 },
	};
	struct gro g;
	size_t i;

	ck_assert_int_eq(gro_init(&g, BURST), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct recipe r = { .ip4 = cases[i].ip4, .proto = cases[i].proto, .flags = ACK };

		start();
		push(&r, 100)[cases[i].at] = cases[i].value;
		r.seq += 100;
		r.id++;
		push(&r, 100)[cases[i].at] = cases[i].value;
		naive_finish(bytes[0], pkts[0].len, r.proto);
		naive_finish(bytes[1], pkts[1].len, r.proto);
		coalesce(&g, GRO_TCP | GRO_UDP);
		ck_assert_msg(g.n_supers == 2, "case %zu", i);
		check_supers(&g);
	}
	gro_free(&g);
}
END_TEST

/* Zero means that there is no checksum, even where it would be the right one. */
START_TEST(udp_without_checksum)
{
	struct recipe r = { .ip4 = true, .proto = IPPROTO_UDP, .df = true };
	struct gro g;
	size_t i;

	ck_assert_int_eq(gro_init(&g, BURST), 0);
	start();
	for (i = 0; i < 2; i++) {
		uint8_t *pkt = push(&r, 100);
		uint16_t sum = load_be16(pkt + 26);

		/* Move the whole checksum into the payload. */
		store_be16(pkt + 28, sum);
		naive_finish(pkt, pkts[i].len, r.proto);
		ck_assert_uint_eq(load_be16(pkt + 26), 0xffff);
	}
	coalesce(&g, GRO_UDP);
	ck_assert_uint_eq(g.n_supers, 1);
	gro_undo(&g, &g.supers[0]);
	for (i = 0; i < 2; i++)
		store_be16(bytes[i] + 26, 0);
	coalesce(&g, GRO_UDP);
	ck_assert_uint_eq(g.n_supers, 2);
	check_supers(&g);
	gro_free(&g);
}
END_TEST

/* Groups as they must be, from flags and payload lengths of one flow. */
START_TEST(sequences)
{
	static const struct {
		struct {
			uint8_t flags;
			uint16_t len;
		} p[6];
		uint8_t supers[6]; /* packets in each */
	} cases[] = {
		/* 0 */ { { { ACK, 9 }, { ACK, 9 }, { ACK, 9 } }, { 3 } },
		/* 1: a smaller one ends it */
		{ { { ACK, 9 }, { ACK, 9 }, { ACK, 8 }, { ACK, 8 }, { ACK, 8 } }, { 3, 2 } },
		/* 2: a larger one begins anew */
		{ { { ACK, 8 }, { ACK, 9 }, { ACK, 9 } }, { 1, 2 } },
		/* 3: PSH ends it */
		{ { { ACK, 9 }, { ACK | PSH, 9 }, { ACK, 9 }, { ACK, 9 } }, { 2, 2 } },
		/* 4: each with PSH */
		{ { { ACK | PSH, 9 }, { ACK | PSH, 9 } }, { 1, 1 } },
		/* 5: FIN stays alone */
		{ { { ACK, 9 }, { ACK, 9 }, { ACK | FIN, 9 } }, { 2, 1 } },
		/* 6: a pure acknowledgement is not overtaken */
		{ { { ACK, 9 }, { ACK, 9 }, { ACK, 0 }, { ACK, 9 }, { ACK, 9 } }, { 2, 1, 2 } },
		/* 7: SYN with data */
		{ { { SYN, 9 }, { ACK, 9 }, { ACK, 9 } }, { 1, 2 } },
		/* 8: CWR begins none */
		{ { { ACK | CWR, 9 }, { ACK, 9 }, { ACK, 9 } }, { 1, 2 } },
		/* 9: ECE on all, then off */
		{ { { ACK | ECE, 9 }, { ACK | ECE, 9 }, { ACK, 9 }, { ACK, 9 } }, { 2, 2 } },
	};
	struct gro g;
	size_t i, k;

	ck_assert_int_eq(gro_init(&g, BURST), 0);
	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct recipe r = { .ip4 = i % 2, .proto = IPPROTO_TCP };

		start();
		for (k = 0; k < 6 && cases[i / 2].p[k].flags; k++) {
			r.flags = cases[i / 2].p[k].flags;
			push(&r, cases[i / 2].p[k].len);
			r.seq += cases[i / 2].p[k].len;
			r.id++;
		}
		coalesce(&g, GRO_TCP);
		for (k = 0; k < 6 && cases[i / 2].supers[k]; k++)
			ck_assert_msg(k < g.n_supers && gro_packets(&g.supers[k]) ==
							cases[i / 2].supers[k],
				      "case %zu, super-packet %zu", i / 2, k);
		ck_assert_uint_eq(g.n_supers, k);
		check_supers(&g);
		check_undo(&g);
	}
	gro_free(&g);
}
END_TEST

START_TEST(limits)
{
	struct recipe tcp = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK, .df = true };
	struct recipe udp = { .proto = IPPROTO_UDP };
	struct gro g;
	size_t i;

	ck_assert_int_eq(gro_init(&g, 0), -EINVAL);
	ck_assert_int_eq(gro_init(&g, 65537), -EINVAL);
	ck_assert_int_eq(gro_init(&g, BURST), 0);

	start();
	for (i = 0; i < 100; i++, tcp.seq += 1400)
		push(&tcp, 1400);
	coalesce(&g, GRO_TCP);
	ck_assert_uint_eq(g.n_supers, 3);
	ck_assert_uint_eq(gro_packets(&g.supers[0]), (65535 - 40) / 1400);
	check_supers(&g);

	start();
	for (i = 0; i < 200; i++)
		push(&udp, 100);
	coalesce(&g, GRO_UDP);
	ck_assert_uint_eq(g.n_supers, 4);
	ck_assert_uint_eq(gro_packets(&g.supers[0]), GRO_MAX_DATAGRAMS);
	check_supers(&g);

	/* Neither without the other, nothing without either, one packet is one packet. */
	coalesce(&g, GRO_TCP);
	ck_assert_uint_eq(g.n_supers, 200);
	coalesce(&g, 0);
	ck_assert_uint_eq(g.n_supers, 200);
	check_supers(&g);
	n_pkts = 1;
	coalesce(&g, GRO_UDP);
	ck_assert_uint_eq(g.n_supers, 1);
	check_supers(&g);
	n_pkts = 0;
	coalesce(&g, GRO_UDP);
	ck_assert_uint_eq(g.n_supers, 0);
	gro_free(&g);
}
END_TEST

/* As many packets as one writev takes, of the smallest size. */
START_TEST(most_pieces)
{
	enum { N = 2100, LEN = 41 };
	struct recipe r = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK, .df = true };
	struct span *list = calloc(N, sizeof(*list));
	uint8_t *room = malloc(N * LEN);
	struct gro g;
	size_t i;

	ck_assert_int_eq(gro_init(&g, N), 0);
	for (i = 0; i < N; i++, r.seq++) {
		list[i].data = room + i * LEN;
		list[i].len = make_packet(list[i].data, &r, payload, 1);
	}
	gro_coalesce(&g, list, N, GRO_TCP);
	ck_assert_uint_eq(g.n_supers, 3);
	ck_assert_uint_eq(g.supers[0].iov_count, 1024);
	ck_assert_uint_eq(g.supers[1].iov_count, 1024);
	gro_free(&g);
	free(room);
	free(list);
}
END_TEST

/* A fragment may be of any flow of its hosts, so nothing of theirs is merged across it. */
START_TEST(barriers)
{
	struct recipe r = { .proto = IPPROTO_TCP, .flags = ACK };
	struct gro g;
	size_t kind;

	ck_assert_int_eq(gro_init(&g, BURST), 0);
	for (kind = 0; kind < 6; kind++) {
		struct recipe other = r;
		uint8_t *pkt;

		r.ip4 = other.ip4 = kind >= 3;
		r.seq = 0;
		other.proto = kind % 3 ? IPPROTO_TCP : IPPROTO_UDP;
		start();
		push(&r, 100);
		pkt = push(&other, 100);
		if (r.ip4 && kind % 3 == 2)
			pkts[1].len = 22; /* not even ports */
		else if (r.ip4)
			pkt[7] = 1; /* a later fragment */
		else
			pkt[6] = kind % 3 == 2 ? 43 : 44; /* routing, fragment */
		r.seq += 100;
		r.id++;
		push(&r, 100);
		coalesce(&g, GRO_TCP | GRO_UDP);
		ck_assert_msg(g.n_supers == 3, "kind %zu", kind);
		check_supers(&g);

		/* Of another host, it is in nobody's way. */
		other.host = 77;
		make_packet(bytes[1], &other, payload, 100);
		pkts[1].len = recipe_headers(&other) + 100;
		bytes[1][r.ip4 ? 7 : 6] = r.ip4 ? 1 : 44;
		coalesce(&g, GRO_TCP | GRO_UDP);
		ck_assert_uint_eq(g.n_supers, 2);
		check_supers(&g);
	}
	gro_free(&g);
}
END_TEST

/* Something that flows meet now and then. */
static void disturb(uint64_t *rng, struct recipe *r, uint8_t *pkt, size_t *len)
{
	size_t l4 = recipe_l4(r);

	switch (pick(rng, 10)) {
	case 0: /* damaged anywhere */
		pkt[l4 + pick(rng, *len - l4)] ^= (uint8_t)(1 + pick(rng, 255));
		break;
	case 1: /* a fragment */
		if (r->ip4)
			pkt[7] = 1;
		else
			pkt[6] = 44;
		break;
	case 2: /* the IPv4 header's checksum */
		pkt[r->ip4 ? 10 : l4 + 4] ^= 1;
		break;
	case 3: /* other flags */
		if (r->proto == IPPROTO_TCP)
			pkt[l4 + 13] = (uint8_t)next_random(rng);
		naive_finish(pkt, *len, r->proto);
		break;
	case 4: /* a hole in the sequence */
		r->seq += 10;
		break;
	case 5: /* padding behind the packet, or cut */
		*len = l4 + 8 + pick(rng, *len - l4);
		break;
	case 6:
		r->id += (uint16_t)pick(rng, 3);
		break;
	case 7:
		r->window ^= 1;
		break;
	case 8:
		r->option ^= 1;
		break;
	case 9: /* no checksum, which only UDP may */
		pkt[l4 + 6] = pkt[l4 + 7] = 0;
		break;
	}
}

static void random_burst(uint64_t *rng, struct recipe *flows, size_t n_flows, size_t n)
{
	size_t usual = 1 + pick(rng, 1400), i;

	start();
	for (i = 0; i < n; i++) {
		struct recipe *r = &flows[pick(rng, n_flows)];
		size_t len = pick(rng, 8) ? usual : pick(rng, usual + 1);
		uint8_t *pkt;

		r->flags = pick(rng, 12) ? ACK : ACK | PSH;
		pkt = push(r, len);
		r->seq += (uint32_t)len;
		r->id++;
		if (!pick(rng, 12))
			disturb(rng, r, pkt, &pkts[n_pkts - 1].len);
	}
}

static void random_flows(uint64_t *rng, struct recipe *flows, size_t n, size_t hosts)
{
	size_t i;

	for (i = 0; i < n; i++)
		flows[i] = (struct recipe){
			.ip4 = pick(rng, 2),
			.proto = pick(rng, 3) ? IPPROTO_TCP : IPPROTO_UDP,
			.host = (uint8_t)pick(rng, hosts),
			.df = pick(rng, 2),
			.sport = (uint16_t)pick(rng, 1 + n / 2),
			.seq = (uint32_t)next_random(rng),
			.id = (uint16_t)next_random(rng),
			.tcp_extra = pick(rng, 2) * 12,
			.ip_extra = pick(rng, 10) ? 0 : 8,
		};
}

/* Few flows, none of which can lose its place in the table: exactly the naive groups. */
START_TEST(random_exact)
{
	static struct naive_group groups[BURST];
	struct recipe flows[4];
	uint64_t rng = 10;
	size_t round, i, k, n, merged = 0;
	struct gro g;

	fill_random(&rng, payload, sizeof(payload));
	expect(gro_init(&g, BURST) == 0);
	for (round = 0; round < 20000; round++) {
		size_t n_flows = 1 + pick(&rng, 4);

		random_flows(&rng, flows, n_flows, 2);
		random_burst(&rng, flows, n_flows, 1 + pick(&rng, 40));
		coalesce(&g, GRO_TCP | GRO_UDP);
		n = naive_groups(groups);
		ck_assert_msg(g.n_supers == n, "round %zu: %zu, not %zu", round, g.n_supers, n);
		for (i = 0; i < n; i++) {
			expect(gro_packets(&g.supers[i]) == groups[i].count);
			for (k = 0; k < groups[i].count; k++)
				expect(index_of(&g, &g.supers[i], k) == groups[i].members[k]);
		}
		merged += n_pkts - n;
		check_supers(&g);
	}
	ck_assert_uint_gt(merged, 100000); /* or this has tested little */
	gro_free(&g);
}
END_TEST

/* Many flows, more than the table has room for when it is small. */
START_TEST(random_many_flows)
{
	struct recipe flows[100];
	uint64_t rng = 11;
	size_t round;
	struct gro g;

	fill_random(&rng, payload, sizeof(payload));
	ck_assert_int_eq(gro_init(&g, BURST), 0);
	for (round = 0; round < 1500; round++) {
		size_t n_flows = 1 + pick(&rng, 100);

		random_flows(&rng, flows, n_flows, 20);
		random_burst(&rng, flows, n_flows, 1 + pick(&rng, BURST));
		/* A table for four flows, and still no packet overtakes its own. */
		g.table_mask = round % 2 ? 0 : 127;
		coalesce(&g, 1 + (unsigned int)pick(&rng, 3));
		check_supers(&g);
		check_order(&g);
		check_undo(&g);
	}
	gro_free(&g);
}
END_TEST

/* Any bytes at all, in buffers of exactly their length. */
START_TEST(hostile)
{
	uint64_t rng = 12;
	size_t round, i, k;
	struct span list[8];
	struct gro g;

	expect(gro_init(&g, 8) == 0);
	for (round = 0; round < 30000; round++) {
		struct recipe r;

		random_flows(&rng, &r, 1, 1);
		r.flags = ACK;
		start();
		for (i = 0; i < 8; i++, r.seq += 20, r.id++) {
			uint8_t *pkt = push(&r, 20);
			size_t len = pkts[i].len;

			for (k = pick(&rng, 4); k; k--)
				pkt[pick(&rng, len)] = (uint8_t)next_random(&rng);
			if (pkt[0] == (r.ip4 ? 0x45 : 0x60) && (r.ip4 || pkt[6] == r.proto) &&
			    pick(&rng, 2))
				naive_finish(pkt, len, r.proto);
			if (!pick(&rng, 8))
				len = pick(&rng, len + 1);
			list[i].data = exact_copy(pkt, len);
			list[i].len = len;
		}
		gro_coalesce(&g, list, 8, GRO_TCP | GRO_UDP);
		for (i = 0, k = 0; i < g.n_supers; i++) {
			k += gro_packets(&g.supers[i]);
			gro_undo(&g, &g.supers[i]);
		}
		expect(k == 8);
		for (i = 0; i < 8; i++)
			free(list[i].data);
	}
	gro_free(&g);
}
END_TEST

/* Every length of a good packet, and every value of every byte of its headers. */
START_TEST(hostile_every_byte)
{
	uint64_t rng = 13;
	size_t variant, at, value;
	struct gro g;

	expect(gro_init(&g, 2) == 0);
	for (variant = 0; variant < 8; variant++) {
		struct recipe r;
		size_t headers, len;

		random_flows(&rng, &r, 1, 1);
		r.flags = ACK;
		headers = recipe_headers(&r);
		len = headers + 30;
		for (at = 0; at < headers * 256 + len; at++) {
			struct span list[2];

			start();
			r.seq = r.id = 0;
			push(&r, 30);
			r.seq = 30;
			r.id = 1;
			push(&r, 30);
			value = at % 256;
			if (at < headers * 256)
				bytes[at & 1][at / 256] = (uint8_t)value;
			else
				pkts[at & 1].len = at - headers * 256;
			list[0] = (struct span){ exact_copy(bytes[0], pkts[0].len), pkts[0].len };
			list[1] = (struct span){ exact_copy(bytes[1], pkts[1].len), pkts[1].len };
			gro_coalesce(&g, list, 2, GRO_TCP | GRO_UDP);
			expect(g.n_supers == 1 || g.n_supers == 2);
			free(list[0].data);
			free(list[1].data);
		}
	}
	gro_free(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gro");
	TCase *tc = tcase_create("gro");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, pairs_tcp4);
	tcase_add_test(tc, pairs_tcp6);
	tcase_add_test(tc, pairs_udp);
	tcase_add_test(tc, ip_ids);
	tcase_add_test(tc, never_merged);
	tcase_add_test(tc, udp_without_checksum);
	tcase_add_test(tc, sequences);
	tcase_add_test(tc, limits);
	tcase_add_test(tc, most_pieces);
	tcase_add_test(tc, barriers);
	tcase_add_test(tc, random_exact);
	tcase_add_test(tc, random_many_flows);
	tcase_add_test(tc, hostile);
	tcase_add_test(tc, hostile_every_byte);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
