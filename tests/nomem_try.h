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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nomem.h"

/* Whose allocations fail. The test's own thread may call lab functions only where it is spared. */
enum nomem_where { NOMEM_HERE, NOMEM_ELSEWHERE, NOMEM_ANYWHERE };

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
	enum nomem_where where;
	int or_else;      /* another error by which it may fail than -ENOMEM; 0: none */
};

/* The first is the one to be seen in messages; every 0: that one alone. */
static inline void nomem_arm(uint64_t at, uint64_t every, enum nomem_where where)
{
	atomic_store(&nomem->at, at);
	atomic_store(&nomem->every, every);
	atomic_store(&nomem->calls, 0);
	atomic_store(&nomem->failed, 0);
	atomic_store(&nomem->thread, where == NOMEM_HERE ? nomem_thread() : 0);
	atomic_store(&nomem->but, where == NOMEM_ELSEWHERE ? nomem_thread() : 0);
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

enum { NOMEM_WAIT_MS = 10000 };

/*
 * Are there no more blocks than *live? Tables of liburcu are freed by a thread of its own, so it
 * may take a moment; and there may be less, when those of the time before were still there.
 */
static inline int64_t nomem_lost(int64_t *live)
{
	int64_t now = atomic_load(&nomem->live);

	for (int i = 0; now > *live && i < NOMEM_WAIT_MS; i++) {
		usleep(1000);
		now = atomic_load(&nomem->live);
	}
	if (now > *live)
		return now - *live;
	*live = now;
	return 0;
}

/* Once, with that allocation failing. False: there was none of that number. */
static inline bool nomem_once(const struct nomem_work *w, uint64_t at, uint64_t every,
			      int64_t *live)
{
	uint64_t failed;
	int64_t lost;
	int err;

	if (getenv("NOMEM_TRACE"))
		fprintf(stderr, "%s: allocation %lu%s\n", w->name, at, every ? " and on" : "");
	if (w->before)
		w->before();
	nomem_arm(at, every, w->where);
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
	lost = nomem_lost(live);
	ck_assert_msg(!lost, "%s, allocation %lu%s: %ld blocks are lost", w->name, at,
		      every ? " and on" : "", (long)lost);
	return failed;
}

/*
 * A sanitizer answers some calls (strdup, reallocarray) by itself, so fewer fail; and it ends a
 * process that has no memory for a thread.
 */
#define NOMEM_LEAST(n) (SANITIZED ? (n) / 3 : (n))

/* How many allocations have failed in turn: none is a test that tests nothing. */
static inline uint64_t nomem_try(const struct nomem_work *w)
{
	int64_t live;
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
	live = atomic_load(&nomem->live);
	for (uint64_t every = 0; every < 2; every++)
		for (uint64_t at = 1; nomem_once(w, at, every, &live); at++)
			n++;
	ck_assert_msg(n, "%s: allocates nothing", w->name);
	return n;
}

#endif
