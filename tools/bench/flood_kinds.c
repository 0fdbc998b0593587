/* SPDX-License-Identifier: MIT */
/* The kinds of floods, from what nobody could take for WireGuard to what a tenant has sent. */
#include "../../tun/checksum.h"
#include "crowd.h"
#include "flood.h"
#include "load.h"

enum {
	UDP_HEADER_LEN = 8,
	NS_LEN = 24 + 8, /* with the asker's hardware address */
	ARP_LEN = 28,
	FRAGMENT_PAYLOAD = 512,
	STRANGER = 1 << 30, /* numbers of crowd members from here on: nobody's keys */
	OLD_S = 3600
};

#define FIRST_ASKER4 UINT32_C(0xc6130000) /* 198.19.0.0 */

/* Handshake messages */

static size_t send_pool(struct flood *f, uint8_t *out, size_t len)
{
	memcpy(out, f->pool[flood_random(f) % f->n_pool], len);
	return len;
}

static size_t bad_mac1(struct flood *f, uint8_t *out)
{
	flood_random_bytes(f, out, sizeof(struct message_initiation));
	store_le32(out, MESSAGE_INITIATION);
	return sizeof(struct message_initiation);
}

/* Random bytes with a mac1 that is right. */
static void prepare_macs(struct flood *f, uint32_t type, size_t len)
{
	struct cookie_maker maker;

	cookie_maker_init(&maker, f->key);
	for (f->n_pool = 0; f->n_pool < FLOOD_POOL; f->n_pool++) {
		flood_random_bytes(f, f->pool[f->n_pool], len);
		store_le32(f->pool[f->n_pool], type);
		cookie_add_macs(&maker, f->pool[f->n_pool], len, load_now());
	}
}

static void prepare_garbage(struct flood *f)
{
	prepare_macs(f, MESSAGE_INITIATION, sizeof(struct message_initiation));
}

static void prepare_response(struct flood *f)
{
	prepare_macs(f, MESSAGE_RESPONSE, sizeof(struct message_response));
}

static void prepare_stranger(struct flood *f)
{
	struct member m;

	for (f->n_pool = 0; f->n_pool < FLOOD_POOL; f->n_pool++) {
		crowd_member(&m, STRANGER + f->n_pool, f->key, NULL);
		crowd_initiation(&m, 0, (struct message_initiation *)f->pool[f->n_pool]);
	}
}

/* One message of a tenant, of an hour ago. */
static void prepare_replay(struct flood *f)
{
	struct message_initiation msg;
	struct member m;

	crowd_member(&m, f->tenant, f->key, NULL);
	crowd_initiation(&m, -OLD_S, &msg);
	memcpy(f->pool[f->n_pool++], &msg, sizeof(msg));
}

/* Its mac2 is wrong, not missing: that is to be found out first. */
static size_t initiation(struct flood *f, uint8_t *out)
{
	size_t len = send_pool(f, out, sizeof(struct message_initiation));

	flood_random_bytes(f, out + len - MAC_LEN, MAC_LEN);
	return len;
}

static size_t response(struct flood *f, uint8_t *out)
{
	return send_pool(f, out, sizeof(struct message_response));
}

static size_t cookie(struct flood *f, uint8_t *out)
{
	flood_random_bytes(f, out, sizeof(struct message_cookie_reply));
	store_le32(out, MESSAGE_COOKIE_REPLY);
	if (f->n_indices)
		store_le32(out + offsetof(struct message_cookie_reply, receiver_index),
			   f->indices[flood_random(f) % f->n_indices]);
	return sizeof(struct message_cookie_reply);
}

/* Data */

static size_t data(struct flood *f, uint8_t *out)
{
	flood_random_bytes(f, out, f->size);
	store_le32(out, MESSAGE_DATA);
	if (f->n_indices)
		store_le32(out + offsetof(struct message_data, receiver_index),
			   f->indices[flood_random(f) % f->n_indices]);
	return f->size;
}

/* Any type but ours, any length but none. */
static size_t malformed(struct flood *f, uint8_t *out)
{
	size_t len = 4 + flood_random(f) % (f->size - 3);

	flood_random_bytes(f, out, len);
	out[3] |= 0x80;
	return len;
}

/* Neighbours */

/* One of three: the machine itself, a tenant of scale.c, nobody. */
static void ask_target(struct flood *f, uint8_t out[16])
{
	uint32_t number = (uint32_t)(flood_random(f) % f->targets) + 1;

	if (f->source % 3 == 0) {
		memcpy(out, f->to, 16);
		return;
	}
	memcpy(out, f->prefix, 16);
	store_be16(out + 10, f->source % 3 == 1 ? 1 : 0xdead);
	store_be32(out + 12, number);
	if (f->source % 3 == 1)
		store_be32(out + 10, 0x10000 | number >> 16);
}

static void link_address_of(const struct flood *f, uint8_t out[ETHER_ADDR_LEN])
{
	memcpy(out, (uint8_t[]){ 0x02, 0xf1 }, 2);
	store_be32(out + 2, f->source);
}

/* Not inlined: gcc 12 with sanitizers takes the frame for an array of no bytes otherwise. */
static __attribute__((noinline)) uint8_t *link_header(uint8_t *out,
						      const uint8_t to[ETHER_ADDR_LEN],
						      const uint8_t from[ETHER_ADDR_LEN],
						      uint16_t type)
{
	return ether_build(out, to, from, (struct ether_tag){ 0 }, type);
}

