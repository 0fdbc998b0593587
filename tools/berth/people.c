/* SPDX-License-Identifier: MIT */
/* Numbers, colours and columns for people. */
#include "people.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../src/base/log.h"

enum { CELL_MAX = 256, COLUMNS_MAX = 16, GAP = 2, WIDTH_DEFAULT = 80 };

const char *people_size(uint64_t bytes, char buf[PEOPLE_STRLEN])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double size = (double)bytes;
	size_t unit = 0;

	/* 1023.7 would be printed as 1024. */
	while (size >= 1023.5 && unit + 1 < ARRAY_SIZE(units)) {
		size /= 1024;
		unit++;
	}
	(void)snprintf(buf, PEOPLE_STRLEN, "%.*f %s", unit && size < 9.95 ? 1 : 0, size,
		       units[unit]);
	return buf;
}

const char *people_count(uint64_t number, char buf[PEOPLE_STRLEN])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	size_t at = 0;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}

const char *people_age(int64_t when, int64_t now, char buf[PEOPLE_STRLEN])
{
	int64_t age = max(now - when, (int64_t)0); /* clocks are set back now and then */

	if (!when)
		(void)snprintf(buf, PEOPLE_STRLEN, "never");
	else if (age < 120)
		(void)snprintf(buf, PEOPLE_STRLEN, "%" PRId64 " s", age);
	else if (age < 120 * 60)
		(void)snprintf(buf, PEOPLE_STRLEN, "%" PRId64 " min", age / 60);
	else if (age < INT64_C(48) * 3600)
		(void)snprintf(buf, PEOPLE_STRLEN, "%" PRId64 " h", age / 3600);
	else
		(void)snprintf(buf, PEOPLE_STRLEN, "%" PRId64 " d", age / 86400);
	return buf;
}

const char *people_colour(enum people_colour colour)
{
	static const char *const codes[] = { [COLOUR_NONE] = "\033[0m",
					     [COLOUR_GREEN] = "\033[32m",
					     [COLOUR_RED] = "\033[31m",
					     [COLOUR_YELLOW] = "\033[33m",
					     [COLOUR_DIM] = "\033[2m",
					     [COLOUR_BOLD] = "\033[1m" };
	const char *term = getenv("TERM");
	const char *none = getenv("NO_COLOR"); /* no-color.org */

	if (!isatty(STDOUT_FILENO) || !term || strcmp(term, "dumb") == 0 || (none && *none))
		return "";
	return codes[colour];
}

size_t people_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return SIZE_MAX;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return WIDTH_DEFAULT;
	return size.ws_col;
}

void people_field(const char *name, const char *fmt, ...)
{
	char words[1024], safe[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	(void)log_sanitise(safe, sizeof(safe), words);
	(void)printf("  %s%-12s%s  %s\n", people_colour(COLOUR_DIM), name,
		     people_colour(COLOUR_NONE), safe);
}

void people_wrap(const char *text, size_t indent)
{
	size_t room = WIDTH_DEFAULT - indent, at = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (at && at + 1 + word > room) {
			(void)printf("\n%*s", (int)indent, "");
			at = 0;
		}
		(void)printf("%s%.*s", at ? " " : "", (int)word, text);
		at += word + (at != 0);
		text += word;
		text += strspn(text, " ");
	}
	(void)putchar('\n');
}

static bool grow(struct people_table *table)
{
	size_t room = table->room ? 2 * table->room : 64;
	char **cells = reallocarray(table->cells, room, sizeof(*cells));
	enum people_colour *colours;

	if (!cells)
		return false;
	table->cells = cells;
	colours = reallocarray(table->colours, room, sizeof(*colours));
	if (!colours)
		return false;
	table->colours = colours;
	table->room = room;
	return true;
}

void people_table_add(struct people_table *table, enum people_colour colour, const char *text)
{
	char safe[CELL_MAX];
	char *copy;

	(void)log_sanitise(safe, sizeof(safe), text);
	copy = strdup(safe);
	if (!copy || (table->n == table->room && !grow(table))) {
		free(copy);
		table->failed = true;
		return;
	}
	table->cells[table->n] = copy;
	table->colours[table->n++] = colour;
}

/* Cuts columns that may be cut, the widest first, until the table fits. */
static void fit(const struct people_table *table, size_t widths[COLUMNS_MAX], size_t room)
{
	size_t total = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		total += widths[i] + (i ? GAP : 0);
	while (total > room) {
		size_t *widest = NULL;

		for (size_t i = 0; i < table->n_columns; i++)
			if (table->columns[i].least && widths[i] > table->columns[i].least &&
			    (!widest || widths[i] > *widest))
				widest = &widths[i];
		if (!widest)
			return;
		(*widest)--;
		total--;
	}
}

/* The bytes of the first n characters of UTF-8. */
static size_t bytes_of(const char *text, size_t n)
{
	size_t at = 0;

	for (; text[at]; at++)
		if ((text[at] & 0xc0) != 0x80 && n-- == 0)
			break;
	return at;
}

/* A column for each character: wide ones are in no name of ours. */
static size_t columns_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

/* A cut cell ends in '~', so that nobody takes it for the whole. */
static void print_cell(const struct people_column *column, size_t width, const char *text,
		       enum people_colour colour, bool last)
{
	size_t len = columns_of(text);
	size_t pad = len < width ? width - len : 0;

	if (column->right)
		(void)printf("%*s", (int)pad, "");
	if (colour != COLOUR_NONE)
		(void)fputs(people_colour(colour), stdout);
	if (len > width)
		(void)printf("%.*s~", (int)bytes_of(text, width - 1), text);
	else
		(void)fputs(text, stdout);
	if (colour != COLOUR_NONE)
		(void)fputs(people_colour(COLOUR_NONE), stdout);
	if (!last)
		(void)printf("%*s", (int)((column->right ? 0 : pad) + GAP), "");
}

/* Cells of one row, or the titles. */
static void print_row(const struct people_table *table, const size_t widths[COLUMNS_MAX],
		      size_t first, bool titles)
{
	size_t n = table->n_columns;

	for (size_t i = 0; i < n; i++) {
		const struct people_column *column = &table->columns[i];

		if (titles)
			print_cell(column, widths[i], column->title, COLOUR_BOLD, i + 1 == n);
		else
			print_cell(column, widths[i], table->cells[first + i],
				   table->colours[first + i], i + 1 == n);
	}
	(void)putchar('\n');
}

void people_table_print(const struct people_table *table)
{
	size_t widths[COLUMNS_MAX] = { 0 };
	size_t n = table->n_columns;

	for (size_t i = 0; i < n; i++) {
		widths[i] = strlen(table->columns[i].title);
		for (size_t at = i; at < table->n; at += n)
			widths[i] = max(widths[i], columns_of(table->cells[at]));
	}
	fit(table, widths, people_width());
	print_row(table, widths, 0, true);
	for (size_t at = 0; n && at + n <= table->n; at += n)
		print_row(table, widths, at, false);
}

void people_table_free(struct people_table *table)
{
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->colours);
	table->cells = NULL;
	table->colours = NULL;
	table->n = table->room = 0;
}
