/* SPDX-License-Identifier: MIT */
/*
 * ChaCha20-Poly1305 (RFC 8439 §2.8) as WireGuard's data messages use it (paper
 * §5.4.6): in place, no additional data, nonce = 4 zero bytes and the counter in
 * little-endian order. In bursts, because packets come in bursts, and through a
 * table of providers, because the fastest library is not on every machine.
 *
 * Handshake messages are few and have additional data: they call libsodium.
 */
#ifndef BERTH_CRYPTO_AEAD_H
#define BERTH_CRYPTO_AEAD_H

#include "../src/base.h"

enum {
	AEAD_KEY_LEN = 32,
	AEAD_NONCE_LEN = 12,
	AEAD_TAG_LEN = 16
};

/* One packet of a burst. Keys and nonces may differ within a burst. */
struct aead_op {
	uint8_t *data;      /* any alignment */
	size_t len;         /* seal: of the plaintext, AEAD_TAG_LEN bytes of room behind;
			       open: of ciphertext and tag */
	const uint8_t *key; /* AEAD_KEY_LEN bytes, alive until the call returns */
	uint64_t nonce;     /* the counter, host byte order */
	bool ok;            /* result */
};

struct aead_provider;

/*
 * A provider at work. Belongs to one thread, or at least to one at a time.
 * Providers embed it at the start of a context of their own.
 */
struct aead {
	const struct aead_provider *provider;
};

/*
 * What a provider supplies; callers use the functions below instead. It need
 * not wipe what it refuses: aead.c does that for all of them.
 */
struct aead_provider {
	const char *name;
	/* -ENOTSUP: not built in, or not on this CPU; -ENOMEM */
	int (*create)(struct aead **out);
	void (*destroy)(struct aead *ctx);
	/* Both set ok in every op; open_burst also copes with len < AEAD_TAG_LEN. */
	void (*seal_burst)(struct aead *ctx, struct aead_op *ops, size_t n);
	void (*open_burst)(struct aead *ctx, struct aead_op *ops, size_t n);
};

extern const struct aead_provider aead_ipsecmb; /* x86-64 with AVX2, if built in */
extern const struct aead_provider aead_sodium;  /* everywhere */

/*
 * A context for the calling thread, from the provider called "ipsec-mb" or
 * "libsodium"; "auto" means the first of these that works here. Every context
 * has computed its known answers before it is handed out (about 0.2 ms in all).
 * Allocates: about 200 KiB for ipsec-mb, a few bytes for libsodium.
 * 0; -EINVAL: no such provider; -ENOTSUP: not built in, or not for this CPU;
 * -EIO: wrong answers, it must not be used; -ENOMEM. On error *out is NULL.
 */
must_check int aead_new(const char *provider, struct aead **out);

/* Wipes and frees; NULL is fine. */
void aead_free(struct aead *ctx);

/* "libsodium" or "ipsec-mb", for log lines. */
const char *aead_name(const struct aead *ctx);

/* The names that aead_new() knows, best first, without "auto"; NULL past the last. */
const char *aead_provider_name(size_t i);

/*
 * Encrypts @n packets where they lie and puts a tag behind each. Empty ones
 * (keepalives) are fine. ok is false only if the library itself failed; the
 * packet is then all zeros and can betray nothing, even if it is sent.
 * The thread that owns @ctx. Cannot fail as a whole.
 */
void aead_seal_burst(struct aead *ctx, struct aead_op *ops, size_t n);

/*
 * Verifies and decrypts @n packets where they lie; the plaintext is
 * len - AEAD_TAG_LEN bytes. ok says whether the tag was good; where it is false,
 * all len bytes have been wiped, so nothing unauthenticated is ever seen.
 * Each packet is judged by itself. The caller must look at every ok.
 * The thread that owns @ctx. Cannot fail as a whole.
 */
void aead_open_burst(struct aead *ctx, struct aead_op *ops, size_t n);

/* The 12-byte nonce of a data message (paper §5.4.6). */
static inline void aead_nonce(uint8_t out[AEAD_NONCE_LEN], uint64_t counter)
{
	memset(out, 0, 4);
	store_le64(out + 4, counter);
}

#endif
