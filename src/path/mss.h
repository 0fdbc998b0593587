/* SPDX-License-Identifier: MIT */
/*
 * The MSS of TCP, held to what a tunnel carries: for paths on which the ICMP error
 * that would say so never arrives.
 *
 * Both ends of a connection say in their SYN what they want to be sent (RFC 9293 §3.7.1).
 * Whoever is on the way may lower it, and never raises it. What a SYN does not say is
 * not said for it: without the option 536 and 1,220 bytes hold, which any tunnel carries.
 *
 * Pure functions, any thread.
 */
#ifndef BERTH_PATH_MSS_H
#define BERTH_PATH_MSS_H

#include <netinet/in.h>

#include "../base/packet.h"

enum { TCP_FLAGS_AT = 13, TCP_SYN = 2 };

/*
 * May that be a SYN? Cheap, and no for nearly every packet: all others need not be
 * looked at. IPv6 with an extension header may be anything.
 */
static inline bool mss_may_be_syn(const struct inner *in, const uint8_t *packet)
{
	size_t l4 = in->family == AF_INET ? (size_t)(packet[0] & 15) * 4 : IPV6_HEADER_LEN;

	if (in->family == AF_INET6 && packet[6] != IPPROTO_TCP)
		return packet[6] == IPPROTO_HOPOPTS || packet[6] == IPPROTO_DSTOPTS ||
		       packet[6] == IPPROTO_ROUTING || packet[6] == IPPROTO_AH;
	if (in->family == AF_INET && packet[9] != IPPROTO_TCP)
		return false;
	return l4 + TCP_FLAGS_AT < in->len && packet[l4 + TCP_FLAGS_AT] & TCP_SYN;
}

/*
 * Lowers the MSS of a SYN or SYN/ACK to what fits into mtu bytes, headers without options
 * included (RFC 6691 §2), and mends the checksum by the difference (RFC 1624): one that
 * was wrong stays wrong. packet is what in was parsed from. Left alone: fragments, and
 * headers or options that do not hold together. True: something was lowered.
 */
bool mss_clamp(const struct inner *in, uint8_t *packet, uint16_t mtu);

#endif
