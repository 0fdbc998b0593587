/* SPDX-License-Identifier: MIT */
/*
 * Where berthd and Debian's wireguard-go differ, and who is right. A case asks deviates() for
 * each; a target that changes, and a row that none of 2,000 cases meets, fail the test.
 */
#ifndef BERTH_TESTS_DIFFERENTIAL_KNOWN_H
#define BERTH_TESTS_DIFFERENTIAL_KNOWN_H

#include "side.h"

enum difference {
	DIFF_ECN,
	DIFF_MSS,
	DIFF_NO_ROUTE,
	DIFF_WRAP,
	DIFF_LOW_RESPONSE,
	DIFFERENCES
};

struct known {
	const char *name;
	enum which who; /* does otherwise than the paper says */
	const char *what;
	const char *why;
};

extern const struct known known[DIFFERENCES];

#endif
