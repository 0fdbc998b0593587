/* SPDX-License-Identifier: MIT */
/*
 * Crypto-key routing: which peer owns an address (WireGuard paper §2).
 * Longest prefix wins. Outbound it says to whom a packet goes, inbound
 * whether its source is one that the sender may use.
 *
 * Two path-compressed binary tries, and a hash of the single addresses in
 * them as a short cut. A branch of the trie knows only the bit it decides;
 * addresses stand in the routes alone, and each candidate is compared in full
 * before it is returned. A single address costs a route of 48 bytes (IPv4:
 * 40), a branch of 48, and 21 to 64 in the hash.
 *
 * Readers: any thread inside an RCU turn, without locks. A look-up that
 * overlaps changes may miss what they add or remove; it never returns a value
 * whose prefix does not cover the address. Writer: one thread at a time
 * (control), registered and inside an RCU turn as well, because call_rcu()
 * demands it. Values are never dereferenced and must not be NULL; whoever
 * removes one frees it after a grace period.
 */
#ifndef BERTH_TABLE_ALLOWEDIPS_H
#define BERTH_TABLE_ALLOWEDIPS_H

#include <stdatomic.h>

#include "../base/prefix.h"
#include "hostmap.h"

struct allowedips_node;

struct allowedips { /* written by the writer only */
	_Atomic(struct allowedips_node *) root4, root6;
	struct hostmap hosts4, hosts6; /* the routes of /32 and /128 */
};

/* No allocation. After sodium_init(). */
void allowedips_init(struct allowedips *table);

/*
 * Frees all nodes at once and leaves an empty table. Only when no reader can
 * be in it: after the threads have stopped, or a grace period after it was
 * unpublished.
 */
void allowedips_free(struct allowedips *table);

/* Reader. addr: 4 or 16 bytes, network order. The owner, or NULL. */
void *allowedips_lookup4(const struct allowedips *table, const uint8_t addr[4]);
void *allowedips_lookup6(const struct allowedips *table, const uint8_t addr[16]);

/*
 * Writer. Gives the prefix to value, as `wg` does even when another has it.
 * *previous (previous may be NULL) becomes the owner until now, or NULL. 0, or
 * -ENOMEM, which changes nothing.
 */
must_check int allowedips_insert(struct allowedips *table, const struct prefix *prefix,
				 void *value, void **previous);

/* Writer. Removes exactly this prefix if value owns it. 0, or -ENOENT. */
int allowedips_remove(struct allowedips *table, const struct prefix *prefix, const void *value);

/* Reader or writer. The owner of exactly this prefix, or NULL. */
void *allowedips_find_exact(const struct allowedips *table, const struct prefix *prefix);

/*
 * Reader or writer. The owner, other than `but` (NULL: whoever), of some prefix that
 * contains this one, equals it or lies within it, or NULL when there is none. Looks at
 * all of but's own that lie within it.
 */
void *allowedips_overlap(const struct allowedips *table, const struct prefix *prefix,
			 const void *but);

/* Reader or writer. Is there no prefix at all? */
bool allowedips_empty(const struct allowedips *table);

#endif
