/* SPDX-License-Identifier: MIT */
/* What comes in from the network: every way in which a datagram may be wrong, or right. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "../src/base/packet.h"
#include "path_lab.h"

static struct lab lab;

static void setup(void)
{
	lab_start_acquainted(&lab, NULL);
	lab_connect(&lab);
}

static void teardown(void)
{
	lab_stop(&lab);
}

static void to_gate(const void *msg, size_t len)
{
	lab_deliver(&lab, &lab.gate, &lab.home.at4, 0, msg, len);
}

/* A data message from home to the gate, under home's current key. */
static size_t seal(uint8_t *out, uint64_t counter, const void *inner, size_t len)
{
	rcu_turn_begin();
	len = lab_seal(out, lab_key(&lab.home), counter, inner, len);
	rcu_turn_end();
	return len;
}

/* Of the device, since the last mark. */
static uint64_t dropped(enum drop_reason reason)
{
	return counter_read(&device_datapath(lab.gate.dev)->drops.n[reason]) -
	       lab.gate.before.device[reason];
}

/* By length and type alone; what has the right length fails later. */
static enum drop_reason fate(uint32_t type, size_t len)
{
	if (type == MESSAGE_INITIATION && len == 148)
		return DROP_BAD_MAC1;
	if (type == MESSAGE_RESPONSE && len == 92)
		return DROP_BAD_MAC1;
	if (type == MESSAGE_COOKIE_REPLY && len == 64)
		return DROP_UNKNOWN_INDEX;
	if (type == MESSAGE_DATA && len >= 32)
		return DROP_UNKNOWN_INDEX;
	return DROP_MALFORMED;
}

static const uint32_t types[] = {
	/* 0 */ 0, 1, 2, 3, 4, 5, 255,
	/* reserved bytes that are not zero */
	/* 7 */ 0x101, 0x102, 0x103, 0x104, 0x10001, 0x10004, 0x1000001, 0x80000004,
};

/* At either socket: GRO may bring anything to both, and not each kernel takes the filter. */
START_TEST(every_length)
{
	int wire = _i % 2 ? lab.gate.handshake4 : lab.gate.udp4;
	unsigned expected[DROP_REASON_COUNT] = { 0 };
	uint32_t type = types[_i / 2];
	uint8_t msg[204];
	struct tally before, now;
	struct datapath *dp = device_datapath(lab.gate.dev);

	before = lab.gate.before;
	memset(msg, 0xa5, sizeof(msg));
	store_le32(msg, type);
	for (size_t len = 0; len <= 200; len++) {
		/* (two senders, so that nothing counts as merged) */
		wire_inject(wire, len % 2 ? &lab.home.at4 : &lab.gate.at4, 0, msg, len);
		expected[fate(len < 4 ? 0 : type, len)]++;
	}
	lab_settle(&lab);
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++) {
		now.device[i] = counter_read(&dp->drops.n[i]);
		ck_assert_uint_eq(now.device[i] - before.device[i], expected[i]);
	}
	lab_tun_silent(&lab.gate);
	lab_sent_nothing(&lab.gate);
}
END_TEST

START_TEST(oversized)
{
	uint8_t *msg = calloc(1, UDP_RX_BUFFER + 1);

	store_le32(msg, MESSAGE_DATA);
	to_gate(msg, UDP_RX_BUFFER + 1);
	lab_dropped(&lab.gate, DROP_OVERSIZED, 1, false);
	to_gate(msg, UDP_RX_BUFFER);
	lab_dropped(&lab.gate, DROP_UNKNOWN_INDEX, 1, false);
	free(msg);
}
END_TEST

