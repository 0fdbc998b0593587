/* SPDX-License-Identifier: MIT */
/* ndp: solicitations accepted and refused, clause by clause; advertisements written. */
#include "../src/neighbor/ndp.h"

#include <check.h>
#include <stdio.h>

#include "neighbor_frames.h"

#define TENANT "2001:db8:dead:beef::1234"
#define ROUTER "fe80::a"

enum base { MULTICAST, UNICAST, UNICAST_BARE, DAD, DAD_NONCE, TAGGED, NONCE, BASES };

static const struct frame_ns bases[BASES] = {
	[MULTICAST] = { .source = ROUTER, .target = TENANT, .link_address = true },
	[UNICAST] = { .link_destination = FRAME_US, .source = ROUTER, .destination = TENANT,
		      .target = TENANT, .link_address = true },
	[UNICAST_BARE] = { .link_destination = FRAME_US, .source = ROUTER, .destination = TENANT,
			   .target = TENANT },
	[DAD] = { .source = "::", .target = TENANT },
	[DAD_NONCE] = { .source = "::", .target = TENANT, .nonce = true },
	[TAGGED] = { .source = ROUTER, .target = TENANT, .link_address = true, .tagged = true },
	[NONCE] = { .source = ROUTER, .target = TENANT, .link_address = true, .nonce = true },
};

/* Parses a copy that ends where the frame ends, so that the sanitizer sees a step beyond. */
static enum ndp_verdict parse(const uint8_t *data, size_t len, struct ndp_solicitation *out)
{
	uint8_t *exact = malloc(len ? len : 1);
	enum ndp_verdict verdict;

	memcpy(exact, data, len);
	verdict = ndp_parse_solicitation(exact, len, out);
	if (verdict == NDP_OK && out->nonce) {
		ck_assert(out->nonce >= exact && out->nonce + out->nonce_len <= exact + len);
		ck_assert_uint_ge(out->nonce_len, 6);
	}
	out->nonce = NULL;
	free(exact);
	return verdict;
}

/* ---- good and bad, one row per check ---- */

/* Offsets in a row count from the IPv6 header; the Ethernet header lies before it. */
enum { ETHER_SRC = -8, ETHER_TYPE = -2, PLEN = 5, NXT = 6, HLIM = 7, SRC = 8, DST = 24,
       TYPE = 40, CODE = 41, SUM = 43, TARGET = 48, OPT = 64, OPT2 = 72 };

#define SET(at_, value_) { .used = true, .at = (at_), .value = (value_) }

