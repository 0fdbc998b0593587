/* SPDX-License-Identifier: MIT */
/*
 * ChaCha20-Poly1305 by Intel's multi-buffer library for IPsec, on x86-64.
 *
 * The library computes tags but never verifies them, and decrypts whatever it is
 * given: the comparison is made here, the wiping in aead.c.
 *
 * One job after the other is as fast as its burst calls for this cipher (both
 * 4 % ahead of its direct calls at 1,420 bytes), needs no arrays, and is the
 * fastest for a burst of one. Debian builds the library with SAFE_DATA: it clears
 * key material from registers and stack itself.
 */
#include "aead.h"

#include <errno.h>

#ifdef HAVE_IPSEC_MB

#define NO_COMPAT_IMB_API_053 /* keeps names like CBC out of here */
#include <intel-ipsec-mb.h>
#include <sodium.h>
#include <stdlib.h>

struct ipsecmb {
	struct aead aead; /* first: see destroy() */
	IMB_MGR *manager; /* one cache-aligned piece of memory of our own */
};

_Static_assert(offsetof(struct ipsecmb, aead) == 0, "a context is where its base is");

static void destroy(struct aead *ctx)
{
	struct ipsecmb *mb = container_of(ctx, struct ipsecmb, aead);

	/* Its queues have seen our keys. */
	sodium_memzero(mb->manager, imb_get_mb_mgr_size());
	free(mb->manager);
	free(mb);
}

static int create(struct aead **out)
{
	size_t size = ALIGN_UP(imb_get_mb_mgr_size(), 64);
	struct ipsecmb *mb = calloc(1, sizeof(*mb));

	if (!mb)
		return -ENOMEM;
	mb->manager = aligned_alloc(64, size);
	if (!mb->manager) {
		free(mb);
		return -ENOMEM;
	}
	/*
	 * In memory of our own rather than the library's, so that it can be wiped.
	 * The second call looks at the CPU and tests the library itself.
	 */
	memset(mb->manager, 0, size);
	if (!imb_set_pointers_mb_mgr(mb->manager, 0, 1))
		goto unsuitable;
	init_mb_mgr_auto(mb->manager, NULL);
	if (imb_get_errno(mb->manager))
		goto unsuitable;
	/* Below AVX2 it gains too little over libsodium to be worth a second library. */
	if (mb->manager->used_arch < IMB_ARCH_AVX2)
		goto unsuitable;
	*out = &mb->aead;
	return 0;

unsuitable:
	destroy(&mb->aead);
	return -ENOTSUP;
}

/*
 * Runs the cipher over @len bytes at @op->data and leaves their tag in @tag. The
 * library's own check of every field is skipped: none of them comes from outside.
 */
static bool run(struct aead *ctx, const struct aead_op *op, size_t len, bool seal, uint8_t *tag)
{
	struct ipsecmb *mb = container_of(ctx, struct ipsecmb, aead);
	IMB_JOB *job = IMB_GET_NEXT_JOB(mb->manager);
	uint8_t nonce[AEAD_NONCE_LEN];

	aead_nonce(nonce, op->nonce);
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = op->key;
	job->dec_keys = op->key;
	job->key_len_in_bytes = AEAD_KEY_LEN;
	job->iv = nonce;
	job->iv_len_in_bytes = sizeof(nonce);
	job->src = op->data;
	job->dst = op->data;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = len;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = AEAD_TAG_LEN;
	job->u.CHACHA20_POLY1305.aad = nonce; /* 0 bytes of it, but not NULL */
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
	job->u.CHACHA20_POLY1305.ctx = NULL;

	/* This cipher's jobs are done at once; a later library may queue them. */
	job = IMB_SUBMIT_JOB_NOCHECK(mb->manager);
	if (unlikely(!job))
		job = IMB_FLUSH_JOB(mb->manager);
	return job && job->status == IMB_STATUS_COMPLETED;
}

static void seal_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	for (struct aead_op *op = ops; op < ops + n; op++)
		op->ok = run(ctx, op, op->len, true, op->data + op->len);
}

static void open_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	uint8_t tag[AEAD_TAG_LEN];

	for (struct aead_op *op = ops; op < ops + n; op++) {
		size_t len = op->len - AEAD_TAG_LEN;

		op->ok = op->len >= AEAD_TAG_LEN && run(ctx, op, len, false, tag) &&
			 !crypto_verify_16(tag, op->data + len);
	}
	/* The right tag of a forged packet would be worth having. */
	sodium_memzero(tag, sizeof(tag));
}

#else

static int create(struct aead **out)
{
	(void)out;
	return -ENOTSUP;
}

/* Never reached: there is no context to call them with. */
static void destroy(struct aead *ctx)
{
	(void)ctx;
}

static void seal_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	(void)ctx;
	(void)ops;
	(void)n;
}

static void open_burst(struct aead *ctx, struct aead_op *ops, size_t n)
{
	(void)ctx;
	(void)ops;
	(void)n;
}

#endif

const struct aead_provider aead_ipsecmb = {
	.name = "ipsec-mb",
	.create = create,
	.destroy = destroy,
	.seal_burst = seal_burst,
	.open_burst = open_burst,
};
