/* SPDX-License-Identifier: MIT */
/*
 * Hears of it when the network namespace that a file names comes, goes or is another
 * one: a container that is restarted keeps its name and gets a new namespace. One
 * watcher for all tunnels. Control thread.
 *
 * A name in a folder: inotify tells that it was made or deleted. But `ip netns add`
 * makes a file first and mounts the namespace over it afterwards, of which inotify tells
 * nothing: /proc/self/mountinfo does, by poll(2). A process: its pidfd tells
 * that it has ended. Events can be lost, so all is looked at every NSWATCH_SLOW_MS too.
 */
#ifndef BERTH_MANAGE_NSWATCH_H
#define BERTH_MANAGE_NSWATCH_H

#include <uv.h>

#include "../config/tenant.h"

enum {
	NSWATCH_SETTLE_MS = 10,  /* from an event to its telling: they come in bunches */
	NSWATCH_SLOW_MS = 30000, /* all are told of, whatever happens */
	NSWATCH_BLIND_MS = 2000  /* the same when there is no inotify or pidfd to be had */
};

struct nswatch;

/* One namespace that is followed. */
struct nswatch_item;

/*
 * Where inotify's limits are used up, this is logged with what to do about it, and
 * all is looked at more often. 0, or -ENOMEM and the like.
 */
must_check int nswatch_open(struct nswatch **out, uv_loop_t *loop);

/* Every item has been removed. The loop turns once more. NULL is fine. */
void nswatch_close(struct nswatch *w);

/*
 * Follows the namespace that ref names, as struct config_tunnel has it. changed is
 * called when there may be another one than before, or none; often for nothing. It must
 * neither add nor remove items, and is not called from within nswatch_add(): look
 * at the namespace after that. 0 or -ENOMEM.
 */
must_check int nswatch_add(struct nswatch_item **out, struct nswatch *w, enum tunnel_netns kind,
			   const char *ref, void (*changed)(void *arg), void *arg);

/* The loop turns once more. NULL is fine. */
void nswatch_remove(struct nswatch_item *item);

/*
 * Is the namespace named by a process, and has that process ended? Its number may be
 * somebody else's by now, whose namespace is none of ours. To be asked after the
 * namespace was opened: if this is then false, it was the right one. As long as the process
 * cannot be followed (no descriptors, or a kernel without pidfds), somebody who has got its
 * number in between is taken for it.
 */
bool nswatch_ended(const struct nswatch_item *item);

#endif
