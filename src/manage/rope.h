/* SPDX-License-Identifier: MIT */
/*
 * Long text in pieces: adding never copies what is there, and two of them become one
 * in no time. For megabytes that the control thread must not stop for; nothing secret.
 *
 * Errors stick: add all there is to add, and look at failed once. One thread.
 */
#ifndef BERTH_MANAGE_ROPE_H
#define BERTH_MANAGE_ROPE_H

#include "../base.h"

enum { ROPE_PIECE = 64 << 10 };

struct rope_piece {
	struct rope_piece *next;
	size_t len;
	char data[ROPE_PIECE - sizeof(void *) - sizeof(size_t)];
};

/* Zero-initialised is an empty one. */
struct rope {
	struct rope_piece *first, *last;
	size_t len;
	bool failed; /* no memory: something is missing */
};

void rope_add(struct rope *rope, const char *data, size_t n);

/* A string without its NUL. */
void rope_add_string(struct rope *rope, const char *string);

/* Moves all of tail behind rope; tail is empty then. */
void rope_join(struct rope *rope, struct rope *tail);

/* The rope is empty and usable again. */
void rope_free(struct rope *rope);

/* Where somebody reads who reads it from the start to the end. */
struct rope_reader {
	const struct rope_piece *piece;
	size_t at; /* in piece */
};

static inline struct rope_reader rope_read_from_start(const struct rope *rope)
{
	return (struct rope_reader){ .piece = rope->first };
}

/* What comes next, up to the end of its piece: *n bytes at what is returned. NULL: the end. */
const char *rope_next(struct rope_reader *reader, size_t *n);

/* n of them, at most those, are done with. */
static inline void rope_skip(struct rope_reader *reader, size_t n)
{
	reader->at += n;
}

#endif
