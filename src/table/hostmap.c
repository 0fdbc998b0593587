/* SPDX-License-Identifier: MIT */
/*
 * Open addressing with linear probing. A slot is written once in the life of
 * its array: the hash, then, published, the entry. Removing puts REMOVED in the
 * entry's place and never frees the slot; when three quarters are used, what
 * lives moves to a new array and the old one is freed after a grace period. So
 * a reader always sees a hash and an entry that belong together.
 */
#include "hostmap.h"

#include <sodium.h>
#include <stdlib.h>

#include "../base/rcu.h"

enum { MIN_SLOTS = 4 }; /* a tunnel at home has one or two addresses */

struct slot {
	uint64_t hash;
	_Atomic(void *) entry; /* NULL: empty, and the end of every search */
};

struct hostmap_slots {
	struct rcu_head rcu;
	size_t mask;
	struct slot slot[];
};

/* Its address is an entry that nobody has; it is never written. */
static const char removed_;
#define REMOVED ((void *)(uintptr_t)&removed_)

void hostmap_init(struct hostmap *map)
{
	memset(map, 0, sizeof(*map));
	randombytes_buf(map->seed, sizeof(map->seed));
}

void hostmap_free(struct hostmap *map)
{
	free(rcu_read(&map->slots));
	rcu_publish(&map->slots, NULL);
	map->used = map->live = 0;
}

/* The folded 128-bit product depends on every bit of both factors. */
uint64_t hostmap_hash(const struct hostmap *map, uint64_t high, uint64_t low)
{
	unsigned __int128 product = (unsigned __int128)(high ^ map->seed[0]) *
				    (low ^ map->seed[1]);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

void *hostmap_find(const struct hostmap *map, uint64_t hash)
{
	struct hostmap_slots *s = rcu_read(&map->slots);
	void *entry;
	size_t i;

	if (!s)
		return NULL;
	/* At least a quarter is empty, so it ends. */
	for (i = hash & s->mask; (entry = rcu_read(&s->slot[i].entry)); i = (i + 1) & s->mask)
		if (s->slot[i].hash == hash && entry != REMOVED)
			return entry;
	return NULL;
}

static void put(struct hostmap_slots *s, uint64_t hash, void *entry)
{
	size_t i = hash & s->mask;

	while (rcu_read(&s->slot[i].entry))
		i = (i + 1) & s->mask;
	s->slot[i].hash = hash;
	rcu_publish(&s->slot[i].entry, entry);
}

static void slots_free(struct rcu_head *head)
{
	rcu_grace_passed();
	free(container_of(head, struct hostmap_slots, rcu));
}

/* Moves to an array in which one more entry fills at most half. False: no memory. */
static bool rebuild(struct hostmap *map)
{
	struct hostmap_slots *old = rcu_read(&map->slots), *s;
	size_t slots = MIN_SLOTS, i;
	void *entry;

	while (slots < 2 * (map->live + 1))
		slots *= 2;
	s = calloc(1, sizeof(*s) + slots * sizeof(s->slot[0]));
	if (!s)
		return false;
	s->mask = slots - 1;
	for (i = 0; old && i <= old->mask; i++) {
		entry = rcu_read(&old->slot[i].entry);
		if (entry && entry != REMOVED)
			put(s, old->slot[i].hash, entry);
	}
	map->used = map->live;
	rcu_publish(&map->slots, s);
	if (old)
		call_rcu(&old->rcu, slots_free);
	return true;
}

void hostmap_insert(struct hostmap *map, uint64_t hash, void *entry)
{
	struct hostmap_slots *s = rcu_read(&map->slots);

	if (!s || map->used + 1 > (s->mask + 1) / 4 * 3) {
		if (!rebuild(map))
			return; /* left out; the trie has it */
		s = rcu_read(&map->slots);
	}
	put(s, hash, entry);
	map->used++;
	map->live++;
}

void hostmap_remove(struct hostmap *map, uint64_t hash, const void *entry)
{
	struct hostmap_slots *s = rcu_read(&map->slots);
	void *there;
	size_t i;

	if (!s)
		return;
	for (i = hash & s->mask; (there = rcu_read(&s->slot[i].entry)); i = (i + 1) & s->mask) {
		if (there != entry)
			continue;
		rcu_publish(&s->slot[i].entry, REMOVED);
		map->live--;
		return;
	}
}
