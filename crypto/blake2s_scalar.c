/* SPDX-License-Identifier: MIT */
/* The compression function of BLAKE2s for any machine. */
#include "blake2s_compress.h"

static inline uint32_t rotate_right(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* RFC 7693 §3.1, the mixing function, on four words of v and two of the message. */
#define MIX(a, b, c, d, x, y)                         \
	do {                                          \
		v[a] += v[b] + m[x];                  \
		v[d] = rotate_right(v[d] ^ v[a], 16); \
		v[c] += v[d];                         \
		v[b] = rotate_right(v[b] ^ v[c], 12); \
		v[a] += v[b] + m[y];                  \
		v[d] = rotate_right(v[d] ^ v[a], 8);  \
		v[c] += v[d];                         \
		v[b] = rotate_right(v[b] ^ v[c], 7);  \
	} while (0)

/*
 * Columns, then diagonals. The schedule comes as constants rather than from a table: with
 * every index known, v stays in registers and m needs no address arithmetic.
 */
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
	do {                                                                        \
		MIX(0, 4, 8, 12, s0, s1);                                           \
		MIX(1, 5, 9, 13, s2, s3);                                           \
		MIX(2, 6, 10, 14, s4, s5);                                          \
		MIX(3, 7, 11, 15, s6, s7);                                          \
		MIX(0, 5, 10, 15, s8, s9);                                          \
		MIX(1, 6, 11, 12, s10, s11);                                        \
		MIX(2, 7, 8, 13, s12, s13);                                         \
		MIX(3, 4, 9, 14, s14, s15);                                         \
	} while (0)

void blake2s_compress_scalar(uint32_t h[8], const uint8_t block[BLAKE2S_BLOCK_LEN], uint64_t total,
			     bool last)
{
	static const uint32_t iv[8] = BLAKE2S_IV;
	uint32_t m[16];
	uint32_t v[16];
	unsigned i;

	for (i = 0; i < 16; i++)
		m[i] = load_le32(block + 4 * i);
	for (i = 0; i < 8; i++) {
		v[i] = h[i];
		v[i + 8] = iv[i];
	}
	v[12] ^= (uint32_t)total;
	v[13] ^= (uint32_t)(total >> 32);
	if (last)
		v[14] = ~v[14];

	BLAKE2S_ROUNDS(ROUND);

	for (i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[i + 8];
}