/* Each byte of a good message is covered by something. */
START_TEST(damaged)
{
	uint8_t inner[64], msg[96], bad[96];
	struct endpoint elsewhere, at;

	ck_assert_int_eq(endpoint_parse(&elsewhere, "203.0.113.1:1"), 0);
	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	ck_assert_uint_eq(seal(msg, 1000, inner, sizeof(inner)), sizeof(msg));
	for (size_t i = 0; i < sizeof(msg); i++) {
		memcpy(bad, msg, sizeof(msg));
		bad[i] ^= 0x40;
		lab_deliver(&lab, &lab.gate, &elsewhere, 0, bad, sizeof(bad));
		if (i < 4)
			lab_dropped(&lab.gate, DROP_MALFORMED, 1, false);
		else if (i < 8)
			lab_dropped(&lab.gate, DROP_UNKNOWN_INDEX, 1, false);
		else
			lab_dropped(&lab.gate, DROP_BAD_TAG, 1, true);
	}
	/* Cut short, or longer than it was. */
	for (size_t len = 32; len < sizeof(msg); len++) {
		lab_deliver(&lab, &lab.gate, &elsewhere, 0, msg, len);
		lab_dropped(&lab.gate, DROP_BAD_TAG, 1, true);
	}
	lab_tun_silent(&lab.gate);
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, &lab.home.at4));
	to_gate(msg, sizeof(msg));
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	lab_dropped_nothing(&lab.gate);
}
END_TEST

START_TEST(replayed)
{
	uint8_t inner[64], msg[96];
	struct endpoint elsewhere, at;
	size_t len;

	ck_assert_int_eq(endpoint_parse(&elsewhere, "203.0.113.1:1"), 0);
	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	len = seal(msg, 50000, inner, sizeof(inner));
	to_gate(msg, len);
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	lab_deliver(&lab, &lab.gate, &elsewhere, 0, msg, len);
	lab_dropped(&lab.gate, DROP_REPLAYED, 1, true);
	/* The window: 8192 bits less a word. */
	len = seal(msg, 50000 - REPLAY_WINDOW, inner, sizeof(inner));
	to_gate(msg, len);
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	len = seal(msg, 50000 - REPLAY_WINDOW - 65, inner, sizeof(inner));
	lab_deliver(&lab, &lab.gate, &elsewhere, 0, msg, len);
	lab_dropped(&lab.gate, DROP_REPLAYED, 1, true);
	/* Counters that a sender never reaches. */
	len = seal(msg, REJECT_AFTER_MESSAGES, inner, sizeof(inner));
	to_gate(msg, len);
	lab_dropped(&lab.gate, DROP_REPLAYED, 1, true);
	len = seal(msg, UINT64_MAX, inner, sizeof(inner));
	to_gate(msg, len);
	lab_dropped(&lab.gate, DROP_REPLAYED, 1, true);
	lab_tun_silent(&lab.gate);
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, &lab.home.at4));
	ck_assert_uint_eq(lab.gate.peer->endpoint_changes, 0);
}
END_TEST

/* A handshake message comes with the data of who sent it, at the end; more of them are too many. */
START_TEST(handshake_behind_data)
{
	uint8_t inner[64], msg[128], init[148] = { MESSAGE_INITIATION };
	size_t len;

	lab_connect(&lab);
	lab_mark(&lab.gate);
	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	len = seal(msg, 100, inner, sizeof(inner));
	wire_add(lab.gate.udp4, &lab.home.at4, 0, msg, len);
	wire_add(lab.gate.udp4, &lab.home.at4, 0, init, sizeof(init));
	wire_add(lab.gate.udp4, &lab.home.at4, 0, init, sizeof(init));
	wire_inject(lab.gate.udp4, &lab.home.at4, 0, init, sizeof(init));
	lab_settle(&lab);
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	ck_assert_uint_eq(dropped(DROP_BAD_MAC1), 1);
	ck_assert_uint_eq(dropped(DROP_OVERLOAD), 2);
}
END_TEST

