/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel. A tick counts in base 64: digit n of a timer's tick is its
 * slot at level n. All timers at level n share with now every digit above n,
 * and their digit n is greater than now's. Hence level n + 1 begins where
 * level n ends, nothing wraps around, and the lowest bit of the lowest level
 * that is occupied is where the next timer lies.
 */
#include "wheel.h"

#define TOP_SHIFT (WHEEL_LEVELS * WHEEL_SLOT_BITS)

_Static_assert(WHEEL_SLOTS == 64, "a level's occupancy is one word");

static unsigned digit(uint64_t tick, unsigned level)
{
	return tick >> level * WHEEL_SLOT_BITS & (WHEEL_SLOTS - 1);
}

/* The tick in which a deadline has passed in full: never early. */
static uint64_t tick_after(const struct wheel *w, uint64_t deadline)
{
	return (deadline >> w->shift) + !!(deadline & ((UINT64_C(1) << w->shift) - 1));
}

/* Puts a timer that is in no list where its tick belongs. */
static void place(struct wheel *w, struct wheel_timer *t)
{
	uint64_t tick = max(tick_after(w, t->deadline), w->tick + 1);
	unsigned level = (63 - (unsigned)__builtin_clzll(tick ^ w->tick)) / WHEEL_SLOT_BITS;
	unsigned slot;

	if (level >= WHEEL_LEVELS) {
		cds_list_add_tail(&t->link, &w->far);
		return;
	}
	slot = digit(tick, level);
	cds_list_add_tail(&t->link, &w->slots[level][slot]);
	w->occupied[level] |= UINT64_C(1) << slot;
}

/*
 * A list that the timer leaves empty is a head alone. When that head is one
 * of the slots (not far, not the list of those about to fire), its bit goes.
 */
static void unlink_timer(struct wheel *w, struct wheel_timer *t)
{
	struct cds_list_head *neighbour = t->link.next;
	uintptr_t offset;

	cds_list_del(&t->link);
	t->link.next = NULL;
	if (!cds_list_empty(neighbour))
		return;
	offset = (uintptr_t)neighbour - (uintptr_t)w->slots;
	if (offset < sizeof(w->slots)) {
		size_t i = offset / sizeof(w->slots[0][0]);

		w->occupied[i / WHEEL_SLOTS] &= ~(UINT64_C(1) << i % WHEEL_SLOTS);
	}
}

void wheel_init(struct wheel *w, uint64_t now, unsigned shift)
{
	unsigned level, slot;

	memset(w, 0, sizeof(*w));
	w->shift = shift;
	w->tick = now >> shift;
	CDS_INIT_LIST_HEAD(&w->far);
	for (level = 0; level < WHEEL_LEVELS; level++)
		for (slot = 0; slot < WHEEL_SLOTS; slot++)
			CDS_INIT_LIST_HEAD(&w->slots[level][slot]);
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline)
{
	wheel_disarm(w, t);
	t->deadline = deadline;
	place(w, t);
}

void wheel_disarm(struct wheel *w, struct wheel_timer *t)
{
	if (wheel_armed(t))
		unlink_timer(w, t);
}

uint64_t wheel_next(const struct wheel *w)
{
	unsigned level, shift;
	uint64_t tick;

	for (level = 0; level < WHEEL_LEVELS; level++) {
		if (!w->occupied[level])
			continue;
		/* now's tick with this digit set, and zeros below it */
		shift = level * WHEEL_SLOT_BITS;
		tick = w->tick >> (shift + WHEEL_SLOT_BITS) << WHEEL_SLOT_BITS;
		tick |= (unsigned)__builtin_ctzll(w->occupied[level]);
		return tick << shift << w->shift;
	}
	if (w->far.next != &w->far)
		return ((w->tick >> TOP_SHIFT) + 1) << TOP_SHIFT << w->shift;
	return UINT64_MAX;
}

/* Moves every timer of a level whose slot the new tick has reached or passed. */
static void collect_level(struct wheel *w, unsigned level, uint64_t tick,
			  struct cds_list_head *reached)
{
	unsigned shift = (level + 1) * WHEEL_SLOT_BITS;
	uint64_t slots = w->occupied[level];
	unsigned slot;

	/* Within the same round of this level only up to the new digit. */
	if (tick >> shift == w->tick >> shift)
		slots &= UINT64_MAX >> (WHEEL_SLOTS - 1 - digit(tick, level));
	w->occupied[level] &= ~slots;
	for (; slots; slots &= slots - 1) {
		slot = (unsigned)__builtin_ctzll(slots);
		cds_list_splice(&w->slots[level][slot], reached);
		CDS_INIT_LIST_HEAD(&w->slots[level][slot]);
	}
}

void wheel_expire(struct wheel *w, uint64_t now, wheel_callback callback, void *arg)
{
	uint64_t tick = now >> w->shift;
	CDS_LIST_HEAD(reached);
	unsigned level;

	if (tick <= w->tick)
		return;
	for (level = 0; level < WHEEL_LEVELS; level++)
		collect_level(w, level, tick, &reached);
	if (tick >> TOP_SHIFT != w->tick >> TOP_SHIFT) {
		cds_list_splice(&w->far, &reached);
		CDS_INIT_LIST_HEAD(&w->far);
	}
	w->tick = tick;

	/* Callbacks may take any timer out of this list too, so always take the first. */
	while (!cds_list_empty(&reached)) {
		struct wheel_timer *t =
			cds_list_first_entry(&reached, struct wheel_timer, link);

		unlink_timer(w, t);
		if (tick_after(w, t->deadline) > tick)
			place(w, t); /* at a lower level now */
		else
			callback(t, now, arg);
	}
}
