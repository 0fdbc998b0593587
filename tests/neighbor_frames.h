/* SPDX-License-Identifier: MIT */
/*
 * NDP and ARP frames for tests, written and read the naive way: through the
 * structures of the C library, one field after the other, and with a checksum
 * of its own. Shares nothing with src/neighbor/, so that a mistake there is not
 * made here too.
 */
#ifndef BERTH_TESTS_NEIGHBOR_FRAMES_H
#define BERTH_TESTS_NEIGHBOR_FRAMES_H

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Frames of the tests are short; the rest is room for padding and options. */
struct frame {
	uint8_t data[512];
	size_t len;
};

#define FRAME_ASKER "\x02\x00\x00\x00\x00\x0a"
#define FRAME_US "\x02\x00\x00\x00\x00\x01"

static inline void frame_add(struct frame *f, const void *data, size_t len)
{
	memcpy(f->data + f->len, data, len);
	f->len += len;
}

static inline struct in6_addr frame_in6(const char *text)
{
	struct in6_addr addr;

	if (inet_pton(AF_INET6, text, &addr) != 1)
		abort();
	return addr;
}

/* RFC 1071 as the book has it, over RFC 8200's pseudo header and the message. */
static inline uint16_t frame_icmp6_sum(const struct ip6_hdr *ip, const uint8_t *msg, size_t len)
{
	uint8_t all[40 + 512 + 1] = { 0 };
	uint32_t sum = 0;
	size_t i;

	if (len > 512)
		abort();
	memcpy(all, &ip->ip6_src, 16);
	memcpy(all + 16, &ip->ip6_dst, 16);
	all[34] = (uint8_t)(len >> 8);
	all[35] = (uint8_t)len;
	all[39] = 58;
	memcpy(all + 40, msg, len);
	for (i = 0; i < 40 + len; i += 2)
		sum += (uint32_t)all[i] << 8 | all[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/*
 * Makes the ICMPv6 checksum right for what the IPv6 header at offset ip says,
 * as far as that lies inside the frame.
 */
static inline void frame_seal(struct frame *f, size_t ip)
{
	struct ip6_hdr header;
	uint8_t *msg = f->data + ip + 40;
	uint16_t sum;
	size_t len;

	memcpy(&header, f->data + ip, sizeof(header));
	len = ntohs(header.ip6_plen);
	if (len < 4 || ip + 40 + len > f->len)
		return;
	memset(msg + 2, 0, 2);
	sum = htons(frame_icmp6_sum(&header, msg, len));
	memcpy(msg + 2, &sum, 2);
}

struct frame_ns {
	const char *link_destination; /* 6 bytes; NULL: the group of destination */
	const char *source;
	const char *destination; /* NULL: the solicited-node group of target */
	const char *target;
	bool link_address; /* carry the option */
	bool nonce;        /* likewise, 6 bytes "nonce!" */
	bool tagged;       /* in VLAN 7 */
};

/* A Neighbour Solicitation from FRAME_ASKER. */
static inline void frame_solicitation(struct frame *f, const struct frame_ns *ns)
{
	struct nd_neighbor_solicit msg = { 0 };
	struct ip6_hdr ip = { 0 };
	uint8_t group[6] = { 0x33, 0x33 };
	size_t options = (ns->link_address ? 8 : 0) + (ns->nonce ? 8 : 0);
	size_t ip_at;

	msg.nd_ns_type = 135;
	msg.nd_ns_target = frame_in6(ns->target);
	ip.ip6_vfc = 0x60;
	ip.ip6_nxt = 58;
	ip.ip6_hlim = 255;
	ip.ip6_src = frame_in6(ns->source);
	if (ns->destination) {
		ip.ip6_dst = frame_in6(ns->destination);
	} else {
		ip.ip6_dst = frame_in6("ff02::1:ff00:0");
		memcpy(ip.ip6_dst.s6_addr + 13, msg.nd_ns_target.s6_addr + 13, 3);
	}
	ip.ip6_plen = htons((uint16_t)(sizeof(msg) + options));
	memcpy(group + 2, ip.ip6_dst.s6_addr + 12, 4);

	f->len = 0;
	frame_add(f, ns->link_destination ? (const void *)ns->link_destination : group, 6);
	frame_add(f, FRAME_ASKER, 6);
	if (ns->tagged)
		frame_add(f, "\x81\x00\x00\x07", 4);
	frame_add(f, "\x86\xdd", 2);
	ip_at = f->len;
	frame_add(f, &ip, sizeof(ip));
	frame_add(f, &msg, sizeof(msg));
	if (ns->link_address)
		frame_add(f, "\x01\x01" FRAME_ASKER, 8);
	if (ns->nonce)
		frame_add(f, "\x0e\x01nonce!", 8);
	frame_seal(f, ip_at);
}

struct frame_arp {
	const char *link_destination; /* 6 bytes; NULL: broadcast */
	const char *sender;
	const char *target;
	bool tagged;
};

/* An ARP request from FRAME_ASKER. */
static inline void frame_request(struct frame *f, const struct frame_arp *arp)
{
	struct ether_arp msg = {
		.ea_hdr = { htons(1), htons(0x0800), 6, 4, htons(1) },
	};

	memcpy(msg.arp_sha, FRAME_ASKER, 6);
	if (inet_pton(AF_INET, arp->sender, msg.arp_spa) != 1 ||
	    inet_pton(AF_INET, arp->target, msg.arp_tpa) != 1)
		abort();
	f->len = 0;
	frame_add(f, arp->link_destination ? arp->link_destination : "\xff\xff\xff\xff\xff\xff", 6);
	frame_add(f, FRAME_ASKER, 6);
	if (arp->tagged)
		frame_add(f, "\x81\x00\x00\x07", 4);
	frame_add(f, "\x08\x06", 2);
	frame_add(f, &msg, sizeof(msg));
}

/* A Neighbour Advertisement taken apart. */
struct frame_na {
	uint8_t link_destination[6], link_source[6];
	bool tagged;
	uint16_t tci;
	struct ip6_hdr ip;
	struct nd_neighbor_advert msg;
	uint8_t option[8];
};

/* False unless data is exactly an advertisement with one option and a good checksum. */
static inline bool frame_read_advertisement(const uint8_t *data, size_t len, struct frame_na *na)
{
	size_t at = 12;

	memset(na, 0, sizeof(*na));
	if (len != 86 && len != 90)
		return false;
	memcpy(na->link_destination, data, 6);
	memcpy(na->link_source, data + 6, 6);
	if (len == 90) {
		if (memcmp(data + 12, "\x81\x00", 2) != 0)
			return false;
		na->tagged = true;
		na->tci = (uint16_t)(data[14] << 8 | data[15]);
		at = 16;
	}
	if (memcmp(data + at, "\x86\xdd", 2) != 0)
		return false;
	memcpy(&na->ip, data + at + 2, 40);
	memcpy(&na->msg, data + at + 42, 24);
	memcpy(na->option, data + at + 66, 8);
	return na->ip.ip6_vfc == 0x60 && ntohs(na->ip.ip6_plen) == 32 && na->ip.ip6_nxt == 58 &&
	       na->ip.ip6_hlim == 255 && na->msg.nd_na_type == 136 && na->msg.nd_na_code == 0 &&
	       frame_icmp6_sum(&na->ip, data + at + 42, 32) == 0;
}

/* Reproducible noise (xorshift64). */
static inline uint32_t frame_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

#endif
