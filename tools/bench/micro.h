/* SPDX-License-Identifier: MIT */
/* What there is to measure: micro.c measures, micro_ops.c does. One thread. */
#ifndef BERTH_TOOLS_BENCH_MICRO_H
#define BERTH_TOOLS_BENCH_MICRO_H

#include "../../src/base.h"

struct fixture; /* all inputs */

struct operation {
	const char *name;
	void (*run)(struct fixture *f, size_t arg);
	size_t arg;
	unsigned n;     /* operations of one run */
	unsigned count; /* runs that callgrind sees */
};

/* After sodium_init(). Never fails: what must not happen ends the program. */
struct fixture *micro_begin(void);
void micro_end(struct fixture *f);

/* Those that this machine can do, in a fixed order; NULL past the last. */
const struct operation *micro_operation(const struct fixture *f, size_t i);

#endif
