/* SPDX-License-Identifier: MIT */
/*
 * Keys as text, by libsodium's decoders, which take the same time for every
 * key. Lengths are public and may decide.
 */
#include "encoding.h"

#include <errno.h>
#include <sodium.h>

enum { BASE64_LEN = KEY_BASE64_STRLEN - 1, HEX_LEN = KEY_HEX_STRLEN - 1 };

/* Half a decoded key is still a secret. */
static int decoded(uint8_t out[KEY_LEN], int failed, size_t len)
{
	if (!failed && len == KEY_LEN)
		return 0;
	sodium_memzero(out, KEY_LEN);
	return -EINVAL;
}

/* libsodium 1.0.18 takes bytes behind 0x7f for letters, too. */
static bool is_ascii(const char *text, size_t len)
{
	unsigned char bits = 0;

	for (size_t i = 0; i < len; i++)
		bits |= (unsigned char)text[i];
	return !(bits & 0x80);
}

int key_from_base64(uint8_t out[KEY_LEN], const char *text)
{
	size_t len = 0;
	int failed = -1;

	/* 44 characters without padding would be 33 bytes; libsodium refuses bits left over. */
	if (strnlen(text, KEY_BASE64_STRLEN) == BASE64_LEN &&
	    is_ascii(text, BASE64_LEN))
		failed = sodium_base642bin(out, KEY_LEN, text, BASE64_LEN, NULL, &len, NULL,
					   sodium_base64_VARIANT_ORIGINAL);
	return decoded(out, failed, len);
}

int key_from_hex(uint8_t out[KEY_LEN], const char *text)
{
	size_t len = 0;
	int failed = -1;

	if (strnlen(text, KEY_HEX_STRLEN) == HEX_LEN)
		failed = sodium_hex2bin(out, KEY_LEN, text, HEX_LEN, NULL, &len, NULL);
	return decoded(out, failed, len);
}

const char *key_to_base64(const uint8_t key[KEY_LEN], char text[KEY_BASE64_STRLEN])
{
	return sodium_bin2base64(text, KEY_BASE64_STRLEN, key, KEY_LEN,
				 sodium_base64_VARIANT_ORIGINAL);
}

const char *key_to_hex(const uint8_t key[KEY_LEN], char text[KEY_HEX_STRLEN])
{
	return sodium_bin2hex(text, KEY_HEX_STRLEN, key, KEY_LEN);
}

bool key_is_zero(const uint8_t key[KEY_LEN])
{
	return sodium_is_zero(key, KEY_LEN);
}
