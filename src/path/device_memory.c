/* SPDX-License-Identifier: MIT */
/* What a device learns of its peers, and is told of them again after a restart. */
#include <errno.h>
#include <sodium.h>

#include "../base/clock.h"
#include "../peer/learned.h"
#include "device_peers.h"
#include "handshake.h"

void device_remember(struct device *dev, const struct device_memory *memory)
{
	dev->memory = *memory;
	dev->dp.peers.learned = &dev->learned;
}

void device_forget(struct device *dev)
{
	dev->memory = (struct device_memory){ 0 };
}

static void tell_arrival(struct device *dev, struct peer *peer)
{
	if (peer->arrived || !peer_is_connected(peer, clock_now()))
		return;
	peer->arrived = true;
	if (dev->observer.arrived)
		dev->observer.arrived(dev->observer.arg, peer->announce, peer->allowed_ips,
				      peer->n_allowed_ips);
}

/* In an RCU turn. */
static void take_learned(struct device *dev)
{
	struct inbox_item *item = inbox_take_all(&dev->learned);
	struct device_peer info = { 0 };

	while (item) {
		struct peer *peer = container_of(item, struct peer, to_memory);

		item = item->next;
		/* First: what is learned from here on is news again. */
		(void)inbox_claim(&peer->to_memory);
		/* A worker may have counted something at one that was told of as removed. */
		if (dev->memory.learned && !peer->buried) {
			device_tell_quota(peer);
			device_describe(peer, &info);
			peer->buried = info.removed;
			dev->memory.learned(dev->memory.arg, &info);
		}
		tell_arrival(dev, peer);
		peer_unref(peer);
	}
	sodium_memzero(info.preshared_key, sizeof(info.preshared_key));
}

void device_take_learned(struct device *dev)
{
	rcu_turn_begin();
	take_learned(dev);
	rcu_turn_end();
}

int device_recall(struct device *dev, struct peer *peer, const struct change *c)
{
	struct device_recalled known = { 0 };
	int err;

	if (!dev->memory.recall)
		return 0;
	/* First: who is told of it forgets it, and it would be lost with the peer. */
	err = c->flags & PEER_HAS_LIMITS ? peer_make_limit(peer, &c->limits) : 0;
	if (err)
		return err;
	/* One with this very key may have been removed a moment ago. */
	take_learned(dev);
	dev->memory.recall(dev->memory.arg, c->key, c->name, &known);
	if (known.held)
		(void)peer_hold(peer);
	if (c->flags & PEER_HAS_ENDPOINT)
		known.endpoint = (struct endpoint){ 0 };
	learned_recall(peer, &known.endpoint, known.timestamp);
	learned_recall_counts(peer, &known.counts);
	device_recall_quota(peer, c, &known.counts);
	return 0;
}

int device_call(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct handshake_thread *ht = dev->ws->handshake;
	struct peer *peer;

	if (handshake_under_load(ht, clock_now()))
		return -EAGAIN;
	rcu_turn_begin();
	peer = device_find_peer(dev, public_key);
	if (peer)
		handshake_want(ht, peer, PEER_HANDSHAKE_CALL);
	rcu_turn_end();
	return 0;
}
