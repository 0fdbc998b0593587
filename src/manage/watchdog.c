/* SPDX-License-Identifier: MIT */
/* Asks all threads, and tells systemd. */
#include "watchdog.h"

#include "../base/clock.h"
#include "../base/log.h"

static void complain(const struct watchdog *w, int silent)
{
	double s = (double)w->notify->watchdog / 2 / NSEC_PER_SEC;

	if (silent < (int)w->workers->n)
		log_error("worker %d has not turned its loop for %.1f s: no sign of life for the "
			  "service manager, which will start us anew", silent, s);
	else
		log_error("the handshake thread has not turned its loop for %.1f s: no sign of life "
			  "for the service manager, which will start us anew", s);
}

static void on_timer(uv_timer_t *timer)
{
	struct watchdog *w = timer->data;
	int silent = workers_silent(w->workers);

	if (silent >= 0 && !w->silent)
		complain(w, silent);
	if (silent < 0 && w->silent)
		log_info("all threads turn their loops again");
	w->silent = silent >= 0;
	if (!w->silent)
		notify_send(w->notify, "WATCHDOG=1");
}

void watchdog_start(struct watchdog *w, uv_loop_t *loop, struct notify *notify,
		    struct workers *workers)
{
	uint64_t ms = max(notify->watchdog / 2 / NSEC_PER_MSEC, UINT64_C(1));

	*w = (struct watchdog){ .notify = notify, .workers = workers };
	if (!notify->watchdog)
		return;
	uv_timer_init(loop, &w->timer);
	w->timer.data = w;
	uv_timer_start(&w->timer, on_timer, 0, ms);
}

void watchdog_stop(struct watchdog *w)
{
	if (w->timer.data)
		uv_close((uv_handle_t *)&w->timer, NULL);
}
