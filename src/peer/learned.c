/* SPDX-License-Identifier: MIT */
/* What of a peer is to survive a restart. */
#include "learned.h"

#include <errno.h>

void learned_tell(struct peer *peer)
{
	struct inbox *learned = peer->group->learned;

	if (!learned || !peer_ref(peer))
		return;
	if (!inbox_post(learned, &peer->to_memory, 1))
		peer_unref(peer);
}

int learned_timestamp(struct peer *peer, const uint8_t timestamp[NOISE_TIMESTAMP_LEN])
{
	bool dead;

	pthread_mutex_lock(&peer->lock);
	dead = atomic_load_explicit(&peer->dead, memory_order_relaxed);
	if (!dead)
		memcpy(peer->last_timestamp, timestamp, NOISE_TIMESTAMP_LEN);
	pthread_mutex_unlock(&peer->lock);
	if (dead)
		return -ESHUTDOWN;
	learned_tell(peer);
	return 0;
}

void learned_get_timestamp(struct peer *peer, uint8_t out[NOISE_TIMESTAMP_LEN])
{
	pthread_mutex_lock(&peer->lock);
	memcpy(out, peer->last_timestamp, NOISE_TIMESTAMP_LEN);
	pthread_mutex_unlock(&peer->lock);
}

void learned_recall(struct peer *peer, const struct endpoint *endpoint,
		    const uint8_t timestamp[NOISE_TIMESTAMP_LEN])
{
	pthread_mutex_lock(&peer->lock);
	memcpy(peer->last_timestamp, timestamp, NOISE_TIMESTAMP_LEN);
	peer->endpoint = *endpoint;
	atomic_store_explicit(&peer->has_endpoint, endpoint_is_set(endpoint) && !peer_is_held(peer),
			      memory_order_relaxed);
	pthread_mutex_unlock(&peer->lock);
}

void learned_recall_counts(struct peer *peer, const struct saved_counts *counts)
{
	counter_add(&peer->traffic.rx_bytes, counts->rx_bytes);
	counter_add(&peer->traffic.rx_packets, counts->rx_packets);
	counter_add(&peer->traffic.tx_bytes, counts->tx_bytes);
	counter_add(&peer->traffic.tx_packets, counts->tx_packets);
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		if (counts->drops[i])
			peer_count_drop(peer, (enum drop_reason)i, counts->drops[i]);
}
