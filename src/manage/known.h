/* SPDX-License-Identifier: MIT */
/*
 * What is known of public keys that no peer has: those of tenants that were there
 * before the restart and have not been read yet, and those of revoked ones.
 *
 * Of an expired tenant what was counted is kept, for as long as it has a file.
 *
 * Of a revoked tenant only the greatest timestamp is left, lest an initiation that
 * somebody has recorded be good once more when the same key is added again; and that its
 * key is held, if it is. It costs a line; of the last KNOWN_REVOKED_MAX of them.
 */
#ifndef BERTH_MANAGE_KNOWN_H
#define BERTH_MANAGE_KNOWN_H

#include <urcu/list.h>

#include "statefile.h"

enum { KNOWN_REVOKED_MAX = 10000 };

struct known {
	void *tree; /* of tsearch(), by key */
	size_t n;
	struct cds_list_head named, suspended, revoked; /* the oldest first */
	size_t n_revoked;
};

void known_init(struct known *k);
void known_free(struct known *k);

/*
 * Takes in a record, in place of what was known of its key; the greater timestamp
 * counts. One that says nothing is not kept. 0 or -ENOMEM.
 */
must_check int known_put(struct known *k, const struct statefile_record *record);

/*
 * Takes out what is known of the key, its drops included, which are the caller's now.
 * False: nothing, and *out is all zero but for the key.
 */
must_check bool known_take(struct known *k, const uint8_t key[NOISE_KEY_LEN],
			   struct statefile_record *out);

/* Its tenant has expired: known_settle() leaves what is known of the key. */
void known_suspend(struct known *k, const uint8_t key[NOISE_KEY_LEN]);

/* Its tenant is gone. True: *out is what is left, and something was more before. */
must_check bool known_revoke(struct known *k, const uint8_t key[NOISE_KEY_LEN],
			     struct statefile_record *out);

/*
 * Who has not come by now will not: those with names are taken for revoked, unless may_come
 * says that one of that name still may. True: some were revoked.
 */
bool known_settle(struct known *k, bool (*may_come)(void *arg, const char *name), void *arg);

/* All of them; those first that are to be forgotten first. */
void known_each(const struct known *k,
		void (*fn)(void *arg, const struct statefile_record *record), void *arg);

#endif
