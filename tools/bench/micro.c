/* SPDX-License-Identifier: MIT */
/*
 * The pure parts by themselves, on fixed inputs (micro_ops.c).
 *
 *	micro [WORD]	nanoseconds, and cycles of the time stamp counter, of each operation
 *			whose name contains WORD: the best of nine rounds, and their median
 *	micro -c	each operation a fixed number of times, for callgrind, which counts
 *			what happens inside measured() (tools/bench/count)
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../src/base/rcu.h"
#include "../../crypto/blake2s.h"
#include "micro.h"

RCU_PROGRAM

enum {
	ROUNDS = 9,
	ROUND_NS = 10 * 1000 * 1000
};

/* callgrind knows it by its name. */
__attribute__((noinline)) static void measured(const struct operation *op, struct fixture *f,
					       unsigned runs)
{
	while (runs--)
		op->run(f, op->arg);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static uint64_t cycles(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void time_it(const struct operation *op, struct fixture *f)
{
	double ns[ROUNDS], tsc[ROUNDS];
	unsigned runs = 1;
	uint64_t t;

	for (;; runs *= 2) {
		t = now_ns();
		measured(op, f, runs);
		if (now_ns() - t > ROUND_NS)
			break;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t start = cycles();

		t = now_ns();
		measured(op, f, runs);
		ns[i] = (double)(now_ns() - t) / runs / op->n;
		tsc[i] = (double)(cycles() - start) / runs / op->n;
	}
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	qsort(tsc, ROUNDS, sizeof(*tsc), by_value);
	printf("%-32s %10.1f %10.1f %10.0f\n", op->name, ns[0], ns[ROUNDS / 2], tsc[0]);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	bool count = !strcmp(word, "-c");
	const struct operation *op;
	struct fixture *f;

	if (sodium_init() < 0)
		return 1;
	/* Instructions are counted of what any processor would take. */
	if (!count)
		blake2s_choose();
	f = micro_begin();
	if (!count)
		printf("%-32s %10s %10s %10s\n", "one operation", "ns, best", "median", "cycles");
	for (size_t i = 0; (op = micro_operation(f, i)); i++) {
		if (count) {
			printf("%s\t%u\n", op->name, op->n * op->count);
			measured(op, f, op->count);
		} else if (strstr(op->name, word)) {
			time_it(op, f);
		}
	}
	micro_end(f);
	return 0;
}
