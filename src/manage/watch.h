/* SPDX-License-Identifier: MIT */
/*
 * Watches config.d, and the key files that tenants name, and says which
 * tenants to look at again. Control thread.
 *
 * inotify, since libuv's uv_fs_event has no close-write event: a file seen in
 * the middle of a write looks empty, and an empty file means *revoked*. So a
 * tenant is told of when nobody has a file of its open for writing (see writer.h), and a
 * moment after its last event: an editor's rename dance (away, and made anew) is
 * one change, and so is a `mv` of one tenant's file to another's name.
 */
#ifndef BERTH_MANAGE_WATCH_H
#define BERTH_MANAGE_WATCH_H

#include <uv.h>

#include "../base.h"

/* Effect within 100 ms of the last event: the latest telling, and some for the work. */
enum {
	WATCH_SETTLE_MS = 30, /* after the last event of a tenant */
	WATCH_DELAY_MS = 60,  /* after its first, if they do not end */
	WATCH_BATCH_MS = 20,  /* between two tellings: a `cp` of thousands is few batches */
	WATCH_RESCAN_MS = 60000, /* events get lost, file systems lie */
	WATCH_BLIND_MS = 2000    /* the same when there is no inotify to be had */
};

struct watch;

struct watch_ops {
	/* The files of these n tenants (names, sorted, each once) may have changed. */
	void (*changed)(void *arg, const char *const *names, size_t n);
	/* Anything may have changed: list the folder and compare. */
	void (*rescan)(void *arg);
};

/*
 * Watches the folder at path, which may be missing or be replaced: it is looked for
 * until it is there, and then rescan is called. Calls nothing before the loop
 * runs. Where inotify's limits are used up, this is logged with what to do
 * about it, and rescan is called every two seconds. 0 or -ENOMEM.
 */
must_check int watch_open(struct watch **out, uv_loop_t *loop, const char *path,
			  const struct watch_ops *ops, void *arg);

/* Calls nothing any more; the loop turns once more. */
void watch_close(struct watch *w);

/*
 * The tenant's files outside of the folder (key files; its own path if that is
 * a symbolic link), in place of those named before: a change of one, of what it
 * is a link to, or of a link on the way there, is a change of the tenant. n = 0
 * forgets them. 0 or -ENOMEM.
 */
must_check int watch_key_files(struct watch *w, const char *tenant, char *const *paths, size_t n);

/* As if a file of the tenant had changed. */
void watch_touch(struct watch *w, const char *tenant);

/*
 * Looks which folder the path leads to now: of a mount over it no event tells. Else
 * this is done with every rescan.
 */
void watch_find_folder(struct watch *w);

/*
 * Tells of the tenant again after WATCH_BATCH_MS: what was read is doubtful. An event
 * that comes meanwhile is waited for as ever, and so is who has a file open, though none
 * has told of him. Only from within ops.
 */
void watch_again(struct watch *w, const char *tenant);

/*
 * Will the tenant be told of soon anyway? True from an event until it is told,
 * and as long as somebody is writing, unless that has been silent for a minute.
 * Whoever reads its files now may see half of them.
 */
bool watch_pending(struct watch *w, const char *tenant);

/* The same, but only while it is certain that somebody is writing. */
bool watch_writing(struct watch *w, const char *tenant);

#endif
