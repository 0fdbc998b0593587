/* SPDX-License-Identifier: MIT */
/* Rates: buckets, and the packets that wait for them. */
#include "limit.h"

#include <stdlib.h>

#include "../base/clock.h"

/* Of all tenants of a device together: what they can make us hold. */
enum { HELD_TOTAL_MAX = 64 << 20 };

struct limit *limit_new(_Atomic size_t *total)
{
	struct limit *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->total = total;
	meter_init(&l->meter);
	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		pthread_mutex_init(&l->lanes[i].lock, NULL);
		l->lanes[i].tail = &l->lanes[i].held;
	}
	return l;
}

/* What a packet costs in memory, with what malloc() adds. */
static size_t footprint(const struct staged *s)
{
	return sizeof(*s) + 16 + s->len;
}

/* Under the lock, or when nobody knows the limit any more. */
static struct staged *pop(struct limit *l, struct lane *lane)
{
	struct staged *s = lane->held;

	lane->held = s->next;
	s->next = NULL;
	if (!lane->held)
		lane->tail = &lane->held;
	lane->held_bytes -= footprint(s);
	atomic_fetch_sub_explicit(l->total, footprint(s), memory_order_relaxed);
	return s;
}

static unsigned drop_all(struct limit *l, struct lane *lane)
{
	unsigned n = 0;

	for (; lane->held; n++)
		staged_free(pop(l, lane));
	return n;
}

void limit_free(struct limit *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		(void)drop_all(l, &l->lanes[i]);
		pthread_mutex_destroy(&l->lanes[i].lock);
	}
	free(l);
}

/* The lesser of both; 0: no limit. */
static uint64_t slower(uint64_t rate, uint64_t quota_rate)
{
	return rate && quota_rate ? min(rate, quota_rate) : quota_rate;
}

static void set_slow(struct lane *lane, uint64_t rate)
{
	atomic_store_explicit(&lane->slow_burst, rate ? limit_queue_burst(rate) : 0,
			      memory_order_relaxed);
	atomic_store_explicit(&lane->slow_rate, rate, memory_order_relaxed);
}

static bool set_lane(struct lane *lane, uint64_t rate, uint64_t quota_rate)
{
	bool waiting;

	pthread_mutex_lock(&lane->lock);
	if (rate != atomic_load_explicit(&lane->rate, memory_order_relaxed)) {
		atomic_store_explicit(&lane->burst, rate ? limit_queue_burst(rate) : 0,
				      memory_order_relaxed);
		atomic_store_explicit(&lane->due, 0, memory_order_relaxed);
		atomic_store_explicit(&lane->rate, rate, memory_order_relaxed);
		lane->codel = (struct codel){ 0 };
	}
	set_slow(lane, slower(rate, quota_rate));
	waiting = atomic_load_explicit(&lane->waiting, memory_order_relaxed);
	pthread_mutex_unlock(&lane->lock);
	return waiting;
}

bool limit_set(struct limit *l, const struct limits *limits)
{
	uint64_t slow = limits->quota.bytes ? limits->quota.rate : 0;
	bool up = set_lane(&l->lanes[LIMIT_UP], limits->rate_up, slow);
	bool down = set_lane(&l->lanes[LIMIT_DOWN], limits->rate_down, slow);
	bool over = meter_is_over(&l->meter);
	struct timespec now;

	clock_realtime(&now);
	meter_set(&l->meter, &limits->quota, now.tv_sec);
	/* A debt at the rate of a quota that was used up is none any more. */
	if (over && !meter_is_over(&l->meter))
		return limit_refresh(l);
	return up || down;
}

bool limit_refresh(struct limit *l)
{
	bool waiting = false;

	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		struct lane *lane = &l->lanes[i];

		pthread_mutex_lock(&lane->lock);
		atomic_store_explicit(&lane->due, 0, memory_order_relaxed);
		lane->codel = (struct codel){ 0 };
		waiting |= atomic_load_explicit(&lane->waiting, memory_order_relaxed);
		pthread_mutex_unlock(&lane->lock);
	}
	return waiting;
}

struct limits limit_get(const struct limit *l)
{
	return (struct limits){
		.rate_up = atomic_load_explicit(&l->lanes[LIMIT_UP].rate, memory_order_relaxed),
		.rate_down =
			atomic_load_explicit(&l->lanes[LIMIT_DOWN].rate, memory_order_relaxed),
		.quota = l->meter.quota,
	};
}

