/* SPDX-License-Identifier: MIT */
/* Families and samples as text. */
#include "exposition.h"

#include "../base/log.h"

enum {
	NUMBER_MAX = 24, /* 2^64 - 1 with a point */
	/* name, '{', labels, '}', ' ', number, newline */
	NAME_MAX_LEN = 128,
	VALUE_MAX = 256
};

static const char *const types[] = { [METRIC_GAUGE] = "gauge", [METRIC_COUNTER] = "counter" };

static void put(struct metric_labels *labels, const char *text, size_t len)
{
	memcpy(labels->text + labels->len, text, len);
	labels->len += len;
}

/* One byte, or the two that stand for it. */
static size_t escape(char c, char out[2])
{
	out[0] = '\\';
	switch (c) {
	case '\\':
	case '"':
		out[1] = c;
		return 2;
	case '\n':
		out[1] = 'n';
		return 2;
	default:
		out[0] = c;
		return 1;
	}
}

void metric_label(struct metric_labels *labels, const char *name, const char *value)
{
	size_t name_len = strlen(name), room;
	char safe[VALUE_MAX];

	/* A comma, ="" and one letter at least. */
	if (labels->len + name_len + 5 > sizeof(labels->text))
		return;
	if (labels->len)
		put(labels, ",", 1);
	put(labels, name, name_len);
	put(labels, "=\"", 2);
	/* It has to be UTF-8, which names of interfaces need not be. */
	(void)log_sanitise(safe, sizeof(safe), value);
	room = sizeof(labels->text) - 1;
	for (const char *c = safe; *c; c++) {
		char escaped[2];
		size_t len = escape(*c, escaped);

		if (labels->len + len > room)
			break;
		put(labels, escaped, len);
	}
	put(labels, "\"", 1);
}

void metric_head(struct rope *out, const struct metric *metric)
{
	rope_add_string(out, "# HELP ");
	rope_add_string(out, metric->name);
	rope_add_string(out, " ");
	rope_add_string(out, metric->help);
	rope_add_string(out, "\n# TYPE ");
	rope_add_string(out, metric->name);
	rope_add_string(out, " ");
	rope_add_string(out, types[metric->type]);
	rope_add_string(out, "\n");
}

/* Ends at end; printf would take most of the time of ten thousand tenants. */
static char *format_value(char *end, uint64_t value, unsigned decimals)
{
	bool any = false; /* digits behind the point: no noughts at its end */

	for (unsigned i = 0; i < decimals; i++) {
		any |= value % 10 != 0;
		if (any)
			*--end = (char)('0' + value % 10);
		value /= 10;
	}
	if (any)
		*--end = '.';
	do {
		*--end = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return end;
}

void metric_sample(struct rope *out, const struct metric *metric,
		   const struct metric_labels *labels, uint64_t value)
{
	char line[NAME_MAX_LEN + METRIC_LABELS_MAX + NUMBER_MAX + 8];
	size_t len = strnlen(metric->name, NAME_MAX_LEN);
	char number[NUMBER_MAX], *first;

	memcpy(line, metric->name, len);
	if (labels->len) {
		line[len++] = '{';
		memcpy(line + len, labels->text, labels->len);
		len += labels->len;
		line[len++] = '}';
	}
	line[len++] = ' ';
	first = format_value(number + sizeof(number), value, metric->decimals);
	memcpy(line + len, first, (size_t)(number + sizeof(number) - first));
	len += (size_t)(number + sizeof(number) - first);
	line[len++] = '\n';
	rope_add(out, line, len);
}
