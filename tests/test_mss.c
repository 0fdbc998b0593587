/* SPDX-License-Identifier: MIT */
/*
 * The MSS of a SYN, against a slow and obvious reference: the option is sought byte by
 * byte, and all checksums are made anew.
 */
#include <check.h>
#include <stdlib.h>

#include "../src/path/mss.h"
#include "packets.h"

enum { SYN = 2, ACK = 16, RST = 4 };

static const struct recipe syn4 = { .ip4 = true, .proto = IPPROTO_TCP, .host = 5, .ttl = 64,
				    .flags = SYN, .df = true, .id = 7, .sport = 40000,
				    .window = 64240, .seq = 0x12345678 };
static const struct recipe syn6 = { .proto = IPPROTO_TCP, .host = 5, .ttl = 64, .flags = SYN,
				    .sport = 40000, .window = 64240, .seq = 0x12345678 };

/* A packet of the recipe with those bytes for options. Returns its length. */
static size_t build(uint8_t *out, const struct recipe *r, const char *options, size_t len)
{
	struct recipe with = *r;
	size_t n;

	with.tcp_extra = (len + 3) / 4 * 4;
	with.option = 1;
	n = make_packet(out, &with, (const uint8_t *)"", 0);
	memcpy(out + n - with.tcp_extra, options, len);
	naive_finish(out, n, IPPROTO_TCP);
	return n;
}

static bool clamp(uint8_t *packet, size_t len, uint16_t mtu)
{
	struct inner in;

	expect(inner_parse(&in, packet, len));
	return mss_may_be_syn(&in, packet) && mss_clamp(&in, packet, mtu);
}

#define OPTIONS(text) text, sizeof(text) - 1

static const struct {
	const char *options;
	size_t len;
	const char *after; /* in MTU 1280, IPv4: 1240; NULL: as before */
} cases[] = {
	/* 0 */ { OPTIONS("\2\4\5\xb4"), "\2\4\4\xd8" },
	/* 1 */ { OPTIONS("\2\4\4\xd8"), NULL },	/* just that */
	/* 2 */ { OPTIONS("\2\4\4\xd9"), "\2\4\4\xd8" },	/* one more */
	/* 3 */ { OPTIONS("\2\4\2\x18"), NULL },	/* never raised */
	/* 4 */ { OPTIONS("\2\4\0\0"), NULL },
	/* 5 */ { OPTIONS("\2\4\xff\xff"), "\2\4\4\xd8" },
	/* 6 */ { OPTIONS("\1\2\4\5\xb4"), "\1\2\4\4\xd8" },	/* at an odd place */
	/* 7 */ { OPTIONS("\1\1\2\4\5\xb4\1\1"), "\1\1\2\4\4\xd8\1\1" },
	/* 8 */ { OPTIONS("\3\3\7\2\4\5\xb4"), "\3\3\7\2\4\4\xd8" },
	/* 9 */ { OPTIONS("\4\2\10\12abcdefgh\2\4\5\xb4"), "\4\2\10\12abcdefgh\2\4\4\xd8" },
	/* 10 */ { OPTIONS("\2\4\5\xb4\2\4\5\xb5"), "\2\4\4\xd8\2\4\4\xd8" },
	/* 11 */ { OPTIONS("\0\0\0\0\2\4\5\xb4"), NULL },	/* behind the end */
	/* 12 */ { OPTIONS("\2\3\5\xb4"), NULL },		/* of another length */
	/* 13 */ { OPTIONS("\2\5\5\xb4\1\1\1\1"), NULL },
	/* 14 */ { OPTIONS("\1\1\1\2"), NULL },			/* cut short */
	/* 15 */ { OPTIONS("\1\1\2\4"), NULL },
	/* 16 */ { OPTIONS("\1\2\4\5"), NULL },
	/* 17 */ { OPTIONS("\10\0\2\4\5\xb4"), NULL },		/* would never end */
	/* 18 */ { OPTIONS("\10\1\2\4\5\xb4"), NULL },
	/* 19 */ { OPTIONS("\10\377\2\4\5\xb4"), NULL },
	/* 20 */ { OPTIONS(""), NULL },
};

