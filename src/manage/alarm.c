/* SPDX-License-Identifier: MIT */
/* timerfd on CLOCK_REALTIME, which tells of a clock that was set (timerfd_create(2)). */
#include "alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/poll.h"

/* Later than any date; one is always set, since only that makes the kernel tell. */
#define NEVER (INT64_C(1) << 33)

static void set(struct alarm *a)
{
	int64_t at = max(min(a->at, NEVER), INT64_C(1)); /* 0 would be no timer at all */
	struct itimerspec t = { .it_value = { .tv_sec = at } };

	if (timerfd_settime(a->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, NULL) &&
	    errno != ECANCELED)
		log_error("no alarm can be set: %s", strerror(errno));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct alarm *a = poll->data;
	uint64_t n;

	(void)events;
	/* -1 with ECANCELED: the clock was set. */
	if (read(a->fd, &n, sizeof(n)) < 0 && errno == EAGAIN)
		return;
	a->at = NEVER;
	a->ring(a->arg);
	set(a);
	(void)!poll_go_on(poll, status, on_readable);
}

int alarm_open(struct alarm *a, uv_loop_t *loop, void (*ring)(void *arg), void *arg)
{
	int err;

	*a = (struct alarm){ .at = NEVER, .ring = ring, .arg = arg };
	a->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (a->fd < 0)
		return -errno;
	err = uv_poll_init(loop, &a->poll, a->fd);
	if (err) {
		close(a->fd);
		return err;
	}
	a->poll.data = a;
	set(a);
	return uv_poll_start(&a->poll, UV_READABLE, on_readable);
}

void alarm_by(struct alarm *a, int64_t when)
{
	if (when >= a->at)
		return;
	a->at = when;
	set(a);
}

void alarm_close(struct alarm *a, uv_close_cb closed)
{
	uv_close((uv_handle_t *)&a->poll, closed);
	close(a->fd);
}
