/* SPDX-License-Identifier: MIT */
/*
 * Prefixes that wait for their turn, first come first served. All zero is an empty
 * one. Its memory is given back when the last has had its turn. One thread.
 */
#ifndef BERTH_MANAGE_WAITING_H
#define BERTH_MANAGE_WAITING_H

#include "../base/prefix.h"

struct waiting {
	struct prefix *list;
	size_t n, room, next;
};

/* False: no memory. */
bool waiting_add(struct waiting *w, const struct prefix *p);

/* Whose turn it is, until the next call for w. NULL: nobody waits. */
const struct prefix *waiting_first(const struct waiting *w);

/* The first has had his turn. */
void waiting_advance(struct waiting *w);

void waiting_clear(struct waiting *w);

static inline size_t waiting_count(const struct waiting *w)
{
	return w->n - w->next;
}

#endif
