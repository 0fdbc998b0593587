/* SPDX-License-Identifier: MIT */
/* Inner packets: what they claim, where they come from (paper §2, §3), ECN (RFC 6040). */
#include "cases.h"

#include <netinet/in.h>

#include "../../src/base/packet.h"
#include "../packets.h"

enum { PACKET = 200 };

/* More or fewer bytes behind the packet than padding would have, zero or not. */
static void padding(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t plain[PACKET + 64];

	for (unsigned i = 0; m->ready && i < 6; i++) {
		int version = dice(p, 2) ? IP4 : IP6;
		size_t len = 40 + dice(p, PACKET - 40), more = dice(p, 64);

		lay(p, version, 1, plain, len);
		if (dice(p, 2))
			dice_bytes(p, plain + len, more);
		else
			memset(plain + len, 0, more);
		seal(p, m, m->next++, plain, len + more);
		post(p);
		p->want_rx += p->letter.len;
		want_tun(p, plain, len);
	}
	fence_data(p, m);
}

static void send_claim(struct play *p, struct meeting *m, const uint8_t *plain, size_t len,
		       size_t claim)
{
	send_packet(p, m, plain, len, false);
	if (claim <= len)
		want_tun(p, plain, claim);
}

/* IPv4: total lengths that are not those of the packet. */
static void claims4(struct play *p)
{
	static const uint16_t odd[] = { 0, 1, 4, 19, 20, 21, PACKET - 1, PACKET + 1, PACKET + 15,
					PACKET + 16, 0x7fff, 0x8000, 0xffff };
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];
	uint16_t claim = dice(p, 3) ? odd[p->turn % ARRAY_SIZE(odd)] : (uint16_t)dice(p, 300);

	lay(p, IP4, 1, plain, sizeof(plain));
	store_be16(plain + 2, claim);
	sum_ip4(plain);
	send_claim(p, m, plain, sizeof(plain), claim < 20 ? SIZE_MAX : claim);
	fence_data(p, m);
}

/* IPv6: payload lengths likewise, up to where the sum no longer fits 16 bits. */
static void claims6(struct play *p)
{
	static const uint16_t odd[] = { 0, 1, PACKET - 40 - 1, PACKET - 40 + 1, PACKET - 40,
					0x7fff, 0xffd7, 0xffff, 0xffd9, 0xfff0 };
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];
	uint16_t field = dice(p, 3) ? odd[p->turn % ARRAY_SIZE(odd)] : (uint16_t)dice(p, 300);
	size_t claim = (size_t)field + 40;

	lay(p, IP6, 1, plain, sizeof(plain));
	store_be16(plain + 4, field);
	if (claim > 0xffff && deviates(p, DIFF_WRAP))
		claim &= 0xffff;
	send_claim(p, m, plain, sizeof(plain), claim);
	fence_data(p, m);
}

/* Only 4 and 6 are versions. */
static void versions(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];
	uint8_t version = p->turn % 16;

	lay(p, version == 6 ? IP6 : IP4, 1, plain, sizeof(plain));
	plain[0] = (uint8_t)(version << 4 | (plain[0] & 15));
	send_packet(p, m, plain, sizeof(plain), version == 4 || version == 6);
	fence_data(p, m);
}

/* The length of an IPv4 header is the receiving machine's affair: nothing may be read by it. */
static void header_lengths(struct play *p)
{
	static const uint8_t protocols[] = { 253, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];
	size_t len = 20 + dice(p, PACKET - 20);

	lay(p, IP4, 1, plain, len);
	plain[0] = (uint8_t)(0x40 | p->turn % 16);
	plain[9] = protocols[p->turn / 16 % ARRAY_SIZE(protocols)];
	/* No SYN: those are the mss cases. */
	if (plain[9] == IPPROTO_TCP)
		memset(plain + 20, 0, len - 20);
	send_packet(p, m, plain, len, true);
	fence_data(p, m);
}

/* IPv4 sources: of the peer's own network, of others, of nobody. */
static void sources4(struct play *p)
{
	uint8_t other = (uint8_t)((p->peer->number + 1) % PEERS);
	uint8_t own = (uint8_t)p->peer->number;
	const uint8_t from[][4] = { { 10, 8, own, 0 }, { 10, 8, own, 255 }, { 10, 8, other, 1 },
				    { 10, 9, own, 1 }, { 0, 0, 0, 0 }, { 255, 255, 255, 255 },
				    { 127, 0, 0, 1 }, { 224, 0, 0, 1 }, { 10, 8, 250, 1 },
				    { 10, 8, own, 77 }, { 11, 8, own, 1 }, { 8, 10, 1, own } };
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];

	for (unsigned i = 0; i < ARRAY_SIZE(from); i++) {
		lay(p, IP4, 1, plain, sizeof(plain));
		memcpy(plain + 12, from[i], 4);
		sum_ip4(plain);
		send_packet(p, m, plain, sizeof(plain), !memcmp(from[i], from[0], 3));
	}
	fence_data(p, m);
}

