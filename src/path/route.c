/* SPDX-License-Identifier: MIT */
/* Outbound: to whom each packet goes, in which shape, and whether now. datapath.h draws it. */
#include "route.h"

#include "../base/packet.h"
#include "border.h"
#include "fragment.h"
#include "icmp.h"
#include "mss.h"

void route_stage(struct queue *q, struct group *g)
{
	struct burst *b = q->burst;
	unsigned dropped = 0;

	for (unsigned i = group_first(g); i != NO_NEXT; i = b->next[i])
		if (b->packets[i].len)
			dropped += peer_stage(g->peer, g->session, b->packets[i].data,
					      b->packets[i].len);
	datapath_drop(q->dp, g->peer, DROP_STAGING_FULL, dropped);
	g->n = 0;
}

/* Sends the ICMP error of len bytes back (0: there is to be none). */
static void answer(struct queue *q, uint8_t *error, size_t len)
{
	struct span out = { .data = error, .len = len };
	struct tun_write_result result = { 0 };

	if (len)
		(void)tun_write_burst(&q->tun, &q->burst->gro, &out, 1, &result);
}

/* Tells the sender that nobody is there. */
static void answer_unreachable(struct queue *q, const struct inner *in, const struct span *packet)
{
	uint8_t error[ICMP_ERROR_MAX];
	size_t len = icmp_unreachable(error, in, packet->data, packet->len);

	if (len && datapath_may_answer(q->burst, in))
		answer(q, error, len);
}

static void answer_too_big(struct queue *q, const struct group *g, const struct inner *in,
			   const struct span *packet)
{
	uint8_t error[ICMP_ERROR_MAX];
	size_t len = icmp_too_big(error, in, packet->data, packet->len, g->mtu);

	if (len && datapath_may_answer(q->burst, in))
		answer(q, error, len);
}

/* What becomes of a packet that may be too large for the tenant's way. */
enum fit {
	FITS,
	SEEN_TO, /* it does not go as it is */
	NO_ROOM  /* for its pieces, until what was routed before has been sent */
};

/* Where piece i lies, as gso would have laid it. */
static uint8_t *piece_at(const struct burst *b, unsigned i)
{
	_Static_assert(sizeof(struct message_data) + BURST_PIECE_MAX + NOISE_TAG_LEN <=
			       BURST_PIECE_SLOT, "room for the largest");
	return b->arena + BURST_ARENA + (size_t)i * BURST_PIECE_SLOT + b->layout.headroom;
}

/* Cuts a packet. The pieces go on as it would have, in its place. */
static enum fit cut(struct queue *q, struct group *g, const struct inner *in,
		    const struct span *packet)
{
	size_t mtu = min((size_t)g->mtu, (size_t)BURST_PIECE_MAX), done = 0, len;
	struct burst *b = q->burst;
	unsigned end = b->n_pieces;

	while (end < BURST_PIECES &&
	       (len = fragment_next(piece_at(b, end), mtu, in, packet->data, &done))) {
		uint8_t *data = piece_at(b, end);

		memset(data + len, 0, gso_padded(&b->layout, len) - len);
		b->packets[BURST_PACKETS + end++] =
			(struct packet){ .data = data, .len = (uint32_t)len, .ecn = in->ecn };
	}
	if (end == BURST_PIECES) {
		if (b->n_pieces)
			return NO_ROOM;
		datapath_drop(q->dp, g->peer, DROP_TOO_BIG, 1);
		return SEEN_TO;
	}
	while (b->n_pieces < end)
		group_add(b, g, BURST_PACKETS + b->n_pieces++);
	return SEEN_TO;
}

/*
 * Makes a packet fit the tenant's way. told is who got an error last: of a super-packet each
 * segment is too large, and one answer says it.
 */
static enum fit fit(struct queue *q, struct group *g, const struct inner *in,
		    const struct span *packet, struct inner *told)
{
	size_t addr_len = in->family == AF_INET ? 4 : 16;

	if (unlikely(mss_may_be_syn(in, packet->data)))
		(void)mss_clamp(in, packet->data, datapath_mtu(q->dp, g->peer));
	if (likely(!g->mtu || packet->len <= g->mtu))
		return FITS;
	if (fragment_may(in, packet->data))
		return cut(q, g, in, packet);
	datapath_drop(q->dp, g->peer, DROP_TOO_BIG, 1);
	if (told->family != in->family || memcmp(told->src, in->src, addr_len) ||
	    memcmp(told->dst, in->dst, addr_len))
		answer_too_big(q, g, in, packet);
	*told = *in;
	return SEEN_TO;
}

