/* SPDX-License-Identifier: MIT */
/*
 * Work for another thread, one item per object and never lost: the link stands
 * in the object itself, so posting needs no memory and cannot find the inbox
 * full. Posting what is already there only adds its flags.
 *
 * A lock-free stack that any thread pushes to and one thread takes whole
 * (taking whole is what keeps it free of the ABA problem).
 */
#ifndef BERTH_BASE_INBOX_H
#define BERTH_BASE_INBOX_H

#include <stdatomic.h>

#include "../base.h"

struct inbox_item {
	struct inbox_item *next;  /* whoever holds the item: poster, then taker */
	_Atomic unsigned flags; /* what is wanted; not 0: the item is in the inbox */
};

struct inbox {
	_Atomic(struct inbox_item *) head;
};

/*
 * Adds @flags (not 0) to the item and puts it into the inbox unless it is
 * there. True when this call put it in: the caller then owes the item a
 * reference that the taker gives back, and the taker a wake-up. Any thread.
 */
must_check static inline bool inbox_post(struct inbox *in, struct inbox_item *item, unsigned flags)
{
	struct inbox_item *head;

	if (atomic_fetch_or_explicit(&item->flags, flags, memory_order_acq_rel))
		return false;
	head = atomic_load_explicit(&in->head, memory_order_relaxed);
	do {
		item->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&in->head, &head, item,
							memory_order_release,
							memory_order_relaxed));
	return true;
}

/* Takes everything, oldest first. The inbox's own thread only. */
static inline struct inbox_item *inbox_take_all(struct inbox *in)
{
	struct inbox_item *item = atomic_exchange_explicit(&in->head, NULL, memory_order_acquire);
	struct inbox_item *oldest = NULL;

	while (item) {
		struct inbox_item *next = item->next;

		item->next = oldest;
		oldest = item;
		item = next;
	}
	return oldest;
}

/*
 * Is the item in the inbox? If so, whoever takes it sees all that was written before
 * this call, which is why it is a read-modify-write. Any thread.
 */
static inline bool inbox_is_posted(struct inbox_item *item)
{
	return atomic_fetch_or_explicit(&item->flags, 0, memory_order_acq_rel) != 0;
}

/*
 * Takes the wishes of one item; from here on it may be posted again, so its
 * next pointer must have been read before.
 */
static inline unsigned inbox_claim(struct inbox_item *item)
{
	return atomic_exchange_explicit(&item->flags, 0, memory_order_acq_rel);
}

#endif