static const struct row {
	const char *what;
	enum base base;
	struct {
		bool used;
		int at;
		uint8_t value;
	} set[8];
	int grow;      /* bytes to add behind (padding), or to take away */
	bool unsealed; /* leave the checksum as it was before the changes */
	enum ndp_verdict expect;
} rows[] = {
	{ "1 multicast", MULTICAST, .expect = NDP_OK },
	{ "2 unicast", UNICAST, .expect = NDP_OK },
	{ "3 unicast without option", UNICAST_BARE, .expect = NDP_OK },
	{ "4 duplicate address detection", DAD, .expect = NDP_OK },
	{ "5 enhanced DAD (RFC 7527)", DAD_NONCE, .expect = NDP_OK },
	{ "6 tagged", TAGGED, .expect = NDP_OK },
	{ "7 nonce behind the link-layer address", NONCE, .expect = NDP_OK },
	{ "8 padding behind the packet", MULTICAST, .grow = 60, .expect = NDP_OK },
	{ "9 reserved field is not looked at", MULTICAST, { SET(44, 0xff), SET(47, 1) },
	  .expect = NDP_OK },
	{ "10 traffic class and flow label", MULTICAST, { SET(0, 0x6f), SET(1, 0xff), SET(3, 1) },
	  .expect = NDP_OK },
	{ "11 unknown option", NONCE, { SET(OPT2, 253) }, .expect = NDP_OK },
	{ "12 a second link-layer address", NONCE, { SET(OPT2, 1) }, .expect = NDP_OK },
	{ "13 target without a host part", MULTICAST, { SET(TARGET + 14, 0), SET(TARGET + 15, 0) },
	  .expect = NDP_OK },
	{ "14 to all nodes", MULTICAST, { SET(DST + 11, 0), SET(DST + 12, 0), SET(DST + 13, 0),
	  SET(DST + 14, 0), SET(DST + 15, 1) }, .expect = NDP_OK },

	{ "20 ARP", MULTICAST, { SET(ETHER_TYPE, 8), SET(ETHER_TYPE + 1, 6) },
	  .expect = NDP_NOT_SOLICITATION },
	{ "21 UDP", MULTICAST, { SET(NXT, 17) }, .expect = NDP_NOT_SOLICITATION },
	{ "22 advertisement", MULTICAST, { SET(TYPE, 136) }, .expect = NDP_NOT_SOLICITATION },
	{ "23 echo request", MULTICAST, { SET(TYPE, 128) }, .expect = NDP_NOT_SOLICITATION },
	{ "24 behind hop-by-hop options", MULTICAST, { SET(NXT, 0) },
	  .expect = NDP_NOT_SOLICITATION },
	{ "25 empty payload", MULTICAST, { SET(PLEN, 0) }, .expect = NDP_NOT_SOLICITATION },
	{ "26 a tag in a tag", TAGGED, { SET(ETHER_TYPE, 0x81), SET(ETHER_TYPE + 1, 0) },
	  .expect = NDP_NOT_SOLICITATION },
	{ "27 version 4", MULTICAST, { SET(0, 0x40) }, .expect = NDP_BAD_VERSION },
	{ "28 payload longer than the frame", MULTICAST, { SET(PLEN, 33) },
	  .expect = NDP_TRUNCATED },
	{ "29 payload of 65,535", MULTICAST, { SET(PLEN - 1, 0xff), SET(PLEN, 0xff) },
	  .expect = NDP_TRUNCATED },

	/* RFC 6980 §5 */
	{ "30 first fragment", MULTICAST, { SET(NXT, 44), SET(40, 58), SET(42, 0), SET(43, 1),
	  SET(48, 135) }, .unsealed = true, .expect = NDP_FRAGMENT },
	{ "31 atomic fragment", MULTICAST, { SET(NXT, 44), SET(40, 58), SET(42, 0), SET(43, 0),
	  SET(48, 135) }, .unsealed = true, .expect = NDP_FRAGMENT },
	{ "32 later fragment: of what, nobody knows", MULTICAST, { SET(NXT, 44), SET(40, 58),
	  SET(42, 0), SET(43, 8), SET(48, 135) }, .unsealed = true,
	  .expect = NDP_NOT_SOLICITATION },
	{ "33 fragment of UDP", MULTICAST, { SET(NXT, 44), SET(40, 17), SET(42, 0), SET(43, 1),
	  SET(48, 135) }, .unsealed = true, .expect = NDP_NOT_SOLICITATION },
	{ "34 fragment header and nothing behind", MULTICAST, { SET(NXT, 44), SET(40, 58),
	  SET(42, 0), SET(43, 1), SET(PLEN, 8) }, .unsealed = true,
	  .expect = NDP_NOT_SOLICITATION },

	/* RFC 4861 §7.1.1, in its order */
	{ "40 hop limit 254", MULTICAST, { SET(HLIM, 254) }, .expect = NDP_BAD_HOP_LIMIT },
	{ "41 hop limit 0", MULTICAST, { SET(HLIM, 0) }, .expect = NDP_BAD_HOP_LIMIT },
	{ "42 checksum", MULTICAST, { SET(TARGET + 15, 0x35) }, .unsealed = true,
	  .expect = NDP_BAD_CHECKSUM },
	{ "43 checksum of another destination", MULTICAST, { SET(DST + 15, 0x35) },
	  .unsealed = true, .expect = NDP_BAD_CHECKSUM },
	{ "44 code 1", MULTICAST, { SET(CODE, 1) }, .expect = NDP_BAD_CODE },
	{ "45 23 bytes", MULTICAST, { SET(PLEN, 23) }, .expect = NDP_BAD_LENGTH },
	{ "46 1 byte", MULTICAST, { SET(PLEN, 1) }, .expect = NDP_BAD_LENGTH },
	{ "47 target multicast", MULTICAST, { SET(TARGET, 0xff), SET(TARGET + 1, 2) },
	  .expect = NDP_BAD_TARGET },
	{ "48 option of length 0", MULTICAST, { SET(OPT + 1, 0) }, .expect = NDP_BAD_OPTION },
	{ "49 second option of length 0", NONCE, { SET(OPT2 + 1, 0) }, .expect = NDP_BAD_OPTION },
	{ "50 unknown option of length 0", NONCE, { SET(OPT2, 253), SET(OPT2 + 1, 0) },
	  .expect = NDP_BAD_OPTION },
	{ "51 option past the end", MULTICAST, { SET(OPT, 253), SET(OPT + 1, 2) },
	  .expect = NDP_BAD_OPTION },
	{ "52 option past the end, into padding", MULTICAST, { SET(OPT, 253), SET(OPT + 1, 2) },
	  .grow = 60, .expect = NDP_BAD_OPTION },
	{ "53 option of length 255", MULTICAST, { SET(OPT + 1, 255) }, .expect = NDP_BAD_OPTION },
	{ "54 half an option header", MULTICAST, { SET(PLEN, 25) }, .expect = NDP_BAD_OPTION },
	{ "55 link-layer address of 14 bytes", NONCE, { SET(OPT + 1, 2) },
	  .expect = NDP_BAD_OPTION },
	{ "56 DAD to all nodes", DAD, { SET(DST + 11, 0), SET(DST + 12, 0), SET(DST + 13, 0),
	  SET(DST + 14, 0), SET(DST + 15, 1) }, .expect = NDP_BAD_DAD_DESTINATION },
	{ "57 DAD to a unicast address", DAD, { SET(DST, 0xfe), SET(DST + 1, 0x80) },
	  .expect = NDP_BAD_DAD_DESTINATION },
	{ "58 DAD to ff02::1:fe00:0", DAD, { SET(DST + 12, 0xfe) },
	  .expect = NDP_BAD_DAD_DESTINATION },
	{ "59 DAD with link-layer address", DAD_NONCE, { SET(OPT, 1) },
	  .expect = NDP_BAD_DAD_OPTION },

	/* Not in §7.1.1: nobody may be made to answer a group */
	{ "60 source multicast", MULTICAST, { SET(SRC, 0xff), SET(SRC + 1, 2) },
	  .expect = NDP_BAD_SOURCE },
	{ "61 option with a group address", MULTICAST, { SET(OPT + 2, 0x33) },
	  .expect = NDP_BAD_LINK_ADDRESS },
	{ "62 option with broadcast", MULTICAST, { SET(OPT + 2, 0xff), SET(OPT + 3, 0xff),
	  SET(OPT + 4, 0xff), SET(OPT + 5, 0xff), SET(OPT + 6, 0xff), SET(OPT + 7, 0xff) },
	  .expect = NDP_BAD_LINK_ADDRESS },
	{ "63 option with zeros", MULTICAST, { SET(OPT + 2, 0), SET(OPT + 7, 0) },
	  .expect = NDP_BAD_LINK_ADDRESS },
	{ "64 no option, frame from a group", UNICAST_BARE, { SET(ETHER_SRC, 0x03) },
	  .expect = NDP_BAD_LINK_ADDRESS },
};

