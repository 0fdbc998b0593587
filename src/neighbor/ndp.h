/* SPDX-License-Identifier: MIT */
/*
 * Neighbour Discovery as a proxy needs it (RFC 4861, RFC 4862, RFC 6980):
 * read a Neighbour Solicitation, write the Neighbour Advertisement that
 * answers it. Whole Ethernet frames in and out. Pure: no socket, no state, no
 * allocation; any thread.
 */
#ifndef BERTH_NEIGHBOR_NDP_H
#define BERTH_NEIGHBOR_NDP_H

#include "ether.h"

enum {
	NDP_ADDR_LEN = 16,
	/* IPv6 header, advertisement, target link-layer address option */
	NDP_ADVERTISEMENT_MAX = ETHER_HEADER_MAX + 40 + 24 + 8
};

/*
 * What is wrong with a frame. Each reason counts separately: together they
 * tell an operator whether a neighbour is broken or hostile.
 */
enum ndp_verdict {
	NDP_OK,
	NDP_NOT_SOLICITATION,    /* something else, and none of our business */
	NDP_TRUNCATED,           /* ends before its own headers or lengths say */
	NDP_BAD_VERSION,         /* IPv6 by its EtherType, but not version 6 */
	NDP_FRAGMENT,            /* RFC 6980 §5 */
	NDP_BAD_HOP_LIMIT,       /* not 255: came through a router; §7.1.1 */
	NDP_BAD_LENGTH,          /* ICMPv6 shorter than 24 bytes; §7.1.1 */
	NDP_BAD_CHECKSUM,        /* §7.1.1 */
	NDP_BAD_CODE,            /* not 0; §7.1.1 */
	NDP_BAD_TARGET,          /* a multicast address; §7.1.1 */
	NDP_BAD_OPTION,          /* of length 0, or reaching past the end; §7.1.1 */
	NDP_BAD_DAD_DESTINATION, /* source :: but no solicited-node group; §7.1.1 */
	NDP_BAD_DAD_OPTION,      /* source :: and yet a link-layer address; §7.1.1 */
	NDP_BAD_SOURCE,          /* a multicast address; RFC 4291 §2.7 */
	NDP_BAD_LINK_ADDRESS,    /* the answer would go to a group or to nobody */
	NDP_VERDICTS
};

/* A word for counters and logs, "bad-checksum"; never NULL. */
const char *ndp_verdict_name(enum ndp_verdict verdict);

struct ndp_solicitation {
	uint8_t target[NDP_ADDR_LEN];
	uint8_t source[NDP_ADDR_LEN];          /* :: when is_dad */
	uint8_t link_address[ETHER_ADDR_LEN];  /* the asker's: its option, else the frame's source */
	struct ether_tag tag;
	bool is_dad;     /* duplicate address detection, RFC 4862 §5.4 */
	bool is_unicast; /* sent to one address: a reachability probe, RFC 4861 §7.3 */
	const uint8_t *nonce; /* inside the frame, or NULL; RFC 3971 §5.3.2, RFC 7527 §4 */
	size_t nonce_len;
};

/*
 * Reads the Ethernet frame of len bytes, with a 802.1Q tag or without; padding
 * behind the IPv6 packet is allowed. NDP_OK: *out is filled, and its nonce
 * lives as long as the frame. Otherwise the first check that failed; *out is
 * then undefined. RFC 4861 §7.1.1, RFC 6980 §5.
 *
 * A solicitation behind other extension headers than a fragment header is
 * NDP_NOT_SOLICITATION: no implementation sends one.
 */
must_check enum ndp_verdict ndp_parse_solicitation(const uint8_t *frame, size_t len,
						   struct ndp_solicitation *out);

struct ndp_advertisement {
	uint8_t link_source[ETHER_ADDR_LEN];      /* ours; also the target link-layer address */
	uint8_t link_destination[ETHER_ADDR_LEN];
	struct ether_tag tag;
	uint8_t source[NDP_ADDR_LEN];
	uint8_t destination[NDP_ADDR_LEN];
	uint8_t target[NDP_ADDR_LEN];
	bool router;
	bool solicited;
	bool override;
};

/*
 * Fills *out with the answer to *solicitation, from our hardware address and
 * from the IPv6 address source (of the uplink, or the target itself).
 * RFC 4861 §7.2.4 as §7.2.8 changes it for proxies; the choice of each flag is
 * explained beside it.
 */
void ndp_answer(struct ndp_advertisement *out, const struct ndp_solicitation *solicitation,
		const uint8_t link_source[ETHER_ADDR_LEN], const uint8_t source[NDP_ADDR_LEN]);

/*
 * Fills *out with an unsolicited advertisement to all nodes that target is
 * reached through link_source from now on. RFC 4861 §7.2.6, §7.2.8.
 */
void ndp_announcement(struct ndp_advertisement *out, const uint8_t target[NDP_ADDR_LEN],
		      const uint8_t link_source[ETHER_ADDR_LEN],
		      const uint8_t source[NDP_ADDR_LEN]);

/*
 * Writes the advertisement as an Ethernet frame, checksum included. Returns its
 * length, at most NDP_ADVERTISEMENT_MAX; 0 when room (bytes) is too small,
 * and nothing is written. RFC 4861 §4.4, §4.6.1; RFC 2464 §6.
 */
must_check size_t ndp_build_advertisement(uint8_t *frame, size_t room,
					  const struct ndp_advertisement *advertisement);

#endif
