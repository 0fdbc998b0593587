/* SPDX-License-Identifier: MIT */
/*
 * What a tenant may use, as the data path asks for it: a rate each way, kept by a
 * token bucket that all workers share without a lock, and what comes too fast waits in a
 * short queue whose delay is kept down by CoDel (RFC 8289; RFC 3168 marks in place of drops).
 * Bytes are those of inner packets, from the IP header on.
 *
 *   any worker   limit_pass     the packets of a burst, all or none        lock-free
 *                limit_packet   one by one: it passes, waits, or is dropped lane->lock
 *   home worker  limit_take     what may pass now, of what waits
 *                limit_settle   it is on its way; when the next may follow
 *
 * What passes is counted against the quota (meter.h): past it the rates are lower, or all
 * is dropped.
 *
 * Only tenants that have a limit have one of these, made at its first and kept until the
 * tenant goes: with both rates 0 all passes. A flow is never reordered: while anything waits, or
 * is being sent by the home worker, what follows waits behind it.
 */
#ifndef BERTH_PEER_LIMIT_H
#define BERTH_PEER_LIMIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "../base/wheel.h"
#include "../config/limits.h"
#include "../table/counters.h"
#include "meter.h"
#include "staged.h"

struct peer;

enum limit_way {
	LIMIT_UP,   /* from the tenant */
	LIMIT_DOWN, /* to the tenant */
	LIMIT_WAYS
};

enum limit_verdict {
	LIMIT_PASS,
	LIMIT_HELD,  /* a copy waits */
	LIMIT_FIRST, /* the same, and the home worker is to be told: PEER_WORK_RELEASE */
	LIMIT_DROP
};

/* When to drop of a standing queue: RFC 8289 §5, whose names these are. */
struct codel {
	uint64_t first_above; /* ns; 0: the delay is below target */
	uint64_t drop_next;   /* ns */
	uint32_t count, last_count;
	bool dropping;
};

struct lane {
	_Atomic uint64_t rate;  /* bit/s; 0: no limit. Control writes, under lock */
	_Atomic uint64_t burst; /* ns at that rate: the depth of the bucket. Likewise */
	/* The same once the quota is used up; 0: no other. */
	_Atomic uint64_t slow_rate, slow_burst;
	/* ns: when what has passed would have passed at the rate. Full bucket: not after now */
	_Atomic uint64_t due;
	_Atomic bool waiting; /* written under lock: packets are held or just being sent */

	pthread_mutex_t lock; /* of all below; short holds */
	bool closed;          /* the tenant is gone: nothing waits any more */
	struct staged *held, **tail;
	size_t held_bytes;
	struct codel codel;
};

struct limit {
	struct lane lanes[LIMIT_WAYS];
	struct meter meter; /* of its quota */
	_Atomic size_t *total; /* bytes held by all tenants of the device */
	struct wheel_timer timer; /* home worker */
	bool on_wheel;            /* home worker; holds a reference to the peer */
	struct peer *peer;        /* home worker; of on_wheel */
};

/* total outlives it. NULL: no memory. */
struct limit *limit_new(_Atomic size_t *total);

/* Nobody knows it any more. */
void limit_free(struct limit *l);

/*
 * New rates, with full buckets: a debt at the old rate is none at the new one. True: packets wait,
 * and the home worker is to look at once (PEER_WORK_RELEASE). Control thread.
 */
must_check bool limit_set(struct limit *l, const struct limits *limits);

/* The rates as they are now. Any thread. */
struct limits limit_get(const struct limit *l);

/*
 * What its meter allows has changed: buckets are full. True: packets wait, and the home worker is
 * to look at once (PEER_WORK_RELEASE). Control thread.
 */
must_check bool limit_refresh(struct limit *l);

/* Drops what waits, for good; returns how many packets. Control thread. */
unsigned limit_close(struct limit *l);

