/* SPDX-License-Identifier: MIT */
/*
 * The timers of a session: each of them step by step, and all together against a model
 * that arms and cancels real timers, as the kernel does it.
 */
#include <check.h>
#include <stdlib.h>

#include "../crypto/messages.h"
#include "../src/peer/timers.h"
#include "packets.h"

#define SEC NSEC_PER_SEC
#define MSEC NSEC_PER_MSEC

enum { START = 1000 }; /* ms; time 0 means "not running" */

enum event {
	LOOK, /* expects actions and when to look again */
	SENT,
	SENT_KEEPALIVE,
	RECEIVED,
	RECEIVED_KEEPALIVE,
	INITIATION, /* random 0: no jitter */
	JITTERED,   /* the greatest there is */
	COMPLETE,
	KEYS,
	MORE
};

struct step {
	unsigned at; /* ms after START */
	enum event event;
	unsigned actions;
	unsigned next; /* ms after START */
};

/* The last step of each is followed by one that is all zero. */
static const struct {
	const char *what;
	unsigned persistent; /* s */
	struct step steps[16];
} scripts[] = {
	/* 0 */ { "nothing happened", 0, { { 0, LOOK, 0, 10000 }, { 10000, LOOK, 0, 20000 } } },
	/* 1 */ { "passive keepalive 10 s after data", 0,
		  { { 100, RECEIVED, 0, 0 }, { 100, LOOK, 0, 10100 },
		    { 10099, LOOK, 0, 10100 }, { 10100, LOOK, TIMER_KEEPALIVE, 20100 },
		    { 20100, LOOK, 0, 30100 } } },
	/* 2 */ { "none after a keepalive", 0,
		  { { 100, RECEIVED_KEEPALIVE, 0, 0 }, { 10100, LOOK, 0, 20100 } } },
	/* 3 */ { "none when we sent", 0,
		  { { 100, RECEIVED, 0, 0 }, { 5000, SENT_KEEPALIVE, 0, 0 },
		    { 10100, LOOK, 0, 20100 } } },
	/* 4 */ { "counted from the first data", 0,
		  { { 100, RECEIVED, 0, 0 }, { 9000, RECEIVED, 0, 0 },
		    { 10100, LOOK, TIMER_KEEPALIVE | TIMER_KEEPALIVE_AGAIN, 20100 },
		    { 10100, SENT_KEEPALIVE, 0, 0 }, { 10100, MORE, 0, 0 },
		    { 10100, LOOK, 0, 20100 }, { 20100, LOOK, TIMER_KEEPALIVE, 30100 },
		    { 30100, LOOK, 0, 40100 } } },
	/* 5 */ { "data after what we sent begins anew", 0,
		  { { 100, RECEIVED, 0, 0 }, { 200, RECEIVED, 0, 0 }, { 300, SENT, 0, 0 },
		    { 400, RECEIVED, 0, 0 }, { 500, RECEIVED_KEEPALIVE, 0, 0 },
		    { 10400, LOOK, TIMER_KEEPALIVE, 20400 } } },
	/* 6 */ { "new handshake 15 s after unanswered data", 0,
		  { { 100, SENT, 0, 0 }, { 9000, SENT, 0, 0 }, { 10000, LOOK, 0, 15100 },
		    { 15099, LOOK, 0, 15100 }, { 15100, LOOK, TIMER_NEW_HANDSHAKE, 25100 },
		    { 15100, LOOK, 0, 25100 } } },
	/* 7 */ { "any answer will do", 0,
		  { { 100, SENT, 0, 0 }, { 9000, RECEIVED_KEEPALIVE, 0, 0 },
		    { 15100, LOOK, 0, 25100 } } },
	/* 8 */ { "a keepalive wants no answer", 0,
		  { { 100, SENT_KEEPALIVE, 0, 0 }, { 15100, LOOK, 0, 25100 } } },
	/* 9 */ { "retry after 5 s", 0,
		  { { 0, INITIATION, 0, 0 }, { 0, LOOK, 0, 5000 }, { 4999, LOOK, 0, 5000 },
		    { 5000, LOOK, TIMER_RETRY, 15000 }, { 5000, INITIATION, 0, 0 },
		    { 5001, LOOK, 0, 10000 }, { 10000, LOOK, TIMER_RETRY, 20000 } } },
	/* 10 */ { "and jitter", 0,
		   { { 0, JITTERED, 0, 0 }, { 5332, LOOK, 0, 5333 },
		     { 5334, LOOK, TIMER_RETRY, 15334 } } },
	/* 11 */ { "jitter on the new handshake too", 0,
		   { { 0, JITTERED, 0, 0 }, { 100, COMPLETE, 0, 0 }, { 200, SENT, 0, 0 },
		     { 10000, LOOK, 0, 15533 }, { 15532, LOOK, 0, 15533 },
		     { 15534, LOOK, TIMER_NEW_HANDSHAKE, 25534 } } },
	/* 12 */ { "no retry once complete", 0,
		   { { 0, INITIATION, 0, 0 }, { 100, COMPLETE, 0, 0 }, { 5000, LOOK, 0, 15000 } } },
	/* 13 */ { "persistent keepalive", 25,
		   { { 0, SENT, 0, 0 }, { 100, RECEIVED, 0, 0 }, { 200, SENT, 0, 0 },
		     { 300, RECEIVED_KEEPALIVE, 0, 0 }, { 20000, LOOK, 0, 25300 },
		     { 25299, LOOK, 0, 25300 }, { 25300, LOOK, TIMER_PERSISTENT, 35300 },
		     { 50299, LOOK, 0, 50300 }, { 50300, LOOK, TIMER_PERSISTENT, 60300 } } },
	/* 14 */ { "shorter than we look", 1,
		   { { 0, RECEIVED_KEEPALIVE, 0, 0 }, { 0, LOOK, 0, 1000 },
		     { 1000, LOOK, TIMER_PERSISTENT, 2000 },
		     { 2000, LOOK, TIMER_PERSISTENT, 3000 } } },
	/* 15 */ { "before anything could be sent", 5,
		   { { 0, LOOK, 0, 5000 }, { 5000, LOOK, TIMER_PERSISTENT, 10000 },
		     { 10000, LOOK, TIMER_PERSISTENT, 15000 } } },
	/* 16 */ { "wipe after 540 s", 0,
		   { { 100, KEYS, 0, 0 }, { 535000, LOOK, 0, 540100 }, { 540099, LOOK, 0, 540100 },
		     { 540100, LOOK, TIMER_WIPE, 550100 } } },
	/* 17 */ { "new keys put it off", 0,
		   { { 300000, KEYS, 0, 0 }, { 540000, LOOK, 0, 550000 },
		     { 840000, LOOK, TIMER_WIPE, 850000 } } },
	/* 18 */ { "also while an initiation is in flight", 0,
		   { { 539000, INITIATION, 0, 0 }, { 539000, LOOK, 0, 540000 },
		     { 540000, LOOK, TIMER_WIPE, 544000 },
		     { 544000, LOOK, TIMER_RETRY | TIMER_WIPE, 554000 } } },
	/* 19 */ { "all at once", 20,
		   { { 0, RECEIVED, 0, 0 }, { 0, RECEIVED, 0, 0 },
		     { 540000, LOOK, TIMER_KEEPALIVE | TIMER_KEEPALIVE_AGAIN |
				     TIMER_PERSISTENT | TIMER_WIPE, 550000 } } },
};

