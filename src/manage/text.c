/* SPDX-License-Identifier: MIT */
/* Text that grows, and is wiped. */
#include "text.h"

#include <sodium.h>
#include <stdlib.h>

enum { TEXT_ROOM_MIN = 512 };

static char *grow(struct text *text, size_t need)
{
	size_t room = max(text->room, (size_t)TEXT_ROOM_MIN);
	char *data;

	while (room < need)
		room *= 2;
	data = malloc(room);
	if (!data)
		return NULL;
	if (text->data) {
		memcpy(data, text->data, text->len);
		sodium_memzero(text->data, text->len);
		free(text->data);
	}
	text->data = data;
	text->room = room;
	return data;
}

char *text_reserve(struct text *text, size_t n)
{
	if (text->failed || n > SIZE_MAX / 4 - text->len ||
	    (text->len + n > text->room && !grow(text, text->len + n))) {
		text->failed = true;
		return NULL;
	}
	return text->data + text->len;
}

void text_add(struct text *text, const char *data, size_t n)
{
	char *to;

	if (!n)
		return;
	to = text_reserve(text, n);
	if (!to)
		return;
	memcpy(to, data, n);
	text->len += n;
}

void text_add_string(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

void text_add_number(struct text *text, uint64_t number)
{
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	text_add(text, digits + first, sizeof(digits) - first);
}

void text_consume(struct text *text, size_t n)
{
	size_t rest = text->len - n;

	if (!n)
		return;
	memmove(text->data, text->data + n, rest);
	sodium_memzero(text->data + rest, n);
	text->len = rest;
}

void text_free(struct text *text)
{
	if (text->data)
		sodium_memzero(text->data, text->len);
	free(text->data);
	*text = (struct text){ 0 };
}
