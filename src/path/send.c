/* SPDX-License-Identifier: MIT */
/* Outbound: from packets of the TUN device to datagrams. datapath.h draws it. */
#include <errno.h>
#include <stdlib.h>

#include "../base/packet.h"
#include "border.h"
#include "handshake.h"
#include "route.h"

enum {
	/* Of staging in one turn: others may stage as fast as we send, for as long as they like. */
	FLUSH_ROUNDS = 4
};

/* Where the packets of one run went, for the accounts after the flush. */
struct tally {
	struct queue *q;
	struct udp_sockets *udp;
	uint16_t group_of_run[UDP_TX_RUNS];
};

/* Settles how packets lie in the arena from here to the flush. */
static void choose_layout(struct queue *q)
{
	q->burst->layout = (struct gso_layout){
		.headroom = sizeof(struct message_data),
		.tailroom = NOISE_TAG_LEN,
		.align = PADDING_MULTIPLE,
		.max = atomic_load_explicit(&q->dp->mtu, memory_order_relaxed),
	};
}

/* Sends everything that is queued, and books what became of it. */
static void flush(struct tally *t)
{
	struct queue *q = t->q;
	struct burst *b = q->burst;

	udp_flush(t->udp, &b->tx);
	for (unsigned i = 0; i < b->tx.n_runs; i++) {
		struct udp_run *run = &b->tx.runs[i];
		struct group *g = &b->groups[t->group_of_run[i]];
		unsigned failed = run->n - b->tx.sent[i];

		if (b->tx.stale_src[i])
			peer_clear_endpoint_src(g->peer);
		datapath_drop(q->dp, g->peer, DROP_SEND_FAILED, failed);
		if (failed == run->n)
			continue;
		counter_add(&g->peer->traffic.tx_packets, b->tx.sent[i]);
		counter_add(&g->peer->traffic.tx_bytes, run->bytes * b->tx.sent[i] / run->n);
		learned_counted(g->peer);
	}
	udp_tx_reset(&b->tx, t->udp);
}

/* May the key send all of the group's packets? Then *nonce is the first. */
static bool take_nonces(const struct burst *b, const struct group *g, struct keypair *pair,
			uint64_t *nonce)
{
	return pair && keypair_can_send(pair, b->now) && keypair_take_nonces(pair, g->n, nonce);
}

/* There is no key to send the group with now. pair: what was found instead, or NULL. */
static void wait_for_key(struct queue *q, struct group *g, const struct keypair *pair)
{
	route_stage(q, g);
	/* Another key may have come just now, and its flush found nothing staged yet. */
	if (keypairs_current(&g->session->keys) != pair)
		q->dp->ops->wake_worker(q->dp, g->peer, PEER_WORK_FLUSH);
	else
		handshake_want(q->dp->handshake, g->peer, PEER_HANDSHAKE_WANT);
}

/* What is sealed of a packet (§5.4.6): its padding ends at the MTU, the peer's own as well. */
static size_t padded(const struct burst *b, const struct group *g, size_t len)
{
	size_t n = gso_padded(&b->layout, len);

	return g->mtu ? min(n, max((size_t)g->mtu, len)) : n;
}

/*
 * Gives the group's packets their key, nonces and headers, as ops from n_ops on.
 * Returns the new number of ops. A group that cannot be sent now becomes empty.
 */
static unsigned assign(struct queue *q, struct group *g, unsigned n_ops)
{
	struct burst *b = q->burst;
	struct keypair *pair;
	uint64_t nonce;

	if (!g->n)
		return n_ops;
	pair = keypairs_current(&g->session->keys);
	if (!take_nonces(b, g, pair, &nonce)) {
		wait_for_key(q, g, pair);
		return n_ops;
	}
	g->key = session_key_of(pair);
	if (peer_get_endpoint(g->peer, &g->to)) {
		datapath_drop(q->dp, g->peer, DROP_NO_ENDPOINT, g->n);
		g->n = 0;
		return n_ops;
	}
	for (unsigned i = g->first; i != NO_NEXT; i = b->next[i], nonce++) {
		struct packet *p = &b->packets[i];
		/* By offset: behind a packet of the MTU a slot stands at any address. */
		uint8_t *msg = p->data - sizeof(struct message_data);

		store_le32(msg + offsetof(struct message_data, type), MESSAGE_DATA);
		store_le32(msg + offsetof(struct message_data, receiver_index),
			   g->key->pair.remote_index);
		store_le64(msg + offsetof(struct message_data, counter), nonce);
		b->ops[n_ops++] = (struct aead_op){ .data = p->data,
						    .len = padded(b, g, p->len),
						    .key = g->key->pair.send_key,
						    .nonce = nonce };
	}
	return n_ops;
}

