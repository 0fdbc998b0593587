/* SPDX-License-Identifier: MIT */
/*
 * The packet socket behind neigh: hears the Neighbour Solicitations and ARP
 * requests of one link and nothing else, because the kernel filters.
 * No state beside the descriptor; any thread.
 */
#ifndef BERTH_NEIGHBOR_RAWSOCK_H
#define BERTH_NEIGHBOR_RAWSOCK_H

#include "../base.h"

/*
 * Opens a non-blocking raw packet socket on the link ifindex of the caller's
 * network namespace. It receives whole Ethernet frames that came in: well
 * addressed (to us, to a group, to all), untagged, ARP request or Neighbour
 * Solicitation by their type fields alone; all further checks are the
 * reader's. Frames are seen before any ingress hook and firewall, and every
 * solicited-node group is received.
 *
 * Returns the descriptor or a negative errno: -EPERM without CAP_NET_RAW,
 * -ENODEV no such link.
 */
must_check int rawsock_open(int ifindex);

/*
 * Is the socket still on the link ifindex? Not once that link was deleted, even
 * if another has its number by now.
 */
must_check bool rawsock_is_bound(int fd, int ifindex);

/* Frames that found the socket's buffer full since the last call. */
uint32_t rawsock_take_drops(int fd);

#endif
