/* SPDX-License-Identifier: MIT */
/* arp: requests accepted and refused, clause by clause; replies and announcements written. */
#include "../src/neighbor/arp.h"

#include <check.h>

#include "neighbor_frames.h"

#define TENANT "198.51.100.77"
#define ROUTER "198.51.100.1"

enum base { BROADCAST, UNICAST, PROBE, TAGGED, BASES };

static const struct frame_arp bases[BASES] = {
	[BROADCAST] = { .sender = ROUTER, .target = TENANT },
	[UNICAST] = { .link_destination = FRAME_US, .sender = ROUTER, .target = TENANT },
	[PROBE] = { .sender = "0.0.0.0", .target = TENANT },
	[TAGGED] = { .sender = ROUTER, .target = TENANT, .tagged = true },
};

/* Parses a copy that ends where the frame ends, so that the sanitizer sees a step beyond. */
static enum arp_verdict parse(const uint8_t *data, size_t len, struct arp_request *out)
{
	uint8_t *exact = malloc(len ? len : 1);
	enum arp_verdict verdict;

	memcpy(exact, data, len);
	verdict = arp_parse_request(exact, len, out);
	free(exact);
	return verdict;
}

/* Offsets in a row count from the ARP header; the Ethernet header lies before it. */
enum { ETHER_TYPE = -2, HRD = 1, PRO = 2, HLN = 4, PLN = 5, OP = 7, SHA = 8, SPA = 14, THA = 18,
       TPA = 24 };

#define SET(at_, value_) { .used = true, .at = (at_), .value = (value_) }
#define SET4(at_, a, b, c, d) SET(at_, a), SET((at_) + 1, b), SET((at_) + 2, c), SET((at_) + 3, d)

static const struct row {
	const char *what;
	enum base base;
	struct {
		bool used;
		int at;
		uint8_t value;
	} set[8];
	int grow;
	enum arp_verdict expect;
} rows[] = {
	{ "1 broadcast", BROADCAST, .expect = ARP_OK },
	{ "2 unicast", UNICAST, .expect = ARP_OK },
	{ "3 probe (RFC 5227 §2.1.1)", PROBE, .expect = ARP_OK },
	{ "4 tagged", TAGGED, .expect = ARP_OK },
	{ "5 padded to 60 bytes", BROADCAST, .grow = 18, .expect = ARP_OK },
	{ "6 target hardware address is not looked at", BROADCAST, { SET(THA, 0xff) },
	  .expect = ARP_OK },
	{ "7 addresses of class E", BROADCAST, { SET(SPA, 240), SET(TPA, 241) },
	  .expect = ARP_OK },

	{ "20 IPv6", BROADCAST, { SET(ETHER_TYPE, 0x86), SET(ETHER_TYPE + 1, 0xdd) },
	  .expect = ARP_NOT_REQUEST },
	{ "21 reply", BROADCAST, { SET(OP, 2) }, .expect = ARP_NOT_REQUEST },
	{ "22 reverse request", BROADCAST, { SET(OP, 3) }, .expect = ARP_NOT_REQUEST },
	{ "23 operation 257", BROADCAST, { SET(OP - 1, 1) }, .expect = ARP_NOT_REQUEST },
	{ "24 announcement (RFC 5227 §2.3)", BROADCAST, { SET4(SPA, 198, 51, 100, 77) },
	  .expect = ARP_ANNOUNCEMENT },
	{ "25 reply to oneself, the other gratuitous ARP", BROADCAST,
	  { SET4(SPA, 198, 51, 100, 77), SET(OP, 2) }, .expect = ARP_NOT_REQUEST },

	{ "30 not Ethernet", BROADCAST, { SET(HRD, 6) }, .expect = ARP_BAD_FORMAT },
	{ "31 not IPv4", BROADCAST, { SET(PRO, 0x86), SET(PRO + 1, 0xdd) },
	  .expect = ARP_BAD_FORMAT },
	{ "32 hardware address of 0", BROADCAST, { SET(HLN, 0) }, .expect = ARP_BAD_FORMAT },
	{ "33 hardware address of 255", BROADCAST, { SET(HLN, 255) }, .expect = ARP_BAD_FORMAT },
	{ "34 protocol address of 16", BROADCAST, { SET(PLN, 16) }, .expect = ARP_BAD_FORMAT },
	{ "35 27 bytes", BROADCAST, .grow = -1, .expect = ARP_TRUNCATED },

	{ "40 target 0.0.0.0", BROADCAST, { SET4(TPA, 0, 0, 0, 0) }, .expect = ARP_BAD_TARGET },
	{ "41 target loopback", BROADCAST, { SET(TPA, 127) }, .expect = ARP_BAD_TARGET },
	{ "42 target multicast", BROADCAST, { SET(TPA, 224) }, .expect = ARP_BAD_TARGET },
	{ "43 target broadcast", BROADCAST, { SET4(TPA, 255, 255, 255, 255) },
	  .expect = ARP_BAD_TARGET },
	{ "44 all zero", PROBE, { SET4(TPA, 0, 0, 0, 0) }, .expect = ARP_BAD_TARGET },
	{ "45 sender in 0/8, no probe", PROBE, { SET(SPA + 3, 1) }, .expect = ARP_BAD_SENDER },
	{ "46 sender loopback", BROADCAST, { SET(SPA, 127) }, .expect = ARP_BAD_SENDER },
	{ "47 sender multicast", BROADCAST, { SET(SPA, 239) }, .expect = ARP_BAD_SENDER },
	{ "48 sender broadcast", BROADCAST, { SET4(SPA, 255, 255, 255, 255) },
	  .expect = ARP_BAD_SENDER },
	{ "49 sender's hardware a group", BROADCAST, { SET(SHA, 0x01) },
	  .expect = ARP_BAD_LINK_ADDRESS },
	{ "50 sender's hardware broadcast", BROADCAST, { SET4(SHA, 255, 255, 255, 255),
	  SET(SHA + 4, 255), SET(SHA + 5, 255) }, .expect = ARP_BAD_LINK_ADDRESS },
	{ "51 sender's hardware zero", BROADCAST, { SET(SHA, 0), SET(SHA + 5, 0) },
	  .expect = ARP_BAD_LINK_ADDRESS },
};

