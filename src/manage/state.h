/* SPDX-License-Identifier: MIT */
/*
 * What the gateway knows of its tenants survives a restart: where each was heard from
 * last, its greatest timestamp, whether it is held, and what was counted of it. All is in
 * the folder of `State =` within about a second (statestore.h), and is given back when a
 * tenant's file is read: the timestamp and the hold to whoever has the public key, the rest
 * only if the name is the same, too. Those who get an endpoint back are called (calls.h).
 *
 * Only who has news is written: a tenant that is idle costs nothing.
 *
 * A revoked tenant's record goes but for the timestamp of its key (known.h). So do those
 * of tenants that have no file a minute after the start, or later, when all files have been
 * read (state_ask()). One that has expired keeps what was counted for as long as its file is
 * there.
 *
 * A folder that cannot be used is one line in the log: the router goes on, and tries again.
 */
#ifndef BERTH_MANAGE_STATE_H
#define BERTH_MANAGE_STATE_H

#include <uv.h>

#include "../path/device.h"

struct state;

/*
 * Reads the folder and makes the device remember. Before its first peer; folder must
 * live as long. 0, or -ENOMEM, logged. Control thread.
 */
must_check int state_open(struct state **out, uv_loop_t *loop, struct device *device,
			  const char *folder);

/*
 * Has a tenant of whom something is known, and who has not come yet, no file? Only may_come
 * can tell, and is asked once a minute for as long as there are some: until it says that one
 * of that name may not come any more, or when it is NULL, all that is known of it is kept. s
 * may be NULL.
 */
void state_ask(struct state *s, bool (*may_come)(void *arg, const char *name), void *arg);

/*
 * Calls fn for each tenant that is known from before and has not been added yet. s may be
 * NULL.
 */
void state_each_known(const struct state *s,
		      void (*fn)(void *arg, const char *name, const uint8_t key[NOISE_KEY_LEN]),
		      void *arg);

/* What is new is in the journal when this returns, if it can be written; NULL is fine. */
void state_flush(struct state *s);

/* Writes what is new, before the device is closed; NULL is fine. The loop turns once more. */
void state_close(struct state *s);

#endif
