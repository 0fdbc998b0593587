/* SPDX-License-Identifier: MIT */
/*
 * Where the fields stand in the headers that are split and coalesced. Packets lie
 * at any alignment, so they are read by offset and never through a struct.
 */
#ifndef BERTH_TUN_INET_H
#define BERTH_TUN_INET_H

#include "../src/base.h"

enum { /* RFC 791 §3.1 */
	IP4_TOS = 1,
	IP4_LEN = 2,
	IP4_ID = 4,
	IP4_FRAG = 6,
	IP4_TTL = 8,
	IP4_PROTO = 9,
	IP4_CHECK = 10,
	IP4_ADDRS = 12,
	IP4_HDR_MIN = 20,
	IP4_DF = 0x4000 /* of the word at IP4_FRAG; all else there is a fragment or reserved */
};

enum { /* RFC 8200 §3 */
	IP6_LEN = 4,
	IP6_NEXT = 6,
	IP6_HOPS = 7,
	IP6_ADDRS = 8,
	IP6_HDR = 40
};

enum { /* RFC 9293 §3.1 */
	TCP_SEQ = 4,
	TCP_ACK_SEQ = 8,
	TCP_DOFF = 12,
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CHECK = 16,
	TCP_URGENT = 18,
	TCP_HDR_MIN = 20,
	TCP_HDR_MAX = 60
};

enum { /* RFC 9293 §3.1, RFC 3168 §6.1 */
	TCP_FLAG_FIN = 0x01,
	TCP_FLAG_SYN = 0x02,
	TCP_FLAG_RST = 0x04,
	TCP_FLAG_PSH = 0x08,
	TCP_FLAG_ACK = 0x10,
	TCP_FLAG_URG = 0x20,
	TCP_FLAG_ECE = 0x40,
	TCP_FLAG_CWR = 0x80
};

enum { /* RFC 768 */
	UDP_LEN = 4,
	UDP_CHECK = 6,
	UDP_HDR = 8
};

/* Length of an IPv4 header as it says itself, 0 to 60. */
static inline size_t ip4_hdr_len(const uint8_t *ip)
{
	return (size_t)(ip[0] & 0x0f) * 4;
}

/* Length of a TCP header as it says itself, 0 to 60. */
static inline size_t tcp_hdr_len(const uint8_t *tcp)
{
	return (size_t)(tcp[TCP_DOFF] >> 4) * 4;
}

#endif
