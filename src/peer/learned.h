/* SPDX-License-Identifier: MIT */
/*
 * What is learned of a peer and is to survive a restart: where it was heard from
 * last, its greatest timestamp (paper §5.1), and what was counted.
 *
 * Whoever learns or counts something new puts the peer into group->learned, and wakes nobody:
 * control looks there once in a while, so that a peer which flaps costs no more than
 * one that moves once. A peer that dies goes there, too: its timestamp outlives it.
 */
#ifndef BERTH_PEER_LEARNED_H
#define BERTH_PEER_LEARNED_H

#include "peer.h"

/* Something is new. Any thread, RCU turn. */
void learned_tell(struct peer *peer);

/*
 * Something was counted: mostly it is news already, which costs one atomic instruction
 * per run of packets. Any thread, RCU turn.
 */
static inline void learned_counted(struct peer *peer)
{
	if (peer->group->learned && !inbox_is_posted(&peer->to_memory))
		learned_tell(peer);
}

/*
 * An initiation has authenticated, and none that is not later will be good. 0, or
 * -ESHUTDOWN: the peer is dead, its timestamp was taken down as it is, and the
 * initiation must not be answered. Handshake thread, RCU turn.
 */
must_check int learned_timestamp(struct peer *peer, const uint8_t timestamp[NOISE_TIMESTAMP_LEN]);

/* The greatest timestamp; all zero: none yet. Any thread. */
void learned_get_timestamp(struct peer *peer, uint8_t out[NOISE_TIMESTAMP_LEN]);

/*
 * Gives back what was learned before. No news, so nobody is told. endpoint may be
 * unset. Control thread, as long as nobody else can find the peer.
 */
void learned_recall(struct peer *peer, const struct endpoint *endpoint,
		    const uint8_t timestamp[NOISE_TIMESTAMP_LEN]);

/* The same of what was counted. */
void learned_recall_counts(struct peer *peer, const struct saved_counts *counts);

#endif
