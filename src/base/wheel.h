/* SPDX-License-Identifier: MIT */
/*
 * Timers by the hundred thousand: a hierarchical timing wheel (Varghese and
 * Lauck 1987, scheme 7). Arming, disarming and firing cost the same however
 * many timers there are.
 *
 * Five levels of 64 slots; a slot of level 0 is one tick of 2^shift ns, a slot of
 * level n is 64^n ticks. A timer lies at the level of the highest base-64 digit in
 * which its tick differs from now, and moves down as that digit is reached, so
 * at most once per level. What lies beyond 104 days waits in a list of its own.
 *
 * Not thread-safe: one wheel per worker, touched by that worker alone.
 */
#ifndef BERTH_BASE_WHEEL_H
#define BERTH_BASE_WHEEL_H

#include <urcu/list.h>

#include "../base.h"

enum {
	WHEEL_TICK_SHIFT = 23, /* 8,388,608 ns: of timers of seconds */
	WHEEL_LEVELS = 5,
	WHEEL_SLOT_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_SLOT_BITS
};

#define WHEEL_TICK (UINT64_C(1) << WHEEL_TICK_SHIFT)

/* Embedded in its owner; all zero means disarmed. */
struct wheel_timer {
	struct cds_list_head link;
	uint64_t deadline; /* ns, the clock of wheel_expire() */
};

struct wheel {
	unsigned shift; /* a tick is 2^shift ns */
	uint64_t tick; /* everything due at this tick or before has fired */
	uint64_t occupied[WHEEL_LEVELS]; /* bit s: slots[level][s] is not empty */
	struct cds_list_head slots[WHEEL_LEVELS][WHEEL_SLOTS];
	struct cds_list_head far;
};

typedef void (*wheel_callback)(struct wheel_timer *timer, uint64_t now, void *arg);

/* now: nanoseconds; a tick will be 2^shift of them. No allocation, no clean-up; the wheel points into itself: do not move it. */
void wheel_init(struct wheel *w, uint64_t now, unsigned shift);

/*
 * Arms, or moves when armed. It fires in the first wheel_expire() whose now
 * has reached the deadline rounded up to a tick: never early, at most a tick
 * late. A deadline in the past fires with the next tick, not at once: a
 * callback that re-arms its timer cannot keep wheel_expire() busy for ever.
 */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline);

/* Nothing when it is not armed. */
void wheel_disarm(struct wheel *w, struct wheel_timer *t);

static inline bool wheel_armed(const struct wheel_timer *t)
{
	return t->link.next != NULL;
}

/*
 * When to call wheel_expire() next, in nanoseconds of the same clock, or
 * UINT64_MAX when nothing is armed. No timer is due earlier; now and then none
 * is due then either, and the call only moves some of them a level down.
 */
uint64_t wheel_next(const struct wheel *w);

/*
 * Fires what is due, in no particular order. A timer is disarmed before its
 * callback, which may arm and disarm any timer of the wheel and free the one it
 * was given, but must not call wheel_expire(). A now that goes back is ignored.
 */
void wheel_expire(struct wheel *w, uint64_t now, wheel_callback callback, void *arg);

#endif