/* Nanoseconds that so many bytes take at a rate (bit/s, not 0), rounded to nearest. */
static inline uint64_t limit_cost(uint64_t bytes, uint64_t rate)
{
	return (bytes * (8 * NSEC_PER_SEC) + rate / 2) / rate;
}

/* Why a packet is dropped: for the rate, or a quota that is used up. Any worker. */
static inline enum drop_reason limit_reason(const struct limit *l, enum limit_way way)
{
	if (meter_is_over(&l->meter))
		return DROP_QUOTA;
	return way == LIMIT_UP ? DROP_RATE_UP : DROP_RATE_DOWN;
}

struct pace {
	uint64_t rate, burst;
};

/* How fast it may be now. */
static inline struct pace limit_pace(const struct limit *l, const struct lane *lane)
{
	uint64_t slow = atomic_load_explicit(&lane->slow_rate, memory_order_relaxed);

	if (unlikely(slow) && meter_is_over(&l->meter))
		return (struct pace){
			slow, atomic_load_explicit(&lane->slow_burst, memory_order_relaxed)
		};
	return (struct pace){ atomic_load_explicit(&lane->rate, memory_order_relaxed),
			      atomic_load_explicit(&lane->burst, memory_order_relaxed) };
}

/*
 * Takes bytes (under 2 GB) out of the bucket, if there are so many in it; a full one, that is
 * even so too small, lends the rest (some: must all be there, else one packet). now: monotonic ns.
 */
must_check static inline bool limit_bucket(struct lane *lane, struct pace pace, uint64_t now,
					   uint64_t bytes, bool packet)
{
	uint64_t limit = now + pace.burst;
	uint64_t due = atomic_load_explicit(&lane->due, memory_order_relaxed);
	uint64_t cost = limit_cost(bytes, pace.rate), after;

	do {
		after = max(due, now) + cost;
		if (after > limit && (due > now || !packet))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&lane->due, &due, after,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

/*
 * May packets of so many bytes together (under 2 GB) pass now? If not, each is to be asked for by
 * limit_packet(), in order. Any worker, RCU turn.
 */
must_check static inline bool limit_pass(struct limit *l, enum limit_way way, uint64_t now,
					 uint64_t bytes)
{
	struct lane *lane = &l->lanes[way];
	struct pace pace = limit_pace(l, lane);

	/* Whoever sees it cleared sees also that what was held has been sent. */
	if (unlikely(atomic_load_explicit(&lane->waiting, memory_order_acquire)))
		return false;
	if (pace.rate && !limit_bucket(lane, pace, now, bytes, false))
		return false;
	return meter_spend(&l->meter, bytes, false);
}

/* One packet of len bytes; what is held is copied. Any worker, RCU turn. */
must_check enum limit_verdict limit_packet(struct limit *l, enum limit_way way, uint64_t now,
					   const uint8_t *data, size_t len);

/* What limit_take() found. */
struct limit_taken {
	struct staged *list; /* the caller's, in order; may be marked (ECN) */
	unsigned dropped;
};

/* What may pass now of what waits; followed by limit_settle(). Home worker, RCU turn. */
void limit_take(struct limit *l, enum limit_way way, uint64_t now, struct limit_taken *out);

/*
 * What was taken is on its way. Returns when (monotonic ns) to take again, UINT64_MAX when
 * nothing waits. Home worker, RCU turn.
 */
uint64_t limit_settle(struct limit *l, enum limit_way way);

/*
 * limit_queue.c: the policy, apart for the benchmark that measures it beside another
 * (tools/bench/limit_police.c).
 */

/* The depth of a bucket in ns, for a rate that is not 0. */
uint64_t limit_queue_burst(uint64_t rate);
/* May len bytes more wait, if held_bytes do, at a rate (bit/s; 0: none)? Under lock. */
must_check bool limit_queue_room(const struct lane *lane, uint64_t rate, size_t len);
/* Is this one, which was the head of the queue, to be dropped? Marks it instead. Under lock. */
must_check bool limit_queue_drops(struct lane *lane, uint64_t rate, struct staged *s,
				  uint64_t now);

#endif
