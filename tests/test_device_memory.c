/* SPDX-License-Identifier: MIT */
/* What a device learns of its peers, gives back to them, and how it calls those it knows. */
#include <errno.h>

#include "../src/path/handshake.h"
#include "stranger.h"

enum { INITIATION = 148, RESPONSE = 92, KEEPALIVE = 32 };

static struct lab lab;

/* What the gate has told of home, and what it will be told. */
static struct {
	unsigned n, n_removed, n_recalled, n_absent, n_suspended;
	uint64_t rx_packets, tx_packets, drops[DROP_REASON_COUNT];
	struct endpoint endpoint;
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	char name[TENANT_NAME_MAX + 1];
	struct device_recalled recall;
} memory;

static void on_learned(void *arg, const struct device_peer *peer)
{
	ck_assert_ptr_eq(arg, &memory);
	memory.n++;
	memory.n_removed += peer->removed;
	memory.n_suspended += peer->suspended;
	memory.rx_packets = peer->rx_packets;
	memory.tx_packets = peer->tx_packets;
	memcpy(memory.drops, peer->drops, sizeof(memory.drops));
	memory.endpoint = peer->endpoint;
	memcpy(memory.timestamp, peer->timestamp, sizeof(memory.timestamp));
}

static void on_absent(void *arg, const uint8_t public_key[32], bool suspended)
{
	ck_assert_ptr_eq(arg, &memory);
	ck_assert_mem_eq(public_key, lab.home.public_key, 32);
	memory.n_absent++;
	memory.n_suspended += suspended;
}

static void on_recall(void *arg, const uint8_t public_key[32], const char *name,
		      struct device_recalled *out)
{
	ck_assert_ptr_eq(arg, &memory);
	memory.n_recalled++;
	strcpy(memory.name, name);
	if (!memcmp(public_key, lab.home.public_key, 32))
		*out = memory.recall;
}

static void setup(void)
{
	static const struct device_memory m = { &memory, on_learned, on_absent, on_recall };

	lab_start(&lab, 1, false);
	device_remember(lab.gate.dev, &m);
}

static void teardown(void)
{
	lab_stop(&lab);
}

static void remove_home(void)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
}

static bool is_at(const struct endpoint *at)
{
	return endpoint_same_remote(&memory.endpoint, at);
}

/* News is told once, however often it came. */
START_TEST(learns)
{
	uint8_t packet[100], first[NOISE_TIMESTAMP_LEN];
	struct endpoint other;

	lab_meet(&lab, NULL);
	ck_assert_uint_eq(memory.n_recalled, 1);
	ck_assert_str_eq(memory.name, "home");
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, 0);
	lab_connect(&lab);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, 1);
	ck_assert(is_at(&lab.home.at4));
	ck_assert(!sodium_is_zero(memory.timestamp, sizeof(memory.timestamp)));
	memcpy(first, memory.timestamp, sizeof(first));

	/* Data from the same place is news, as it was counted, */
	lab_packet(packet, "10.0.0.2", "10.0.0.1", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, 2);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, 2);
	/* two moves are one, */
	for (unsigned i = 1; i <= 2; i++) {
		struct fake_packet *p;

		lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
		p = lab_sent_one(&lab.home, MESSAGE_DATA, 112 + 32);
		other = lab.home.at4;
		other.addr4.sin_port = htobe16(7000 + i);
		lab_deliver(&lab, &lab.gate, &other, 0, p->data, p->len);
		free(p);
		lab_tun_out(&lab.gate, packet, sizeof(packet));
	}
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, 3);
	ck_assert(is_at(&other));
	ck_assert_mem_eq(memory.timestamp, first, sizeof(first));
	/* and another handshake is news again, also from the same place. */
	for (unsigned i = 0; i < 2; i++) {
		lab_live(&lab, i * 121);
		lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
		lab_carry(&lab);
		lab_tun_out(&lab.gate, packet, sizeof(packet));
		device_take_learned(lab.gate.dev);
		ck_assert_uint_eq(memory.n, 4 + i);
		ck_assert(is_at(&lab.home.at4));
	}
	ck_assert_int_gt(memcmp(memory.timestamp, first, sizeof(first)), 0);
}
END_TEST

