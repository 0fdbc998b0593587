/* SPDX-License-Identifier: MIT */
/* Handshakes between two routers: both roles, what is refused, and what control may change. */
#include <errno.h>
#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>

#include "../src/base/log.h"
#include "../src/path/handshake.h"
#include "secret_count.h"
#include "stranger.h"

static const uint8_t psk1[32] = { 1, 2, 3 }, psk2[32] = { 4, 5, 6 };

enum { INITIATION = 148, RESPONSE = 92, KEEPALIVE = 32, WARM_STRANGERS = 50, STRANGERS = 500 };

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

/* Both families outside, with and without a preshared key: step by step. */
START_TEST(step_by_step)
{
	uint8_t packet[61];
	size_t len;
	struct endpoint at;

	lab_start(&lab, 1, false);
	lab.v6 = _i & 1;
	lab_meet(&lab, _i & 2 ? psk1 : NULL);
	len = lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, len);
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_sent_nothing(&lab.home);
	ck_assert_int_eq(lab.gate.peer->last_handshake.tv_sec, 0);
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	lab_sent_nothing(&lab.gate);
	ck_assert_int_gt(lab.home.peer->last_handshake.tv_sec, 0);
	/* What waited is sent, padded to 64, and no keepalive with it. */
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, 64 + 32));
	lab_sent_nothing(&lab.home);
	lab_sent_nothing(&lab.gate);
	lab_tun_out(&lab.gate, packet, len);
	ck_assert_int_gt(lab.gate.peer->last_handshake.tv_sec, 0);
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, lab.v6 ? &lab.home.at6 : &lab.home.at4));
	lab_check_tunnel(&lab);
	lab_dropped_nothing(&lab.home);
	lab_dropped_nothing(&lab.gate);
	ck_assert_uint_eq(counter_read(&lab.home.peer->traffic.tx_bytes),
			  counter_read(&lab.gate.peer->traffic.rx_bytes));
	ck_assert_uint_eq(counter_read(&lab.home.peer->traffic.rx_bytes),
			  counter_read(&lab.gate.peer->traffic.tx_bytes));
	ck_assert_uint_eq(counter_read(&lab.home.peer->traffic.tx_packets), 3);
	ck_assert_uint_eq(counter_read(&lab.home.peer->traffic.rx_packets), 2);
	lab_stop(&lab);
}
END_TEST

/* A wish without data ends in a keepalive, which tells the responder that we have the keys. */
START_TEST(keepalive_confirms)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_KEEPALIVE, .keepalive = 25 };

	memcpy(c.key, lab.gate.public_key, 32);
	lab_apply(&lab.home, &c);
	lab_settle(&lab);
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	rcu_turn_begin();
	ck_assert_ptr_null(lab_key(&lab.gate));
	rcu_turn_end();
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, KEEPALIVE));
	rcu_turn_begin();
	ck_assert_ptr_nonnull(lab_key(&lab.gate));
	rcu_turn_end();
	lab_tun_silent(&lab.gate);
	lab_check_tunnel(&lab);
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* §5.4.5: the responder keeps its data until it has heard something under the new keys. */
START_TEST(responder_waits)
{
	uint8_t early[64], packet[64];
	size_t len = lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	struct fake_packet *data;

	lab_packet(early, "8.8.8.8", "10.0.0.2", sizeof(early));
	lab_tun_in(&lab, &lab.home, packet, len);
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	data = lab_sent_one(&lab.home, MESSAGE_DATA, 96);
	lab_tun_in(&lab, &lab.gate, early, sizeof(early));
	/* Nor does it begin a handshake of its own, as long as the answer may be on its way. */
	lab_wait(&lab, REKEY_TIMEOUT - NSEC_PER_SEC);
	lab_sent_nothing(&lab.gate);
	lab_forward(&lab, &lab.gate, data);
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_DATA, 96));
	lab_tun_out(&lab.home, early, sizeof(early));
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* The response is lost and home falls silent: what waits at the gate makes it begin. */
START_TEST(responder_begins)
{
	uint8_t packet[64];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	lab_packet(packet, "8.8.8.8", "10.0.0.2", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_sent_nothing(&lab.gate);
	lab_wait(&lab, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX + 20 * NSEC_PER_MSEC);
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION));
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_carry(&lab);
	lab_tun_out(&lab.home, packet, sizeof(packet));
}
END_TEST