START_TEST(verdicts)
{
	const struct row *row = &rows[_i];
	size_t arp = bases[row->base].tagged ? 18 : 14;
	struct arp_request out;
	enum arp_verdict got;
	struct frame f;
	size_t i;

	frame_request(&f, &bases[row->base]);
	for (i = 0; i < ARRAY_SIZE(row->set) && row->set[i].used; i++)
		f.data[(int)arp + row->set[i].at] = row->set[i].value;
	if (row->grow > 0)
		memset(f.data + f.len, 0xa5, (size_t)row->grow);
	f.len += (size_t)row->grow;
	got = parse(f.data, f.len, &out);
	ck_assert_msg(got == row->expect, "row %s: %s instead of %s", row->what,
		      arp_verdict_name(got), arp_verdict_name(row->expect));
}
END_TEST

START_TEST(names)
{
	int i, j;

	for (i = 0; i < ARP_VERDICTS; i++)
		for (j = 0; j < i; j++)
			ck_assert_str_ne(arp_verdict_name(i), arp_verdict_name(j));
	ck_assert_str_eq(arp_verdict_name(ARP_VERDICTS), "unknown");
}
END_TEST

START_TEST(truncations)
{
	struct arp_request out;
	struct frame f;
	size_t len;

	frame_request(&f, &bases[_i]);
	ck_assert_int_eq(parse(f.data, f.len, &out), ARP_OK);
	for (len = 0; len < f.len; len++)
		ck_assert_int_eq(parse(f.data, len, &out), ARP_TRUNCATED);
}
END_TEST

static bool naive_host(const uint8_t *addr)
{
	uint32_t n = (uint32_t)addr[0] << 24 | addr[1] << 16 | addr[2] << 8 | addr[3];

	return n >> 24 != 0 && n >> 24 != 127 && n >> 28 != 14 && n != 0xffffffff;
}

static bool naive_valid(const uint8_t *data, size_t len, struct ether_arp *msg)
{
	size_t at = len > 13 && data[12] == 0x81 && data[13] == 0 ? 18 : 14;

	if (len < at + 28 || memcmp(data + at - 2, "\x08\x06\0\x01\x08\0\x06\x04\0\x01", 10) != 0)
		return false;
	memcpy(msg, data + at, 28);
	return naive_host(msg->arp_tpa) && memcmp(msg->arp_spa, msg->arp_tpa, 4) != 0 &&
	       (naive_host(msg->arp_spa) || memcmp(msg->arp_spa, "\0\0\0\0", 4) == 0) &&
	       !(msg->arp_sha[0] & 1) && memcmp(msg->arp_sha, "\0\0\0\0\0\0", 6) != 0;
}