/* Whatever is counted is told, and what was told is given back and counted on. */
START_TEST(counts)
{
	uint64_t rx, tx, before;
	uint8_t packet[100];

	lab_meet(&lab, NULL);
	lab_connect(&lab);
	/* home → gate, one of a foreign source; gate → home. */
	lab_packet(packet, "10.0.0.9", "10.0.0.1", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.drops[DROP_SOURCE_NOT_ALLOWED], 1);
	rx = memory.rx_packets;
	tx = memory.tx_packets;
	ck_assert_uint_eq(rx, counter_read(&lab.gate.peer->traffic.rx_packets));
	before = memory.n;
	lab_packet(packet, "10.0.0.1", "10.0.0.2", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, before + 1);
	ck_assert_uint_eq(memory.tx_packets, tx + 1);
	ck_assert_uint_eq(memory.rx_packets, rx);
	discard_sent(&lab.gate);

	memory.recall.counts = (struct saved_counts){ .rx_bytes = 1000, .rx_packets = 10,
						      .tx_bytes = 2000, .tx_packets = 20,
						      .drops = { [DROP_BAD_TAG] = 30 } };
	remove_home();
	ck_assert_uint_eq(memory.n_suspended, 0);
	lab.gate.peer = lab_add_peer(&lab.gate, lab.home.public_key, "home", NULL, "10.0.0.2/32",
				     "fd00::2/128");
	/* What was given back is no news. */
	before = memory.n;
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, before);
	ck_assert_uint_eq(counter_read(&lab.gate.peer->traffic.rx_bytes), 1000);
	ck_assert_uint_eq(counter_read(&lab.gate.peer->traffic.tx_packets), 20);
	/* Until home finds that nobody answers. */
	lab_live(&lab, 30);
	lab_connect(&lab);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_gt(memory.rx_packets, 10);
	ck_assert_uint_gt(memory.tx_packets, 20);
	ck_assert_uint_eq(memory.drops[DROP_BAD_TAG], 30);
	ck_assert_uint_eq(memory.drops[DROP_SOURCE_NOT_ALLOWED], 0);
}
END_TEST

/* A worker may count something at a peer that was told of as removed: it says nothing more. */
START_TEST(removed_is_told_once)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE | PEER_SUSPEND,
			    .name = "home" };
	struct peer *peer;

	lab_meet(&lab, NULL);
	lab_connect(&lab);
	peer = lab.gate.peer;
	rcu_turn_begin();
	ck_assert(peer_ref(peer));
	rcu_turn_end();
	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n_removed, 1);
	ck_assert_uint_eq(memory.n_suspended, 1);
	rcu_turn_begin();
	datapath_drop(device_datapath(lab.gate.dev), peer, DROP_BAD_TAG, 1);
	rcu_turn_end();
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n_removed, 1);
	peer_unref(peer);
	/* Who is not there is told of as well, if somebody's file has said so. */
	lab_apply(&lab.gate, &c);
	ck_assert_uint_eq(memory.n_absent, 1);
	ck_assert_uint_eq(memory.n_suspended, 2);
	c.flags = PEER_REMOVE;
	lab_apply(&lab.gate, &c);
	ck_assert_uint_eq(memory.n_absent, 2);
	c.name[0] = '\0';
	lab_apply(&lab.gate, &c);
	ck_assert_uint_eq(memory.n_absent, 2);
	ck_assert_uint_eq(memory.n_suspended, 2);
}
END_TEST

/* The other side, which was not told to remember, owes nobody anything. */
START_TEST(nobody_asks)
{
	lab_meet(&lab, NULL);
	lab_connect(&lab);
	device_take_learned(lab.home.dev);
	device_forget(lab.gate.dev);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, 0);
	remove_home();
}
END_TEST

/* An initiation from before: refused if its time is recalled, accepted if one later is not. */
START_TEST(old_initiations)
{
	struct message_initiation old, new;
	struct stranger s;

	stranger_init(&s, lab.home.private_key, &lab.gate);
	stranger_initiates(&s, 0, &old);
	stranger_initiates(&s, 1, &new);
	lab_meet(&lab, NULL);
	lab_deliver(&lab, &lab.gate, &lab.home.at4, 0, &old, sizeof(old));
	free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
	device_take_learned(lab.gate.dev);
	memcpy(memory.recall.timestamp, memory.timestamp, sizeof(memory.timestamp));

	/* Removed: its time is told, its place gone. Nothing is known when it comes back: */
	remove_home();
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n_removed, 1);
	ck_assert(!endpoint_is_set(&memory.endpoint));
	ck_assert_mem_eq(memory.timestamp, memory.recall.timestamp, sizeof(memory.timestamp));
	if (_i)
		memset(&memory.recall, 0, sizeof(memory.recall));
	lab.gate.peer = lab_add_peer(&lab.gate, lab.home.public_key, "home", NULL, "10.0.0.2/32",
				     "fd00::2/128");
	lab_mark(&lab.gate);
	lab_wait(&lab, NSEC_PER_SEC);
	lab_deliver(&lab, &lab.gate, &lab.home.at6, 0, &old, sizeof(old));
	if (_i) {
		free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
		return;
	}
	lab_dropped(&lab.gate, DROP_REPLAYED_INITIATION, 1, true);
	lab_sent_nothing(&lab.gate);
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &memory.endpoint), -EDESTADDRREQ);
	lab_deliver(&lab, &lab.gate, &lab.home.at4, 0, &new, sizeof(new));
	free(lab_sent_one(&lab.gate, MESSAGE_RESPONSE, RESPONSE));
}
END_TEST

