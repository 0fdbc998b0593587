/* SPDX-License-Identifier: MIT */
/*
 * Transport keys: their life (paper §6.1, §6.2), their nonces, and the three slots in
 * which a peer keeps them (§6.3).
 *
 * Nothing here allocates or frees. Memory is the owner's, who embeds struct
 * keypair in what his index table points to, and frees what the slots retire once
 * every reader has passed a quiet point. Times are monotonic nanoseconds.
 */
#ifndef BERTH_CRYPTO_KEYPAIR_H
#define BERTH_CRYPTO_KEYPAIR_H

#include <pthread.h>
#include <stdatomic.h>

#include "messages.h"
#include "noise.h"
#include "replay.h"

/*
 * Two keys, one per direction. The first 64 bytes are all that sending touches; what
 * receiving writes lies behind them.
 */
struct keypair {
	/* any thread, by keypair_take_nonces() only */
	_Atomic uint64_t send_counter; /* next nonce that nobody has */

	/* constant once published */
	uint64_t birth;
	uint32_t remote_index; /* host order: goes into packets we send */
	uint32_t local_index;  /* host order: comes in packets we receive */
	uint8_t send_key[NOISE_KEY_LEN];
	bool initiator; /* did we begin the handshake? */
	_Alignas(8) uint8_t recv_key[NOISE_KEY_LEN];

	/* replay_lock, taken once per batch and never with another lock held */
	pthread_mutex_t replay_lock;
	struct replay replay;
};

_Static_assert(offsetof(struct keypair, recv_key) == 64, "sending and receiving share no line");
_Static_assert(sizeof(struct keypair) <= 1280, "three of them fit 4 KiB with their peer");

/* Fills a keypair that nobody else can see yet. Wiping session is the caller's. */
void keypair_init(struct keypair *kp, const struct noise_session *session, uint64_t now);

/* Wipes the keys and destroys the lock. After the grace period, before freeing. */
void keypair_clear(struct keypair *kp);

/*
 * Takes n nonces, *first .. *first + n - 1, that are handed out to nobody else, ever.
 * False when fewer than n are left below REJECT_AFTER_MESSAGES: then none is taken.
 * n > 0. Any thread.
 */
must_check bool keypair_take_nonces(struct keypair *kp, uint64_t n, uint64_t *first);

/*
 * Younger than REJECT_AFTER_TIME, and nonces left? Any thread. A now that was read
 * shortly before the birth counts as the birth.
 */
must_check bool keypair_can_send(const struct keypair *kp, uint64_t now);

/*
 * Younger than REJECT_AFTER_TIME? Any thread. (Counters past REJECT_AFTER_MESSAGES are
 * replay_check()'s to refuse.)
 */
must_check bool keypair_can_receive(const struct keypair *kp, uint64_t now);

/*
 * After sending: is it time to begin a handshake? After REKEY_AFTER_MESSAGES for
 * either side, after REKEY_AFTER_TIME for the initiator only, lest both sides
 * begin at once (§6.2). Any thread.
 */
bool keypair_wants_rekey_send(const struct keypair *kp, uint64_t now);

/*
 * After receiving: is it high time to begin a handshake? One who only receives is
 * never told by keypair_wants_rekey_send(). This tells him while a keepalive and
 * a repeated initiation still fit in before the keys end. Initiator only (§6.2). Any
 * thread. The caller begins at most one handshake per keypair on this ground.
 */
bool keypair_wants_rekey_receive(const struct keypair *kp, uint64_t now);

/*
 * The slots. Readers load a pointer (keypairs_current) in a read-side section and
 * may use the keypair until that ends; writers hold one lock of the caller's.
 */
struct keypairs {
	_Atomic(struct keypair *) current;  /* what we send with */
	_Atomic(struct keypair *) previous; /* still received with: packets overtake each other */
	_Atomic(struct keypair *) next;     /* we responded; no packet under it has come yet */
};

enum { KEYPAIRS_SLOTS = 3 };

/* All slots empty. */
void keypairs_init(struct keypairs *kps);

/* What to send with, or NULL. Any thread, in a read-side section. */
static inline struct keypair *keypairs_current(const struct keypairs *kps)
{
	return atomic_load_explicit(&kps->current, memory_order_acquire);
}

/*
 * Is kp waiting to be confirmed? Any thread, without the lock: asked for every
 * batch received, so that keypairs_confirm() is only called when there is something to do.
 */
static inline bool keypairs_is_next(const struct keypairs *kps, const struct keypair *kp)
{
	return unlikely(atomic_load_explicit(&kps->next, memory_order_acquire) == kp);
}

/* No keypair in any slot? Writer. */
static inline bool keypairs_are_empty(const struct keypairs *kps)
{
	return !atomic_load_explicit(&kps->current, memory_order_relaxed) &&
	       !atomic_load_explicit(&kps->previous, memory_order_relaxed) &&
	       !atomic_load_explicit(&kps->next, memory_order_relaxed);
}

/*
 * Takes in a new keypair. Writes those that fall out of the slots to retired and returns how
 * many they are, 0..2: the caller makes them unreachable (index table), and frees
 * them after the grace period. Writer.
 */
must_check unsigned keypairs_add(struct keypairs *kps, struct keypair *kp,
				 struct keypair *retired[KEYPAIRS_SLOTS]);

/*
 * A packet has authenticated under received_with: if that is next, it becomes current.
 * Returns how many were retired, 0 or 1, or -EALREADY when it was not next (any more)
 * and nothing has changed. Upon >= 0 there is a new key to send what was staged. Writer.
 */
must_check int keypairs_confirm(struct keypairs *kps, struct keypair *received_with,
				struct keypair *retired[KEYPAIRS_SLOTS]);

/* Empties all slots; returns how many were retired, 0..3. Writer. */
must_check unsigned keypairs_clear(struct keypairs *kps, struct keypair *retired[KEYPAIRS_SLOTS]);

#endif