START_TEST(verdicts)
{
	const struct row *row = &rows[_i];
	size_t ip = bases[row->base].tagged ? 18 : 14;
	struct ndp_solicitation out;
	enum ndp_verdict got;
	struct frame f;
	size_t i;

	frame_solicitation(&f, &bases[row->base]);
	for (i = 0; i < ARRAY_SIZE(row->set) && row->set[i].used; i++)
		f.data[(int)ip + row->set[i].at] = row->set[i].value;
	if (row->grow > 0)
		memset(f.data + f.len, 0xa5, (size_t)row->grow);
	f.len += (size_t)row->grow;
	if (!row->unsealed)
		frame_seal(&f, ip);
	got = parse(f.data, f.len, &out);
	ck_assert_msg(got == row->expect, "row %s: %s instead of %s", row->what,
		      ndp_verdict_name(got), ndp_verdict_name(row->expect));
}
END_TEST

START_TEST(names)
{
	int i, j;

	for (i = 0; i < NDP_VERDICTS; i++)
		for (j = 0; j < i; j++)
			ck_assert_str_ne(ndp_verdict_name(i), ndp_verdict_name(j));
	ck_assert_str_eq(ndp_verdict_name(NDP_VERDICTS), "unknown");
}
END_TEST

/* ---- what comes out ---- */

