/* SPDX-License-Identifier: MIT */
/* A test as a thread of the router: registered with RCU and inside a turn. */
#ifndef BERTH_TESTS_RCU_FIXTURE_H
#define BERTH_TESTS_RCU_FIXTURE_H

#include "../src/base/rcu.h"

RCU_PROGRAM

static inline void rcu_setup(void)
{
	rcu_register_thread();
	rcu_turn_end();
	rcu_turn_begin();
}

/* Leaves nothing to be freed later: the leak sanitizer looks when the test ends. */
static inline void rcu_teardown(void)
{
	rcu_turn_end();
	rcu_barrier();
	rcu_unregister_thread();
}

#endif
