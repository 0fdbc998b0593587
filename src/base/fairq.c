/* SPDX-License-Identifier: MIT */
/* Deficit round robin over slots. */
#include "fairq.h"

enum { NONE = UINT16_MAX };

void fairq_init(struct fairq *fq, unsigned n)
{
	memset(fq, 0, sizeof(*fq));
	fq->n_slots = n;
	fq->fresh.first = fq->busy.first = NONE;
	for (unsigned i = 0; i < FAIRQ_BUCKETS; i++)
		fq->buckets[i].first = NONE;
	while (fq->n_free < n) {
		fq->free[fq->n_free] = (uint16_t)(n - 1 - fq->n_free);
		fq->n_free++;
	}
}

int fairq_take(struct fairq *fq)
{
	return fq->n_free ? fq->free[--fq->n_free] : -1;
}

void fairq_give(struct fairq *fq, unsigned slot)
{
	fq->free[fq->n_free++] = (uint16_t)slot;
}

/* Rounds: lists of buckets */

static void append(struct fairq *fq, struct fairq_round *round, uint16_t bucket)
{
	fq->buckets[bucket].next = NONE;
	if (round->first == NONE)
		round->first = bucket;
	else
		fq->buckets[round->last].next = bucket;
	round->last = bucket;
}

static void advance(struct fairq *fq, struct fairq_round *round)
{
	round->first = fq->buckets[round->first].next;
}

void fairq_push(struct fairq *fq, unsigned slot, uint32_t bucket, uint32_t cost)
{
	uint16_t number = bucket % FAIRQ_BUCKETS;
	struct fairq_bucket *b = &fq->buckets[number];

	fq->next[slot] = NONE;
	fq->cost[slot] = cost;
	if (b->first == NONE)
		b->first = (uint16_t)slot;
	else
		fq->next[b->last] = (uint16_t)slot;
	b->last = (uint16_t)slot;
	b->cost += cost;
	fq->n_queued++;
	if (b->listed)
		return;
	b->listed = true;
	b->deficit = FAIRQ_QUANTUM;
	append(fq, &fq->fresh, number);
}

static uint16_t take_first(struct fairq *fq, struct fairq_bucket *b)
{
	uint16_t slot = b->first;

	b->first = fq->next[slot];
	b->cost -= fq->cost[slot];
	fq->n_queued--;
	return slot;
}

int fairq_peek(struct fairq *fq)
{
	for (;;) {
		struct fairq_round *round = fq->fresh.first != NONE ? &fq->fresh : &fq->busy;
		uint16_t number = round->first;
		struct fairq_bucket *b;

		if (number == NONE)
			return -1;
		b = &fq->buckets[number];
		if (b->first != NONE && b->deficit > 0)
			return b->first;
		advance(fq, round);
		/* Once through the busy ones before it is fresh again, or it would always be first. */
		if (b->first == NONE && round == &fq->busy) {
			b->listed = false;
			continue;
		}
		if (b->deficit <= 0)
			b->deficit += FAIRQ_QUANTUM;
		append(fq, &fq->busy, number);
	}
}

unsigned fairq_bucket(const struct fairq *fq, bool *fresh)
{
	*fresh = fq->fresh.first != NONE;
	return *fresh ? fq->fresh.first : fq->busy.first;
}

void fairq_pop(struct fairq *fq)
{
	struct fairq_round *round = fq->fresh.first != NONE ? &fq->fresh : &fq->busy;
	struct fairq_bucket *b = &fq->buckets[round->first];

	b->deficit -= (int32_t)fq->cost[take_first(fq, b)];
}

static unsigned find_fattest(const struct fairq *fq)
{
	unsigned fattest = 0;

	for (unsigned i = 1; i < FAIRQ_BUCKETS; i++)
		if (fq->buckets[i].cost > fq->buckets[fattest].cost)
			fattest = i;
	return fattest;
}

uint32_t fairq_most(const struct fairq *fq)
{
	return fq->buckets[find_fattest(fq)].cost;
}

int fairq_evict(struct fairq *fq)
{
	struct fairq_bucket *fattest = &fq->buckets[find_fattest(fq)];

	return fattest->first == NONE ? -1 : take_first(fq, fattest);
}
