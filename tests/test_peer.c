/* SPDX-License-Identifier: MIT */
/* Peers and sessions: what they hold, what they cost, and how they end while others use them. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/peer/peer.h"
#include "fakes.h"
#include "packets.h"
#include "rcu_fixture.h"
#include "secret_count.h"

enum { THREADS = 3, ROUNDS = 3000 };

static struct peer_group group;
static struct peer *peer;

static void setup(void)
{
	static const uint8_t key[32] = { 1 };

	ck_assert_int_ge(sodium_init(), 0);
	rcu_setup();
	ck_assert_int_eq(peer_group_init(&group, 1), 0);
	peer = peer_new(&group, NULL, key, "alice", 3);
	ck_assert_ptr_nonnull(peer);
}

/* Whatever a test did: once the peer is gone, nothing of it is left. */
static void teardown(void)
{
	(void)peer_kill(peer);
	peer_unref(peer);
	rcu_turn_end();
	rcu_barrier();
	ck_assert_uint_eq(count_objects(&group.sessions), 0);
	ck_assert_uint_eq(count_objects(&group.keys), 0);
	ck_assert_uint_eq(group.staged_bytes, 0);
	peer_group_free(&group);
	rcu_unregister_thread();
}

/* An idle tenant takes 1 KiB with its address in the table, one with a session 4 KiB. */
START_TEST(sizes)
{
	const size_t trie = 2 * (48 + 48 + 43) + 2 * sizeof(struct prefix); /* allowedips.h */
	size_t idle = sizeof(struct peer) + trie + 16 /* bucket */ + sizeof("tenant-123456");
	size_t session = ALIGN_UP(sizeof(struct session), SECRET_ALIGN);
	size_t key = ALIGN_UP(sizeof(struct session_key), SECRET_ALIGN);

	printf("peer %zu, with addresses %zu; session %zu, key %zu; in session %zu\n",
	       sizeof(struct peer), idle, session, key, idle + session + 2 * key);
	ck_assert_uint_le(idle, 1024);
	ck_assert_uint_le(idle + session + 2 * key + 2 * 16, 4096);
}
END_TEST

START_TEST(fresh)
{
	struct endpoint at;

	ck_assert_str_eq(peer->name, "alice");
	ck_assert_uint_eq(peer->home, 3);
	ck_assert_ptr_null(atomic_load(&peer->session));
	ck_assert_int_eq(peer_get_endpoint(peer, &at), -EDESTADDRREQ);
	ck_assert_uint_eq(peer->public_key[0], 1);
}
END_TEST

START_TEST(session_made_once)
{
	struct session *s = peer_session(peer, NSEC_PER_SEC);

	ck_assert_ptr_nonnull(s);
	ck_assert_ptr_eq(peer_session(peer, 2 * NSEC_PER_SEC), s);
	ck_assert_uint_eq(count_objects(&group.sessions), 1);
	ck_assert_uint_eq(peer_drop_session(peer), 0);
	ck_assert_ptr_null(atomic_load(&peer->session));
	ck_assert_uint_eq(peer_drop_session(peer), 0);
	ck_assert_ptr_ne(peer_session(peer, 3 * NSEC_PER_SEC), NULL);
}
END_TEST

START_TEST(killed)
{
	struct session *s = peer_session(peer, NSEC_PER_SEC);
	static const uint8_t data[100];
	struct noise_session keys = { 0 };
	struct endpoint at;
	uint32_t index;

	ck_assert_int_eq(endpoint_parse(&at, "192.0.2.1:1"), 0);
	peer_set_endpoint(peer, &at);
	memset(peer->preshared_key, 7, 32);
	ck_assert_uint_eq(peer_stage(peer, s, data, sizeof(data)), 0);
	ck_assert_uint_eq(peer_stage(peer, s, data, sizeof(data)), 0);
	ck_assert_uint_eq(peer_kill(peer), 2);
	/* Who still holds the session can do nothing with it. */
	ck_assert_uint_eq(peer_stage(peer, s, data, sizeof(data)), 1);
	ck_assert_ptr_null(peer_take_staged(peer, s, false));
	ck_assert_ptr_null(peer_take_staged(peer, s, true));
	ck_assert_uint_eq(peer_drop_staged(peer, s), 0);
	ck_assert_int_eq(peer_list_handshake(peer, s, &index), -ESHUTDOWN);
	ck_assert_int_eq(peer_add_keys(peer, s, &keys, NSEC_PER_SEC), -ESHUTDOWN);
	ck_assert_ptr_null(peer_session(peer, NSEC_PER_SEC));
	ck_assert(!peer_set_endpoint(peer, &at));
	ck_assert_int_eq(peer_get_endpoint(peer, &at), -EDESTADDRREQ);
	ck_assert(sodium_is_zero(peer->preshared_key, 32));
	ck_assert_uint_eq(peer_kill(peer), 0);
}
END_TEST

