/* SPDX-License-Identifier: MIT */
/*
 * Which counters of a receiving key have been seen: a sliding bitmap
 * (RFC 6479; WireGuard paper §5.4.6).
 *
 * The bitmap holds 8,192 counters like the kernel's WireGuard. One of its words
 * is always partly ahead of the greatest counter, so 8,128 counters behind it
 * are sure to be remembered: reordering up to that distance loses nothing.
 */
#ifndef BERTH_CRYPTO_REPLAY_H
#define BERTH_CRYPTO_REPLAY_H

#include "../src/base.h"

enum {
	REPLAY_BITS = 8192, /* a power of two */
	REPLAY_WORD_BITS = 64,
	REPLAY_WORDS = REPLAY_BITS / REPLAY_WORD_BITS,
	/* a counter this far behind the greatest one is still judged */
	REPLAY_WINDOW = REPLAY_BITS - REPLAY_WORD_BITS
};

/* One per receiving key, embedded in it. Everything here: the key's lock. */
struct replay {
	uint64_t next; /* greatest accepted counter + 1; 0: none yet */
	uint64_t seen[REPLAY_WORDS]; /* counter c is bit c % REPLAY_BITS */
};

/* Nothing seen yet. Cannot fail; before the key is published. */
void replay_init(struct replay *r);

/*
 * Is @counter (host byte order) new? True exactly once for each counter, which
 * is marked as seen thereby; false when it was seen, when it is more than
 * REPLAY_WINDOW behind the greatest one, or when it is REJECT_AFTER_MESSAGES
 * or above. To be called only after the packet's tag was found good, else
 * a forger could move the window.
 * Any thread; the caller holds the key's lock, once for a whole batch.
 */
must_check bool replay_check(struct replay *r, uint64_t counter);

#endif
