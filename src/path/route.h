/* SPDX-License-Identifier: MIT */
/*
 * The packets of one peer within an outbound burst, between route.c (to whom, and whether now)
 * and send.c (sealing and sending). Worker, RCU turn.
 */
#ifndef BERTH_PATH_ROUTE_H
#define BERTH_PATH_ROUTE_H

#include "datapath.h"

enum { NO_NEXT = UINT16_MAX };

static inline void group_reset_all(struct burst *b)
{
	/* Mostly one or two: the whole table is 4 KiB, more than all else a single packet touches. */
	while (b->n_groups)
		b->group_of[b->groups[--b->n_groups].slot] = 0;
	b->n_pieces = 0;
}

/* The peer's group, made if need be. Open addressing; the table is never more than half full. */
static inline struct group *group_find(struct burst *b, struct peer *peer)
{
	size_t slot = hash_pointer(peer) % ARRAY_SIZE(b->group_of);

	for (;; slot = (slot + 1) % ARRAY_SIZE(b->group_of)) {
		uint16_t *entry = &b->group_of[slot];

		if (!*entry) {
			*entry = (uint16_t)++b->n_groups;
			b->groups[*entry - 1] = (struct group){
				.peer = peer,
				.slot = (uint16_t)slot,
				.mtu = atomic_load_explicit(&peer->mtu, memory_order_relaxed)
			};
			return &b->groups[*entry - 1];
		}
		if (b->groups[*entry - 1].peer == peer)
			return &b->groups[*entry - 1];
	}
}

static inline void group_add(struct burst *b, struct group *g, unsigned packet)
{
	if (g->n++)
		b->next[g->last] = (uint16_t)packet;
	else
		g->first = packet;
	g->last = packet;
	b->next[packet] = NO_NEXT;
	g->data |= b->packets[packet].len > 0;
}

/* The first of the group's packets: a group that has become empty has none. */
static inline unsigned group_first(const struct group *g)
{
	return g->n ? g->first : NO_NEXT;
}

/* Why a packet cannot go to a peer that has no session, or no endpoint. */
static inline enum drop_reason route_absence(const struct peer *peer, enum drop_reason otherwise)
{
	return peer && peer_is_held(peer) ? DROP_QUARANTINED : otherwise;
}

/* Keeps copies of the group's packets until there are keys; the group becomes empty. */
void route_stage(struct queue *q, struct group *g);

/*
 * Takes out of the burst's first n packets what one tenant sends to another and must not reach it.
 * Returns how many are left.
 */
unsigned route_keep_apart(struct queue *q, unsigned n);

/*
 * Finds the peer for each packet from i on and collects those of one peer. Returns where it
 * ended: n, or what there was no room for in this round.
 */
unsigned route_packets(struct queue *q, unsigned i, unsigned n);

/* Takes out what the tenants' rates do not let pass now, before nonces are given. */
void route_limit(struct queue *q);

/* What must wait behind staged packets is staged too; what died meanwhile is dropped. */
void route_hold_back(struct queue *q);

#endif