/* All at once: what is good passes, and each of the others is counted once. */
START_TEST(one_burst)
{
	uint8_t inner[64], msg[96];
	struct fake_packet *p;

	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	for (unsigned i = 0; i < 300; i++) {
		size_t len = seal(msg, 100 + i / 3, inner, sizeof(inner));

		/* of three: good, replayed, damaged */
		msg[90] ^= i % 3 == 2;
		lab_inject(&lab.gate, &lab.home.at4, 0, msg, len);
	}
	lab_settle(&lab);
	ck_assert_uint_eq(wire_count(lab.gate.tun), 100);
	while ((p = wire_take(lab.gate.tun)))
		free(p);
	ck_assert_uint_eq(counter_read(&lab.gate.peer->drops->n[DROP_BAD_TAG]), 100);
	ck_assert_uint_eq(counter_read(&lab.gate.peer->drops->n[DROP_REPLAYED]), 100);
}
END_TEST

/* Roaming: on data, between families, and answers go where it came from. */
START_TEST(roaming)
{
	static const char *const places[] = {
		"203.0.113.1:1", "203.0.113.1:2", "[2001:db8::99]:1", "198.51.100.7:4000",
	};
	uint8_t inner[64], back[64], msg[96];

	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	lab_packet(back, "8.8.8.8", "10.0.0.2", sizeof(back));
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		struct endpoint from;
		struct fake_packet *p;
		bool keepalive = i % 2;
		size_t len = seal(msg, 100 + i, inner, keepalive ? 0 : sizeof(inner));

		ck_assert_int_eq(endpoint_parse(&from, places[i]), 0);
		from.src_ifindex = 7 + i;
		from.src4.s_addr = 1 + i;
		lab_deliver(&lab, &lab.gate, &from, 0, msg, len);
		if (keepalive)
			lab_tun_silent(&lab.gate);
		else
			lab_tun_out(&lab.gate, inner, sizeof(inner));
		ck_assert_uint_eq(lab.gate.peer->endpoint_changes, i + 1);
		lab_tun_in(&lab, &lab.gate, back, sizeof(back));
		p = lab_sent_one(&lab.gate, MESSAGE_DATA, 96);
		ck_assert(endpoint_equal(&p->peer, &from));
		free(p);
	}
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Only the tenant's own addresses. */
static const struct {
	const char *src;
	bool allowed;
} sources[] = {
	/* 0 */ { "10.0.0.2", true },
	/* 1 */ { "10.0.0.3", false },
	/* 2 */ { "10.0.0.1", false },
	/* 3 */ { "0.0.0.0", false },
	/* 4 */ { "127.0.0.1", false },
	/* 5 */ { "255.255.255.255", false },
	/* 6 */ { "fd00::2", true },
	/* 7 */ { "fd00::3", false },
	/* 8 */ { "::", false },
	/* 9 */ { "::1", false },
	/* 10 */ { "fe80::2", false },
	/* 11 */ { "::ffff:10.0.0.2", false },
	/* 12 */ { "ff02::1", false },
};

START_TEST(source_check)
{
	const char *dst = strchr(sources[_i].src, ':') ? "2001:db8:9::1" : "8.8.8.8";
	uint8_t inner[80], msg[112];
	size_t len;

	lab_packet(inner, sources[_i].src, dst, sizeof(inner));
	len = seal(msg, 100, inner, sizeof(inner));
	to_gate(msg, len);
	if (sources[_i].allowed) {
		lab_tun_out(&lab.gate, inner, sizeof(inner));
		lab_dropped_nothing(&lab.gate);
	} else {
		lab_tun_silent(&lab.gate);
		lab_dropped(&lab.gate, DROP_SOURCE_NOT_ALLOWED, 1, true);
	}
}
END_TEST

