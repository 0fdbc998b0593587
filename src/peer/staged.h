/* SPDX-License-Identifier: MIT */
/*
 * Packets that wait: for a key (peer.h) or for their rate (limit.h). Each is a copy, and
 * lists of them belong to whoever holds them. Any thread.
 */
#ifndef BERTH_PEER_STAGED_H
#define BERTH_PEER_STAGED_H

#include "../base.h"

struct staged {
	struct staged *next;
	uint64_t since; /* monotonic ns; of those that wait for their rate */
	size_t len;
	uint8_t data[]; /* the inner packet */
};

/* A copy of len bytes. NULL: no memory. */
struct staged *staged_new(const uint8_t *data, size_t len);

/* Frees a whole list; NULL is an empty one. */
void staged_free(struct staged *list);

#endif
