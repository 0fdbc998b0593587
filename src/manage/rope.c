/* SPDX-License-Identifier: MIT */
/* Long text in pieces. */
#include "rope.h"

#include <stdlib.h>

static struct rope_piece *add_piece(struct rope *rope)
{
	struct rope_piece *piece = malloc(sizeof(*piece));

	if (!piece) {
		rope->failed = true;
		return NULL;
	}
	piece->next = NULL;
	piece->len = 0;
	if (rope->last)
		rope->last->next = piece;
	else
		rope->first = piece;
	rope->last = piece;
	return piece;
}

void rope_add(struct rope *rope, const char *data, size_t n)
{
	while (n && !rope->failed) {
		struct rope_piece *piece = rope->last;
		size_t part;

		if (!piece || piece->len == sizeof(piece->data))
			piece = add_piece(rope);
		if (!piece)
			return;
		part = min(n, sizeof(piece->data) - piece->len);
		memcpy(piece->data + piece->len, data, part);
		piece->len += part;
		rope->len += part;
		data += part;
		n -= part;
	}
}

void rope_add_string(struct rope *rope, const char *string)
{
	rope_add(rope, string, strlen(string));
}

void rope_join(struct rope *rope, struct rope *tail)
{
	if (rope->last)
		rope->last->next = tail->first;
	else
		rope->first = tail->first;
	if (tail->last)
		rope->last = tail->last;
	rope->len += tail->len;
	rope->failed |= tail->failed;
	*tail = (struct rope){ 0 };
}

void rope_free(struct rope *rope)
{
	struct rope_piece *piece = rope->first;

	while (piece) {
		struct rope_piece *next = piece->next;

		free(piece);
		piece = next;
	}
	*rope = (struct rope){ 0 };
}

const char *rope_next(struct rope_reader *reader, size_t *n)
{
	while (reader->piece && reader->at == reader->piece->len) {
		reader->piece = reader->piece->next;
		reader->at = 0;
	}
	if (!reader->piece)
		return NULL;
	*n = reader->piece->len - reader->at;
	return reader->piece->data + reader->at;
}
