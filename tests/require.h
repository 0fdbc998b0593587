/* SPDX-License-Identifier: MIT */
/*
 * ck_assert() reports every success through a pipe, which is too slow inside
 * loops of millions; this one speaks only when it fails.
 */
#ifndef BERTH_TESTS_REQUIRE_H
#define BERTH_TESTS_REQUIRE_H

#include <check.h>

#define require(condition)                              \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg("%s", #condition); \
	} while (0)

#endif
