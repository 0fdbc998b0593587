/* SPDX-License-Identifier: MIT */
/* Inbound: from datagrams to inner packets on the TUN device. datapath.h draws it. */
#include <stdlib.h>

#include "../base/log.h"
#include "../base/packet.h"
#include "border.h"
#include "datapath.h"
#include "handshake.h"
#include "icmp.h"
#include "mss.h"
#include "roaming.h"

/* Handshake messages */

/* A response is for a handshake in flight that we gave an index. */
static enum drop_reason check_response(struct queue *q, const uint8_t *msg)
{
	size_t at = offsetof(struct message_response, receiver_index);
	struct index_entry *entry = index_lookup(q->dp->peers.indices, load_le32(msg + at));

	return entry && !receiver_of(entry)->is_key ? DROP_REASON_COUNT : DROP_UNKNOWN_INDEX;
}

/*
 * A cookie reply carries no mac; our own mac1 authenticates it, but that is for the
 * handshake thread. Whoever knows an index must not fill its queue.
 */
static enum drop_reason check_cookie(struct queue *q, const uint8_t *msg)
{
	size_t at = offsetof(struct message_cookie_reply, receiver_index);
	struct index_entry *entry = index_lookup(q->dp->peers.indices, load_le32(msg + at));
	struct session *session = entry ? rcu_read(&receiver_of(entry)->peer->session) : NULL;

	if (!session)
		return DROP_UNKNOWN_INDEX;
	return session_takes_cookie(session, receiver_of(entry)->is_key, q->burst->now) ?
		       DROP_REASON_COUNT : DROP_SOURCE_RATE;
}

/* Replies of a burst leave together: on its own each would cost as much again. */
static void flush_cookies(struct queue *q)
{
	if (q->burst->n_replies)
		udp_flush(rcu_read(&q->udp), &q->burst->tx);
	q->burst->n_replies = 0;
}

/* Under load: an answer that only who receives at that address can use (§5.4.7). */
static void send_cookie(struct queue *q, const struct identity *id, const struct udp_packet *p,
			const struct endpoint *from, const uint8_t *addr, size_t addr_len)
{
	struct burst *b = q->burst;
	struct message_cookie_reply *reply;

	if (!b->n_replies)
		udp_tx_reset(&b->tx, rcu_read(&q->udp));
	reply = &b->replies[b->n_replies++];
	cookie_make_reply(&id->checker, &b->epochs, p->data, p->len, addr, addr_len, b->now,
			  reply);
	(void)udp_tx_add(&b->tx, from, 0, reply, sizeof(*reply));
	if (b->n_replies == BURST_REPLIES)
		flush_cookies(q);
}

/* mac1, and under load a proven address with a rate of its own (§5.3). */
static enum drop_reason check_macs(struct queue *q, const struct identity *id,
				   const struct udp_packet *p, const struct endpoint *from)
{
	bool load = handshake_under_load(q->dp->handshake, q->burst->now);
	uint8_t addr[ENDPOINT_BYTES];
	size_t addr_len = endpoint_cookie_bytes(from, addr), source_len;
	const uint8_t *source;

	switch (cookie_check(&id->checker, &q->burst->epochs, p->data, p->len, addr, addr_len,
			     q->burst->now, load)) {
	case COOKIE_INVALID:
		return DROP_BAD_MAC1;
	case COOKIE_MAC1:
		if (!load)
			return DROP_REASON_COUNT;
		send_cookie(q, id, p, from, addr, addr_len);
		return DROP_UNDER_LOAD;
	case COOKIE_MAC2:
		source_len = endpoint_source_bytes(from, &source);
		if (!ratelimit_allow(&q->burst->sources, source, source_len, q->burst->now))
			return DROP_SOURCE_RATE;
		return DROP_REASON_COUNT;
	}
	return DROP_BAD_MAC1;
}

/*
 * Cheap checks on the worker, so that a flood dies before it costs a scalar
 * multiplication. DROP_REASON_COUNT: the message may go on.
 */
static enum drop_reason admit_handshake(struct queue *q, const struct udp_packet *p,
					const struct endpoint *from, uint32_t type)
{
	const struct identity *id = rcu_read(&q->dp->identity);
	enum drop_reason reason;

	if (!id)
		return DROP_NO_IDENTITY;
	if (type == MESSAGE_COOKIE_REPLY)
		return check_cookie(q, p->data);
	reason = check_macs(q, id, p, from);
	if (reason == DROP_REASON_COUNT && type == MESSAGE_RESPONSE)
		reason = check_response(q, p->data);
	return reason;
}

