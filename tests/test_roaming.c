/* SPDX-License-Identifier: MIT */
/*
 * A key in use from two places. Home and the stranger have the same key; each is where it
 * is, and the gate hears of both. One that roams is never taken for two.
 */
#include <errno.h>

#include "../src/base/log.h"
#include "../src/peer/events.h"
#include "../src/peer/sharing.h"
#include "stranger.h"

static struct lab lab;
static struct stranger stranger;
static struct endpoint there; /* where the stranger is */
static char logged[4096];

static void on_line(enum log_level level, const char *text, void *arg)
{
	size_t len = strlen(logged);

	(void)arg;
	if (level <= LOG_LEVEL_WARNING)
		snprintf(logged + len, sizeof(logged) - len, "%s\n", text);
}

static void setup(void)
{
	static const struct log_hook hook = { .line = on_line };

	log_set_hook(&hook);
	logged[0] = '\0';
	lab_start_acquainted(&lab, NULL);
	stranger_init(&stranger, lab.home.private_key, &lab.gate);
	ck_assert_int_eq(endpoint_parse(&there, "203.0.113.9:999"), 0);
	lab_connect(&lab);
}

static void teardown(void)
{
	lab_stop(&lab);
	log_set_hook(NULL);
}

static void set_quarantine(bool on)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | PEER_HAS_QUARANTINE,
			    .quarantine = on };

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
}

static uint32_t noticed(void)
{
	struct endpoint between[2];

	return sharing_noticed(lab.gate.peer, between);
}

/* One of that kind is among the peer's events, and says that. */
static void expect_event(enum event_kind kind, const char *says)
{
	struct event events[EVENTS_MAX];
	char text[EVENT_TEXT_MAX];
	unsigned n, i = 0;

	rcu_turn_begin();
	n = peer_events(lab.gate.peer, events);
	rcu_turn_end();
	while (i < n && events[i].kind != kind)
		i++;
	ck_assert_uint_lt(i, n);
	ck_assert_str_eq(event_text(&events[i], text), says);
}

/* An initiation of whoever is there, and what the gate sends to it is thrown away. */
static void calls_from(const struct endpoint *at)
{
	struct message_initiation msg;

	stranger_initiates(&stranger, 0, &msg);
	lab_deliver(&lab, &lab.gate, at, 0, &msg, sizeof(msg));
	discard_sent(&lab.gate);
}

/* Data of home from there, under the key it has now. */
static void sends_from(const struct endpoint *at)
{
	static uint64_t counter = 1000;
	uint8_t msg[96], inner[64];
	size_t len;

	lab_packet(inner, "10.0.0.2", "8.8.8.8", sizeof(inner));
	rcu_turn_begin();
	len = lab_seal(msg, lab_key(&lab.home), counter++, inner, sizeof(inner));
	rcu_turn_end();
	lab_deliver(&lab, &lab.gate, at, 0, msg, len);
	discard_sent(&lab.gate);
}

static void pass(unsigned seconds)
{
	lab_wait(&lab, seconds * NSEC_PER_SEC);
	discard_sent(&lab.gate);
	discard_sent(&lab.home);
}

/* Handshakes in turn from two addresses: the first makes the place known. */
START_TEST(handshakes_in_turn)
{
	struct endpoint between[2];

	pass(6);
	calls_from(&there);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(noticed(), 0);
		pass(6);
		calls_from(i % 2 ? &there : &lab.home.at4);
	}
	ck_assert_uint_eq(sharing_noticed(lab.gate.peer, between), 1);
	ck_assert(endpoint_same_remote(&between[0], &lab.home.at4));
	ck_assert(endpoint_same_remote(&between[1], &there));
	ck_assert_str_eq(logged, "gate0: home: its key is in use from two places, 192.0.2.2:2222 "
				 "and 203.0.113.9:999: give each machine a key of its own\n");
	ck_assert(!peer_is_held(lab.gate.peer));
	expect_event(EVENT_SHARED_KEY, "two machines use its key: 192.0.2.2:2222 to 203.0.113.9:999");
	/* Once in an interval, however it goes on; and again in the next. */
	for (unsigned i = 0; i < 19; i++) {
		pass(6);
		calls_from(i % 2 ? &there : &lab.home.at4);
		ck_assert_uint_eq(noticed(), 1);
	}
	for (unsigned i = 0; i < 6; i++) {
		pass(6);
		calls_from(i % 2 ? &there : &lab.home.at4);
	}
	ck_assert_uint_eq(noticed(), 2);
}
END_TEST

