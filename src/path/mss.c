/* SPDX-License-Identifier: MIT */
/* The MSS option of TCP. */
#include "mss.h"

#include "../../tun/checksum.h"

enum {
	TCP_HEADER_MIN = 20,
	TCP_CHECKSUM_AT = 16,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_MSS_LEN = 4,
	IPV4_FRAGMENT = 0x3fff, /* more fragments, or an offset */
	EXTENSION_MIN = 8
};

/* Where the TCP header stands; 0: there is none that could be read. */
static size_t find_tcp4(const uint8_t *p)
{
	size_t ihl = (size_t)(p[0] & 15) * 4;

	if (ihl < IPV4_HEADER_MIN || p[9] != IPPROTO_TCP || load_be16(p + 6) & IPV4_FRAGMENT)
		return 0;
	return ihl;
}

/*
 * Behind the extension headers (RFC 8200 §4). One of them grows by 8 bytes at least, so
 * the packet's length bounds the walk. A fragment header ends it: what is a fragment, or
 * says that it is one, is left alone.
 */
static size_t find_tcp6(const uint8_t *p, size_t len)
{
	size_t at = IPV6_HEADER_LEN;
	uint8_t next = p[6];

	while (next != IPPROTO_TCP) {
		if (at + EXTENSION_MIN > len)
			return 0;
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
		case IPPROTO_ROUTING:
			next = p[at];
			at += ((size_t)p[at + 1] + 1) * 8;
			break;
		case IPPROTO_AH: /* counts in other units: RFC 4302 §2.2 */
			next = p[at];
			at += ((size_t)p[at + 1] + 2) * 4;
			break;
		default:
			return 0;
		}
	}
	return at;
}

/* A word at an odd place adds to the sum with its bytes swapped (RFC 1071 §2 (B)). */
static be16 as_summed(be16 word, size_t at)
{
	return at & 1 ? (be16)(word << 8 | word >> 8) : word;
}

/* Replaces the option's value at tcp + at. */
static void lower(uint8_t *tcp, size_t at, uint16_t mss)
{
	uint64_t sum = (be16)~checksum_load(tcp + TCP_CHECKSUM_AT);

	/* HC' = ~(~HC + ~m + m') (RFC 1624 §3) */
	sum += checksum_minus(as_summed(checksum_load(tcp + at), at));
	store_be16(tcp + at, mss);
	sum += as_summed(checksum_load(tcp + at), at);
	checksum_store(tcp + TCP_CHECKSUM_AT, checksum_finish(sum));
}

/* All of them: which of two a receiver believes, nobody knows. */
static bool lower_options(uint8_t *tcp, size_t end, uint16_t mss)
{
	bool lowered = false;
	size_t at = TCP_HEADER_MIN;

	while (at < end && tcp[at] != OPTION_END) {
		size_t len = 1;

		if (tcp[at] != OPTION_NOP) {
			if (at + 2 > end || tcp[at + 1] < 2 || at + tcp[at + 1] > end)
				break;
			len = tcp[at + 1];
		}
		if (tcp[at] == OPTION_MSS && len == OPTION_MSS_LEN &&
		    load_be16(tcp + at + 2) > mss) {
			lower(tcp, at + 2, mss);
			lowered = true;
		}
		at += len;
	}
	return lowered;
}

bool mss_clamp(const struct inner *in, uint8_t *packet, uint16_t mtu)
{
	bool ip4 = in->family == AF_INET;
	size_t headers = (ip4 ? IPV4_HEADER_MIN : IPV6_HEADER_LEN) + TCP_HEADER_MIN;
	size_t l4 = ip4 ? find_tcp4(packet) : find_tcp6(packet, in->len);
	uint8_t *tcp = packet + l4;
	size_t tcp_len;

	if (!l4 || l4 + TCP_HEADER_MIN > in->len || mtu <= headers)
		return false;
	tcp_len = (size_t)(tcp[12] >> 4) * 4;
	if (!(tcp[TCP_FLAGS_AT] & TCP_SYN) || tcp_len < TCP_HEADER_MIN || l4 + tcp_len > in->len)
		return false;
	return lower_options(tcp, tcp_len, (uint16_t)(mtu - headers));
}