unsigned limit_close(struct limit *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		struct lane *lane = &l->lanes[i];

		pthread_mutex_lock(&lane->lock);
		lane->closed = true;
		n += drop_all(l, lane);
		pthread_mutex_unlock(&lane->lock);
	}
	return n;
}

/* Under the lock. */
static bool may_pass(struct limit *l, struct lane *lane, uint64_t now, size_t len)
{
	struct pace pace = limit_pace(l, lane);

	return !pace.rate || limit_bucket(lane, pace, now, len, true);
}

/* Under the lock. False: there is no room. */
static bool hold(struct limit *l, struct lane *lane, uint64_t now, const uint8_t *data, size_t len)
{
	struct staged *s;

	if (lane->closed || !limit_queue_room(lane, limit_pace(l, lane).rate, len) ||
	    atomic_load_explicit(l->total, memory_order_relaxed) + len > HELD_TOTAL_MAX)
		return false;
	s = staged_new(data, len);
	if (!s)
		return false;
	s->since = now;
	*lane->tail = s;
	lane->tail = &s->next;
	lane->held_bytes += footprint(s);
	atomic_fetch_add_explicit(l->total, footprint(s), memory_order_relaxed);
	return true;
}

enum limit_verdict limit_packet(struct limit *l, enum limit_way way, uint64_t now,
				const uint8_t *data, size_t len)
{
	enum limit_verdict verdict = LIMIT_DROP;
	struct lane *lane = &l->lanes[way];
	bool waiting;

	if (meter_is_shut(&l->meter))
		return LIMIT_DROP;
	pthread_mutex_lock(&lane->lock);
	waiting = atomic_load_explicit(&lane->waiting, memory_order_relaxed);
	if (!waiting && may_pass(l, lane, now, len)) {
		verdict = meter_spend(&l->meter, len, true) ? LIMIT_PASS : LIMIT_DROP;
	} else if (hold(l, lane, now, data, len)) {
		verdict = waiting ? LIMIT_HELD : LIMIT_FIRST;
		atomic_store_explicit(&lane->waiting, true, memory_order_relaxed);
	}
	pthread_mutex_unlock(&lane->lock);
	return verdict;
}

/* When the bucket has what the head of the queue costs. Under the lock. */
static uint64_t due_next(const struct limit *l, const struct lane *lane)
{
	uint64_t due = atomic_load_explicit(&lane->due, memory_order_relaxed);
	struct pace pace = limit_pace(l, lane);
	uint64_t cost;

	if (!pace.rate)
		return 0;
	cost = limit_cost(lane->held->len, pace.rate);
	if (cost > pace.burst)
		return due;
	return max(due + cost, pace.burst) - pace.burst;
}

/* Its quota is used up, and nothing passes: then what waits goes at once. Under the lock. */
static bool is_due(const struct limit *l, const struct lane *lane, uint64_t now)
{
	return meter_is_shut(&l->meter) || due_next(l, lane) <= now;
}

void limit_take(struct limit *l, enum limit_way way, uint64_t now, struct limit_taken *out)
{
	struct lane *lane = &l->lanes[way];
	struct staged **tail = &out->list;

	*out = (struct limit_taken){ 0 };
	pthread_mutex_lock(&lane->lock);
	while (lane->held && is_due(l, lane, now)) {
		struct staged *s = lane->held;
		bool shut = meter_is_shut(&l->meter);

		/* What is dropped pays nothing. */
		if (shut || limit_queue_drops(lane, limit_pace(l, lane).rate, s, now)) {
			staged_free(pop(l, lane));
			out->dropped++;
			continue;
		}
		if (!may_pass(l, lane, now, s->len))
			break;
		/* This is the one too many: it is looked at again, and dropped. */
		if (!meter_spend(&l->meter, s->len, true))
			continue;
		*tail = pop(l, lane);
		tail = &s->next;
	}
	pthread_mutex_unlock(&lane->lock);
}

uint64_t limit_settle(struct limit *l, enum limit_way way)
{
	struct lane *lane = &l->lanes[way];
	uint64_t next = UINT64_MAX;

	if (!atomic_load_explicit(&lane->waiting, memory_order_relaxed))
		return next;
	pthread_mutex_lock(&lane->lock);
	if (lane->held)
		next = due_next(l, lane);
	else
		atomic_store_explicit(&lane->waiting, false, memory_order_release);
	pthread_mutex_unlock(&lane->lock);
	return next;
}