START_TEST(fields)
{
	const struct frame_ns *ns = &bases[_i];
	struct in6_addr target = frame_in6(TENANT), source = frame_in6(ns->source);
	struct ndp_solicitation out;
	struct frame f;

	frame_solicitation(&f, ns);
	ck_assert_int_eq(ndp_parse_solicitation(f.data, f.len, &out), NDP_OK);
	ck_assert_mem_eq(out.target, &target, 16);
	ck_assert_mem_eq(out.source, &source, 16);
	ck_assert_mem_eq(out.link_address, FRAME_ASKER, 6);
	ck_assert_int_eq(out.is_dad, _i == DAD || _i == DAD_NONCE);
	ck_assert_int_eq(out.is_unicast, _i == UNICAST || _i == UNICAST_BARE);
	ck_assert_int_eq(out.tag.present, _i == TAGGED);
	ck_assert_uint_eq(out.tag.tci, _i == TAGGED ? 7 : 0);
	if (ns->nonce) {
		ck_assert_uint_eq(out.nonce_len, 6);
		ck_assert_mem_eq(out.nonce, "nonce!", 6);
	} else {
		ck_assert_ptr_null(out.nonce);
	}
}
END_TEST

/* The option says where the asker is, not the frame that carried it. */
START_TEST(option_wins)
{
	struct ndp_solicitation out;
	struct frame f;

	frame_solicitation(&f, &bases[NONCE]);
	memcpy(f.data + 6, "\x02\x00\x00\x00\x00\x0b", 6);
	f.data[14 + OPT2] = 1; /* a second one, "nonce!", does not count */
	frame_seal(&f, 14);
	ck_assert_int_eq(ndp_parse_solicitation(f.data, f.len, &out), NDP_OK);
	ck_assert_mem_eq(out.link_address, FRAME_ASKER, 6);

	frame_solicitation(&f, &bases[UNICAST_BARE]);
	memcpy(f.data + 6, "\x02\x00\x00\x00\x00\x0b", 6);
	ck_assert_int_eq(ndp_parse_solicitation(f.data, f.len, &out), NDP_OK);
	ck_assert_mem_eq(out.link_address, "\x02\x00\x00\x00\x00\x0b", 6);
}
END_TEST

/* ---- hostile input ---- */

START_TEST(truncations)
{
	struct ndp_solicitation out;
	struct frame f;
	size_t len;

	frame_solicitation(&f, &bases[_i]);
	ck_assert_int_eq(parse(f.data, f.len, &out), NDP_OK);
	for (len = 0; len < f.len; len++)
		ck_assert_int_eq(parse(f.data, len, &out), NDP_TRUNCATED);
}
END_TEST

