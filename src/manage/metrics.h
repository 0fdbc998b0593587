/* SPDX-License-Identifier: MIT */
/*
 * The metrics of the router, as text for Prometheus. metrics_tenants.c and
 * metrics_router.c have the tables of what there is: a new one is a row there.
 *
 * The text is made on the control thread, in slices of a fraction of a millisecond with
 * a turn of the loop in between: neighbours and the control socket are answered meanwhile,
 * however many tenants there are. Packets are counted by the workers as ever, and nobody
 * locks anything for it but each peer's own lock for a moment.
 *
 * All functions: control thread.
 */
#ifndef BERTH_MANAGE_METRICS_H
#define BERTH_MANAGE_METRICS_H

#include <uv.h>

#include "reload.h"
#include "rope.h"

/* Where the numbers come from. All must live as long; NULL: there is none. */
struct metrics_sources {
	struct workers *workers;
	struct gateway *gateway;
	struct reload *reload;
};

struct metrics;

/* A finished text. Shared by all who asked for it in the same second. */
struct metrics_text {
	struct rope rope;
	unsigned refs;
};

void metrics_text_put(struct metrics_text *text);

/* Somebody waits for a text. Zero-initialise; set done. */
struct metrics_asker {
	struct metrics_asker *next;
	/*
	 * From the loop, once: with a reference of its own, or NULL when there is no memory,
	 * or metrics_close() comes first.
	 */
	void (*done)(struct metrics_asker *asker, struct metrics_text *text);
};

enum {
	/* A text is no older than this when somebody gets it, and none is made more often. */
	METRICS_FRESH_MS = 1000
};

must_check int metrics_open(struct metrics **out, uv_loop_t *loop,
			    const struct metrics_sources *sources);

/* asker->done is called later, never at once. */
void metrics_ask(struct metrics *m, struct metrics_asker *asker);

/* It is asked no more: asker->done is not called. Nothing happens if it does not wait. */
void metrics_leave(struct metrics *m, struct metrics_asker *asker);

/* The loop turns once more. NULL is fine. */
void metrics_close(struct metrics *m);

#endif
