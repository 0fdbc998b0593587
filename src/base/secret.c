/* SPDX-License-Identifier: MIT */
/*
 * Slabs of locked pages, cut into objects of one size.
 *
 * A slab is aligned to its own size, so an object finds it by masking its
 * address. Free objects are zero but for the link to the next one, which sits
 * in their first bytes: bookkeeping costs no memory of its own.
 */
#include "secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Lets the address sanitizer see a use after secret_pool_free(); otherwise nothing. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#endif

struct free_object {
	struct free_object *next;
};

struct slab {
	struct cds_list_head link; /* in pool->partial or pool->full */
	struct free_object *free;
	size_t used;
};

_Static_assert(sizeof(struct slab) <= SECRET_ALIGN, "objects begin on the second line");

static struct slab *slab_of(void *object)
{
	return (struct slab *)((uintptr_t)object & ~(uintptr_t)(SECRET_SLAB - 1));
}

/* Maps twice the size and gives back what lies around the aligned middle. */
static void *map_aligned(void)
{
	uint8_t *raw = mmap(NULL, 2 * SECRET_SLAB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (raw == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)raw & (SECRET_SLAB - 1);
	if (before)
		munmap(raw, before);
	munmap(raw + before + SECRET_SLAB, SECRET_SLAB - before);
	return raw + before;
}

static void poison(struct secret_pool *pool, struct free_object *object)
{
	ASAN_POISON_MEMORY_REGION(object + 1, pool->object_size - sizeof(*object));
}

static void unpoison(struct secret_pool *pool, struct free_object *object)
{
	ASAN_UNPOISON_MEMORY_REGION(object, pool->object_size);
}

static struct slab *slab_new(struct secret_pool *pool)
{
	struct slab *slab = map_aligned();
	struct free_object *object;
	size_t n;

	if (!slab)
		return NULL;
	/* Best effort: a router that refuses to start protects nobody's keys. */
	if (mlock(slab, SECRET_SLAB))
		pool->unlocked = true;
	madvise(slab, SECRET_SLAB, MADV_DONTDUMP);
	madvise(slab, SECRET_SLAB, MADV_WIPEONFORK);

	/* Last to first, so that they are handed out first to last. */
	for (n = (SECRET_SLAB - SECRET_ALIGN) / pool->object_size; n > 0; n--) {
		object = (void *)((uint8_t *)slab + SECRET_ALIGN + (n - 1) * pool->object_size);
		object->next = slab->free;
		slab->free = object;
		poison(pool, object);
	}
	cds_list_add(&slab->link, &pool->partial);
	pool->slabs++;
	return slab;
}

static void slab_release(struct secret_pool *pool, struct slab *slab)
{
	cds_list_del(&slab->link);
	pool->slabs--;
	ASAN_UNPOISON_MEMORY_REGION(slab, SECRET_SLAB);
	munmap(slab, SECRET_SLAB); /* unlocks too */
}

int secret_pool_init(struct secret_pool *pool, size_t object_size)
{
	if (!object_size || object_size > SECRET_OBJECT_MAX)
		return -EINVAL;
	memset(pool, 0, sizeof(*pool));
	pool->object_size = ALIGN_UP(object_size, (size_t)SECRET_ALIGN);
	CDS_INIT_LIST_HEAD(&pool->partial);
	CDS_INIT_LIST_HEAD(&pool->full);
	return -pthread_mutex_init(&pool->lock, NULL);
}

static void release_list(struct secret_pool *pool, struct cds_list_head *list)
{
	while (!cds_list_empty(list)) {
		struct slab *slab = cds_list_first_entry(list, struct slab, link);

		ASAN_UNPOISON_MEMORY_REGION(slab, SECRET_SLAB);
		sodium_memzero((uint8_t *)slab + SECRET_ALIGN, SECRET_SLAB - SECRET_ALIGN);
		slab_release(pool, slab);
	}
}

void secret_pool_destroy(struct secret_pool *pool)
{
	/*
	 * Nobody else is in here, but who was last may be liburcu's thread: the lock
	 * orders what it did before this, also where the sanitizer can see it.
	 */
	pthread_mutex_lock(&pool->lock);
	release_list(pool, &pool->partial);
	release_list(pool, &pool->full);
	pthread_mutex_unlock(&pool->lock);
	pthread_mutex_destroy(&pool->lock);
}

void *secret_pool_alloc(struct secret_pool *pool)
{
	struct free_object *object = NULL;
	struct slab *slab;

	pthread_mutex_lock(&pool->lock);
	if (cds_list_empty(&pool->partial))
		slab = slab_new(pool);
	else
		slab = cds_list_first_entry(&pool->partial, struct slab, link);
	if (slab) {
		object = slab->free;
		slab->free = object->next;
		object->next = NULL;
		unpoison(pool, object);
		slab->used++;
		pool->objects++;
		if (!slab->free)
			cds_list_move(&slab->link, &pool->full);
	}
	pthread_mutex_unlock(&pool->lock);
	return object;
}

void secret_pool_free(struct secret_pool *pool, void *object)
{
	struct free_object *freed = object;
	struct slab *slab;

	if (!object)
		return;
	sodium_memzero(object, pool->object_size);
	slab = slab_of(object);

	pthread_mutex_lock(&pool->lock);
	if (!slab->free)
		cds_list_move(&slab->link, &pool->partial);
	freed->next = slab->free;
	slab->free = freed;
	poison(pool, freed);
	slab->used--;
	pool->objects--;
	/* Keep the only one with room: the next session may come in a moment. */
	if (!slab->used && slab->link.next != slab->link.prev)
		slab_release(pool, slab);
	pthread_mutex_unlock(&pool->lock);
}

bool secret_pool_locked(struct secret_pool *pool)
{
	bool locked;

	pthread_mutex_lock(&pool->lock);
	locked = !pool->unlocked;
	pthread_mutex_unlock(&pool->lock);
	return locked;
}

void *secret_guarded_alloc(size_t size)
{
	void *memory;

	/* Safe to repeat; without it sodium_malloc() aborts. */
	if (sodium_init() < 0)
		return NULL;
	memory = sodium_malloc(size);
	if (memory)
		memset(memory, 0, size);
	return memory;
}