/* References */

START_TEST(references)
{
	static const uint8_t key[32] = { 2 };
	struct peer *p = peer_new(&group, NULL, key, "", 0);

	ck_assert(peer_ref(p));
	ck_assert(peer_ref(p));
	peer_unref(p);
	peer_unref(p);
	ck_assert_uint_eq(p->refs, 1);
	peer_unref(p);
	/* Within the turn it is still there, but nobody gets hold of it any more. */
	ck_assert(!peer_ref(p));
	ck_assert(!peer_ref(p));
}
END_TEST

/* Endpoints */

START_TEST(endpoints)
{
	static const struct {
		const char *at;
		unsigned ifindex;
		bool moved;
	} steps[] = {
		/* 0 */ { "192.0.2.1:1", 0, false },  /* learned */
		/* 1 */ { "192.0.2.1:1", 0, false },
		/* 2 */ { "192.0.2.1:1", 3, false },  /* the same there, another way here */
		/* 3 */ { "192.0.2.1:2", 3, true },
		/* 4 */ { "192.0.2.2:2", 3, true },
		/* 5 */ { "[2001:db8::1]:2", 3, true },
		/* 6 */ { "[2001:db8::1]:2", 4, false },
		/* 7 */ { "[2001:db8::2]:2", 4, true },
		/* 8 */ { "192.0.2.1:1", 0, true },
	};
	unsigned changes = 0;
	struct endpoint at;

	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		struct endpoint e;

		ck_assert_int_eq(endpoint_parse(&e, steps[i].at), 0);
		e.src_ifindex = steps[i].ifindex;
		ck_assert_msg(peer_set_endpoint(peer, &e) == steps[i].moved, "step %u", i);
		changes += steps[i].moved;
		ck_assert_uint_eq(peer->endpoint_changes, changes);
		ck_assert_int_eq(peer_get_endpoint(peer, &at), 0);
		ck_assert(endpoint_equal(&at, &e));
	}
	at.src_ifindex = 9;
	peer_set_endpoint(peer, &at);
	peer_clear_endpoint_src(peer);
	ck_assert_int_eq(peer_get_endpoint(peer, &at), 0);
	ck_assert_uint_eq(at.src_ifindex, 0);
}
END_TEST

/* Handshakes and keys */

static struct receiver *find(uint32_t index)
{
	struct index_entry *entry = index_lookup(group.indices, index);

	return entry ? receiver_of(entry) : NULL;
}

/* A handshake that ends in keys, at that time. Returns their index. */
static uint32_t make_keys(bool initiator, uint64_t now)
{
	struct session *s = peer_session(peer, now);
	struct noise_session keys = { .initiator = initiator };
	uint32_t index;

	ck_assert_int_eq(peer_list_handshake(peer, s, &index), 0);
	ck_assert(!find(index)->is_key);
	keys.local_index = index;
	ck_assert_int_eq(peer_add_keys(peer, s, &keys, now), 0);
	timers_keys_made(&s->timers, now);
	ck_assert(find(index)->is_key);
	ck_assert_ptr_eq(find(index)->peer, peer);
	return index;
}

START_TEST(indices)
{
	struct session *s = peer_session(peer, NSEC_PER_SEC);
	struct noise_session keys = { .initiator = true };
	uint32_t first, second;

	/* Keys come from a handshake, or not at all. */
	ck_assert_int_eq(peer_add_keys(peer, s, &keys, NSEC_PER_SEC), -ESHUTDOWN);
	ck_assert_int_eq(peer_list_handshake(peer, s, &first), 0);
	ck_assert_int_eq(peer_list_handshake(peer, s, &second), 0);
	ck_assert_ptr_null(find(first));
	ck_assert_ptr_nonnull(find(second));
	peer_drop_session(peer);
	ck_assert_ptr_null(find(second));
}
END_TEST

