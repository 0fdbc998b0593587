/* SPDX-License-Identifier: MIT */
/* Lists of changes: they may hold keys, so they never move by realloc(). */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "change.h"

struct change *change_add(struct change_list *list, enum change_kind kind)
{
	struct change *change;

	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 4;
		struct change *changes = calloc(room, sizeof(*changes));

		if (!changes)
			return NULL;
		if (list->n) {
			memcpy(changes, list->changes, list->n * sizeof(*changes));
			sodium_memzero(list->changes, list->n * sizeof(*changes));
		}
		free(list->changes);
		list->changes = changes;
		list->room = room;
	}
	change = &list->changes[list->n++];
	memset(change, 0, sizeof(*change));
	change->kind = kind;
	return change;
}

/* Room is a power of two, and full exactly when the number is one. */
int change_add_allowed_ip(struct change *c, const struct prefix *p)
{
	size_t n = c->n_allowed_ips;

	if ((n & (n - 1)) == 0) {
		struct prefix *grown = reallocarray(c->allowed_ips, n ? 2 * n : 1, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		c->allowed_ips = grown;
	}
	c->allowed_ips[c->n_allowed_ips++] = *p;
	return 0;
}

void change_list_free(struct change_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->changes[i].allowed_ips);
	if (list->n)
		sodium_memzero(list->changes, list->n * sizeof(*list->changes));
	free(list->changes);
	*list = (struct change_list){ 0 };
}
