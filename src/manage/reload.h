/* SPDX-License-Identifier: MIT */
/*
 * Keeps what runs equal to what lies in config.d: tenants of the gateway, and
 * tunnels of our own. Dropping and deleting files is the administration.
 * Control thread.
 */
#ifndef BERTH_MANAGE_RELOAD_H
#define BERTH_MANAGE_RELOAD_H

#include "../config/router.h"
#include "gateway.h"
#include "tunnel.h"

struct reload;

/*
 * Begins to watch the folder of tenants. Everything in it is read once the
 * loop runs. gateway is NULL when berth.conf has no [Interface]; router and
 * gateway must live as long. 0 or -errno, logged.
 */
must_check int reload_open(struct reload **out, uv_loop_t *loop, struct workers *ws,
			   const struct config_router *router, struct gateway *gateway);

/*
 * A tenant of that name had that key before the restart: if its file still says so, it is
 * read before those of whom nothing is known, so that whoever was first stays so. Before the
 * loop runs. reload is a struct reload *.
 */
void reload_known(void *reload, const char *name, const uint8_t public_key[NOISE_KEY_LEN]);

/* Closes all tunnels; the gateway's tenants go with the gateway. The loop turns once more. */
void reload_close(struct reload *r);

/* SIGHUP: reads everything again, and undoes what wg(8) has changed of it (restore.h). */
void reload_all(struct reload *r);

/* The devices of our own tunnels that are up, for lists. */
void reload_each_tunnel(struct reload *r,
			void (*fn)(const char *name, struct device *dev, void *arg), void *arg);

/*
 * The public key under which the gateway knows a tenant, and 0; 1 for a tunnel of
 * our own, whose device is *dev (NULL: not up); -ENOENT.
 */
must_check int reload_find(struct reload *r, const char *name, uint8_t public_key[NOISE_KEY_LEN],
			   struct device **dev);

/* What the file of that name has brought into force, or has expired; NULL: neither. */
const struct config_tenant *reload_tenant(struct reload *r, const char *name);

/* Those that have expired, in the order of their names. */
void reload_each_expired(struct reload *r,
			 void (*fn)(const struct config_tenant *tenant, void *arg), void *arg);

/* Calls fn whenever files have been dealt with. Once. */
void reload_on_change(struct reload *r, void (*fn)(void *arg), void *arg);

/*
 * Calls fn whenever the whole folder has been read and no other reading is due: first when
 * all tenants of the start are in force, and after each reload_all(). Also when the
 * folder cannot be read, which is logged.
 */
void reload_on_read(struct reload *r, void (*fn)(void *arg), void *arg);

/*
 * Can the file of that name not come into force as it is now? Then why: a sentence, cut to
 * room - 1 bytes. One that was mended and is not read yet can.
 */
bool reload_refused(struct reload *r, const char *name, char *why, size_t room);

/*
 * May a tenant of that name that is not in force have a file all the same? One that is faulty
 * or waits for what others have, or that has not been read yet, as its folder has not: one
 * without any file is not mounted yet, unless somebody has called reload_all().
 */
bool reload_may_come(const struct reload *r, const char *name);

/* The names of all that is in force, in order. */
void reload_each_name(struct reload *r, void (*fn)(const char *name, void *arg), void *arg);

struct reload_counts {
	size_t tenants; /* of the gateway, in force */
	size_t tunnels;
	size_t expired; /* have a file, and are revoked */
	size_t refused; /* files with faults */
	uint64_t revoked; /* since the start */
};

void reload_counts(const struct reload *r, struct reload_counts *out);

#endif
