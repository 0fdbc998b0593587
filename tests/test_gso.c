/* SPDX-License-Identifier: MIT */
/*
 * Segmentation against packets that were made one by one: a super-packet, split, must be
 * byte for byte what the sender would have sent had it cut the data itself.
 */
#include "../tun/gso.h"

#include <errno.h>

#include "packets.h"

enum { FIN = 1, SYN = 2, PSH = 8, ACK = 16, ECE = 64, CWR = 128 };

enum { OUT_LEN = 1 << 20, MAX_SEGS = 4096 };

static uint8_t payload[66000];
static uint8_t super[66000];
static uint8_t want[66000];
static uint8_t out[OUT_LEN];
static struct span segs[MAX_SEGS];

static const struct gso_layout tunnel = {
	.headroom = 16,
	.tailroom = 16,
	.align = 16,
	.max = 1420,
};

static struct recipe random_recipe(uint64_t *rng)
{
	struct recipe r = {
		.ip4 = pick(rng, 2),
		.proto = pick(rng, 3) ? IPPROTO_TCP : IPPROTO_UDP,
		.host = (uint8_t)next_random(rng),
		.tos = (uint8_t)next_random(rng),
		.ttl = (uint8_t)next_random(rng),
		.flags = (uint8_t)(next_random(rng) | ACK),
		.df = pick(rng, 2),
		.id = (uint16_t)next_random(rng),
		.sport = (uint16_t)next_random(rng),
		.window = (uint16_t)next_random(rng),
		.seq = (uint32_t)next_random(rng),
		.ack = (uint32_t)next_random(rng),
		.tcp_extra = pick(rng, 11) * 4,
		.option = (uint8_t)next_random(rng),
	};

	if (!pick(rng, 4))
		r.ip_extra = r.ip4 ? pick(rng, 11) * 4 : pick(rng, 5) * 8;
	return r;
}

/* Make what the kernel would hand us for @len bytes of payload; returns its length. */
static size_t make_super(const struct recipe *r, size_t len, size_t size,
			 struct virtio_net_hdr *vh)
{
	size_t l4 = recipe_l4(r);
	size_t total = make_packet(super, r, payload, len);
	bool tcp = r->proto == IPPROTO_TCP;

	*vh = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !tcp   ? VIRTIO_NET_HDR_GSO_UDP_L4 :
			    r->ip4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
				     VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = (uint16_t)recipe_headers(r),
		.gso_size = (uint16_t)size,
		.csum_start = (uint16_t)l4,
		.csum_offset = tcp ? 16 : 6,
	};
	if (tcp && r->flags & CWR)
		vh->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	store_be16(super + l4 + vh->csum_offset, naive_pseudo(super, r->proto, total - l4));
	return total;
}

/* What segment @i at @offset must be, made from scratch in @want. */
static size_t make_segment(const struct recipe *r, size_t i, size_t offset, size_t chunk,
			   bool last)
{
	struct recipe s = *r;

	s.id = (uint16_t)(r->id + i);
	s.seq = (uint32_t)(r->seq + offset);
	if (i)
		s.flags &= (uint8_t)~CWR;
	if (!last)
		s.flags &= (uint8_t)~(FIN | PSH);
	return make_packet(want, &s, payload + offset, chunk);
}

static void check_segments(const struct recipe *r, size_t len, size_t size, size_t n)
{
	size_t i, offset = 0;

	expect(n == (len + size - 1) / size);
	for (i = 0; i < n; i++) {
		size_t chunk = min(size, len - offset);
		size_t total = make_segment(r, i, offset, chunk, i == n - 1);

		expect(segs[i].len == total);
		expect(!memcmp(segs[i].data, want, total));
		expect(naive_valid(segs[i].data, total, r->proto));
		offset += chunk;
	}
}

/* Slots follow each other without a gap, padding is zero, room around is untouched. */
static void check_layout(const struct gso_layout *l, size_t n, uint8_t canary)
{
	uint8_t *at = out;
	size_t i, k;

	for (i = 0; i < n; i++) {
		size_t padded = gso_padded(l, segs[i].len);

		expect(segs[i].data == at + l->headroom);
		for (k = 0; k < l->headroom; k++)
			expect(at[k] == canary);
		at += l->headroom;
		for (k = segs[i].len; k < padded; k++)
			expect(at[k] == 0);
		at += padded;
		for (k = 0; k < l->tailroom; k++)
			expect(at[k] == canary);
		at += l->tailroom;
	}
	expect(*at == canary);
}

