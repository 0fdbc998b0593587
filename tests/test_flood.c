/* SPDX-License-Identifier: MIT */
/* Floods of handshakes: what a router asks for then, and that nobody pays for somebody else. */
#include <stdlib.h>

#include "stranger.h"

enum { INITIATION = 148, RESPONSE = 92, COOKIE = 64 };

static struct lab lab;

static void setup(void)
{
	lab_start_acquainted(&lab, NULL);
	lab_mark(&lab.home);
	lab_mark(&lab.gate);
}

static void teardown(void)
{
	lab_stop(&lab);
}

/* So many initiations at once that cookies are asked for from now on. */
static void flood(struct stranger *s)
{
	struct message_initiation msg;
	struct endpoint from;

	ck_assert_int_eq(endpoint_parse(&from, "203.0.113.9:99"), 0);
	for (unsigned i = 0; i < 1024; i++) {
		stranger_babbles(s, &msg);
		lab_inject(&lab.gate, &from, 0, &msg, sizeof(msg));
	}
	lab_settle(&lab);
}

START_TEST(cookies)
{
	static const uint8_t nobody[32] = { 9 };
	struct fake_packet *p;
	struct endpoint at;
	struct stranger s;
	uint8_t packet[64];

	stranger_init(&s, nobody, &lab.gate);
	flood(&s);
	ck_assert_uint_eq(count(&lab.gate, DROP_UNDER_LOAD) + count(&lab.gate, DROP_BAD_HANDSHAKE),
			  1024);
	ck_assert_uint_gt(count(&lab.gate, DROP_UNDER_LOAD), 0);
	ck_assert_uint_eq(discard_sent(&lab.gate), count(&lab.gate, DROP_UNDER_LOAD));
	lab_mark(&lab.gate);

	/* An honest one is asked for a cookie, */
	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_dropped(&lab.gate, DROP_UNDER_LOAD, 1, false);
	p = lab_sent_one(&lab.gate, MESSAGE_COOKIE_REPLY, COOKIE);
	/* (damaged, it is nothing) */
	p->data[40] ^= 1;
	lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, p->data, COOKIE);
	lab_dropped(&lab.home, DROP_BAD_COOKIE, 1, true);
	lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, p->data, COOKIE);
	lab_dropped(&lab.home, DROP_SOURCE_RATE, 1, false);
	lab_wait(&lab, 20 * NSEC_PER_MSEC);
	p->data[40] ^= 1;
	/* which does not make the gate seem elsewhere, nor heard from, */
	lab_deliver(&lab, &lab.home, &lab.home.at6, 0, p->data, COOKIE);
	lab_dropped_nothing(&lab.home);
	ck_assert_int_eq(peer_get_endpoint(lab.home.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, &lab.gate.at4));
	ck_assert_uint_eq(counter_read(&lab.home.peer->traffic.rx_packets), 0);
	lab_sent_nothing(&lab.home);
	/* (a second time it is nothing) */
	lab_wait(&lab, 20 * NSEC_PER_MSEC);
	lab_forward(&lab, &lab.home, p);
	lab_dropped(&lab.home, DROP_BAD_COOKIE, 1, true);

	/* and with it gets through, under load as before. */
	lab_wait(&lab, 6 * NSEC_PER_SEC);
	flood(&s);
	discard_sent(&lab.gate);
	lab_mark(&lab.gate);
	p = lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION);
	/* Its cookie covers the port. */
	lab_deliver(&lab, &lab.gate, &lab.gate.at4, 0, p->data, p->len);
	lab_dropped(&lab.gate, DROP_UNDER_LOAD, 1, false);
	discard_sent(&lab.gate);
	lab_forward(&lab, &lab.gate, p);
	lab_dropped_nothing(&lab.gate);
	/* (home has the same handshake thread as the gate: its load ends first) */
	lab_wait(&lab, NSEC_PER_SEC + 1);
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
}
END_TEST

/* The load is forgotten a second later. */
START_TEST(load_ends)
{
	static const uint8_t nobody[32] = { 9 };
	struct stranger s;

	stranger_init(&s, nobody, &lab.gate);
	flood(&s);
	discard_sent(&lab.gate);
	lab_wait(&lab, NSEC_PER_SEC + 1);
	lab_connect(&lab);
}
END_TEST

