/* SPDX-License-Identifier: MIT */
/*
 * Keys as text: base64 in files and in `wg`, hex in the UAPI. Private keys
 * pass through here, so nothing branches or indexes on what a key contains.
 */
#ifndef BERTH_BASE_ENCODING_H
#define BERTH_BASE_ENCODING_H

#include "../base.h"

enum {
	KEY_LEN = 32,
	KEY_BASE64_STRLEN = 45, /* 44 characters and the NUL */
	KEY_HEX_STRLEN = 65     /* 64 digits and the NUL */
};

/*
 * Exactly 44 characters of base64 with its padding, and canonical: the two
 * bits behind the 32nd byte are zero (RFC 4648 §3.5), so that one key has one
 * text. No blanks. Any thread. 0, or -EINVAL with out zeroed.
 */
must_check int key_from_base64(uint8_t out[KEY_LEN], const char *text);

/* Exactly 64 hex digits of either case. Any thread. 0, or -EINVAL with out zeroed. */
must_check int key_from_hex(uint8_t out[KEY_LEN], const char *text);

/* Any thread. Both return text; wiping the text of a secret is the caller's duty. */
const char *key_to_base64(const uint8_t key[KEY_LEN], char text[KEY_BASE64_STRLEN]);
const char *key_to_hex(const uint8_t key[KEY_LEN], char text[KEY_HEX_STRLEN]);

/* All 32 bytes zero, which `wg` reads as "no key"? Constant time. Any thread. */
bool key_is_zero(const uint8_t key[KEY_LEN]);

#endif
