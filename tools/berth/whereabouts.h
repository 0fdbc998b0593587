/* SPDX-License-Identifier: MIT */
/*
 * Where the tenants and berthd's socket are by a berth.conf that berthd would not take: what
 * ends a tenant must not wait until its faults are mended.
 */
#ifndef BERTH_TOOLS_WHEREABOUTS_H
#define BERTH_TOOLS_WHEREABOUTS_H

#include "../../src/config/router.h"

/*
 * Reads Tenants and Control of the file at path, whatever its other lines are; where they do
 * not stand, or are no good, or there is no such file, *out has the defaults. Nothing else
 * of *out is to be relied on. 0; -ENOMEM; -EACCES: the file is not for us to read.
 */
must_check int whereabouts_read(struct config_router **out, const char *path);

#endif
