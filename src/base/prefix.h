/* SPDX-License-Identifier: MIT */
/* An address range as WireGuard's AllowedIPs know it: address and length. */
#ifndef BERTH_BASE_PREFIX_H
#define BERTH_BASE_PREFIX_H

#include <sys/socket.h>

#include "../base.h"

struct prefix {
	uint8_t family;   /* AF_INET or AF_INET6 */
	uint8_t cidr;     /* 0..32 or 0..128 */
	uint8_t addr[16]; /* network order; bits behind cidr are zero; IPv4 in the first 4 bytes */
};

/* "2001:db8::1/128\0" */
enum { PREFIX_STRLEN = 50 };

/*
 * Parses an address with or without /length (a missing one means the whole
 * address). Bits behind the length are cleared, as wg(8) does.
 * 0, or -EINVAL: not an address, or a length out of range, leading zeros,
 * signs, blanks.
 */
must_check int prefix_parse(struct prefix *out, const char *text);

/* Writes the canonical text, always with its length. Returns buf. */
const char *prefix_format(const struct prefix *p, char buf[PREFIX_STRLEN]);

/* Does inner lie within outer (or equal it)? Families must match. */
bool prefix_contains(const struct prefix *outer, const struct prefix *inner);

bool prefix_equal(const struct prefix *a, const struct prefix *b);

/* Number of bits of a whole address: 32 or 128. */
static inline unsigned prefix_bits(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

/* The /32 or /128 of an address, 4 or 16 bytes in network order. */
static inline struct prefix prefix_host(uint8_t family, const uint8_t *addr)
{
	struct prefix p = { .family = family, .cidr = (uint8_t)prefix_bits(family) };

	memcpy(p.addr, addr, p.cidr / 8);
	return p;
}

/* One single address, a /32 or a /128? */
static inline bool prefix_is_host(const struct prefix *p)
{
	return p->cidr == prefix_bits(p->family);
}

#endif
