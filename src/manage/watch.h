/* SPDX-License-Identifier: MIT */
/*
 * Watches config.d, and the key files that tenants name, and says which
 * tenants to look at again. Control thread.
 *
 * inotify, since libuv's uv_fs_event has no close-write event: a file seen in
 * the middle of a write looks empty, and an empty file means *revoked*. Even so
 * a change settles before it is told: an editor's rename dance and a `cp` of
 * thousands each become one call.
 */
#ifndef BERTH_MANAGE_WATCH_H
#define BERTH_MANAGE_WATCH_H

#include <uv.h>

#include "../base.h"

enum {
	WATCH_SETTLE_MS = 20, /* without a further event */
	WATCH_DELAY_MS = 60,  /* but no longer after the first: effect within 100 ms */
	WATCH_RESCAN_MS = 60000 /* events get lost, file systems lie */
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
 * runs. 0 or -errno (inotify itself is not to be had: fs.inotify.max_user_*).
 */
must_check int watch_open(struct watch **out, uv_loop_t *loop, const char *path,
			  const struct watch_ops *ops, void *arg);

void watch_close(struct watch *w);

/*
 * The tenant's key files, in place of those named before: a change of one is
 * a change of the tenant. n = 0 forgets the tenant. 0 or -ENOMEM.
 */
must_check int watch_key_files(struct watch *w, const char *tenant, char *const *paths, size_t n);

/* As if the files of the tenant had changed. */
void watch_touch(struct watch *w, const char *tenant);

#endif
