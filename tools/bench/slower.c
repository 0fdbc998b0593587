/* SPDX-License-Identifier: MIT */
/*
 * A slower processor: takes a part of one away from all that runs there, in slices so short
 * that the rest is as good as even. So a gateway becomes what all others wait for, though they
 * share the machine with it.
 *
 *	slower PROCESSOR PERCENT	ends with SIGTERM
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../src/base.h"

enum { PERIOD_NS = 400000, NS_PER_S = 1000000000 };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "slower: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void take_processor(int number)
{
	struct sched_param first = { .sched_priority = 1 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)number, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("sched_setscheduler");
}

static void add_ns(struct timespec *t, long ns)
{
	t->tv_nsec += ns;
	if (t->tv_nsec >= NS_PER_S) {
		t->tv_nsec -= NS_PER_S;
		t->tv_sec++;
	}
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

int main(int argc, char **argv)
{
	long busy_ns = argc == 3 ? PERIOD_NS / 100 * strtol(argv[2], NULL, 10) : 0;
	struct timespec now, end;

	/* Of more than 95 % the kernel takes back from real-time programs what is too much. */
	if (busy_ns <= 0 || busy_ns > PERIOD_NS / 10 * 9) {
		fprintf(stderr, "usage: slower PROCESSOR PERCENT (1 to 90)\n");
		return 2;
	}
	take_processor((int)strtol(argv[1], NULL, 10));
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (;;) {
		end = now;
		add_ns(&end, busy_ns);
		do
			clock_gettime(CLOCK_MONOTONIC, &now);
		while (is_before(&now, &end));
		add_ns(&now, PERIOD_NS - busy_ns);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
}
