/* SPDX-License-Identifier: MIT */
/*
 * Token buckets in a table of fixed size. A bucket is one point in time: when it
 * will be full again. Each token taken moves it 50 ms away; a token is there as
 * long as it is less than a whole bucket's time ahead.
 */
#include "ratelimit.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#define TOKEN_TIME (NSEC_PER_SEC / RATELIMIT_PER_SECOND)
#define BUCKET_TIME (RATELIMIT_BURST * TOKEN_TIME)

enum {
	CACHE_LINE = 64
};

/* All zeros is the full bucket of a source that does not exist. */
struct bucket {
	uint64_t source;
	uint64_t full_at; /* nanoseconds; a time passed: full */
};

struct ratelimit_set {
	struct bucket ways[RATELIMIT_WAYS];
};

_Static_assert(sizeof(struct ratelimit_set) % CACHE_LINE == 0, "a set starts a cache line");
_Static_assert(sizeof(((struct ratelimit *)0)->key) == crypto_shorthash_KEYBYTES, "SipHash key");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash");

int ratelimit_init(struct ratelimit *limit, size_t sources)
{
	size_t sets = 1;

	limit->sets = NULL;
	if (!sources || sources > RATELIMIT_SOURCES_MAX)
		return -EINVAL;
	while (sets * RATELIMIT_WAYS < sources)
		sets *= 2;
	limit->sets = aligned_alloc(CACHE_LINE, sets * sizeof(*limit->sets));
	if (!limit->sets)
		return -ENOMEM;
	memset(limit->sets, 0, sets * sizeof(*limit->sets));
	limit->mask = sets - 1;
	randombytes_buf(limit->key, sizeof(limit->key));
	return 0;
}

void ratelimit_free(struct ratelimit *limit)
{
	free(limit->sets);
	limit->sets = NULL;
	sodium_memzero(limit->key, sizeof(limit->key));
}

/*
 * An IPv6 source is the first half of its address. An IPv4 one lies where
 * ffff:ffff::/32 would be: multicast, which is never a source, so the two never meet.
 */
static bool source_of(const uint8_t *addr, size_t len, uint64_t *source)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (len == 16 && memcmp(addr, mapped, sizeof(mapped))) {
		*source = (uint64_t)load_be32(addr) << 32 | load_be32(addr + 4);
		return true;
	}
	if (len == 16)
		addr += sizeof(mapped);
	else if (len != 4)
		return false;
	*source = UINT64_C(0xffffffff) << 32 | load_be32(addr);
	return true;
}

/* The bucket of @source, or the fullest of its set (see ratelimit.h). */
static struct bucket *find(const struct ratelimit *limit, uint64_t source)
{
	struct ratelimit_set *set;
	struct bucket *fullest;
	uint64_t hash;

	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)&source, sizeof(source), limit->key);
	set = &limit->sets[hash & limit->mask];
	fullest = set->ways;
	for (struct bucket *b = set->ways; b < set->ways + RATELIMIT_WAYS; b++) {
		if (b->source == source)
			return b;
		if (b->full_at < fullest->full_at)
			fullest = b;
	}
	return fullest;
}

bool ratelimit_allow(struct ratelimit *limit, const uint8_t *addr, size_t addr_len, uint64_t now)
{
	struct bucket *bucket;
	uint64_t full_at;
	uint64_t source;

	if (!source_of(addr, addr_len, &source))
		return false;
	bucket = find(limit, source);
	full_at = max(bucket->full_at, now) + TOKEN_TIME;
	if (full_at > now + BUCKET_TIME)
		return false; /* and nothing changes: refused messages push nobody out */
	bucket->source = source;
	bucket->full_at = full_at;
	return true;
}
