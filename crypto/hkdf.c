/* SPDX-License-Identifier: MIT */
/* HMAC-BLAKE2s (RFC 2104) and Kdf1..Kdf3 (WireGuard paper §5.4). */
#include "hkdf.h"

#include <sodium.h>

/* Both halves of HMAC behind their key block, ready to be copied. */
struct hmac_key {
	struct blake2s_state inner;
	struct blake2s_state outer;
};

static void absorb_pad(struct blake2s_state *st, const uint8_t block[BLAKE2S_BLOCK_LEN],
		       uint8_t pad)
{
	uint8_t padded[BLAKE2S_BLOCK_LEN];
	unsigned i;

	for (i = 0; i < BLAKE2S_BLOCK_LEN; i++)
		padded[i] = block[i] ^ pad;
	blake2s_init(st, BLAKE2S_HASH_LEN);
	blake2s_update(st, padded, sizeof(padded));
	sodium_memzero(padded, sizeof(padded));
}

/* RFC 2104 §2: a key longer than a block is replaced by its hash. */
static void hmac_init(struct hmac_key *hk, const uint8_t *key, size_t keylen)
{
	uint8_t block[BLAKE2S_BLOCK_LEN] = { 0 };

	if (keylen > BLAKE2S_BLOCK_LEN)
		blake2s(block, BLAKE2S_HASH_LEN, key, keylen, NULL, 0);
	else if (keylen)
		memcpy(block, key, keylen);
	absorb_pad(&hk->inner, block, 0x36);
	absorb_pad(&hk->outer, block, 0x5c);
	sodium_memzero(block, sizeof(block));
}

static void hmac_final(struct hmac_key *hk, uint8_t out[BLAKE2S_HASH_LEN])
{
	uint8_t digest[BLAKE2S_HASH_LEN];

	blake2s_final(&hk->inner, digest);
	blake2s_update(&hk->outer, digest, sizeof(digest));
	blake2s_final(&hk->outer, out);
	sodium_memzero(digest, sizeof(digest));
}

void hmac_blake2s(uint8_t out[BLAKE2S_HASH_LEN], const uint8_t *key, size_t keylen, const void *in,
		  size_t inlen)
{
	struct hmac_key hk;

	hmac_init(&hk, key, keylen);
	blake2s_update(&hk.inner, in, inlen);
	hmac_final(&hk, out);
}

/*
 * t[0] = HMAC(prk, 1), t[i] = HMAC(prk, t[i-1] || i+1) with prk = HMAC(key, input).
 * All steps share one key, whose two blocks are compressed once for all.
 */
static void derive(uint8_t (*t)[BLAKE2S_HASH_LEN], unsigned n, const uint8_t *key, size_t keylen,
		   const void *input, size_t inlen)
{
	uint8_t prk[BLAKE2S_HASH_LEN];
	struct hmac_key hk;
	unsigned i;

	hmac_blake2s(prk, key, keylen, input, inlen);
	hmac_init(&hk, prk, sizeof(prk));
	blake2s_prime(&hk.inner);
	blake2s_prime(&hk.outer);
	for (i = 0; i < n; i++) {
		struct hmac_key step = hk;
		uint8_t number = (uint8_t)(i + 1);

		if (i)
			blake2s_update(&step.inner, t[i - 1], BLAKE2S_HASH_LEN);
		blake2s_update(&step.inner, &number, 1);
		hmac_final(&step, t[i]);
	}
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(&hk, sizeof(hk));
}

void kdf1(uint8_t t1[BLAKE2S_HASH_LEN], const uint8_t *key, size_t keylen, const void *input,
	  size_t inlen)
{
	uint8_t t[1][BLAKE2S_HASH_LEN];

	derive(t, 1, key, keylen, input, inlen);
	memcpy(t1, t[0], BLAKE2S_HASH_LEN);
	sodium_memzero(t, sizeof(t));
}

void kdf2(uint8_t t1[BLAKE2S_HASH_LEN], uint8_t t2[BLAKE2S_HASH_LEN], const uint8_t *key,
	  size_t keylen, const void *input, size_t inlen)
{
	uint8_t t[2][BLAKE2S_HASH_LEN];

	derive(t, 2, key, keylen, input, inlen);
	memcpy(t1, t[0], BLAKE2S_HASH_LEN);
	memcpy(t2, t[1], BLAKE2S_HASH_LEN);
	sodium_memzero(t, sizeof(t));
}

void kdf3(uint8_t t1[BLAKE2S_HASH_LEN], uint8_t t2[BLAKE2S_HASH_LEN], uint8_t t3[BLAKE2S_HASH_LEN],
	  const uint8_t *key, size_t keylen, const void *input, size_t inlen)
{
	uint8_t t[3][BLAKE2S_HASH_LEN];

	derive(t, 3, key, keylen, input, inlen);
	memcpy(t1, t[0], BLAKE2S_HASH_LEN);
	memcpy(t2, t[1], BLAKE2S_HASH_LEN);
	memcpy(t3, t[2], BLAKE2S_HASH_LEN);
	sodium_memzero(t, sizeof(t));
}
