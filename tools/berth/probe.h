/* SPDX-License-Identifier: MIT */
/* Finding out whether the uplink's router asks for each address of the prefix. */
#ifndef BERTH_TOOLS_PROBE_H
#define BERTH_TOOLS_PROBE_H

#include "decide.h"

/*
 * Listens on the link for seconds, or until something is heard of an address in one of
 * the n prefixes that is not this machine's own. Meanwhile it asks the world, once a
 * second, for an answer to stranger, an address there that nobody has (NULL: does not): the
 * router that has such an answer must either ask who has that address (RFC 4861 §7.2.2), or
 * have a route to us. Nothing is changed on this machine. Needs CAP_NET_RAW.
 * 0 or -errno.
 */
must_check int probe_listen(enum heard *heard, const struct netlink_link *link,
			    const struct prefix *prefixes, size_t n, const struct machine *m,
			    const struct prefix *stranger, unsigned seconds);

#endif
