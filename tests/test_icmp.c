/* SPDX-License-Identifier: MIT */
/* ICMP errors: which packets get one, and that it is right to the last bit. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

#include "../src/path/icmp.h"
#include "packets.h"

static const struct {
	const char *src, *dst;
	uint8_t proto;
	int first; /* byte of the payload: type of ICMP; -1: there is none */
	uint16_t fragment; /* of IPv4: flags and offset; of IPv6: the same word of the header */
	bool answered;
} cases[] = {
	/* 0 */ { "192.0.2.1", "198.51.100.1", IPPROTO_UDP, 0, 0, true },
	/* 1 */ { "192.0.2.1", "198.51.100.1", IPPROTO_TCP, 0, 0, true },
	/* 2 */ { "192.0.2.1", "198.51.100.1", IPPROTO_UDP, -1, 0, true },
	/* 3 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 8, 0, true },   /* echo */
	/* 4 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 0, 0, true },   /* its answer */
	/* 5 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 3, 0, false },  /* unreachable */
	/* 6 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 4, 0, false },
	/* 7 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 5, 0, false },  /* redirect */
	/* 8 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 11, 0, false }, /* time exceeded */
	/* 9 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 12, 0, false },
	/* 10 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 255, 0, false },
	/* 11 */ { "192.0.2.1", "198.51.100.1", IPPROTO_ICMP, -1, 0, false }, /* who knows */
	/* 12 */ { "192.0.2.1", "198.51.100.1", IPPROTO_UDP, 0, 0x4000, true },  /* DF */
	/* 13 */ { "192.0.2.1", "198.51.100.1", IPPROTO_UDP, 0, 0x2000, true },  /* the first */
	/* 14 */ { "192.0.2.1", "198.51.100.1", IPPROTO_UDP, 0, 0x2001, false },
	/* 15 */ { "192.0.2.1", "198.51.100.1", IPPROTO_UDP, 0, 0x0100, false },
	/* 16 */ { "192.0.2.1", "224.0.0.1", IPPROTO_UDP, 0, 0, false },
	/* 17 */ { "192.0.2.1", "255.255.255.255", IPPROTO_UDP, 0, 0, false },
	/* 18 */ { "0.0.0.0", "198.51.100.1", IPPROTO_UDP, 0, 0, false },
	/* 19 */ { "239.1.1.1", "198.51.100.1", IPPROTO_UDP, 0, 0, false },
	/* 20 */ { "255.255.255.255", "198.51.100.1", IPPROTO_UDP, 0, 0, false },
	/* 21 */ { "2001:db8::1", "2001:db8::2", IPPROTO_UDP, 0, 0, true },
	/* 22 */ { "2001:db8::1", "2001:db8::2", IPPROTO_NONE, -1, 0, true },
	/* 23 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, 128, 0, true },
	/* 24 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, 129, 0, true },
	/* 25 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, 1, 0, false },
	/* 26 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, 2, 0, false },
	/* 27 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, 3, 0, false },
	/* 28 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, 127, 0, false },
	/* 29 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, 137, 0, false }, /* redirect */
	/* 30 */ { "2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6, -1, 0, false },
	/* 31 */ { "2001:db8::1", "2001:db8::2", IPPROTO_FRAGMENT, 17, 1, true }, /* the first */
	/* 32 */ { "2001:db8::1", "2001:db8::2", IPPROTO_FRAGMENT, 17, 9, false },
	/* 33 */ { "2001:db8::1", "2001:db8::2", IPPROTO_FRAGMENT, -1, 0, false },
	/* 34 */ { "2001:db8::1", "ff02::1", IPPROTO_UDP, 0, 0, false },
	/* 35 */ { "2001:db8::1", "ff0e::1234", IPPROTO_UDP, 0, 0, false },
	/* 36 */ { "::", "2001:db8::2", IPPROTO_UDP, 0, 0, false },
	/* 37 */ { "ff02::1", "2001:db8::2", IPPROTO_UDP, 0, 0, false },
};

/* Length of the packet, whose payload is n bytes, or none. */
static size_t build(uint8_t *out, unsigned i, size_t n)
{
	bool ip4 = !strchr(cases[i].src, ':');
	size_t header = ip4 ? 20 : 40;

	memset(out, 0x5a, header + n);
	if (cases[i].first < 0)
		n = 0;
	else
		out[header] = (uint8_t)cases[i].first;
	if (ip4) {
		out[0] = 0x45;
		store_be16(out + 2, (uint16_t)(header + n));
		store_be16(out + 6, cases[i].fragment);
		out[9] = cases[i].proto;
		ck_assert_int_eq(inet_pton(AF_INET, cases[i].src, out + 12), 1);
		ck_assert_int_eq(inet_pton(AF_INET, cases[i].dst, out + 16), 1);
	} else {
		out[0] = 0x60;
		store_be16(out + 4, (uint16_t)n);
		out[6] = cases[i].proto;
		ck_assert_int_eq(inet_pton(AF_INET6, cases[i].src, out + 8), 1);
		ck_assert_int_eq(inet_pton(AF_INET6, cases[i].dst, out + 24), 1);
		if (cases[i].proto == IPPROTO_FRAGMENT && n)
			store_be16(out + 42, cases[i].fragment);
	}
	return header + n;
}

/* head: type, code, and the four bytes behind the checksum. */
static void check_error4(const uint8_t *error, size_t len, const uint8_t *packet, size_t quoted,
			 const uint8_t head[6])
{
	ck_assert_uint_eq(len, 28 + quoted);
	ck_assert_uint_le(len, 576); /* RFC 1812 §4.3.2.3 */
	ck_assert_uint_eq(error[0], 0x45);
	ck_assert_uint_eq(load_be16(error + 2), len);
	ck_assert_uint_eq(naive_sum(0, error, 20), 0xffff);
	ck_assert_uint_ge(error[8], 32);
	ck_assert_uint_eq(error[9], IPPROTO_ICMP);
	ck_assert_mem_eq(error + 12, packet + 16, 4);
	ck_assert_mem_eq(error + 16, packet + 12, 4);
	ck_assert_mem_eq(error + 20, head, 2);
	ck_assert_mem_eq(error + 24, head + 2, 4);
	ck_assert_uint_eq(naive_sum(0, error + 20, len - 20), 0xffff);
	ck_assert_mem_eq(error + 28, packet, quoted);
}

static void check_error6(const uint8_t *error, size_t len, const uint8_t *packet, size_t quoted,
			 const uint8_t head[6])
{
	ck_assert_uint_eq(len, 48 + quoted);
	ck_assert_uint_le(len, 1280); /* RFC 4443 §2.4 (c) */
	ck_assert_uint_eq(error[0], 0x60);
	ck_assert_uint_eq(load_be16(error + 4), len - 40);
	ck_assert_uint_eq(error[6], IPPROTO_ICMPV6);
	ck_assert_uint_ge(error[7], 32);
	ck_assert_mem_eq(error + 8, packet + 24, 16);
	ck_assert_mem_eq(error + 24, packet + 8, 16);
	ck_assert_mem_eq(error + 40, head, 2);
	ck_assert_mem_eq(error + 44, head + 2, 4);
	ck_assert_uint_eq(naive_sum(naive_pseudo(error, IPPROTO_ICMPV6, len - 40), error + 40,
				    len - 40), 0xffff);
	ck_assert_mem_eq(error + 48, packet, quoted);
}

START_TEST(table)
{
	static const size_t sizes[] = { 8, 9, 100, 527, 528, 529, 1191, 1192, 1193, 1460 };
	/* unreachable; prohibited; and too big: RFC 1191 §4, RFC 4443 §3.2 */
	static const uint8_t heads4[][6] = { { 3, 1 }, { 3, 13 },
					     { 3, 4, 0, 0, 1380 >> 8, 1380 & 255 } };
	static const uint8_t heads6[][6] = { { 1, 3 }, { 1, 1 },
					     { 2, 0, 0, 0, 1380 >> 8, 1380 & 255 } };
	uint8_t packet[1600], out[ICMP_ERROR_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t len = build(packet, (unsigned)_i, sizes[i]);
		uint8_t *exact = exact_copy(packet, len);
		struct inner in;
		size_t n;

		ck_assert(inner_parse(&in, exact, len));
		for (unsigned k = 0; k < 3; k++) {
			n = k == 2 ? icmp_too_big(out, &in, exact, len, 1380) :
			    k == 1 ? icmp_prohibited(out, &in, exact, len) :
				     icmp_unreachable(out, &in, exact, len);
			ck_assert_msg(!n == !cases[_i].answered, "%zu bytes", n);
			if (n && in.family == AF_INET)
				check_error4(out, n, packet, min(len, (size_t)576 - 28),
					     heads4[k]);
			else if (n)
				check_error6(out, n, packet, min(len, (size_t)1280 - 48),
					     heads6[k]);
		}
		free(exact);
	}
}
END_TEST

/* An IPv4 header length that points anywhere: never read beyond the packet. */
START_TEST(header_lengths)
{
	uint8_t packet[64], out[ICMP_ERROR_MAX];

	for (size_t len = 20; len <= sizeof(packet); len++) {
		for (uint8_t ihl = 0; ihl < 16; ihl++) {
			struct inner in;
			uint8_t *exact;

			build(packet, 3, sizeof(packet) - 20);
			packet[0] = 0x40 | ihl;
			store_be16(packet + 2, (uint16_t)len);
			exact = exact_copy(packet, len);
			ck_assert(inner_parse(&in, exact, len));
			(void)icmp_unreachable(out, &in, exact, len);
			free(exact);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("icmp");
	TCase *tc = tcase_create("icmp");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, table, 0, ARRAY_SIZE(cases));
	tcase_add_test(tc, header_lengths);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
