/* SPDX-License-Identifier: MIT */
/*
 * A section of a configuration file as a table: one row per key, with the
 * function that takes its value. Unknown keys, keys given twice and keys that
 * are refused are dealt with here, in the same words for every file.
 * Any thread.
 */
#ifndef BERTH_CONFIG_RULES_H
#define BERTH_CONFIG_RULES_H

#include "inifile.h"

/* Where a value stands, for messages: "file:line: key: …". */
struct rules_where {
	const char *file;
	unsigned line;
	const char *key; /* as the table spells it; NULL: none, the section as a whole */
	struct fault_list *faults;
};

/*
 * Takes a value for the target of the section. 0; -EINVAL: a fault was added,
 * go on with the next key; any other error ends the reading.
 */
typedef int rules_set_fn(void *target, const struct rules_where *where, const char *value);

struct rules_key {
	const char *name;
	rules_set_fn *set;   /* NULL: the key is refused */
	const char *refused; /* why, or what does the job instead */
	bool repeats;        /* may stand several times in one section */
};

/* A section of a kind of file, as a table. */
struct rules_table {
	const char *section;
	const struct rules_key *keys;
	size_t n;
	bool absent; /* no file like this one may have it: nobody is sent there */
};

/* No section has more keys. */
enum { RULES_KEYS_MAX = 32 };

#define RULES_SAVE_CONFIG                                                                      \
	"this file is read, never written; State in berth.conf says where learned endpoints "  \
	"are kept"

/* The rows for what wg-quick runs, and berth does not. */
#define RULES_WG_QUICK_HOOKS                                                                   \
	{ .name = "PreUp",                                                                     \
	  .refused = "no commands are run; [Container] Netns says where the interface goes" }, \
	{ .name = "PostUp",                                                                    \
	  .refused = "no commands are run; routes and neighbour answers follow from "          \
		     "AllowedIPs, Table and [Container] Netns say where they go" },            \
	{ .name = "PreDown",                                                                   \
	  .refused = "no commands are run; what was installed for AllowedIPs, Table and "      \
		     "[Container] is removed with this file" },                                \
	{ .name = "PostDown",                                                                  \
	  .refused = "no commands are run; what was installed for AllowedIPs, Table and "      \
		     "[Container] is removed with this file" }

/* Adds the error "file:line: key: …". */
void rules_fault(const struct rules_where *where, const char *fmt, ...) printf_like(2, 3);
void rules_warn(const struct rules_where *where, const char *fmt, ...) printf_like(2, 3);

/* Is word (in any case) names[i]? The index, or -1. */
int rules_find(const char *word, const char *const *names, size_t n);

/*
 * The name nearest to a mistyped word: at most two letters, and a third of the
 * word, wrong, missing, too many or swapped. NULL: none is near.
 */
const char *rules_nearest(const char *word, const char *const *names, size_t n);

/*
 * Adds the error that word is no `what` ("key", "section"), with the nearest
 * of names. Long words are not quoted: they may be keys in the wrong place.
 */
void rules_fault_unknown(const struct rules_where *where, const char *what, const char *word,
			 const char *const *names, size_t n);

/*
 * Which of names section number `section` is: its index, or -1 with a fault
 * when it is none, or when it stands a second time and its bit in `repeats` is not set.
 */
int rules_section(const struct inifile *ini, unsigned section, const char *file,
		  const char *const *names, size_t n, unsigned repeats,
		  struct fault_list *faults);

/*
 * Feeds the entries of section number `section` to tables[which], for target; of the others
 * it is said what belongs there.
 * 0: all were taken or their faults added; otherwise the first error of a set
 * function that is not -EINVAL.
 */
must_check int rules_apply(const struct inifile *ini, unsigned section, const char *file,
			   const struct rules_table *tables, size_t n_tables, size_t which,
			   void *target, struct fault_list *faults);

#endif