static void sources6(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];

	for (unsigned i = 0; i < 9; i++) {
		bool good = i < 3;

		lay(p, IP6, 1, plain, sizeof(plain));
		if (i == 1 || i == 2) /* the whole /64 is its own */
			memset(plain + 16, i == 1 ? 0 : 0xff, 8);
		else if (i == 3) /* one bit beyond it */
			plain[15] ^= 0x80;
		else if (i == 4) /* each of the bits before it */
			plain[dice(p, 8) + 8] ^= (uint8_t)(1u << dice(p, 8));
		else if (i >= 5) /* ::, ::1, mapped, link-local */
			memset(plain + 8, 0, 16);
		if (i == 6)
			plain[23] = 1;
		if (i == 7) {
			memset(plain + 18, 0xff, 2);
			memcpy(plain + 20, (uint8_t[]){ 10, 8, (uint8_t)p->peer->number, 1 }, 4);
		}
		if (i == 8)
			memcpy(plain + 8, (uint8_t[]){ 0xfe, 0x80 }, 2);
		send_packet(p, m, plain, sizeof(plain), good);
	}
	fence_data(p, m);
}

/* Where a packet goes is the machine's affair, who sends it ours. */
static void destinations(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];

	for (unsigned i = 0; i < 8; i++) {
		int version = dice(p, 2) ? IP4 : IP6;
		size_t at = version == IP4 ? 16 : 24, len = version == IP4 ? 4 : 16;

		lay(p, version, 1, plain, sizeof(plain));
		switch (dice(p, 4)) {
		case 0:
			memset(plain + at, 0, len);
			break;
		case 1:
			memset(plain + at, 0xff, len);
			break;
		case 2: /* its own source */
			memcpy(plain + at, plain + at - len, len);
			break;
		default:
			dice_bytes(p, plain + at, len);
		}
		if (version == IP4)
			sum_ip4(plain);
		send_packet(p, m, plain, sizeof(plain), true);
	}
	fence_data(p, m);
}

/* Each outer mark with each inner one (RFC 6040 §4.2). */
static void marks(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t plain[PACKET];
	int version = p->turn & 1 ? IP6 : IP4;
	uint8_t inner = p->turn >> 1 & 3, outer = p->turn >> 3 & 3;
	uint8_t dscp = (uint8_t)(dice(p, 64) << 2);

	lay(p, version, 1, plain, sizeof(plain));
	if (version == IP4) {
		plain[1] = dscp | inner;
		sum_ip4(plain);
	} else {
		plain[0] = (uint8_t)(0x60 | dscp >> 4);
		plain[1] = (uint8_t)((dscp | inner) << 4);
	}
	if (m->ready) {
		seal(p, m, m->next++, plain, sizeof(plain));
		side_send(p->side, p->letter.data, p->letter.len, outer);
		p->want_rx += p->letter.len;
	}
	/* Not on what is not capable of it: dropping those is for where marks are trusted. */
	if (outer == ECN_CE && inner != ECN_NOT_ECT && inner != ECN_CE && !deviates(p, DIFF_ECN)) {
		plain[1] |= version == IP4 ? ECN_CE : ECN_CE << 4;
		if (version == IP4)
			sum_ip4(plain);
	}
	want_tun(p, plain, sizeof(plain));
	fence_data(p, m);
}

/* TCP with and without SYN, with a maximum segment size that fits and one that does not. */
static void segments(struct play *p)
{
	struct meeting *m = meet(p);
	struct recipe r = { .ip4 = dice(p, 2), .proto = IPPROTO_TCP, .ttl = 64,
			    .flags = (uint8_t[]){ 2, 0x12, 0x10, 0x18 }[p->turn % 4],
			    .sport = 1000, .window = 5000, .tcp_extra = 4, .option = 1 };
	uint8_t plain[PACKET], sender[40];
	size_t len = make_packet(plain, &r, sender, 0), l4 = recipe_l4(&r);
	uint16_t mss = (uint16_t)dice(p, 3000), fits = (uint16_t)(MTU - l4 - 20);

	lay(p, r.ip4 ? IP4 : IP6, 1, sender, sizeof(sender));
	memcpy(plain + (r.ip4 ? 12 : 8), sender + (r.ip4 ? 12 : 8), r.ip4 ? 8 : 32);
	memcpy(plain + l4 + 20, (uint8_t[]){ 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss }, 4);
	naive_finish(plain, len, IPPROTO_TCP);
	send_packet(p, m, plain, len, false);
	if (r.flags & 2 && mss > fits && deviates(p, DIFF_MSS)) {
		store_be16(plain + l4 + 22, fits);
		naive_finish(plain, len, IPPROTO_TCP);
	}
	want_tun(p, plain, len);
	fence_data(p, m);
}

const struct kind inner_cases[] = {
	{ "padding", padding, 10 },           { "claims4", claims4, 10 },
	{ "claims6", claims6, 10 },           { "versions", versions, 6 },
	{ "header-lengths", header_lengths, 10 }, { "sources4", sources4, 4 },
	{ "sources6", sources6, 6 },          { "destinations", destinations, 4 },
	{ "marks", marks, 10 },               { "segments", segments, 10 },
	{ NULL, NULL, 0 }
};