/* Queues a sealed group for sending; ops are its own, in order. */
static void queue_group(struct tally *t, struct group *g, const struct aead_op *op)
{
	struct burst *b = t->q->burst;

	/* Another peer may be at the same place. */
	udp_tx_part(&b->tx);
	for (unsigned i = g->first; i != NO_NEXT; i = b->next[i], op++) {
		unsigned run;

		if (!udp_tx_has_room(&b->tx, 1))
			flush(t);
		run = udp_tx_add(&b->tx, &g->to, b->packets[i].ecn,
				 op->data - sizeof(struct message_data),
				 op->len + MESSAGE_DATA_OVERHEAD);
		t->group_of_run[run] = (uint16_t)(g - b->groups);
	}
}

/* What follows from having sent: the peer's stamps, and perhaps a new handshake (§6.2). */
static void note_sent(struct queue *q, struct group *g)
{
	timers_sent(&g->session->timers, q->burst->now, g->data);
	if (keypair_wants_rekey_send(&g->key->pair, q->burst->now))
		handshake_want(q->dp->handshake, g->peer, PEER_HANDSHAKE_WANT);
}

/* Seals and sends all groups. Returns the number of packets that had a key to go with. */
static unsigned send_groups(struct queue *q)
{
	struct tally tally = { .q = q, .udp = rcu_read(&q->udp) };
	struct burst *b = q->burst;
	unsigned n_ops = 0, done = 0;

	for (unsigned i = 0; i < b->n_groups; i++)
		n_ops = assign(q, &b->groups[i], n_ops);
	if (!n_ops)
		return 0;
	aead_seal_burst(b->aead, b->ops, n_ops);
	udp_tx_reset(&b->tx, tally.udp);
	for (unsigned i = 0; i < b->n_groups; i++) {
		struct group *g = &b->groups[i];

		if (!g->n)
			continue;
		queue_group(&tally, g, &b->ops[done]);
		done += g->n;
	}
	flush(&tally);
	for (unsigned i = 0; i < b->n_groups; i++)
		if (b->groups[i].n)
			note_sent(q, &b->groups[i]);
	return n_ops;
}

/* What the reader could make nothing of. */
static void count_unreadable(struct queue *q)
{
	datapath_drop(q->dp, NULL, DROP_OUT_MALFORMED,
		      q->reader->malformed + q->reader->oversize);
	q->reader->malformed = 0;
	q->reader->oversize = 0;
}

int send_burst(struct queue *q, int ring, size_t bytes)
{
	struct burst *b = q->burst;
	size_t packets = bytes < BURST_ARENA ? bytes / BURST_PACKET_COST : BURST_PACKETS;
	unsigned kept;
	size_t used;
	int n;

	choose_layout(q);
	n = tun_read_burst(&q->tun, ring, q->reader, &b->layout, b->arena, bytes, b->spans,
			   packets, &used);
	count_unreadable(q);
	if (n == -EINVAL || n == -ENOMEM) {
		/* One packet that the kernel could not describe to us, and has dropped. */
		datapath_drop(q->dp, NULL, DROP_OUT_MALFORMED, 1);
		return 0;
	}
	if (n <= 0)
		return n;
	if (unlikely(!rcu_read(&q->udp))) {
		/* An interface that is up before it has a port. */
		datapath_drop(q->dp, NULL, DROP_SEND_FAILED, (uint64_t)n);
		return n;
	}
	kept = border_isolates(q->dp) ? route_keep_apart(q, (unsigned)n) : (unsigned)n;
	for (unsigned done = 0; done < kept;) {
		group_reset_all(b);
		done = route_packets(q, done, kept);
		route_limit(q);
		route_hold_back(q);
		(void)send_groups(q);
	}
	return n;
}

/* Lays a list of staged packets into the arena as one group. Returns what did not fit. */
static struct staged *lay_out(struct queue *q, struct peer *peer, struct session *session,
			      struct staged *staged)
{
	struct burst *b = q->burst;
	const struct gso_layout *l = &b->layout;
	struct group *g;
	size_t used = 0;
	unsigned n = 0;

