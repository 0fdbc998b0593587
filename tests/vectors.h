/* SPDX-License-Identifier: MIT */
/*
 * Published test vectors: found, opened, decoded.
 * They lie in the folder named by $VECTORS and are no part of the repository. A
 * test whose file is not there says so in one line and passes; a file that is
 * there but cannot be read as expected fails the test.
 */
#ifndef BERTH_TESTS_VECTORS_H
#define BERTH_TESTS_VECTORS_H

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Opens "wireguard/kdf.json"; NULL (and a line on stderr) when it is not there. */
static inline FILE *vectors_open(const char *name)
{
	const char *folder = getenv("VECTORS");
	char path[4096];
	FILE *file;
	int n;

	if (!folder || !*folder)
		folder = "../shared/vectors";
	n = snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		ck_abort_msg("VECTORS: path too long");
	file = fopen(path, "r");
	if (!file) {
		if (errno != ENOENT && errno != ENOTDIR)
			ck_abort_msg("%s: %s", path, strerror(errno));
		fprintf(stderr, "%s: not there, its vectors are skipped\n", path);
	}
	return file;
}

/* The same for a JSON file; the caller drops the reference with json_decref(). */
static inline json_t *vectors_load(const char *name)
{
	FILE *file = vectors_open(name);
	json_error_t error;
	json_t *root;

	if (!file)
		return NULL;
	root = json_loadf(file, 0, &error);
	fclose(file);
	if (!root)
		ck_abort_msg("%s:%d: %s", name, error.line, error.text);
	return root;
}

/* A member that must be there. */
static inline json_t *vectors_get(const json_t *object, const char *member)
{
	json_t *value = json_object_get(object, member);

	if (!value)
		ck_abort_msg("vector without \"%s\"", member);
	return value;
}

static inline const char *vectors_text(const json_t *object, const char *member)
{
	const char *text = json_string_value(vectors_get(object, member));

	if (!text)
		ck_abort_msg("\"%s\" is no string", member);
	return text;
}

static inline json_int_t vectors_integer(const json_t *object, const char *member)
{
	json_t *value = vectors_get(object, member);

	if (!json_is_integer(value))
		ck_abort_msg("\"%s\" is no integer", member);
	return json_integer_value(value);
}

static inline int vectors_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes hexadecimal text into at most size bytes; returns how many they were. */
static inline size_t vectors_hex(const char *text, uint8_t *out, size_t size)
{
	size_t digits = strlen(text);
	size_t i;

	if (digits % 2 || digits / 2 > size)
		ck_abort_msg("%zu hexadecimal digits do not fit %zu bytes", digits, size);
	for (i = 0; i < digits / 2; i++) {
		int high = vectors_nibble(text[2 * i]);
		int low = vectors_nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			ck_abort_msg("not hexadecimal: %s", text);
		out[i] = (uint8_t)(high << 4 | low);
	}
	return digits / 2;
}

/* Decodes a hexadecimal member of any length up to size. */
static inline size_t vectors_bytes(const json_t *object, const char *member, uint8_t *out,
				   size_t size)
{
	return vectors_hex(vectors_text(object, member), out, size);
}

/* Decodes a hexadecimal member that has exactly len bytes: keys, hashes, tags. */
static inline void vectors_exact(const json_t *object, const char *member, uint8_t *out,
				 size_t len)
{
	size_t got = vectors_bytes(object, member, out, len);

	if (got != len)
		ck_abort_msg("\"%s\" has %zu bytes, not %zu", member, got, len);
}

#endif
