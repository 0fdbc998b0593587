/* SPDX-License-Identifier: MIT */
/*
 * Reads a small file whole, and says when it did not hold still meanwhile.
 * A configuration may hold keys: what was read is wiped when it is given back.
 * Any thread.
 */
#ifndef BERTH_CONFIG_FILE_H
#define BERTH_CONFIG_FILE_H

#include <sys/types.h>

#include "../base.h"

/* A thousand peers take about 150 KB. Key files hold one line. */
enum { FILE_CONFIG_MAX = 1 << 20, FILE_KEY_MAX = 4096 };

struct file_text {
	char *data; /* len bytes and a NUL behind them; may hold secrets */
	size_t len;
	mode_t mode; /* permissions of the very file that was read */
};

/*
 * Reads the regular file at path (symbolic links are followed), which is
 * relative to the directory dirfd (AT_FDCWD: the working directory) unless it
 * begins with '/'. Never blocks on a FIFO and never follows a file that grows.
 *
 * 0; -ENOENT or -ENOTDIR: there is none; -EAGAIN: it was written to, replaced
 * or removed while being read, read again; -ENODEV: not a regular file; -EFBIG:
 * longer than max bytes; -ENOMEM; otherwise the -errno of open, stat or read.
 */
must_check int file_read(struct file_text *out, int dirfd, const char *path, size_t max);

/* Wipes and frees; *text is empty again. */
void file_text_free(struct file_text *text);

/* What an error of file_read() means, to stand behind "'path': ". */
const char *file_error(int err);

/* Can a file of that mode be read or written by others than its owner? */
bool file_is_exposed(mode_t mode);

/*
 * path relative to the folder dir, or as it is when it begins with '/'; "" and
 * "." are the working directory. Allocated. NULL: no memory.
 */
char *file_join(const char *dir, const char *path);

#endif