/* Which keys are found after a row of handshakes: i began, r was answered, c a confirmation. */
static const struct {
	const char *what;
	unsigned alive; /* bit n: the keys of handshake n */
	int current;    /* -1: none */
} rows[] = {
	/* 0 */ { "i", 1, 0 },
	/* 1 */ { "ii", 3, 1 },
	/* 2 */ { "iii", 6, 2 },
	/* 3 */ { "iiii", 12, 3 },
	/* 4 */ { "r", 1, -1 },
	/* 5 */ { "rc", 1, 0 },
	/* 6 */ { "rr", 2, -1 },
	/* 7 */ { "rcr", 3, 0 },
	/* 8 */ { "rcrc", 3, 1 },
	/* 9 */ { "rcrcrc", 6, 2 },
	/* 10 */ { "ir", 3, 0 },
	/* 11 */ { "irc", 3, 1 },
	/* 12 */ { "ri", 3, 1 },
	/* 13 */ { "iri", 6, 2 },
	/* 14 */ { "rcrr", 5, 0 },
	/* 15 */ { "rcrrc", 5, 2 },
};

START_TEST(slots)
{
	uint32_t index[8];
	unsigned n = 0;
	struct session *s;

	for (const char *c = rows[_i].what; *c; c++) {
		if (*c != 'c') {
			index[n++] = make_keys(*c == 'i', NSEC_PER_SEC);
			continue;
		}
		s = atomic_load(&peer->session);
		ck_assert(peer_confirm_key(peer, s, container_of(find(index[n - 1]),
								 struct session_key, receiver)));
		ck_assert(!peer_confirm_key(peer, s, container_of(find(index[n - 1]),
								  struct session_key, receiver)));
	}
	s = atomic_load(&peer->session);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(!find(index[i]) == !(rows[_i].alive & 1u << i), "key %u", i);
	if (rows[_i].current < 0)
		ck_assert_ptr_null(keypairs_current(&s->keys));
	else
		ck_assert_uint_eq(keypairs_current(&s->keys)->local_index,
				  index[rows[_i].current]);
	peer_drop_session(peer);
	for (unsigned i = 0; i < n; i++)
		ck_assert_ptr_null(find(index[i]));
}
END_TEST

/* Wiping: the session too if it is idle; of one that is needed only the keys; not when new. */
START_TEST(wipe)
{
	static const struct {
		unsigned keys_at, now; /* s */
		bool staged, in_flight, keys_left, session_left;
	} cases[] = {
		/* 0 */ { 100, 639, false, false, true, true },
		/* 1 */ { 100, 640, false, false, false, false },
		/* 2 */ { 100, 640, true, false, false, true },
		/* 3 */ { 100, 640, false, true, false, true },
		/* 4 */ { 100, 640, true, true, false, true },
		/* 5 */ { 100, 639, true, true, true, true },
	};
	static const uint8_t data[10];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t index = make_keys(true, cases[i].keys_at * NSEC_PER_SEC);
		uint64_t now = cases[i].now * NSEC_PER_SEC;
		struct session *s = atomic_load(&peer->session);

		if (cases[i].staged)
			ck_assert_uint_eq(peer_stage(peer, s, data, sizeof(data)), 0);
		if (cases[i].in_flight)
			timers_initiation_sent(&s->timers, now, 0);
		ck_assert_msg(peer_wipe_session(peer, now) == !cases[i].session_left, "%u", i);
		ck_assert_msg(!!atomic_load(&peer->session) == cases[i].session_left, "%u", i);
		ck_assert_msg(!!find(index) == cases[i].keys_left, "%u", i);
		peer_drop_session(peer);
	}
	ck_assert(!peer_wipe_session(peer, UINT64_MAX / 2));
}
END_TEST

/* Connected: from the first proof of a key on, until it has been useless for 90 s. */
START_TEST(connected)
{
	const uint64_t birth = 100 * NSEC_PER_SEC, end = birth + 270 * NSEC_PER_SEC;
	struct session_key *key;
	uint32_t index;

	ck_assert(!peer_is_connected(peer, birth));
	index = make_keys(false, birth);
	ck_assert(!peer_is_connected(peer, birth)); /* anybody may have sent the initiation */
	key = container_of(find(index), struct session_key, receiver);
	ck_assert(peer_confirm_key(peer, atomic_load(&peer->session), key));
	ck_assert(peer_is_connected(peer, birth));
	ck_assert(peer_is_connected(peer, end - 1));
	ck_assert(!peer_is_connected(peer, end));
	make_keys(true, end);
	ck_assert(peer_is_connected(peer, end));
	peer_drop_session(peer);
	ck_assert(!peer_is_connected(peer, end));
}
END_TEST

/* Staging */

