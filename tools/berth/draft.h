/* SPDX-License-Identifier: MIT */
/*
 * The text of a file while it is being written. It may hold keys: it never moves, and is
 * locked in memory and wiped.
 */
#ifndef BERTH_TOOLS_DRAFT_H
#define BERTH_TOOLS_DRAFT_H

#include "../../src/base/encoding.h"

/* Enough for the file of a tenant with some fifty addresses. */
enum { DRAFT_MAX = 8192 };

struct draft {
	char *text; /* len bytes and a NUL; NULL: no memory */
	size_t len;
	bool failed; /* something did not fit */
};

/* An empty one; draft_failed() says whether there was memory. */
void draft_init(struct draft *draft);

void draft_add(struct draft *draft, const char *fmt, ...) printf_like(2, 3);

/* "NAME = KEY" and the end of the line. */
void draft_add_key(struct draft *draft, const char *name, const uint8_t key[KEY_LEN]);

/* Is it not what it should be? */
static inline bool draft_failed(const struct draft *draft)
{
	return !draft->text || draft->failed;
}

/* Wipes and frees. */
void draft_free(struct draft *draft);

#endif
