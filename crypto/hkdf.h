/* SPDX-License-Identifier: MIT */
/*
 * HMAC-BLAKE2s (RFC 2104) and the key derivation of the WireGuard paper §5.4,
 * which is HKDF (RFC 5869) with an empty info.
 * Every function may be called on any thread. Outputs may overlap inputs: the
 * chaining key is replaced in place.
 */
#ifndef BERTH_CRYPTO_HKDF_H
#define BERTH_CRYPTO_HKDF_H

#include "../src/base.h"
#include "blake2s.h"

/* out = HMAC(key, in); key of any length. */
void hmac_blake2s(uint8_t out[BLAKE2S_HASH_LEN], const uint8_t *key, size_t keylen, const void *in,
		  size_t inlen);

/* Kdf_n(key, input): t1..tn of 32 bytes each. input may be NULL when inlen is 0. */
void kdf1(uint8_t t1[BLAKE2S_HASH_LEN], const uint8_t *key, size_t keylen, const void *input,
	  size_t inlen);
void kdf2(uint8_t t1[BLAKE2S_HASH_LEN], uint8_t t2[BLAKE2S_HASH_LEN], const uint8_t *key,
	  size_t keylen, const void *input, size_t inlen);
void kdf3(uint8_t t1[BLAKE2S_HASH_LEN], uint8_t t2[BLAKE2S_HASH_LEN], uint8_t t3[BLAKE2S_HASH_LEN],
	  const uint8_t *key, size_t keylen, const void *input, size_t inlen);

#endif
