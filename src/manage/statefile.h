/* SPDX-License-Identifier: MIT */
/*
 * What survives a restart, as text: a line of version, then one line per record.
 *
 *	berth-state 1
 *	key=hX8…4= name=blog stamp=400000006… endpoint=192.0.2.7:51820 rx=148,1 tx=92,1
 *		quota=1500,1764547200 drops=bad-tag:3,replayed:1 sum=0123456789abcdef
 *
 * "held=1" stands in the line of a key that must not be used until it is released.
 *
 * A record is everything known of one public key: what a later line says replaces
 * what an earlier one said, but for the timestamp, of which the greatest counts,
 * whatever the order. Without a name it is of a tenant that was revoked. Every line
 * (which is one line: it is folded here) ends in a sum over all that stands before it: a torn or damaged line is lost alone.
 * Words that are not known are left to whoever knows them, so that later versions
 * can say more in the same line.
 *
 * Pure; any thread.
 */
#ifndef BERTH_MANAGE_STATEFILE_H
#define BERTH_MANAGE_STATEFILE_H

#include "../../crypto/messages.h"
#include "../base/endpoint.h"
#include "../config/change.h"
#include "../config/fault.h"
#include "../table/counters.h"

struct statefile_record {
	uint8_t key[NOISE_KEY_LEN];             /* public */
	uint8_t timestamp[NOISE_TIMESTAMP_LEN]; /* zero: none */
	struct endpoint endpoint;               /* unset: none; its local side is not kept */
	char name[TENANT_NAME_MAX + 1];         /* "": revoked */
	bool held;                              /* whoever the key belongs to now */
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
	uint64_t quota_used; /* bytes, in the period that began at */
	int64_t quota_start; /* this second of UTC; 0: it has none, or there is no quota */
	const uint64_t *drops; /* DROP_REASON_COUNT; NULL: none. Lent, unless it is said whose */
};

/* Of a line with its newline and NUL, all reasons for drops in it; longer ones are damaged. */
enum { STATEFILE_LINE_MAX = 2048 };

/* A copy with drops of its own, to be given back by statefile_release(). 0 or -ENOMEM. */
must_check int statefile_copy(struct statefile_record *out, const struct statefile_record *record);

/* Frees the drops of a record that owns them. */
void statefile_release(struct statefile_record *record);

/* Nothing was counted from here on. Frees the drops of a record that owns them. */
void statefile_clear_counts(struct statefile_record *record);

/* Has anything been counted? */
bool statefile_has_counts(const struct statefile_record *record);

/* The first line of a file. */
extern const char statefile_version[];

/* Writes the line of a record, newline included. Returns its length. */
size_t statefile_format(char line[STATEFILE_LINE_MAX], const struct statefile_record *record);

/*
 * Reads len bytes of text and calls fn for each record that is good, in order. What
 * is not becomes a warning; file is its name for them. The records' drops are lent. 0; -EPROTO: of a version that
 * is not known, nothing was used, with a fault.
 */
must_check int statefile_read(const char *file, const char *text, size_t len,
			      struct fault_list *faults,
			      void (*fn)(void *arg, const struct statefile_record *record),
			      void *arg);

#endif