/* Both begin at once; whichever way it ends, data passes. */
START_TEST(crossing)
{
	uint8_t p[64], q[64];
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_ENDPOINT };
	struct fake_packet *a, *b;

	memcpy(c.key, lab.home.public_key, 32);
	c.endpoint = lab.home.at4;
	lab_apply(&lab.gate, &c);
	lab_packet(p, "10.0.0.2", "8.8.8.8", sizeof(p));
	lab_packet(q, "8.8.8.8", "10.0.0.2", sizeof(q));
	lab_tun_in(&lab, &lab.home, p, sizeof(p));
	lab_tun_in(&lab, &lab.gate, q, sizeof(q));
	a = lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION);
	b = lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION);
	if (_i)
		lab_forward(&lab, &lab.gate, a);
	lab_forward(&lab, &lab.home, b);
	if (!_i)
		lab_forward(&lab, &lab.gate, a);
	lab_carry(&lab);
	/* Each has answered and is not answered; the jitter of their retries sets them apart. */
	for (unsigned i = 0; i < 3; i++) {
		lab_live(&lab, 5);
		for (unsigned k = 0; k < 40; k++) {
			lab_wait(&lab, 9 * NSEC_PER_MSEC);
			lab_carry(&lab);
		}
	}
	lab_tun_out(&lab.gate, p, sizeof(p));
	lab_tun_out(&lab.home, q, sizeof(q));
	lab_check_tunnel(&lab);
}
END_TEST

START_TEST(staged_in_order)
{
	uint8_t packet[STAGED_PACKETS_MAX][300];

	for (unsigned i = 0; i < STAGED_PACKETS_MAX; i++) {
		lab_packet(packet[i], "10.0.0.2", "8.8.8.8", 40 + i);
		packet[i][30] = (uint8_t)i;
		wire_inject(lab.home.tun, NULL, 0, packet[i], 40 + i);
	}
	lab_carry(&lab);
	for (unsigned i = 0; i < STAGED_PACKETS_MAX; i++) {
		struct fake_packet *p = wire_take(lab.gate.tun);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(p->len, 40 + i);
		ck_assert_mem_eq(p->data, packet[i], p->len);
		free(p);
	}
	lab_tun_silent(&lab.gate);
	lab_dropped_nothing(&lab.home);
	ck_assert_uint_eq(device_datapath(lab.home.dev)->peers.staged_bytes, 0);
}
END_TEST

static void set_psk(struct side *side, const struct side *other, const uint8_t *psk)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_PRESHARED_KEY };

	memcpy(c.preshared_key, psk, 32);
	memcpy(c.key, other->public_key, 32);
	lab_apply(side, &c);
}

/* One side has another key: the session lives on, the next handshake fails, until both agree. */
START_TEST(changed_psk)
{
	uint8_t p[64];

	lab_packet(p, "10.0.0.2", "8.8.8.8", sizeof(p));
	lab_connect(&lab);
	set_psk(&lab.home, &lab.gate, psk2);
	lab_check_tunnel(&lab);
	lab_live(&lab, 121);
	lab_mark(&lab.home);
	lab_tun_in(&lab, &lab.home, p, sizeof(p));
	lab_carry(&lab);
	lab_tun_out(&lab.gate, p, sizeof(p));
	lab_dropped(&lab.home, DROP_BAD_HANDSHAKE, 1, true);
	set_psk(&lab.gate, &lab.home, psk2);
	lab_live(&lab, 6);
	lab_dropped_nothing(&lab.home);
	lab_live(&lab, 100);
	lab_check_tunnel(&lab); /* the first keys are long gone */
}
END_TEST

static void to_gate(const void *msg, size_t len)
{
	lab_deliver(&lab, &lab.gate, &lab.home.at4, 0, msg, len);
}

