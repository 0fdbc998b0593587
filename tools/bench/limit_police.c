/* SPDX-License-Identifier: MIT */
/*
 * In the place of src/peer/limit_queue.c, to be measured beside it (`make bench-limits`): no
 * queue. What comes too fast is dropped, out of a bucket as deep as ten seconds allow (1 %).
 */
#include "../../src/peer/limit.h"

uint64_t limit_queue_burst(uint64_t rate)
{
	return max(100 * NSEC_PER_MSEC, limit_cost(3000, rate));
}

bool limit_queue_room(const struct lane *lane, uint64_t rate, size_t len)
{
	(void)lane;
	(void)rate;
	(void)len;
	return false;
}

bool limit_queue_drops(struct lane *lane, uint64_t rate, struct staged *s, uint64_t now)
{
	(void)lane;
	(void)rate;
	(void)s;
	(void)now;
	return false;
}
