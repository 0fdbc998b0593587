/* SPDX-License-Identifier: MIT */
/*
 * The compression function of BLAKE2s (RFC 7693 §3.2) in its two makes, for
 * blake2s.c and its test. Both do the same; any thread.
 */
#ifndef BERTH_CRYPTO_BLAKE2S_COMPRESS_H
#define BERTH_CRYPTO_BLAKE2S_COMPRESS_H

#include "blake2s.h"

/* RFC 7693 §2.6: the first words of SHA-256's initial value. */
#define BLAKE2S_IV                                      \
	{                                               \
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, \
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19  \
	}

/* §2.7, the message schedule: ten rounds, every index a constant. */
#define BLAKE2S_ROUNDS(ROUND)                                           \
	do {                                                            \
		ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); \
		ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3); \
		ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4); \
		ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8); \
		ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13); \
		ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9); \
		ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11); \
		ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10); \
		ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5); \
		ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0); \
	} while (0)

/*
 * Takes one block into h. total counts the bytes up to the end of the block's input, last
 * says that no other block follows.
 */
typedef void blake2s_compress_fn(uint32_t h[8], const uint8_t block[BLAKE2S_BLOCK_LEN],
				 uint64_t total, bool last);

blake2s_compress_fn blake2s_compress_scalar;

#if defined(__x86_64__)
#define BLAKE2S_HAVE_SSSE3 1
/* Only where __builtin_cpu_supports("ssse3"). */
blake2s_compress_fn blake2s_compress_ssse3;
#endif

#endif