/* A source with a cookie has its own rate, and uses up nobody else's. */
START_TEST(source_rate)
{
	static const uint8_t nobody[32] = { 9 };
	struct message_cookie_reply reply;
	struct message_initiation msg;
	struct fake_packet *p;
	struct endpoint from;
	struct stranger s;

	stranger_init(&s, nobody, &lab.gate);
	flood(&s);
	discard_sent(&lab.gate);
	for (unsigned source = 0; source < 3; source++) {
		ck_assert_int_eq(endpoint_parse(&from, "203.0.113.1:9"), 0);
		from.addr4.sin_addr.s_addr += htobe32(source);
		stranger_init(&s, nobody, &lab.gate);
		stranger_babbles(&s, &msg);
		lab_deliver(&lab, &lab.gate, &from, 0, &msg, sizeof(msg));
		p = lab_sent_one(&lab.gate, MESSAGE_COOKIE_REPLY, COOKIE);
		memcpy(&reply, p->data, sizeof(reply));
		free(p);
		ck_assert_int_eq(cookie_consume_reply(&s.cookie, &reply, clock_now()), 0);
		lab_mark(&lab.gate);
		for (unsigned i = 0; i < 5; i++) {
			stranger_babbles(&s, &msg);
			lab_deliver(&lab, &lab.gate, &from, 0, &msg, sizeof(msg));
			lab_dropped(&lab.gate, DROP_BAD_HANDSHAKE, 1, false);
		}
		for (unsigned i = 0; i < 20; i++) {
			stranger_babbles(&s, &msg);
			lab_deliver(&lab, &lab.gate, &from, 0, &msg, sizeof(msg));
			lab_dropped(&lab.gate, DROP_SOURCE_RATE, 1, false);
		}
	}
	lab_sent_nothing(&lab.gate);
}
END_TEST

/* A queue that is full drops, and counts. */
START_TEST(queue_full)
{
	struct message_cookie_reply cookie = { .type = htole32(MESSAGE_COOKIE_REPLY) };
	struct message_initiation msg;
	struct stranger s;
	uint64_t before;

	stranger_init(&s, lab.home.private_key, &lab.gate);
	lab_connect(&lab);
	rcu_turn_begin();
	cookie.receiver_index = htole32(lab_key(&lab.gate)->pair.local_index);
	rcu_turn_end();
	before = count(&lab.gate, DROP_BAD_COOKIE);
	for (unsigned i = 0; i < 200; i++) {
		stranger_babbles(&s, &msg);
		lab_inject(&lab.gate, &lab.home.at4, 0, &msg, sizeof(msg));
	}
	for (unsigned i = 0; i < 4000; i++)
		lab_inject(&lab.gate, &lab.home.at4, 0, &cookie, sizeof(cookie));
	lab_settle(&lab);
	ck_assert_uint_eq(count(&lab.gate, DROP_BAD_COOKIE) - before +
			  count(&lab.gate, DROP_SOURCE_RATE) +
			  count(&lab.gate, DROP_HANDSHAKE_QUEUE_FULL), 4000);
	/* One source does not fill what others wait in. */
	ck_assert_uint_gt(count(&lab.gate, DROP_SOURCE_RATE), 3000);
	ck_assert_uint_eq(count(&lab.gate, DROP_HANDSHAKE_QUEUE_FULL), 0);
}
END_TEST

/* More wishes than one turn grants. */
START_TEST(many_wishes)
{
	enum { PEERS = 100 };
	struct change c = { .kind = CHANGE_PEER,
			    .flags = PEER_HAS_ENDPOINT | PEER_HAS_KEEPALIVE,
			    .keepalive = 25, .endpoint = lab.gate.at4 };
	uint8_t private_key[32] = { 0 };

	for (unsigned i = 0; i < PEERS; i++) {
		private_key[5] = (uint8_t)i;
		crypto_scalarmult_base(c.key, private_key);
		lab_apply(&lab.home, &c);
	}
	lab_settle(&lab);
	ck_assert_uint_eq(discard_sent(&lab.home), PEERS);
	lab_wait(&lab, 6 * NSEC_PER_SEC);
	ck_assert_uint_eq(discard_sent(&lab.home), PEERS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flood");
	TCase *tc = tcase_create("flood");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, cookies);
	tcase_add_test(tc, load_ends);
	tcase_add_test(tc, source_rate);
	tcase_add_test(tc, queue_full);
	tcase_add_test(tc, many_wishes);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
