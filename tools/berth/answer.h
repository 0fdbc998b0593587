/* SPDX-License-Identifier: MIT */
/* The fields of an answer, and the lines for people that list and status have in common. */
#ifndef BERTH_TOOLS_ANSWER_H
#define BERTH_TOOLS_ANSWER_H

#include <jansson.h>

#include "../../src/base.h"

/* A field; "" or 0 when it is null, of another type, or not there. */
const char *answer_text(const json_t *object, const char *name);
uint64_t answer_number(const json_t *object, const char *name);

enum { ANSWER_SHOWN_MAX = 256 };

/* The same text with what could drive a terminal made harmless; cut if it is long. Returns buf. */
const char *answer_shown(const json_t *object, const char *name, char buf[ANSWER_SHOWN_MAX]);

/* "received      1.4 GiB in 1,234,567 packets", from the two fields named. */
void answer_print_traffic(const char *title, const json_t *object, const char *bytes,
			  const char *packets);

/* An object of counters, each on a line of its own; nothing when it is empty. */
void answer_print_counters(const char *title, const json_t *counters);

/* json_object_foreach() for an object that is only read: jansson asks for one to write to. */
#define answer_foreach(object, name, value) json_object_foreach((json_t *)(object), name, value)

#endif
