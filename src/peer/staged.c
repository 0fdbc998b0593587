/* SPDX-License-Identifier: MIT */
/* Packets that wait. */
#include "staged.h"

#include <stdlib.h>

struct staged *staged_new(const uint8_t *data, size_t len)
{
	struct staged *s = malloc(sizeof(*s) + len);

	if (s) {
		s->next = NULL;
		s->len = len;
		memcpy(s->data, data, len);
	}
	return s;
}

void staged_free(struct staged *list)
{
	while (list) {
		struct staged *next = list->next;

		free(list);
		list = next;
	}
}