/* RFC 4861 §4.3, from as many neighbours as there are sources, each of whom could be one. */
static size_t solicitation(struct flood *f, uint8_t *out)
{
	uint8_t group[ETHER_ADDR_LEN] = { 0x33, 0x33, 0xff }, mac[ETHER_ADDR_LEN], target[16];
	uint8_t *ip, *icmp;

	ask_target(f, target);
	link_address_of(f, mac);
	memcpy(group + 3, target + 13, 3);
	ip = link_header(out, group, mac, ETHER_TYPE_IPV6);
	memset(ip, 0, 40 + NS_LEN);
	ip[0] = 0x60;
	store_be16(ip + 4, NS_LEN);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 8, (uint8_t[]){ 0xfe, 0x80, [11] = 0xf1 }, 12);
	store_be32(ip + 20, f->source);
	memcpy(ip + 24, (uint8_t[]){ 0xff, 2, [11] = 1, 0xff }, 13);
	memcpy(ip + 37, target + 13, 3);
	icmp = ip + 40;
	icmp[0] = 135;
	memcpy(icmp + 8, target, 16);
	icmp[24] = 1;
	icmp[25] = 1;
	memcpy(icmp + 26, mac, ETHER_ADDR_LEN);
	checksum_store(icmp + 2, checksum_finish(checksum_add(
		checksum_pseudo6(ip + 8, IPPROTO_ICMPV6, NS_LEN), icmp, NS_LEN)));
	return ETHER_HEADER_LEN + 40 + NS_LEN;
}

/* RFC 826. */
static size_t arp(struct flood *f, uint8_t *out)
{
	uint8_t all[ETHER_ADDR_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t mac[ETHER_ADDR_LEN], *p;

	link_address_of(f, mac);
	p = link_header(out, all, mac, ETHER_TYPE_ARP);
	memcpy(p, (uint8_t[]){ 0, 1, 8, 0, ETHER_ADDR_LEN, 4, 0, 1 }, 8);
	memcpy(p + 8, mac, ETHER_ADDR_LEN);
	store_be32(p + 14, FIRST_ASKER4 + f->source);
	memset(p + 18, 0, ETHER_ADDR_LEN);
	memcpy(p + 24, f->source % 3 ? f->prefix : f->to, 4);
	if (f->source % 3)
		p[27] = (uint8_t)flood_random(f);
	return ETHER_HEADER_LEN + ARP_LEN;
}

/* What comes for addresses that nobody has */

static size_t unknown(struct flood *f, uint8_t *out)
{
	size_t len = UDP_HEADER_LEN + f->size;
	uint8_t addr[16], *udp;

	memcpy(addr, f->prefix, sizeof(addr));
	if (f->ipv6)
		store_be32(addr + 12, 0xf1000000 + (uint32_t)(flood_random(f) % f->targets));
	else
		addr[3] = (uint8_t)flood_random(f);
	udp = flood_headers(f, out, addr, IPPROTO_UDP, len);
	memset(udp + UDP_HEADER_LEN, 0, f->size);
	flood_udp(f, udp, f->size, f->port);
	return flood_headers_len(f) + len;
}

/* First pieces of datagrams whose other pieces never come. */
static size_t fragment(struct flood *f, uint8_t *out)
{
	size_t extra = f->ipv6 ? 8 : 0, len = extra + FRAGMENT_PAYLOAD;
	uint8_t *p = flood_headers(f, out, NULL, f->ipv6 ? IPPROTO_FRAGMENT : IPPROTO_UDP, len);

	if (f->ipv6) { /* RFC 8200 §4.5 */
		memcpy(p, (uint8_t[]){ IPPROTO_UDP, 0, 0, 1 }, 4);
		store_be32(p + 4, (uint32_t)flood_random(f));
	} else {
		uint8_t *ip = p - 20;

		store_be16(ip + 4, (uint16_t)flood_random(f));
		ip[6] = 0x20;
		memset(ip + 10, 0, 2);
		checksum_store(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
	}
	flood_random_bytes(f, p + extra, FRAGMENT_PAYLOAD);
	store_be16(p + extra + 2, f->port);
	store_be16(p + extra + 4, 2 * FRAGMENT_PAYLOAD);
	return flood_headers_len(f) + len;
}

const struct flood_kind flood_kinds[] = {
	{ .name = "bad-mac1", .what = "initiations with a wrong mac1", .datagram = bad_mac1 },
	{ .name = "garbage", .what = "initiations of random bytes with a right mac1", .key = true,
	  .prepare = prepare_garbage, .datagram = initiation },
	{ .name = "stranger", .what = "initiations of keys that no tenant has", .key = true,
	  .prepare = prepare_stranger, .datagram = initiation },
	{ .name = "replay", .what = "an old initiation of a tenant", .key = true, .tenant = true,
	  .prepare = prepare_replay, .datagram = initiation },
	{ .name = "response", .what = "responses with a right mac1 to nobody", .key = true,
	  .prepare = prepare_response, .datagram = response },
	{ .name = "cookie", .what = "cookie replies to nobody", .datagram = cookie },
	{ .name = "cookie-live", .what = "cookie replies to sessions that live",
	  .prepare = flood_listen, .datagram = cookie },
	{ .name = "data", .what = "data with random indices", .datagram = data },
	{ .name = "data-live", .what = "data with live indices and bad tags",
	  .prepare = flood_listen, .datagram = data },
	{ .name = "malformed", .what = "datagrams of no type of WireGuard's",
	  .datagram = malformed },
	{ .name = "ns", .what = "neighbour solicitations: the machine's, tenants', nobody's",
	  .prefix = true, .frame = solicitation },
	{ .name = "arp", .what = "ARP requests, likewise", .prefix = true, .frame = arp },
	{ .name = "unknown", .what = "datagrams for addresses that nobody has", .prefix = true,
	  .frame = unknown },
	{ .name = "fragment", .what = "first fragments without the others", .frame = fragment }
};

const size_t flood_n_kinds = ARRAY_SIZE(flood_kinds);
