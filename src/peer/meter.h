/* SPDX-License-Identifier: MIT */
/*
 * What a tenant has carried of its quota in this period. Any worker adds to it without a lock;
 * whoever's packet is the one too many sees that it is used up, so that the cut is there,
 * not a second later.
 *
 * `over` holds for one epoch. Whatever lifts it (a new period, a reset, a greater quota) begins
 * another one, so that a worker which has found the last one used up a moment ago says
 * nothing of this. If it was the one to use up the new one, the next packet finds that out.
 */
#ifndef BERTH_PEER_METER_H
#define BERTH_PEER_METER_H

#include <stdatomic.h>

#include "../config/quota.h"

enum meter_state {
	METER_OK,
	METER_WARNED, /* METER_WARNING_PERCENT are used */
	METER_OVER
};

enum { METER_WARNING_PERCENT = 80 };

struct meter {
	_Atomic uint64_t allowed; /* bytes; 0: no quota. Control writes */
	_Atomic uint64_t used;    /* bytes */
	_Atomic uint32_t epoch;   /* control writes */
	_Atomic uint32_t over;    /* the last epoch that was found used up */
	_Atomic bool blocks;      /* then nothing passes. Control writes */

	/* control thread */
	struct quota quota;
	int64_t start; /* of the period, seconds of UTC; 0: it has none */
	enum meter_state said;
};

/* What is to be told of it, and kept. */
struct meter_info {
	struct quota quota; /* bytes 0: none, and all else is 0 */
	uint64_t used;
	int64_t start;
	enum meter_state state;
};

static inline bool meter_is_over(const struct meter *m)
{
	return atomic_load_explicit(&m->over, memory_order_relaxed) ==
	       atomic_load_explicit(&m->epoch, memory_order_relaxed);
}

/* Does nothing pass any more? Any worker. */
static inline bool meter_is_shut(const struct meter *m)
{
	return atomic_load_explicit(&m->blocks, memory_order_relaxed) && meter_is_over(m);
}

/* meter_spend() where nothing passes that does not fit. */
must_check bool meter_spend_blocking(struct meter *m, uint32_t epoch, uint64_t allowed,
				     uint64_t bytes, bool one);

/*
 * So many bytes of inner packets pass. False: they must not; if it is one packet, none does from
 * here on. Any worker.
 */
must_check static inline bool meter_spend(struct meter *m, uint64_t bytes, bool one)
{
	/* First: whoever knows the new one knows what is allowed in it. */
	uint32_t epoch = atomic_load_explicit(&m->epoch, memory_order_acquire);
	uint64_t allowed = atomic_load_explicit(&m->allowed, memory_order_relaxed);

	if (!allowed)
		return true;
	if (atomic_load_explicit(&m->blocks, memory_order_relaxed))
		return meter_spend_blocking(m, epoch, allowed, bytes, one);
	if (atomic_fetch_add_explicit(&m->used, bytes, memory_order_relaxed) + bytes >= allowed)
		atomic_store_explicit(&m->over, epoch, memory_order_relaxed);
	return true;
}

/*
 * So many bytes did not pass after all. What was found to be used up stays so in this period,
 * as others have been refused for it. Any thread.
 */
void meter_give_back(struct meter *m, uint64_t bytes);

/* All below: control thread; now is seconds of UTC. */

/* Zeroed before: no quota. */
void meter_init(struct meter *m);

/*
 * A quota, another one, or none. What was used counts on, unless there was none or its period was
 * of another kind.
 */
void meter_set(struct meter *m, const struct quota *quota, int64_t now);

/* What was used before a restart, in the period that began at start. */
void meter_recall(struct meter *m, uint64_t used, int64_t start, int64_t now);

/* Nothing is used. */
void meter_reset(struct meter *m);

/*
 * Begins the period that now lies in, if it is a later one. In an earlier one the clock was set
 * back: what was used counts on. True: it was reset.
 */
must_check bool meter_turn(struct meter *m, int64_t now);

struct meter_info meter_get(const struct meter *m);

#endif
