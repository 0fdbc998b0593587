/* SPDX-License-Identifier: MIT */
/* The next free address, by a rule that gives a name the same one each time. Pure. */
#ifndef BERTH_TOOLS_FREEADDRESS_H
#define BERTH_TOOLS_FREEADDRESS_H

#include "../../src/base/prefix.h"

/* Orders ranges by family, then by their first address; for qsort(). */
int freeaddress_compare(const void *a, const void *b);

/*
 * A free address in pool for the tenant of that name, as a /32 or /128. The search
 * begins where a hash of the name points, and goes on from there, at the end of the pool
 * from its beginning: so a tenant that is revoked and added again has its address
 * back if nobody else took it, and two gateways of one prefix agree.
 *
 * taken are n ranges in the order of freeaddress_compare(); they may overlap. Never given
 * are the first address of a pool (RFC 4291 §2.6.1: all routers of the link
 * answer to it) and the last one of an IPv4 pool (RFC 919: broadcast), except where a
 * pool has no more than two addresses.
 *
 * 0; -ENOSPC: every address is taken. Any thread.
 */
must_check int freeaddress_find(const struct prefix *pool, const struct prefix *taken, size_t n,
				const char *name, struct prefix *out);

#endif
