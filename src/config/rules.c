/* SPDX-License-Identifier: MIT */
/* Sections of configuration files as tables of keys. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

#include "rules.h"

/* No name of ours is as long. */
enum { WORD_MAX = 32 };

static char *format_fault(const char *fmt, va_list args)
{
	char *text;

	return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}

void rules_fault(const struct rules_where *where, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = format_fault(fmt, args);
	va_end(args);
	fault_add(where->faults, where->file, where->line, "%s%s%s", where->key ? where->key : "",
		  where->key ? ": " : "", text ? text : "");
	free(text);
}

void rules_warn(const struct rules_where *where, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = format_fault(fmt, args);
	va_end(args);
	fault_warn(where->faults, where->file, where->line, "%s%s%s",
		   where->key ? where->key : "", where->key ? ": " : "", text ? text : "");
	free(text);
}

int rules_find(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(word, names[i]) == 0)
			return i;
	}
	return -1;
}

static unsigned lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

/* Letters to insert, delete, replace or swap with their neighbour to get from a to b. */
static unsigned distance(const char *a, const char *b)
{
	size_t na = strnlen(a, WORD_MAX), nb = strnlen(b, WORD_MAX);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t k = 0; k <= nb; k++)
		d[0][k] = k;
	for (size_t i = 1; i <= na; i++) {
		for (size_t k = 1; k <= nb; k++) {
			bool same = lower(a[i - 1]) == lower(b[k - 1]);
			unsigned edit = min(d[i - 1][k], d[i][k - 1]) + 1;

			edit = min(edit, d[i - 1][k - 1] + !same);
			if (i > 1 && k > 1 && lower(a[i - 1]) == lower(b[k - 2]) &&
			    lower(a[i - 2]) == lower(b[k - 1]))
				edit = min(edit, d[i - 2][k - 2] + 1);
			d[i][k] = edit;
		}
	}
	return d[na][nb];
}

const char *rules_nearest(const char *word, const char *const *names, size_t n)
{
	unsigned best = min((size_t)2, strlen(word) / 3) + 1;
	const char *nearest = NULL;

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(word, names[i]);

		if (d < best) {
			best = d;
			nearest = names[i];
		}
	}
	return nearest;
}

/*
 * May an unknown name be quoted? A private key that lost its "PrivateKey ="
 * reads as a name too: 43 letters in front of its own '='.
 */
static bool is_harmless(const char *word)
{
	return strlen(word) <= WORD_MAX;
}

void rules_fault_unknown(const struct rules_where *where, const char *what, const char *word,
			 const char *const *names, size_t n)
{
	const char *nearest = rules_nearest(word, names, n);

	if (nearest)
		rules_fault(where, "unknown %s '%s'; is '%s' meant?", what, word, nearest);
	else if (is_harmless(word))
		rules_fault(where, "unknown %s '%s'", what, word);
	else
		rules_fault(where, "unknown %s", what);
}

/*
 * "PublicKey abc=": to the reader of lines all in front of '=' is the name of a key, but the '='
 * is that of the base64. Only the name is quoted.
 */
static bool lacks_equals(const struct rules_where *where, const char *word,
			 const char *const *names, size_t n)
{
	size_t len = strcspn(word, " \t");

	for (size_t i = 0; word[len] && i < n; i++) {
		if (strlen(names[i]) != len || strncasecmp(word, names[i], len) != 0)
			continue;
		rules_fault(where, "'=' is missing behind '%s'", names[i]);
		return true;
	}
	return false;
}

/* A key of another section of this file. */
static bool belongs_elsewhere(const struct rules_where *where, const char *word,
			      const struct rules_table *tables, size_t n_tables, size_t which)
{
	for (size_t t = 0; t < n_tables; t++) {
		for (size_t i = 0; !tables[t].absent && i < tables[t].n; i++) {
			const struct rules_key *key = &tables[t].keys[i];

			if (!key->set || strcasecmp(word, key->name) != 0)
				continue;
			rules_fault(where, "'%s' belongs into [%s], not into [%s]",
				    key->name, tables[t].section, tables[which].section);
			return true;
		}
	}
	return false;
}

int rules_section(const struct inifile *ini, unsigned section, const char *file,
		  const char *const *names, size_t n, unsigned repeats, struct fault_list *faults)
{
	const struct inifile_section *part = &ini->sections[section];
	struct rules_where where = { file, part->line, NULL, faults };
	int kind = rules_find(part->name, names, n);

	if (kind < 0) {
		rules_fault_unknown(&where, "section", part->name, names, n);
		return -1;
	}
	if (repeats & 1U << kind)
		return kind;
	for (unsigned i = 0; i < section; i++) {
		if (strcasecmp(ini->sections[i].name, names[kind]) == 0) {
			rules_fault(&where, "[%s] stands in line %u already", names[kind],
				    ini->sections[i].line);
			return -1;
		}
	}
	return kind;
}

int rules_apply(const struct inifile *ini, unsigned section, const char *file,
		const struct rules_table *tables, size_t n_tables, size_t which, void *target,
		struct fault_list *faults)
{
	const struct rules_key *keys = tables[which].keys;
	size_t n_keys = tables[which].n;
	const char *names[RULES_KEYS_MAX];
	unsigned seen[RULES_KEYS_MAX] = { 0 }; /* line of the first one */
	const struct inifile_section *part = &ini->sections[section];

	for (size_t i = 0; i < n_keys; i++)
		names[i] = keys[i].name;

	for (size_t i = 0; i < part->n; i++) {
		const struct inifile_entry *entry = &ini->entries[part->first + i];
		struct rules_where where = { file, entry->line, NULL, faults };
		int k, err;

		k = rules_find(entry->key, names, n_keys);
		if (k < 0 && (lacks_equals(&where, entry->key, names, n_keys) ||
			      belongs_elsewhere(&where, entry->key, tables, n_tables, which)))
			continue;
		if (k < 0) {
			rules_fault_unknown(&where, "key", entry->key, names, n_keys);
			continue;
		}
		where.key = names[k];
		if (!keys[k].set) {
			if (seen[k] != entry->line)
				rules_fault(&where, "%s", keys[k].refused);
			seen[k] = entry->line;
			continue;
		}
		/* A line that is too long comes in parts, cut at commas. */
		if (seen[k] == entry->line && !keys[k].repeats) {
			rules_fault(&where, "is too long, and takes no list");
			continue;
		}
		if (seen[k] && !keys[k].repeats) {
			rules_fault(&where, "stands in line %u already", seen[k]);
			continue;
		}
		seen[k] = entry->line;
		err = keys[k].set(target, &where, entry->value);
		if (err && err != -EINVAL)
			return err;
	}
	return 0;
}
