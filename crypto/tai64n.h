/* SPDX-License-Identifier: MIT */
/*
 * TAI64N, the timestamp of an initiation (paper §5.1; https://cr.yp.to/libtai/tai64.html):
 * 8 bytes of seconds and 4 bytes of nanoseconds, big endian, so that memcmp orders it.
 * Every function may be called on any thread.
 */
#ifndef BERTH_CRYPTO_TAI64N_H
#define BERTH_CRYPTO_TAI64N_H

#include <time.h>

#include "messages.h"

/*
 * Encodes a time of CLOCK_REALTIME. The nanoseconds are rounded down to steps of
 * 2^24 (about 17 ms): a finer clock would be of no use, since initiations closer
 * than INITIATION_MIN_INTERVAL are refused, and would tell a stranger who knows
 * our public key about our clock and load.
 */
void tai64n_encode(uint8_t out[NOISE_TIMESTAMP_LEN], const struct timespec *realtime);

/* Seconds since 1970; what lies before or makes no sense is 0. */
must_check int64_t tai64n_seconds(const uint8_t in[NOISE_TIMESTAMP_LEN]);

/* Is a strictly later than b? Equal is not: that is a replay. */
must_check bool tai64n_after(const uint8_t a[NOISE_TIMESTAMP_LEN],
			     const uint8_t b[NOISE_TIMESTAMP_LEN]);

#endif
