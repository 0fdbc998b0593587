/* SPDX-License-Identifier: MIT */
/* The timers of paper §6 as the network sees them: stamps, wheel, worker and handshake thread. */
#include <sched.h>
#include <stdlib.h>
#include <uv.h>

#include "path_lab.h"
#include "secret_count.h"

enum { INITIATION = 148, RESPONSE = 92, KEEPALIVE = 32, DATA = 96 };

static struct lab lab;
static uint8_t out[64], back[64];

static void setup(void)
{
	lab_start_acquainted(&lab, NULL);
	lab_packet(out, "10.0.0.2", "8.8.8.8", sizeof(out));
	lab_packet(back, "8.8.8.8", "10.0.0.2", sizeof(back));
	lab_mark(&lab.home);
	lab_mark(&lab.gate);
}

static void teardown(void)
{
	lab_stop(&lab);
}

static void set_keepalive(uint16_t seconds)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_KEEPALIVE,
			    .keepalive = seconds };

	memcpy(c.key, lab.gate.public_key, 32);
	lab_apply(&lab.home, &c);
	lab_settle(&lab);
}

/* Waits in steps of 100 ms until side sends. Returns ms, at most limit; *p is the message. */
static unsigned wait_for(struct side *side, unsigned limit, struct fake_packet **p)
{
	unsigned ms = 0;

	lab_settle(&lab);
	*p = lab_sent(side);
	while (!*p && ms < limit) {
		lab_wait(&lab, 100 * NSEC_PER_MSEC);
		ms += 100;
		*p = lab_sent(side);
	}
	return ms;
}

static void expect_silence(struct side *side, unsigned seconds)
{
	struct fake_packet *p;

	wait_for(side, seconds * 1000, &p);
	if (p)
		ck_abort_msg("type %u", p->data[0]);
}

/* No answer: 18 retries, each 5 s and a little after the last; then what waited is dropped. */
START_TEST(retries_and_gives_up)
{
	struct fake_packet *p;
	unsigned total = 0;

	/* (more of them would each be a wish of its own, and begin the count anew) */
	lab_tun_in(&lab, &lab.home, out, sizeof(out));
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	for (unsigned i = 0; i < 18; i++) {
		unsigned ms = wait_for(&lab.home, 6000, &p);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(load_le32(p->data), MESSAGE_INITIATION);
		/* steps of 100 ms, ticks of 8 */
		ck_assert_uint_ge(ms, 5000);
		ck_assert_uint_le(ms, 5500);
		total += ms;
		free(p);
	}
	lab_dropped_nothing(&lab.home);
	expect_silence(&lab.home, 30);
	lab_dropped(&lab.home, DROP_HANDSHAKE_TIMEOUT, 1, true);
	ck_assert_uint_ge(total, 90000);
	/* Whoever sends again begins again. */
	lab_tun_in(&lab, &lab.home, out, sizeof(out));
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
}
END_TEST

/* Who has received data, and has nothing to say, says so after 10 s. */
START_TEST(passive_keepalive)
{
	struct fake_packet *p;
	unsigned ms;

	lab_connect(&lab);
	ms = wait_for(&lab.gate, 20000, &p);
	ck_assert_uint_ge(ms, 10000);
	ck_assert_uint_le(ms, 10100);
	ck_assert_uint_eq(p->len, KEEPALIVE);
	lab_forward(&lab, &lab.home, p);
	/* It is not answered, and not repeated. */
	expect_silence(&lab.gate, 100);
	lab_sent_nothing(&lab.home);
	/* Data, then more: another keepalive follows the first. */
	for (unsigned i = 0; i < 2; i++) {
		lab_tun_in(&lab, &lab.home, out, sizeof(out));
		lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, DATA));
	}
	for (unsigned i = 0; i < 2; i++) {
		ms = wait_for(&lab.gate, 20000, &p);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_ge(ms, 10000);
		ck_assert_uint_le(ms, 10100);
		ck_assert_uint_eq(p->len, KEEPALIVE);
		lab_forward(&lab, &lab.home, p);
	}
	expect_silence(&lab.gate, 20);
}
END_TEST