START_TEST(padding)
{
	static const struct {
		size_t align, max, len, padded;
	} cases[] = {
		/* 0 */ { 16, 1420, 1, 16 },
		/* 1 */ { 16, 1420, 16, 16 },
		/* 2 */ { 16, 1420, 17, 32 },
		/* 3 */ { 16, 1420, 1408, 1408 },
		/* 4 */ { 16, 1420, 1409, 1420 },
		/* 5 */ { 16, 1420, 1420, 1420 },
		/* 6 */ { 16, 1420, 1421, 1421 },
		/* 7 */ { 1, 1420, 77, 77 },
		/* 8 */ { 16, 0, 77, 77 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gso_layout l = { 16, 20, cases[i].align, cases[i].max };

		ck_assert_msg(gso_padded(&l, cases[i].len) == cases[i].padded, "case %zu", i);
		ck_assert_msg(gso_slot(&l, cases[i].len) == cases[i].padded + 36, "case %zu", i);
	}
}
END_TEST

START_TEST(random_super_packets)
{
	uint64_t rng = 5;
	size_t round;

	fill_random(&rng, payload, sizeof(payload));
	for (round = 0; round < 20000; round++) {
		struct gso_layout l = { pick(&rng, 40), pick(&rng, 40), 1u << pick(&rng, 6),
					pick(&rng, 1600) };
		struct recipe r = random_recipe(&rng);
		size_t limit = pick(&rng, 20) ? 6000 : 65535 - recipe_headers(&r);
		size_t len = 1 + pick(&rng, limit);
		size_t size = 1 + len / 200 + pick(&rng, 1500);
		size_t total, i;
		struct virtio_net_hdr vh;
		int n;

		total = make_super(&r, len, size, &vh);
		if (!pick(&rng, 8)) {
			/* A hint that says nothing, and a checksum that was finished before. */
			vh.hdr_len = (uint16_t)next_random(&rng);
			vh.flags = VIRTIO_NET_HDR_F_DATA_VALID;
			vh.csum_start = vh.csum_offset = 0;
		}
		memset(out, 0xa5, total + (len / size + 1) * (200 + l.headroom + l.tailroom));
		for (i = 0; i < 4; i++)
			out[OUT_LEN - 1 - i] = 0xa5;
		n = gso_split(&vh, super, total, &l, out, OUT_LEN, segs, MAX_SEGS);
		expect(n > 0);
		check_segments(&r, len, size, (size_t)n);
		if (round % 8 == 0)
			check_layout(&l, (size_t)n, 0xa5);
	}
}
END_TEST

/* In as many portions as the room makes necessary, the segments are the same. */
START_TEST(portions)
{
	uint64_t rng = 6;
	size_t round;

	fill_random(&rng, payload, sizeof(payload));
	for (round = 0; round < 5000; round++) {
		struct recipe r = random_recipe(&rng);
		size_t len = 1 + pick(&rng, 20000), size = 100 + pick(&rng, 1200);
		size_t n = 0, at = 0, used;
		struct virtio_net_hdr vh;
		size_t total = make_super(&r, len, size, &vh);
		struct gso g;

		expect(gso_begin(&g, &vh, super, total) == 0);
		while (!gso_finished(&g)) {
			size_t k = gso_next(&g, &tunnel, out + at, pick(&rng, 6000), segs + n,
					    pick(&rng, 5), &used);
			expect(k || !used);
			n += k;
			at += used;
		}
		expect(gso_next(&g, &tunnel, out + at, 9999, segs + n, 9, &used) == 0);
		check_segments(&r, len, size, n);
	}
}
END_TEST

START_TEST(no_room)
{
	struct recipe r = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK };
	struct virtio_net_hdr vh;
	size_t total = make_super(&r, 3000, 1000, &vh);
	size_t slot = gso_slot(&tunnel, 1040);

	ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, 3 * slot, segs, 3), 3);
	ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, 3 * slot - 1, segs, 3),
			 -ENOBUFS);
	ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, 3 * slot, segs, 2), -ENOBUFS);
	ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, 0, segs, 3), -ENOBUFS);
}
END_TEST

START_TEST(whole_packets)
{
	uint64_t rng = 7;
	size_t round;

	fill_random(&rng, payload, sizeof(payload));
	for (round = 0; round < 20000; round++) {
		struct recipe r = random_recipe(&rng);
		size_t len = pick(&rng, 1500), l4 = recipe_l4(&r);
		struct virtio_net_hdr vh = { 0 };
		size_t total = make_packet(want, &r, payload, len);

		memcpy(super, want, total);
		if (pick(&rng, 2)) {
			vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
			vh.csum_start = (uint16_t)l4;
			vh.csum_offset = r.proto == IPPROTO_TCP ? 16 : 6;
			store_be16(super + l4 + vh.csum_offset,
				   naive_pseudo(super, r.proto, total - l4));
		}
		expect(gso_split(&vh, super, total, &tunnel, out, OUT_LEN, segs, 1) == 1);
		expect(segs[0].len == total);
		if (vh.flags && r.proto == IPPROTO_TCP && !load_be16(want + l4 + 16))
			continue; /* 0 or 0xffff: both are right */
		expect(!memcmp(segs[0].data, want, total));
	}
}
END_TEST

