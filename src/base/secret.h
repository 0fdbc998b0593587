/* SPDX-License-Identifier: MIT */
/*
 * Memory for secrets in bulk: session keys of every tenant.
 *
 * Pages are locked (never swapped), left out of core dumps, and empty in a
 * child after fork(). libsodium's sodium_malloc() does that too, but with guard
 * pages: four pages for each object, 16 KiB where a tenant with a session has
 * 4 KiB in all, and three mappings each where Linux allows 65,530. So objects of
 * one size share slabs of 64 KiB here.
 */
#ifndef BERTH_BASE_SECRET_H
#define BERTH_BASE_SECRET_H

#include <pthread.h>
#include <urcu/list.h>

#include "../base.h"

enum {
	SECRET_SLAB = 65536,
	SECRET_ALIGN = 64,      /* of every object: whole cache lines */
	SECRET_OBJECT_MAX = 8192 /* so that a slab holds several */
};

struct secret_pool {
	pthread_mutex_t lock;          /* guards the rest */
	struct cds_list_head partial;  /* slabs with room */
	struct cds_list_head full;
	size_t object_size;            /* rounded up to SECRET_ALIGN */
	size_t slabs, objects;         /* how many there are */
	bool unlocked;                 /* some slab could not be locked, ever */
};

/* object_size: 1..SECRET_OBJECT_MAX bytes. 0 or -EINVAL. No memory is taken yet. */
must_check int secret_pool_init(struct secret_pool *pool, size_t object_size);

/*
 * Wipes and gives back everything, objects still in use too. After all threads
 * are done with them.
 */
void secret_pool_destroy(struct secret_pool *pool);

/* Any thread. Zeroed, aligned to SECRET_ALIGN. NULL: no memory. */
must_check void *secret_pool_alloc(struct secret_pool *pool);

/*
 * Any thread. Wipes at once; an emptied slab goes back to the system unless it
 * is the only one with room. NULL is ignored. A child of fork() must not use
 * the pool: its pages read as zeroes there.
 */
void secret_pool_free(struct secret_pool *pool, void *object);

/*
 * Any thread. False once a slab could not be locked (RLIMIT_MEMLOCK, or no
 * CAP_IPC_LOCK): keys may then reach swap, which is worth one warning.
 */
bool secret_pool_locked(struct secret_pool *pool);

/*
 * For the few that are large and stay: zeroed memory between guard pages, by sodium_malloc(),
 * four pages and more. sodium_free() wipes it and gives it back. Any thread. NULL: no memory.
 */
must_check void *secret_guarded_alloc(size_t size);

#endif