/* A phone that changes networks twice there and back, with a handshake each time. */
START_TEST(twice_there_and_back)
{
	for (unsigned i = 0; i < 4; i++) {
		pass(20);
		calls_from(i % 2 ? &lab.home.at4 : &there);
	}
	ck_assert_uint_eq(noticed(), 0);
	/* Slowly, it may do so for ever. */
	pass(120);
	for (unsigned i = 0; i < 20; i++) {
		pass(45);
		calls_from(i % 2 ? &lab.home.at4 : &there);
	}
	ck_assert_uint_eq(noticed(), 0);
	ck_assert_str_eq(logged, "");
}
END_TEST

/* It takes its session along: it may change with every packet. */
START_TEST(one_session)
{
	pass(6);
	for (unsigned i = 0; i < 200; i++) {
		if (i % 2)
			pass(1);
		sends_from(i % 2 ? &lab.home.at4 : &there);
		if (i < 150)
			free(wire_take(lab.gate.tun));
	}
	ck_assert_uint_ge(lab.gate.peer->endpoint_changes, 100);
	ck_assert_uint_eq(noticed(), 0);
}
END_TEST

/* Data under keys that the other's handshake has replaced. */
START_TEST(two_sessions)
{
	struct noise_session keys;
	struct message_response response;
	struct message_initiation msg;
	struct fake_packet *p;
	uint8_t empty[32];
	struct session_key other = { 0 };

	/* The stranger has a session of his own, and the gate knows that he has it. */
	pass(6);
	stranger_initiates(&stranger, 0, &msg);
	lab_deliver(&lab, &lab.gate, &there, 0, &msg, sizeof(msg));
	p = lab_sent_one(&lab.gate, MESSAGE_RESPONSE, sizeof(response));
	memcpy(&response, p->data, sizeof(response));
	free(p);
	ck_assert_int_eq(noise_consume_response(&stranger.remote, &stranger.local, &response),
			 NOISE_OK);
	ck_assert_int_eq(noise_begin_session(&stranger.remote, &keys), NOISE_OK);
	keypair_init(&other.pair, &keys, 1);
	for (unsigned i = 0; i < 8; i++) {
		lab_seal(empty, &other, i, NULL, 0);
		lab_deliver(&lab, &lab.gate, &there, 0, empty, sizeof(empty));
		discard_sent(&lab.gate);
		/* What was under way when the newer keys were made says nothing. */
		if (i == 0)
			for (unsigned k = 0; k < 20; k++)
				sends_from(k % 2 ? &there : &lab.home.at4);
		ck_assert_uint_eq(noticed(), i >= 4);
		pass(6);
		sends_from(&lab.home.at4);
	}
	ck_assert_uint_eq(noticed(), 1);
}
END_TEST

static void share(void)
{
	pass(6);
	calls_from(&there);
	for (unsigned i = 0; i < 4; i++) {
		pass(6);
		calls_from(i % 2 ? &there : &lab.home.at4);
	}
}

