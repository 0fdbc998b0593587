/* SPDX-License-Identifier: MIT */
/*
 * The folder of what survives a restart (statefile.h), as files:
 *
 *	tenants              everything, as of some moment
 *	tenants.journal      what has changed since, appended
 *	tenants.journal.old  the journal up to that moment, while "tenants" is written anew
 *	tenants.new          the next "tenants", before it takes the place of the last
 *
 * Read in this order: tenants, the old journal, the journal. Whenever the process is
 * killed, that gives everything that was appended: the journal is put aside before the
 * moment at which everything is written down, and removed after that is in place. If it could
 * not be written, the next journal is put behind the one that waits, as both are older than
 * what is written then. Reading a line twice does no harm.
 *
 * The journal is left to the kernel, which has it on the disk within half a minute: it
 * survives the end of this process at once, and that of the machine by then. "tenants" is
 * on the disk before it replaces the last one.
 */
#ifndef BERTH_MANAGE_STATESTORE_H
#define BERTH_MANAGE_STATESTORE_H

#include "statefile.h"

struct statestore {
	int dirfd;          /* locked; -1: not open */
	int journal;        /* -1: not open yet */
	size_t journal_len; /* bytes appended, and those that were there */
	bool torn;          /* the last line has no end */
	bool joined;        /* the old journal is two, and may not be on the disk */
	size_t all_len;     /* bytes of "tenants" when it was read, or written by its owner */
};

/*
 * Opens the folder for this process alone, and makes it (0700) if it is missing. 0;
 * -EWOULDBLOCK: another process has it; otherwise -errno.
 */
must_check int statestore_open(struct statestore *s, const char *folder);
/* Also of one that is not open. */
void statestore_close(struct statestore *s);

/*
 * Is what was opened still what the name of the folder leads to, and the files still in
 * there? What is written into files that were removed is lost without an error. Of an
 * open one.
 */
must_check bool statestore_is_there(const struct statestore *s, const char *folder);

/*
 * Calls fn for all that the files hold; see statefile_read(). A file that is missing is
 * empty, one that cannot be read is a fault. folder is for the names in faults. 0, or
 * -ENOMEM: some was not read.
 */
must_check int statestore_load(struct statestore *s, const char *folder, struct fault_list *faults,
			       void (*fn)(void *arg, const struct statefile_record *record), void *arg);

/* Appends lines to the journal. 0 or -errno: some may be there, the last one torn. */
must_check int statestore_append(struct statestore *s, const char *lines, size_t len);

/* Everything that was appended is on the disk. 0 or -errno. May take long. */
must_check int statestore_sync(struct statestore *s);

/*
 * Before everything is written down anew: what is appended from here on survives that. The
 * caller takes down everything now, and calls statestore_write(). 0 or -errno.
 */
must_check int statestore_rotate(struct statestore *s);

/*
 * These n records, together with what was appended since the rotation, are everything.
 * Takes as long as the disk needs; on any thread, while others may append. 0, or -errno:
 * all is as it was, and may be tried again after another rotation. *len becomes the
 * number of bytes written.
 */
must_check int statestore_write(const struct statestore *s,
				const struct statefile_record *records, size_t n, size_t *len);

#endif