static uint64_t ns(unsigned ms)
{
	return (START + ms) * MSEC;
}

static void take_step(struct timers *t, const struct step *s, unsigned n, uint64_t persistent)
{
	unsigned actions;
	uint64_t next;

	switch (s->event) {
	case LOOK:
		next = timers_look(t, ns(s->at), persistent, &actions);
		ck_assert_msg(actions == s->actions, "step %u: actions %#x", n, actions);
		ck_assert_msg(next / MSEC == START + s->next, "step %u: next %u", n,
			      (unsigned)(next / MSEC) - START);
		return;
	case SENT:
	case SENT_KEEPALIVE:
		timers_sent(t, ns(s->at), s->event == SENT);
		return;
	case RECEIVED:
	case RECEIVED_KEEPALIVE:
		timers_received(t, ns(s->at), s->event == RECEIVED);
		return;
	case INITIATION:
	case JITTERED:
		timers_initiation_sent(t, ns(s->at), s->event == JITTERED ? UINT32_MAX : 0);
		return;
	case COMPLETE:
		timers_handshake_complete(t);
		return;
	case KEYS:
		timers_keys_made(t, ns(s->at));
		return;
	case MORE:
		timers_expect_more(t, ns(s->at));
		return;
	}
}

START_TEST(script)
{
	static const struct step end;
	const struct step *s = scripts[_i].steps;
	struct timers t;

	timers_init(&t, ns(0));
	for (unsigned n = 0; memcmp(&s[n], &end, sizeof(end)); n++)
		take_step(&t, &s[n], n, scripts[_i].persistent * SEC);
}
END_TEST

