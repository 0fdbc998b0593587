/* SPDX-License-Identifier: MIT */
/* The alarm on the kernel's own clock. */
#include <check.h>
#include <errno.h>
#include <sys/timex.h>

#include "../src/base/clock.h"
#include "../src/manage/alarm.h"
#include "loop_wait.h"
#include "require.h"

static uv_loop_t loop;
static struct alarm alarm_;
static unsigned rung;
static struct timespec rung_at;

static void on_ring(void *arg)
{
	require(arg == &rung);
	rung++;
	clock_realtime(&rung_at);
}

static void setup(void)
{
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(alarm_open(&alarm_, &loop, on_ring, &rung), 0);
}

static void teardown(void)
{
	alarm_close(&alarm_, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

/* At the soonest moment, not before it, and once. */
START_TEST(rings)
{
	struct timespec now;

	clock_realtime(&now);
	alarm_by(&alarm_, now.tv_sec + 1000);
	alarm_by(&alarm_, now.tv_sec + 1);
	alarm_by(&alarm_, now.tv_sec + 2);
	loop_wait(&loop, rung, NULL);
	ck_assert_int_eq(rung_at.tv_sec, now.tv_sec + 1);
	/* What was to come later is the caller's to say again. */
	uv_run(&loop, UV_RUN_NOWAIT);
	ck_assert_uint_eq(rung, 1);
	/* What has passed is now. */
	alarm_by(&alarm_, now.tv_sec - 5);
	loop_wait(&loop, rung == 2, NULL);
	alarm_by(&alarm_, 0);
	loop_wait(&loop, rung == 3, NULL);
}
END_TEST

/* The clock is put a microsecond on, and back. */
START_TEST(clock_was_set)
{
	struct timex t = { .modes = ADJ_SETOFFSET, .time = { 0, 1 } };

	if (adjtimex(&t) < 0) {
		ck_assert_int_eq(errno, EPERM);
		fprintf(stderr, "alarm: not allowed to set the clock: not tested\n");
		return;
	}
	loop_wait(&loop, rung == 1, NULL);
	t = (struct timex){ .modes = ADJ_SETOFFSET, .time = { -1, 999999 } };
	ck_assert_int_ge(adjtimex(&t), 0);
	loop_wait(&loop, rung == 2, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("alarm");
	TCase *tc = tcase_create("alarm");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rings);
	tcase_add_test(tc, clock_was_set);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
