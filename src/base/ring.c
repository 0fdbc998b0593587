/* SPDX-License-Identifier: MIT */
/*
 * Vyukov's bounded queue. Each cell carries a turn number that says whose it
 * is: position p may be written when the turn is p, read when it is p + 1, and
 * written again, one round later, when it is p + number of cells. Threads
 * contend for head or tail by one compare-and-swap; the turn hands the
 * contents over (release to acquire).
 */
#include "ring.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

struct cell {
	atomic_size_t turn;
	uint8_t data[];
};

static struct cell *cell_at(const struct ring *ring, size_t position)
{
	return (struct cell *)(ring->cells + (position & ring->mask) * ring->stride);
}

int ring_init(struct ring *ring, size_t cells, size_t cell_size)
{
	size_t total, i;

	memset(ring, 0, sizeof(*ring));
	if (cells < 2 || cells & (cells - 1) || !cell_size || cell_size > SIZE_MAX / 2)
		return -EINVAL;
	/* Whole lines: a cell being written shares none with one being read. */
	ring->stride = ALIGN_UP(sizeof(struct cell) + cell_size, (size_t)RING_LINE);
	if (__builtin_mul_overflow(cells, ring->stride, &total))
		return -ENOMEM;
	ring->cells = aligned_alloc(RING_LINE, total);
	if (!ring->cells)
		return -ENOMEM;
	ring->mask = cells - 1;
	ring->cell_size = cell_size;
	for (i = 0; i < cells; i++)
		atomic_init(&cell_at(ring, i)->turn, i);
	return 0;
}

void ring_free(struct ring *ring)
{
	if (ring->cells)
		sodium_memzero(ring->cells, (ring->mask + 1) * ring->stride);
	free(ring->cells);
	memset(ring, 0, sizeof(*ring));
}

/*
 * Claims the next position of counter whose cell is at turn position + lead.
 * NULL: that cell is still on the other side.
 */
static struct cell *claim(struct ring *ring, atomic_size_t *counter, size_t lead, size_t *position)
{
	size_t p = atomic_load_explicit(counter, memory_order_relaxed);

	for (;;) {
		struct cell *cell = cell_at(ring, p);
		size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

		if (turn == p + lead) {
			if (atomic_compare_exchange_weak_explicit(counter, &p, p + 1,
								  memory_order_relaxed,
								  memory_order_relaxed)) {
				*position = p;
				return cell;
			}
		} else if ((ptrdiff_t)(turn - (p + lead)) < 0) {
			return NULL;
		} else { /* somebody else took p meanwhile */
			p = atomic_load_explicit(counter, memory_order_relaxed);
		}
	}
}

bool ring_push(struct ring *ring, const void *data)
{
	size_t position;
	struct cell *cell = claim(ring, &ring->tail, 0, &position);

	if (!cell)
		return false;
	memcpy(cell->data, data, ring->cell_size);
	atomic_store_explicit(&cell->turn, position + 1, memory_order_release);
	return true;
}

bool ring_pop(struct ring *ring, void *data)
{
	size_t position;
	struct cell *cell = claim(ring, &ring->head, 1, &position);

	if (!cell)
		return false;
	memcpy(data, cell->data, ring->cell_size);
	atomic_store_explicit(&cell->turn, position + ring->mask + 1, memory_order_release);
	return true;
}

size_t ring_count(const struct ring *ring)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	/* head was read first, so the difference is never negative; but it may have aged. */
	return min(tail - head, ring->mask + 1);
}