START_TEST(refused_initiations)
{
	static const uint8_t nobody[32] = { 9 };
	struct message_initiation msg, first;
	struct stranger s, twin;
	struct endpoint at;

	stranger_init(&s, nobody, &lab.gate);
	stranger_init(&twin, lab.home.private_key, &lab.gate);

	stranger_initiates(&s, 0, &msg);
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_UNKNOWN_PEER, 1, false);

	/* Each bit of what mac1 covers, and of mac1. mac2 is not looked at. */
	stranger_initiates(&twin, 0, &msg);
	for (unsigned i = 4; i < 132; i++) {
		((uint8_t *)&msg)[i] ^= 1;
		to_gate(&msg, sizeof(msg));
		((uint8_t *)&msg)[i] ^= 1;
		lab_dropped(&lab.gate, DROP_BAD_MAC1, 1, false);
	}
	stranger_babbles(&twin, &msg);
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_BAD_HANDSHAKE, 1, false);

	/* The static key is home's, the timestamp damaged: said to be home's fault. */
	stranger_initiates(&twin, 0, &msg);
	msg.encrypted_timestamp[0] ^= 1;
	cookie_add_macs(&twin.cookie, &msg, sizeof(msg), clock_now());
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_BAD_HANDSHAKE, 1, true);

	/* A low-order ephemeral key. */
	stranger_initiates(&twin, 0, &msg);
	memset(msg.ephemeral, 0, sizeof(msg.ephemeral));
	cookie_add_macs(&twin.cookie, &msg, sizeof(msg), clock_now());
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_BAD_HANDSHAKE, 1, false);
	lab_sent_nothing(&lab.gate);
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), -EDESTADDRREQ);

	stranger_initiates(&twin, 0, &first);
	to_gate(&first, sizeof(first));
	lab_dropped_nothing(&lab.gate);
	free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	stranger_initiates(&twin, 1, &msg);
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_INITIATION_FLOOD, 1, true);
	lab_wait(&lab, 30 * NSEC_PER_MSEC);
	to_gate(&msg, sizeof(msg));
	lab_dropped_nothing(&lab.gate);
	free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	lab_wait(&lab, NSEC_PER_SEC);

	/* Recorded, and played from elsewhere: no answer, and no roaming. */
	lab_deliver(&lab, &lab.gate, &lab.gate.at4, 0, &first, sizeof(first));
	lab_dropped(&lab.gate, DROP_REPLAYED_INITIATION, 1, true);
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_REPLAYED_INITIATION, 1, true);
	lab_sent_nothing(&lab.gate);
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, &lab.home.at4));
}
END_TEST

static size_t allocated(void)
{
	lab_settle(&lab);
	rcu_barrier();
	return mallinfo2().uordblks; /* 0 where a sanitizer has taken malloc's place */
}

/* Whoever has no key of a tenant: nothing of him stays, not as much as a list's link. */
START_TEST(strangers_leave_nothing)
{
	struct peer_group *peers = &device_datapath(lab.gate.dev)->peers;
	uint8_t nobody[32] = { 9 };
	struct message_initiation msg;
	size_t before = 0;
	struct stranger s;

	for (unsigned i = 0; i < WARM_STRANGERS + STRANGERS; i++) {
		if (i == WARM_STRANGERS)
			before = allocated();
		store_le32(nobody + 4, i);
		stranger_init(&s, nobody, &lab.gate);
		stranger_initiates(&s, 0, &msg);
		to_gate(&msg, sizeof(msg));
		lab_wait(&lab, 100 * NSEC_PER_MSEC);
	}
	lab_dropped(&lab.gate, DROP_UNKNOWN_PEER, WARM_STRANGERS + STRANGERS, false);
	lab_sent_nothing(&lab.gate);
	ck_assert_uint_le(allocated(), before + STRANGERS * sizeof(void *));
	ck_assert_uint_eq(count_objects(&peers->sessions), 0);
	ck_assert_uint_eq(count_objects(&peers->keys), 0);
	ck_assert_uint_eq(peers->staged_bytes, 0);
}
END_TEST

/* The greatest timestamp outlives the session. */
START_TEST(timestamp_is_kept)
{
	struct message_initiation msg;
	struct stranger twin;

	stranger_init(&twin, lab.home.private_key, &lab.gate);
	stranger_initiates(&twin, 0, &msg);
	to_gate(&msg, sizeof(msg));
	free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	for (unsigned i = 0; i < 60; i++)
		lab_wait(&lab, 10 * NSEC_PER_SEC);
	ck_assert_ptr_null(atomic_load(&lab.gate.peer->session));
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_REPLAYED_INITIATION, 1, true);
}
END_TEST

