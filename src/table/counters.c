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

const char *drop_text(enum drop_reason reason)
{
	return texts[reason];
}
