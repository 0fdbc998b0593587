/* SPDX-License-Identifier: MIT */
/*
 * The two clocks. This object holds nothing else, so that a test may link
 * tests/fake_clock.c in its place and move time by hand.
 */
#ifndef BERTH_BASE_CLOCK_H
#define BERTH_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/*
 * Nanoseconds since boot, *including* time asleep (CLOCK_BOOTTIME): a session
 * key must not survive REJECT_AFTER_TIME in a suspended laptop. Never goes
 * back. Any thread.
 */
uint64_t clock_now(void);

/* Nanoseconds of processor time that a thread of ours, not joined yet, has had. Any thread. */
uint64_t clock_of_thread(pthread_t thread);

/* UTC: for TAI64N, Expires, quotas and time stamps. May jump. Any thread. */
void clock_realtime(struct timespec *out);

#endif
