/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a piece of work fails in turn: the first, then the second ... until it
 * goes through without a failure; then again so that all fail from that one on. After each
 * failure the same work is done with memory at hand, and must succeed; and in the end every
 * block is back where it came from. Needs nomem.c; Check forks a process per test.
 */
#ifndef BERTH_TESTS_NOMEM_TRY_H
#define BERTH_TESTS_NOMEM_TRY_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "nomem.h"

/* What is to be tried. All but work have all the memory they want, and may be NULL. */
struct nomem_work {
	const char *name;
	void (*before)(void);
	/* 0, or what it failed for; called again then. No ck_assert() in it: that allocates. */
	int (*work)(void);
	/* Whatever must be so now that it has succeeded (0) or failed. */
	void (*check)(int err);
	/* Undoes it all, and waits until what is freed later is freed. */
	void (*after)(void);
	bool all_threads; /* those of others fail, too */
	int or_else;      /* another error by which it may fail than -ENOMEM; 0: none */
};

/* The first is the one to be seen in messages; every 0: that one alone. */
static inline void nomem_arm(uint64_t at, uint64_t every, bool all_threads)
{
	atomic_store(&nomem->at, at);
	atomic_store(&nomem->every, every);
	atomic_store(&nomem->calls, 0);
	atomic_store(&nomem->failed, 0);
	atomic_store(&nomem->thread, all_threads ? 0 : nomem_thread());
	atomic_store(&nomem->on, 1);
}

/* How many have failed. */
static inline uint64_t nomem_disarm(void)
{
	atomic_store(&nomem->on, 0);
	return atomic_load(&nomem->failed);
}

static inline void nomem_check_error(const struct nomem_work *w, uint64_t at, uint64_t every,
				     int err)
{
	ck_assert_msg(!err || err == -ENOMEM || err == w->or_else,
		      "%s, allocation %lu%s: error %d", w->name, at, every ? " and on" : "", err);
}

/* Once, with that allocation failing. False: there was none of that number. */
static inline bool nomem_once(const struct nomem_work *w, uint64_t at, uint64_t every)
{
	int64_t live = atomic_load(&nomem->live);
	uint64_t failed;
	int err;

	if (w->before)
		w->before();
	nomem_arm(at, every, w->all_threads);
	err = w->work();
	failed = nomem_disarm();
	nomem_check_error(w, at, every, err);
	ck_assert_msg(failed || !err, "%s: fails with memory at hand: %d", w->name, err);
	if (w->check)
		w->check(err);
	if (err) {
		err = w->work();
		ck_assert_msg(!err, "%s, after allocation %lu%s: error %d", w->name, at,
			      every ? " and on" : "", err);
		if (w->check)
			w->check(0);
	}
	if (w->after)
		w->after();
	live = atomic_load(&nomem->live) - live;
	ck_assert_msg(!live, "%s, allocation %lu%s: %ld blocks are lost", w->name, at,
		      every ? " and on" : "", (long)live);
	return failed;
}

/* How many allocations have failed in turn: none is a test that tests nothing. */
static inline uint64_t nomem_try(const struct nomem_work *w)
{
	uint64_t n = 0;
	int err;

	/* What libraries keep for later is theirs from now on. */
	for (int i = 0; i < 2; i++) {
		if (w->before)
			w->before();
		err = w->work();
		ck_assert_msg(!err, "%s: fails with memory at hand: %d", w->name, err);
		if (w->check)
			w->check(0);
		if (w->after)
			w->after();
	}
	for (uint64_t every = 0; every < 2; every++)
		for (uint64_t at = 1; nomem_once(w, at, every); at++)
			n++;
	ck_assert_msg(n, "%s: allocates nothing", w->name);
	return n;
}

#endif
