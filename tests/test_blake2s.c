/* SPDX-License-Identifier: MIT */
/* BLAKE2s: the RFC's answers, the published ones, and input in pieces. */
#include "../crypto/blake2s.h"

#include "../crypto/blake2s_compress.h"
#include "vectors.h"

static void check_hash(const char *hex, const uint8_t *hash, size_t len)
{
	uint8_t want[BLAKE2S_HASH_LEN];

	ck_assert_uint_eq(vectors_hex(hex, want, sizeof(want)), len);
	ck_assert_mem_eq(hash, want, len);
}

/* RFC 7693 appendix B. */
START_TEST(rfc_abc)
{
	uint8_t hash[BLAKE2S_HASH_LEN];

	blake2s(hash, sizeof(hash), "abc", 3, NULL, 0);
	check_hash("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", hash,
		   sizeof(hash));
}
END_TEST

/* The byte sequence of RFC 7693 appendix E: the high bytes of a Fibonacci sequence. */
static void fill_sequence(uint8_t *out, size_t len, uint32_t seed)
{
	uint32_t a = 0xdead4bad * seed;
	uint32_t b = 1;
	size_t i;

	for (i = 0; i < len; i++) {
		uint32_t sum = a + b;

		a = b;
		b = sum;
		out[i] = (uint8_t)(sum >> 24);
	}
}

/* RFC 7693 appendix E: the hash of 48 hashes of many lengths, keyed and not. */
START_TEST(rfc_self_test)
{
	static const size_t out_lens[] = { 16, 20, 28, 32 };
	static const size_t in_lens[] = { 0, 3, 64, 65, 255, 1024 };
	uint8_t in[1024], key[32], hash[32];
	struct blake2s_state all;
	size_t i, j;

	blake2s_init(&all, 32);
	for (i = 0; i < ARRAY_SIZE(out_lens); i++) {
		for (j = 0; j < ARRAY_SIZE(in_lens); j++) {
			fill_sequence(in, in_lens[j], (uint32_t)in_lens[j]);
			blake2s(hash, out_lens[i], in, in_lens[j], NULL, 0);
			blake2s_update(&all, hash, out_lens[i]);
			fill_sequence(key, out_lens[i], (uint32_t)out_lens[i]);
			blake2s(hash, out_lens[i], in, in_lens[j], key, out_lens[i]);
			blake2s_update(&all, hash, out_lens[i]);
		}
	}
	blake2s_final(&all, hash);
	check_hash("6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe", hash, 32);
}
END_TEST

/* The value behind "name:\t" in a line, or NULL; the line ends at the end of the value. */
static char *field(char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) || line[len] != ':')
		return NULL;
	line += len + 1;
	line += strspn(line, "\t ");
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* Lines "in:", "key:", "hash:", in this order, a blank line between cases. */
START_TEST(known_answers)
{
	uint8_t in[512], key[32], want[32], hash[32];
	size_t in_len = 0, key_len = 0, cases = 0;
	char line[2048], *value;
	FILE *file = vectors_open("blake2/blake2s-kat.txt");

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if ((value = field(line, "in"))) {
			in_len = vectors_hex(value, in, sizeof(in));
		} else if ((value = field(line, "key"))) {
			key_len = vectors_hex(value, key, sizeof(key));
		} else if ((value = field(line, "hash"))) {
			ck_assert_uint_eq(vectors_hex(value, want, sizeof(want)), sizeof(want));
			blake2s(hash, sizeof(hash), in, in_len, key, key_len);
			ck_assert_mem_eq(hash, want, sizeof(hash));
			cases++;
		}
	}
	fclose(file);
	ck_assert_uint_ge(cases, 256);
}
END_TEST

