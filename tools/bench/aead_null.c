/* SPDX-License-Identifier: MIT */
/*
 * The null cipher: what crypto/aead.c is, without encryption and without proof.
 * Nothing is secret and anybody's packet is good. It shows what the data path
 * costs beside the cipher.
 *
 * It is linked in front of crypto's archive, and into build/bench/ only: no option
 * of the daemon leads here.
 */
#include "../../crypto/aead.h"


static struct aead context;

const char *aead_name(const struct aead *ctx)
{
	(void)ctx;
	return "NO CIPHER AT ALL, for benchmarks only";
}

const char *aead_provider_name(size_t i)
{
	return i ? NULL : "null";
}

int aead_new(const char *provider, struct aead **out)
{
	(void)provider;
	*out = &context;
	return 0;
}

void aead_free(struct aead *ctx)
{
	(void)ctx;
}

void aead_seal_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	(void)ctx;
	for (struct aead_op *op = ops; op < ops + n; op++) {
		memset(op->data + op->len, 0, AEAD_TAG_LEN);
		op->ok = true;
	}
}

void aead_open_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	(void)ctx;
	for (struct aead_op *op = ops; op < ops + n; op++)
		op->ok = op->len >= AEAD_TAG_LEN;
}
