/* SPDX-License-Identifier: MIT */
/*
 * Public keys over cds_lfht. A public key is chosen by whoever makes it, its
 * place in the table is not: SipHash-2-4 under a key of this process.
 */
#include "peertable.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

/* As in index.c. */
enum { MIN_BUCKETS = 16 };

struct peertable {
	struct cds_lfht *hash;
	atomic_size_t count;
	uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* constant */
};

_Static_assert(crypto_shorthash_BYTES == sizeof(unsigned long), "a hash fills cds_lfht's");

static unsigned long hash_of(const struct peertable *table, const uint8_t *key)
{
	unsigned long hash;

	crypto_shorthash((uint8_t *)&hash, key, PEERTABLE_KEY_LEN, table->hash_key);
	return hash;
}

/* The acquire belongs to the release in peertable_insert(); see index.c. */
static int match(struct cds_lfht_node *node, const void *key)
{
	struct peertable_entry *entry = container_of(node, struct peertable_entry, node);

	rcu_tsan_acquire(entry);
	return !memcmp(entry->key, key, PEERTABLE_KEY_LEN);
}

static struct peertable_entry *entry_at(struct cds_lfht_iter *iter)
{
	struct cds_lfht_node *node = cds_lfht_iter_get_node(iter);

	if (!node)
		return NULL;
	rcu_tsan_acquire(container_of(node, struct peertable_entry, node));
	return container_of(node, struct peertable_entry, node);
}

struct peertable *peertable_new(void)
{
	struct peertable *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->hash = cds_lfht_new(MIN_BUCKETS, MIN_BUCKETS, 0,
				   CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
	if (!table->hash) {
		free(table);
		return NULL;
	}
	randombytes_buf(table->hash_key, sizeof(table->hash_key));
	return table;
}

void peertable_free(struct peertable *table)
{
	struct peertable_entry *entry;
	struct peertable_iter it;

	if (!table)
		return;
	rcu_turn_begin();
	peertable_for_each(table, &it, entry)
		peertable_remove(table, entry);
	rcu_turn_end();
	/* It was emptied, so this cannot fail; liburcu's thread does the freeing. */
	if (cds_lfht_destroy(table->hash, NULL))
		abort();
	sodium_memzero(table->hash_key, sizeof(table->hash_key));
	free(table);
}

int peertable_insert(struct peertable *table, struct peertable_entry *entry)
{
	struct cds_lfht_node *there;

	cds_lfht_node_init(&entry->node);
	rcu_tsan_release(entry);
	there = cds_lfht_add_unique(table->hash, hash_of(table, entry->key), match, entry->key,
				    &entry->node);
	if (there != &entry->node)
		return -EEXIST;
	atomic_fetch_add_explicit(&table->count, 1, memory_order_relaxed);
	return 0;
}

bool peertable_remove(struct peertable *table, struct peertable_entry *entry)
{
	if (cds_lfht_del(table->hash, &entry->node))
		return false;
	atomic_fetch_sub_explicit(&table->count, 1, memory_order_relaxed);
	return true;
}

struct peertable_entry *peertable_lookup(struct peertable *table, const uint8_t *key)
{
	struct cds_lfht_iter iter;

	cds_lfht_lookup(table->hash, hash_of(table, key), match, key, &iter);
	return entry_at(&iter);
}

size_t peertable_count(const struct peertable *table)
{
	return atomic_load_explicit(&table->count, memory_order_relaxed);
}

struct peertable_entry *peertable_first(struct peertable *table, struct peertable_iter *it)
{
	cds_lfht_first(table->hash, &it->iter);
	return entry_at(&it->iter);
}

struct peertable_entry *peertable_next(struct peertable *table, struct peertable_iter *it)
{
	cds_lfht_next(table->hash, &it->iter);
	return entry_at(&it->iter);
}

void peertable_pause(const struct peertable_entry *entry, struct peertable_cursor *cursor)
{
	cursor->begun = true;
	cursor->place = entry->node.reverse_hash;
	memcpy(cursor->key, entry->key, PEERTABLE_KEY_LEN);
}

/* The list is sorted by the reversed hash, however many buckets point into it. */
static struct peertable_entry *first_behind(struct peertable *table, unsigned long place,
					    struct peertable_iter *it)
{
	struct peertable_entry *entry = peertable_first(table, it);

	while (entry && entry->node.reverse_hash <= place)
		entry = peertable_next(table, it);
	return entry;
}

struct peertable_entry *peertable_resume(struct peertable *table,
					 const struct peertable_cursor *cursor,
					 struct peertable_iter *it)
{
	if (!cursor->begun)
		return peertable_first(table, it);
	cds_lfht_lookup(table->hash, hash_of(table, cursor->key), match, cursor->key, &it->iter);
	if (cds_lfht_iter_get_node(&it->iter))
		return peertable_next(table, it);
	return first_behind(table, cursor->place, it);
}
