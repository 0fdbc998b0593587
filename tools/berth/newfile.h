/* SPDX-License-Identifier: MIT */
/*
 * Files that are there whole, or not at all. All are mode 0600. Those that root makes belong to
 * whom their folder belongs, so that a berthd with a user of its own can read them.
 */
#ifndef BERTH_TOOLS_NEWFILE_H
#define BERTH_TOOLS_NEWFILE_H

#include "../../src/base.h"

/*
 * Makes the file at path of len bytes and sees to it that it is on the disk. It appears by a
 * rename, under a name that is no tenant's before that, and never takes another
 * file's place. 0; -EEXIST; -errno of making, writing or renaming, and then there is none.
 */
must_check int newfile_make(const char *path, const char *data, size_t len);

/* As newfile_make(), for a file that is nobody's but the caller's: a key of somebody else. */
must_check int newfile_keep(const char *path, const char *data, size_t len);

/* Removes a file and sees to it that it stays away after a loss of power. 0 or -errno. */
must_check int newfile_remove(const char *path);

/* Makes a folder of mode 0700; with false for one that is there. 0 or -errno. */
must_check int newfile_folder(const char *path, bool *made);

#endif
