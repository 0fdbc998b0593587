/* SPDX-License-Identifier: MIT */
/*
 * berth.conf is read once, at the start: does it say something else by now? Then only a restart
 * brings that into force, and whoever edits it must hear so. Control thread.
 */
#ifndef BERTH_MANAGE_ASREAD_H
#define BERTH_MANAGE_ASREAD_H

#include "../config/router.h"

struct asread {
	struct config_router *router; /* as it is in force */
	uint64_t text;                /* hash of the file; 0: none was read */
};

/*
 * Reads the file at path, and remembers it. As router_read(), but that a file that is being
 * written is waited for. Freed by router_free(a->router).
 */
must_check int asread_start(struct asread *a, const char *path, struct fault_list *faults);

/* Is it, or the key file that it names, another one? Also when it cannot be read any more. */
bool asread_differs(const struct asread *a);

/* Logs that, and what is wrong with it; nothing if it is the same. */
void asread_complain(const struct asread *a);

#endif
