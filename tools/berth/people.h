/* SPDX-License-Identifier: MIT */
/* Numbers, colours and columns for people. */
#ifndef BERTH_TOOLS_PEOPLE_H
#define BERTH_TOOLS_PEOPLE_H


#include "../../src/base.h"

enum { PEOPLE_STRLEN = 32 };

/* "0 B", "512 B", "1.4 KiB", "23 MiB". Returns buf. */
const char *people_size(uint64_t bytes, char buf[PEOPLE_STRLEN]);

/* "1,234,567". Returns buf. */
const char *people_count(uint64_t number, char buf[PEOPLE_STRLEN]);

/* Behind a noun of which there are so many. */
static inline const char *people_plural(uint64_t number)
{
	return number == 1 ? "" : "s";
}

/* How long ago, at now: "never" for 0, "5 s", "3 min", "2 h", "4 d". Returns buf. */
const char *people_age(int64_t when, int64_t now, char buf[PEOPLE_STRLEN]);

enum people_colour { COLOUR_NONE, COLOUR_GREEN, COLOUR_RED, COLOUR_YELLOW, COLOUR_DIM, COLOUR_BOLD };

/* The text that switches it on, or off for COLOUR_NONE; "" when stdout is no terminal. */
const char *people_colour(enum people_colour colour);

/* Columns of the terminal on stdout; SIZE_MAX when it is none: nothing is cut then. */
size_t people_width(void);

/* "  name           " in front of a value, a line of its own. */
void people_field(const char *name, const char *fmt, ...) printf_like(2, 3);

/* A sentence in lines of 80 columns, behind the first indent ones; and a newline. */
void people_wrap(const char *text, size_t indent);

struct people_column {
	const char *title;
	bool right;  /* numbers */
	size_t least; /* may be cut down to so many; 0: may not be cut */
};

/* Cells of a table, row by row. Zero-initialise, and set columns. */
struct people_table {
	const struct people_column *columns;
	size_t n_columns;
	char **cells;
	enum people_colour *colours;
	size_t n, room;
	bool failed; /* no memory */
};

/* The next cell, with what could drive a terminal made harmless; copied. */
void people_table_add(struct people_table *table, enum people_colour colour, const char *text);

/* Prints title and rows, as wide as the terminal allows. */
void people_table_print(const struct people_table *table);

void people_table_free(struct people_table *table);

#endif
