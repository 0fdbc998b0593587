/* SPDX-License-Identifier: MIT */
/* How many objects of a pool of secrets are in use. */
#ifndef BERTH_TESTS_SECRET_COUNT_H
#define BERTH_TESTS_SECRET_COUNT_H

#include "../src/base/secret.h"

static inline size_t count_objects(struct secret_pool *pool)
{
	size_t n;

	pthread_mutex_lock(&pool->lock);
	n = pool->objects;
	pthread_mutex_unlock(&pool->lock);
	return n;
}

#endif
