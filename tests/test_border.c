/* SPDX-License-Identifier: MIT */
/* border: what a tenant may send, packet by packet; everything that it may try is a row. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>

#include "../src/path/border.h"
#include "packets.h"
#include "rcu_fixture.h"

static struct datapath dp;
static struct peer tenant, other, prefixes;

static struct prefix prefix_of(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return p;
}

static void give(struct peer *peer, const char *text)
{
	struct prefix p = prefix_of(text);

	border_prefix_added(&dp, peer, &p);
	ck_assert_int_eq(allowedips_insert(&dp.allowedips, &p, peer, NULL), 0);
}

static void own(const char *a, const char *b)
{
	struct prefix list[2] = { prefix_of(a), prefix_of(b) };

	ck_assert_int_eq(border_set_own(&dp, list, 2), 0);
}

/* The tenant has two addresses; another one a whole prefix of either family, and nearly all. */
static void setup(void)
{
	rcu_setup();
	memset(&dp, 0, sizeof(dp));
	memset(&tenant, 0, sizeof(tenant));
	memset(&other, 0, sizeof(other));
	memset(&prefixes, 0, sizeof(prefixes));
	dp.gateway = true;
	allowedips_init(&dp.allowedips);
	own("192.0.2.1", "2001:db8::1");
	give(&tenant, "192.0.2.5");
	give(&tenant, "2001:db8::5");
	give(&other, "192.0.2.6");
	give(&other, "2001:db8::6");
	give(&prefixes, "0.0.0.0/0");
	give(&prefixes, "::/0");
}

static void teardown(void)
{
	ck_assert_int_eq(border_set_own(&dp, NULL, 0), 0);
	allowedips_free(&dp.allowedips);
	rcu_teardown();
}

/* Sends the packet of len bytes, with nothing that could be read behind them. */
static enum drop_reason fate(const struct peer *from, const uint8_t *packet, size_t len)
{
	uint8_t *exact = exact_copy(packet, len);
	enum drop_reason reason = DROP_INNER_MALFORMED;
	struct inner in;

	if (inner_parse(&in, exact, len))
		reason = border_check(&dp, from, &in, exact);
	free(exact);
	return reason;
}

#define PASSES DROP_REASON_COUNT

static void expect_fate(unsigned row, enum drop_reason got, enum drop_reason wanted)
{
	if (got != wanted)
		ck_abort_msg("row %u: %s, wanted %s", row,
			     got == PASSES ? "passes" : drop_name(got),
			     wanted == PASSES ? "passes" : drop_name(wanted));
}

/* An IPv6 header and so many bytes; its payload is the n bytes at payload. */
static size_t build6(uint8_t *out, const char *src, const char *dst, uint8_t next,
		     const uint8_t *payload, size_t n)
{
	memset(out, 0, 40);
	out[0] = 0x60;
	store_be16(out + 4, (uint16_t)n);
	out[6] = next;
	out[7] = 255;
	ck_assert_int_eq(inet_pton(AF_INET6, src, out + 8), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, dst, out + 24), 1);
	memcpy(out + 40, payload, n);
	return 40 + n;
}

/* The same; options stand between header and payload. */
static size_t build4(uint8_t *out, const char *src, const char *dst, uint8_t proto,
		     const uint8_t *options, size_t n_options, const uint8_t *payload, size_t n)
{
	memset(out, 0, 20);
	out[0] = (uint8_t)(0x45 + n_options / 4);
	store_be16(out + 2, (uint16_t)(20 + n_options + n));
	out[8] = 64;
	out[9] = proto;
	ck_assert_int_eq(inet_pton(AF_INET, src, out + 12), 1);
	ck_assert_int_eq(inet_pton(AF_INET, dst, out + 16), 1);
	memcpy(out + 20, options, n_options);
	memcpy(out + 20 + n_options, payload, n);
	return 20 + n_options + n;
}

static size_t build(uint8_t *out, const char *src, const char *dst)
{
	static const uint8_t udp[8];

	return strchr(src, ':') ? build6(out, src, dst, IPPROTO_UDP, udp, 8)
				: build4(out, src, dst, IPPROTO_UDP, udp, 0, udp, 8);
}

