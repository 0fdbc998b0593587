/* SPDX-License-Identifier: MIT */
/*
 * A key in use from two places: two machines hold it, and turn the peer's endpoint back
 * and forth between them. One that roams moves on; it comes back, too, but takes its
 * session along, so a change of address is no sign by itself. What is one:
 *
 *  - the peer is back at an address where it has been within SHARING_INTERVAL, and
 *  - it is there with a handshake of its own, or with data under keys that a newer
 *    handshake, SHARING_SETTLE or more ago, has replaced: who made the newer one would
 *    not use the older. What was still under way when it was made arrives within that time.
 *
 * It is noticed at the SHARING_RETURNS-th such return within SHARING_INTERVAL, returns
 * within SHARING_SETTLE of the last one not counted. A phone that changes to Wi-Fi and
 * back twice, with a handshake each time, makes three. Two machines that send something
 * are noticed within half a minute, two that only keep a NAT open within two.
 *
 * What is needed for it is made when a peer first moves: most never do.
 */
#ifndef BERTH_PEER_SHARING_H
#define BERTH_PEER_SHARING_H

#include "peer.h"

enum { SHARING_RETURNS = 4, SHARING_PLACES = 4 };

#define SHARING_INTERVAL REKEY_AFTER_TIME
#define SHARING_SETTLE REKEY_TIMEOUT

struct sharing {
	struct {
		struct endpoint at;
		uint64_t left; /* monotonic ns */
	} places[SHARING_PLACES];
	uint64_t returns[SHARING_RETURNS]; /* when; 0: none. A ring */
	unsigned next;                     /* of returns */
	uint64_t quiet_until;              /* noticed just now: once per SHARING_INTERVAL */
	uint32_t noticed;                  /* how many times */
	struct endpoint between[2];        /* of the last time */
};

/*
 * The peer has moved (peer_move()); other: with a handshake, or under replaced keys. True:
 * its key is in use from two places, and that was not said within SHARING_INTERVAL, or it
 * is to be held. now:
 * monotonic ns. Any thread, RCU turn.
 */
must_check bool sharing_moved(struct peer *peer, const struct endpoint *before,
			      const struct endpoint *from, bool other, uint64_t now);

/* How often it was noticed, and where the last time; between is left alone at 0. Any thread. */
uint32_t sharing_noticed(struct peer *peer, struct endpoint between[2]);

/* Begins anew; what was counted stays. Any thread. */
void sharing_forget(struct peer *peer);

#endif