START_TEST(options)
{
	uint8_t packet[128], before[128], *exact;
	size_t len = build(packet, &syn4, cases[_i].options, cases[_i].len);
	bool lowered;

	memcpy(before, packet, len);
	exact = exact_copy(packet, len);
	lowered = clamp(exact, len, 1280);
	ck_assert(lowered == (cases[_i].after != NULL));
	if (!lowered) {
		ck_assert_mem_eq(exact, before, len);
	} else {
		ck_assert(naive_valid(exact, len, IPPROTO_TCP));
		ck_assert_mem_eq(exact + 40, cases[_i].after, cases[_i].len);
		/* nothing else but the checksum */
		memcpy(before + 40, cases[_i].after, cases[_i].len);
		memcpy(before + 36, exact + 36, 2);
		ck_assert_mem_eq(exact, before, len);
	}
	free(exact);
}
END_TEST

/* Which packets are looked at, and what fits into IPv6. */
START_TEST(kinds)
{
	static const char mss[] = "\2\4\5\xb4";
	struct recipe r;
	uint8_t p[256];
	size_t len;

	len = build(p, &syn6, mss, 4);
	ck_assert(clamp(p, len, 1280) && naive_valid(p, len, IPPROTO_TCP));
	ck_assert_uint_eq(load_be16(p + 62), 1220);
	len = build(p, &syn6, mss, 4);
	ck_assert(!clamp(p, len, 1520)); /* 1460 */
	r = syn6;
	r.flags = SYN | ACK;
	len = build(p, &r, mss, 4);
	ck_assert(clamp(p, len, 1400));
	ck_assert_uint_eq(load_be16(p + 62), 1340);
	r.flags = ACK;
	len = build(p, &r, mss, 4);
	ck_assert(!clamp(p, len, 1280));
	r.flags = RST;
	len = build(p, &r, mss, 4);
	ck_assert(!clamp(p, len, 1280));
	r = syn4;
	r.ip_extra = 12;
	len = build(p, &r, mss, 4);
	ck_assert(clamp(p, len, 1280) && naive_valid(p, len, IPPROTO_TCP));
	r.proto = IPPROTO_UDP;
	len = make_packet(p, &r, (const uint8_t *)"..............................", 30);
	ck_assert(!clamp(p, len, 1280));
	/* Destination options in front. */
	r = syn6;
	r.ip_extra = 16;
	len = build(p, &r, mss, 4);
	ck_assert(clamp(p, len, 1280) && naive_valid(p, len, IPPROTO_TCP));
	ck_assert_uint_eq(load_be16(p + 78), 1220);
	/* Less than any header: no overflow. */
	len = build(p, &syn4, mss, 4);
	ck_assert(!clamp(p, len, 40));
	ck_assert(!clamp(p, len, 0));
}
END_TEST

/* Fragments, whose checksum covers what is not here. */
START_TEST(fragments)
{
	static const uint16_t words[] = { 0x2000, 0x0001, 0x2001, 0x1fff };
	uint8_t p[256], before[256];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		len = build(p, &syn4, "\2\4\5\xb4", 4);
		store_be16(p + 6, words[i]);
		memcpy(before, p, len);
		ck_assert(!clamp(p, len, 1280));
		ck_assert_mem_eq(p, before, len);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct recipe r = syn6;

		r.ip_extra = 8;
		len = build(p, &r, "\2\4\5\xb4", 4);
		memset(p + 41, 0, 7);
		p[6] = IPPROTO_FRAGMENT;
		store_be16(p + 42, (uint16_t)i); /* alone, and the first of many */
		memcpy(before, p, len);
		ck_assert(!clamp(p, len, 1280));
		ck_assert_mem_eq(p, before, len);
	}
}
END_TEST

/* A checksum that was wrong stays as wrong as it was. */
START_TEST(wrong_checksum)
{
	uint8_t p[128];
	size_t len = build(p, &syn4, "\1\2\4\5\xb4", 5);
	uint16_t good;

	p[36] ^= 0x40;
	ck_assert(clamp(p, len, 1300));
	ck_assert(!naive_valid(p, len, IPPROTO_TCP));
	p[36] ^= 0x40;
	good = load_be16(p + 36);
	naive_finish(p, len, IPPROTO_TCP);
	ck_assert_uint_eq(load_be16(p + 36), good);
}
END_TEST

/* The reference: where the TCP header stands, by the text of RFC 8200 §4. 0: not found. */
static size_t naive_tcp(const uint8_t *p, size_t len)
{
	size_t at = 40;
	uint8_t next = p[6];

	if (p[0] >> 4 == 4)
		return p[9] == 6 && (p[0] & 15) >= 5 && !(p[6] & 0x3f) && !p[7] ? (p[0] & 15) * 4u
									      : 0;
	while (next == 0 || next == 43 || next == 60 || next == 51) {
		bool auth = next == 51;

		if (at + 8 > len)
			return 0;
		next = p[at];
		at += auth ? (p[at + 1] + 2u) * 4 : (p[at + 1] + 1u) * 8;
	}
	return next == 6 ? at : 0;
}