/* What the inner header says, against what there is. */
static const struct {
	bool ip4;
	size_t len;     /* of the plaintext */
	unsigned claim; /* the length field */
	int version;    /* -1: right */
	size_t out;     /* 0: dropped */
} lies[] = {
	/* 0 */ { true, 60, 60, -1, 60 },
	/* 1 */ { true, 64, 60, -1, 60 },  /* padding is cut off */
	/* 2 */ { true, 64, 20, -1, 20 },
	/* 3 */ { true, 64, 19, -1, 0 },
	/* 4 */ { true, 64, 0, -1, 0 },
	/* 5 */ { true, 64, 65, -1, 0 },
	/* 6 */ { true, 64, 65535, -1, 0 },
	/* 7 */ { true, 19, 19, -1, 0 },
	/* 8 */ { true, 20, 20, -1, 20 },
	/* 9 */ { true, 1, 1, -1, 0 },
	/* 10 */ { false, 64, 24, -1, 64 },
	/* 11 */ { false, 64, 0, -1, 40 },
	/* 12 */ { false, 64, 25, -1, 0 },
	/* 13 */ { false, 64, 65495, -1, 0 },
	/* 14 */ { false, 64, 65496, -1, 0 },  /* + 40 = 65536: 0 in 16 bits */
	/* 15 */ { false, 64, 65500, -1, 0 },
	/* 16 */ { false, 64, 65520, -1, 0 },  /* 24 in 16 bits */
	/* 17 */ { false, 64, 65535, -1, 0 },
	/* 18 */ { false, 39, 0, -1, 0 },
	/* 19 */ { false, 40, 0, -1, 40 },
	/* 20 */ { true, 64, 64, 0, 0 },
	/* 21 */ { true, 64, 64, 5, 0 },
	/* 22 */ { true, 64, 64, 6, 0 },
	/* 23 */ { true, 64, 64, 15, 0 },
	/* 24 */ { false, 64, 24, 4, 0 },
	/* 25 */ { false, 64, 24, 7, 0 },
};

START_TEST(inner_lies)
{
	const bool ip4 = lies[_i].ip4;
	uint8_t inner[128], msg[160];
	size_t len;

	lab_packet(inner, ip4 ? "10.0.0.2" : "fd00::2", ip4 ? "8.8.8.8" : "2001:db8:9::1", 128);
	store_be16(inner + (ip4 ? 2 : 4), (uint16_t)lies[_i].claim);
	if (lies[_i].version >= 0)
		inner[0] = (uint8_t)(lies[_i].version << 4 | (inner[0] & 15));
	len = seal(msg, 100, inner, lies[_i].len);
	to_gate(msg, len);
	if (lies[_i].out) {
		lab_tun_out(&lab.gate, inner, lies[_i].out);
		lab_dropped_nothing(&lab.gate);
		return;
	}
	lab_tun_silent(&lab.gate);
	/* An IPv4 header that says it is IPv6 happens to be long enough, but is of nobody. */
	lab_dropped(&lab.gate, _i == 22 ? DROP_SOURCE_NOT_ALLOWED : DROP_INNER_MALFORMED, 1,
		    true);
}
END_TEST

