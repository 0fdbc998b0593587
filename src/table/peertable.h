/* SPDX-License-Identifier: MIT */
/*
 * Public key → peer. Hashed with SipHash under a random key, so that nobody
 * can choose public keys that fall into one bucket.
 *
 * A lock-free hash table (liburcu's cds_lfht). All functions but new and free
 * are for threads that are registered with RCU and inside a turn. An entry is
 * embedded in its owner, who frees itself a grace period after removing it.
 */
#ifndef BERTH_TABLE_PEERTABLE_H
#define BERTH_TABLE_PEERTABLE_H

#include "../base.h"
#include "../base/rcu.h"

#include <urcu/rculfhash.h>

enum { PEERTABLE_KEY_LEN = 32 };

struct peertable;

struct peertable_entry {
	struct cds_lfht_node node;
	const uint8_t *key; /* 32 bytes that live and stay constant as long as the entry */
};

struct peertable_iter {
	struct cds_lfht_iter iter;
};

/* NULL: no memory. About 2 KiB when empty; grows and shrinks by itself. */
must_check struct peertable *peertable_new(void);

/*
 * Outside any RCU turn, once no thread uses the table. Entries that are still
 * in it are taken out, not freed. NULL is ignored.
 */
void peertable_free(struct peertable *table);

/* Any thread. entry->key is set by the caller. 0, or -EEXIST: that key is there. */
must_check int peertable_insert(struct peertable *table, struct peertable_entry *entry);

/* Any thread. True when this call removed it: of several callers exactly one. */
bool peertable_remove(struct peertable *table, struct peertable_entry *entry);

/* Any thread. key: 32 bytes. NULL: nobody. Valid until the end of the turn. */
struct peertable_entry *peertable_lookup(struct peertable *table, const uint8_t *key);

/* Any thread, also outside a turn. Exact when nothing is being changed. */
size_t peertable_count(const struct peertable *table);

/*
 * Control thread: all entries in no order, NULL at the end. Within one turn.
 * The current entry may be removed; one that is added meanwhile may be missed.
 */
struct peertable_entry *peertable_first(struct peertable *table, struct peertable_iter *it);
struct peertable_entry *peertable_next(struct peertable *table, struct peertable_iter *it);

/* Where a walk in several turns stands. Zero-initialised: before the first entry. */
struct peertable_cursor {
	bool begun;
	unsigned long place;
	uint8_t key[PEERTABLE_KEY_LEN];
};

/* The walk pauses behind this entry. In the turn in which it was found. */
void peertable_pause(const struct peertable_entry *entry, struct peertable_cursor *cursor);

/*
 * The next entry of a walk that begins or has paused, for peertable_next() to go on
 * from; NULL: the end. An entry that is there all the time is met exactly once. It costs
 * a look-up, or a walk through all if the entry where it paused is gone.
 */
struct peertable_entry *peertable_resume(struct peertable *table,
					 const struct peertable_cursor *cursor,
					 struct peertable_iter *it);

#define peertable_for_each(table, it, entry)                     \
	for (entry = peertable_first(table, it); entry != NULL; \
	     entry = peertable_next(table, it))

#endif
