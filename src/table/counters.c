/* SPDX-License-Identifier: MIT */
/* The names of the reasons for which packets die. */
#include "counters.h"

static const char *const names[] = {
#define DROP_NAME(id, name, text) name,
	DROP_REASONS(DROP_NAME)
#undef DROP_NAME
};

static const char *const texts[] = {
#define DROP_TEXT(id, name, text) text,
	DROP_REASONS(DROP_TEXT)
#undef DROP_TEXT
};

const char *drop_name(enum drop_reason reason)
{
	return names[reason];
}

enum drop_reason drop_find(const char *name, size_t len)
{
	unsigned i = 0;

	while (i < DROP_REASON_COUNT && (strlen(names[i]) != len || memcmp(names[i], name, len)))
		i++;
	return (enum drop_reason)i;
}

const char *drop_text(enum drop_reason reason)
{
	return texts[reason];
}
