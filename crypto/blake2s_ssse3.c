/* SPDX-License-Identifier: MIT */
/*
 * The compression function of BLAKE2s with the 128-bit vectors of any x86-64 of the last
 * fifteen years: the four mixings of a half round run in the four lanes. Handshakes are
 * worth it where it is the faster one (blake2s_choose()): one costs a responder some 85
 * compressions, a tenth of its time.
 */
#include "blake2s_compress.h"

#ifdef BLAKE2S_HAVE_SSSE3

#include <tmmintrin.h>

#define ROTATE_SHIFT(x, n) _mm_or_si128(_mm_srli_epi32(x, n), _mm_slli_epi32(x, 32 - (n)))

/* Message words for the four lanes. */
#define WORDS(i0, i1, i2, i3) _mm_setr_epi32((int)m[i0], (int)m[i1], (int)m[i2], (int)m[i3])

/* RFC 7693 §3.1, in all lanes; rotations by whole bytes are shuffles. */
#define MIX(x, y)                                                        \
	do {                                                             \
		a = _mm_add_epi32(_mm_add_epi32(a, b), x);               \
		d = _mm_shuffle_epi8(_mm_xor_si128(d, a), rotate16);     \
		c = _mm_add_epi32(c, d);                                 \
		b = _mm_xor_si128(b, c);                                 \
		b = ROTATE_SHIFT(b, 12);                                 \
		a = _mm_add_epi32(_mm_add_epi32(a, b), y);               \
		d = _mm_shuffle_epi8(_mm_xor_si128(d, a), rotate8);      \
		c = _mm_add_epi32(c, d);                                 \
		b = _mm_xor_si128(b, c);                                 \
		b = ROTATE_SHIFT(b, 7);                                  \
	} while (0)

/*
 * Columns; then the rows are turned so that the diagonals become columns, and back. It is b
 * that stays, being the last one ready: so the diagonals begin with the lane of v[3].
 */
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
	do {                                                                        \
		MIX(WORDS(s0, s2, s4, s6), WORDS(s1, s3, s5, s7));                  \
		a = _mm_shuffle_epi32(a, _MM_SHUFFLE(2, 1, 0, 3));                  \
		d = _mm_shuffle_epi32(d, _MM_SHUFFLE(1, 0, 3, 2));                  \
		c = _mm_shuffle_epi32(c, _MM_SHUFFLE(0, 3, 2, 1));                  \
		MIX(WORDS(s14, s8, s10, s12), WORDS(s15, s9, s11, s13));            \
		a = _mm_shuffle_epi32(a, _MM_SHUFFLE(0, 3, 2, 1));                  \
		d = _mm_shuffle_epi32(d, _MM_SHUFFLE(1, 0, 3, 2));                  \
		c = _mm_shuffle_epi32(c, _MM_SHUFFLE(2, 1, 0, 3));                  \
	} while (0)

__attribute__((target("ssse3")))
void blake2s_compress_ssse3(uint32_t h[8], const uint8_t block[BLAKE2S_BLOCK_LEN], uint64_t total,
			    bool last)
{
	static const uint32_t iv[8] = BLAKE2S_IV;
	const __m128i rotate16 = _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12,
					       13);
	const __m128i rotate8 = _mm_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
	__m128i h0 = _mm_loadu_si128((const __m128i *)h);
	__m128i h1 = _mm_loadu_si128((const __m128i *)(h + 4));
	__m128i a = h0;
	__m128i b = h1;
	__m128i c = _mm_loadu_si128((const __m128i *)iv);
	__m128i d = _mm_loadu_si128((const __m128i *)(iv + 4));
	uint32_t m[16];

	memcpy(m, block, sizeof(m)); /* x86 is little-endian, as the words are */
	d = _mm_xor_si128(d, _mm_setr_epi32((int)(uint32_t)total, (int)(uint32_t)(total >> 32),
					    last ? -1 : 0, 0));

	BLAKE2S_ROUNDS(ROUND);

	_mm_storeu_si128((__m128i *)h, _mm_xor_si128(h0, _mm_xor_si128(a, c)));
	_mm_storeu_si128((__m128i *)(h + 4), _mm_xor_si128(h1, _mm_xor_si128(b, d)));
}

#endif