static void take_handshake(struct queue *q, const struct udp_packet *p, uint32_t type)
{
	struct handshake_message msg = { .dp = q->dp,
					 .from = q->burst->rx.from[p->message],
					 .len = p->len };

	enum drop_reason reason = admit_handshake(q, p, &msg.from, type);

	if (reason != DROP_REASON_COUNT) {
		datapath_drop(q->dp, NULL, reason, 1);
		return;
	}
	memcpy(msg.data, p->data, p->len);
	if (!handshake_push(q->dp->handshake, &msg))
		datapath_drop(q->dp, NULL, DROP_HANDSHAKE_QUEUE_FULL, 1);
}

/* The steps of a burst, in their order */

/* Has GRO put more of the same sender behind it? */
static bool is_followed(const struct udp_rx *rx, unsigned i)
{
	return i + 1 < rx->n_packets && rx->packets[i + 1].message == rx->packets[i].message;
}

/*
 * By type and length: handshakes leave here, data is listed. Returns how many. Behind data GRO
 * leaves a handshake message where it is shorter, and then ends; more of them on a data socket
 * are somebody's way around the other one.
 */
static unsigned classify(struct queue *q, unsigned n, bool of_data)
{
	struct burst *b = q->burst;
	unsigned n_data = 0;

	for (unsigned i = 0; i < n; i++) {
		struct udp_packet *p = &b->rx.packets[i];
		uint32_t type = p->len >= sizeof(le32) ? load_le32(p->data) : 0;

		if (type == MESSAGE_DATA && p->len >= MESSAGE_DATA_OVERHEAD) {
			b->packets[n_data++] = (struct packet){ .data = p->data,
								.len = p->len,
								.message = p->message,
								.ecn = p->ecn };
		} else if ((type == MESSAGE_INITIATION &&
			    p->len == sizeof(struct message_initiation)) ||
			   (type == MESSAGE_RESPONSE && p->len == sizeof(struct message_response)) ||
			   (type == MESSAGE_COOKIE_REPLY &&
			    p->len == sizeof(struct message_cookie_reply))) {
			if (of_data && is_followed(&b->rx, i))
				datapath_drop(q->dp, NULL, DROP_OVERLOAD, 1);
			else
				take_handshake(q, p, type);
		} else {
			datapath_drop(q->dp, NULL, DROP_MALFORMED, 1);
		}
	}
	flush_cookies(q);
	return n_data;
}

static struct session_key *find_key(struct datapath *dp, uint32_t index)
{
	struct index_entry *entry = index_lookup(dp->peers.indices, index);

	if (!entry || !receiver_of(entry)->is_key)
		return NULL;
	return container_of(receiver_of(entry), struct session_key, receiver);
}

/* Finds each packet's keys; neighbours mostly share them. Returns the number of ops. */
static unsigned lookup_keys(struct queue *q, unsigned n)
{
	struct burst *b = q->burst;
	struct session_key *key = NULL;
	uint32_t last = 0;
	bool looked = false;
	unsigned n_ops = 0;

	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &b->packets[i];
		uint32_t index = load_le32(p->data + offsetof(struct message_data, receiver_index));

		if (!looked || index != last) {
			key = find_key(q->dp, index);
			last = index;
			looked = true;
		}
		p->dead = true;
		if (!key) {
			datapath_drop(q->dp, NULL, DROP_UNKNOWN_INDEX, 1);
			continue;
		}
		p->key = key;
		p->peer = key->receiver.peer;
		if (!keypair_can_receive(&key->pair, b->now)) {
			datapath_drop(q->dp, p->peer, DROP_KEY_EXPIRED, 1);
			continue;
		}
		p->dead = false;
		b->op_packet[n_ops] = (uint16_t)i;
		b->ops[n_ops++] = (struct aead_op){
			.data = p->data + sizeof(struct message_data),
			.len = p->len - sizeof(struct message_data),
			.key = key->pair.recv_key,
			.nonce = load_le64(p->data + offsetof(struct message_data, counter))
		};
	}
	return n_ops;
}