/* Congestion seen on the way is told to who can hear it. */
START_TEST(congestion)
{
	for (uint8_t inner_ecn = 0; inner_ecn < 4; inner_ecn++) {
		for (uint8_t outer = 0; outer < 4; outer++) {
			uint8_t v4[64], v6[64], msg[96];
			uint8_t result = outer == 3 && inner_ecn ? 3 : inner_ecn;
			uint64_t counter = 100u + inner_ecn * 8u + outer * 2u;
			size_t len;

			lab_packet(v4, "10.0.0.2", "8.8.8.8", sizeof(v4));
			v4[1] = (uint8_t)(0xb8 | inner_ecn);
			store_be16(v4 + 10, 0);
			store_be16(v4 + 10, (uint16_t)~naive_sum(0, v4, 20));
			len = seal(msg, counter, v4, sizeof(v4));
			lab_deliver(&lab, &lab.gate, &lab.home.at4, outer, msg, len);
			v4[1] = (uint8_t)(0xb8 | result);
			store_be16(v4 + 10, 0);
			store_be16(v4 + 10, (uint16_t)~naive_sum(0, v4, 20));
			lab_tun_out(&lab.gate, v4, sizeof(v4));

			lab_packet(v6, "fd00::2", "2001:db8:9::1", sizeof(v6));
			v6[0] |= 0x0b;
			v6[1] = (uint8_t)(0x85 | inner_ecn << 4);
			len = seal(msg, counter + 1, v6, sizeof(v6));
			lab_deliver(&lab, &lab.gate, &lab.home.at4, outer, msg, len);
			v6[1] = (uint8_t)(0x85 | result << 4);
			lab_tun_out(&lab.gate, v6, sizeof(v6));
		}
	}
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* The keys' life */

/* Home and the gate make new keys. Returns the keys home had before. */
static struct session_key *rekey(void)
{
	struct session_key *old;

	rcu_turn_begin();
	old = lab_key(&lab.home);
	rcu_turn_end();
	lab_live(&lab, 121);
	lab_connect(&lab);
	rcu_turn_begin();
	ck_assert_ptr_ne(lab_key(&lab.home), old);
	rcu_turn_end();
	return old;
}

/* Previous keys are received under, those before them are not known any more. */
START_TEST(previous_keys)
{
	uint8_t inner[64], first[96], second[96], late[96], later[96];
	size_t len;

	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	seal(first, 1000, inner, sizeof(inner));
	seal(late, 1001, inner, sizeof(inner));
	rekey();
	to_gate(first, sizeof(first));
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	len = seal(second, 1000, inner, sizeof(inner));
	seal(later, 1001, inner, sizeof(inner));
	to_gate(second, len);
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	lab_dropped_nothing(&lab.gate);
	rekey();
	to_gate(late, sizeof(late));
	lab_dropped(&lab.gate, DROP_UNKNOWN_INDEX, 1, false);
	to_gate(later, sizeof(later));
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	lab_dropped_nothing(&lab.gate);
}
END_TEST

START_TEST(expired_keys)
{
	uint8_t inner[64], msg[3][96];

	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	for (unsigned i = 0; i < 3; i++)
		seal(msg[i], 1000 + i, inner, sizeof(inner));
	lab_wait(&lab, 180 * NSEC_PER_SEC - 1);
	to_gate(msg[0], 96);
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	lab_dropped_nothing(&lab.gate);
	lab_wait(&lab, 1);
	to_gate(msg[1], 96);
	lab_dropped(&lab.gate, DROP_KEY_EXPIRED, 1, true);
	/* Expired and forged is not looked into. */
	msg[2][50] ^= 1;
	to_gate(msg[2], 96);
	lab_dropped(&lab.gate, DROP_KEY_EXPIRED, 1, true);
	lab_tun_silent(&lab.gate);
}
END_TEST

/* §6.2: who only receives begins a handshake 15 s before the end, once, if he began the last. */
START_TEST(late_rekey)
{
	uint8_t inner[64], msg[96];
	unsigned initiations = 0;
	struct fake_packet *p;

	lab_packet(inner, "8.8.8.8", "10.0.0.2", sizeof(inner));
	lab_live(&lab, 165);
	for (unsigned i = 0; i < 4; i++) {
		rcu_turn_begin();
		lab_seal(msg, lab_key(&lab.gate), 1000 + i, inner, sizeof(inner));
		rcu_turn_end();
		lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, msg, sizeof(msg));
		lab_tun_out(&lab.home, inner, sizeof(inner));
		for (; (p = lab_sent(&lab.home)); free(p))
			initiations += load_le32(p->data) == MESSAGE_INITIATION;
		ck_assert_uint_eq(initiations, i > 0); /* at 165 s exactly not yet */
		lab_wait(&lab, 100 * NSEC_PER_MSEC);
	}
	lab_dropped_nothing(&lab.home);
}
END_TEST

