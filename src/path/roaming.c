/* SPDX-License-Identifier: MIT */
/* Peers that move, and keys that are in use from two places. */
#include "roaming.h"

#include "../base/log.h"
#include "../peer/events.h"
#include "../peer/learned.h"
#include "../peer/sharing.h"

/* Has a newer handshake replaced the key, so long ago that nothing is under way any more? */
static bool is_replaced(struct session *session, const struct session_key *key, uint64_t now)
{
	const struct keypair *current = keypairs_current(&session->keys);

	return current && current != &key->pair && !keypairs_is_next(&session->keys, &key->pair) &&
	       now >= current->birth + SHARING_SETTLE;
}

static void hold(struct datapath *dp, struct peer *peer)
{
	datapath_drop(dp, peer, DROP_QUARANTINED, peer_hold(peer));
	peer_note(peer, EVENT_QUARANTINED, 0);
	learned_tell(peer);
}

static void notice(struct datapath *dp, struct peer *peer, const struct endpoint *before,
		   const struct endpoint *from)
{
	bool quarantine = atomic_load_explicit(&peer->quarantine, memory_order_relaxed);
	char a[ENDPOINT_STRLEN], b[ENDPOINT_STRLEN];

	peer_note_way(peer, EVENT_SHARED_KEY, before, from);
	if (quarantine)
		hold(dp, peer);
	log_event(LOG_LEVEL_WARNING, peer->name, "shared-key", quarantine ? "quarantined" : NULL,
		  "%s: %s: its key is in use from two places, %s and %s: %s", dp->name, peer->name,
		  endpoint_format(before, a), endpoint_format(from, b),
		  quarantine ? "it is held until `berth release` names it, or it gets a new key"
			     : "give each machine a key of its own");
}

void roaming_heard(struct datapath *dp, struct peer *peer, struct session *session,
		   const struct session_key *key, const struct endpoint *from, uint64_t now)
{
	struct endpoint before;

	if (likely(!peer_move(peer, from, &before)))
		return;
	if (sharing_moved(peer, &before, from, !key || is_replaced(session, key, now), now))
		notice(dp, peer, &before, from);
}

bool roaming_release(struct datapath *dp, struct peer *peer)
{
	if (!peer_release(peer))
		return false;
	sharing_forget(peer);
	peer_note(peer, EVENT_RELEASED, 0);
	learned_tell(peer);
	log_event(LOG_LEVEL_INFO, peer->name, "released", NULL,
		  "%s: %s: released", dp->name, peer->name);
	return true;
}