START_TEST(refused_responses)
{
	struct cookie_maker macs;
	struct fake_packet *p;
	uint8_t packet[64], msg[RESPONSE];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	cookie_maker_init(&macs, lab.home.public_key);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	p = lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE);

	for (unsigned i = 4; i < RESPONSE - 16; i++) {
		memcpy(msg, p->data, RESPONSE);
		msg[i] ^= 0x10;
		lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, msg, RESPONSE);
		lab_dropped(&lab.home, DROP_BAD_MAC1, 1, false);
	}
	/* With good macs only the ephemeral key and the tag are left to damage. */
	for (unsigned i = 12; i < 60; i++) {
		memcpy(msg, p->data, RESPONSE);
		msg[i] ^= 0x10;
		cookie_add_macs(&macs, msg, RESPONSE, clock_now());
		lab_deliver(&lab, &lab.home, &lab.gate.at6, 0, msg, RESPONSE);
		lab_dropped(&lab.home, DROP_BAD_HANDSHAKE, 1, true);
	}
	lab_sent_nothing(&lab.home);
	/* None of it has ended the handshake. */
	memcpy(msg, p->data, RESPONSE);
	lab_forward(&lab, &lab.home, p);
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
	/* Its index now stands for keys. */
	lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, msg, RESPONSE);
	lab_dropped(&lab.home, DROP_UNKNOWN_INDEX, 1, false);
}
END_TEST

/* A retry has another index, and ends the wait for the first answer. */
START_TEST(late_response)
{
	struct fake_packet *first, *second;
	uint8_t packet[64];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	first = lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE);
	lab_wait(&lab, 6 * NSEC_PER_SEC);
	second = lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION);
	lab_forward(&lab, &lab.home, first);
	lab_dropped(&lab.home, DROP_UNKNOWN_INDEX, 1, false);
	lab_forward(&lab, &lab.gate, second);
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
}
END_TEST

/* No answer may mean that our own address is no longer good: the retry leaves it open. */
START_TEST(retry_without_source)
{
	struct fake_packet *p;
	uint8_t packet[64];
	struct endpoint at = lab.gate.at4;

	at.src_ifindex = 7;
	at.src4.s_addr = htobe32(0xc0000202);
	peer_set_endpoint(lab.home.peer, &at);
	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	p = lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION);
	ck_assert(endpoint_equal(&p->peer, &at));
	free(p);
	lab_wait(&lab, 6 * NSEC_PER_SEC);
	p = lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION);
	ck_assert(endpoint_equal(&p->peer, &lab.gate.at4));
	free(p);
}
END_TEST

/* We are elsewhere: a packet from where we are now; and no waiting when nobody has answered. */
START_TEST(hello)
{
	struct endpoint at = lab.gate.at4;
	struct fake_packet *p;

	/* Nobody is known to be there: an initiation, and another when we have moved again. */
	device_hello(lab.home.dev, lab.gate.public_key, false);
	lab_settle(&lab);
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	device_hello(lab.home.dev, lab.gate.public_key, false);
	lab_settle(&lab);
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_wait(&lab, NSEC_PER_SEC);
	device_hello(lab.home.dev, lab.gate.public_key, true);
	lab_settle(&lab);
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_carry(&lab);
	/* With a session: a keepalive, from the kernel's choice of address. */
	lab_wait(&lab, NSEC_PER_SEC);
	at.src4.s_addr = htobe32(0xc0000202);
	peer_set_endpoint(lab.home.peer, &at);
	device_hello(lab.home.dev, lab.gate.public_key, false);
	lab_settle(&lab);
	p = lab_sent_one(&lab.home, MESSAGE_DATA, KEEPALIVE);
	ck_assert(endpoint_equal(&p->peer, &lab.gate.at4));
	free(p);
	lab_sent_nothing(&lab.home);
	/* A stranger is no error. */
	device_hello(lab.home.dev, lab.home.public_key, false);
	lab_settle(&lab);
	lab_sent_nothing(&lab.home);
}
END_TEST

