/* SPDX-License-Identifier: MIT */
/*
 * Receiver indices over cds_lfht. The number itself is the hash: the table
 * drew it at random, so whatever a stranger sends, the chains stay short.
 */
#include "index.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

/*
 * 16 bytes each, at first and at least. Without an upper bound liburcu takes
 * buckets as it needs them; with one it reserves address space for all of them.
 * Accounting makes it grow by number of entries once there are some thousands;
 * by the longest chain alone, as it does before, it would never stop.
 */
enum { MIN_BUCKETS = 16 };

struct index_table {
	struct cds_lfht *hash;
};

/*
 * liburcu is not instrumented: what its publication orders is stated for the
 * thread sanitizer by a release before each insertion and the acquire here,
 * where every entry that is looked at passes.
 */
static int match(struct cds_lfht_node *node, const void *index)
{
	struct index_entry *entry = container_of(node, struct index_entry, node);

	rcu_tsan_acquire(entry);
	return entry->index == *(const uint32_t *)index;
}

struct index_table *index_table_new(void)
{
	struct index_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->hash = cds_lfht_new(MIN_BUCKETS, MIN_BUCKETS, 0,
				   CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
	if (!table->hash) {
		free(table);
		return NULL;
	}
	return table;
}

void index_table_free(struct index_table *table)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	if (!table)
		return;
	rcu_turn_begin();
	cds_lfht_for_each(table->hash, &iter, node)
		cds_lfht_del(table->hash, node);
	rcu_turn_end();
	/* It was emptied, so this cannot fail; liburcu's thread does the freeing. */
	if (cds_lfht_destroy(table->hash, NULL))
		abort();
	free(table);
}

static uint32_t draw(unsigned home, unsigned n)
{
	uint32_t index = randombytes_random();
	uint32_t low = index & UINT8_MAX;

	low += home - low % n;
	return (index & ~(uint32_t)UINT8_MAX) | (low > UINT8_MAX ? low - n : low);
}

void index_insert(struct index_table *table, struct index_entry *entry, unsigned home,
		  unsigned n)
{
	struct cds_lfht_node *there;

	cds_lfht_node_init(&entry->node);
	/* With a million entries one draw in 4,000 is taken; two in a row hardly ever. */
	do {
		entry->index = draw(home, n);
		rcu_tsan_release(entry);
		there = cds_lfht_add_unique(table->hash, entry->index, match, &entry->index,
					    &entry->node);
	} while (there != &entry->node);
}

int index_replace(struct index_table *table, struct index_entry *old_entry,
		  struct index_entry *new_entry)
{
	uint32_t index = old_entry->index;
	struct cds_lfht_iter iter;

	cds_lfht_lookup(table->hash, index, match, &index, &iter);
	if (cds_lfht_iter_get_node(&iter) != &old_entry->node)
		return -ENOENT;
	cds_lfht_node_init(&new_entry->node);
	new_entry->index = index;
	rcu_tsan_release(new_entry);
	/* Fails when old_entry was removed since the look-up. */
	return cds_lfht_replace(table->hash, &iter, index, match, &index, &new_entry->node);
}

bool index_remove(struct index_table *table, struct index_entry *entry)
{
	return !cds_lfht_del(table->hash, &entry->node);
}

struct index_entry *index_lookup(struct index_table *table, uint32_t index)
{
	struct cds_lfht_node *node;
	struct cds_lfht_iter iter;

	cds_lfht_lookup(table->hash, index, match, &index, &iter);
	node = cds_lfht_iter_get_node(&iter);
	return node ? container_of(node, struct index_entry, node) : NULL;
}