static void open_burst(struct queue *q, unsigned n_ops)
{
	struct burst *b = q->burst;

	aead_open_burst(b->aead, b->ops, n_ops);
	for (unsigned i = 0; i < n_ops; i++) {
		struct packet *p = &b->packets[b->op_packet[i]];

		if (!b->ops[i].ok) {
			p->dead = true;
			datapath_drop(q->dp, p->peer, DROP_BAD_TAG, 1);
		}
	}
}

/* What one run of packets under one key has shown. */
struct run {
	unsigned accepted;
	uint64_t bytes;
	bool data;             /* more than keepalives */
	const struct packet *newest;
};

/* The replay window, under its lock once for the run (RFC 6479). */
static struct run check_replay(struct queue *q, struct packet *first, const struct packet *end)
{
	struct session_key *key = first->key;
	struct run run = { 0 };
	unsigned replayed = 0;

	pthread_mutex_lock(&key->pair.replay_lock);
	for (struct packet *p = first; p < end; p++) {
		uint64_t counter = load_le64(p->data + offsetof(struct message_data, counter));

		if (p->dead)
			continue;
		if (!replay_check(&key->pair.replay, counter)) {
			p->dead = true;
			replayed++;
			continue;
		}
		run.accepted++;
		run.bytes += p->len;
		run.data |= p->len > MESSAGE_DATA_OVERHEAD;
		run.newest = p;
	}
	pthread_mutex_unlock(&key->pair.replay_lock);
	datapath_drop(q->dp, first->peer, DROP_REPLAYED, replayed);
	return run;
}

/* The peer has proven that it holds its keys (§6.5, §6.2): what follows from it. */
static void note_received(struct queue *q, struct session *session, struct session_key *key,
			  const struct run *run)
{
	struct peer *peer = key->receiver.peer;
	struct datapath *dp = q->dp;
	uint64_t now = q->burst->now;

	roaming_heard(dp, peer, session, key, &q->burst->rx.from[run->newest->message], now);
	timers_received(&session->timers, now, run->data);
	if (peer_confirm_key(peer, session, key)) {
		timers_handshake_complete(&session->timers);
		counter_add(&dp->handshakes.completed, 1);
		dp->ops->wake_worker(dp, peer, PEER_WORK_FLUSH | PEER_WORK_LOOK);
	}
	/* A straggler under the previous key asks for nothing: there is a newer one. */
	if (keypair_wants_rekey_receive(&key->pair, now) &&
	    keypairs_current(&session->keys) == &key->pair &&
	    session_first_late(session, key->pair.local_index))
		handshake_want(dp->handshake, peer, PEER_HANDSHAKE_WANT);
	counter_add(&peer->traffic.rx_packets, run->accepted);
	counter_add(&peer->traffic.rx_bytes, run->bytes);
	learned_counted(peer);
}

static void accept_runs(struct queue *q, unsigned n)
{
	struct packet *p = q->burst->packets, *end = p + n;

	while (p < end) {
		struct packet *first = p;
		struct session *session;
		struct run run;
		bool held;

		while (p < end && p->key == first->key)
			p++;
		if (!first->key)
			continue;
		run = check_replay(q, first, p);
		if (!run.accepted)
			continue;
		session = rcu_read(&first->peer->session);
		if (likely(session))
			note_received(q, session, first->key, &run);
		held = peer_is_held(first->peer);
		if (likely(session && !held))
			continue;
		/* Revoked, held, or its keys wiped, since the look-up: not one packet more. */
		for (struct packet *d = first; d < p; d++)
			d->dead = true;
		datapath_drop(q->dp, first->peer, held ? DROP_QUARANTINED : DROP_KEY_EXPIRED,
			      run.accepted);
	}
}

/* Is the inner packet one that the peer may send (§6.3, §2)? */
static enum drop_reason check_claims(struct queue *q, struct peer *peer, const struct inner *in,
				     const uint8_t *data)
{
	if (datapath_owner(q->dp, in->family, in->src) != peer)
		return DROP_SOURCE_NOT_ALLOWED;
	return q->dp->gateway ? border_check(q->dp, peer, in, data) : DROP_REASON_COUNT;
}

/*
 * Tells a tenant that another one is not for it: through its tunnel, and not by the host,
 * who would have to let a packet pass that comes from a tenant's address. It is staged for
 * the peer's home worker, and counts for its rate and quota.
 */
