/* SPDX-License-Identifier: MIT */
/*
 * Where in another process's memory some bytes stand: every mapping that can be
 * read, those that core dumps leave out included.
 */
#ifndef BERTH_TOOLS_BENCH_MEMORY_H
#define BERTH_TOOLS_BENCH_MEMORY_H

#include <sys/types.h>

#include "../../src/base.h"

struct memory_needle {
	const void *bytes;
	size_t len;        /* at most MEMORY_NEEDLE_MAX */
	unsigned found;    /* result: places */
	unsigned unlocked; /* of these, in mappings that may be swapped out or dumped */
	char where[128];   /* a mapping of the last such place, or of the last place */
};

enum { MEMORY_NEEDLE_MAX = 64 };

/*
 * Looks for all n needles. The process runs on meanwhile; what moves may be missed
 * or seen twice. Returns how many bytes were read. Exits with a message when it
 * cannot be read (root may).
 */
size_t memory_search(pid_t pid, struct memory_needle *needles, unsigned n);

/* Resident bytes, and open descriptors. */
size_t memory_resident(pid_t pid);
unsigned memory_descriptors(pid_t pid);

#endif
