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
	require(a->rx_bytes == b->rx_bytes && a->rx_packets == b->rx_packets);
	require(a->tx_bytes == b->tx_bytes && a->tx_packets == b->tx_packets);
	require(!a->drops == !b->drops);
	require(!a->drops || !memcmp(a->drops, b->drops, DROP_REASON_COUNT * sizeof(*a->drops)));
}

#endif
