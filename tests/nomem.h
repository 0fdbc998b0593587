/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out, on purpose. nomem.c stands in for malloc(), calloc(), realloc(),
 * their aligned kin and mmap() of the whole program, libraries included, and hands on to
 * the real ones but for the call that is to fail.
 *
 *	linked into a test	tests/nomem_try.h drives it, a call at a time
 *	LD_PRELOAD=nomem.so	of a whole berthd: the words of struct nomem lie in the file
 *				that NOMEM_CTL names, for a script to write (tests/netns/nomem.sh)
 *
 * NOMEM_TRACE=1 in the environment writes who asked in vain to stderr.
 */
#ifndef BERTH_TESTS_NOMEM_H
#define BERTH_TESTS_NOMEM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Any thread; 64 bit each, in the file in this order. */
struct nomem {
	_Atomic uint64_t on;     /* 0: nothing fails and nothing is counted */
	_Atomic uint64_t at;     /* the call that fails, from 1; 0: none */
	_Atomic uint64_t every;  /* and each so many calls after it; 0: it alone */
	_Atomic uint64_t calls;  /* that were counted */
	_Atomic uint64_t failed; /* of them */
	_Atomic uint64_t thread; /* the only one that counts; 0: all do, */
	_Atomic uint64_t but;    /* except this one; 0: none */
	_Atomic int64_t live;    /* blocks that were given out and not back, always counted */
};

extern struct nomem *nomem;

/* This thread, for nomem->thread and nomem->but. */
uint64_t nomem_thread(void);

/* More than 0: what this thread asks for it gets, uncounted. Compilers believe malloc() blind. */
extern _Thread_local volatile int nomem_spared;

/* malloc() that does not fail, for what stands in for the kernel. Freed as any other. */
void *nomem_spare(size_t size);

#endif