/*
 * Takes out what one tenant sends to another and must not reach it. Inbound it was asked
 * too, with an answer; here is what the host has since given another destination, or what
 * pretends to come from a tenant, and nobody is to be told. Returns how many are left.
 */
unsigned route_keep_apart(struct queue *q, unsigned n)
{
	struct burst *b = q->burst;
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		struct peer *to = NULL;
		struct inner in;

		if (inner_parse(&in, b->spans[i].data, b->spans[i].len))
			to = datapath_owner(q->dp, in.family, in.dst);
		if (to && border_keeps_apart(datapath_owner(q->dp, in.family, in.src), to))
			datapath_drop(q->dp, to, DROP_ISOLATED, 1);
		else
			b->spans[kept++] = b->spans[i];
	}
	return kept;
}

unsigned route_packets(struct queue *q, unsigned i, unsigned n)
{
	struct burst *b = q->burst;
	const uint8_t *last_dst = NULL;
	uint8_t last_family = AF_UNSPEC;
	struct inner told = { .family = AF_UNSPEC };
	struct group *g = NULL;

	for (; i < n; i++) {
		const struct span *s = &b->spans[i];
		struct peer *peer;
		struct inner in;
		enum fit how;

		if (!inner_parse(&in, s->data, s->len)) {
			datapath_drop(q->dp, NULL, DROP_OUT_MALFORMED, 1);
			continue;
		}
		if (in.family != last_family ||
		    memcmp(in.dst, last_dst, in.family == AF_INET ? 4 : 16)) {
			last_family = in.family;
			last_dst = in.dst;
			g = NULL;
			peer = datapath_owner(q->dp, in.family, in.dst);
			if (peer && atomic_load_explicit(&peer->has_endpoint, memory_order_relaxed))
				g = group_find(b, peer);
			if (g && !g->session)
				g->session = peer_session(peer, b->now);
		}
		if (!g) {
			peer = datapath_owner(q->dp, in.family, in.dst);
			datapath_drop(q->dp, peer,
				      route_absence(peer, peer ? DROP_NO_ENDPOINT : DROP_NO_TENANT), 1);
			answer_unreachable(q, &in, s);
			continue;
		}
		how = fit(q, g, &in, s, &told);
		if (unlikely(how == NO_ROOM))
			break;
		if (unlikely(how == SEEN_TO))
			continue;
		b->packets[i] = (struct packet){ .data = s->data,
						 .len = (uint32_t)s->len,
						 .ecn = in.ecn };
		group_add(b, g, i);
	}
	return i;
}

/* Takes out of a group what the tenant's rate does not let pass now; it waits, or is dropped. */
static void limit_group(struct queue *q, struct group *g, struct limit *limit)
{
	struct group whole = *g;
	struct burst *b = q->burst;
	unsigned next, dropped = 0;
	uint64_t bytes = 0;
	bool first = false;

	for (unsigned i = group_first(g); i != NO_NEXT; i = b->next[i])
		bytes += b->packets[i].len;
	if (!bytes || limit_pass(limit, LIMIT_DOWN, b->now, bytes))
		return;
	g->n = 0;
	g->data = false;
	for (unsigned i = group_first(&whole); i != NO_NEXT; i = next) {
		const struct packet *p = &b->packets[i];
		enum limit_verdict verdict =
			limit_packet(limit, LIMIT_DOWN, b->now, p->data, p->len);

		next = b->next[i];
		if (verdict == LIMIT_PASS)
			group_add(b, g, i);
		first |= verdict == LIMIT_FIRST;
		dropped += verdict == LIMIT_DROP;
	}
	datapath_drop(q->dp, g->peer, limit_reason(limit, LIMIT_DOWN), dropped);
	if (first)
		q->dp->ops->wake_worker(q->dp, g->peer, PEER_WORK_RELEASE);
}

/* Before nonces are given: a drop here leaves no gap in them. */
void route_limit(struct queue *q)
{
	struct burst *b = q->burst;

	for (unsigned i = 0; i < b->n_groups; i++) {
		struct limit *limit = rcu_read(&b->groups[i].peer->limit);

		if (unlikely(limit))
			limit_group(q, &b->groups[i], limit);
	}
}

void route_hold_back(struct queue *q)
{
	struct burst *b = q->burst;

	for (unsigned i = 0; i < b->n_groups; i++) {
		struct group *g = &b->groups[i];

		if (!g->session) {
			datapath_drop(q->dp, g->peer, route_absence(g->peer, DROP_NO_TENANT), g->n);
			g->n = 0;
		} else if (g->n && session_is_staging(g->session)) {
			/* The flush asks for a handshake if it finds no key. */
			route_stage(q, g);
			q->dp->ops->wake_worker(q->dp, g->peer, PEER_WORK_FLUSH);
		}
	}
}