/* Data without any answer: a new handshake after 15 s, from whatever address the kernel likes. */
START_TEST(unanswered_data)
{
	struct endpoint at, here = lab.gate.at4;
	struct fake_packet *p;
	uint8_t msg[KEEPALIVE];
	unsigned ms;

	lab_connect(&lab);
	here.src4.s_addr = 1;
	here.src_ifindex = 9;
	rcu_turn_begin();
	lab_seal(msg, lab_key(&lab.gate), 100, NULL, 0);
	rcu_turn_end();
	lab_deliver(&lab, &lab.home, &here, 0, msg, sizeof(msg));
	lab_tun_in(&lab, &lab.home, out, sizeof(out));
	free(lab_sent_one(&lab.home, MESSAGE_DATA, DATA));
	ms = wait_for(&lab.home, 30000, &p);
	ck_assert_uint_eq(load_le32(p->data), MESSAGE_INITIATION);
	ck_assert_uint_ge(ms, 15000);
	ck_assert_uint_le(ms, 15500);
	ck_assert_uint_eq(p->peer.src_ifindex, 0);
	free(p);
	ck_assert_int_eq(peer_get_endpoint(lab.home.peer, &at), 0);
	ck_assert(endpoint_same_remote(&at, &here));
	ck_assert_uint_eq(at.src_ifindex, 0);
}
END_TEST

START_TEST(persistent_keepalive)
{
	struct fake_packet *p;

	lab_connect(&lab);
	lab_live(&lab, 12);
	set_keepalive(20);
	/* Switched on, it says hello. */
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, KEEPALIVE));
	for (unsigned i = 0; i < 5; i++) {
		unsigned ms = wait_for(&lab.home, 30000, &p);

		ck_assert_uint_ge(ms, 20000);
		ck_assert_uint_le(ms, 20100);
		ck_assert_uint_eq(p->len, KEEPALIVE);
		lab_forward(&lab, &lab.gate, p);
	}
	set_keepalive(0);
	expect_silence(&lab.home, 60);
}
END_TEST

/* The machine was suspended: no timer of the loop has run, and the time has passed all the same. */
START_TEST(suspended)
{
	static const unsigned asleep[] = { 30, 700 };
	struct fake_packet *p;
	uint64_t since;

	lab_connect(&lab);
	set_keepalive(20);
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, KEEPALIVE));
	fake_clock_advance(asleep[_i] * NSEC_PER_SEC);
	workers_look(&lab.ws);
	since = uv_hrtime();
	/* The loop's own timer would come, too, but some 10 s from now. */
	while (!(p = lab_sent(&lab.home))) {
		ck_assert_uint_lt(uv_hrtime() - since, 4 * NSEC_PER_SEC);
		sched_yield();
	}
	/* Under keys that have lived on, or with new ones. */
	ck_assert_uint_eq(load_le32(p->data), _i ? MESSAGE_INITIATION : MESSAGE_DATA);
	free(p);
	lab_settle(&lab);
	rcu_barrier();
	ck_assert_uint_eq(!count_objects(&device_datapath(lab.home.dev)->peers.keys), _i);
}
END_TEST

/* Without a session, with nobody there, and after all keys are wiped: it goes on asking. */
START_TEST(persistent_without_answer)
{
	unsigned initiations = 0, silence = 0, longest = 0;
	struct fake_packet *p;

	set_keepalive(25);
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, INITIATION));
	for (unsigned second = 0; second < 700; second++) {
		lab_wait(&lab, NSEC_PER_SEC);
		longest = max(longest, ++silence);
		for (; (p = lab_sent(&lab.home)); free(p)) {
			ck_assert_uint_eq(load_le32(p->data), MESSAGE_INITIATION);
			initiations++;
			silence = 0;
		}
	}
	ck_assert_uint_ge(initiations, 90);
	ck_assert_uint_le(longest, 26);
	/* There he is. */
	do {
		lab_wait(&lab, 100 * NSEC_PER_MSEC);
	} while (!(p = lab_sent(&lab.home)));
	lab_forward(&lab, &lab.gate, p);
	lab_carry(&lab);
	rcu_turn_begin();
	ck_assert_ptr_nonnull(lab_key(&lab.gate));
	rcu_turn_end();
	/* With a session for minutes, and never without one. */
	for (unsigned minute = 0; minute < 8; minute++) {
		lab_live(&lab, 60);
		lab_tun_in(&lab, &lab.gate, back, sizeof(back));
		lab_carry(&lab);
		lab_tun_out(&lab.home, back, sizeof(back));
	}
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* The interval set before there is anything to send it with. */
START_TEST(persistent_before_all_else)
{
	struct change key = { .kind = CHANGE_PRIVATE_KEY };
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_ENDPOINT };
	struct fake_packet *p;
	unsigned ms;

	if (_i == 0) {
		lab_apply(&lab.home, &key);
		set_keepalive(25);
		expect_silence(&lab.home, 60);
		memcpy(key.key, lab.home.private_key, 32);
		lab_apply(&lab.home, &key);
		ms = wait_for(&lab.home, 30000, &p);
		ck_assert_uint_eq(ms, 0);
	} else {
		c.flags = PEER_REMOVE;
		memcpy(c.key, lab.gate.public_key, 32);
		lab_apply(&lab.home, &c);
		lab.home.peer = lab_add_peer(&lab.home, lab.gate.public_key, "gate", NULL,
					     "0.0.0.0/0", "::/0");
		set_keepalive(25);
		expect_silence(&lab.home, 60);
		c.flags = PEER_HAS_ENDPOINT;
		c.endpoint = lab.gate.at4;
		lab_apply(&lab.home, &c);
		ms = wait_for(&lab.home, 30000, &p);
		ck_assert_uint_le(ms, 25100);
	}
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(load_le32(p->data), MESSAGE_INITIATION);
	free(p);
}
END_TEST

