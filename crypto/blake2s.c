/* SPDX-License-Identifier: MIT */
/*
 * BLAKE2s (RFC 7693). libsodium has only BLAKE2b, so it is written out here.
 * Every handshake message that reaches the port costs a keyed BLAKE2s before
 * anything else is known about its sender: in a flood this is the hot path.
 */
#include "blake2s.h"

#include <assert.h>
#include <sodium.h>
#include <time.h>

#include "blake2s_compress.h"

static const uint32_t iv[8] = BLAKE2S_IV;

static blake2s_compress_fn *compress = blake2s_compress_scalar;

#ifdef BLAKE2S_HAVE_SSSE3
static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ns for some blocks, the best of a few runs: what interrupts one of them does not count. */
static uint64_t time_of(blake2s_compress_fn *fn)
{
	uint8_t block[BLAKE2S_BLOCK_LEN] = { 0 };
	uint64_t best = UINT64_MAX;
	uint32_t h[8] = { 0 };

	for (int run = 0; run < 8; run++) {
		uint64_t start = now();

		for (int i = 0; i < 64; i++)
			fn(h, block, 0, false);
		best = min(best, now() - start);
	}
	return best;
}
#endif

void blake2s_choose(void)
{
#ifdef BLAKE2S_HAVE_SSSE3
	if (__builtin_cpu_supports("ssse3") &&
	    time_of(blake2s_compress_ssse3) < time_of(blake2s_compress_scalar))
		compress = blake2s_compress_ssse3;
#endif
}

static void compress_buffer(struct blake2s_state *st)
{
	st->total += BLAKE2S_BLOCK_LEN;
	compress(st->h, st->buffer, st->total, false);
	st->buffered = 0;
}

/* §2.5: the parameter block is one word for sequential hashing: lengths, fan-out and depth 1. */
static void start(struct blake2s_state *st, size_t outlen, size_t keylen)
{
	assert(outlen >= 1 && outlen <= BLAKE2S_HASH_LEN);
	memcpy(st->h, iv, sizeof(st->h));
	st->h[0] ^= UINT32_C(0x01010000) ^ (uint32_t)keylen << 8 ^ (uint32_t)outlen;
	st->total = 0;
	st->buffered = 0;
	st->outlen = (uint8_t)outlen;
}

void blake2s_init(struct blake2s_state *st, size_t outlen)
{
	start(st, outlen, 0);
}

void blake2s_init_key(struct blake2s_state *st, size_t outlen, const uint8_t *key, size_t keylen)
{
	assert(keylen >= 1 && keylen <= BLAKE2S_KEY_LEN);
	start(st, outlen, keylen);
	/* The key is the first block. It is held back: without input it is also the last one. */
	memcpy(st->buffer, key, keylen);
	memset(st->buffer + keylen, 0, BLAKE2S_BLOCK_LEN - keylen);
	st->buffered = BLAKE2S_BLOCK_LEN;
}

void blake2s_prime(struct blake2s_state *st)
{
	if (st->buffered != BLAKE2S_BLOCK_LEN)
		return;
	compress_buffer(st);
	sodium_memzero(st->buffer, sizeof(st->buffer));
}

void blake2s_update(struct blake2s_state *st, const void *in, size_t inlen)
{
	const uint8_t *p = in;
	size_t room = BLAKE2S_BLOCK_LEN - st->buffered;

	if (!inlen)
		return;
	/* Only input that goes beyond a block proves that the block is not the last one. */
	if (inlen > room) {
		if (st->buffered) {
			memcpy(st->buffer + st->buffered, p, room);
			compress_buffer(st);
			p += room;
			inlen -= room;
		}
		while (inlen > BLAKE2S_BLOCK_LEN) {
			st->total += BLAKE2S_BLOCK_LEN;
			compress(st->h, p, st->total, false);
			p += BLAKE2S_BLOCK_LEN;
			inlen -= BLAKE2S_BLOCK_LEN;
		}
	}
	memcpy(st->buffer + st->buffered, p, inlen);
	st->buffered += (uint8_t)inlen;
}

void blake2s_final(struct blake2s_state *st, uint8_t *out)
{
	unsigned i;

	memset(st->buffer + st->buffered, 0, BLAKE2S_BLOCK_LEN - st->buffered);
	compress(st->h, st->buffer, st->total + st->buffered, true);
	for (i = 0; i < 8; i++)
		store_le32(st->buffer + 4 * i, st->h[i]);
	memcpy(out, st->buffer, st->outlen);
	sodium_memzero(st, sizeof(*st));
}

void blake2s(uint8_t *out, size_t outlen, const void *in, size_t inlen, const uint8_t *key,
	     size_t keylen)
{
	struct blake2s_state st;

	if (keylen)
		blake2s_init_key(&st, outlen, key, keylen);
	else
		blake2s_init(&st, outlen);
	blake2s_update(&st, in, inlen);
	blake2s_final(&st, out);
}