static void naive_clamp(uint8_t *p, size_t len, unsigned mss)
{
	size_t l4 = naive_tcp(p, len), end, i;
	size_t claimed = p[0] >> 4 == 4 ? load_be16(p + 2) : load_be16(p + 4) + 40u;

	len = claimed;
	if (!l4 || l4 + 20 > len || !(p[l4 + 13] & SYN))
		return;
	end = l4 + (size_t)(p[l4 + 12] >> 4) * 4;
	if (end < l4 + 20 || end > len)
		return;
	for (i = l4 + 20; i < end && p[i];) {
		uint32_t old_sum, sum = 0;
		uint8_t value[4] = { 0 }, was[4] = { 0 };

		if (p[i] == 1) {
			i++;
			continue;
		}
		if (i + 1 >= end || p[i + 1] < 2 || i + p[i + 1] > end)
			return;
		if (p[i] == 2 && p[i + 1] == 4 && (unsigned)(p[i + 2] << 8 | p[i + 3]) > mss) {
			size_t odd = (i + 2 - l4) & 1;

			/* the sum without the old bytes and with the new, each at its place */
			memcpy(was + odd, p + i + 2, 2);
			store_be16(value + odd, (uint16_t)mss);
			old_sum = (uint16_t)~load_be16(p + l4 + 16);
			sum = old_sum + (uint16_t)~naive_sum(0, was, 4) + naive_sum(0, value, 4);
			while (sum > 0xffff)
				sum = (sum & 0xffff) + (sum >> 16);
			store_be16(p + l4 + 16, (uint16_t)~sum);
			store_be16(p + i + 2, (uint16_t)mss);
		}
		i += p[i + 1];
	}
}

/* Headers and options at random; *good: nothing but the options is strange. */
static size_t make_random(uint8_t *p, uint64_t *seed, bool *good)
{
	struct recipe r = pick(seed, 2) ? syn4 : syn6;
	size_t len, at;

	r.flags = pick(seed, 4) ? SYN : (uint8_t)next_random(seed);
	r.ip_extra = (r.ip4 ? 4 : 8) * pick(seed, 4);
	r.tcp_extra = 4 * pick(seed, 11);
	r.option = 1;
	len = make_packet(p, &r, (const uint8_t *)"", 0);
	at = len - r.tcp_extra;
	while (at < len) {
		switch (pick(seed, 5)) {
		case 0:
			p[at++] = 1;
			break;
		case 1:
			if (at + 4 <= len) {
				p[at] = 2;
				p[at + 1] = 4;
				fill_random(seed, p + at + 2, 2);
			}
			at += 4;
			break;
		case 2:
			p[at++] = (uint8_t)pick(seed, 10);
			break;
		default:
			p[at++] = (uint8_t)next_random(seed);
		}
	}
	naive_finish(p, len, IPPROTO_TCP);
	*good = pick(seed, 3);
	if (!*good)
		p[pick(seed, len)] ^= (uint8_t)(1 << pick(seed, 8));
	return len;
}

START_TEST(at_random)
{
	uint64_t seed = 4242;
	unsigned lowered = 0;

	for (unsigned i = 0; i < 300000; i++) {
		uint16_t mtu = (uint16_t)(576 + pick(&seed, 1000));
		uint8_t p[256], reference[256], *exact;
		bool good;
		size_t len = make_random(p, &seed, &good);
		struct inner in;

		if (!inner_parse(&in, p, len))
			continue;
		memcpy(reference, p, len);
		naive_clamp(reference, len, mtu - (in.family == AF_INET ? 40 : 60));
		exact = exact_copy(p, len);
		lowered += clamp(exact, len, mtu);
		expect(!memcmp(exact, reference, len));
		if (good)
			expect(naive_valid(exact, len, IPPROTO_TCP));
		free(exact);
	}
	ck_assert_uint_gt(lowered, 30000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mss");
	TCase *tc = tcase_create("mss");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, options, 0, ARRAY_SIZE(cases));
	tcase_add_test(tc, kinds);
	tcase_add_test(tc, fragments);
	tcase_add_test(tc, wrong_checksum);
	tcase_add_test(tc, at_random);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