START_TEST(bounds)
{
	static uint8_t data[65536];
	struct session *s = peer_session(peer, NSEC_PER_SEC);
	struct staged *staged;
	unsigned n = 0, dropped = 0;

	/* By number: the oldest make room. */
	for (unsigned i = 0; i < STAGED_PACKETS_MAX + 10; i++) {
		store_le32(data, i);
		dropped += peer_stage(peer, s, data, 100 + i);
		ck_assert(session_is_staging(s));
	}
	ck_assert_uint_eq(dropped, 10);
	ck_assert_uint_eq(s->n_staged, STAGED_PACKETS_MAX);
	staged = peer_take_staged(peer, s, false);
	while (staged) {
		struct staged *next = staged->next;

		ck_assert_uint_eq(load_le32(staged->data), 10 + n);
		ck_assert_uint_eq(staged->len, 110 + n);
		free(staged);
		staged = next;
		n++;
	}
	ck_assert_uint_eq(n, STAGED_PACKETS_MAX);
	ck_assert_uint_eq(group.staged_bytes, 0);
	ck_assert(session_is_staging(s)); /* somebody sends them */
	ck_assert_ptr_null(peer_take_staged(peer, s, false));
	ck_assert(session_is_staging(s));
	ck_assert_ptr_null(peer_take_staged(peer, s, true));
	ck_assert(!session_is_staging(s));

	/* By bytes: four of these, and the fifth is in place of the first. */
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(peer_stage(peer, s, data, sizeof(data)), 0);
	ck_assert_uint_eq(peer_stage(peer, s, data, sizeof(data)), 1);
	ck_assert_uint_eq(peer_stage(peer, s, data, 1), 1);
	ck_assert_uint_eq(peer_stage(peer, s, data, 65535), 0);
	ck_assert_uint_eq(s->staged_bytes, STAGED_PEER_BYTES_MAX);
	ck_assert_uint_eq(group.staged_bytes, STAGED_PEER_BYTES_MAX);
	ck_assert_uint_eq(peer_drop_staged(peer, s), 5);
	ck_assert_uint_eq(group.staged_bytes, 0);
	ck_assert_uint_eq(peer_stage(peer, s, data, 1), 0);

	/* As it becomes scarce each has less, and gives back what he had. */
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(peer_stage(peer, s, data, 20000), 0);
	atomic_fetch_add(&group.staged_bytes, STAGED_TOTAL_BYTES_MAX / 2);
	ck_assert_uint_eq(peer_stage(peer, s, data, 1000), 4);
	ck_assert_uint_eq(s->staged_bytes, 21000);
	atomic_fetch_add(&group.staged_bytes, STAGED_TOTAL_BYTES_MAX / 4);
	ck_assert_uint_eq(peer_stage(peer, s, data, 1000), 1);
	ck_assert_uint_eq(s->staged_bytes, 2000);
	atomic_fetch_sub(&group.staged_bytes, STAGED_TOTAL_BYTES_MAX / 4 * 3);
	ck_assert_uint_eq(peer_drop_staged(peer, s), 2);
	ck_assert_uint_eq(peer_stage(peer, s, data, 1), 0);

	/* All peers together. */
	atomic_fetch_add(&group.staged_bytes, STAGED_TOTAL_BYTES_MAX - 100);
	ck_assert_uint_eq(peer_stage(peer, s, data, 99), 0);
	ck_assert_uint_eq(peer_stage(peer, s, data, 1), 1);
	atomic_fetch_sub(&group.staged_bytes, STAGED_TOTAL_BYTES_MAX - 100);
	ck_assert_uint_eq(peer_drop_staged(peer, s), 2);
}
END_TEST

/* While one sends what was staged, what others add comes after it. */
START_TEST(order_across_flush)
{
	struct session *s = peer_session(peer, NSEC_PER_SEC);
	uint8_t data[8] = { 0 };
	unsigned sent = 0, staged = 0;
	uint64_t state = 1;

	for (unsigned i = 0; i < 2000; i++) {
		struct staged *list = NULL;
		bool continuing = false;

		for (size_t k = pick(&state, 20); k; k--) {
			store_le32(data, staged++);
			ck_assert_uint_eq(peer_stage(peer, s, data, sizeof(data)), 0);
		}
		while ((list = peer_take_staged(peer, s, continuing))) {
			continuing = true;
			while (list) {
				struct staged *next = list->next;

				expect(load_le32(list->data) == sent++);
				expect(session_is_staging(s));
				/* Meanwhile another worker has more. */
				if (!pick(&state, 8)) {
					store_le32(data, staged++);
					expect(!peer_stage(peer, s, data, sizeof(data)));
				}
				free(list);
				list = next;
			}
			if (!pick(&state, 10)) {
				peer_stop_flushing(peer, s);
				break;
			}
		}
	}
	while (peer_drop_staged(peer, s))
		;
	ck_assert_uint_gt(sent, 10000);
}
END_TEST

