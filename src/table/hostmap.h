/* SPDX-License-Identifier: MIT */
/*
 * A hash of pointers, for allowedips alone: which route is the one of exactly
 * this address. Nearly all routes of a router are single addresses, and among
 * 100,000 of them a trie takes some seventeen cache misses where this takes two.
 *
 * It is a short cut and no more: what is not found here is looked for in the
 * trie. So it may leave an entry out when memory is short, and the caller
 * compares what it finds with what it looked for.
 *
 * Readers: any thread inside an RCU turn. Writer: one thread, inside one too.
 */
#ifndef BERTH_TABLE_HOSTMAP_H
#define BERTH_TABLE_HOSTMAP_H

#include <stdatomic.h>

#include "../base.h"

struct hostmap_slots;

struct hostmap {
	_Atomic(struct hostmap_slots *) slots; /* NULL until the first entry */
	size_t used;      /* slots that are not empty, removed entries included; writer */
	size_t live;      /* entries; writer */
	uint64_t seed[2]; /* constant; so that nobody can choose addresses that collide */
};

void hostmap_init(struct hostmap *map);

/* Frees at once and leaves an empty map. When no reader can be in it. */
void hostmap_free(struct hostmap *map);

/* Reader. The hash of an address of up to 128 bits. */
uint64_t hostmap_hash(const struct hostmap *map, uint64_t high, uint64_t low);

/* Reader. An entry of that hash, or NULL. Compare it: hashes may be equal. */
void *hostmap_find(const struct hostmap *map, uint64_t hash);

/* Writer. Adds an entry that is not there; not NULL. */
void hostmap_insert(struct hostmap *map, uint64_t hash, void *entry);

/* Writer. Removes it if it is there. Readers may find it until their turn ends. */
void hostmap_remove(struct hostmap *map, uint64_t hash, const void *entry);

#endif
