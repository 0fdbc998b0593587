/* SPDX-License-Identifier: MIT */
/* ChaCha20-Poly1305 by libsodium: slower than ipsec-mb, but everywhere. */
#include "aead.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

static int create(struct aead **out)
{
	/* Chooses the fastest code for this CPU; safe to repeat from any thread. */
	if (sodium_init() < 0)
		return -ENOTSUP;
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void destroy(struct aead *ctx)
{
	free(ctx);
}

static void seal_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	uint8_t nonce[AEAD_NONCE_LEN];

	(void)ctx;
	for (struct aead_op *op = ops; op < ops + n; op++) {
		aead_nonce(nonce, op->nonce);
		op->ok = !crypto_aead_chacha20poly1305_ietf_encrypt(op->data, NULL, op->data,
								    op->len, NULL, 0, NULL,
								    nonce, op->key);
	}
}

static void open_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	uint8_t nonce[AEAD_NONCE_LEN];

	(void)ctx;
	for (struct aead_op *op = ops; op < ops + n; op++) {
		aead_nonce(nonce, op->nonce);
		/* Too short for a tag: libsodium refuses. */
		op->ok = !crypto_aead_chacha20poly1305_ietf_decrypt(op->data, NULL, NULL, op->data,
								    op->len, NULL, 0, nonce,
								    op->key);
	}
}

const struct aead_provider aead_sodium = {
	.name = "libsodium",
	.create = create,
	.destroy = destroy,
	.seal_burst = seal_burst,
	.open_burst = open_burst,
};
