/* SPDX-License-Identifier: MIT */
/*
 * The sign of life that systemd waits for (WatchdogSec=). It is given only when every thread
 * has turned its loop since the last: a worker that hangs carries no packets, however
 * well the control thread is. Control thread.
 */
#ifndef BERTH_MANAGE_WATCHDOG_H
#define BERTH_MANAGE_WATCHDOG_H

#include <uv.h>

#include "../path/worker.h"
#include "notify.h"

struct watchdog {
	uv_timer_t timer;
	struct notify *notify;
	struct workers *workers;
	bool silent; /* that somebody is has been logged */
};

/*
 * Gives the sign from now on, twice in the time that notify->watchdog allows; nothing
 * when that is 0. Both pointers are kept. After workers_start().
 */
void watchdog_start(struct watchdog *w, uv_loop_t *loop, struct notify *notify,
		    struct workers *workers);

/* Before workers_stop(). Also of one that is all zero. The loop turns once more. */
void watchdog_stop(struct watchdog *w);

#endif
