/* SPDX-License-Identifier: MIT */
/* The last events of a peer: what is noted, what is one event, what is forgotten. */
#include <check.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/peer/events.h"
#include "../src/peer/peer.h"
#include "fakes.h"
#include "rcu_fixture.h"

enum { THREADS = 3, ROUNDS = 2000, START = 1700000000 };

static struct peer_group group;
static struct peer *peer;
static struct event events[EVENTS_MAX];

static void setup(void)
{
	static const uint8_t key[32] = { 1 };

	ck_assert_int_ge(sodium_init(), 0);
	rcu_setup();
	fake_clock_set(NSEC_PER_SEC);
	fake_clock_set_realtime(START, 0);
	ck_assert_int_eq(peer_group_init(&group, 1), 0);
	peer = peer_new(&group, NULL, key, "alice", 0);
	ck_assert_ptr_nonnull(peer);
}

static void teardown(void)
{
	(void)peer_kill(peer);
	peer_unref(peer);
	rcu_turn_end();
	rcu_barrier();
	peer_group_free(&group);
	rcu_unregister_thread();
}

static struct endpoint at(const char *text)
{
	struct endpoint e;

	ck_assert_int_eq(endpoint_parse(&e, text), 0);
	return e;
}

/* The texts of all events, the newest first, each with "×n/span" if it came n times. */
static const char *story(void)
{
	static char out[EVENTS_MAX * EVENT_TEXT_MAX];
	unsigned n = peer_events(peer, events);
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		char text[EVENT_TEXT_MAX];
		uint32_t span;
		unsigned count = event_count(&events[i], &span);

		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s", i ? " | " : "",
					event_text(&events[i], text));
		if (count > 1)
			len += (size_t)snprintf(out + len, sizeof(out) - len, " x%u/%u", count,
						span);
	}
	return out;
}

/* Nothing has happened: nothing is kept, not even an empty ring. */
START_TEST(nothing)
{
	ck_assert_uint_eq(peer_events(peer, events), 0);
	ck_assert_ptr_null(peer->events);
}
END_TEST

static const struct {
	enum event_kind kind;
	uint64_t value;
	const char *name, *text;
} said[] = {
	/* 0 */ { EVENT_SESSION_ENDED, 0, "session-ended", "session ended, its keys are wiped" },
	/* 1 */ { EVENT_DROPPED, DROP_BAD_TAG, "dropped",
		  "packets dropped: data failed to authenticate" },
	/* 2 */ { EVENT_CONFIGURED, EVENT_FIELD_ADDRESSES, "configured",
		  "its file changed: addresses" },
	/* 3 */ { EVENT_CONFIGURED,
		  EVENT_FIELD_ADDRESSES | EVENT_FIELD_ENDPOINT | EVENT_FIELD_PRESHARED_KEY |
			  EVENT_FIELD_KEEPALIVE | EVENT_FIELD_ANNOUNCE,
		  "configured", "its file changed: addresses, endpoint, preshared key, keepalive, "
		  "announcing" },
	/* 4 */ { EVENT_RATE_CHANGED, 100000000, "rate-changed",
		  "rate limit changed: 100000000 bit/s" },
	/* 5 */ { EVENT_RATE_CHANGED, 0, "rate-changed", "rate limit changed: none" },
	/* 6 */ { EVENT_QUOTA_WARNED, 90, "quota-warned", "quota nearly used up: 90 %" },
	/* 7 */ { EVENT_QUOTA_REACHED, UINT64_MAX, "quota-reached",
		  "quota used up: 18446744073709551615 bytes" },
	/* 8 */ { EVENT_HANDSHAKE, 0, "handshake", "handshake" },
};

START_TEST(sentence)
{
	uint32_t span;

	peer_note(peer, said[_i].kind, said[_i].value);
	ck_assert_str_eq(story(), said[_i].text);
	ck_assert_str_eq(event_name(events[0].kind), said[_i].name);
	ck_assert_uint_eq(events[0].time, UINT64_C(1000) * START);
	ck_assert_uint_eq(event_count(&events[0], &span), 1);
}
END_TEST