/* An initiation and 18 retries, 5 s and a little apart; then silence. */
/* Silent from when a handshake is due until there are new keys, whatever is heard meanwhile. */
START_TEST(silence)
{
	unsigned actions;
	struct timers t;

	timers_init(&t, ns(0));
	ck_assert(!timers_is_silent(&t));
	timers_initiation_sent(&t, ns(0), 0);
	(void)timers_look(&t, ns(4999), 0, &actions);
	ck_assert(!timers_is_silent(&t));
	(void)timers_look(&t, ns(5000), 0, &actions);
	ck_assert(timers_is_silent(&t));
	timers_received(&t, ns(5001), true);
	ck_assert(timers_is_silent(&t));
	timers_handshake_complete(&t);
	timers_keys_made(&t, ns(5002));
	ck_assert(!timers_is_silent(&t));
	timers_sent(&t, ns(6000), true);
	(void)timers_look(&t, ns(21000), 0, &actions);
	ck_assert_uint_eq(actions, TIMER_NEW_HANDSHAKE);
	ck_assert(timers_is_silent(&t));
}
END_TEST

/* Who has moved need not wait; the count of attempts goes on. */
START_TEST(start_over)
{
	struct timers t;

	timers_init(&t, ns(0));
	timers_initiation_sent(&t, ns(0), 0);
	ck_assert(!timers_may_initiate(&t, ns(1), true));
	timers_start_over(&t);
	ck_assert(timers_may_initiate(&t, ns(1), true));
	timers_initiation_sent(&t, ns(1), 0);
	ck_assert_uint_eq(atomic_load(&t.attempts), 2);
	ck_assert(!timers_may_initiate(&t, ns(2), true));
}
END_TEST

START_TEST(give_up)
{
	uint64_t state = 3, now = ns(0), begun = now;
	unsigned actions = 0, retries = 0;
	struct timers t;

	timers_init(&t, now);
	ck_assert(timers_may_initiate(&t, now, false));
	timers_initiation_sent(&t, now, (uint32_t)next_random(&state));
	while (!(actions & TIMER_GIVE_UP)) {
		uint64_t last = now;

		now = timers_look(&t, now, 0, &actions);
		if (!(actions & TIMER_RETRY))
			continue;
		ck_assert(timers_may_initiate(&t, last, true));
		timers_initiation_sent(&t, last, (uint32_t)next_random(&state));
		now = timers_look(&t, last, 0, &actions);
		ck_assert_uint_ge(now - last, 5 * SEC);
		ck_assert_uint_le(now - last, 5 * SEC + REKEY_TIMEOUT_JITTER_MAX);
		retries++;
	}
	ck_assert_uint_eq(retries, 18);
	ck_assert_uint_ge(now - 10 * SEC - begun, 95 * SEC);
	ck_assert_uint_le(now - 10 * SEC - begun, 102 * SEC);
	ck_assert(!timers_awaits_answer(&t));
	(void)timers_look(&t, now, 0, &actions);
	ck_assert_uint_eq(actions, 0);
	/* Somebody wants to send again: as many attempts as the first time. */
	ck_assert(timers_may_initiate(&t, now, false));
	timers_initiation_sent(&t, now, 0);
	(void)timers_look(&t, now + 5 * SEC, 0, &actions);
	ck_assert_uint_eq(actions, TIMER_RETRY);
}
END_TEST

