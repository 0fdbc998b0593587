/* SPDX-License-Identifier: MIT */
/*
 * Inner packets: what the router reads of an IP header, with every length
 * checked against the bytes that are really there.
 */
#ifndef BERTH_BASE_PACKET_H
#define BERTH_BASE_PACKET_H

#include <sys/socket.h>

#include "../base.h"

enum {
	IPV4_HEADER_MIN = 20,
	IPV6_HEADER_LEN = 40,
	ECN_MASK = 3,
	ECN_NOT_ECT = 0,
	ECN_CE = 3
};

/* A view of an inner packet; the addresses point into it, network order. */
struct inner {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t ecn;    /* RFC 3168: the two low bits of TOS or traffic class */
	size_t len;     /* what the IP header claims, never more than there is */
	const uint8_t *src;
	const uint8_t *dst;
};

/*
 * Reads version, lengths and addresses. @len may exceed the packet's own
 * length by WireGuard's padding. Sums are made in size_t: an IPv6 payload
 * length of 65,496 and above would overflow 16 bits.
 * false: not an IP packet, or shorter than it claims.
 */
must_check static inline bool inner_parse(struct inner *in, const uint8_t *data, size_t len)
{
	if (len >= IPV4_HEADER_MIN && data[0] >> 4 == 4) {
		in->family = AF_INET;
		in->len = load_be16(data + 2);
		in->ecn = data[1] & ECN_MASK;
		in->src = data + 12;
		in->dst = data + 16;
		return in->len >= IPV4_HEADER_MIN && in->len <= len;
	}
	if (len >= IPV6_HEADER_LEN && data[0] >> 4 == 6) {
		in->family = AF_INET6;
		in->len = (size_t)load_be16(data + 4) + IPV6_HEADER_LEN;
		in->ecn = data[1] >> 4 & ECN_MASK;
		in->src = data + 8;
		in->dst = data + 24;
		return in->len <= len;
	}
	return false;
}

/*
 * Marks congestion experienced on an ECN-capable packet, and leaves one that
 * is not capable alone (RFC 6040 §4.2, as the kernel's WireGuard does it).
 * The IPv4 header checksum is kept right (RFC 1624).
 */
static inline void inner_set_ce(const struct inner *in, uint8_t *data)
{
	uint32_t sum;
	uint8_t old;

	if (in->ecn == ECN_NOT_ECT || in->ecn == ECN_CE)
		return;
	if (in->family == AF_INET6) {
		data[1] |= ECN_CE << 4;
		return;
	}
	old = data[1];
	data[1] |= ECN_CE;
	/* HC' = ~(~HC + ~m + m'), the changed word being version, IHL and TOS */
	sum = (uint16_t)~load_be16(data + 10) + (uint16_t)~(data[0] << 8 | old) +
	      (uint32_t)(data[0] << 8 | data[1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	store_be16(data + 10, (uint16_t)~sum);
}

#endif
