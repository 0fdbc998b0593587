/* SPDX-License-Identifier: MIT */
/* For tests with a real loop: turn it until something is so, with a generous bound. */
#ifndef BERTH_TESTS_LOOP_WAIT_H
#define BERTH_TESTS_LOOP_WAIT_H

#include <check.h>
#include <uv.h>

enum { LOOP_WAIT_TICK_MS = 5, LOOP_WAIT_TICKS = 20000 / LOOP_WAIT_TICK_MS };

struct loop_wait {
	uv_timer_t tick; /* also so that no turn lasts longer than a tick */
	unsigned ticks;
	const char *what;
	const char *(*state)(void); /* to be shown when it is too late; or NULL */
};

static inline void loop_wait_tick(uv_timer_t *timer)
{
	struct loop_wait *w = timer->data;

	if (++w->ticks > LOOP_WAIT_TICKS)
		ck_abort_msg("waited in vain for %s\n%s", w->what, w->state ? w->state() : "");
}

static inline void loop_wait_begin(struct loop_wait *w, uv_loop_t *loop)
{
	uv_timer_init(loop, &w->tick);
	w->tick.data = w;
	uv_timer_start(&w->tick, loop_wait_tick, LOOP_WAIT_TICK_MS, LOOP_WAIT_TICK_MS);
}

static inline void loop_wait_end(struct loop_wait *w, uv_loop_t *loop)
{
	uv_close((uv_handle_t *)&w->tick, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

#define loop_wait(loop, condition, show)                                      \
	do {                                                                  \
		struct loop_wait wait_ = { .what = #condition, .state = show }; \
									      \
		loop_wait_begin(&wait_, loop);                                \
		while (!(condition))                                          \
			uv_run(loop, UV_RUN_ONCE);                            \
		loop_wait_end(&wait_, loop);                                  \
	} while (0)

#endif