/* Idle for 540 s: nothing is left but the peer. */
START_TEST(wiped)
{
	lab_connect(&lab);
	lab_live(&lab, 538);
	ck_assert_ptr_nonnull(atomic_load(&lab.home.peer->session));
	ck_assert_ptr_nonnull(atomic_load(&lab.gate.peer->session));
	lab_live(&lab, 3);
	ck_assert_ptr_null(atomic_load(&lab.home.peer->session));
	ck_assert_ptr_null(atomic_load(&lab.gate.peer->session));
	ck_assert(!lab.home.peer->on_wheel);
	rcu_barrier();
	for (unsigned i = 0; i < 2; i++) {
		struct peer_group *peers =
			&device_datapath(i ? lab.gate.dev : lab.home.dev)->peers;

		ck_assert_uint_eq(count_objects(&peers->sessions), 0);
		ck_assert_uint_eq(count_objects(&peers->keys), 0);
	}
	/* And it comes back. */
	lab_connect(&lab);
}
END_TEST

/* Keys go in time even if there is always somebody who sends to the one who is gone. */
START_TEST(wiped_while_waiting)
{
	struct fake_packet *p;
	struct session *session;

	lab_connect(&lab);
	for (unsigned second = 0; second < 545; second++) {
		lab_tun_in(&lab, &lab.home, out, sizeof(out));
		lab_wait(&lab, NSEC_PER_SEC);
		while ((p = lab_sent(&lab.home)))
			free(p);
		if (second < 530)
			continue;
		rcu_turn_begin();
		session = rcu_read(&lab.home.peer->session);
		ck_assert_ptr_nonnull(session);
		if (second >= 541)
			ck_assert_ptr_null(keypairs_current(&session->keys));
		rcu_turn_end();
	}
	/* What waits still gets through when he is back. */
	do {
		lab_wait(&lab, 100 * NSEC_PER_MSEC);
	} while (!(p = lab_sent(&lab.home)));
	lab_forward(&lab, &lab.gate, p);
	lab_carry(&lab);
	ck_assert_uint_eq(wire_count(lab.gate.tun), STAGED_PACKETS_MAX);
	while ((p = wire_take(lab.gate.tun)))
		free(p);
}
END_TEST

