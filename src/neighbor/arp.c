/* SPDX-License-Identifier: MIT */
/* ARP requests read, replies and announcements written: RFC 826, RFC 5227. */
#include "arp.h"

/* Offsets in the ARP packet of Ethernet and IPv4, RFC 826 "Packet format". */
enum {
	AR_HRD = 0, /* hardware type */
	AR_PRO = 2, /* protocol, by its EtherType */
	AR_HLN = 4, /* length of a hardware address */
	AR_PLN = 5, /* length of a protocol address */
	AR_OP = 6,
	AR_SHA = 8,  /* sender hardware address */
	AR_SPA = 14, /* sender protocol address */
	AR_THA = 18, /* target hardware address */
	AR_TPA = 24, /* target protocol address */
	AR_LEN = 28
};

enum {
	ARP_HARDWARE_ETHERNET = 1,
	ARP_PROTOCOL_IPV4 = 0x0800,
	ARP_OP_REQUEST = 1,
	ARP_OP_REPLY = 2
};

static const uint8_t ether_broadcast[ETHER_ADDR_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t ether_zero[ETHER_ADDR_LEN];
static const uint8_t address_zero[ARP_ADDR_LEN];

const char *arp_verdict_name(enum arp_verdict verdict)
{
	static const char *const names[ARP_VERDICTS] = {
		[ARP_OK] = "ok",
		[ARP_NOT_REQUEST] = "not-request",
		[ARP_ANNOUNCEMENT] = "announcement",
		[ARP_TRUNCATED] = "truncated",
		[ARP_BAD_FORMAT] = "bad-format",
		[ARP_BAD_TARGET] = "bad-target",
		[ARP_BAD_SENDER] = "bad-sender",
		[ARP_BAD_LINK_ADDRESS] = "bad-link-address",
	};

	return (unsigned)verdict < ARP_VERDICTS ? names[verdict] : "unknown";
}

static bool address_equal(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, ARP_ADDR_LEN) == 0;
}

/*
 * May this be the address of one host on a link? This network, loopback,
 * multicast and the limited broadcast may not (RFC 1122 §3.2.1.3). What is
 * left of class E is given the benefit of the doubt: some number hosts from it.
 */
static bool address_is_host(const uint8_t *addr)
{
	static const uint8_t broadcast[ARP_ADDR_LEN] = { 255, 255, 255, 255 };

	return addr[0] != 0 && addr[0] != 127 && (addr[0] & 0xf0) != 224 &&
	       !address_equal(addr, broadcast);
}

/* RFC 826 "Packet Reception", the questions up to "is the opcode REQUEST". */
static enum arp_verdict check_format(const uint8_t *arp, size_t len)
{
	if (len < AR_SHA)
		return ARP_TRUNCATED;
	if (load_be16(arp + AR_OP) != ARP_OP_REQUEST)
		return ARP_NOT_REQUEST;
	if (load_be16(arp + AR_HRD) != ARP_HARDWARE_ETHERNET ||
	    load_be16(arp + AR_PRO) != ARP_PROTOCOL_IPV4 ||
	    arp[AR_HLN] != ETHER_ADDR_LEN || arp[AR_PLN] != ARP_ADDR_LEN)
		return ARP_BAD_FORMAT;
	return len < AR_LEN ? ARP_TRUNCATED : ARP_OK;
}

enum arp_verdict arp_parse_request(const uint8_t *frame, size_t len, struct arp_request *out)
{
	enum arp_verdict verdict;
	struct ether_frame ether;
	const uint8_t *arp;

	if (!ether_parse(frame, len, &ether))
		return ARP_TRUNCATED;
	if (ether.type != ETHER_TYPE_ARP)
		return ARP_NOT_REQUEST;
	arp = frame + ether.len;
	verdict = check_format(arp, len - ether.len);
	if (verdict != ARP_OK)
		return verdict;

	if (!address_is_host(arp + AR_TPA))
		return ARP_BAD_TARGET;
	/*
	 * RFC 5227 §1.1: an announcement wants no answer. That it may be a
	 * conflict with a tenant is for the counters to show.
	 */
	if (address_equal(arp + AR_SPA, arp + AR_TPA))
		return ARP_ANNOUNCEMENT;
	out->is_probe = address_equal(arp + AR_SPA, address_zero);
	if (!out->is_probe && !address_is_host(arp + AR_SPA))
		return ARP_BAD_SENDER;
	/* The reply is sent there: to a group it would be a reflector. */
	if (!ether_is_station(arp + AR_SHA))
		return ARP_BAD_LINK_ADDRESS;

	memcpy(out->target, arp + AR_TPA, ARP_ADDR_LEN);
	memcpy(out->sender, arp + AR_SPA, ARP_ADDR_LEN);
	memcpy(out->link_address, arp + AR_SHA, ETHER_ADDR_LEN);
	out->tag = ether.tag;
	out->is_unicast = !ether_is_group(ether.destination);
	return ARP_OK;
}

/* One end of an ARP packet: who, and where. */
struct arp_party {
	const uint8_t *link_address;
	const uint8_t *address;
};

static size_t build(uint8_t *frame, size_t room, const uint8_t *link_destination,
		    struct ether_tag tag, uint16_t op, struct arp_party sender,
		    struct arp_party target)
{
	uint8_t *arp;

	if (room < ether_header_len(tag) + AR_LEN)
		return 0;
	arp = ether_build(frame, link_destination, sender.link_address, tag, ETHER_TYPE_ARP);
	store_be16(arp + AR_HRD, ARP_HARDWARE_ETHERNET);
	store_be16(arp + AR_PRO, ARP_PROTOCOL_IPV4);
	arp[AR_HLN] = ETHER_ADDR_LEN;
	arp[AR_PLN] = ARP_ADDR_LEN;
	store_be16(arp + AR_OP, op);
	memcpy(arp + AR_SHA, sender.link_address, ETHER_ADDR_LEN);
	memcpy(arp + AR_SPA, sender.address, ARP_ADDR_LEN);
	memcpy(arp + AR_THA, target.link_address, ETHER_ADDR_LEN);
	memcpy(arp + AR_TPA, target.address, ARP_ADDR_LEN);
	return (size_t)(arp - frame) + AR_LEN;
}

size_t arp_build_reply(uint8_t *frame, size_t room, const struct arp_request *request,
		       const uint8_t link_source[ETHER_ADDR_LEN])
{
	/* "Swap hardware and protocol fields", RFC 826. */
	struct arp_party us = { link_source, request->target };
	struct arp_party asker = { request->link_address, request->sender };

	return build(frame, room, request->link_address, request->tag, ARP_OP_REPLY, us, asker);
}

size_t arp_build_announcement(uint8_t *frame, size_t room, const uint8_t address[ARP_ADDR_LEN],
			      const uint8_t link_source[ETHER_ADDR_LEN])
{
	/* A request and not a reply: RFC 5227 §3 says why. */
	struct arp_party us = { link_source, address };
	struct arp_party nobody = { ether_zero, address };

	return build(frame, room, ether_broadcast, (struct ether_tag){ 0 }, ARP_OP_REQUEST, us,
		     nobody);
}
