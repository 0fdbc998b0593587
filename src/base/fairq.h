/* SPDX-License-Identifier: MIT */
/*
 * Who is served next when there is more to do than can be done: deficit round robin
 * (Shreedhar and Varghese 1996) over buckets, those that just became busy first
 * (RFC 8290 §4.1). What is queued are slots, numbers that stand for the caller's buffers.
 * When all slots are taken, the bucket that holds most loses its oldest: whoever sends too
 * much does so at his own expense, and whoever sends little is served at once.
 *
 * No memory of its own beyond the struct; one thread.
 */
#ifndef BERTH_BASE_FAIRQ_H
#define BERTH_BASE_FAIRQ_H

#include "../base.h"

enum {
	FAIRQ_SLOTS_MAX = 64,
	FAIRQ_BUCKETS = 256,
	FAIRQ_QUANTUM = 8 << 10 /* of cost, for each bucket in turn */
};

struct fairq_bucket {
	uint16_t first, last; /* slots */
	uint16_t next;        /* of the round that it is in */
	bool listed;
	uint32_t cost;        /* of all its slots */
	int32_t deficit;
};

struct fairq_round {
	uint16_t first, last; /* buckets */
};

struct fairq {
	unsigned n_slots, n_free, n_queued;
	uint16_t free[FAIRQ_SLOTS_MAX]; /* the last one given back is taken first: it is in the cache */
	uint16_t next[FAIRQ_SLOTS_MAX]; /* slot → the one behind it in its bucket */
	uint32_t cost[FAIRQ_SLOTS_MAX];
	struct fairq_round fresh, busy;
	struct fairq_bucket buckets[FAIRQ_BUCKETS];
};

/* All of n slots (1 to FAIRQ_SLOTS_MAX) are free. */
void fairq_init(struct fairq *fq, unsigned n);

/* A free slot, or -1: fairq_evict() makes one. It is the caller's until it is queued or given back. */
int fairq_take(struct fairq *fq);

/* Gives a slot back that was taken, or removed from the queue. */
void fairq_give(struct fairq *fq, unsigned slot);

/* Queues a taken slot; bucket: any number. cost: what serving it takes, at most 1 << 20. */
void fairq_push(struct fairq *fq, unsigned slot, uint32_t bucket, uint32_t cost);

/* The slot that is next, which stays queued; -1: none is. */
int fairq_peek(struct fairq *fq);

/* The bucket of the slot that fairq_peek() has just named; fresh: it has just become busy. */
unsigned fairq_bucket(const struct fairq *fq, bool *fresh);

/* Takes the slot off the queue that fairq_peek() has just named. It is then the caller's. */
void fairq_pop(struct fairq *fq);

/* Takes the oldest slot of the bucket that holds most off the queue. It is then the caller's. -1: none. */
int fairq_evict(struct fairq *fq);

/* The cost of all that the bucket holds that holds most. */
uint32_t fairq_most(const struct fairq *fq);

static inline bool fairq_is_empty(const struct fairq *fq)
{
	return !fq->n_queued;
}

#endif