static void answer_prohibited(struct queue *q, struct peer *peer, const struct inner *in,
			      const uint8_t *data)
{
	struct session *session = rcu_read(&peer->session);
	struct limit *limit = rcu_read(&peer->limit);
	uint8_t error[ICMP_ERROR_MAX];
	size_t len = icmp_prohibited(error, in, data, in->len);

	if (!len || !session || !datapath_may_answer(q->burst, in) ||
	    (limit && !limit_pass(limit, LIMIT_DOWN, q->burst->now, len)))
		return;
	datapath_drop(q->dp, peer, DROP_STAGING_FULL, peer_stage(peer, session, error, len));
	q->dp->ops->wake_worker(q->dp, peer, PEER_WORK_FLUSH);
}

/* The inner packet's own claims: its length, and that it may come from there. */
static enum drop_reason check_inner(struct queue *q, struct packet *p, struct span *out)
{
	uint8_t *data = p->data + sizeof(struct message_data);
	enum drop_reason reason;
	struct inner in;

	if (!inner_parse(&in, data, p->len - MESSAGE_DATA_OVERHEAD))
		return DROP_INNER_MALFORMED;
	reason = check_claims(q, p->peer, &in, data);
	if (unlikely(reason != DROP_REASON_COUNT)) {
		if (reason == DROP_ISOLATED)
			answer_prohibited(q, p->peer, &in, data);
		return reason;
	}
	/* What it wants to be sent, and what it will be let send. */
	if (unlikely(mss_may_be_syn(&in, data)))
		(void)mss_clamp(&in, data, datapath_mtu(q->dp, p->peer));
	if (unlikely(p->ecn == ECN_CE))
		inner_set_ce(&in, data);
	*out = (struct span){ .data = data, .len = in.len };
	return DROP_REASON_COUNT;
}

/* Writes the burst's first n spans to the device. */
static void write_out(struct queue *q, unsigned n)
{
	struct tun_write_result result = { 0 };
	struct burst *b = q->burst;

	if (!n)
		return;
	if (tun_write_burst(&q->tun, &b->gro, b->spans, n, &result))
		q->dp->ops->tun_gone(q->dp);
	datapath_drop(q->dp, NULL, DROP_TUN_WRITE, result.failed);
	if (result.tcp_off || result.udp_off)
		log_warning("%s: the kernel refuses merged %s packets (%s): switched off",
			    q->dp->name, result.tcp_off ? "TCP" : "UDP",
			    strerror(-result.refused));
}

/*
 * Takes out of the spans [first, end) what their peer's rate does not let pass now; it waits, or is
 * dropped. Returns the new end.
 */
static unsigned limit_spans(struct queue *q, struct peer *peer, struct limit *limit,
			    unsigned first, unsigned end)
{
	struct burst *b = q->burst;
	unsigned kept = first, dropped = 0;
	uint64_t bytes = 0;
	bool wake = false;

	for (unsigned i = first; i < end; i++)
		bytes += b->spans[i].len;
	if (limit_pass(limit, LIMIT_UP, b->now, bytes))
		return end;
	for (unsigned i = first; i < end; i++) {
		const struct span *s = &b->spans[i];
		enum limit_verdict verdict =
			limit_packet(limit, LIMIT_UP, b->now, s->data, s->len);

		if (verdict == LIMIT_PASS)
			b->spans[kept++] = *s;
		wake |= verdict == LIMIT_FIRST;
		dropped += verdict == LIMIT_DROP;
	}
	datapath_drop(q->dp, peer, limit_reason(limit, LIMIT_UP), dropped);
	if (wake)
		q->dp->ops->wake_worker(q->dp, peer, PEER_WORK_RELEASE);
	return kept;
}

/* The good packets of one peer are spans [first, end): those that may pass stay. */
static unsigned end_peer(struct queue *q, struct peer *peer, unsigned first, unsigned end)
{
	struct limit *limit = first < end ? rcu_read(&peer->limit) : NULL;

	return likely(!limit) ? end : limit_spans(q, peer, limit, first, end);
}

static void deliver(struct queue *q, unsigned n)
{
	struct burst *b = q->burst;
	struct peer *peer = NULL;
	unsigned first = 0, n_out = 0;

	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &b->packets[i];
		enum drop_reason reason;

		if (p->dead || p->len == MESSAGE_DATA_OVERHEAD)
			continue;
		if (p->peer != peer) {
			n_out = first = end_peer(q, peer, first, n_out);
			peer = p->peer;
		}
		reason = check_inner(q, p, &b->spans[n_out]);
		if (reason == DROP_REASON_COUNT)
			n_out++;
		else
			datapath_drop(q->dp, p->peer, reason, 1);
	}
	write_out(q, end_peer(q, peer, first, n_out));
}