/* Much traffic: a rekey each two minutes, and not one packet lost. */
START_TEST(long_life)
{
	uint64_t handshakes = 0;
	struct timespec last = { 0 };

	lab_connect(&lab);
	for (unsigned second = 0; second < 1200; second += 4) {
		lab_tun_in(&lab, &lab.home, out, sizeof(out));
		lab_tun_in(&lab, &lab.gate, back, sizeof(back));
		lab_carry(&lab);
		lab_tun_out(&lab.gate, out, sizeof(out));
		lab_tun_out(&lab.home, back, sizeof(back));
		pthread_mutex_lock(&lab.home.peer->lock);
		handshakes += lab.home.peer->last_handshake.tv_sec != last.tv_sec;
		last = lab.home.peer->last_handshake;
		pthread_mutex_unlock(&lab.home.peer->lock);
		lab_wait(&lab, 4 * NSEC_PER_SEC);
		lab_carry(&lab);
	}
	ck_assert_uint_ge(handshakes, 1200 / 125);
	ck_assert_uint_le(handshakes, 1200 / 119 + 1);
	lab_dropped_nothing(&lab.home);
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Several workers and queues: what one staged, the peer's own worker sends. */
START_TEST(many_queues)
{
	struct datapath *home, *gate;

	lab_start(&lab, 3, false);
	lab_meet(&lab, NULL);
	lab_packet(out, "10.0.0.2", "8.8.8.8", sizeof(out));
	home = device_datapath(lab.home.dev);
	gate = device_datapath(lab.gate.dev);
	ck_assert_uint_eq(home->n_queues, 3);
	for (unsigned round = 0; round < 8; round++) {
		struct fake_packet *p;
		unsigned n = 0;

		/* Now and then the keys have expired, and all of it waits for new ones. */
		for (unsigned i = 0; i < STAGED_PACKETS_MAX; i++)
			wire_inject(home->queues[i % 3].tun.fd, NULL, 0, out, sizeof(out));
		lab_carry(&lab);
		for (unsigned i = 0; i < gate->n_queues; i++)
			for (; (p = wire_take(gate->queues[i].tun.fd)); n++)
				free(p);
		ck_assert_uint_eq(n, STAGED_PACKETS_MAX);
		lab_live(&lab, round % 3 ? 200 : 20);
	}
	lab_dropped_nothing(&lab.home);
	lab_dropped_nothing(&lab.gate);
	lab_stop(&lab);
}
END_TEST

/* Messages that find their socket resting are taken when it has rested, or when it is another one. */
START_TEST(handshakes_rest)
{
	struct datapath *gate = device_datapath(lab.gate.dev);
	struct change port = { .kind = CHANGE_LISTEN_PORT };
	uint8_t msg[INITIATION] = { 1 };

	for (uint16_t round = 0; round < 20; round++) {
		uint64_t before = counter_read(&gate->drops.n[DROP_BAD_MAC1]);

		/* (in lab_settle() the sockets are set anew each time, which ends a rest) */
		for (unsigned i = 0; i < 10; i++) {
			wire_inject(lab.gate.handshake4, &lab.home.at4, 0, msg, sizeof(msg));
			wire_inject(lab.gate.handshake6, &lab.home.at6, 0, msg, sizeof(msg));
			while (round % 2 && !wire_idle())
				sched_yield();
		}
		while (!wire_idle())
			sched_yield();
		lab_settle(&lab);
		ck_assert_uint_eq(counter_read(&gate->drops.n[DROP_BAD_MAC1]) - before, 20);
		/* The wires of before are closed, where one has just begun to rest. */
		wire_inject(lab.gate.handshake4, &lab.home.at4, 0, msg, sizeof(msg));
		while (!wire_idle())
			sched_yield();
		port.number = 2000u + round;
		lab_apply(&lab.gate, &port);
		lab.gate.handshake4 = atomic_load(&gate->queues[0].udp)->handshake4;
		lab.gate.handshake6 = atomic_load(&gate->queues[0].udp)->handshake6;
	}
}
END_TEST

static void set_rates(uint64_t up, uint64_t down)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_LIMITS | PEER_UPDATE_ONLY,
			    .limits = { .rate_up = up, .rate_down = down } };

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	lab_settle(&lab);
}

/* Twenty packets that bear their numbers, at once, through the gate. */
static void send_numbered(struct side *from)
{
	uint8_t packet[1000];

	for (uint8_t i = 0; i < 20; i++) {
		if (from == &lab.gate)
			lab_packet(packet, "8.8.8.8", "10.0.0.2", sizeof(packet));
		else
			lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
		packet[999] = i;
		wire_inject(from->tun, NULL, 0, packet, sizeof(packet));
	}
	lab_settle(&lab);
}

/* The next n that leave the gate are numbered from first on. */
static void expect_numbers(struct side *to, uint8_t first, unsigned n)
{
	struct fake_packet *p;

	lab_carry(&lab);
	for (unsigned i = 0; i < n; i++) {
		p = wire_take(to->tun);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(p->data[999], first + i);
		free(p);
	}
	lab_tun_silent(to);
}

