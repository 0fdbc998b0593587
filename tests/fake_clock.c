/* SPDX-License-Identifier: MIT */
/* src/base/clock.c for tests: time moves only when it is told to. */
#include <stdatomic.h>

#include "../src/base.h"
#include "../src/base/clock.h"
#include "fakes.h"

/* Global by nature: it stands in for the machine's clock. */
static _Atomic uint64_t boot_time = NSEC_PER_SEC;
static _Atomic uint64_t real_time = UINT64_C(1700000000) * NSEC_PER_SEC;

uint64_t clock_now(void)
{
	return atomic_load(&boot_time);
}

uint64_t clock_of_thread(pthread_t thread)
{
	(void)thread;
	return clock_now();
}

void clock_realtime(struct timespec *out)
{
	uint64_t t = atomic_load(&real_time);

	out->tv_sec = (time_t)(t / NSEC_PER_SEC);
	out->tv_nsec = (long)(t % NSEC_PER_SEC);
}

void fake_clock_set(uint64_t now)
{
	atomic_store(&boot_time, now);
}

void fake_clock_advance(uint64_t ns)
{
	atomic_fetch_add(&boot_time, ns);
	atomic_fetch_add(&real_time, ns);
}

void fake_clock_set_realtime(time_t sec, long nsec)
{
	atomic_store(&real_time, (uint64_t)sec * NSEC_PER_SEC + (uint64_t)nsec);
}
