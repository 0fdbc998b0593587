/* SPDX-License-Identifier: MIT */
/*
 * Known answers. A miscompiled library or a CPU with a fault in its vector units
 * shall be found here, not in a tunnel that silently protects nothing.
 */
#include "selftest.h"

#include "aead.h"
#include "blake2s.h"
#include "hkdf.h"

#include <errno.h>
#include <sodium.h>

/* @first, @first + 1, ... */
static void count_up(uint8_t *out, size_t len, unsigned int first)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(first + i);
}

static bool test_blake2s(void)
{
	/* RFC 7693 appendix B */
	static const uint8_t abc[BLAKE2S_HASH_LEN] = {
		0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2, 0xe1, 0xa7, 0x2b,
		0xa3, 0x4e, 0xeb, 0x45, 0x2f, 0x37, 0x45, 0x8b, 0x20, 0x9e, 0xd6,
		0x3a, 0x29, 0x4d, 0x99, 0x9b, 0x4c, 0x86, 0x67, 0x59, 0x82,
	};
	/* As mac1 is made, but of more than one block: key 00..1f, input 00..c7. */
	static const uint8_t mac[16] = {
		0x42, 0xa6, 0xf8, 0xff, 0x59, 0x0a, 0xf2, 0x1b,
		0x51, 0x2e, 0x9e, 0x08, 0x82, 0x57, 0xaa, 0x34,
	};
	uint8_t got[BLAKE2S_HASH_LEN];
	uint8_t key[BLAKE2S_KEY_LEN];
	uint8_t input[200];

	blake2s(got, sizeof(abc), "abc", 3, NULL, 0);
	if (memcmp(got, abc, sizeof(abc)))
		return false;
	count_up(key, sizeof(key), 0);
	count_up(input, sizeof(input), 0);
	blake2s(got, sizeof(mac), input, sizeof(input), key, sizeof(key));
	return !memcmp(got, mac, sizeof(mac));
}

/* Kdf3 contains the other two. Key 00..1f, input 40..5f; by another HMAC and BLAKE2s. */
static bool test_hkdf(void)
{
	static const uint8_t expected[3][BLAKE2S_HASH_LEN] = {
		{ 0xa3, 0x08, 0xe2, 0x9d, 0x3a, 0x10, 0x56, 0x7b, 0xd1, 0xac, 0x08,
		  0x9e, 0x27, 0x31, 0x0b, 0xd5, 0x4e, 0xc6, 0x52, 0x2c, 0xa2, 0x11,
		  0x82, 0x40, 0xc3, 0xdd, 0x24, 0x16, 0xf7, 0xdc, 0x23, 0xfa },
		{ 0xc6, 0x8c, 0xaa, 0x12, 0x44, 0x76, 0x38, 0x5e, 0xd5, 0xf8, 0x3d,
		  0x7a, 0xa9, 0x8e, 0xbe, 0x58, 0xc9, 0xb6, 0x36, 0xf4, 0x85, 0x86,
		  0xd3, 0x60, 0x61, 0xcf, 0x37, 0x81, 0xcc, 0x84, 0xb9, 0xa7 },
		{ 0x08, 0x9a, 0x9e, 0x40, 0x90, 0xac, 0x20, 0xca, 0xaa, 0xfa, 0xb1,
		  0xa1, 0xe6, 0xd2, 0x21, 0x24, 0x2a, 0x8f, 0x1f, 0x54, 0x7f, 0x4c,
		  0x2a, 0xea, 0x31, 0xd6, 0x31, 0x28, 0x58, 0x45, 0x13, 0x88 },
	};
	uint8_t got[3][BLAKE2S_HASH_LEN];
	uint8_t input[32];
	uint8_t key[32];

	count_up(key, sizeof(key), 0x00);
	count_up(input, sizeof(input), 0x40);
	kdf3(got[0], got[1], got[2], key, sizeof(key), input, sizeof(input));
	return !memcmp(got, expected, sizeof(got));
}

/* RFC 7748 §6.1, and the refusal that it recommends there. */
static bool test_x25519(void)
{
	static const uint8_t alice_private[crypto_scalarmult_SCALARBYTES] = {
		0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
		0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
		0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
	};
	static const uint8_t alice_public[crypto_scalarmult_BYTES] = {
		0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d,
		0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
		0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a,
	};
	static const uint8_t bob_public[crypto_scalarmult_BYTES] = {
		0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61,
		0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78,
		0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f,
	};
	static const uint8_t shared[crypto_scalarmult_BYTES] = {
		0x4a, 0x5d, 0x9d, 0x5b, 0xa4, 0xce, 0x2d, 0xe1, 0x72, 0x8e, 0x3b,
		0xf4, 0x80, 0x35, 0x0f, 0x25, 0xe0, 0x7e, 0x21, 0xc9, 0x47, 0xd1,
		0x9e, 0x33, 0x76, 0xf0, 0x9b, 0x3c, 0x1e, 0x16, 0x17, 0x42,
	};
	static const uint8_t low_order[crypto_scalarmult_BYTES] = { 1 };
	uint8_t got[crypto_scalarmult_BYTES];

	if (crypto_scalarmult_base(got, alice_private) || memcmp(got, alice_public, sizeof(got)))
		return false;
	if (crypto_scalarmult(got, alice_private, bob_public) ||
	    memcmp(got, shared, sizeof(got)))
		return false;
	return crypto_scalarmult(got, alice_private, low_order) != 0;
}