/* Down and up, on each way: a bucket passes, the rest follows at the rate and in order. */
START_TEST(limited)
{
	struct side *from = _i ? &lab.home : &lab.gate;
	struct side *to = _i ? &lab.gate : &lab.home;

	lab_connect(&lab);
	set_rates(_i ? 1000000 : 0, _i ? 0 : 1000000);
	lab_mark(&lab.gate);
	send_numbered(from);
	expect_numbers(to, 0, 3); /* 3000 bytes; then one each 8 ms, seen each ms or two */
	lab_wait(&lab, 7 * NSEC_PER_MSEC);
	expect_numbers(to, 3, 0);
	lab_wait(&lab, 3 * NSEC_PER_MSEC);
	expect_numbers(to, 3, 1);
	lab_wait(&lab, 24 * NSEC_PER_MSEC);
	expect_numbers(to, 4, 3);
	/* Without the limit they go at once. */
	set_rates(0, 0);
	expect_numbers(to, 7, 13);
	send_numbered(from);
	expect_numbers(to, 0, 20);
	lab_dropped_nothing(&lab.gate);
	/* The other way was not touched by any of it; the session is the same. */
	lab_sent_nothing(&lab.gate);
}
END_TEST

/* Whose key is held while packets of his wait sends not one of them, nor gets one. */
START_TEST(limited_and_held)
{
	struct side *from = _i ? &lab.home : &lab.gate;
	struct side *to = _i ? &lab.gate : &lab.home;
	unsigned n = 0;
	struct fake_packet *p;

	lab_connect(&lab);
	set_rates(1000000, 1000000);
	send_numbered(from);
	lab_carry(&lab);
	for (; (p = wire_take(to->tun)); n++)
		free(p);
	ck_assert_uint_lt(n, 20);
	lab_mark(&lab.gate);
	rcu_turn_begin();
	(void)peer_hold(lab.gate.peer);
	rcu_turn_end();
	for (unsigned i = 0; i < 20; i++) {
		lab_wait(&lab, NSEC_PER_SEC / 50);
		lab_carry(&lab);
	}
	lab_tun_silent(to);
	lab_sent_nothing(&lab.gate);
}
END_TEST

/* Who is revoked while packets of his wait gets not one of them. */
START_TEST(limited_and_revoked)
{
	struct side *from = _i ? &lab.home : &lab.gate;
	struct side *to = _i ? &lab.gate : &lab.home;
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };

	lab_connect(&lab);
	set_rates(1000000, 1000000);
	send_numbered(from);
	expect_numbers(to, 0, 3);
	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	ck_assert_uint_eq(device_datapath(lab.gate.dev)->peers.held_bytes, 0);
	lab_wait(&lab, NSEC_PER_SEC);
	lab_sent_nothing(&lab.gate);
	lab_tun_silent(to);
}
END_TEST

/* An address that has left its tenant is not spoken from, not even by what waited. */
START_TEST(limited_and_moved)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REPLACE_ALLOWED_IPS };

	lab_connect(&lab);
	set_rates(1000000, 0);
	send_numbered(&lab.home);
	expect_numbers(&lab.gate, 0, 3);
	lab_mark(&lab.gate);
	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	set_rates(0, 0);
	lab_tun_silent(&lab.gate);
	lab_dropped(&lab.gate, DROP_SOURCE_NOT_ALLOWED, 17, true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker");
	TCase *alone = tcase_create("alone");
	TCase *tc = tcase_create("timers");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_set_timeout(alone, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, handshakes_rest);
	tcase_add_test(tc, retries_and_gives_up);
	tcase_add_test(tc, passive_keepalive);
	tcase_add_test(tc, unanswered_data);
	tcase_add_test(tc, persistent_keepalive);
	tcase_add_loop_test(tc, suspended, 0, 2);
	tcase_add_test(tc, persistent_without_answer);
	tcase_add_loop_test(tc, persistent_before_all_else, 0, 2);
	tcase_add_test(tc, wiped);
	tcase_add_test(tc, wiped_while_waiting);
	tcase_add_test(tc, long_life);
	tcase_add_loop_test(tc, limited, 0, 2);
	tcase_add_loop_test(tc, limited_and_held, 0, 2);
	tcase_add_loop_test(tc, limited_and_revoked, 0, 2);
	tcase_add_test(tc, limited_and_moved);
	tcase_add_test(alone, many_queues);
	suite_add_tcase(s, alone);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
