/* SPDX-License-Identifier: MIT */
/*
 * The ICMP error for a packet that can go nowhere, without which a sender waits for a
 * timeout where nobody will ever answer; and the one for a packet that is too large,
 * without which he sends it again and again. Pure functions, any thread.
 */
#ifndef BERTH_PATH_ICMP_H
#define BERTH_PATH_ICMP_H

#include "../base/packet.h"

enum { ICMP_ERROR_MAX = 1280 }; /* RFC 4443 §2.4 (c); IPv4 takes 576 of it (RFC 1812 §4.3.2.3) */

/*
 * Writes the error "address unreachable" (RFC 4443 §3.1 code 3) or "host
 * unreachable" (RFC 792, code 1) for the packet of len bytes whose header is
 * in. It comes from the address that was asked for: we have no better one, and
 * it passes every reverse path filter. Returns its length, or 0 when none may
 * be sent: for an ICMP error, a fragment but the first, a multicast or unspecified
 * address (RFC 4443 §2.4 (e), RFC 1122 §3.2.2). Rate limiting is the caller's.
 */
size_t icmp_unreachable(uint8_t out[ICMP_ERROR_MAX], const struct inner *in, const uint8_t *packet,
			size_t len);

/*
 * The same for one that must not go there: "administratively prohibited" (RFC 4443 §3.1
 * code 1; RFC 1812 §5.2.7.1, code 13).
 */
size_t icmp_prohibited(uint8_t out[ICMP_ERROR_MAX], const struct inner *in, const uint8_t *packet,
		       size_t len);

/*
 * The same for a packet that is larger than mtu: "packet too big" (RFC 4443 §3.2), or
 * "fragmentation needed" with the MTU of the next hop (RFC 1191 §4).
 */
size_t icmp_too_big(uint8_t out[ICMP_ERROR_MAX], const struct inner *in, const uint8_t *packet,
		    size_t len, uint16_t mtu);

#endif
