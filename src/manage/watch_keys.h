/* SPDX-License-Identifier: MIT */
/*
 * Files outside of config.d whose change is a change of a tenant: key files,
 * and what a symbolic link in config.d points to. Of use to watch.c alone, on
 * whose inotify descriptor they are watched, by their folders: a file that is
 * not there (yet) has no inode to watch. Control thread.
 *
 * Cost of an event: one search of O(log n), however many tenants name files.
 */
#ifndef BERTH_MANAGE_WATCH_KEYS_H
#define BERTH_MANAGE_WATCH_KEYS_H

#include <sys/inotify.h>
#include <urcu/list.h>

#include "../base.h"
#include "writer.h"

/*
 * What we want to hear of a folder. IN_MODIFY says that somebody has a file
 * open and is not done; IN_CREATE is for links, which are never closed;
 * IN_ATTRIB: a chmod may have made a key file acceptable.
 */
#define WATCH_EVENTS                                                                  \
	(IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | \
	 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct watch_keys {
	int fd;               /* of inotify; -1: nothing can be watched */
	int folder_wd;        /* config.d: not ours to give back */
	void *spots, *folders; /* tsearch trees */
	struct cds_list_head homeless; /* files whose folder is not there */
	bool said_full;
};

/* A file that an owner names. Lists of them, one per owner, begin as NULL. */
struct watch_file;

/* fd stays the caller's. */
void watch_keys_init(struct watch_keys *k, int fd);

/*
 * Adds the file at path to the owner's list, and whatever symbolic links lead to: it
 * itself, or a folder on the way to it. 0 or -ENOMEM. A folder that cannot be watched is no
 * error, see watch_keys_retry().
 */
must_check int watch_keys_add(struct watch_keys *k, struct watch_file **list, void *owner,
			      const char *path);

/* Forgets the owner's files; *list is NULL again. */
void watch_keys_release(struct watch_keys *k, struct watch_file **list);

/* Is somebody in the middle of writing one of them? If so, *ask is when to ask the last of them. */
bool watch_keys_writing(const struct watch_file *list, uint64_t *ask);

/* writer_suspect(), writer_ask() and writer_is_certain() of each of them. */
void watch_keys_suspect(struct watch_file *list);
void watch_keys_ask(struct watch_file *list, uint64_t now);
bool watch_keys_certain(const struct watch_file *list);

/* Nobody is known to be writing any more: events were lost. */
void watch_keys_forget_writing(struct watch_keys *k);

typedef void watch_keys_fn(void *owner, void *arg);

/*
 * Something happened in a folder, at now (ms of the loop): calls fn for each owner of the
 * file. fn must not add or release.
 */
void watch_keys_event(struct watch_keys *k, const struct inotify_event *event, uint64_t now,
		      watch_keys_fn *fn, void *arg);

/* Watch wd is no more: calls fn for the owners of all files there. The same rule. */
void watch_keys_lost(struct watch_keys *k, int wd, watch_keys_fn *fn, void *arg);

/*
 * Looks for folders that were not there; calls fn for owners of files in
 * those that are now. The same rule. False when none is missing any more.
 */
bool watch_keys_retry(struct watch_keys *k, watch_keys_fn *fn, void *arg);

#endif