/*
 * The sunscreen example of RFC 8439 §2.8.2, with additional data; the XChaCha20
 * draft (draft-irtf-cfrg-xchacha-03 appendix A.3.1) reuses all but the nonce.
 */
static const char sunscreen[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				"only one tip for the future, sunscreen would be it.";
static const uint8_t sunscreen_ad[] = {
	0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
};

enum {
	SUNSCREEN_LEN = sizeof(sunscreen) - 1,
	SUNSCREEN_SEALED_LEN = SUNSCREEN_LEN + AEAD_TAG_LEN
};

static bool test_chacha20poly1305(void)
{
	static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES] = {
		0x07, 0x00, 0x00, 0x00, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47,
	};
	static const uint8_t tag[AEAD_TAG_LEN] = {
		0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a,
		0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91,
	};
	uint8_t sealed[SUNSCREEN_SEALED_LEN];
	uint8_t opened[SUNSCREEN_LEN];
	uint8_t key[AEAD_KEY_LEN];

	count_up(key, sizeof(key), 0x80);
	if (crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, (const uint8_t *)sunscreen,
						      SUNSCREEN_LEN, sunscreen_ad,
						      sizeof(sunscreen_ad), NULL, nonce, key) ||
	    memcmp(sealed + SUNSCREEN_LEN, tag, sizeof(tag)))
		return false;
	if (crypto_aead_chacha20poly1305_ietf_decrypt(opened, NULL, NULL, sealed, sizeof(sealed),
						      sunscreen_ad, sizeof(sunscreen_ad), nonce,
						      key) ||
	    memcmp(opened, sunscreen, sizeof(opened)))
		return false;
	sealed[0] ^= 1;
	return crypto_aead_chacha20poly1305_ietf_decrypt(opened, NULL, NULL, sealed, sizeof(sealed),
							 sunscreen_ad, sizeof(sunscreen_ad), nonce,
							 key) != 0;
}

static bool test_xchacha20poly1305(void)
{
	static const uint8_t tag[AEAD_TAG_LEN] = {
		0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79,
		0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49,
	};
	uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
	uint8_t sealed[SUNSCREEN_SEALED_LEN];
	uint8_t opened[SUNSCREEN_LEN];
	uint8_t key[AEAD_KEY_LEN];

	count_up(key, sizeof(key), 0x80);
	count_up(nonce, sizeof(nonce), 0x40);
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, (const uint8_t *)sunscreen,
						       SUNSCREEN_LEN, sunscreen_ad,
						       sizeof(sunscreen_ad), NULL, nonce, key) ||
	    memcmp(sealed + SUNSCREEN_LEN, tag, sizeof(tag)))
		return false;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(opened, NULL, NULL, sealed, sizeof(sealed),
						       sunscreen_ad, sizeof(sunscreen_ad), nonce,
						       key) ||
	    memcmp(opened, sunscreen, sizeof(opened)))
		return false;
	sealed[0] ^= 1;
	return crypto_aead_xchacha20poly1305_ietf_decrypt(opened, NULL, NULL, sealed,
							  sizeof(sealed), sunscreen_ad,
							  sizeof(sunscreen_ad), nonce, key) != 0;
}

static const struct {
	const char *name;
	bool (*test)(void);
} primitives[] = {
	{ "BLAKE2s", test_blake2s },
	{ "HKDF", test_hkdf },
	{ "X25519", test_x25519 },
	{ "ChaCha20-Poly1305", test_chacha20poly1305 },
	{ "XChaCha20-Poly1305", test_xchacha20poly1305 },
};

/* A context computes its known answers while it is made. */
static int test_providers(const char **failed)
{
	const char *name;

	for (size_t i = 0; (name = aead_provider_name(i)); i++) {
		struct aead *ctx;
		int err = aead_new(name, &ctx);

		aead_free(ctx);
		if (err && err != -ENOTSUP) {
			*failed = name;
			return err;
		}
	}
	return 0;
}

int selftest_run(const char **failed)
{
	if (sodium_init() < 0) {
		*failed = "libsodium";
		return -ENOTSUP;
	}
	blake2s_choose();
	for (size_t i = 0; i < ARRAY_SIZE(primitives); i++) {
		if (!primitives[i].test()) {
			*failed = primitives[i].name;
			return -EIO;
		}
	}
	return test_providers(failed);
}
