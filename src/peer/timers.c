/* SPDX-License-Identifier: MIT */
/* The timers of one session: stamps, and what follows from them (paper §6). */
#include "timers.h"

#include "../../crypto/messages.h"

/* Like the kernel: an initiation and this many retries fill REKEY_ATTEMPT_TIME. */
enum { ATTEMPTS_MAX = REKEY_ATTEMPT_TIME / REKEY_TIMEOUT };

static uint64_t get(const _Atomic uint64_t *stamp)
{
	return atomic_load_explicit(stamp, memory_order_relaxed);
}

/*
 * Stamps are shared by workers and mostly hold the value already: a store that
 * changes nothing would still take the cache line away from the others.
 */
static void set(_Atomic uint64_t *stamp, uint64_t value)
{
	if (get(stamp) != value)
		atomic_store_explicit(stamp, value, memory_order_relaxed);
}

void timers_init(struct timers *t, uint64_t now)
{
	memset(t, 0, sizeof(*t));
	set(&t->wipe_from, now);
}

void timers_sent(struct timers *t, uint64_t now, bool data)
{
	set(&t->traversal, now);
	set(&t->unacknowledged, 0);
	if (atomic_load_explicit(&t->received_more, memory_order_relaxed))
		atomic_store_explicit(&t->received_more, false, memory_order_relaxed);
	if (data && !get(&t->unanswered))
		set(&t->unanswered, now);
}

void timers_received(struct timers *t, uint64_t now, bool data)
{
	set(&t->traversal, now);
	set(&t->unanswered, 0);
	if (!data)
		return;
	if (!get(&t->unacknowledged))
		set(&t->unacknowledged, now);
	else if (!atomic_load_explicit(&t->received_more, memory_order_relaxed))
		atomic_store_explicit(&t->received_more, true, memory_order_relaxed);
}

bool timers_may_initiate(struct timers *t, uint64_t now, bool retry)
{
	uint64_t last = get(&t->handshake_sent);

	if (!retry)
		atomic_store_explicit(&t->attempts, 0, memory_order_relaxed);
	else if (!get(&t->retry_at))
		return false; /* answered while the wish was on its way */
	return !last || now - last >= REKEY_TIMEOUT;
}

void timers_initiation_sent(struct timers *t, uint64_t now, uint32_t random)
{
	uint32_t jitter = (uint32_t)((uint64_t)random * REKEY_TIMEOUT_JITTER_MAX >> 32);

	atomic_store_explicit(&t->jitter, jitter, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->attempts, 1, memory_order_relaxed);
	set(&t->handshake_sent, now);
	set(&t->retry_at, now + REKEY_TIMEOUT + jitter);
	timers_sent(t, now, false);
}

void timers_start_over(struct timers *t)
{
	set(&t->handshake_sent, 0);
}

void timers_try_once(struct timers *t)
{
	atomic_store_explicit(&t->attempts, ATTEMPTS_MAX + 1, memory_order_relaxed);
}

/* The end of REKEY_TIMEOUT since the last handshake message of ours, with its jitter. */
static uint64_t next_attempt(const struct timers *t)
{
	return get(&t->handshake_sent) + REKEY_TIMEOUT +
	       atomic_load_explicit(&t->jitter, memory_order_relaxed);
}

void timers_response_sent(struct timers *t, uint64_t now)
{
	uint64_t retry_at = get(&t->retry_at);

	set(&t->handshake_sent, now);
	/* Not when a worker has just found the handshake complete. */
	if (retry_at)
		(void)atomic_compare_exchange_strong_explicit(&t->retry_at, &retry_at,
							      next_attempt(t),
							      memory_order_relaxed,
							      memory_order_relaxed);
	timers_sent(t, now, false);
}

bool timers_initiate_later(struct timers *t)
{
	uint64_t none = 0;

	return atomic_compare_exchange_strong_explicit(&t->retry_at, &none, next_attempt(t),
						       memory_order_relaxed, memory_order_relaxed);
}

void timers_keys_made(struct timers *t, uint64_t now)
{
	set(&t->wipe_from, now);
	atomic_store_explicit(&t->silent, false, memory_order_relaxed);
}

void timers_handshake_complete(struct timers *t)
{
	set(&t->retry_at, 0);
	atomic_store_explicit(&t->attempts, 0, memory_order_relaxed);
}

void timers_expect_more(struct timers *t, uint64_t now)
{
	set(&t->unacknowledged, now);
}

bool timers_keys_ended(const struct timers *t, uint64_t now)
{
	return now >= get(&t->wipe_from) + 3 * REJECT_AFTER_TIME;
}

bool timers_is_silent(const struct timers *t)
{
	return atomic_load_explicit(&t->silent, memory_order_relaxed);
}

bool timers_awaits_answer(const struct timers *t)
{
	return get(&t->retry_at) != 0;
}

/* Due at since + after? Otherwise the next look is made no later. */
static bool due(uint64_t since, uint64_t after, uint64_t now, uint64_t *next)
{
	uint64_t deadline = since + after;

	if (!since)
		return false;
	if (now >= deadline)
		return true;
	*next = min(*next, deadline);
	return false;
}

uint64_t timers_look(struct timers *t, uint64_t now, uint64_t persistent, unsigned *actions)
{
	uint64_t next = now + KEEPALIVE_TIMEOUT;
	uint32_t jitter = atomic_load_explicit(&t->jitter, memory_order_relaxed);
	unsigned a = 0;

	if (due(get(&t->retry_at), 0, now, &next)) {
		if (atomic_load_explicit(&t->attempts, memory_order_relaxed) > ATTEMPTS_MAX) {
			set(&t->retry_at, 0);
			a |= TIMER_GIVE_UP;
		} else {
			a |= TIMER_RETRY;
		}
	}
	if (due(get(&t->unanswered), KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + jitter, now, &next)) {
		set(&t->unanswered, 0);
		a |= TIMER_NEW_HANDSHAKE;
	}
	if (due(get(&t->unacknowledged), KEEPALIVE_TIMEOUT, now, &next)) {
		set(&t->unacknowledged, 0);
		a |= TIMER_KEEPALIVE;
		if (atomic_exchange_explicit(&t->received_more, false, memory_order_relaxed))
			a |= TIMER_KEEPALIVE_AGAIN;
	}
	/* Nothing has passed yet, since nothing could be sent: the interval begins now. */
	if (persistent && !get(&t->traversal))
		set(&t->traversal, now);
	if (persistent && due(get(&t->traversal), persistent, now, &next)) {
		/* Sending will stamp it; if we cannot send, try again in one interval. */
		set(&t->traversal, now);
		next = min(next, now + persistent);
		a |= TIMER_PERSISTENT;
	}
	if (due(get(&t->wipe_from), 3 * REJECT_AFTER_TIME, now, &next))
		a |= TIMER_WIPE;
	if (a & (TIMER_RETRY | TIMER_NEW_HANDSHAKE))
		atomic_store_explicit(&t->silent, true, memory_order_relaxed);
	*actions = a;
	return next;
}
