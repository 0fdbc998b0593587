/* SPDX-License-Identifier: MIT */
/* Files that the router reaches, by Landlock where the kernel has it. */
#ifndef BERTH_MANAGE_PRIVS_FILES_H
#define BERTH_MANAGE_PRIVS_FILES_H

#include "../config/router.h"

/* Makes the folders that the router writes in, as a rule needs something to be about. */
void privs_files_make(const struct config_router *router);

/*
 * Denies the calling thread, and those it makes, all files but the router's. Without
 * Landlock it says so in the log, once. 0 or -errno.
 */
must_check int privs_files_router(const struct config_router *router);

/* The same for a drop-in: the TUN device and the folder of its socket. */
must_check int privs_files_dropin(void);

/* The same for look-ups of names: reading the system's settings, libraries and /run. */
must_check int privs_files_lookup(void);

#endif
