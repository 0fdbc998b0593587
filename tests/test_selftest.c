/* SPDX-License-Identifier: MIT */
/*
 * The self-test, and what becomes of a provider that fails it. This program's
 * "ipsec-mb" is a fake that is linked instead of the real one (which test_aead.c
 * looks at): it can be good, absent, or wrong in every way that must be noticed.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "../crypto/aead.h"
#include "../crypto/selftest.h"

enum fault {
	GOOD,
	ABSENT,
	NO_MEMORY,
	WRONG_TAG,        /* one bit, in long packets only */
	WRONG_CIPHERTEXT, /* although the tag is right */
	WRONG_PLAINTEXT,
	SEAL_FAILS,
	ACCEPTS_ALL,
	REFUSES_ALL,
	REFUSES_NEIGHBOURS, /* of a forged packet */
	FIRST_KEY_FOR_ALL,
};

static enum fault fault;
static int alive;

static int fake_create(struct aead **out)
{
	if (fault == ABSENT)
		return -ENOTSUP;
	if (fault == NO_MEMORY)
		return -ENOMEM;
	alive++;
	return aead_sodium.create(out);
}

static void fake_destroy(struct aead *ctx)
{
	alive--;
	aead_sodium.destroy(ctx);
}

static void fake_seal(struct aead *ctx, struct aead_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct aead_op op = ops[i];

		if (fault == FIRST_KEY_FOR_ALL)
			op.key = ops[0].key;
		aead_sodium.seal_burst(ctx, &op, 1);
		ops[i].ok = fault != SEAL_FAILS;
		if (fault == WRONG_TAG && op.len > 1000)
			op.data[op.len + 3] ^= 4;
		if (fault == WRONG_CIPHERTEXT && op.len)
			op.data[0] ^= 1;
	}
}

static void fake_open(struct aead *ctx, struct aead_op *ops, size_t n)
{
	bool bad = false;

	aead_sodium.open_burst(ctx, ops, n);
	for (size_t i = 0; i < n; i++) {
		bad |= !ops[i].ok;
		if (fault == ACCEPTS_ALL)
			ops[i].ok = true;
		if (fault == REFUSES_ALL || (fault == REFUSES_NEIGHBOURS && bad))
			ops[i].ok = false;
		if (fault == WRONG_PLAINTEXT && ops[i].ok && ops[i].len > 500)
			ops[i].data[499] ^= 0x80;
	}
}

const struct aead_provider aead_ipsecmb = {
	.name = "ipsec-mb",
	.create = fake_create,
	.destroy = fake_destroy,
	.seal_burst = fake_seal,
	.open_burst = fake_open,
};

static const struct {
	enum fault fault;
	int err;              /* of the provider by name */
	int selftest;         /* of selftest_run() */
	const char *automatic; /* what "auto" takes */
} cases[] = {
	{ GOOD, 0, 0, "ipsec-mb" },
	{ ABSENT, -ENOTSUP, 0, "libsodium" },
	{ NO_MEMORY, -ENOMEM, -ENOMEM, "libsodium" },
	{ WRONG_TAG, -EIO, -EIO, "libsodium" },
	{ WRONG_CIPHERTEXT, -EIO, -EIO, "libsodium" },
	{ WRONG_PLAINTEXT, -EIO, -EIO, "libsodium" },
	{ SEAL_FAILS, -EIO, -EIO, "libsodium" },
	{ ACCEPTS_ALL, -EIO, -EIO, "libsodium" },
	{ REFUSES_ALL, -EIO, -EIO, "libsodium" },
	{ REFUSES_NEIGHBOURS, -EIO, -EIO, "libsodium" },
	{ FIRST_KEY_FOR_ALL, -EIO, -EIO, "libsodium" },
};

START_TEST(fault_is_found)
{
	const char *failed = "nothing";
	struct aead *ctx;

	fault = cases[_i].fault;
	ck_assert_int_eq(selftest_run(&failed), cases[_i].selftest);
	ck_assert_str_eq(failed, cases[_i].selftest ? "ipsec-mb" : "nothing");
	ck_assert_int_eq(aead_new("ipsec-mb", &ctx), cases[_i].err);
	ck_assert(!ctx == !!cases[_i].err);
	aead_free(ctx);
	ck_assert_int_eq(aead_new("auto", &ctx), 0);
	ck_assert_str_eq(aead_name(ctx), cases[_i].automatic);
	aead_free(ctx);
	ck_assert_int_eq(alive, 0);
}
END_TEST

/* A packet that could not be sealed must not leave in the clear. */
START_TEST(failed_seal_betrays_nothing)
{
	uint8_t data[100 + AEAD_TAG_LEN];
	uint8_t key[AEAD_KEY_LEN] = { 0 };
	struct aead_op op = { .data = data, .len = 100, .key = key };
	struct aead *ctx;

	fault = GOOD;
	ck_assert_int_eq(aead_new("ipsec-mb", &ctx), 0);
	fault = SEAL_FAILS;
	memset(data, 'x', sizeof(data));
	aead_seal_burst(ctx, &op, 1);
	ck_assert(!op.ok);
	for (size_t i = 0; i < sizeof(data); i++)
		ck_assert_int_eq(data[i], 0);
	aead_free(ctx);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("selftest");
	TCase *tc = tcase_create("selftest");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, fault_is_found, 0, (int)ARRAY_SIZE(cases));
	tcase_add_test(tc, failed_seal_betrays_nothing);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
