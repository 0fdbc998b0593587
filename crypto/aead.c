/* SPDX-License-Identifier: MIT */
/*
 * Chooses a provider of ChaCha20-Poly1305, makes it prove itself, and keeps the
 * promise that nothing unauthenticated is ever seen, whichever it is.
 */
#include "aead.h"

#include <errno.h>
#include <sodium.h>

/* Best first: "auto" takes the first that works. */
static const struct aead_provider *const providers[] = {
	&aead_ipsecmb,
	&aead_sodium,
};

void aead_seal_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	ctx->provider->seal_burst(ctx, ops, n);
	for (struct aead_op *op = ops; op < ops + n; op++)
		if (unlikely(!op->ok))
			sodium_memzero(op->data, op->len + AEAD_TAG_LEN);
}

void aead_open_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	ctx->provider->open_burst(ctx, ops, n);
	for (struct aead_op *op = ops; op < ops + n; op++)
		if (unlikely(!op->ok))
			sodium_memzero(op->data, op->len);
}

const char *aead_name(const struct aead *ctx)
{
	return ctx->provider->name;
}

const char *aead_provider_name(size_t i)
{
	return i < ARRAY_SIZE(providers) ? providers[i]->name : NULL;
}

void aead_free(struct aead *ctx)
{
	if (ctx)
		ctx->provider->destroy(ctx);
}

/*
 * Known answers: plaintext byte j of answer i is i + j, its key is the byte i and
 * then 1 to 31, its counter KNOWN_COUNTER + i. The tag vouches for the ciphertext.
 * Computed from the text of RFC 8439 by a program that shares nothing with the
 * providers. The lengths meet each width at which their vector code changes course.
 */
enum {
	KNOWN_MAX = 1420
};

#define KNOWN_COUNTER UINT64_C(0x0123456789abcdef)

static const struct {
	size_t len;
	uint8_t tag[AEAD_TAG_LEN];
} known[] = {
	{ 0, { 0xf3, 0xac, 0xb9, 0x44, 0x90, 0xa1, 0x8f, 0xa0,
	       0x13, 0xac, 0x0a, 0xd8, 0x84, 0x67, 0x18, 0x55 } },
	{ 1, { 0x54, 0x8e, 0xf2, 0x18, 0x00, 0xd3, 0xa4, 0xb4,
	       0xe0, 0xc0, 0xc0, 0xce, 0xb9, 0xd8, 0x13, 0x5a } },
	{ 64, { 0x89, 0x2f, 0x33, 0x18, 0xd8, 0x1d, 0x35, 0x94,
		0x75, 0xa2, 0x3b, 0x9d, 0xa4, 0x8c, 0xa8, 0x6f } },
	{ 191, { 0xf4, 0xcd, 0x2d, 0x6a, 0x61, 0x3a, 0x67, 0xb4,
		 0x1d, 0x37, 0xb8, 0x87, 0xaa, 0xbb, 0x2f, 0x6e } },
	{ 513, { 0x86, 0xa0, 0x99, 0x76, 0x4b, 0x1f, 0x82, 0xd5,
		 0xc4, 0x02, 0xa4, 0x94, 0x9c, 0xa0, 0x98, 0xfa } },
	{ KNOWN_MAX, { 0x32, 0x7b, 0x99, 0x3d, 0xcd, 0x1d, 0x81, 0xf9,
		       0x6f, 0x39, 0x0b, 0xa6, 0x8b, 0xa4, 0xbd, 0x42 } },
};

/* Is every byte what answer @i started from, or, after a refusal, zero? */
static bool known_opened(const struct aead_op *op, size_t i, bool forged)
{
	if (op->ok == forged)
		return false;
	if (forged)
		return sodium_is_zero(op->data, op->len);
	for (size_t j = 0; j < known[i].len; j++)
		if (op->data[j] != (uint8_t)(i + j))
			return false;
	return true;
}

/* Seals all answers, then opens them with every other one forged, either way round. */
static bool known_run(struct aead *ctx, bool forge_odd)
{
	uint8_t data[ARRAY_SIZE(known)][KNOWN_MAX + AEAD_TAG_LEN];
	uint8_t keys[ARRAY_SIZE(known)][AEAD_KEY_LEN];
	struct aead_op ops[ARRAY_SIZE(known)];

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		for (size_t j = 0; j < AEAD_KEY_LEN; j++)
			keys[i][j] = (uint8_t)(j ? j : i);
		for (size_t j = 0; j < known[i].len; j++)
			data[i][j] = (uint8_t)(i + j);
		ops[i] = (struct aead_op){ .data = data[i],
					   .len = known[i].len,
					   .key = keys[i],
					   .nonce = KNOWN_COUNTER + i };
	}
	aead_seal_burst(ctx, ops, ARRAY_SIZE(known));
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		uint8_t *tag = data[i] + known[i].len;

		if (!ops[i].ok || memcmp(tag, known[i].tag, AEAD_TAG_LEN))
			return false;
		ops[i].len += AEAD_TAG_LEN;
		tag[AEAD_TAG_LEN - 1] ^= (i % 2 == forge_odd);
	}
	aead_open_burst(ctx, ops, ARRAY_SIZE(known));
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!known_opened(&ops[i], i, i % 2 == forge_odd))
			return false;
	return true;
}

static int provider_new(const struct aead_provider *provider, struct aead **out)
{
	struct aead *ctx;
	int err;

	err = provider->create(&ctx);
	if (err)
		return err;
	ctx->provider = provider;
	if (!known_run(ctx, false) || !known_run(ctx, true)) {
		aead_free(ctx);
		return -EIO;
	}
	*out = ctx;
	return 0;
}

int aead_new(const char *provider, struct aead **out)
{
	bool any = !strcmp(provider, "auto");
	int err = -EINVAL;

	*out = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++) {
		if (!any && strcmp(provider, providers[i]->name))
			continue;
		err = provider_new(providers[i], out);
		if (!any || !err)
			break;
	}
	return err;
}
