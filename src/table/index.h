/* SPDX-License-Identifier: MIT */
/*
 * Receiver index → handshake or key pair (WireGuard paper §5.4.2: "a 32-bit
 * index that locally represents the other peer"). The first look-up of every
 * data packet.
 *
 * A lock-free hash table (liburcu's cds_lfht). All functions but new and free
 * are for any thread that is registered with RCU and inside a turn. An entry
 * is embedded in its owner, who frees itself a grace period after
 * removing it.
 */
#ifndef BERTH_TABLE_INDEX_H
#define BERTH_TABLE_INDEX_H

#include "../base.h"
#include "../base/rcu.h"

#include <urcu/rculfhash.h>

struct index_table;

struct index_entry {
	struct cds_lfht_node node;
	uint32_t index; /* as in the header, host order; set by the table, then constant */
};

/* NULL: no memory. About 2 KiB when empty; grows and shrinks by itself. */
must_check struct index_table *index_table_new(void);

/*
 * Outside any RCU turn, once no thread uses the table. Entries that are still
 * in it are taken out, not freed. NULL is ignored.
 */
void index_table_free(struct index_table *table);

/*
 * Gives the entry a random index that nobody in this table has, and publishes
 * it: from here on look-ups on other threads may return it. Every 32-bit number
 * is an index, 0 too; "no index" needs a flag of its own. Its lowest byte, which
 * comes first in a message, is home modulo n (1 to 256, above home): so the kernel can
 * tell whose a message is (udp_open.c).
 */
void index_insert(struct index_table *table, struct index_entry *entry, unsigned home,
		  unsigned n);

/*
 * Puts new_entry in the place of old_entry, under the same number, in one
 * step: every look-up finds one of the two. 0, or -ENOENT when old_entry has
 * been removed or replaced meanwhile; new_entry is then not in the table.
 */
must_check int index_replace(struct index_table *table, struct index_entry *old_entry,
			     struct index_entry *new_entry);

/* True when this call removed it: of several callers exactly one, who frees it. */
bool index_remove(struct index_table *table, struct index_entry *entry);

/* NULL: nobody. Valid until the end of the turn. */
struct index_entry *index_lookup(struct index_table *table, uint32_t index);

#endif
