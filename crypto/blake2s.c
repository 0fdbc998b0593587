/* SPDX-License-Identifier: MIT */
/*
 * BLAKE2s (RFC 7693). libsodium has only BLAKE2b, so it is written out here.
 * Every handshake message that reaches the port costs a keyed BLAKE2s before
 * anything else is known about its sender: in a flood this is the hot path.
 */
#include "blake2s.h"

#include <assert.h>
#include <sodium.h>

/* RFC 7693 §2.6: the first words of SHA-256's initial value. */
static const uint32_t iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline uint32_t rotate_right(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* RFC 7693 §3.1, the mixing function, on four words of v and two of the message. */
#define MIX(a, b, c, d, x, y)                             \
	do {                                              \
		v[a] += v[b] + m[x];                      \
		v[d] = rotate_right(v[d] ^ v[a], 16);     \
		v[c] += v[d];                             \
		v[b] = rotate_right(v[b] ^ v[c], 12);     \
		v[a] += v[b] + m[y];                      \
		v[d] = rotate_right(v[d] ^ v[a], 8);      \
		v[c] += v[d];                             \
		v[b] = rotate_right(v[b] ^ v[c], 7);      \
	} while (0)

/*
 * One round under one line of the message schedule (§2.7). The schedule is
 * written out as constants rather than read from a table: with every index
 * known, v stays in registers and m needs no address arithmetic.
 */
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
	do {                                                                        \
		MIX(0, 4, 8, 12, s0, s1);                                           \
		MIX(1, 5, 9, 13, s2, s3);                                           \
		MIX(2, 6, 10, 14, s4, s5);                                          \
		MIX(3, 7, 11, 15, s6, s7);                                          \
		MIX(0, 5, 10, 15, s8, s9);                                          \
		MIX(1, 6, 11, 12, s10, s11);                                        \
		MIX(2, 7, 8, 13, s12, s13);                                         \
		MIX(3, 4, 9, 14, s14, s15);                                         \
	} while (0)

/* §3.2. total counts the bytes up to and including this block; last is the final flag. */
static void compress(uint32_t h[8], const uint8_t block[BLAKE2S_BLOCK_LEN], uint64_t total,
		     bool last)
{
	uint32_t m[16];
	uint32_t v[16];
	unsigned i;

	for (i = 0; i < 16; i++)
		m[i] = load_le32(block + 4 * i);
	for (i = 0; i < 8; i++) {
		v[i] = h[i];
		v[i + 8] = iv[i];
	}
	v[12] ^= (uint32_t)total;
	v[13] ^= (uint32_t)(total >> 32);
	if (last)
		v[14] = ~v[14];

	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
	ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
	ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
	ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
	ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
	ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
	ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
	ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
	ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);

	for (i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[i + 8];
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
