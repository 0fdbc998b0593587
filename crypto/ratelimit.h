/* SPDX-License-Identifier: MIT */
/*
 * How many handshake messages one source may make us compute on: 20 a second,
 * 5 in one go (WireGuard paper §5.3). Asked only under load, and only about
 * sources that have returned a cookie, so the address is not a spoofed one.
 *
 * A source is an IPv4 address or an IPv6 /64: whoever has one address of a /64
 * usually has all of them. Each source has a bucket of 5 tokens.
 *
 * Memory is allocated once. The table has sets of RATELIMIT_WAYS buckets, and
 * SipHash under a random key decides which set is a source's, so that nobody can
 * aim at the set of somebody else. A full bucket is as good as none: it can be
 * given to another source and nothing is lost. If a set has no full one left, a
 * new source takes over the fullest *as it is*, and is refused only while
 * that holds no token. Two things follow, whatever is sent from however many sources:
 *  - tokens are handed on, never made: a set admits at most RATELIMIT_WAYS sources'
 *    worth of messages, so that the whole table has a ceiling as well;
 *  - every set earns a token each 50 ms and bucket, and whoever asks next gets it:
 *    a flood takes its share of the others', but it locks nobody out. (A table that
 *    refuses newcomers while it is full is held shut by one message per entry
 *    and second.)
 */
#ifndef BERTH_CRYPTO_RATELIMIT_H
#define BERTH_CRYPTO_RATELIMIT_H

#include "../src/base.h"

enum {
	RATELIMIT_PER_SECOND = 20,
	RATELIMIT_BURST = 5,
	RATELIMIT_WAYS = 8,
	RATELIMIT_SOURCES_MAX = 1 << 24
};

struct ratelimit_set;

/* Belongs to one thread; another thread has another one. */
struct ratelimit {
	struct ratelimit_set *sets;
	uint64_t mask;   /* number of sets - 1; a power of two */
	uint8_t key[16]; /* of SipHash, secret */
};

/*
 * Room for @sources buckets, rounded up to RATELIMIT_WAYS times a power of two, all
 * full; 16 bytes each, allocated here and nowhere else.
 * 0; -EINVAL: none, or more than RATELIMIT_SOURCES_MAX; -ENOMEM.
 */
must_check int ratelimit_init(struct ratelimit *limit, size_t sources);

/* Frees what ratelimit_init() allocated; harmless after it failed, and twice. */
void ratelimit_free(struct ratelimit *limit);

/*
 * May this source have another message worked on? Takes a token if so.
 * @addr: 4 or 16 bytes in network order; an IPv4-mapped IPv6 address counts as the
 * IPv4 address. @now: nanoseconds of the monotonic clock. False for any other
 * @addr_len. The owning thread; two cache lines are touched.
 */
must_check bool ratelimit_allow(struct ratelimit *limit, const uint8_t *addr, size_t addr_len,
				uint64_t now);

#endif