/* Every name is another, and fit for a program; every sentence says something. */
START_TEST(names)
{
	for (unsigned i = 0; i < EVENT_KIND_COUNT; i++) {
		const char *name = event_name((enum event_kind)i);
		struct event event = { .kind = i };
		char text[EVENT_TEXT_MAX];

		ck_assert_uint_gt(strlen(name), 0);
		ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		ck_assert_uint_gt(strlen(event_text(&event, text)), 3);
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(name, event_name((enum event_kind)j));
	}
}
END_TEST

START_TEST(addresses)
{
	struct endpoint four = at("192.0.2.1:51820"), six = at("[2001:db8::1]:7"), none = { 0 };

	peer_note_way(peer, EVENT_ROAMED, &four, &six);
	peer_note_way(peer, EVENT_SHARED_KEY, &six, &four);
	peer_note_where(peer, EVENT_UNANSWERED, &six);
	peer_note_where(peer, EVENT_HANDSHAKE, &none);
	ck_assert_str_eq(story(), "handshake | does not answer handshakes: [2001:db8::1]:7 | "
			 "two machines use its key: [2001:db8::1]:7 to 192.0.2.1:51820 | "
			 "moved: 192.0.2.1:51820 to [2001:db8::1]:7");
}
END_TEST

/* A handshake every two minutes is one event, and so is what is dropped meanwhile. */
START_TEST(repeated)
{
	struct endpoint here = at("192.0.2.1:1"), there = at("192.0.2.1:2");

	for (unsigned i = 0; i < 100; i++) {
		peer_note_where(peer, EVENT_HANDSHAKE, &here);
		peer_note(peer, EVENT_DROPPED, DROP_BAD_TAG);
		fake_clock_advance(120 * NSEC_PER_SEC);
	}
	ck_assert_str_eq(story(), "packets dropped: data failed to authenticate x100/11880 | "
			 "handshake: 192.0.2.1:1 x100/11880");
	ck_assert_uint_eq(events[0].time, UINT64_C(1000) * (START + 99 * 120));
	/* Elsewhere, or for another reason, it is another one. */
	peer_note_where(peer, EVENT_HANDSHAKE, &there);
	peer_note(peer, EVENT_DROPPED, DROP_REPLAYED);
	ck_assert_uint_eq(peer_events(peer, events), 4);
	/* And after anything else it begins anew: what came first stays readable. */
	peer_note(peer, EVENT_SESSION_ENDED, 0);
	peer_note_where(peer, EVENT_HANDSHAKE, &there);
	ck_assert_uint_eq(peer_events(peer, events), 6);
	ck_assert_uint_eq(events[0].kind, EVENT_HANDSHAKE);
	ck_assert_uint_eq(events[0].run.count, 1);
	ck_assert_uint_eq(events[1].kind, EVENT_SESSION_ENDED);
	/* What moves to the front leaves the others in their order. */
	peer_note(peer, EVENT_DROPPED, DROP_REPLAYED);
	peer_note_where(peer, EVENT_HANDSHAKE, &there);
	ck_assert_uint_eq(peer_events(peer, events), 7);
	ck_assert_uint_eq(events[0].run.count, 2);
	ck_assert_uint_eq(events[1].kind, EVENT_DROPPED);
}
END_TEST

/* The last 32 stay, however many there were: beside a list that keeps them all. */
START_TEST(ring)
{
	for (unsigned n = 1; n <= 100; n++) {
		unsigned kept = min(n, (unsigned)EVENTS_MAX);

		fake_clock_set_realtime(START + n, 1000000);
		peer_note(peer, EVENT_QUOTA_REACHED, n);
		ck_assert_uint_eq(peer_events(peer, events), kept);
		for (unsigned i = 0; i < kept; i++) {
			ck_assert_uint_eq(events[i].value, n - i);
			ck_assert_uint_eq(events[i].time, UINT64_C(1000) * (START + n - i) + 1);
		}
	}
}
END_TEST