/* Where to. */
static const struct {
	const char *dst;
	enum drop_reason fate;
} destinations[] = {
	/* 0 */ { "8.8.8.8", PASSES },
	/* 1 */ { "192.0.2.1", PASSES }, /* the gateway */
	/* 2 */ { "192.0.2.6", PASSES },
	/* 3 */ { "127.0.0.1", DROP_LINK_SCOPE },
	/* 4 */ { "127.255.255.255", DROP_LINK_SCOPE },
	/* 5 */ { "128.0.0.1", PASSES },
	/* 6 */ { "0.0.0.0", DROP_LINK_SCOPE },
	/* 7 */ { "0.1.2.3", DROP_LINK_SCOPE },
	/* 8 */ { "169.254.169.254", DROP_LINK_SCOPE }, /* a cloud's metadata, of the gateway */
	/* 9 */ { "169.253.0.1", PASSES },
	/* 10 */ { "224.0.0.1", DROP_LINK_SCOPE },
	/* 11 */ { "224.0.0.251", DROP_LINK_SCOPE },
	/* 12 */ { "224.0.1.1", PASSES },
	/* 13 */ { "239.1.1.1", PASSES },
	/* 14 */ { "255.255.255.255", DROP_LINK_SCOPE },
	/* 15 */ { "2001:db8:1::1", PASSES },
	/* 16 */ { "2001:db8::1", PASSES },
	/* 17 */ { "::", DROP_LINK_SCOPE },
	/* 18 */ { "::1", DROP_LINK_SCOPE },
	/* 19 */ { "::ffff:192.0.2.6", DROP_LINK_SCOPE },
	/* 20 */ { "::192.0.2.6", DROP_LINK_SCOPE },
	/* 21 */ { "64:ff9b::192.0.2.6", PASSES },
	/* 22 */ { "0:0:0:0:1::", PASSES },
	/* 23 */ { "fe80::1", DROP_LINK_SCOPE },
	/* 24 */ { "febf:ffff::1", DROP_LINK_SCOPE },
	/* 25 */ { "fec0::1", PASSES },
	/* 26 */ { "fd00::1", PASSES },
	/* 27 */ { "ff01::1", DROP_LINK_SCOPE },
	/* 28 */ { "ff02::1", DROP_LINK_SCOPE },
	/* 29 */ { "ff02::1:ff00:1", DROP_LINK_SCOPE },
	/* 30 */ { "ff12::1", DROP_LINK_SCOPE },
	/* 31 */ { "ff05::1", PASSES },
	/* 32 */ { "ff0e::1", PASSES },
};

START_TEST(destination)
{
	uint8_t packet[64];
	bool ip4 = !strchr(destinations[_i].dst, ':');
	size_t len = build(packet, ip4 ? "192.0.2.5" : "2001:db8::5", destinations[_i].dst);

	expect_fate((unsigned)_i, fate(&tenant, packet, len), destinations[_i].fate);
	/* Nothing of it depends on whether addresses are looked at. */
	len = build(packet, ip4 ? "10.0.0.1" : "2001:db8:5::1", destinations[_i].dst);
	expect_fate((unsigned)_i, fate(&prefixes, packet, len), destinations[_i].fate);
}
END_TEST

/* Where from, of who has all addresses that are no other tenant's. */
static const struct {
	const char *src;
	enum drop_reason fate;
} sources[] = {
	/* 0 */ { "10.0.0.1", PASSES },
	/* 1 */ { "192.0.2.1", DROP_SOURCE_NOT_ALLOWED }, /* the gateway */
	/* 2 */ { "192.0.2.2", PASSES },
	/* 3 */ { "127.0.0.1", DROP_SOURCE_NOT_ALLOWED },
	/* 4 */ { "0.0.0.0", DROP_SOURCE_NOT_ALLOWED },
	/* 5 */ { "169.254.1.1", DROP_SOURCE_NOT_ALLOWED },
	/* 6 */ { "224.0.0.1", DROP_SOURCE_NOT_ALLOWED },
	/* 7 */ { "239.1.1.1", DROP_SOURCE_NOT_ALLOWED },
	/* 8 */ { "240.0.0.1", DROP_SOURCE_NOT_ALLOWED },
	/* 9 */ { "255.255.255.255", DROP_SOURCE_NOT_ALLOWED },
	/* 10 */ { "223.255.255.255", PASSES },
	/* 11 */ { "2001:db8:5::1", PASSES },
	/* 12 */ { "2001:db8::1", DROP_SOURCE_NOT_ALLOWED },
	/* 13 */ { "2001:db8::2", PASSES },
	/* 14 */ { "::", DROP_SOURCE_NOT_ALLOWED },
	/* 15 */ { "::1", DROP_SOURCE_NOT_ALLOWED },
	/* 16 */ { "::ffff:10.0.0.1", DROP_SOURCE_NOT_ALLOWED },
	/* 17 */ { "::10.0.0.1", DROP_SOURCE_NOT_ALLOWED },
	/* 18 */ { "fe80::1", DROP_SOURCE_NOT_ALLOWED },
	/* 19 */ { "ff02::1", DROP_SOURCE_NOT_ALLOWED },
	/* 20 */ { "ff0e::1", DROP_SOURCE_NOT_ALLOWED },
	/* 21 */ { "fd00::1", PASSES },
};

