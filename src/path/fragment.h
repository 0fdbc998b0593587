/* SPDX-License-Identifier: MIT */
/*
 * IPv4 packets that are larger than a tenant's MTU, and may be cut (RFC 791 §3.2, RFC
 * 1812 §4.2.2.7): a router does that, and it is better done here, inside the tunnel, than
 * outside. The datagrams of an outside that is cut are what firewalls and the NAT of
 * carriers throw away.
 *
 * Pure functions, any thread.
 */
#ifndef BERTH_PATH_FRAGMENT_H
#define BERTH_PATH_FRAGMENT_H

#include "../base/packet.h"

enum { FRAGMENT_MTU_MIN = 68 }; /* RFC 791: the longest header, and 8 bytes */

/* May it be cut? False for IPv6, and for IPv4 with the bit "don't fragment". */
static inline bool fragment_may(const struct inner *in, const uint8_t *packet)
{
	return in->family == AF_INET && !(packet[6] & 0x40);
}

/*
 * Writes the next fragment of an IPv4 packet (in->len bytes at packet, for which
 * fragment_may()), of at most mtu bytes (FRAGMENT_MTU_MIN at least) to out. *done is
 * how many bytes of its payload were written before: 0 for the first. Returns the
 * fragment's length; 0: that was the last, or the header is no good.
 */
size_t fragment_next(uint8_t *out, size_t mtu, const struct inner *in, const uint8_t *packet,
		     size_t *done);

#endif
