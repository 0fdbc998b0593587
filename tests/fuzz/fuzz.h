/* SPDX-License-Identifier: MIT */
/*
 * What the harnesses share. `make fuzz` builds and runs them (tests/run-fuzz); a harness links all
 * of berth, what it fakes itself taking the place of the real thing.
 */
#ifndef BERTH_TESTS_FUZZ_H
#define BERTH_TESTS_FUZZ_H

#include <stdlib.h>

#include "../../src/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that every input has; libFuzzer keeps the input that has not. */
static inline void must(bool what)
{
	if (!what)
		abort();
}

/* What is left of an input; takes give zeros where nothing is left. */
struct input {
	const uint8_t *data;
	size_t size;
};

static inline uint8_t take_u8(struct input *in)
{
	if (!in->size)
		return 0;
	in->size--;
	return *in->data++;
}

static inline uint16_t take_be16(struct input *in)
{
	uint16_t high = take_u8(in);

	return (uint16_t)(high << 8 | take_u8(in));
}

static inline void take_bytes(struct input *in, void *out, size_t len)
{
	size_t n = min(len, in->size);

	memset(out, 0, len);
	if (n)
		memcpy(out, in->data, n);
	in->data += n;
	in->size -= n;
}

/*
 * A copy of at most len bytes of the input, *got of them, in memory of exactly that size, so that
 * a sanitizer sees each byte beyond; free() it.
 */
static inline uint8_t *take_copy(struct input *in, size_t len, size_t *got)
{
	uint8_t *copy;

	*got = min(len, in->size);
	copy = malloc(*got ? *got : 1);
	must(copy);
	take_bytes(in, copy, *got);
	return copy;
}

/* The same up to the first byte last, which is taken, too, and with a NUL in its place. */
static inline char *take_text(struct input *in, char last, size_t *len)
{
	const uint8_t *end = in->size ? memchr(in->data, last, in->size) : NULL;
	char *text;

	*len = end ? (size_t)(end - in->data) : in->size;
	text = malloc(*len + 1);
	must(text);
	take_bytes(in, text, *len);
	text[*len] = '\0';
	if (end)
		(void)take_u8(in);
	return text;
}

#endif
