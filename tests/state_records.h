/* SPDX-License-Identifier: MIT */
/* For the tests of what survives a restart. */
#ifndef BERTH_TESTS_STATE_RECORDS_H
#define BERTH_TESTS_STATE_RECORDS_H

#include "../src/manage/statefile.h"
#include "require.h"

static inline void expect_same(const struct statefile_record *a,
			       const struct statefile_record *b)
{
	require(!memcmp(a->key, b->key, sizeof(a->key)));
	require(!memcmp(a->timestamp, b->timestamp, sizeof(a->timestamp)));
	require(!strcmp(a->name, b->name));
	require(endpoint_equal(&a->endpoint, &b->endpoint));
}

#endif