/* A clock that is set back: no span of centuries. */
START_TEST(clock_set_back)
{
	peer_note(peer, EVENT_DROPPED, DROP_BAD_TAG);
	fake_clock_set_realtime(START - 1000, 0);
	peer_note(peer, EVENT_DROPPED, DROP_BAD_TAG);
	ck_assert_str_eq(story(), "packets dropped: data failed to authenticate x2/0");
}
END_TEST

START_TEST(dead)
{
	(void)peer_kill(peer);
	peer_note(peer, EVENT_EXPIRED, 0);
	ck_assert_uint_eq(peer_events(peer, events), 0);
}
END_TEST

/* Drops are news after a quiet time, however many there are. */
START_TEST(drops)
{
	for (unsigned i = 0; i < 1000; i++) {
		peer_count_drop(peer, DROP_BAD_TAG, 3);
		fake_clock_advance(NSEC_PER_SEC / 4);
	}
	ck_assert_str_eq(story(), "packets dropped: data failed to authenticate");
	ck_assert_uint_eq(counter_read(&atomic_load(&peer->drops)->n[DROP_BAD_TAG]), 3000);
	peer_count_drop(peer, DROP_REPLAYED, 1);
	ck_assert_uint_eq(peer_events(peer, events), 2);
	fake_clock_advance((EVENTS_DROP_QUIET_S - 2) * NSEC_PER_SEC);
	peer_count_drop(peer, DROP_BAD_TAG, 1);
	ck_assert_uint_eq(event_count(&events[1], &(uint32_t){ 0 }), 1);
	fake_clock_advance(EVENTS_DROP_QUIET_S * NSEC_PER_SEC);
	peer_count_drop(peer, DROP_BAD_TAG, 1);
	ck_assert_uint_eq(peer_events(peer, events), 2);
	ck_assert_uint_eq(events[0].reason, DROP_BAD_TAG);
	ck_assert_uint_eq(events[0].run.count, 2);
}
END_TEST

/* The session's own: where it comes from, where it goes. */
START_TEST(roaming)
{
	struct endpoint a = at("192.0.2.1:1"), b = at("192.0.2.1:2");

	ck_assert(!peer_set_endpoint(peer, &a));
	ck_assert(!peer_set_endpoint(peer, &a));
	ck_assert_uint_eq(peer_events(peer, events), 0);
	ck_assert(peer_set_endpoint(peer, &b));
	ck_assert_str_eq(story(), "moved: 192.0.2.1:1 to 192.0.2.1:2");
}
END_TEST

static void *note_much(void *arg)
{
	(void)arg;
	rcu_register_thread();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct event copy[EVENTS_MAX];

		rcu_turn_begin();
		peer_note(peer, EVENT_QUOTA_REACHED, i);
		peer_count_drop(peer, DROP_BAD_TAG, 1);
		for (unsigned j = peer_events(peer, copy); j-- > 0;)
			ck_assert(copy[j].kind == EVENT_QUOTA_REACHED ||
				  copy[j].kind == EVENT_DROPPED);
		rcu_turn_end();
	}
	rcu_unregister_thread();
	return NULL;
}

START_TEST(crowded)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, note_much, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_eq(peer_events(peer, events), EVENTS_MAX);
	ck_assert_uint_eq(counter_read(&atomic_load(&peer->drops)->n[DROP_BAD_TAG]),
			  THREADS * ROUNDS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("events");
	TCase *tc = tcase_create("events");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing);
	tcase_add_loop_test(tc, sentence, 0, ARRAY_SIZE(said));
	tcase_add_test(tc, names);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, repeated);
	tcase_add_test(tc, ring);
	tcase_add_test(tc, clock_set_back);
	tcase_add_test(tc, dead);
	tcase_add_test(tc, drops);
	tcase_add_test(tc, roaming);
	tcase_add_test(tc, crowded);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
