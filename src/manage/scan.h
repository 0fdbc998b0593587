/* SPDX-License-Identifier: MIT */
/*
 * Goes through a folder of a hundred thousand tenants without holding up the
 * loop: a slice in each of its turns. Control thread.
 */
#ifndef BERTH_MANAGE_SCAN_H
#define BERTH_MANAGE_SCAN_H

#include <uv.h>

#include "../config/folder.h"

enum {
	SCAN_LOOK = 1024, /* stat() of so many files takes about a millisecond */
	SCAN_READ = 256   /* reading and applying so many, about ten */
};

struct scan_ops {
	/* Is the file to be read? */
	bool (*look)(void *arg, const char *name, int dirfd);
	/* Reads these: SCAN_READ of them, or the last ones. In order of names. */
	void (*read)(void *arg, const char *const *names, size_t n, int dirfd);
	void (*done)(void *arg);
};

struct scan {
	uv_idle_t idle;
	const struct scan_ops *ops;
	void *arg;
	struct folder folder;
	size_t next; /* to be looked at, of folder.names */
	const char *names[SCAN_READ];
	size_t n;
	bool running;
};

/* ops and arg must live as long as the scan. */
void scan_init(struct scan *s, uv_loop_t *loop, const struct scan_ops *ops, void *arg);

/* Begins; takes over the folder. Not while one is running. */
void scan_start(struct scan *s, struct folder *folder);

/* Is a scan running that has still to come to this name? */
bool scan_ahead(const struct scan *s, const char *name);

/* Calls nothing any more; s must live until closed was called. */
void scan_close(struct scan *s, uv_close_cb closed);

#endif
