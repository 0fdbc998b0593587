/* SPDX-License-Identifier: MIT */
/* TAI64N timestamps, whitened. */
#include "tai64n.h"

/* 2^62 marks the present era; TAI was 10 s ahead of UTC when Unix time began. */
#define TAI64_EPOCH UINT64_C(0x400000000000000a)

/* The greatest power of two within INITIATION_MIN_INTERVAL, 20 ms. */
#define TAI64N_STEP (UINT32_C(1) << 24)

_Static_assert(TAI64N_STEP <= INITIATION_MIN_INTERVAL && 2 * TAI64N_STEP > INITIATION_MIN_INTERVAL,
	       "two initiations that keep the minimal interval must not carry the same timestamp");

void tai64n_encode(uint8_t out[NOISE_TIMESTAMP_LEN], const struct timespec *realtime)
{
	uint64_t seconds = TAI64_EPOCH + (uint64_t)realtime->tv_sec;

	store_be32(out, (uint32_t)(seconds >> 32));
	store_be32(out + 4, (uint32_t)seconds);
	store_be32(out + 8, (uint32_t)realtime->tv_nsec & ~(TAI64N_STEP - 1));
}

int64_t tai64n_seconds(const uint8_t in[NOISE_TIMESTAMP_LEN])
{
	uint64_t seconds = (uint64_t)load_be32(in) << 32 | load_be32(in + 4);

	if (seconds < TAI64_EPOCH || seconds - TAI64_EPOCH > INT64_MAX)
		return 0;
	return (int64_t)(seconds - TAI64_EPOCH);
}

bool tai64n_after(const uint8_t a[NOISE_TIMESTAMP_LEN], const uint8_t b[NOISE_TIMESTAMP_LEN])
{
	return memcmp(a, b, NOISE_TIMESTAMP_LEN) > 0;
}