	choose_layout(q);
	group_reset_all(b);
	g = group_find(b, peer);
	g->session = session;
	while (staged && n < BURST_PACKETS && used + gso_slot(l, staged->len) <= BURST_ARENA) {
		struct staged *next = staged->next;
		uint8_t *data = b->arena + used + l->headroom;
		struct inner in;

		memcpy(data, staged->data, staged->len);
		memset(data + staged->len, 0, gso_padded(l, staged->len) - staged->len);
		b->packets[n] = (struct packet){ .data = data, .len = (uint32_t)staged->len };
		if (inner_parse(&in, data, staged->len))
			b->packets[n].ecn = in.ecn;
		group_add(b, g, n++);
		used += gso_slot(l, staged->len);
		free(staged);
		staged = next;
	}
	return staged;
}

/* Is there a key that may send? If not, a handshake is on its way. */
static bool has_key(struct queue *q, struct peer *peer, const struct session *session)
{
	const struct keypair *pair = keypairs_current(&session->keys);

	if (pair && keypair_can_send(pair, q->burst->now))
		return true;
	handshake_want(q->dp->handshake, peer, PEER_HANDSHAKE_WANT);
	return false;
}

bool send_staged(struct queue *q, struct peer *peer)
{
	struct session *session = rcu_read(&peer->session);
	struct staged *staged;
	unsigned sent, total = 0, rounds = 0;

	if (!session || !rcu_read(&q->udp) || !has_key(q, peer, session))
		return false;
	for (staged = peer_take_staged(peer, session, false); staged;
	     staged = peer_take_staged(peer, session, true)) {
		for (sent = 0; staged; sent += send_groups(q))
			staged = lay_out(q, peer, session, staged);
		total += sent;
		/* The key may have run out on the way; what it left is staged again. */
		if (!sent || !has_key(q, peer, session)) {
			peer_stop_flushing(peer, session);
			break;
		}
		if (++rounds == FLUSH_ROUNDS) {
			/* What has come meanwhile keeps its order: it is still staged. */
			peer_stop_flushing(peer, session);
			q->dp->ops->wake_worker(q->dp, peer, PEER_WORK_FLUSH);
			break;
		}
	}
	return total > 0;
}

/* Sends packets that may now, as if they came from the TUN device. Frees them. */
static void send_list(struct queue *q, struct peer *peer, struct staged *list)
{
	struct session *session = peer_session(peer, q->burst->now);

	while (list && session && rcu_read(&q->udp)) {
		list = lay_out(q, peer, session, list);
		route_hold_back(q);
		(void)send_groups(q);
	}
	if (unlikely(list)) {
		unsigned n = 0;

		for (struct staged *s = list; s; s = s->next)
			n++;
		datapath_drop(q->dp, peer,
			      session ? DROP_SEND_FAILED : route_absence(peer, DROP_NO_TENANT), n);
		staged_free(list);
	}
}

uint64_t send_held(struct queue *q, struct peer *peer)
{
	struct limit *limit = rcu_read(&peer->limit);
	struct limit_taken taken;

	limit_take(limit, LIMIT_DOWN, q->burst->now, &taken);
	datapath_drop(q->dp, peer, limit_reason(limit, LIMIT_DOWN), taken.dropped);
	if (taken.list)
		send_list(q, peer, taken.list);
	return limit_settle(limit, LIMIT_DOWN);
}

void send_handshake(struct queue *q, struct peer *peer)
{
	struct session *session = rcu_read(&peer->session);
	struct udp_sockets *udp = rcu_read(&q->udp);
	struct outgoing *out = session ? session_take_outgoing(session) : NULL;
	struct endpoint to;

	if (!out)
		return;
	if (!udp || peer_get_endpoint(peer, &to) || udp_send_one(udp, &to, out->data, out->len)) {
		datapath_drop(q->dp, peer, DROP_SEND_FAILED, 1);
	} else {
		counter_add(&peer->traffic.tx_packets, 1);
		counter_add(&peer->traffic.tx_bytes, out->len);
		learned_counted(peer);
	}
	free(out);
}

void send_keepalive(struct queue *q, struct peer *peer)
{
	struct session *session = peer_session(peer, q->burst->now);
	struct burst *b = q->burst;
	struct group *g;

	if (!session || !rcu_read(&q->udp) || !has_key(q, peer, session))
		return;
	choose_layout(q);
	group_reset_all(b);
	g = group_find(b, peer);
	g->session = session;
	b->packets[0] = (struct packet){ .data = b->arena + sizeof(struct message_data) };
	group_add(b, g, 0);
	(void)send_groups(q);
}