/*
 * While packets waited, an address may have left its tenant, another one been isolated, or
 * its key been held.
 */
static enum drop_reason check_again(struct queue *q, struct peer *peer, const struct staged *s)
{
	struct inner in;

	if (peer_is_held(peer))
		return DROP_QUARANTINED;
	return inner_parse(&in, s->data, s->len) ? check_claims(q, peer, &in, s->data)
						 : DROP_INNER_MALFORMED;
}

uint64_t deliver_held(struct queue *q, struct peer *peer)
{
	struct limit *limit = rcu_read(&peer->limit);
	struct limit_taken taken;
	unsigned n = 0;

	limit_take(limit, LIMIT_UP, q->burst->now, &taken);
	for (struct staged *s = taken.list; s; s = s->next) {
		enum drop_reason reason = check_again(q, peer, s);

		if (reason != DROP_REASON_COUNT) {
			datapath_drop(q->dp, peer, reason, 1);
			continue;
		}
		q->burst->spans[n++] = (struct span){ .data = s->data, .len = s->len };
		if (n == BURST_PACKETS) {
			write_out(q, n);
			n = 0;
		}
	}
	write_out(q, n);
	staged_free(taken.list);
	datapath_drop(q->dp, peer, limit_reason(limit, LIMIT_UP), taken.dropped);
	return limit_settle(limit, LIMIT_UP);
}

/* Messages that wait: handshakes, those of nobody, and those of each peer, by themselves. */
enum { BUCKET_HANDSHAKES, BUCKET_STRANGERS, BUCKET_PEERS };

static struct peer *peer_of(struct queue *q, const uint8_t *msg, size_t len)
{
	struct session_key *key = NULL;

	if (len >= MESSAGE_DATA_OVERHEAD && load_le32(msg) == MESSAGE_DATA)
		key = find_key(q->dp, load_le32(msg + offsetof(struct message_data,
							       receiver_index)));
	return key ? key->receiver.peer : NULL;
}

static uint32_t bucket_of(void *owner, const uint8_t *msg, size_t len)
{
	const struct peer *peer = peer_of(owner, msg, len);

	if (!peer)
		return len >= MESSAGE_DATA_OVERHEAD && load_le32(msg) == MESSAGE_DATA ?
			       BUCKET_STRANGERS : BUCKET_HANDSHAKES;
	return BUCKET_PEERS + hash_pointer(peer) % (FAIRQ_BUCKETS - BUCKET_PEERS);
}

static void count_lost(void *owner, const uint8_t *msg, size_t len, unsigned n)
{
	struct queue *q = owner;

	datapath_drop(q->dp, peer_of(q, msg, len), DROP_OVERLOAD, n);
}

/* The n packets of burst->rx, of a data socket or of the other. */
static void take_burst(struct queue *q, unsigned n, bool of_data)
{
	unsigned n_data;

	datapath_drop(q->dp, NULL, DROP_OVERSIZED, q->burst->rx.n_oversized);
	n_data = classify(q, n, of_data);
	if (!n_data)
		return;
	open_burst(q, lookup_keys(q, n_data));
	accept_runs(q, n_data);
	deliver(q, n_data);
}

unsigned receive_burst(struct queue *q, int fd)
{
	static const struct udp_rx_judge judge = { .bucket = bucket_of, .lost = count_lost };
	const struct udp_sockets *udp = rcu_read(&q->udp);
	struct udp_rx *rx = &q->burst->rx;
	unsigned n = udp_recv_burst(fd, &q->behind[udp && fd == udp->fd6], rx, q, &judge);

	take_burst(rx->owner, n, true);
	return n;
}

unsigned receive_handshakes(struct queue *q, int fd, bool *more)
{
	struct udp_sockets *udp = rcu_read(&q->udp);
	uint32_t *overflow = fd == udp->handshake6 ? &udp->overflow6 : &udp->overflow4;
	struct udp_rx *rx = &q->burst->rx;
	unsigned n;

	rx->overflow = *overflow;
	n = udp_recv_some(fd, rx, q);
	datapath_drop(q->dp, NULL, DROP_OVERLOAD, rx->overflow - *overflow);
	*overflow = rx->overflow;
	*more = rx->more;
	take_burst(q, n, false);
	return n;
}