/* Behind a routing header the pseudo header has an address that only the sender knows. */
START_TEST(routing_header)
{
	struct recipe r = { .proto = IPPROTO_TCP, .flags = ACK, .ip_extra = 24 };
	uint8_t final[16] = { 0x20, 1 };
	struct virtio_net_hdr vh;
	size_t total = make_super(&r, 2000, 1000, &vh);
	size_t i;

	super[6] = IPPROTO_ROUTING;
	memcpy(super + 48, final, 16);
	memcpy(want, super, 40);
	memcpy(want + 24, final, 16);
	store_be16(super + 64 + 16, naive_pseudo(want, IPPROTO_TCP, total - 64));
	ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, OUT_LEN, segs, 2), 2);
	for (i = 0; i < 2; i++)
		ck_assert_uint_eq(naive_sum(naive_pseudo(want, IPPROTO_TCP, 1020),
					    segs[i].data + 64, 1020), 0xffff);
}
END_TEST

/* Each takes a good TCP/IPv4 super-packet and breaks one thing. */
START_TEST(malformed)
{
	enum { VH, PKT4, PKT6 };
	static const struct {
		int what;
		size_t at;
		uint8_t value;
	} cases[] = {
		/* 0 */ { VH, offsetof(struct virtio_net_hdr, gso_type), 2 },
		/* 1 */ { VH, offsetof(struct virtio_net_hdr, gso_type), 3 }, /* UFO */
		/* 2 */ { VH, offsetof(struct virtio_net_hdr, gso_type), 4 }, /* TCP, but IPv6 */
		/* 3 */ { VH, offsetof(struct virtio_net_hdr, gso_type), 5 }, /* UDP */
		/* 4 */ { VH, offsetof(struct virtio_net_hdr, gso_type), 0x80 },
		/* 5 */ { VH, offsetof(struct virtio_net_hdr, gso_type), 0x21 }, /* tunnelled */
		/* 6 */ { VH, offsetof(struct virtio_net_hdr, csum_start), 19 },
		/* 7 */ { VH, offsetof(struct virtio_net_hdr, csum_start), 0 },
		/* 8 */ { VH, offsetof(struct virtio_net_hdr, csum_start) + 1, 0xff },
		/* 9 */ { VH, offsetof(struct virtio_net_hdr, csum_offset), 6 },
		/* 10 */ { PKT4, 0, 0x65 },
		/* 11 */ { PKT4, 0, 0x44 }, /* header of 16 bytes */
		/* 12 */ { PKT4, 0, 0x4f },
		/* 13 */ { PKT4, 6, 0x20 }, /* more fragments */
		/* 14 */ { PKT4, 7, 1 },    /* a later fragment */
		/* 15 */ { PKT4, 9, IPPROTO_UDP },
		/* 16 */ { PKT4, 32, 0x40 }, /* TCP header of 16 bytes */
		/* 17 */ { PKT6, 0, 0x45 },
		/* 18 */ { PKT6, 6, IPPROTO_FRAGMENT },
		/* 19 */ { PKT6, 6, IPPROTO_HOPOPTS },
		/* 20 */ { PKT6, 6, IPPROTO_UDP },
		/* 21 */ { PKT6, 52, 0x40 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct recipe r = { .ip4 = cases[i].what != PKT6, .proto = IPPROTO_TCP,
				    .flags = ACK };
		struct virtio_net_hdr vh;
		size_t total = make_super(&r, 3000, 1000, &vh);

		ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, OUT_LEN, segs, 3), 3);
		if (cases[i].what == VH)
			((uint8_t *)&vh)[cases[i].at] = cases[i].value;
		else
			super[cases[i].at] = cases[i].value;
		ck_assert_msg(gso_split(&vh, super, total, &tunnel, out, OUT_LEN, segs, 3) ==
			      -EINVAL, "case %zu", i);
	}
}
END_TEST