/* Under the old keys, past their half-life, while there are new ones. */
START_TEST(stragglers_want_nothing)
{
	uint8_t inner[64], msg[96];
	struct fake_packet *p;

	lab_packet(inner, "8.8.8.8", "10.0.0.2", sizeof(inner));
	rcu_turn_begin();
	lab_seal(msg, lab_key(&lab.gate), 1000, inner, sizeof(inner));
	rcu_turn_end();
	rekey();
	lab_live(&lab, 48);
	lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, msg, sizeof(msg));
	lab_tun_out(&lab.home, inner, sizeof(inner));
	for (; (p = lab_sent(&lab.home)); free(p))
		ck_assert_uint_ne(load_le32(p->data), MESSAGE_INITIATION);
}
END_TEST

/* An index of one device is nothing to another, nor is a handshake's to data. */
START_TEST(index_confusion)
{
	uint8_t inner[64], msg[96], out[64];
	struct fake_packet *p;

	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	seal(msg, 1000, inner, sizeof(inner));
	lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, msg, sizeof(msg));
	lab_dropped(&lab.home, DROP_UNKNOWN_INDEX, 1, false);

	lab_wait(&lab, 121 * NSEC_PER_SEC);
	lab_packet(out, "10.0.0.2", "8.8.8.8", sizeof(out));
	lab_tun_in(&lab, &lab.home, out, sizeof(out));
	while ((p = lab_sent(&lab.home)) && load_le32(p->data) != MESSAGE_INITIATION)
		free(p);
	ck_assert_ptr_nonnull(p);
	memcpy(msg + 4, p->data + 4, 4);
	free(p);
	lab_mark(&lab.home);
	lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, msg, sizeof(msg));
	lab_dropped(&lab.home, DROP_UNKNOWN_INDEX, 1, false);
}
END_TEST

/* The TUN device */

START_TEST(tun_refuses)
{
	uint8_t inner[64], msg[96];
	size_t len;

	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	wire_fail(lab.gate.tun, -EIO, 1);
	len = seal(msg, 100, inner, sizeof(inner));
	to_gate(msg, len);
	lab_dropped(&lab.gate, DROP_TUN_WRITE, 1, false);
	len = seal(msg, 101, inner, sizeof(inner));
	to_gate(msg, len);
	lab_tun_out(&lab.gate, inner, sizeof(inner));
	ck_assert(!lab.gate.dev->gone);
	/* Somebody deleted it. */
	wire_fail(lab.gate.tun, -EBADFD, 1);
	len = seal(msg, 102, inner, sizeof(inner));
	to_gate(msg, len);
	lab_dropped(&lab.gate, DROP_TUN_WRITE, 1, false);
	ck_assert(lab.gate.dev->gone);
}
END_TEST

/* As long as a datagram can be. */
START_TEST(largest)
{
	static uint8_t inner[65500], msg[65536];
	size_t len;

	len = lab_packet(inner, "10.0.0.2", "8.8.8.8", 65475);
	len = seal(msg, 100, inner, len);
	to_gate(msg, len);
	lab_tun_out(&lab.gate, inner, 65475);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("receive");
	TCase *tc = tcase_create("receive");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, every_length, 0, 2 * ARRAY_SIZE(types));
	tcase_add_test(tc, oversized);
	tcase_add_test(tc, damaged);
	tcase_add_test(tc, replayed);
	tcase_add_test(tc, handshake_behind_data);
	tcase_add_test(tc, one_burst);
	tcase_add_test(tc, roaming);
	tcase_add_loop_test(tc, source_check, 0, ARRAY_SIZE(sources));
	tcase_add_loop_test(tc, inner_lies, 0, ARRAY_SIZE(lies));
	tcase_add_test(tc, congestion);
	tcase_add_test(tc, previous_keys);
	tcase_add_test(tc, expired_keys);
	tcase_add_test(tc, late_rekey);
	tcase_add_test(tc, stragglers_want_nothing);
	tcase_add_test(tc, index_confusion);
	tcase_add_test(tc, tun_refuses);
	tcase_add_test(tc, largest);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
