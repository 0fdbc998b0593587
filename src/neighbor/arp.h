/* SPDX-License-Identifier: MIT */
/*
 * ARP as a proxy needs it (RFC 826, RFC 5227): read a request, write the
 * reply, announce an address. Whole Ethernet frames in and out. Pure: no
 * socket, no state, no allocation; any thread.
 */
#ifndef BERTH_NEIGHBOR_ARP_H
#define BERTH_NEIGHBOR_ARP_H

#include "ether.h"

enum {
	ARP_ADDR_LEN = 4,
	ARP_FRAME_MAX = ETHER_HEADER_MAX + 28
};

enum arp_verdict {
	ARP_OK,
	ARP_NOT_REQUEST,      /* something else, and none of our business */
	ARP_ANNOUNCEMENT,     /* sender and target are one: tells, does not ask; RFC 5227 §1.1 */
	ARP_TRUNCATED,        /* ends before its own lengths say */
	ARP_BAD_FORMAT,       /* not Ethernet and IPv4; RFC 826 */
	ARP_BAD_TARGET,       /* cannot be one host's address; RFC 1122 §3.2.1.3 */
	ARP_BAD_SENDER,       /* likewise, and not a probe's 0.0.0.0 */
	ARP_BAD_LINK_ADDRESS, /* the reply would go to a group or to nobody */
	ARP_VERDICTS
};

/* A word for counters and logs, "bad-format"; never NULL. */
const char *arp_verdict_name(enum arp_verdict verdict);

struct arp_request {
	uint8_t target[ARP_ADDR_LEN];
	uint8_t sender[ARP_ADDR_LEN];         /* 0.0.0.0 when is_probe */
	uint8_t link_address[ETHER_ADDR_LEN]; /* the asker's, as the request itself says */
	struct ether_tag tag;
	bool is_probe;   /* is this address taken? RFC 5227 §2.1.1 */
	bool is_unicast; /* sent to us alone: a reachability probe, RFC 1122 §2.3.2.1 */
};

/*
 * Reads the Ethernet frame of len bytes, with a 802.1Q tag or without; padding
 * is allowed. ARP_OK: *out is filled. Otherwise the first check that failed;
 * *out is then undefined. RFC 826 "Packet Reception", RFC 5227 §1.1.
 */
must_check enum arp_verdict arp_parse_request(const uint8_t *frame, size_t len,
					      struct arp_request *out);

/*
 * Writes the reply that request->target is at link_source, to the asker alone.
 * Returns its length, at most ARP_FRAME_MAX; 0 when room (bytes) is too small,
 * and nothing is written. RFC 826; for probes RFC 5227 §2.1.1.
 */
must_check size_t arp_build_reply(uint8_t *frame, size_t room, const struct arp_request *request,
				  const uint8_t link_source[ETHER_ADDR_LEN]);

/*
 * Writes the broadcast that address is at link_source from now on. Returns as
 * arp_build_reply(). RFC 5227 §2.3.
 */
must_check size_t arp_build_announcement(uint8_t *frame, size_t room,
					 const uint8_t address[ARP_ADDR_LEN],
					 const uint8_t link_source[ETHER_ADDR_LEN]);

#endif
