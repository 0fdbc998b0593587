/* SPDX-License-Identifier: MIT */
/* src/manage/alarm.c for tests: it rings when the fake clock has come to it, or was set. */
#include <check.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../src/base/clock.h"
#include "../src/manage/alarm.h"
#include "fakes.h"
#include "require.h"

/* One per process: the last that was opened. */
static struct alarm *the_alarm;

int alarm_open(struct alarm *a, uv_loop_t *loop, void (*ring)(void *arg), void *arg)
{
	*a = (struct alarm){ .at = INT64_MAX, .ring = ring, .arg = arg };
	the_alarm = a;
	/* Something that can be closed, and is never polled. */
	a->fd = eventfd(0, EFD_CLOEXEC);
	require(a->fd >= 0 && !uv_poll_init(loop, &a->poll, a->fd));
	a->poll.data = a;
	return 0;
}

void alarm_by(struct alarm *a, int64_t when)
{
	struct timespec now;

	clock_realtime(&now);
	require(when > now.tv_sec);
	a->at = min(a->at, when);
}

void alarm_close(struct alarm *a, uv_close_cb closed)
{
	the_alarm = NULL;
	uv_close((uv_handle_t *)&a->poll, closed);
	close(a->fd);
}

static void ring(void)
{
	the_alarm->at = INT64_MAX;
	the_alarm->ring(the_alarm->arg);
}

bool fake_alarm_look(void)
{
	struct timespec now;
	bool rings;

	clock_realtime(&now);
	rings = the_alarm->at <= now.tv_sec;
	if (rings)
		ring();
	return rings;
}

void fake_alarm_clock_was_set(void)
{
	ring();
}
