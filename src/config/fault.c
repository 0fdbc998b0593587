/* SPDX-License-Identifier: MIT */
/* Faults in configuration as values. */
#include <stdarg.h>
#include <stdlib.h>

#include "fault.h"

/* A fault goes to terminals and logs: what a file holds must not steer them. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		unsigned char c = *text;

		if (c < 0x20 || c == 0x7f)
			*text = '?';
	}
}

static struct fault *make_room(struct fault_list *list)
{
	size_t room = list->room ? 2 * list->room : 8;
	struct fault *faults;

	if (list->n < list->room)
		return &list->faults[list->n];
	faults = reallocarray(list->faults, room, sizeof(*faults));
	if (!faults)
		return NULL;
	list->faults = faults;
	list->room = room;
	return &list->faults[list->n];
}

static void append(struct fault_list *list, const char *file, unsigned line, bool warning,
		   const char *fmt, va_list args)
{
	struct fault *fault;

	if (!warning)
		list->n_errors++;
	if (!list->n || strcmp(list->faults[list->n - 1].file, file) != 0)
		list->n_of_file = 0;
	if (list->n_of_file >= FAULTS_PER_FILE)
		return;

	fault = make_room(list);
	if (!fault)
		return;
	fault->line = line;
	fault->warning = warning;
	fault->file = strdup(file);
	if (!fault->file)
		return;
	if (vasprintf(&fault->text, fmt, args) < 0) {
		free(fault->file);
		return;
	}
	make_printable(fault->file);
	make_printable(fault->text);
	list->n++;
	list->n_of_file++;
}

void fault_add(struct fault_list *list, const char *file, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	append(list, file, line, false, fmt, args);
	va_end(args);
}

void fault_warn(struct fault_list *list, const char *file, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	append(list, file, line, true, fmt, args);
	va_end(args);
}

struct fault_mark fault_mark(const struct fault_list *list)
{
	return (struct fault_mark){ list->n, list->n_errors, list->n_of_file };
}

void fault_rewind(struct fault_list *list, struct fault_mark mark)
{
	while (list->n > mark.n) {
		list->n--;
		free(list->faults[list->n].file);
		free(list->faults[list->n].text);
	}
	list->n_errors = mark.n_errors;
	list->n_of_file = mark.n_of_file;
}

/* Insertion sort: there are at most FAULTS_PER_FILE, mostly in order, and it is stable. */
void fault_sort(struct fault_list *list, size_t from)
{
	for (size_t i = from + 1; i < list->n; i++) {
		struct fault moved = list->faults[i];
		size_t k = i;

		for (; k > from && list->faults[k - 1].line > moved.line; k--)
			list->faults[k] = list->faults[k - 1];
		list->faults[k] = moved;
	}
}

const char *fault_format(const struct fault *fault, char *buf, size_t len)
{
	if (fault->line)
		snprintf(buf, len, "%s:%u: %s", fault->file, fault->line, fault->text);
	else
		snprintf(buf, len, "%s: %s", fault->file, fault->text);
	return buf;
}

void fault_print(const struct fault_list *list, FILE *to)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct fault *fault = &list->faults[i];
		const char *kind = fault->warning ? "warning: " : "";

		if (fault->line)
			fprintf(to, "%s:%u: %s%s\n", fault->file, fault->line, kind, fault->text);
		else
			fprintf(to, "%s: %s%s\n", fault->file, kind, fault->text);
	}
}

void fault_list_free(struct fault_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->faults[i].file);
		free(list->faults[i].text);
	}
	free(list->faults);
	*list = (struct fault_list){ 0 };
}
