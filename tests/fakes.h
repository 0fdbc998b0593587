/* SPDX-License-Identifier: MIT */
/*
 * Controls of the fakes that tests link in place of I/O. A test names the
 * fakes it wants in the Makefile: FAKES_<module> := tests/fake_clock.c
 */
#ifndef BERTH_TESTS_FAKES_H
#define BERTH_TESTS_FAKES_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* fake_clock.c: starts at 1 s since boot and 2023-11-14 22:13:20 UTC. Any thread. */
void fake_clock_set(uint64_t now);          /* clock_now() only */
void fake_clock_advance(uint64_t ns);       /* both clocks */
void fake_clock_set_realtime(time_t sec, long nsec); /* clock_realtime() only */

/* fake_alarm.c, beside fake_clock.c: rings if its moment has come; true: it has. */
bool fake_alarm_look(void);
/* The clock was set, to any time. */
void fake_alarm_clock_was_set(void);

#endif
