/* SPDX-License-Identifier: MIT */
/*
 * INI text as a list of entries, each with its section and line. The words of
 * a line are found by inih; the lines reach it through a reader of our own,
 * because inih alone cuts long lines and delivers the rest, glues indented
 * lines to the key before, cannot tell one [Peer] from the next, and takes
 * ':' for '='.
 *
 * Grammar, that of wg-quick and a little more:
 *  - "[Section]", "Key = value" or nothing in a line, starting in its first
 *    column; lines end in LF or CRLF, the last one may have no end;
 *  - '#' starts a comment wherever it stands (as in wg(8)), ';' at the start
 *    of a line or behind a blank;
 *  - an empty value is a value. A key may stand several times: the order is
 *    kept, and the reader of the section decides;
 *  - names are case-insensitive, which is left to whoever compares them;
 *  - control characters, NUL bytes among them, have no place in a text file;
 *  - a line is at most 198 bytes without its comment: more is refused, unless it is a list
 *    with commas, which becomes several entries of one key and line.
 */
#ifndef BERTH_CONFIG_INIFILE_H
#define BERTH_CONFIG_INIFILE_H

#include "fault.h"

struct inifile_section {
	const char *name;
	unsigned line;
	size_t first, n; /* its entries: entries[first] and the n - 1 behind */
};

struct inifile_entry {
	const char *key;
	const char *value; /* trimmed; "" when there is nothing behind '=' */
	unsigned line;
	unsigned section; /* index into sections: a [Peer] and the next [Peer] differ */
};

/* Sections without entries are listed too. All text is in one buffer, wiped at the end. */
struct inifile {
	struct inifile_section *sections;
	size_t n_sections;
	struct inifile_entry *entries;
	size_t n_entries;
	char *text;
	size_t text_size, text_used;
};

/*
 * Takes len bytes of text (no NUL needed behind it) apart; file is the name
 * for the faults. 0; -EINVAL: faults were added and *out is empty, nothing of
 * the file is used; -ENOMEM. Any thread.
 */
must_check int inifile_parse(struct inifile *out, const char *file, const char *text, size_t len,
			     struct fault_list *faults);

void inifile_free(struct inifile *ini);

#endif
