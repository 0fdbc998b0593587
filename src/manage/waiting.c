/* SPDX-License-Identifier: MIT */
/* A queue of prefixes. */
#include "waiting.h"

#include <stdlib.h>

/* More than half of it is past: the rest moves to the front, at most once per so many. */
static void compact(struct waiting *w)
{
	if (w->next <= w->n / 2)
		return;
	w->n -= w->next;
	memmove(w->list, &w->list[w->next], w->n * sizeof(*w->list));
	w->next = 0;
}

bool waiting_add(struct waiting *w, const struct prefix *p)
{
	if (w->n == w->room)
		compact(w);
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 16;
		struct prefix *grown = realloc(w->list, room * sizeof(*grown));

		if (!grown)
			return false;
		w->list = grown;
		w->room = room;
	}
	w->list[w->n++] = *p;
	return true;
}

const struct prefix *waiting_first(const struct waiting *w)
{
	return w->next < w->n ? &w->list[w->next] : NULL;
}

void waiting_advance(struct waiting *w)
{
	if (++w->next == w->n)
		waiting_clear(w);
}

void waiting_clear(struct waiting *w)
{
	free(w->list);
	*w = (struct waiting){ 0 };
}
