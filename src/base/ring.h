/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue between threads: what a worker hands to the handshake
 * thread and back. Full means drop and count, never wait and never allocate,
 * so a flood costs its sender and nobody else.
 *
 * The algorithm is Dmitry Vyukov's bounded MPMC queue. liburcu has queues too
 * (wfcqueue), but they are unbounded lists of nodes that each item has to
 * bring along; here an item is copied into a cell that is always there.
 */
#ifndef BERTH_BASE_RING_H
#define BERTH_BASE_RING_H

#include <stdatomic.h>

#include "../base.h"

enum { RING_LINE = 64 }; /* cache line; wrong guesses cost speed, not truth */

/*
 * Producers and consumers write to different lines. Padding rather than
 * alignment, so that the struct may lie in memory from malloc().
 */
struct ring {
	uint8_t *cells; /* constant after ring_init(), like the three below */
	size_t stride;  /* bytes from one cell to the next */
	size_t mask;    /* number of cells - 1 */
	size_t cell_size;
	char pad0[RING_LINE];
	atomic_size_t tail; /* producers: cells ever claimed */
	char pad1[RING_LINE];
	atomic_size_t head; /* consumers: cells ever taken */
	char pad2[RING_LINE];
};

/*
 * cells is a power of two, at least 2; cell_size is in bytes. 0, -EINVAL, or
 * -ENOMEM. Before the threads start.
 */
must_check int ring_init(struct ring *ring, size_t cells, size_t cell_size);

/* Wipes and frees. After the threads have stopped. Also on a zeroed ring. */
void ring_free(struct ring *ring);

/* Any number of threads. Copies cell_size bytes in; false: full. */
must_check bool ring_push(struct ring *ring, const void *cell);

/*
 * Any number of threads. Copies the oldest cell out; false: empty, or the
 * oldest is still being written (its producer's wake-up follows the push).
 */
must_check bool ring_pop(struct ring *ring, void *cell);

/* Any thread. How many wait now; by the time it returns it may be otherwise. */
size_t ring_count(const struct ring *ring);

#endif
