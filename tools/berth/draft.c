/* SPDX-License-Identifier: MIT */
/* The text of a file while it is being written. */
#include "draft.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

void draft_init(struct draft *draft)
{
	*draft = (struct draft){ .text = sodium_malloc(DRAFT_MAX) };
	if (draft->text)
		draft->text[0] = '\0';
}

void draft_add(struct draft *draft, const char *fmt, ...)
{
	size_t room = DRAFT_MAX - draft->len;
	va_list args;
	int n;

	if (draft_failed(draft))
		return;
	va_start(args, fmt);
	n = vsnprintf(draft->text + draft->len, room, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		draft->failed = true;
	else
		draft->len += (size_t)n;
}

void draft_add_key(struct draft *draft, const char *name, const uint8_t key[KEY_LEN])
{
	char text[KEY_BASE64_STRLEN];

	draft_add(draft, "%s = %s\n", name, key_to_base64(key, text));
	sodium_memzero(text, sizeof(text));
}

void draft_free(struct draft *draft)
{
	sodium_free(draft->text);
	*draft = (struct draft){ 0 };
}