/* Held: not one packet either way, nothing answered, nothing remembered but that. */
START_TEST(quarantine)
{
	uint8_t to[64], from[64];
	struct message_initiation msg;
	struct fake_packet *p;
	struct endpoint at;
	struct device_owner owner;

	lab_packet(to, "8.8.8.8", "10.0.0.2", sizeof(to));
	lab_packet(from, "10.0.0.2", "8.8.8.8", sizeof(from));
	set_quarantine(true);
	share();
	ck_assert(peer_is_held(lab.gate.peer));
	expect_event(EVENT_QUARANTINED, "quarantined");
	ck_assert_ptr_nonnull(strstr(logged, "it is held until `berth release` names it"));
	ck_assert_ptr_null(atomic_load(&lab.gate.peer->session));
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), -EDESTADDRREQ);
	while ((p = wire_take(lab.gate.tun)))
		free(p);
	lab_mark(&lab.gate);

	/* To it: the sender is told. */
	lab_tun_in(&lab, &lab.gate, to, sizeof(to));
	lab_dropped(&lab.gate, DROP_QUARANTINED, 1, true);
	p = wire_take(lab.gate.tun);
	ck_assert_ptr_nonnull(p);
	ck_assert_mem_eq(p->data + 20, ((uint8_t[]){ 3, 1 }), 2);
	free(p);
	/* From it, under its old keys and with new handshakes, from both. */
	sends_from(&lab.home.at4);
	lab_dropped(&lab.gate, DROP_UNKNOWN_INDEX, 1, false);
	for (unsigned i = 0; i < 2; i++) {
		pass(6);
		lab_mark(&lab.gate);
		stranger_initiates(&stranger, 0, &msg);
		lab_deliver(&lab, &lab.gate, i ? &there : &lab.home.at4, 0, &msg, sizeof(msg));
		lab_dropped(&lab.gate, DROP_QUARANTINED, 1, true);
	}
	lab_sent_nothing(&lab.gate);
	lab_tun_silent(&lab.gate);
	ck_assert_ptr_null(atomic_load(&lab.gate.peer->session));
	/* Nor do its file's other changes, or an operator's hello, wake it. */
	device_hello(lab.gate.dev, lab.home.public_key, false);
	lab_settle(&lab);
	lab_sent_nothing(&lab.gate);
	/* Neighbours are not answered for it. */
	ck_assert(device_find_owner(lab.gate.dev, AF_INET, to + 16, &owner));
	ck_assert_int_eq(owner.announce, ANNOUNCE_CONNECTED);
	ck_assert(!owner.connected);

	ck_assert_int_eq(device_release(lab.gate.dev, lab.home.public_key), 0);
	ck_assert_int_eq(device_release(lab.gate.dev, lab.home.public_key), -EALREADY);
	expect_event(EVENT_RELEASED, "released from quarantine");
	ck_assert_int_eq(device_release(lab.gate.dev, lab.gate.public_key), -ENOENT);
	ck_assert(device_find_owner(lab.gate.dev, AF_INET, to + 16, &owner));
	ck_assert_int_eq(owner.announce, ANNOUNCE_DEFAULT);
	ck_assert_int_eq(peer_get_endpoint(lab.gate.peer, &at), 0);
	/* Whoever comes is answered. Home's keys were thrown away here: it makes new ones. */
	pass(180);
	lab_tun_in(&lab, &lab.home, from, sizeof(from));
	lab_live(&lab, 6);
	lab_dropped_nothing(&lab.gate);
	lab_dropped_nothing(&lab.home);
	lab_tun_out(&lab.gate, from, sizeof(from));
}
END_TEST

/* A new key is another peer; the same file without quarantine changes nothing for who is held. */
START_TEST(ends)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };

	set_quarantine(true);
	share();
	ck_assert(peer_is_held(lab.gate.peer));
	set_quarantine(false);
	ck_assert(peer_is_held(lab.gate.peer));
	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	lab.gate.peer = NULL;
	memset(c.key, 0x55, 32);
	lab.gate.peer = lab_add_peer(&lab.gate, c.key, "home", NULL, "10.0.0.2/32", "fd00::2/128");
	ck_assert(!peer_is_held(lab.gate.peer));
}
END_TEST

static struct device_peer learned;

static void on_learned(void *arg, const struct device_peer *peer)
{
	(void)arg;
	learned = *peer;
}

static void on_recall(void *arg, const uint8_t public_key[32], const char *name,
		      struct device_recalled *out)
{
	(void)arg, (void)public_key, (void)name;
	out->held = true;
	out->endpoint = lab.home.at4;
}

/* What is to survive a restart is told, and comes back before anybody can be heard. */
START_TEST(remembered)
{
	static const struct device_memory memory = { .learned = on_learned,
						     .recall = on_recall };
	struct message_initiation msg;

	lab_start(&lab, 1, false);
	stranger_init(&stranger, lab.home.private_key, &lab.gate);
	device_remember(lab.gate.dev, &memory);
	lab_meet(&lab, NULL);
	ck_assert(peer_is_held(lab.gate.peer));
	lab_mark(&lab.gate);
	stranger_initiates(&stranger, 0, &msg);
	lab_deliver(&lab, &lab.gate, &lab.home.at4, 0, &msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_QUARANTINED, 1, true);
	lab_sent_nothing(&lab.gate);
	ck_assert_int_eq(device_call(lab.gate.dev, lab.home.public_key), 0);
	lab_settle(&lab);
	lab_sent_nothing(&lab.gate);
	learned.held = true;
	ck_assert_int_eq(device_release(lab.gate.dev, lab.home.public_key), 0);
	device_take_learned(lab.gate.dev);
	ck_assert(!learned.held);
	lab_stop(&lab);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("roaming");
	TCase *tc = tcase_create("roaming"), *alone = tcase_create("alone");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, handshakes_in_turn);
	tcase_add_test(tc, twice_there_and_back);
	tcase_add_test(tc, one_session);
	tcase_add_test(tc, two_sessions);
	tcase_add_test(tc, quarantine);
	tcase_add_test(tc, ends);
	tcase_add_test(alone, remembered);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, alone);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
