/* SPDX-License-Identifier: MIT */
/*
 * Who is writing to a file: what inotify tells of it, and where that is not all, what
 * the kernel answers. A truncate(2) by path and a mknod(2) are told of as the first write
 * is, but no close follows: whoever waited for one would wait in vain. Control thread.
 */
#ifndef BERTH_MANAGE_WRITER_H
#define BERTH_MANAGE_WRITER_H

#include "../base.h"

enum {
	WRITER_ASK_MS = 1000, /* between two questions; most have closed it before */
	/*
	 * After the last event, where the kernel does not answer. Between a revocation that
	 * comes late and a pause in writing that looks like one.
	 */
	WRITER_HOLD_MS = 3000
};

/* Of one file; all zero: nobody is known to write to it. Times are in ms of the loop. */
struct writer {
	bool writing;
	bool perhaps;  /* no event has said so */
	uint64_t last; /* event */
	uint64_t ask;  /* not before */
};

/*
 * What an event says about the file at path being written to: so it is from the
 * first write, or from its making, until it is closed, moved or deleted.
 */
void writer_note(struct writer *w, uint32_t mask, const char *path, uint64_t now);

/* Somebody may be writing of whom no event has told yet: to be asked for. */
void writer_suspect(struct writer *w);

/* Is somebody still writing to the file at path? Asks, if it is time to. */
void writer_ask(struct writer *w, const char *path, uint64_t now);

/* Is it certain that somebody is? Asks at once. */
bool writer_is_certain(const struct writer *w, const char *path);

#endif
