/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071), a cache line at a time.
 *
 * Every packet of a coalesced flow is summed once on each way, right beside
 * the cipher, so this is worth vectors. Each 32-bit word is added to a 64-bit
 * lane, which cannot overflow before 2^32 words: no carry is ever handled
 * inside the loop.
 */
#include "checksum.h"

#include <errno.h>

typedef uint64_t lanes __attribute__((vector_size(32)));

/*
 * @len is a multiple of 64. Written once for whatever vectors the caller's
 * target has; two pairs of accumulators hide the latency of the additions.
 */
static inline __attribute__((always_inline)) uint64_t sum_lines(const uint8_t *p, size_t len)
{
	const lanes low = { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };
	lanes a0 = { 0 }, a1 = { 0 }, b0 = { 0 }, b1 = { 0 };
	lanes v, w;

	for (; len; p += 64, len -= 64) {
		memcpy(&v, p, sizeof(v));
		memcpy(&w, p + sizeof(v), sizeof(w));
		a0 += v & low;
		a1 += v >> 32;
		b0 += w & low;
		b1 += w >> 32;
	}
	a0 += a1 + b0 + b1;
	return a0[0] + a0[1] + a0[2] + a0[3];
}

static uint64_t sum_lines_baseline(const uint8_t *p, size_t len)
{
	return sum_lines(p, len);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t sum_lines_avx2(const uint8_t *p, size_t len)
{
	return sum_lines(p, len);
}

static uint64_t sum_lines_best(const uint8_t *p, size_t len)
{
	return __builtin_cpu_supports("avx2") ? sum_lines_avx2(p, len) : sum_lines_baseline(p, len);
}
#else
#define sum_lines_best sum_lines_baseline
#endif

static uint64_t sum_words(uint64_t sum, const uint8_t *p, size_t len)
{
	uint64_t v;
	uint32_t w;
	uint16_t h;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&v, p, sizeof(v));
		sum += (v & 0xffffffff) + (v >> 32);
	}
	if (len & 4) {
		memcpy(&w, p, sizeof(w));
		sum += w;
		p += 4;
	}
	if (len & 2) {
		memcpy(&h, p, sizeof(h));
		sum += h;
		p += 2;
	}
	if (len & 1) {
		h = 0;
		memcpy(&h, p, 1); /* the pad byte comes after it, in either byte order */
		sum += h;
	}
	return sum;
}

uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	/* Two lines are the least that pays for setting up the vectors. */
	size_t lines = len < 128 ? 0 : len & ~(size_t)63;

	if (lines)
		sum += sum_lines_best(data, lines);
	return sum_words(sum, (const uint8_t *)data + lines, len - lines);
}

static uint64_t proto_and_length(uint8_t proto, size_t len)
{
	return (uint64_t)htobe16(proto) + htobe32((uint32_t)len);
}

uint64_t checksum_pseudo4(const uint8_t *addrs, uint8_t proto, size_t len)
{
	return sum_words(proto_and_length(proto, len), addrs, 8);
}

uint64_t checksum_pseudo6(const uint8_t *addrs, uint8_t proto, size_t len)
{
	return sum_words(proto_and_length(proto, len), addrs, 32);
}

int checksum_complete(uint8_t *pkt, size_t len, size_t start, size_t offset)
{
	uint64_t sum;

	if (start > len || offset > len - start || len - start - offset < sizeof(be16))
		return -EINVAL;
	sum = checksum_add(0, pkt + start, len - start);
	/* 0 and 0xffff are the same number to TCP, but not to UDP. */
	checksum_store(pkt + start + offset, checksum_finish_nonzero(sum));
	return 0;
}
