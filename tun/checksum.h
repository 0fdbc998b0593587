/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071), shared by segmentation, coalescing and
 * whoever builds ICMP.
 *
 * A running sum is any number congruent, modulo 0xffff, to the sum of the 16-bit
 * words as they stand in memory. RFC 1071 §2 (B) shows that byte order does not
 * matter as long as it is the same throughout, so no byte is ever swapped: what
 * is folded is stored with memcpy, and a host integer enters as htobe16()/32().
 * A 64-bit sum has room for any packet and any number of headers.
 *
 * Pure functions, any thread.
 */
#ifndef BERTH_TUN_CHECKSUM_H
#define BERTH_TUN_CHECKSUM_H

#include "../src/base.h"

/*
 * @sum plus the @len bytes (below 2^30) at @data, of any alignment. Of the pieces
 * of one sum, only the last may have an odd length (it is padded with a zero).
 */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);

/*
 * The pseudo header for @proto and @len bytes of transport header and payload.
 * @addrs is source and destination as they stand side by side in the IP header:
 * 8 bytes for IPv4 (RFC 9293 §3.1), 32 for IPv6 (RFC 8200 §8.1).
 */
uint64_t checksum_pseudo4(const uint8_t *addrs, uint8_t proto, size_t len);
uint64_t checksum_pseudo6(const uint8_t *addrs, uint8_t proto, size_t len);

/* The sum as 16 bits in memory order; 0 only if every summed byte was 0. */
static inline be16 checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (be16)((sum & 0xffff) + (sum >> 16));
}

/* What goes into a checksum field that counted as zero in @sum. */
static inline be16 checksum_finish(uint64_t sum)
{
	return (be16)~checksum_fold(sum);
}

/* The same for UDP and ICMP-like fields where 0 says "no checksum" (RFC 768). */
static inline be16 checksum_finish_nonzero(uint64_t sum)
{
	be16 sealed = checksum_finish(sum);

	return sealed ? sealed : 0xffff;
}

/* Whether data that was summed with its checksum field in place is intact. */
must_check static inline bool checksum_good(uint64_t sum)
{
	return checksum_fold(sum) == 0xffff;
}

/* A 16-bit field as it stands in memory, to be added to or taken from a sum. */
static inline be16 checksum_load(const void *field)
{
	be16 v;

	memcpy(&v, field, sizeof(v));
	return v;
}

static inline void checksum_store(void *field, be16 v)
{
	memcpy(field, &v, sizeof(v));
}

/* What to add to a sum so that a word already in it counts as zero. */
static inline uint64_t checksum_minus(be16 word)
{
	return (uint16_t)~word;
}

/*
 * Finish a partial checksum, as VIRTIO_NET_HDR_F_NEEDS_CSUM asks (virtio 1.2
 * §5.1.6.2): sum @pkt from @start to @len, where the field at @start + @offset
 * holds the pseudo header's sum, and store the complement there.
 * -EINVAL when the field does not lie inside the packet.
 */
must_check int checksum_complete(uint8_t *pkt, size_t len, size_t start, size_t offset);

#endif
