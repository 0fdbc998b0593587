/* SPDX-License-Identifier: MIT */
/* Where a peer is (paper §6.5), and what is done when it is in two places (sharing.h). */
#ifndef BERTH_PATH_ROAMING_H
#define BERTH_PATH_ROAMING_H

#include "datapath.h"

/*
 * An authenticated packet of the peer came from there: data under key, or, if that is
 * NULL, a handshake message. Afterwards the peer may be held (peer_is_held()), and its
 * session gone. now: monotonic ns. Worker or handshake thread, RCU turn.
 */
void roaming_heard(struct datapath *dp, struct peer *peer, struct session *session,
		   const struct session_key *key, const struct endpoint *from, uint64_t now);

/* A held peer is free again; false: it was not held. Any thread, RCU turn. */
must_check bool roaming_release(struct datapath *dp, struct peer *peer);

#endif