START_TEST(may_initiate)
{
	static const struct {
		unsigned last, now; /* ms after START; last 0: none was sent */
		bool answered, retry, may;
	} cases[] = {
		/* 0 */ { 0, 1, false, false, true },
		/* 1 */ { 0, 1, false, true, false },
		/* 2 */ { 100, 100, false, false, false },
		/* 3 */ { 100, 5099, false, false, false },
		/* 4 */ { 100, 5100, false, false, true },
		/* 5 */ { 100, 5099, false, true, false },
		/* 6 */ { 100, 5100, false, true, true },
		/* 7 */ { 100, 5100, true, true, false },
		/* 8 */ { 100, 5099, true, false, false },
		/* 9 */ { 100, 5100, true, false, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct timers t;

		timers_init(&t, ns(0));
		if (cases[i].last)
			timers_initiation_sent(&t, ns(cases[i].last), 0);
		if (cases[i].answered)
			timers_handshake_complete(&t);
		ck_assert_msg(timers_may_initiate(&t, ns(cases[i].now), cases[i].retry) ==
			      cases[i].may, "case %u", i);
	}
}
END_TEST

/* A fresh want counts attempts from the beginning, a retry does not. */
START_TEST(attempts_begin_anew)
{
	unsigned actions, retries = 0;
	uint64_t now = ns(0);
	struct timers t;

	timers_init(&t, now);
	timers_initiation_sent(&t, now, 0);
	for (unsigned i = 0; i < 100; i++) {
		now += 5 * SEC;
		(void)timers_look(&t, now, 0, &actions);
		ck_assert_uint_eq(actions & (TIMER_RETRY | TIMER_GIVE_UP), TIMER_RETRY);
		ck_assert(timers_may_initiate(&t, now, i % 10 != 0));
		timers_initiation_sent(&t, now, 0);
		retries++;
	}
	ck_assert_uint_eq(retries, 100);
}
END_TEST

/* A response holds up initiations of ours as an initiation does. */
START_TEST(after_a_response)
{
	unsigned actions;
	struct timers t;

	timers_init(&t, ns(0));
	timers_response_sent(&t, ns(0));
	ck_assert(!timers_awaits_answer(&t));
	ck_assert(!timers_may_initiate(&t, ns(4999), false));
	ck_assert(timers_may_initiate(&t, ns(5000), false));

	/* One that is needed comes then, unless the handshake is complete, */
	ck_assert(timers_initiate_later(&t));
	ck_assert(!timers_initiate_later(&t));
	ck_assert_uint_eq(timers_look(&t, ns(0), 0, &actions), ns(5000));
	ck_assert_uint_eq(actions, 0);
	(void)timers_look(&t, ns(5000), 0, &actions);
	ck_assert_uint_eq(actions, TIMER_RETRY);
	ck_assert(timers_may_initiate(&t, ns(5000), true));
	timers_handshake_complete(&t);
	(void)timers_look(&t, ns(5000), 0, &actions);
	ck_assert_uint_eq(actions, 0);

	/* and a retry that was due before comes then, with its jitter. */
	timers_initiation_sent(&t, ns(6000), UINT32_MAX);
	timers_response_sent(&t, ns(7000));
	(void)timers_look(&t, ns(12333), 0, &actions);
	ck_assert_uint_eq(actions, 0);
	(void)timers_look(&t, ns(12334), 0, &actions);
	ck_assert_uint_eq(actions, TIMER_RETRY);
	ck_assert(timers_may_initiate(&t, ns(12334), true));
}
END_TEST

/* Timers as the kernel arms and cancels them: each is a deadline, 0 when it is off. */
struct naive {
	uint64_t retransmit, unanswered, keepalive, persistent, wipe;
	uint64_t jitter;
	bool another;
	unsigned sent_initiations;
};

static void naive_traversal(struct naive *m, uint64_t now, uint64_t persistent)
{
	m->persistent = persistent ? now + persistent : 0;
}

static void naive_sent(struct naive *m, uint64_t now, bool data)
{
	m->keepalive = 0;
	m->another = false;
	if (data && !m->unanswered)
		m->unanswered = now;
}

static void naive_received(struct naive *m, uint64_t now, bool data)
{
	m->unanswered = 0;
	if (!data)
		return;
	if (m->keepalive)
		m->another = true;
	else
		m->keepalive = now + 10 * SEC;
}

static void naive_initiation(struct naive *m, uint64_t now, uint32_t random)
{
	m->jitter = (uint64_t)random * (SEC / 3) >> 32;
	m->retransmit = now + 5 * SEC + m->jitter;
	m->sent_initiations++;
	naive_sent(m, now, false);
}

static uint64_t naive_new_handshake(const struct naive *m)
{
	return m->unanswered ? m->unanswered + 15 * SEC + m->jitter : 0;
}

static bool fire(uint64_t *deadline, uint64_t now)
{
	if (!*deadline || now < *deadline)
		return false;
	*deadline = 0;
	return true;
}

/* What goes off at now. Wiping goes on being due until something is done about it. */
static unsigned naive_fire(struct naive *m, uint64_t now, uint64_t persistent)
{
	uint64_t new_handshake = naive_new_handshake(m);
	unsigned actions = 0;

	if (fire(&m->retransmit, now))
		actions |= m->sent_initiations > 18 ? TIMER_GIVE_UP : TIMER_RETRY;
	if (fire(&new_handshake, now)) {
		m->unanswered = 0;
		actions |= TIMER_NEW_HANDSHAKE;
	}
	if (fire(&m->keepalive, now)) {
		actions |= TIMER_KEEPALIVE | (m->another ? TIMER_KEEPALIVE_AGAIN : 0);
		m->another = false;
	}
	if (fire(&m->persistent, now)) {
		actions |= TIMER_PERSISTENT;
		m->persistent = now + persistent;
	}
	if (now >= m->wipe)
		actions |= TIMER_WIPE;
	return actions;
}

static void earlier(uint64_t *first, uint64_t deadline)
{
	if (deadline)
		*first = min(*first, deadline);
}

static uint64_t naive_next(const struct naive *m, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	earlier(&first, m->retransmit);
	earlier(&first, naive_new_handshake(m));
	earlier(&first, m->keepalive);
	earlier(&first, m->persistent);
	earlier(&first, m->wipe > now ? m->wipe : 0);
	return first;
}

/* Both of them, and the one look that is planned. */
struct duel {
	struct timers t;
	struct naive m;
	uint64_t now, look_at, persistent;
	uint64_t state;
	unsigned seen; /* which actions ever came */
};

static void duel_begin(struct duel *d)
{
	timers_init(&d->t, d->now);
	d->m = (struct naive){ .wipe = d->now + 540 * SEC };
}

static void duel_traffic(struct duel *d, bool sent, bool data)
{
	if (sent) {
		timers_sent(&d->t, d->now, data);
		naive_sent(&d->m, d->now, data);
	} else {
		timers_received(&d->t, d->now, data);
		naive_received(&d->m, d->now, data);
	}
	naive_traversal(&d->m, d->now, d->persistent);
}

static void duel_initiate(struct duel *d, bool retry)
{
	uint32_t random = (uint32_t)next_random(&d->state);

	if (!retry)
		d->m.sent_initiations = 0;
	if (!timers_may_initiate(&d->t, d->now, retry))
		return;
	timers_initiation_sent(&d->t, d->now, random);
	naive_initiation(&d->m, d->now, random);
	naive_traversal(&d->m, d->now, d->persistent);
	d->look_at = d->now; /* PEER_WORK_LOOK */
}

static void duel_look(struct duel *d)
{
	unsigned actions, expected;

	if (d->persistent && !d->m.persistent)
		naive_traversal(&d->m, d->now, d->persistent);
	expected = naive_fire(&d->m, d->now, d->persistent);
	d->look_at = timers_look(&d->t, d->now, d->persistent, &actions);
	expect(actions == expected);
	expect(d->look_at > d->now && d->look_at <= d->now + 10 * SEC);
	d->seen |= actions;
	if (actions & TIMER_RETRY)
		duel_initiate(d, true);
	if (actions & TIMER_NEW_HANDSHAKE)
		duel_initiate(d, false);
	if (actions & (TIMER_KEEPALIVE | TIMER_PERSISTENT) && pick(&d->state, 4))
		duel_traffic(d, true, false);
	if (actions & TIMER_KEEPALIVE_AGAIN) {
		timers_expect_more(&d->t, d->now);
		d->m.keepalive = d->now + 10 * SEC;
	}
	if (actions & TIMER_WIPE && !timers_awaits_answer(&d->t)) {
		duel_begin(d);
		d->look_at = d->now;
	}
}

static void duel_event(struct duel *d)
{
	switch (pick(&d->state, 12)) {
	case 0 ... 3:
		duel_traffic(d, true, pick(&d->state, 4) != 0);
		return;
	case 4 ... 7:
		duel_traffic(d, false, pick(&d->state, 4) != 0);
		return;
	case 8:
		duel_initiate(d, false);
		return;
	case 9:
		timers_handshake_complete(&d->t);
		d->m.retransmit = 0;
		d->m.sent_initiations = 0;
		return;
	case 10:
		if (pick(&d->state, 8))
			return;
		timers_keys_made(&d->t, d->now);
		d->m.wipe = d->now + 540 * SEC;
		d->look_at = d->now;
		return;
	default:
		if (pick(&d->state, 8))
			return;
		d->persistent = pick(&d->state, 3) * (1 + pick(&d->state, 40)) * SEC;
		/* Ours counts from the last packet, whatever the interval was then. */
		d->m.persistent = 0;
		if (d->persistent && d->t.traversal)
			d->m.persistent = d->t.traversal + d->persistent;
		d->look_at = d->now;
	}
}

/* Mostly quick, sometimes silent for minutes. */
static uint64_t pause_of(struct duel *d)
{
	static const uint64_t up_to[] = { 50 * MSEC, 2 * SEC, 12 * SEC, 60 * SEC, 700 * SEC };

	return 1 + next_random(&d->state) % up_to[pick(&d->state, ARRAY_SIZE(up_to))];
}

/* No look comes too late, none finds anything that the naive timers do not. */
START_TEST(against_naive_timers)
{
	struct duel d = { .now = ns(0), .state = (uint64_t)_i };
	uint64_t event_at;

	duel_begin(&d);
	duel_look(&d);
	event_at = d.now + pause_of(&d);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t due = naive_next(&d.m, d.now);

		/* A deadline before the look, if that is not at once, is one we are late for. */
		expect(due >= d.look_at || d.look_at <= d.now);
		d.now = max(d.now, min(event_at, d.look_at));
		if (d.look_at <= d.now) {
			duel_look(&d);
		} else {
			duel_event(&d);
			event_at = d.now + pause_of(&d);
		}
	}
	ck_assert_uint_eq(d.seen, TIMER_RETRY | TIMER_GIVE_UP | TIMER_NEW_HANDSHAKE |
				  TIMER_KEEPALIVE | TIMER_KEEPALIVE_AGAIN | TIMER_PERSISTENT |
				  TIMER_WIPE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("timers");
	TCase *tc = tcase_create("timers");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, script, 0, ARRAY_SIZE(scripts));
	tcase_add_test(tc, give_up);
	tcase_add_test(tc, silence);
	tcase_add_test(tc, start_over);
	tcase_add_test(tc, may_initiate);
	tcase_add_test(tc, attempts_begin_anew);
	tcase_add_test(tc, after_a_response);
	tcase_add_loop_test(tc, against_naive_timers, 1, 9);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