/* Whatever is done to a frame: no step beyond it, and the same opinion as the naive one. */
START_TEST(mutations)
{
	uint64_t seed = 0x9e3779b97f4a7c15;
	unsigned int round, n, valid = 0;
	struct arp_request out;
	struct ether_arp naive;
	struct frame f;
	bool ok;

	for (round = 0; round < 200000; round++) {
		frame_request(&f, &bases[frame_random(&seed) % BASES]);
		for (n = frame_random(&seed) % 5; n; n--)
			f.data[frame_random(&seed) % f.len] = (uint8_t)frame_random(&seed);
		if (frame_random(&seed) % 8 == 0)
			f.len = frame_random(&seed) % (f.len + 1);
		ok = parse(f.data, f.len, &out) == ARP_OK;
		ck_assert_int_eq(ok, naive_valid(f.data, f.len, &naive));
		if (ok) {
			ck_assert_mem_eq(out.target, naive.arp_tpa, 4);
			ck_assert_mem_eq(out.sender, naive.arp_spa, 4);
			ck_assert_mem_eq(out.link_address, naive.arp_sha, 6);
		}
		valid += ok;
	}
	ck_assert_uint_gt(valid, 20000);
	ck_assert_uint_lt(valid, 180000);
}
END_TEST

static struct ether_arp read_arp(const uint8_t *data, size_t len, bool tagged)
{
	struct ether_arp msg;
	size_t at = tagged ? 18 : 14;

	ck_assert_uint_eq(len, at + 28);
	if (tagged)
		ck_assert_mem_eq(data + 12, "\x81\x00\x00\x07", 4);
	ck_assert_mem_eq(data + at - 2, "\x08\x06\0\x01\x08\0\x06\x04", 8);
	memcpy(&msg, data + at, 28);
	return msg;
}

START_TEST(replies)
{
	uint8_t target[4] = { 198, 51, 100, 77 }, built[ARP_FRAME_MAX];
	struct arp_request out;
	struct ether_arp msg;
	struct frame f;
	size_t len, room;

	frame_request(&f, &bases[_i]);
	ck_assert_int_eq(arp_parse_request(f.data, f.len, &out), ARP_OK);
	ck_assert_int_eq(out.is_probe, _i == PROBE);
	ck_assert_int_eq(out.is_unicast, _i == UNICAST);
	ck_assert_int_eq(out.tag.present, _i == TAGGED);

	len = arp_build_reply(built, sizeof(built), &out, (const uint8_t *)FRAME_US);
	msg = read_arp(built, len, _i == TAGGED);
	ck_assert_mem_eq(built, FRAME_ASKER FRAME_US, 12);
	ck_assert_uint_eq(ntohs(msg.ea_hdr.ar_op), 2);
	ck_assert_mem_eq(msg.arp_sha, FRAME_US, 6);
	ck_assert_mem_eq(msg.arp_spa, target, 4);
	ck_assert_mem_eq(msg.arp_tha, FRAME_ASKER, 6);
	ck_assert_mem_eq(msg.arp_tpa, out.sender, 4);

	for (room = 0; room < len; room++)
		ck_assert_uint_eq(arp_build_reply(built, room, &out, (const uint8_t *)FRAME_US), 0);
}
END_TEST

START_TEST(announcement)
{
	uint8_t tenant[4] = { 198, 51, 100, 77 }, built[ARP_FRAME_MAX];
	struct arp_request out;
	struct ether_arp msg;
	size_t len, room;

	len = arp_build_announcement(built, sizeof(built), tenant, (const uint8_t *)FRAME_US);
	msg = read_arp(built, len, false);
	ck_assert_mem_eq(built, "\xff\xff\xff\xff\xff\xff" FRAME_US, 12);
	ck_assert_uint_eq(ntohs(msg.ea_hdr.ar_op), 1);
	ck_assert_mem_eq(msg.arp_sha, FRAME_US, 6);
	ck_assert_mem_eq(msg.arp_spa, tenant, 4);
	ck_assert_mem_eq(msg.arp_tha, "\0\0\0\0\0\0", 6);
	ck_assert_mem_eq(msg.arp_tpa, tenant, 4);
	/* Another gateway hears it and has nothing to answer. */
	ck_assert_int_eq(arp_parse_request(built, len, &out), ARP_ANNOUNCEMENT);

	for (room = 0; room < len; room++)
		ck_assert_uint_eq(arp_build_announcement(built, room, tenant,
							 (const uint8_t *)FRAME_US), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arp");
	TCase *tc = tcase_create("arp");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, verdicts, 0, ARRAY_SIZE(rows));
	tcase_add_test(tc, names);
	tcase_add_loop_test(tc, truncations, 0, BASES);
	tcase_add_test(tc, mutations);
	tcase_add_loop_test(tc, replies, 0, BASES);
	tcase_add_test(tc, announcement);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
