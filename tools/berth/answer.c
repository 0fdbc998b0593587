/* SPDX-License-Identifier: MIT */
/* The fields of an answer. */
#include "answer.h"

#include "../../src/base/log.h"
#include "people.h"

const char *answer_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

const char *answer_shown(const json_t *object, const char *name, char buf[ANSWER_SHOWN_MAX])
{
	(void)log_sanitise(buf, ANSWER_SHOWN_MAX, answer_text(object, name));
	return buf;
}

uint64_t answer_number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

void answer_print_traffic(const char *title, const json_t *object, const char *bytes,
			  const char *packets)
{
	char size[PEOPLE_STRLEN], count[PEOPLE_STRLEN];

	people_field(title, "%s in %s packet%s", people_size(answer_number(object, bytes), size),
		     people_count(answer_number(object, packets), count),
		     people_plural(answer_number(object, packets)));
}

void answer_print_counters(const char *title, const json_t *counters)
{
	char count[PEOPLE_STRLEN];
	bool first = true;
	const char *name;
	json_t *n;

	answer_foreach(counters, name, n) {
		people_field(first ? title : "", "%s %s",
			     people_count((uint64_t)json_integer_value(n), count), name);
		first = false;
	}
}
