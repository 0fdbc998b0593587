/* SPDX-License-Identifier: MIT */
/* What a harness with both ends of a tunnel (tests/path_lab.h) stands upon: no Check, no log. */
#ifndef BERTH_TESTS_FUZZ_LAB_H
#define BERTH_TESTS_FUZZ_LAB_H

#include <stdio.h>

#include "../../src/base/log.h"
#include "../path_lab.h"
#include "fuzz.h"

/* In place of Check, which wants a runner. */
void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	(void)fprintf(stderr, "%s:%d: %s %s\n", file, line, expr, msg ? msg : "");
	abort();
}

void _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

static void ignore(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static inline void be_silent(void)
{
	static const struct log_hook unheard = { .line = ignore };

	log_set_hook(&unheard);
}

#endif