/* RFC 4861 §7.1.1 once more, the naive way. Is it a solicitation to be answered? */
static bool naive_valid(const uint8_t *data, size_t len, struct nd_neighbor_solicit *msg)
{
	size_t ip_at = 14, at, end;
	const uint8_t *hw;
	struct ip6_hdr ip;
	bool slla = false;

	if (len < 14)
		return false;
	if (data[12] == 0x81 && data[13] == 0x00)
		ip_at = 18;
	if (len < ip_at + 40 + 24 || data[ip_at - 2] != 0x86 || data[ip_at - 1] != 0xdd)
		return false;
	memcpy(&ip, data + ip_at, 40);
	memcpy(msg, data + ip_at + 40, 24);
	end = ip_at + 40 + ntohs(ip.ip6_plen);
	if ((ip.ip6_vfc & 0xf0) != 0x60 || ip.ip6_nxt != 58 || ip.ip6_hlim != 255 ||
	    ntohs(ip.ip6_plen) < 24 || end > len || msg->nd_ns_type != 135 || msg->nd_ns_code ||
	    frame_icmp6_sum(&ip, data + ip_at + 40, ntohs(ip.ip6_plen)) != 0)
		return false;
	if (IN6_IS_ADDR_MULTICAST(&msg->nd_ns_target) || IN6_IS_ADDR_MULTICAST(&ip.ip6_src))
		return false;
	hw = data + 6;
	for (at = ip_at + 64; at < end; at += data[at + 1] * 8u) {
		if (at + 2 > end || data[at + 1] == 0 || at + data[at + 1] * 8u > end)
			return false;
		if (data[at] != 1 || slla)
			continue;
		if (data[at + 1] != 1)
			return false;
		slla = true;
		hw = data + at + 2;
	}
	if (IN6_IS_ADDR_UNSPECIFIED(&ip.ip6_src) &&
	    (slla || memcmp(&ip.ip6_dst, "\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff", 13) != 0))
		return false;
	return !(hw[0] & 1) && memcmp(hw, "\0\0\0\0\0\0", 6) != 0;
}

/* Whatever is done to a frame: no step beyond it, and the same opinion as the naive one. */
START_TEST(mutations)
{
	uint64_t seed = 0x9e3779b97f4a7c15;
	struct nd_neighbor_solicit naive;
	struct ndp_solicitation out;
	unsigned int round, n, valid = 0;
	struct frame f;
	size_t ip;
	bool ok;

	for (round = 0; round < 100000; round++) {
		unsigned int base = frame_random(&seed) % BASES;

		frame_solicitation(&f, &bases[base]);
		ip = bases[base].tagged ? 18 : 14;
		for (n = frame_random(&seed) % 4; n; n--)
			f.data[frame_random(&seed) % f.len] = (uint8_t)frame_random(&seed);
		/* Half of them get past the checksum, and some a plausible option. */
		if (frame_random(&seed) % 4 == 0)
			f.data[ip + OPT + 1] = (uint8_t)(frame_random(&seed) % 4);
		if (frame_random(&seed) % 2)
			frame_seal(&f, ip);
		if (frame_random(&seed) % 8 == 0)
			f.len = frame_random(&seed) % (f.len + 1);
		ok = parse(f.data, f.len, &out) == NDP_OK;
		ck_assert_int_eq(ok, naive_valid(f.data, f.len, &naive));
		if (ok)
			ck_assert_mem_eq(out.target, &naive.nd_ns_target, 16);
		valid += ok;
	}
	/* The test means something only if it sees both. */
	ck_assert_uint_gt(valid, 10000);
	ck_assert_uint_lt(valid, 90000);
}
END_TEST

/* ---- answers ---- */

