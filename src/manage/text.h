/* SPDX-License-Identifier: MIT */
/*
 * Text that grows: the answers to a request. It may hold private keys, so it
 * never moves by realloc(), and is wiped before its memory is given back.
 *
 * Errors stick: add all there is to add, and look at failed once. Control
 * thread, or any one thread.
 */
#ifndef BERTH_MANAGE_TEXT_H
#define BERTH_MANAGE_TEXT_H

#include "../base.h"

/* Zero-initialised is an empty text. */
struct text {
	char *data; /* len bytes, no NUL behind them */
	size_t len, room;
	bool failed; /* no memory: something is missing */
};

/*
 * Makes room for n bytes more and returns where they go, for the caller to
 * write and to add to len; NULL: no memory. Room doubles.
 */
char *text_reserve(struct text *text, size_t n);

void text_add(struct text *text, const char *data, size_t n);

/* A string without its NUL. */
void text_add_string(struct text *text, const char *string);

/* Decimal digits; many times faster than printf. */
void text_add_number(struct text *text, uint64_t number);

/* Removes the first n bytes (at most len) and wipes where they were. */
void text_consume(struct text *text, size_t n);

/* Wipes and frees; the text is empty and usable again. */
void text_free(struct text *text);

#endif
