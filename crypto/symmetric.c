/* SPDX-License-Identifier: MIT */
/* The Noise SymmetricState: chaining key, transcript hash, and the operations on them. */
#include "symmetric.h"

#include <assert.h>
#include <sodium.h>

#include "blake2s.h"
#include "hkdf.h"

static const uint8_t nonce_zero[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];

/* Noise §5.2 hashes names longer than a hash; ours is one and no other is needed. */
void symmetric_init(struct symmetric *s, const char *name, const void *prologue,
		    size_t prologue_len)
{
	size_t len = strlen(name);

	assert(len > NOISE_HASH_LEN);
	blake2s(s->hash, NOISE_HASH_LEN, name, len, NULL, 0);
	memcpy(s->chaining_key, s->hash, NOISE_HASH_LEN);
	symmetric_mix_hash(s, prologue, prologue_len);
}

void symmetric_mix_hash(struct symmetric *s, const void *data, size_t len)
{
	struct blake2s_state st;

	blake2s_init(&st, NOISE_HASH_LEN);
	blake2s_update(&st, s->hash, NOISE_HASH_LEN);
	blake2s_update(&st, data, len);
	blake2s_final(&st, s->hash);
}

void symmetric_mix_key(struct symmetric *s, uint8_t key[NOISE_KEY_LEN], const void *input,
		       size_t len)
{
	if (key)
		kdf2(s->chaining_key, key, s->chaining_key, NOISE_HASH_LEN, input, len);
	else /* the same chaining key for less work: Kdf1 is the first half of Kdf2 */
		kdf1(s->chaining_key, s->chaining_key, NOISE_HASH_LEN, input, len);
}

bool symmetric_mix_dh(struct symmetric *s, uint8_t key[NOISE_KEY_LEN],
		      const uint8_t private_key[NOISE_KEY_LEN],
		      const uint8_t public_key[NOISE_KEY_LEN])
{
	uint8_t shared[NOISE_KEY_LEN];
	bool ok;

	/* libsodium refuses points of low order itself; the zero test says so in our words. */
	ok = crypto_scalarmult_curve25519(shared, private_key, public_key) == 0 &&
	     !sodium_is_zero(shared, sizeof(shared));
	if (ok)
		symmetric_mix_key(s, key, shared, sizeof(shared));
	sodium_memzero(shared, sizeof(shared));
	return ok;
}

void symmetric_mix_psk(struct symmetric *s, uint8_t key[NOISE_KEY_LEN],
		       const uint8_t psk[NOISE_KEY_LEN])
{
	uint8_t tau[NOISE_HASH_LEN];

	kdf3(s->chaining_key, tau, key, s->chaining_key, NOISE_HASH_LEN, psk, NOISE_KEY_LEN);
	symmetric_mix_hash(s, tau, sizeof(tau));
	sodium_memzero(tau, sizeof(tau));
}

void symmetric_seal(struct symmetric *s, const uint8_t key[NOISE_KEY_LEN], uint8_t *out,
		    const void *plain, size_t len)
{
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, s->hash, NOISE_HASH_LEN,
						  NULL, nonce_zero, key);
	symmetric_mix_hash(s, out, len + NOISE_TAG_LEN);
}

bool symmetric_open(struct symmetric *s, const uint8_t key[NOISE_KEY_LEN], uint8_t *out,
		    const uint8_t *sealed, size_t len)
{
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len + NOISE_TAG_LEN,
						      s->hash, NOISE_HASH_LEN, nonce_zero,
						      key) != 0)
		return false;
	symmetric_mix_hash(s, sealed, len + NOISE_TAG_LEN);
	return true;
}

void symmetric_split(struct symmetric *s, uint8_t initiator_key[NOISE_KEY_LEN],
		     uint8_t responder_key[NOISE_KEY_LEN])
{
	kdf2(initiator_key, responder_key, s->chaining_key, NOISE_HASH_LEN, NULL, 0);
	sodium_memzero(s, sizeof(*s));
}
