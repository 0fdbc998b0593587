/* SPDX-License-Identifier: MIT */
/* The two clocks, from the kernel. */
#include "clock.h"

#include <stdlib.h>

#include "../base.h"

uint64_t clock_now(void)
{
	struct timespec ts;

	/* Linux 2.6.39 has it; without a clock no key would ever expire. */
	if (clock_gettime(CLOCK_BOOTTIME, &ts))
		abort();
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_of_thread(pthread_t thread)
{
	struct timespec ts;
	clockid_t id;

	if (pthread_getcpuclockid(thread, &id) || clock_gettime(id, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void clock_realtime(struct timespec *out)
{
	if (clock_gettime(CLOCK_REALTIME, out))
		abort();
}