/* Removed and added by one list: the time is told in between. */
START_TEST(told_before_recalled)
{
	struct change c[2] = { { .kind = CHANGE_PEER, .flags = PEER_REMOVE },
			       { .kind = CHANGE_PEER } };
	size_t failed;

	lab_meet(&lab, NULL);
	lab_connect(&lab);
	memcpy(c[0].key, lab.home.public_key, 32);
	memcpy(c[1].key, lab.home.public_key, 32);
	ck_assert_int_eq(device_apply(lab.gate.dev, c, 2, &failed), 0);
	ck_assert_uint_eq(memory.n_removed, 1);
	ck_assert(!sodium_is_zero(memory.timestamp, sizeof(memory.timestamp)));
}
END_TEST

/* The endpoint is given back, too, unless the change names one. */
START_TEST(endpoints)
{
	struct endpoint at;

	memory.recall.endpoint = lab.home.at4;
	lab.gate.peer = lab_add_peer(&lab.gate, lab.home.public_key, "home",
				     _i ? &lab.home.at6 : NULL, "10.0.0.2/32", "fd00::2/128");
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, _i ? &lab.home.at6 : &lab.home.at4));
	ck_assert_uint_eq(lab.gate.peer->endpoint_changes, 0);
	/* What came from the memory is no news to it. */
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.n, (unsigned)_i);
}
END_TEST

static bool has_session(void)
{
	return atomic_load(&lab.gate.peer->session) != NULL;
}

static void call(void)
{
	ck_assert_int_eq(device_call(lab.gate.dev, lab.home.public_key), 0);
	lab_settle(&lab);
}

/* How many datagrams the gate sends in so many seconds, none of which arrives. */
static unsigned in_vain(unsigned seconds)
{
	unsigned n = 0;

	while (seconds--) {
		lab_wait(&lab, NSEC_PER_SEC);
		n += discard_sent(&lab.gate);
	}
	return n;
}

/* Somebody who is there gets a session; nobody else is called. */
START_TEST(calls)
{
	static const uint8_t nobody[32] = { 9 };

	memory.recall.endpoint = lab.home.at4;
	lab_meet(&lab, NULL);
	ck_assert_int_eq(device_call(lab.gate.dev, nobody), 0);
	lab_settle(&lab);
	lab_sent_nothing(&lab.gate);
	call();
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_RESPONSE, RESPONSE));
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_DATA, KEEPALIVE));
	rcu_turn_begin();
	ck_assert_ptr_nonnull(lab_key(&lab.gate));
	ck_assert_ptr_nonnull(lab_key(&lab.home));
	rcu_turn_end();
	lab_wait(&lab, REKEY_TIMEOUT + NSEC_PER_SEC);
	call();
	lab_sent_nothing(&lab.gate);
	lab_connect(&lab);
}
END_TEST

/* Nobody answers: there is no second attempt, and nothing is kept. */
START_TEST(called_once)
{
	memory.recall.endpoint = lab.home.at4;
	lab_meet(&lab, NULL);
	call();
	free(lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION));
	ck_assert(has_session());
	lab_live(&lab, 6);
	lab_sent_nothing(&lab.gate);
	ck_assert(!has_session());
	/* Called again, it is one more. */
	call();
	free(lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION));
}
END_TEST

/* A packet for somebody who was called in vain makes it a wish like any other. */
START_TEST(wanted_while_called)
{
	uint8_t packet[64];

	memory.recall.endpoint = lab.home.at4;
	lab_meet(&lab, NULL);
	call();
	free(lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION));
	lab_packet(packet, "8.8.8.8", "10.0.0.2", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_sent_nothing(&lab.gate);
	ck_assert_uint_ge(in_vain(120), 15);
	ck_assert(!has_session());
	lab_dropped(&lab.gate, DROP_HANDSHAKE_TIMEOUT, 1, true);
}
END_TEST

