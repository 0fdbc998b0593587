/* SPDX-License-Identifier: MIT */
/*
 * The Ethernet header under NDP and ARP, plain or with one 802.1Q tag in
 * line. Pure; any thread.
 *
 * A tag that is read is written again into the answer: whoever asked inside a
 * VLAN listens there.
 */
#ifndef BERTH_NEIGHBOR_ETHER_H
#define BERTH_NEIGHBOR_ETHER_H

#include "../base.h"

enum {
	ETHER_ADDR_LEN = 6,
	ETHER_HEADER_LEN = 14,
	ETHER_TAG_LEN = 4,
	ETHER_HEADER_MAX = ETHER_HEADER_LEN + ETHER_TAG_LEN
};

enum {
	ETHER_TYPE_ARP = 0x0806,
	ETHER_TYPE_VLAN = 0x8100, /* IEEE 802.1Q */
	ETHER_TYPE_IPV6 = 0x86dd
};

struct ether_tag {
	bool present;
	uint16_t tci; /* priority, drop eligible, VLAN; host order */
};

struct ether_frame {
	const uint8_t *destination; /* 6 bytes inside the frame */
	const uint8_t *source;      /* likewise */
	struct ether_tag tag;
	uint16_t type;   /* of what follows, behind a tag; host order */
	size_t len;      /* of the header: 14, or 18 with a tag */
};

/* A broadcast or multicast address: nobody's own, so never a sender's. */
static inline bool ether_is_group(const uint8_t addr[ETHER_ADDR_LEN])
{
	return addr[0] & 1;
}

/* Can addr be the address of one station: neither a group nor all zero? */
static inline bool ether_is_station(const uint8_t addr[ETHER_ADDR_LEN])
{
	static const uint8_t zero[ETHER_ADDR_LEN];

	return !ether_is_group(addr) && memcmp(addr, zero, sizeof(zero)) != 0;
}

/* Reads the header of frame into out; false when the frame ends inside it. */
static inline must_check bool ether_parse(const uint8_t *frame, size_t len,
					  struct ether_frame *out)
{
	if (len < ETHER_HEADER_LEN)
		return false;
	out->destination = frame;
	out->source = frame + ETHER_ADDR_LEN;
	out->tag = (struct ether_tag){ 0 };
	out->type = load_be16(frame + 12);
	out->len = ETHER_HEADER_LEN;
	if (out->type != ETHER_TYPE_VLAN)
		return true;

	if (len < ETHER_HEADER_MAX)
		return false;
	out->tag.present = true;
	out->tag.tci = load_be16(frame + 14);
	out->type = load_be16(frame + 16);
	out->len = ETHER_HEADER_MAX;
	return true;
}

/* Bytes that ether_build() writes. */
static inline size_t ether_header_len(struct ether_tag tag)
{
	return tag.present ? ETHER_HEADER_MAX : ETHER_HEADER_LEN;
}

/*
 * Writes a header of ether_header_len(tag) bytes to frame, which must have the
 * room. Returns the place behind it.
 */
static inline uint8_t *ether_build(uint8_t *frame, const uint8_t destination[ETHER_ADDR_LEN],
				   const uint8_t source[ETHER_ADDR_LEN], struct ether_tag tag,
				   uint16_t type)
{
	memcpy(frame, destination, ETHER_ADDR_LEN);
	memcpy(frame + ETHER_ADDR_LEN, source, ETHER_ADDR_LEN);
	frame += 2 * ETHER_ADDR_LEN;
	if (tag.present) {
		store_be16(frame, ETHER_TYPE_VLAN);
		store_be16(frame + 2, tag.tci);
		frame += ETHER_TAG_LEN;
	}
	store_be16(frame, type);
	return frame + 2;
}

#endif
