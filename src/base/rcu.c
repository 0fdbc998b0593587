/* SPDX-License-Identifier: MIT */
/* Waiting for what is freed later. */
#include "rcu.h"

#include <errno.h>
#include <semaphore.h>

#include "../base.h"

struct settling {
	struct rcu_head rcu;
	sem_t done;
};

static void on_settled(struct rcu_head *head)
{
	struct settling *s = container_of(head, struct settling, rcu);

	rcu_grace_passed();
	sem_post(&s->done);
}

void rcu_settle(void)
{
	struct settling s;

	sem_init(&s.done, 0, 0);
	call_rcu(&s.rcu, on_settled);
	while (sem_wait(&s.done) && errno == EINTR)
		;
	sem_destroy(&s.done);
}