/* Persistent keepalives outlive a call that nobody answers. */
START_TEST(called_with_keepalive)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_KEEPALIVE, .keepalive = 25 };

	memory.recall.endpoint = lab.home.at4;
	lab_meet(&lab, NULL);
	call();
	free(lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION));
	lab_wait(&lab, 4 * NSEC_PER_SEC);
	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	ck_assert_uint_ge(in_vain(120), 15);
	ck_assert(has_session());
	ck_assert_uint_ge(in_vain(40), 1);
}
END_TEST

enum { DEAD = 2000 };

static void add_dead(uint8_t keys[DEAD][32])
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_ENDPOINT };

	ck_assert_int_eq(endpoint_parse(&c.endpoint, "203.0.113.9:9"), 0);
	for (unsigned i = 0; i < DEAD; i++) {
		uint8_t private_key[32] = { [5] = (uint8_t)i, [6] = (uint8_t)(i >> 8) };

		crypto_scalarmult_base(keys[i], private_key);
		memcpy(c.key, keys[i], 32);
		lab_apply(&lab.gate, &c);
	}
	lab_settle(&lab);
}

/*
 * Two thousand dead tenants are called at once, which nobody does: a new one is answered
 * before most of them, as calls and messages take turns (handshake.c, 16 of each).
 */
START_TEST(calls_hold_up_nobody)
{
	static uint8_t keys[DEAD][32];
	unsigned n = 0, answered = 0;
	struct message_initiation msg;
	struct fake_packet *p;
	struct stranger s;

	lab_meet(&lab, NULL);
	add_dead(keys);
	stranger_init(&s, lab.home.private_key, &lab.gate);
	stranger_initiates(&s, 0, &msg);
	for (unsigned i = 0; i < DEAD; i++) {
		ck_assert_int_eq(device_call(lab.gate.dev, keys[i]), 0);
		if (i == DEAD / 20)
			lab_inject(&lab.gate, &lab.home.at4, 0, &msg, sizeof(msg));
	}
	lab_settle(&lab);
	while ((p = lab_sent(&lab.gate))) {
		n++;
		if (load_le32(p->data) == MESSAGE_RESPONSE)
			answered = n;
		free(p);
	}
	ck_assert_uint_eq(n, DEAD + 1);
	ck_assert_uint_gt(answered, 0);
	ck_assert_uint_lt(answered, DEAD * 3 / 4);
	ck_assert_uint_eq(count(&lab.gate, DROP_HANDSHAKE_QUEUE_FULL), 0);
}
END_TEST

/* Under load nobody is called: tenants come by themselves. */
START_TEST(calls_wait)
{
	struct message_initiation msg;
	struct stranger s;
	int err = 0;

	memory.recall.endpoint = lab.home.at4;
	lab_meet(&lab, NULL);
	stranger_init(&s, lab.home.private_key, &lab.gate);
	for (unsigned i = 0; i < 1024; i++) {
		stranger_babbles(&s, &msg);
		lab_inject(&lab.gate, &lab.home.at6, 0, &msg, sizeof(msg));
	}
	lab_settle(&lab);
	discard_sent(&lab.gate);
	err = device_call(lab.gate.dev, lab.home.public_key);
	ck_assert_int_eq(err, -EAGAIN);
	lab_settle(&lab);
	lab_sent_nothing(&lab.gate);
	lab_wait(&lab, NSEC_PER_SEC + 1);
	call();
	free(lab_sent_one(&lab.gate, MESSAGE_INITIATION, INITIATION));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device_memory");
	TCase *tc = tcase_create("device_memory");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, learns);
	tcase_add_test(tc, counts);
	tcase_add_test(tc, removed_is_told_once);
	tcase_add_test(tc, nobody_asks);
	tcase_add_loop_test(tc, old_initiations, 0, 2);
	tcase_add_test(tc, told_before_recalled);
	tcase_add_loop_test(tc, endpoints, 0, 2);
	tcase_add_test(tc, calls);
	tcase_add_test(tc, called_once);
	tcase_add_test(tc, wanted_while_called);
	tcase_add_test(tc, called_with_keepalive);
	tcase_add_test(tc, calls_hold_up_nobody);
	tcase_add_test(tc, calls_wait);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
