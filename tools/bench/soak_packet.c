/* SPDX-License-Identifier: MIT */
/* Inner packets whose every byte follows from their label: no other packet passes for one. */
#include <arpa/inet.h>

#include "../../tun/checksum.h"
#include "soak.h"

enum { NETWORK4 = 0x0a080000 }; /* 10.8.0.0/16, by number */

/* 2001:db8:beef:0:1::/96, by number. */
static const uint8_t network6[12] = { 0x20, 1, 0x0d, 0xb8, 0xbe, 0xef, 0, 0, 0, 1 };

struct in_addr soak_inner4(uint32_t number)
{
	return (struct in_addr){ .s_addr = htobe32(NETWORK4 + number) };
}

struct in6_addr soak_inner6(uint32_t number)
{
	struct in6_addr a = { 0 };

	memcpy(a.s6_addr, network6, sizeof(network6));
	store_be32(a.s6_addr + sizeof(network6), number);
	return a;
}

uint32_t soak_owner4(const struct in_addr *a)
{
	uint32_t n = be32toh(a->s_addr) - NETWORK4;

	return n <= SOAK_TENANTS_MAX ? n : 0;
}

uint32_t soak_owner6(const struct in6_addr *a)
{
	uint32_t n = load_be32(a->s6_addr + sizeof(network6));

	return !memcmp(a->s6_addr, network6, sizeof(network6)) && n <= SOAK_TENANTS_MAX ? n : 0;
}

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void soak_fill(uint8_t *payload, size_t len, const struct soak_label *l, uint64_t seed)
{
	uint64_t state = seed ^ (uint64_t)l->from << 40 ^ (uint64_t)l->to << 20 ^ l->life;

	store_be32(payload, l->magic);
	store_be32(payload + 4, l->from);
	store_be32(payload + 8, l->to);
	store_be32(payload + 12, l->life);
	store_be32(payload + 16, l->transfer);
	store_be32(payload + 20, l->seq);
	state = next(&state) ^ ((uint64_t)l->transfer << 32 | l->seq) ^ l->magic;
	for (size_t at = SOAK_HEADER; at < len; at += sizeof(uint64_t)) {
		uint64_t word = next(&state);

		memcpy(payload + at, &word, min(sizeof(word), len - at));
	}
}

bool soak_verify(const uint8_t *payload, size_t len, struct soak_label *l, uint64_t seed)
{
	uint8_t wanted[SOAK_MESSAGE_MAX];

	if (len < SOAK_HEADER || len > sizeof(wanted))
		return false;
	*l = (struct soak_label){ .magic = load_be32(payload), .from = load_be32(payload + 4),
				  .to = load_be32(payload + 8), .life = load_be32(payload + 12),
				  .transfer = load_be32(payload + 16),
				  .seq = load_be32(payload + 20) };
	soak_fill(wanted, len, l, seed);
	return !memcmp(payload, wanted, len);
}

size_t soak_headers(int family)
{
	return (family == AF_INET ? 20 : 40) + 8;
}

size_t soak_lay(uint8_t *inner, int family, const void *from, const void *to, size_t payload)
{
	size_t ip = soak_headers(family) - 8, len = ip + 8 + payload;
	uint8_t *udp = inner + ip;
	uint64_t sum;

	memset(inner, 0, ip + 8);
	store_be16(udp, SOAK_PORT);
	store_be16(udp + 2, SOAK_PORT);
	store_be16(udp + 4, (uint16_t)(8 + payload));
	if (family == AF_INET) {
		inner[0] = 0x45;
		store_be16(inner + 2, (uint16_t)len);
		inner[8] = 64;
		inner[9] = IPPROTO_UDP;
		memcpy(inner + 12, from, 4);
		memcpy(inner + 16, to, 4);
		checksum_store(inner + 10, checksum_finish(checksum_add(0, inner, 20)));
		sum = checksum_pseudo4(inner + 12, IPPROTO_UDP, 8 + payload);
	} else {
		inner[0] = 0x60;
		store_be16(inner + 4, (uint16_t)(8 + payload));
		inner[6] = IPPROTO_UDP;
		inner[7] = 64;
		memcpy(inner + 8, from, 16);
		memcpy(inner + 24, to, 16);
		sum = checksum_pseudo6(inner + 8, IPPROTO_UDP, 8 + payload);
	}
	sum = checksum_add(sum, udp, 8 + payload);
	checksum_store(udp + 6, checksum_finish_nonzero(sum));
	return len;
}