/* Attempts that follow each other so have an end, too. */
START_TEST(hello_gives_up)
{
	unsigned n = 0;

	device_hello(lab.home.dev, lab.gate.public_key, false);
	for (unsigned i = 0; i < 300; i++) {
		lab_wait(&lab, NSEC_PER_SEC);
		if (i % 6 == 5)
			device_hello(lab.home.dev, lab.gate.public_key, true);
		lab_settle(&lab);
		n += discard_sent(&lab.home);
	}
	ck_assert_uint_ge(n, 10);
	ck_assert_uint_le(n, 45);
}
END_TEST

START_TEST(roaming)
{
	struct endpoint at, elsewhere;
	struct message_initiation msg;
	struct stranger twin;

	ck_assert_int_eq(endpoint_parse(&elsewhere, "[2001:db8::77]:7"), 0);
	lab_connect(&lab);
	stranger_init(&twin, lab.home.private_key, &lab.gate);
	stranger_initiates(&twin, 1, &msg);
	lab_wait(&lab, NSEC_PER_SEC);
	lab_deliver(&lab, &lab.gate, &elsewhere, 0, &msg, sizeof(msg));
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, &elsewhere));
	ck_assert_uint_eq(lab.gate.peer->endpoint_changes, 1);
	/* The answer goes there. */
	ck_assert_uint_eq(wire_count(lab.gate.udp4), 0);
	free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
}
END_TEST

/* Control */

START_TEST(no_identity)
{
	struct change none = { .kind = CHANGE_PRIVATE_KEY };
	struct message_initiation msg;
	struct stranger twin;
	uint8_t packet[64];

	lab_connect(&lab);
	lab_apply(&lab.gate, &none);
	stranger_init(&twin, lab.home.private_key, &lab.gate);
	stranger_initiates(&twin, 1, &msg);
	lab_wait(&lab, NSEC_PER_SEC);
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_NO_IDENTITY, 1, false);
	/* Data for home waits for nothing. */
	lab_packet(packet, "8.8.8.8", "10.0.0.2", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_dropped(&lab.gate, DROP_HANDSHAKE_TIMEOUT, 1, true);
	lab_sent_nothing(&lab.gate);
	/* The session it made is not left behind. */
	for (unsigned i = 0; i < 60; i++)
		lab_wait(&lab, 10 * NSEC_PER_SEC);
	ck_assert_ptr_null(atomic_load(&lab.gate.peer->session));
}
END_TEST

/* Sessions end with the key they rest on, and with what waits in them. */
START_TEST(new_private_key)
{
	struct change key = { .kind = CHANGE_PRIVATE_KEY };
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_ENDPOINT };
	uint8_t packet[64], public_key[32];
	struct peer *peer;

	lab_connect(&lab);
	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	memset(key.key, 0x33, 32);
	lab_apply(&lab.home, &key);
	ck_assert_ptr_null(atomic_load(&lab.home.peer->session));
	/* The gate does not know that, and sends; nobody is there for that index. */
	{
		uint8_t back[64];

		lab_packet(back, "8.8.8.8", "10.0.0.2", sizeof(back));
		lab_tun_in(&lab, &lab.gate, back, sizeof(back));
	}
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_DATA, 96));
	lab_dropped(&lab.home, DROP_UNKNOWN_INDEX, 1, false);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	lab_dropped(&lab.gate, DROP_UNKNOWN_PEER, 1, false);
	/* What waits at home ends with another change. */
	memset(key.key, 0x34, 32);
	lab_apply(&lab.home, &key);
	lab_dropped(&lab.home, DROP_HANDSHAKE_TIMEOUT, 1, true);
	/* Once the gate has heard of it, all is well. */
	crypto_scalarmult_base(public_key, key.key);
	c.kind = CHANGE_REMOVE_PEERS;
	lab_apply(&lab.gate, &c);
	peer = lab_add_peer(&lab.gate, public_key, "home", NULL, "10.0.0.2/32", "fd00::2/128");
	lab.gate.peer = peer;
	lab_check_tunnel(&lab);
}
END_TEST

