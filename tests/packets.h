/* SPDX-License-Identifier: MIT */
/*
 * Packets for tests, made and checked the slow and obvious way: byte by byte, with nothing
 * shared with the code under test.
 */
#ifndef BERTH_TESTS_PACKETS_H
#define BERTH_TESTS_PACKETS_H

#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "../src/base.h"

/* ck_assert() tells Check of each that passed; this is for those that pass a million times. */
#define expect(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s", #condition); \
	} while (0)

/* splitmix64 (Steele, Lea, Flood 2014): the same numbers everywhere. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 to @n - 1. */
static inline size_t pick(uint64_t *state, size_t n)
{
	return (size_t)(next_random(state) % n);
}

static inline void fill_random(uint64_t *state, uint8_t *p, size_t len)
{
	while (len--)
		*p++ = (uint8_t)next_random(state);
}

/* RFC 1071 as its text reads, in host byte order. */
static inline uint16_t naive_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		while (sum > 0xffff)
			sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

struct recipe {
	bool ip4;
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t host;  /* last byte of the source address */
	uint8_t tos, ttl, flags;
	bool df;
	uint16_t id, sport, window;
	uint32_t seq, ack;
	size_t ip_extra;  /* bytes of IPv4 options (a multiple of 4), IPv6 extensions (of 8) */
	size_t tcp_extra; /* bytes of TCP options, a multiple of 4 */
	uint8_t option;   /* what the options are filled with */
};

static inline size_t recipe_l4(const struct recipe *r)
{
	return (r->ip4 ? 20 : 40) + r->ip_extra;
}

static inline size_t recipe_headers(const struct recipe *r)
{
	return recipe_l4(r) + (r->proto == IPPROTO_TCP ? 20 + r->tcp_extra : 8);
}

/* Sum of the pseudo header of a packet whose transport header stands at @l4. */
static inline uint16_t naive_pseudo(const uint8_t *pkt, uint8_t proto, size_t l4_len)
{
	uint8_t p[40] = { 0 };
	bool ip4 = pkt[0] >> 4 == 4;

	memcpy(p, pkt + (ip4 ? 12 : 8), ip4 ? 8 : 32);
	store_be32(p + 32, (uint32_t)l4_len);
	p[39] = proto;
	return naive_sum(0, p, sizeof(p));
}

static inline size_t naive_l4(const uint8_t *pkt)
{
	size_t at = 40;
	uint8_t next = pkt[6];

	if (pkt[0] >> 4 == 4)
		return (pkt[0] & 15) * 4u;
	while (next == 0 || next == 60) {
		next = pkt[at];
		at += (pkt[at + 1] + 1u) * 8;
	}
	return at;
}

/* Make lengths and checksums of a packet right, knowing where its parts are. */
static inline void naive_finish(uint8_t *pkt, size_t len, uint8_t proto)
{
	bool ip4 = pkt[0] >> 4 == 4;
	size_t l4 = naive_l4(pkt);
	size_t field = l4 + (proto == IPPROTO_TCP ? 16 : 6);
	uint16_t sum;

	if (ip4) {
		store_be16(pkt + 2, (uint16_t)len);
		store_be16(pkt + 10, 0);
		store_be16(pkt + 10, (uint16_t)~naive_sum(0, pkt, l4));
	} else {
		store_be16(pkt + 4, (uint16_t)(len - 40));
	}
	if (proto == IPPROTO_UDP)
		store_be16(pkt + l4 + 4, (uint16_t)(len - l4));
	store_be16(pkt + field, 0);
	sum = (uint16_t)~naive_sum(naive_pseudo(pkt, proto, len - l4), pkt + l4, len - l4);
	if (proto == IPPROTO_UDP && !sum)
		sum = 0xffff;
	store_be16(pkt + field, sum);
}

/* Whether lengths and checksums of a TCP or UDP packet are right. */
static inline bool naive_valid(const uint8_t *pkt, size_t len, uint8_t proto)
{
	size_t l4 = naive_l4(pkt);

	if (pkt[0] >> 4 == 4 && (load_be16(pkt + 2) != len || naive_sum(0, pkt, l4) != 0xffff))
		return false;
	if (pkt[0] >> 4 == 6 && load_be16(pkt + 4) + 40u != len)
		return false;
	if (proto == IPPROTO_UDP &&
	    (load_be16(pkt + l4 + 4) != len - l4 || !load_be16(pkt + l4 + 6)))
		return false;
	return naive_sum(naive_pseudo(pkt, proto, len - l4), pkt + l4, len - l4) == 0xffff;
}

/* Write the whole packet to @out; returns its length. */
static inline size_t make_packet(uint8_t *out, const struct recipe *r, const uint8_t *payload,
				 size_t payload_len)
{
	size_t l4 = recipe_l4(r), headers = recipe_headers(r);
	uint8_t *t = out + l4;

	memset(out, 0, headers);
	if (r->ip4) {
		out[0] = (uint8_t)(0x40 | l4 / 4);
		out[1] = r->tos;
		store_be16(out + 4, r->id);
		out[6] = r->df ? 0x40 : 0;
		out[8] = r->ttl;
		out[9] = r->proto;
		memcpy(out + 12, (uint8_t[]){ 10, 0, 0, r->host, 10, 1, 2, 3 }, 8);
		memset(out + 20, 1, r->ip_extra); /* no operation */
	} else {
		out[0] = (uint8_t)(0x60 | r->tos >> 4);
		out[1] = (uint8_t)(r->tos << 4);
		out[3] = 7;
		out[6] = r->ip_extra ? 60 : r->proto;
		out[7] = r->ttl;
		out[8] = out[24] = 0xfd;
		out[23] = r->host;
		out[39] = 9;
		if (r->ip_extra) {
			out[40] = r->proto;
			out[41] = (uint8_t)(r->ip_extra / 8 - 1);
			out[42] = 1; /* PadN */
			out[43] = (uint8_t)(r->ip_extra - 4);
		}
	}
	store_be16(t, r->sport);
	store_be16(t + 2, 443);
	if (r->proto == IPPROTO_TCP) {
		store_be32(t + 4, r->seq);
		store_be32(t + 8, r->ack);
		t[12] = (uint8_t)((20 + r->tcp_extra) / 4 << 4);
		t[13] = r->flags;
		store_be16(t + 14, r->window);
		memset(t + 20, r->option, r->tcp_extra);
	}
	memcpy(out + headers, payload, payload_len);
	naive_finish(out, headers + payload_len, r->proto);
	return headers + payload_len;
}

/* A copy of exactly @len bytes, so that a sanitizer sees each byte read beyond. */
static inline uint8_t *exact_copy(const void *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, p, len);
	return copy;
}

#endif
