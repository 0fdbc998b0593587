/* SPDX-License-Identifier: MIT */
/*
 * The timers of one session (paper §6), as time stamps.
 *
 * The data path and the handshake thread only stamp what happened. The peer's
 * home worker looks at the stamps when its wheel says so, learns what is due,
 * and is told when to look again: no event ever arms a timer. A look every
 * KEEPALIVE_TIMEOUT is enough to be exact, since nothing that happens after a
 * look can be due sooner than that, but for what a post to the worker announces
 * (an initiation sent, keys made, a changed keepalive interval).
 */
#ifndef BERTH_PEER_TIMERS_H
#define BERTH_PEER_TIMERS_H

#include <stdatomic.h>

#include "../base.h"

/* All times: monotonic ns, 0 = not running. */
struct timers {
	/* any worker */
	_Atomic uint64_t unanswered;     /* since when data of ours awaits any packet back */
	_Atomic uint64_t unacknowledged; /* since when data of theirs awaits any packet of ours */
	_Atomic uint64_t traversal;      /* last authenticated packet, either way */
	_Atomic bool received_more;      /* data came after unacknowledged was set */
	/* home worker; the handshake thread clears it */
	_Atomic bool silent; /* no answer for so long that a handshake is due, or due again */
	/* handshake thread; the home worker clears retry_at when it gives up, whoever has proof both */
	_Atomic uint64_t handshake_sent;  /* last initiation or response, for REKEY_TIMEOUT */
	_Atomic uint64_t retry_at;        /* one is in flight, or wished for, until then */
	_Atomic unsigned attempts;        /* initiations since somebody last wanted one */
	_Atomic uint64_t wipe_from;       /* newest keys, or birth of the session */
	_Atomic uint32_t jitter;          /* ns, < REKEY_TIMEOUT_JITTER_MAX */
};

/* What a look may find due. */
enum timer_action {
	TIMER_RETRY = 1 << 0,         /* initiate again, and forget the local address */
	TIMER_GIVE_UP = 1 << 1,       /* no answer for REKEY_ATTEMPT_TIME: drop what waits */
	TIMER_NEW_HANDSHAKE = 1 << 2, /* data unanswered: a handshake, and the same */
	TIMER_KEEPALIVE = 1 << 3,     /* §6.5 passive keepalive */
	TIMER_KEEPALIVE_AGAIN = 1 << 4, /* with the former: call timers_expect_more() after it */
	TIMER_PERSISTENT = 1 << 5,      /* persistent keepalive */
	TIMER_WIPE = 1 << 6             /* §6.3: no new keys for 3 × REJECT_AFTER_TIME */
};

void timers_init(struct timers *t, uint64_t now);

/*
 * The data path, any worker: an authenticated packet was sent or received at
 * now; data is false for a keepalive.
 */
void timers_sent(struct timers *t, uint64_t now, bool data);
void timers_received(struct timers *t, uint64_t now, bool data);

/*
 * May an initiation be sent (§6.1: at most one per REKEY_TIMEOUT, and none so soon after
 * a response)? A retry is the wheel's own and counts as a further attempt, any other
 * wish starts the count anew. Handshake thread.
 */
must_check bool timers_may_initiate(struct timers *t, uint64_t now, bool retry);

/* An initiation was sent; random is any random number. Handshake thread. */
void timers_initiation_sent(struct timers *t, uint64_t now, uint32_t random);

/*
 * The last initiation went another way than the next one will: this need not wait for
 * REKEY_TIMEOUT, which spares a peer that hears them all. Handshake thread.
 */
void timers_start_over(struct timers *t);

/*
 * The initiation that was just sent is the only one, unless somebody comes to want
 * keys: without an answer its time is over when a retry would be due. Handshake thread.
 */
void timers_try_once(struct timers *t);

/*
 * A response was sent: an initiation of ours now would only cross what the other
 * side sends next, so that it, and a retry that is due sooner, waits as the kernel's
 * does. Handshake thread.
 */
void timers_response_sent(struct timers *t, uint64_t now);

/*
 * An initiation was refused so soon after a response, and is needed unless that
 * response was good for keys: it becomes a retry. True unless one is to come anyway.
 * Handshake thread.
 */
bool timers_initiate_later(struct timers *t);

/* Keys were derived (either role). Handshake thread. */
void timers_keys_made(struct timers *t, uint64_t now);

/* The other side has proven the newest keys: nothing to retry. Any thread. */
void timers_handshake_complete(struct timers *t);

/*
 * More data had come after the packet that made the keepalive due, perhaps
 * just now: another keepalive in KEEPALIVE_TIMEOUT, as the kernel does it. To
 * be called once the first was sent, which cleared the stamp. Home worker.
 */
void timers_expect_more(struct timers *t, uint64_t now);

/* No new keys for so long that those there are must be wiped (§6.3)? Home worker. */
must_check bool timers_keys_ended(const struct timers *t, uint64_t now);

/* Has there been no answer for too long, and no handshake since? Any thread. */
must_check bool timers_is_silent(const struct timers *t);

/* Is an initiation in flight, or to be sent later? Any thread. */
must_check bool timers_awaits_answer(const struct timers *t);

/*
 * What is due at now (a set of timer_action, each named once), and when to look
 * again. persistent is the keepalive interval in ns, 0 = off. Home worker.
 */
uint64_t timers_look(struct timers *t, uint64_t now, uint64_t persistent, unsigned *actions);

#endif