START_TEST(revoked)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };
	struct fake_packet *p;
	uint8_t packet[64];

	lab_connect(&lab);
	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	p = lab_sent_one(&lab.home, MESSAGE_DATA, 96);
	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	lab.gate.peer = NULL;
	lab_mark(&lab.gate);
	lab_forward(&lab, &lab.gate, p);
	lab_dropped(&lab.gate, DROP_UNKNOWN_INDEX, 1, false);
	lab_tun_silent(&lab.gate);
	lab_wait(&lab, 121 * NSEC_PER_SEC);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	while ((p = lab_sent(&lab.home)))
		lab_forward(&lab, &lab.gate, p);
	lab_sent_nothing(&lab.gate);
	lab_tun_silent(&lab.gate);
	ck_assert_uint_ge(count(&lab.gate, DROP_UNKNOWN_PEER), 1);
	/* Nor in the other direction. */
	lab_packet(packet, "8.8.8.8", "10.0.0.2", sizeof(packet));
	lab_mark(&lab.gate);
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_dropped(&lab.gate, DROP_NO_TENANT, 1, false);
	lab_sent_nothing(&lab.gate);
	/* Wiped, and given back. */
	ck_assert_uint_eq(count_objects(&device_datapath(lab.gate.dev)->peers.keys), 0);
	ck_assert_uint_eq(count_objects(&device_datapath(lab.gate.dev)->peers.sessions), 0);
}
END_TEST

/* Revoked while packets wait for its handshake. */
START_TEST(revoked_while_staging)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };
	uint8_t packet[64];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	for (unsigned i = 0; i < 3; i++)
		lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	memcpy(c.key, lab.gate.public_key, 32);
	lab.home.peer = NULL;
	lab_mark(&lab.home);
	lab_apply(&lab.home, &c);
	lab_settle(&lab);
	lab_dropped(&lab.home, DROP_NO_TENANT, 3, false);
	rcu_barrier();
	ck_assert_uint_eq(device_datapath(lab.home.dev)->peers.staged_bytes, 0);
}
END_TEST

/*
 * Handshakes go on while the private key is changed again and again: no session that
 * is left rests on a key of before.
 */
START_TEST(key_changes_race)
{
	struct change key = { .kind = CHANGE_PRIVATE_KEY };
	struct message_initiation msg;
	struct side as = lab.gate;
	struct stranger twin;

	stranger_init(&twin, lab.home.private_key, &as);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 40; i++) {
			stranger_initiates(&twin, round * 100 + i, &msg);
			lab_inject(&lab.gate, &lab.home.at4, 0, &msg, sizeof(msg));
		}
		memset(key.key, round % 2 ? 0x22 : 0x44, 32);
		lab_apply(&lab.gate, &key);
		lab_settle(&lab);
		discard_sent(&lab.gate);
		lab_wait(&lab, NSEC_PER_SEC);
		crypto_scalarmult_base(as.public_key, key.key);
		stranger_init(&twin, lab.home.private_key, &as);
		stranger_initiates(&twin, round * 100 + 90, &msg);
		to_gate(&msg, sizeof(msg));
		free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handshake");
	TCase *alone = tcase_create("alone");
	TCase *tc = tcase_create("handshake");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(alone, step_by_step, 0, 4);
	tcase_add_test(tc, keepalive_confirms);
	tcase_add_test(tc, responder_waits);
	tcase_add_test(tc, responder_begins);
	tcase_add_loop_test(tc, crossing, 0, 2);
	tcase_add_test(tc, staged_in_order);
	tcase_add_test(tc, changed_psk);
	tcase_add_test(tc, refused_initiations);
	tcase_add_test(tc, strangers_leave_nothing);
	tcase_add_test(tc, timestamp_is_kept);
	tcase_add_test(tc, refused_responses);
	tcase_add_test(tc, late_response);
	tcase_add_test(tc, retry_without_source);
	tcase_add_test(tc, roaming);
	tcase_add_test(tc, hello_gives_up);
	tcase_add_test(tc, hello);
	tcase_add_test(tc, no_identity);
	tcase_add_test(tc, new_private_key);
	tcase_add_test(tc, revoked);
	tcase_add_test(tc, revoked_while_staging);
	tcase_add_test(tc, key_changes_race);
	suite_add_tcase(s, alone);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
