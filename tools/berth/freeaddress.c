/* SPDX-License-Identifier: MIT */
/* The next free address. */
#include "freeaddress.h"

#include <errno.h>
#include <sodium.h>

/* An address as a number: network order, IPv4 in the last 4 bytes and zeros before. */
struct number {
	uint8_t bytes[16];
};

static struct number number_of(const struct prefix *p)
{
	struct number x = { { 0 } };
	size_t len = prefix_bits(p->family) / 8;

	memcpy(x.bytes + sizeof(x.bytes) - len, p->addr, len);
	return x;
}

static int compare(struct number a, struct number b)
{
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

/* False: there is none behind it. */
static bool step(struct number *x)
{
	for (size_t i = sizeof(x->bytes); i-- > 0;)
		if (++x->bytes[i])
			return true;
	return false;
}

static bool step_back(struct number *x)
{
	for (size_t i = sizeof(x->bytes); i-- > 0;)
		if (x->bytes[i]--)
			return true;
	return false;
}

/* x with its last bits taken from host. */
static struct number join(struct number x, const uint8_t host[16], unsigned host_bits)
{
	for (unsigned i = 0; i < host_bits; i++) {
		unsigned byte = 15 - i / 8;
		uint8_t bit = (uint8_t)(1U << i % 8);

		x.bytes[byte] = (uint8_t)((x.bytes[byte] & ~bit) | (host[byte] & bit));
	}
	return x;
}

static struct number last_of(const struct prefix *p)
{
	static const uint8_t ones[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return join(number_of(p), ones, prefix_bits(p->family) - p->cidr);
}

/* The first number from *x on that is in none of the ranges. False: there is none. */
static bool skip_taken(struct number *x, uint8_t family, const struct prefix *taken, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct number last;

		if (taken[i].family != family)
			continue;
		if (compare(number_of(&taken[i]), *x) > 0)
			break;
		last = last_of(&taken[i]);
		if (compare(last, *x) < 0)
			continue;
		*x = last;
		if (!step(x))
			return false;
	}
	return true;
}

/* Where the search for a name begins: anywhere in the pool, and always the same. */
static struct number begin_at(const struct prefix *pool, const char *name)
{
	uint8_t hash[16];

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)name, strlen(name), pool->addr,
			   sizeof(pool->addr));
	return join(number_of(pool), hash, prefix_bits(pool->family) - pool->cidr);
}

int freeaddress_compare(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return compare(number_of(x), number_of(y));
}

int freeaddress_find(const struct prefix *pool, const struct prefix *taken, size_t n,
		     const char *name, struct prefix *out)
{
	unsigned host_bits = prefix_bits(pool->family) - pool->cidr;
	struct number first = number_of(pool), last = last_of(pool);
	struct number start = begin_at(pool, name), x;
	size_t len = prefix_bits(pool->family) / 8;

	if (host_bits > 1)
		(void)step(&first);
	if (host_bits > 1 && pool->family == AF_INET)
		(void)step_back(&last);
	if (compare(start, first) < 0 || compare(start, last) > 0)
		start = first;

	x = start;
	if (!skip_taken(&x, pool->family, taken, n) || compare(x, last) > 0) {
		x = first;
		if (!skip_taken(&x, pool->family, taken, n) || compare(x, start) >= 0)
			return -ENOSPC;
	}
	*out = prefix_host(pool->family, x.bytes + sizeof(x.bytes) - len);
	return 0;
}
