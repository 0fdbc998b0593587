/* SPDX-License-Identifier: MIT */
/* Who uses a key from two places. */
#include "sharing.h"

#include <stdlib.h>

/* The peer's, made if there is none; NULL: no memory. Under the lock. */
static struct sharing *sharing_of(struct peer *peer)
{
	if (!peer->sharing)
		peer->sharing = calloc(1, sizeof(*peer->sharing));
	return peer->sharing;
}

/* When it left that place; 0: long ago, or it was never there. */
static uint64_t left_at(const struct sharing *s, const struct endpoint *at, uint64_t now)
{
	for (unsigned i = 0; i < SHARING_PLACES; i++)
		if (s->places[i].left && now - s->places[i].left <= SHARING_INTERVAL &&
		    endpoint_same_remote(&s->places[i].at, at))
			return s->places[i].left;
	return 0;
}

/* It leaves that place now, which takes the room of the one left longest ago. */
static void leave(struct sharing *s, const struct endpoint *at, uint64_t now)
{
	unsigned slot = 0;

	for (unsigned i = 0; i < SHARING_PLACES; i++) {
		if (s->places[i].left && endpoint_same_remote(&s->places[i].at, at)) {
			slot = i;
			break;
		}
		if (s->places[i].left < s->places[slot].left)
			slot = i;
	}
	s->places[slot].at = *at;
	s->places[slot].left = now;
}

/* One more return: are there too many of them? at_once: also if that was said just now. */
static bool count_return(struct sharing *s, uint64_t now, bool at_once)
{
	uint64_t last = s->returns[(s->next + SHARING_RETURNS - 1) % SHARING_RETURNS];
	uint64_t first;

	if ((now < s->quiet_until && !at_once) || (last && now - last < SHARING_SETTLE))
		return false;
	s->returns[s->next] = now;
	s->next = (s->next + 1) % SHARING_RETURNS;
	first = s->returns[s->next];
	return first && now - first <= SHARING_INTERVAL;
}

bool sharing_moved(struct peer *peer, const struct endpoint *before, const struct endpoint *from,
		   bool other, uint64_t now)
{
	bool quarantine = atomic_load_explicit(&peer->quarantine, memory_order_relaxed);
	bool noticed = false;
	struct sharing *s;

	pthread_mutex_lock(&peer->lock);
	s = sharing_of(peer);
	if (!s)
		goto out;
	noticed = other && left_at(s, from, now) && count_return(s, now, quarantine);
	leave(s, before, now);
	if (noticed) {
		memset(s->returns, 0, sizeof(s->returns));
		s->quiet_until = now + SHARING_INTERVAL;
		s->noticed++;
		s->between[0] = *before;
		s->between[1] = *from;
	}
out:
	pthread_mutex_unlock(&peer->lock);
	return noticed;
}

uint32_t sharing_noticed(struct peer *peer, struct endpoint between[2])
{
	uint32_t n;

	pthread_mutex_lock(&peer->lock);
	n = peer->sharing ? peer->sharing->noticed : 0;
	if (n)
		memcpy(between, peer->sharing->between, sizeof(peer->sharing->between));
	pthread_mutex_unlock(&peer->lock);
	return n;
}

void sharing_forget(struct peer *peer)
{
	struct sharing *s;

	pthread_mutex_lock(&peer->lock);
	s = peer->sharing;
	if (s) {
		memset(s->places, 0, sizeof(s->places));
		memset(s->returns, 0, sizeof(s->returns));
		s->quiet_until = 0;
	}
	pthread_mutex_unlock(&peer->lock);
}