START_TEST(bad_sizes)
{
	struct recipe r = { .ip4 = true, .proto = IPPROTO_TCP, .flags = ACK };
	struct virtio_net_hdr vh, none = { 0 };
	size_t total = make_super(&r, 3000, 1000, &vh);

	vh.gso_size = 0;
	ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, OUT_LEN, segs, 9), -EINVAL);
	vh.gso_size = 1000;
	/* No payload, nothing at all, longer than IP can say. */
	ck_assert_int_eq(gso_split(&vh, super, 40, &tunnel, out, OUT_LEN, segs, 9), -EINVAL);
	ck_assert_int_eq(gso_split(&vh, super, 0, &tunnel, out, OUT_LEN, segs, 9), -EINVAL);
	ck_assert_int_eq(gso_split(&none, super, 0, &tunnel, out, OUT_LEN, segs, 9), -EINVAL);
	ck_assert_int_eq(gso_split(&vh, super, 65536, &tunnel, out, OUT_LEN, segs, 99), -EINVAL);
	ck_assert_int_eq(gso_split(&none, super, 65536 + 40, &tunnel, out, OUT_LEN, segs, 9),
			 -EINVAL);
	ck_assert_int_eq(gso_split(&vh, super, 65535, &tunnel, out, OUT_LEN, segs, 99), 66);
	/* A checksum field that begins inside the packet and ends outside. */
	none.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	none.csum_start = 80;
	none.csum_offset = 19;
	ck_assert_int_eq(gso_split(&none, super, 100, &tunnel, out, OUT_LEN, segs, 9), -EINVAL);
	ck_assert_int_eq(gso_split(&none, super, 101, &tunnel, out, OUT_LEN, segs, 9), 1);
	/* One byte each: as many segments as bytes. */
	vh.gso_size = 1;
	ck_assert_int_eq(gso_split(&vh, super, total, &tunnel, out, OUT_LEN, segs, MAX_SEGS),
			 3000);
}
END_TEST

/* Whatever comes, segments lie within what was given; the sanitizer sees the rest. */
static void try_hostile(const struct virtio_net_hdr *vh, const uint8_t *pkt, size_t len)
{
	enum { ROOM = 8000, SEGS = 20 };
	uint8_t *in = exact_copy(pkt, len);
	uint8_t *room = malloc(ROOM);
	struct span *list = calloc(SEGS, sizeof(*list));
	int i, n;

	n = gso_split(vh, in, len, &tunnel, room, ROOM, list, SEGS);
	expect(n == -EINVAL || n == -ENOBUFS || (n > 0 && n <= SEGS));
	for (i = 0; i < n; i++)
		expect(list[i].data >= room + 16 && list[i].len &&
			  list[i].data + list[i].len + 16 <= room + ROOM);
	free(list);
	free(room);
	free(in);
}

START_TEST(hostile)
{
	static const uint8_t values[] = { 0, 1, 4, 5, 6, 0x0f, 0x11, 0x2b, 0x3c, 0x40, 0x45,
					  0x4f, 0x60, 0x7f, 0x80, 0xf0, 0xff };
	uint64_t rng = 8;
	size_t round, at, i;

	fill_random(&rng, payload, sizeof(payload));
	for (round = 0; round < 25; round++) {
		struct recipe r = random_recipe(&rng);
		struct virtio_net_hdr vh, bad;
		size_t total = make_super(&r, 300 + pick(&rng, 200), 100, &vh);

		for (at = 0; at <= total; at++)
			try_hostile(&vh, super, at);
		for (at = 0; at < recipe_headers(&r) * ARRAY_SIZE(values); at++) {
			uint8_t *byte = &super[at / ARRAY_SIZE(values)];
			uint8_t was = *byte;

			*byte = values[at % ARRAY_SIZE(values)];
			try_hostile(&vh, super, total);
			*byte = was;
		}
		for (at = 0; at < sizeof(vh); at++) {
			for (i = 0; i < 256; i++) {
				bad = vh;
				((uint8_t *)&bad)[at] = (uint8_t)i;
				try_hostile(&bad, super, total);
			}
		}
	}
}
END_TEST

START_TEST(hostile_random)
{
	uint64_t rng = 9;
	size_t round, k;

	for (round = 0; round < 50000; round++) {
		struct recipe r = random_recipe(&rng);
		struct virtio_net_hdr vh;
		size_t total = make_super(&r, 1 + pick(&rng, 300), 1 + pick(&rng, 200), &vh);

		for (k = pick(&rng, 4); k; k--)
			super[pick(&rng, recipe_headers(&r))] = (uint8_t)next_random(&rng);
		for (k = pick(&rng, 3); k; k--)
			((uint8_t *)&vh)[pick(&rng, sizeof(vh))] = (uint8_t)next_random(&rng);
		try_hostile(&vh, super, pick(&rng, total + 1));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gso");
	TCase *tc = tcase_create("gso");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, padding);
	tcase_add_test(tc, random_super_packets);
	tcase_add_test(tc, portions);
	tcase_add_test(tc, no_room);
	tcase_add_test(tc, whole_packets);
	tcase_add_test(tc, routing_header);
	tcase_add_test(tc, malformed);
	tcase_add_test(tc, bad_sizes);
	tcase_add_test(tc, hostile);
	tcase_add_test(tc, hostile_random);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
