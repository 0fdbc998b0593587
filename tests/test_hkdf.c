/* SPDX-License-Identifier: MIT */
/* HMAC against a naive one, Kdf_n against HMAC and the published answers. */
#include "../crypto/hkdf.h"

#include "vectors.h"

enum { LEN = BLAKE2S_HASH_LEN };

/* RFC 2104 word for word: H((K ^ opad) || H((K ^ ipad) || text)), everything in one buffer. */
static void naive_hmac(uint8_t out[LEN], const uint8_t *key, size_t keylen, const uint8_t *in,
		       size_t inlen)
{
	uint8_t buffer[64 + 1024], k[64] = { 0 }, digest[LEN];
	unsigned i;

	ck_assert_uint_le(inlen, 1024);
	if (keylen > 64)
		blake2s(k, LEN, key, keylen, NULL, 0);
	else if (keylen)
		memcpy(k, key, keylen);
	for (i = 0; i < 64; i++)
		buffer[i] = k[i] ^ 0x36;
	if (inlen)
		memcpy(buffer + 64, in, inlen);
	blake2s(digest, LEN, buffer, 64 + inlen, NULL, 0);
	for (i = 0; i < 64; i++)
		buffer[i] = k[i] ^ 0x5c;
	memcpy(buffer + 64, digest, LEN);
	blake2s(out, LEN, buffer, 64 + LEN, NULL, 0);
}

static size_t fill_random(uint8_t *out, size_t most)
{
	size_t len = (size_t)rand() % (most + 1);
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = (uint8_t)rand();
	return len;
}

START_TEST(hmac)
{
	uint8_t key[200], in[1024], want[LEN], got[LEN];
	unsigned round;

	srand(2104);
	for (round = 0; round < 2000; round++) {
		size_t keylen = fill_random(key, round % 2 ? sizeof(key) : LEN);
		size_t inlen = fill_random(in, round % 3 ? 80 : sizeof(in));

		naive_hmac(want, key, keylen, in, inlen);
		hmac_blake2s(got, key, keylen, in, inlen);
		ck_assert_mem_eq(got, want, LEN);
	}
}
END_TEST

/* Key lengths around a block, where "longer than" is easily taken for "as long as". */
START_TEST(hmac_key_lengths)
{
	uint8_t key[130], want[LEN], got[LEN];
	size_t len;

	memset(key, 0xa5, sizeof(key));
	for (len = 0; len <= sizeof(key); len++) {
		naive_hmac(want, key, len, key, len);
		hmac_blake2s(got, key, len, key, len);
		ck_assert_mem_eq(got, want, LEN);
	}
}
END_TEST

/* Paper §5.4: T0 = Hmac(key, input), T1 = Hmac(T0, 1), T2 = Hmac(T0, T1 || 2), ... */
START_TEST(kdf)
{
	uint8_t key[64], in[64], t0[LEN], t[3][LEN], got[3][LEN], buffer[LEN + 1];
	unsigned round, i;

	srand(54);
	for (round = 0; round < 300; round++) {
		size_t keylen = fill_random(key, sizeof(key));
		size_t inlen = fill_random(in, sizeof(in));

		naive_hmac(t0, key, keylen, in, inlen);
		naive_hmac(t[0], t0, LEN, (const uint8_t *)"\1", 1);
		for (i = 1; i < 3; i++) {
			memcpy(buffer, t[i - 1], LEN);
			buffer[LEN] = (uint8_t)(i + 1);
			naive_hmac(t[i], t0, LEN, buffer, sizeof(buffer));
		}
		kdf1(got[0], key, keylen, in, inlen);
		ck_assert_mem_eq(got, t, 1 * LEN);
		kdf2(got[0], got[1], key, keylen, in, inlen);
		ck_assert_mem_eq(got, t, 2 * LEN);
		kdf3(got[0], got[1], got[2], key, keylen, in, inlen);
		ck_assert_mem_eq(got, t, 3 * LEN);
	}
}
END_TEST

/* As the handshake uses it: the chaining key is both input and output. */
START_TEST(kdf_in_place)
{
	uint8_t chain[LEN], in[LEN], want[2][LEN], t2[LEN];

	memset(chain, 1, sizeof(chain));
	memset(in, 2, sizeof(in));
	kdf2(want[0], want[1], chain, LEN, in, LEN);
	kdf2(chain, t2, chain, LEN, in, LEN);
	ck_assert_mem_eq(chain, want[0], LEN);
	ck_assert_mem_eq(t2, want[1], LEN);
}
END_TEST

START_TEST(known_answers)
{
	json_t *cases = vectors_load("wireguard/kdf.json");
	uint8_t key[64], in[64], want[3][LEN], t[3][LEN];
	json_t *one;
	size_t i;

	if (!cases)
		return;
	ck_assert_uint_ge(json_array_size(cases), 3);
	json_array_foreach(cases, i, one) {
		size_t keylen = vectors_bytes(one, "key", key, sizeof(key));
		size_t inlen = vectors_bytes(one, "input", in, sizeof(in));

		vectors_exact(one, "t1", want[0], LEN);
		vectors_exact(one, "t2", want[1], LEN);
		vectors_exact(one, "t3", want[2], LEN);
		kdf3(t[0], t[1], t[2], key, keylen, in, inlen);
		ck_assert_mem_eq(t, want, sizeof(t));
		memset(t, 0, sizeof(t));
		kdf2(t[0], t[1], key, keylen, in, inlen);
		ck_assert_mem_eq(t, want, 2 * LEN);
		memset(t, 0, sizeof(t));
		kdf1(t[0], key, keylen, in, inlen);
		ck_assert_mem_eq(t, want, LEN);
	}
	json_decref(cases);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hkdf");
	TCase *tc = tcase_create("hkdf");

	tcase_add_test(tc, hmac);
	tcase_add_test(tc, hmac_key_lengths);
	tcase_add_test(tc, kdf);
	tcase_add_test(tc, kdf_in_place);
	tcase_add_test(tc, known_answers);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
