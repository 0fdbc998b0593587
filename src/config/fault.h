/* SPDX-License-Identifier: MIT */
/*
 * Faults in configuration as values: which file, which line, what is wrong.
 * Whoever reads a file collects all of them; whoever asked prints or logs them.
 * Text is kept printable (control characters become '?'), and no fault ever
 * quotes a private or preshared key. Any thread; a list has one owner.
 */
#ifndef BERTH_CONFIG_FAULT_H
#define BERTH_CONFIG_FAULT_H

#include <stdio.h>

#include "../base.h"

/*
 * A file of garbage is not worth a message per line: behind this many faults
 * of one file the rest is counted, not kept.
 */
enum { FAULTS_PER_FILE = 64 };

struct fault {
	char *file;
	unsigned line; /* from 1; 0: the file as a whole */
	bool warning;  /* worth a word, but nothing is refused for it */
	char *text;
};

/* Zero-initialised is an empty list. */
struct fault_list {
	struct fault *faults;
	size_t n, room;
	size_t n_errors;   /* those that are no warnings, including those not kept */
	size_t n_of_file;  /* length of the run of faults of the last file */
};

/*
 * Adds an error. Without memory the text is lost but n_errors still grows, so
 * that nobody takes a broken file for a good one.
 */
void fault_add(struct fault_list *list, const char *file, unsigned line, const char *fmt, ...)
	printf_like(4, 5);

/* Adds a warning. */
void fault_warn(struct fault_list *list, const char *file, unsigned line, const char *fmt, ...)
	printf_like(4, 5);

/* Where a list ends now, to come back to. */
struct fault_mark {
	size_t n, n_errors, n_of_file;
};

struct fault_mark fault_mark(const struct fault_list *list);

/* Forgets what was added behind the mark: the file will be read again. */
void fault_rewind(struct fault_list *list, struct fault_mark mark);

/* Orders faults [from, n) by line; equal lines keep their order. All of one file. */
void fault_sort(struct fault_list *list, size_t from);

/*
 * Writes "file:line: text" ("file: text" for line 0), cut to len - 1 characters. That it is a
 * warning is for the caller to say: a log has a word of its own for that. Returns buf.
 */
const char *fault_format(const struct fault *fault, char *buf, size_t len);

/* One line each, with "warning: " before the text of a warning. */
void fault_print(const struct fault_list *list, FILE *to);

/* The list is empty and usable again. */
void fault_list_free(struct fault_list *list);

#endif