START_TEST(answers)
{
	const struct frame_ns *ns = &bases[_i];
	struct in6_addr own = frame_in6("fe80::1"), target = frame_in6(TENANT);
	struct in6_addr to = frame_in6(ns->source), all_nodes = frame_in6("ff02::1");
	bool dad = _i == DAD || _i == DAD_NONCE;
	struct ndp_advertisement advertisement;
	uint8_t built[NDP_ADVERTISEMENT_MAX];
	struct ndp_solicitation out;
	struct frame_na na;
	struct frame f;
	size_t len;

	frame_solicitation(&f, ns);
	ck_assert_int_eq(ndp_parse_solicitation(f.data, f.len, &out), NDP_OK);
	ndp_answer(&advertisement, &out, (const uint8_t *)FRAME_US, own.s6_addr);
	len = ndp_build_advertisement(built, sizeof(built), &advertisement);
	ck_assert_uint_eq(len, ns->tagged ? 90 : 86);
	ck_assert(frame_read_advertisement(built, len, &na));

	ck_assert_mem_eq(na.link_destination, dad ? "\x33\x33\0\0\0\x01" : FRAME_ASKER, 6);
	ck_assert_mem_eq(na.link_source, FRAME_US, 6);
	ck_assert_int_eq(na.tagged, ns->tagged);
	ck_assert_uint_eq(na.tci, ns->tagged ? 7 : 0);
	ck_assert_mem_eq(&na.ip.ip6_src, &own, 16);
	ck_assert_mem_eq(&na.ip.ip6_dst, dad ? &all_nodes : &to, 16);
	ck_assert_mem_eq(&na.msg.nd_na_target, &target, 16);
	/* §7.2.4, §7.2.8: R=1, S=0 for DAD only, O=0 always */
	ck_assert_uint_eq(ntohl(na.msg.nd_na_flags_reserved), dad ? 0x80000000 : 0xc0000000);
	ck_assert_mem_eq(na.option, "\x02\x01" FRAME_US, 8);
}
END_TEST

START_TEST(announcement)
{
	struct in6_addr own = frame_in6("fe80::1"), target = frame_in6(TENANT);
	struct in6_addr all_nodes = frame_in6("ff02::1");
	struct ndp_advertisement advertisement;
	uint8_t built[NDP_ADVERTISEMENT_MAX];
	struct frame_na na;
	size_t len;

	ndp_announcement(&advertisement, target.s6_addr, (const uint8_t *)FRAME_US, own.s6_addr);
	len = ndp_build_advertisement(built, sizeof(built), &advertisement);
	ck_assert(frame_read_advertisement(built, len, &na));
	ck_assert_mem_eq(na.link_destination, "\x33\x33\0\0\0\x01", 6);
	ck_assert_mem_eq(&na.ip.ip6_src, &own, 16);
	ck_assert_mem_eq(&na.ip.ip6_dst, &all_nodes, 16);
	ck_assert_mem_eq(&na.msg.nd_na_target, &target, 16);
	ck_assert_uint_eq(ntohl(na.msg.nd_na_flags_reserved), 0xa0000000); /* R, not S, O */
	ck_assert_mem_eq(na.option, "\x02\x01" FRAME_US, 8);
}
END_TEST

/* Every combination of flags; every room too small; nothing written then. */
START_TEST(build)
{
	struct ndp_advertisement advertisement = {
		.link_source = { 2, 0, 0, 0, 0, 1 },
		.router = _i & 4, .solicited = _i & 2, .override = _i & 1,
		.tag = { .present = _i & 8, .tci = 0xe123 },
	};
	size_t i, room, need = _i & 8 ? 90 : 86;
	uint8_t built[NDP_ADVERTISEMENT_MAX];
	struct frame_na na;

	for (room = 0; room < need; room++) {
		memset(built, 0xa5, sizeof(built));
		ck_assert_uint_eq(ndp_build_advertisement(built, room, &advertisement), 0);
		for (i = 0; i < sizeof(built); i++)
			ck_assert_uint_eq(built[i], 0xa5);
	}
	ck_assert_uint_eq(ndp_build_advertisement(built, need, &advertisement), need);
	ck_assert(frame_read_advertisement(built, need, &na));
	ck_assert_uint_eq(ntohl(na.msg.nd_na_flags_reserved) >> 29, _i & 7);
	ck_assert_uint_eq(na.tci, _i & 8 ? 0xe123 : 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ndp");
	TCase *tc = tcase_create("ndp");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, verdicts, 0, ARRAY_SIZE(rows));
	tcase_add_test(tc, names);
	tcase_add_loop_test(tc, fields, 0, BASES);
	tcase_add_test(tc, option_wins);
	tcase_add_loop_test(tc, truncations, 0, BASES);
	tcase_add_test(tc, mutations);
	tcase_add_loop_test(tc, answers, 0, BASES);
	tcase_add_test(tc, announcement);
	tcase_add_loop_test(tc, build, 0, 16);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