START_TEST(source)
{
	uint8_t packet[64];
	size_t len = build(packet, sources[_i].src,
			   strchr(sources[_i].src, ':') ? "2001:db8:1::1" : "8.8.8.8");

	expect_fate((unsigned)_i, fate(&prefixes, packet, len), sources[_i].fate);
}
END_TEST

/* Addresses of the machine come and go; prefixes lie within each other. */
START_TEST(own_addresses)
{
	uint8_t packet[64];
	size_t len = build(packet, "2001:db8:7::1", "2001:db8:1::1");

	memset(&tenant, 0, sizeof(tenant));
	give(&tenant, "2001:db8:7::/48");
	expect_fate(0, fate(&tenant, packet, len), PASSES);
	own("192.0.2.1", "2001:db8:7::1");
	ck_assert(border_is_own(&dp, AF_INET6, packet + 8));
	expect_fate(1, fate(&tenant, packet, len), DROP_SOURCE_NOT_ALLOWED);
	own("192.0.2.1", "2001:db8:7::2");
	ck_assert(!border_is_own(&dp, AF_INET6, packet + 8));
	expect_fate(2, fate(&tenant, packet, len), PASSES);
	/* It gets the prefix after the machine has the address. */
	memset(&other, 0, sizeof(other));
	own("192.0.2.1", "2001:db8:7:7::1");
	give(&other, "2001:db8:7:7::/64");
	len = build(packet, "2001:db8:7:7::1", "2001:db8:1::1");
	expect_fate(3, fate(&other, packet, len), DROP_SOURCE_NOT_ALLOWED);
	/* And it in whose prefix the other one's lies, when that one is gone. */
	expect_fate(4, fate(&tenant, packet, len), DROP_SOURCE_NOT_ALLOWED);
}
END_TEST

/* However many they are, each is found, and no other. */
START_TEST(many_own_addresses)
{
	static struct prefix list[3000];
	uint64_t state = 3;

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		uint8_t addr[16] = { 0x20, 0x01 };

		fill_random(&state, addr + 2, i % 2 ? 2 : 14);
		list[i] = prefix_host(i % 2 ? AF_INET : AF_INET6, addr);
	}
	ck_assert_int_eq(border_set_own(&dp, list, ARRAY_SIZE(list)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		expect(border_is_own(&dp, list[i].family, list[i].addr));
		list[i].addr[0] = 0x30;
		expect(!border_is_own(&dp, list[i].family, list[i].addr));
	}
}
END_TEST

/* What stands behind the IPv6 header. */
#define BYTES(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })
#define EMPTY8(next) next, 0, 1, 4, 0, 0, 0, 0 /* an extension header, all padding */
#define ICMP6(type) type, 0, 0, 0, 0, 0, 0, 0