/* Threads */

struct crowd {
	_Atomic unsigned running;
	_Atomic unsigned staged, dropped, taken;
	_Atomic bool stop;
};

static void enter(void)
{
	rcu_register_thread();
	rcu_turn_end();
}

/* A worker: stages, flushes, receives, roams. */
static void *work(void *arg)
{
	struct crowd *c = arg;
	uint64_t state = (uint64_t)(uintptr_t)&state;
	uint8_t data[64] = { 0 };
	struct endpoint at;

	enter();
	ck_assert_int_eq(endpoint_parse(&at, "192.0.2.1:1"), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct session *s;
		struct staged *list;
		bool continuing = false;
		struct endpoint copy;

		rcu_turn_begin();
		s = peer_session(peer, NSEC_PER_SEC);
		expect(s != NULL);
		for (size_t k = pick(&state, 4); k; k--) {
			atomic_fetch_add(&c->staged, 1);
			atomic_fetch_add(&c->dropped, peer_stage(peer, s, data, sizeof(data)));
		}
		while (!pick(&state, 3) && (list = peer_take_staged(peer, s, continuing))) {
			while (list) {
				struct staged *next = list->next;

				free(list);
				list = next;
				atomic_fetch_add(&c->taken, 1);
			}
			continuing = true;
		}
		if (continuing)
			peer_stop_flushing(peer, s);
		at.addr4.sin_port = (in_port_t)i;
		peer_set_endpoint(peer, &at);
		expect(!peer_get_endpoint(peer, &copy));
		if (!pick(&state, 16))
			peer_clear_endpoint_src(peer);
		peer_count_drop(peer, DROP_BAD_TAG, 1);
		if (session_key_of(keypairs_current(&s->keys)))
			timers_sent(&s->timers, i, true);
		expect(peer_ref(peer));
		peer_unref(peer);
		rcu_turn_end();
	}
	rcu_unregister_thread();
	atomic_fetch_sub(&c->running, 1);
	return NULL;
}

/* The handshake thread: keys upon keys. */
static void *handshakes(void *arg)
{
	struct crowd *c = arg;
	unsigned made = 0;

	enter();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct noise_session keys = { .initiator = i % 2 };
		struct session *s;

		rcu_turn_begin();
		s = peer_session(peer, NSEC_PER_SEC);
		if (!peer_list_handshake(peer, s, &keys.local_index) &&
		    !peer_add_keys(peer, s, &keys, NSEC_PER_SEC)) {
			struct receiver *r = find(keys.local_index);

			made++;
			if (r)
				peer_confirm_key(peer, s, container_of(r, struct session_key,
								       receiver));
		}
		rcu_turn_end();
	}
	expect(made > 0);
	rcu_unregister_thread();
	atomic_fetch_sub(&c->running, 1);
	return NULL;
}

/* Everybody at once, while the session is dropped again and again. */
START_TEST(crowded)
{
	struct crowd c = { .running = THREADS + 1 };
	pthread_t threads[THREADS + 1];
	unsigned lost = 0;

	rcu_turn_end();
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &c), 0);
	ck_assert_int_eq(pthread_create(&threads[THREADS], NULL, handshakes, &c), 0);
	while (atomic_load(&c.running)) {
		rcu_turn_begin();
		lost += peer_drop_session(peer);
		rcu_turn_end();
		synchronize_rcu();
	}
	for (unsigned i = 0; i < THREADS + 1; i++)
		pthread_join(threads[i], NULL);
	rcu_turn_begin();
	lost += peer_drop_session(peer);
	/* Each packet was sent, or is in exactly one account. */
	ck_assert_uint_eq(c.staged, c.taken + c.dropped + lost);
	ck_assert_uint_eq(counter_read(&atomic_load(&peer->drops)->n[DROP_BAD_TAG]),
			  THREADS * ROUNDS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peer");
	TCase *tc = tcase_create("peer");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, fresh);
	tcase_add_test(tc, session_made_once);
	tcase_add_test(tc, killed);
	tcase_add_test(tc, references);
	tcase_add_test(tc, endpoints);
	tcase_add_test(tc, indices);
	tcase_add_loop_test(tc, slots, 0, ARRAY_SIZE(rows));
	tcase_add_test(tc, wipe);
	tcase_add_test(tc, connected);
	tcase_add_test(tc, bounds);
	tcase_add_test(tc, order_across_flush);
	tcase_add_test(tc, crowded);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
