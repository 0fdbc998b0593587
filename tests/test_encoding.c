/* SPDX-License-Identifier: MIT */
/* Keys as text: round trips, and everything that is nearly a key. */
#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "../src/base/encoding.h"

/* RFC 7748 §6.1: Alice's private key. */
static const uint8_t alice[KEY_LEN] = {
	0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
	0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
	0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
};
#define ALICE_HEX "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
#define ALICE_UPPER "77076D0A7318A57D3C16C17251B26645DF4C2F87EBC0992AB177FBA51DB92C2A"
#define ALICE_BASE64 "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
#define ZERO_BASE64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const char *const bad_base64[] = {
	"",
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo",   /* no padding */
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo==", /* 45 characters */
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n",
	" dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo",
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC==",  /* 31 bytes */
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCoA",  /* 33 bytes */
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCp=",  /* bits left over */
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCr=",
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkq-Xf7pR25LCo=",  /* base64url */
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkq Xf7pR25LCo=",
	"dwdt=nMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=",
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo\xff",
	/* libsodium 1.0.18 takes these for letters */
	"\xffwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=",
	"dwdtCnMYpX08FsFyUb\xc3\xbcmRd9ML4frwJkqsXf7pR25LC=",
	"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC\x80=",
	ALICE_HEX,
};

static const char *const bad_hex[] = {
	"",
	"77",
	"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2",
	"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a0",
	"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a00",
	"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2g",
	"x7076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	"77 76d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	"0x77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c",
	ALICE_BASE64,
};

START_TEST(known)
{
	char base64[KEY_BASE64_STRLEN], hex[KEY_HEX_STRLEN];
	uint8_t key[KEY_LEN];

	ck_assert_str_eq(key_to_base64(alice, base64), ALICE_BASE64);
	ck_assert_str_eq(key_to_hex(alice, hex), ALICE_HEX);
	ck_assert_int_eq(key_from_base64(key, ALICE_BASE64), 0);
	ck_assert_mem_eq(key, alice, KEY_LEN);
	ck_assert_int_eq(key_from_hex(key, ALICE_HEX), 0);
	ck_assert_mem_eq(key, alice, KEY_LEN);
	ck_assert_int_eq(key_from_hex(key, ALICE_UPPER), 0);
	ck_assert_mem_eq(key, alice, KEY_LEN);
}
END_TEST

START_TEST(refused_base64)
{
	uint8_t key[KEY_LEN];

	memset(key, 0xaa, sizeof(key));
	ck_assert_int_eq(key_from_base64(key, bad_base64[_i]), -EINVAL);
	ck_assert_msg(key_is_zero(key), "a refused key leaves nothing behind");
}
END_TEST

START_TEST(refused_hex)
{
	uint8_t key[KEY_LEN];

	memset(key, 0xaa, sizeof(key));
	ck_assert_int_eq(key_from_hex(key, bad_hex[_i]), -EINVAL);
	ck_assert_msg(key_is_zero(key), "a refused key leaves nothing behind");
}
END_TEST

START_TEST(zero)
{
	uint8_t key[KEY_LEN];
	size_t i;

	ck_assert_int_eq(key_from_base64(key, ZERO_BASE64), 0);
	ck_assert(key_is_zero(key));
	for (i = 0; i < 8 * KEY_LEN; i++) {
		key[i / 8] = (uint8_t)(1 << i % 8);
		ck_assert(!key_is_zero(key));
		key[i / 8] = 0;
	}
}
END_TEST

START_TEST(round_trips)
{
	static const uint8_t seed[randombytes_SEEDBYTES] = { 1 };
	uint8_t keys[1000][KEY_LEN], back[KEY_LEN];
	char base64[KEY_BASE64_STRLEN], hex[KEY_HEX_STRLEN];
	size_t i;

	randombytes_buf_deterministic(keys, sizeof(keys), seed);
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		ck_assert_int_eq(key_from_base64(back, key_to_base64(keys[i], base64)), 0);
		ck_assert_mem_eq(back, keys[i], KEY_LEN);
		ck_assert_int_eq(key_from_hex(back, key_to_hex(keys[i], hex)), 0);
		ck_assert_mem_eq(back, keys[i], KEY_LEN);
	}
}
END_TEST

/* One text per key: of the 64 last characters before the padding, 16 are good. */
START_TEST(canonical)
{
	char text[] = ALICE_BASE64;
	uint8_t key[KEY_LEN];
	int good = 0, c;

	for (c = 1; c < 256; c++) {
		text[42] = (char)c;
		good += !key_from_base64(key, text);
	}
	ck_assert_int_eq(good, 16);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("encoding");
	TCase *t = tcase_create("encoding");
	SRunner *sr = srunner_create(s);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_add_test(t, known);
	tcase_add_loop_test(t, refused_base64, 0, ARRAY_SIZE(bad_base64));
	tcase_add_loop_test(t, refused_hex, 0, ARRAY_SIZE(bad_hex));
	tcase_add_test(t, zero);
	tcase_add_test(t, round_trips);
	tcase_add_test(t, canonical);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