static const struct {
	uint8_t next;
	uint8_t payload[96];
	size_t n;
	enum drop_reason fate;
} chains[] = {
	/* 0: echo and its answer; unreachable, too big, time exceeded, parameter problem */
	{ 58, BYTES(ICMP6(128)), PASSES },
	{ 58, BYTES(ICMP6(129)), PASSES },
	{ 58, BYTES(ICMP6(1)), PASSES },
	{ 58, BYTES(ICMP6(2)), PASSES },
	{ 58, BYTES(ICMP6(3)), PASSES },
	{ 58, BYTES(ICMP6(4)), PASSES },
	/* 6: listeners; router solicitation, advertisement; neighbour; redirect */
	{ 58, BYTES(ICMP6(130)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(131)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(132)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(133)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(134)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(135)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(136)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(137)), DROP_LINK_SCOPE },
	/* 14 */
	{ 58, BYTES(ICMP6(138)), PASSES },
	{ 58, BYTES(ICMP6(141)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(143)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(148)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(149)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(151)), DROP_LINK_SCOPE },
	{ 58, BYTES(ICMP6(154)), PASSES },
	/* 21: behind each header that may stand before it, and behind many */
	{ 0, BYTES(EMPTY8(58), ICMP6(134)), DROP_LINK_SCOPE },
	{ 60, BYTES(EMPTY8(58), ICMP6(134)), DROP_LINK_SCOPE },
	{ 43, BYTES(58, 0, 2, 0, 0, 0, 0, 0, ICMP6(134)), DROP_LINK_SCOPE },
	{ 44, BYTES(58, 0, 0, 0, 0, 0, 0, 0, ICMP6(134)), DROP_LINK_SCOPE }, /* atomic */
	{ 44, BYTES(58, 0, 0, 1, 0, 0, 0, 0, ICMP6(134)), DROP_LINK_SCOPE }, /* the first */
	{ 44, BYTES(58, 0, 0, 8, 0, 0, 0, 0, ICMP6(134)), PASSES },          /* another */
	{ 51, BYTES(58, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ICMP6(134)), DROP_LINK_SCOPE },
	{ 0, BYTES(EMPTY8(60), EMPTY8(60), EMPTY8(60), EMPTY8(60), EMPTY8(60), EMPTY8(60),
		   EMPTY8(60), EMPTY8(58), ICMP6(137)), DROP_LINK_SCOPE },
	{ 0, BYTES(EMPTY8(60), EMPTY8(60), EMPTY8(60), EMPTY8(60), EMPTY8(60), EMPTY8(60),
		   EMPTY8(60), EMPTY8(58), ICMP6(128)), PASSES },
	/* 30: hop-by-hop where it must not be; the host's to refuse */
	{ 0, BYTES(EMPTY8(0), EMPTY8(0), EMPTY8(0), EMPTY8(0), EMPTY8(0), EMPTY8(0), EMPTY8(0),
		   EMPTY8(17), 0, 0, 0, 0), PASSES },
	/* 31: ends within a header, or points behind the end */
	{ 0, BYTES(58, 0, 1, 4, 0, 0, 0), DROP_INNER_MALFORMED },
	{ 0, BYTES(58, 1, 1, 4, 0, 0, 0, 0), DROP_INNER_MALFORMED },
	{ 0, BYTES(60, 255, 1, 4, 0, 0, 0, 0, ICMP6(128)), DROP_INNER_MALFORMED },
	{ 44, BYTES(58, 0, 0, 1), DROP_INNER_MALFORMED },
	{ 58, { 0 }, 0, DROP_INNER_MALFORMED },
	{ 0, { 0 }, 0, DROP_INNER_MALFORMED }, /* how a jumbogram looks (RFC 2675) */
	/* 37: the end of the chain is in another fragment: RFC 7112 */
	{ 44, BYTES(60, 0, 0, 1, 0, 0, 0, 0), DROP_INNER_MALFORMED },
	/* 38: nothing is something, and so is what we do not know */
	{ 59, { 0 }, 0, PASSES },
	{ 59, BYTES(1, 2, 3), PASSES },
	{ 132, { 0 }, 0, PASSES },
	{ 50, BYTES(1, 2, 3, 4, 5, 6, 7, 8), PASSES },
	/* 42: routing headers: type 0 never, used up or not; segment routing is another */
	{ 43, BYTES(17, 2, 0, 1, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		    6), DROP_SOURCE_ROUTE },
	{ 43, BYTES(17, 0, 0, 0, 0, 0, 0, 0), DROP_SOURCE_ROUTE },
	{ 60, BYTES(EMPTY8(43), 17, 0, 0, 0, 0, 0, 0, 0), DROP_SOURCE_ROUTE },
	{ 43, BYTES(17, 0, 4, 0, 0, 0, 0, 0, 0), PASSES },
};

START_TEST(chain)
{
	uint8_t packet[160];
	size_t len = build6(packet, "2001:db8::5", "2001:db8:1::1", chains[_i].next,
			    chains[_i].payload, chains[_i].n);

	expect_fate((unsigned)_i, fate(&tenant, packet, len), chains[_i].fate);
}
END_TEST