/* However the input is cut into pieces and wherever it lies, the hash is the same. */
START_TEST(input_in_pieces)
{
	static uint8_t in[1024 + 8];
	uint8_t whole[32], pieces[32], key[32];
	unsigned round;

	srand(7693);
	fill_sequence(in, sizeof(in), 1);
	fill_sequence(key, sizeof(key), 2);
	for (round = 0; round < 2000; round++) {
		const uint8_t *start = in + rand() % 8;
		size_t len = (size_t)rand() % 1025;
		size_t key_len = (size_t)rand() % 33;
		size_t out_len = 1 + (size_t)rand() % 32;
		struct blake2s_state st;
		size_t done = 0;

		blake2s(whole, out_len, start, len, key, key_len);
		if (key_len)
			blake2s_init_key(&st, out_len, key, key_len);
		else
			blake2s_init(&st, out_len);
		while (done < len) {
			size_t n = (size_t)rand() % 200;

			n = min(n, len - done);
			blake2s_update(&st, start + done, n);
			done += n;
		}
		blake2s_update(&st, NULL, 0);
		blake2s_final(&st, pieces);
		ck_assert_mem_eq(whole, pieces, out_len);
	}
}
END_TEST

/* Copies of one primed state give what each would have given alone. */
START_TEST(primed)
{
	uint8_t in[300], key[32], want[16], hash[16];
	struct blake2s_state base, st;
	size_t len;

	fill_sequence(in, sizeof(in), 3);
	fill_sequence(key, sizeof(key), 4);
	blake2s_init_key(&base, sizeof(hash), key, sizeof(key));
	blake2s_prime(&base);
	blake2s_prime(&base); /* once more does no harm */
	for (len = 1; len <= sizeof(in); len++) {
		st = base;
		blake2s_update(&st, in, len);
		blake2s_final(&st, hash);
		blake2s(want, sizeof(want), in, len, key, sizeof(key));
		ck_assert_mem_eq(hash, want, sizeof(hash));
	}
}
END_TEST

/* Both makes of the compression function agree, whichever blake2s() itself takes. */
START_TEST(both_makes)
{
#ifdef BLAKE2S_HAVE_SSSE3
	uint8_t bytes[1 + BLAKE2S_BLOCK_LEN];
	uint32_t one[8] = { 0 }, other[8] = { 0 };
	unsigned round;

	if (!__builtin_cpu_supports("ssse3"))
		return;
	for (round = 0; round < 10000; round++) {
		uint64_t total = (uint64_t)round * UINT64_C(0x123456789abcdef);

		fill_sequence(bytes, sizeof(bytes), round);
		blake2s_compress_scalar(one, bytes + 1, total, round % 2);
		blake2s_compress_ssse3(other, bytes + 1, total, round % 2);
		if (memcmp(one, other, sizeof(one)))
			ck_abort_msg("round %u", round);
	}
#endif
}
END_TEST

/* RFC 7693 appendix B by the portable make alone: "abc" is one block. */
START_TEST(rfc_abc_scalar)
{
	uint32_t h[8] = BLAKE2S_IV;
	uint8_t block[BLAKE2S_BLOCK_LEN] = "abc", hash[BLAKE2S_HASH_LEN];
	unsigned i;

	h[0] ^= 0x01010020;
	blake2s_compress_scalar(h, block, 3, true);
	for (i = 0; i < 8; i++)
		store_le32(hash + 4 * i, h[i]);
	check_hash("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", hash,
		   sizeof(hash));
}
END_TEST

/* The output may lie upon input or key, and the state is wiped. */
START_TEST(in_place)
{
	static const struct blake2s_state zero;
	uint8_t buffer[32], key[32], want[32];
	struct blake2s_state st;

	fill_sequence(buffer, sizeof(buffer), 5);
	fill_sequence(key, sizeof(key), 6);
	blake2s(want, 32, buffer, 32, key, 32);
	blake2s(buffer, 32, buffer, 32, key, 32);
	ck_assert_mem_eq(buffer, want, 32);
	fill_sequence(buffer, sizeof(buffer), 5);
	blake2s(key, 32, buffer, 32, key, 32);
	ck_assert_mem_eq(key, want, 32);

	blake2s_init_key(&st, 32, key, 32);
	blake2s_final(&st, buffer);
	ck_assert(memcmp(&st, &zero, sizeof(st)) == 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("blake2s");
	TCase *tc = tcase_create("blake2s");

	tcase_add_test(tc, rfc_abc);
	tcase_add_test(tc, rfc_self_test);
	tcase_add_test(tc, known_answers);
	tcase_add_test(tc, input_in_pieces);
	tcase_add_test(tc, primed);
	tcase_add_test(tc, both_makes);
	tcase_add_test(tc, rfc_abc_scalar);
	tcase_add_test(tc, in_place);
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
