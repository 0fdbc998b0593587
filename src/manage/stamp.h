/* SPDX-License-Identifier: MIT */
/*
 * Has a file changed since it was read? Asked of a hundred thousand files a
 * minute, so what is remembered of each is one number. Any thread.
 */
#ifndef BERTH_MANAGE_STAMP_H
#define BERTH_MANAGE_STAMP_H

#include "../base.h"

struct stamp {
	/*
	 * Of device, inode, size and times of each file, or that there is none:
	 * another one when a file has changed. Never 0.
	 */
	uint64_t number;
	/*
	 * One has changed within the last two seconds. Times of files tick slowly
	 * (ms; on some file systems seconds), so the next change may leave the
	 * same number: it must not be relied on.
	 */
	bool fresh;
	/*
	 * The content of one has changed a few milliseconds ago: somebody may still
	 * be at it, and what was read be half of it.
	 */
	bool young;
	bool there; /* there is a file NAME.conf */
	bool link;  /* it is a symbolic link; they are followed */
};

/* Looks at NAME.conf in the folder dirfd, and at n further files. */
struct stamp stamp_take(int dirfd, const char *name, char *const *files, size_t n);

/* Continues a 64-bit FNV-1a hash: begin with STAMP_HASH_INIT. Not for adversaries. */
#define STAMP_HASH_INIT UINT64_C(0xcbf29ce484222325)
uint64_t stamp_hash(uint64_t hash, const void *data, size_t len);

#endif
