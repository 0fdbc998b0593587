/* SPDX-License-Identifier: MIT */
/*
 * BLAKE2s (RFC 7693), plain and keyed.
 * Every function may be called on any thread; a state belongs to one caller.
 */
#ifndef BERTH_CRYPTO_BLAKE2S_H
#define BERTH_CRYPTO_BLAKE2S_H

#include "../src/base.h"

enum {
	BLAKE2S_BLOCK_LEN = 64,
	BLAKE2S_HASH_LEN = 32,
	BLAKE2S_KEY_LEN = 32
};

/*
 * A hash under way. It is plain data and may be copied: one keyed state can
 * be the beginning of many hashes.
 */
struct blake2s_state {
	uint32_t h[8];
	uint64_t total;                   /* bytes compressed so far, without buffer */
	uint8_t buffer[BLAKE2S_BLOCK_LEN]; /* the last block is held back: it is special */
	uint8_t buffered;                 /* 0..64 */
	uint8_t outlen;                   /* 1..32 */
};

/*
 * Finds out which compression function this processor does faster: some do vectors in three
 * quarters of the time of plain words, others take nearly twice as long. Once, before
 * other threads; without it, plain words. Takes a tenth of a millisecond.
 */
void blake2s_choose(void);

/* Starts an unkeyed hash of outlen bytes, 1..32 (RFC 7693 §2.5). */
void blake2s_init(struct blake2s_state *st, size_t outlen);

/* Starts a keyed hash of outlen bytes, 1..32, under a key of keylen bytes, 1..32 (§2.9). */
void blake2s_init_key(struct blake2s_state *st, size_t outlen, const uint8_t *key, size_t keylen);

/*
 * Compresses the key block now instead of with the first byte of input, so that
 * copies of the state start behind it. The hash of no input at all can no longer
 * be had from this state or its copies.
 */
void blake2s_prime(struct blake2s_state *st);

/* Takes in inlen bytes, any number, any alignment; in may be NULL when inlen is 0. */
void blake2s_update(struct blake2s_state *st, const void *in, size_t inlen);

/* Writes outlen bytes to out and wipes the state. */
void blake2s_final(struct blake2s_state *st, uint8_t *out);

/*
 * The hash of one run of bytes, keyed if keylen > 0. Bounds as above. out may
 * overlap in or key.
 */
void blake2s(uint8_t *out, size_t outlen, const void *in, size_t inlen, const uint8_t *key,
	     size_t keylen);

#endif