static const struct {
	uint8_t proto;
	uint8_t options[12];
	size_t n_options;
	uint8_t type;  /* first byte of the payload */
	uint16_t fragment;
	enum drop_reason fate;
} packets4[] = {
	/* 0 */ { 1, { 0 }, 0, 8, 0, PASSES },
	/* 1 */ { 1, { 0 }, 0, 3, 0, PASSES },
	/* 2 */ { 1, { 0 }, 0, 5, 0, DROP_LINK_SCOPE },       /* redirect */
	/* 3 */ { 1, { 0 }, 0, 9, 0, DROP_LINK_SCOPE },       /* RFC 1256 */
	/* 4 */ { 1, { 0 }, 0, 10, 0, DROP_LINK_SCOPE },
	/* 5 */ { 1, { 0 }, 0, 5, 0x2000, DROP_LINK_SCOPE },  /* first fragment */
	/* 6 */ { 1, { 0 }, 0, 5, 0x2001, PASSES },           /* not the first */
	/* 7 */ { 1, { 1, 1, 1, 0 }, 4, 5, 0, DROP_LINK_SCOPE },
	/* 8 */ { 2, { 0 }, 0, 0x16, 0, DROP_LINK_SCOPE },    /* IGMP */
	/* 9 */ { 17, { 131, 7, 4, 8, 8, 8, 8, 0 }, 8, 0, 0, DROP_SOURCE_ROUTE },
	/* 10 */ { 17, { 137, 7, 4, 8, 8, 8, 8, 0 }, 8, 0, 0, DROP_SOURCE_ROUTE },
	/* 11 */ { 17, { 1, 131, 3, 4 }, 4, 0, 0, DROP_SOURCE_ROUTE },
	/* 12 */ { 17, { 0, 131, 3, 4 }, 4, 0, 0, PASSES },   /* behind the end */
	/* 13 */ { 17, { 7, 7, 4, 0, 0, 0, 0, 0 }, 8, 0, 0, PASSES }, /* record route */
	/* 14 */ { 17, { 148, 4, 0, 0 }, 4, 0, 0, PASSES },   /* router alert */
	/* 15 */ { 17, { 7, 1, 4, 0 }, 4, 0, 0, DROP_INNER_MALFORMED },
	/* 16 */ { 17, { 7, 0, 4, 0 }, 4, 0, 0, DROP_INNER_MALFORMED },
	/* 17 */ { 17, { 7, 5, 4, 0 }, 4, 0, 0, DROP_INNER_MALFORMED },
	/* 18 */ { 17, { 1, 1, 1, 131 }, 4, 0, 0, DROP_INNER_MALFORMED },
	/* 19 */ { 6, { 131, 255, 4, 0 }, 4, 0, 0, DROP_INNER_MALFORMED },
};

START_TEST(packet4)
{
	uint8_t packet[64], payload[8] = { packets4[_i].type };
	size_t len = build4(packet, "192.0.2.5", "8.8.8.8", packets4[_i].proto,
			    packets4[_i].options, packets4[_i].n_options, payload, 8);

	store_be16(packet + 6, packets4[_i].fragment);
	expect_fate((unsigned)_i, fate(&tenant, packet, len), packets4[_i].fate);
}
END_TEST

/* A header length that points anywhere. */
START_TEST(header_length4)
{
	uint8_t packet[64] = { 0 };

	for (size_t len = 20; len <= sizeof(packet); len++) {
		for (uint8_t ihl = 0; ihl < 16; ihl++) {
			build(packet, "192.0.2.5", "8.8.8.8");
			packet[0] = 0x40 | ihl;
			store_be16(packet + 2, (uint16_t)len);
			expect_fate(ihl, fate(&tenant, packet, len),
				    ihl < 5 || ihl * 4u > len ? DROP_INNER_MALFORMED : PASSES);
		}
	}
}
END_TEST

/* Any bytes: nothing is read that is not there (AddressSanitizer), and it comes to an end. */
START_TEST(any_bytes)
{
	static const uint8_t headers[] = { 0, 6, 17, 43, 44, 50, 51, 58, 59, 60 };
	uint64_t state = 7;
	uint8_t packet[200];

	for (unsigned i = 0; i < 200000; i++) {
		size_t len = 40 + pick(&state, 160);

		fill_random(&state, packet, sizeof(packet));
		packet[0] = (uint8_t)((pick(&state, 2) ? 0x60 : 0x40) | (packet[0] & 15));
		store_be16(packet + (packet[0] >> 4 == 6 ? 4 : 2),
			   (uint16_t)(packet[0] >> 4 == 6 ? len - 40 : len));
		packet[6] = headers[pick(&state, sizeof(headers))];
		for (size_t at = 40; at + 8 <= len; at += 8) {
			packet[at] = headers[pick(&state, sizeof(headers))];
			packet[at + 1] = (uint8_t)pick(&state, 3);
		}
		expect(fate(&prefixes, packet, len) <= DROP_REASON_COUNT);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("border");
	TCase *tc = tcase_create("border");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, destination, 0, ARRAY_SIZE(destinations));
	tcase_add_loop_test(tc, source, 0, ARRAY_SIZE(sources));
	tcase_add_test(tc, own_addresses);
	tcase_add_test(tc, many_own_addresses);
	tcase_add_loop_test(tc, chain, 0, ARRAY_SIZE(chains));
	tcase_add_loop_test(tc, packet4, 0, ARRAY_SIZE(packets4));
	tcase_add_test(tc, header_length4);
	tcase_add_test(tc, any_bytes);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
