/* SPDX-License-Identifier: MIT */
/*
 * The Noise SymmetricState for 25519, ChaChaPoly and BLAKE2s (Noise specification
 * revision 34 §5.2): what a handshake pattern is played on. noise.c plays IKpsk2.
 *
 * One deviation in form, none in effect: the cipher key is not part of the state
 * but handed to the caller, since it never outlives the message it is for, and its
 * nonce is always 0: every handshake key seals exactly one field.
 *
 * Every function may be called on any thread; a state belongs to one caller.
 */
#ifndef BERTH_CRYPTO_SYMMETRIC_H
#define BERTH_CRYPTO_SYMMETRIC_H

#include "messages.h"

struct symmetric {
	uint8_t chaining_key[NOISE_HASH_LEN]; /* ck, C in the WireGuard paper */
	uint8_t hash[NOISE_HASH_LEN];         /* h, H in the WireGuard paper */
};

/* InitializeSymmetric(name) and MixHash(prologue); name as text, longer than 32 bytes. */
void symmetric_init(struct symmetric *s, const char *name, const void *prologue,
		    size_t prologue_len);

/* MixHash(data). */
void symmetric_mix_hash(struct symmetric *s, const void *data, size_t len);

/*
 * MixKey(input): moves the chaining key on, and writes the cipher key to key.
 * key may be NULL when no field is sealed under it.
 */
void symmetric_mix_key(struct symmetric *s, uint8_t key[NOISE_KEY_LEN], const void *input,
		       size_t len);

/*
 * MixKey(DH(private_key, public_key)) with X25519 (RFC 7748 §5). False, with s as
 * it was, when public_key is of low order, so that the result is zero
 * whatever the private key (RFC 7748 §6.1).
 */
must_check bool symmetric_mix_dh(struct symmetric *s, uint8_t key[NOISE_KEY_LEN],
				 const uint8_t private_key[NOISE_KEY_LEN],
				 const uint8_t public_key[NOISE_KEY_LEN]);

/* MixKeyAndHash(psk): Noise §5.2, the psk token of §9. */
void symmetric_mix_psk(struct symmetric *s, uint8_t key[NOISE_KEY_LEN],
		       const uint8_t psk[NOISE_KEY_LEN]);

/*
 * EncryptAndHash: seals len bytes under key, with h as associated data, and writes
 * len + NOISE_TAG_LEN bytes to out. plain may be NULL when len is 0.
 */
void symmetric_seal(struct symmetric *s, const uint8_t key[NOISE_KEY_LEN], uint8_t *out,
		    const void *plain, size_t len);

/*
 * DecryptAndHash: opens len + NOISE_TAG_LEN bytes of sealed into len bytes of out
 * (NULL when len is 0). False, with s as it was, when the tag is wrong.
 */
must_check bool symmetric_open(struct symmetric *s, const uint8_t key[NOISE_KEY_LEN], uint8_t *out,
			       const uint8_t *sealed, size_t len);

/* Split: the transport keys, the initiator's sending key first. s is wiped. */
void symmetric_split(struct symmetric *s, uint8_t initiator_key[NOISE_KEY_LEN],
		     uint8_t responder_key[NOISE_KEY_LEN]);

#endif
