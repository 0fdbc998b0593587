/* SPDX-License-Identifier: MIT */
/*
 * Wakes somebody up at a moment of the wall clock, and whenever that clock was set: a date
 * that was far away may have passed then, or one that has passed lie ahead. Control thread.
 */
#ifndef BERTH_MANAGE_ALARM_H
#define BERTH_MANAGE_ALARM_H

#include <uv.h>

#include "../base.h"

struct alarm {
	uv_poll_t poll;
	int fd; /* of timerfd */
	int64_t at;
	void (*ring)(void *arg);
	void *arg;
};

/*
 * ring is called at the moment of alarm_by(), within its second, and when the clock was
 * set: it looks at the clock itself, and says by when it wants to be called next. 0 or -errno.
 */
must_check int alarm_open(struct alarm *a, uv_loop_t *loop, void (*ring)(void *arg), void *arg);

/* By then (seconds of UTC) at the latest. The soonest counts, until it has rung. */
void alarm_by(struct alarm *a, int64_t when);

/* closed is called with &a->poll: until then a must stay. */
void alarm_close(struct alarm *a, uv_close_cb closed);

#endif
