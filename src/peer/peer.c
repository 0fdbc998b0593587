/* SPDX-License-Identifier: MIT */
/* Peers and their sessions: who exists, who may be reached, and how both end. */
#include "peer.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/encoding.h"
#include "events.h"
#include "learned.h"

int peer_group_init(struct peer_group *group, unsigned n_homes)
{
	int err;

	memset(group, 0, sizeof(*group));
	group->n_homes = n_homes;
	err = secret_pool_init(&group->sessions, sizeof(struct session));
	if (err)
		return err;
	err = secret_pool_init(&group->keys, sizeof(struct session_key));
	if (err)
		goto free_sessions;
	group->indices = index_table_new();
	if (!group->indices) {
		err = -ENOMEM;
		goto free_keys;
	}
	return 0;

free_keys:
	secret_pool_destroy(&group->keys);
free_sessions:
	secret_pool_destroy(&group->sessions);
	return err;
}

void peer_group_free(struct peer_group *group)
{
	index_table_free(group->indices);
	secret_pool_destroy(&group->keys);
	secret_pool_destroy(&group->sessions);
}

/* The tenant's, or for one that has no file the ends of its key, as wireguard-go logs it. */
static char *make_name(const char *name, const uint8_t public_key[NOISE_KEY_LEN])
{
	char key[KEY_BASE64_STRLEN], text[32];

	if (*name)
		return strdup(name);
	key_to_base64(public_key, key);
	snprintf(text, sizeof(text), "peer(%.4s…%.4s)", key, key + KEY_BASE64_STRLEN - 6);
	return strdup(text);
}

struct peer *peer_new(struct peer_group *group, struct datapath *dp,
		      const uint8_t public_key[NOISE_KEY_LEN], const char *name, unsigned home)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->name = make_name(name, public_key);
	if (!peer->name) {
		free(peer);
		return NULL;
	}
	pthread_mutex_init(&peer->lock, NULL);
	memcpy(peer->public_key, public_key, NOISE_KEY_LEN);
	peer->entry.key = peer->public_key;
	peer->group = group;
	peer->dp = dp;
	peer->home = (uint16_t)home;
	atomic_store_explicit(&peer->refs, 1, memory_order_relaxed);
	return peer;
}

static void peer_free(struct rcu_head *rcu)
{
	struct peer *peer = container_of(rcu, struct peer, rcu);

	rcu_grace_passed();
	pthread_mutex_destroy(&peer->lock);
	sodium_memzero(peer->preshared_key, sizeof(peer->preshared_key));
	free(atomic_load_explicit(&peer->drops, memory_order_relaxed));
	limit_free(atomic_load_explicit(&peer->limit, memory_order_relaxed));
	free(peer->events);
	free(peer->sharing);
	free(peer->allowed_ips);
	free(peer->name);
	free(peer);
}

bool peer_ref(struct peer *peer)
{
	unsigned refs = atomic_load_explicit(&peer->refs, memory_order_relaxed);

	do {
		if (!refs)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&peer->refs, &refs, refs + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void peer_unref(struct peer *peer)
{
	if (atomic_fetch_sub_explicit(&peer->refs, 1, memory_order_acq_rel) == 1)
		call_rcu(&peer->rcu, peer_free);
}

/* Sessions and keys */

static void key_free(struct rcu_head *rcu)
{
	struct receiver *receiver = container_of(rcu, struct receiver, rcu);
	struct session_key *key = container_of(receiver, struct session_key, receiver);

	rcu_grace_passed();
	keypair_clear(&key->pair);
	secret_pool_free(&receiver->group->keys, key);
}

/* Keys that left their slots: no index finds them now, and a grace period later they are wiped. */
static void retire(struct keypair *retired[KEYPAIRS_SLOTS], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct session_key *key = session_key_of(retired[i]);

		index_remove(key->receiver.group->indices, &key->receiver.entry);
		call_rcu(&key->receiver.rcu, key_free);
	}
}

static void receiver_init(struct receiver *receiver, struct peer *peer, bool is_key)
{
	receiver->peer = peer;
	receiver->group = peer->group;
	receiver->is_key = is_key;
}

static void receiver_free(struct rcu_head *rcu)
{
	rcu_grace_passed();
	free(container_of(rcu, struct receiver, rcu));
}

static void drop_handshake_index(struct session *session)
{
	struct receiver *receiver = session->handshake;

	if (!receiver)
		return;
	session->handshake = NULL;
	index_remove(receiver->group->indices, &receiver->entry);
	call_rcu(&receiver->rcu, receiver_free);
}

/* Empties the queue; the packets are the caller's. Under the lock. */
static struct staged *unstage(struct session *session, unsigned *n)
{
	struct staged *staged = session->staged;

	*n = atomic_load_explicit(&session->n_staged, memory_order_relaxed);
	atomic_fetch_sub_explicit(&session->group->staged_bytes, session->staged_bytes,
				  memory_order_relaxed);
	session->staged = NULL;
	session->staged_tail = NULL;
	session->staged_bytes = 0;
	atomic_store_explicit(&session->n_staged, 0, memory_order_release);
	return staged;
}

/*
 * Packets of so many bytes that were staged will not be sent. They were asked for when they
 * came (limit.h), and count for the quota no more: else who sends to a tenant that is not there
 * would use it up for him.
 */
static void give_back(const struct peer *peer, size_t bytes)
{
	struct limit *limit = rcu_read(&peer->limit);

	if (limit && bytes)
		meter_give_back(&limit->meter, bytes);
}

static void session_free(struct rcu_head *rcu)
{
	struct session *session = container_of(rcu, struct session, rcu);
	unsigned n;

	rcu_grace_passed();
	staged_free(unstage(session, &n));
	free(session_take_outgoing(session));
	secret_pool_free(&session->group->sessions, session);
}

bool session_give_outgoing(struct session *session, const void *msg, size_t len)
{
	struct outgoing *out = malloc(sizeof(*out));

	if (!out)
		return false;
	out->len = len;
	memcpy(out->data, msg, len);
	free(atomic_exchange_explicit(&session->outgoing, out, memory_order_acq_rel));
	return true;
}

/*
 * Makes the session unreachable and what hangs on it too. Returns how many staged
 * packets end with it. Under the lock.
 */
static unsigned drop_session(struct peer *peer)
{
	struct session *session = atomic_load_explicit(&peer->session, memory_order_relaxed);
	struct keypair *retired[KEYPAIRS_SLOTS];

	if (!session)
		return 0;
	rcu_publish(&peer->session, NULL);
	drop_handshake_index(session);
	retire(retired, keypairs_clear(&session->keys, retired));
	give_back(peer, session->staged_bytes);
	call_rcu(&session->rcu, session_free);
	return atomic_load_explicit(&session->n_staged, memory_order_relaxed);
}

struct session *peer_session(struct peer *peer, uint64_t now)
{
	struct session *session = rcu_read(&peer->session);

	if (session)
		return session;
	pthread_mutex_lock(&peer->lock);
	session = atomic_load_explicit(&peer->session, memory_order_relaxed);
	if (session || atomic_load_explicit(&peer->dead, memory_order_relaxed) ||
	    peer_is_held(peer))
		goto out;
	session = secret_pool_alloc(&peer->group->sessions);
	if (!session)
		goto out;
	timers_init(&session->timers, now);
	keypairs_init(&session->keys);
	session->group = peer->group;
	rcu_publish(&peer->session, session);
out:
	pthread_mutex_unlock(&peer->lock);
	return session;
}

bool peer_lacks_session(struct peer *peer)
{
	return !rcu_read(&peer->session) && !peer_is_held(peer) &&
	       !atomic_load_explicit(&peer->dead, memory_order_relaxed);
}

unsigned peer_drop_session(struct peer *peer)
{
	unsigned n_staged;

	pthread_mutex_lock(&peer->lock);
	n_staged = drop_session(peer);
	pthread_mutex_unlock(&peer->lock);
	return n_staged;
}

bool peer_wipe_session(struct peer *peer, uint64_t now)
{
	struct keypair *retired[KEYPAIRS_SLOTS];
	struct session *session;
	bool dropped = false, ended = false;

	pthread_mutex_lock(&peer->lock);
	session = atomic_load_explicit(&peer->session, memory_order_relaxed);
	if (session && timers_keys_ended(&session->timers, now)) {
		ended = !keypairs_are_empty(&session->keys);
		dropped = !session_is_staging(session) && !timers_awaits_answer(&session->timers);
		if (dropped)
			(void)drop_session(peer);
		else
			retire(retired, keypairs_clear(&session->keys, retired));
	}
	pthread_mutex_unlock(&peer->lock);
	if (ended)
		peer_note(peer, EVENT_SESSION_ENDED, 0);
	return dropped;
}

int peer_make_limit(struct peer *peer, const struct limits *limits)
{
	struct limit *limit = atomic_load_explicit(&peer->limit, memory_order_relaxed);

	if (limit || limits_equal(limits, NULL))
		return 0;
	limit = limit_new(&peer->group->held_bytes);
	if (!limit)
		return -ENOMEM;
	rcu_publish(&peer->limit, limit);
	return 0;
}

bool peer_set_limits(struct peer *peer, const struct limits *limits)
{
	struct limit *limit = atomic_load_explicit(&peer->limit, memory_order_relaxed);

	return limit && limit_set(limit, limits);
}

unsigned peer_kill(struct peer *peer)
{
	struct limit *limit = atomic_load_explicit(&peer->limit, memory_order_relaxed);
	unsigned n_staged;

	pthread_mutex_lock(&peer->lock);
	atomic_store_explicit(&peer->dead, true, memory_order_relaxed);
	n_staged = drop_session(peer);
	sodium_memzero(&peer->endpoint, sizeof(peer->endpoint));
	atomic_store_explicit(&peer->has_endpoint, false, memory_order_relaxed);
	sodium_memzero(peer->preshared_key, sizeof(peer->preshared_key));
	pthread_mutex_unlock(&peer->lock);
	learned_tell(peer);
	return n_staged + (limit ? limit_close(limit) : 0);
}

unsigned peer_hold(struct peer *peer)
{
	unsigned n_staged;

	pthread_mutex_lock(&peer->lock);
	atomic_store_explicit(&peer->held, true, memory_order_relaxed);
	n_staged = drop_session(peer);
	atomic_store_explicit(&peer->has_endpoint, false, memory_order_relaxed);
	pthread_mutex_unlock(&peer->lock);
	return n_staged;
}

bool peer_release(struct peer *peer)
{
	bool held;

	pthread_mutex_lock(&peer->lock);
	held = atomic_exchange_explicit(&peer->held, false, memory_order_relaxed);
	if (held)
		atomic_store_explicit(&peer->has_endpoint, endpoint_is_set(&peer->endpoint),
				      memory_order_relaxed);
	pthread_mutex_unlock(&peer->lock);
	return held;
}

void peer_drop_idle_session(struct peer *peer)
{
	struct session *session;

	pthread_mutex_lock(&peer->lock);
	session = atomic_load_explicit(&peer->session, memory_order_relaxed);
	if (session && keypairs_are_empty(&session->keys) && !session_is_staging(session) &&
	    !timers_awaits_answer(&session->timers))
		(void)drop_session(peer);
	pthread_mutex_unlock(&peer->lock);
}

/* Both sides have the keys. */
static void note_handshake(struct peer *peer)
{
	struct endpoint where = { 0 };

	(void)!peer_get_endpoint(peer, &where);
	peer_note_where(peer, EVENT_HANDSHAKE, &where);
	learned_tell(peer); /* it is there, if it was not before */
}

static bool is_current(struct peer *peer, const struct session *session)
{
	return atomic_load_explicit(&peer->session, memory_order_relaxed) == session;
}

int peer_list_handshake(struct peer *peer, struct session *session, uint32_t *index)
{
	struct receiver *receiver = calloc(1, sizeof(*receiver));

	if (!receiver)
		return -ENOMEM;
	receiver_init(receiver, peer, false);
	pthread_mutex_lock(&peer->lock);
	if (!is_current(peer, session)) {
		pthread_mutex_unlock(&peer->lock);
		free(receiver);
		return -ESHUTDOWN;
	}
	drop_handshake_index(session);
	index_insert(peer->group->indices, &receiver->entry, peer->home, peer->group->n_homes);
	session->handshake = receiver;
	*index = receiver->entry.index;
	pthread_mutex_unlock(&peer->lock);
	return 0;
}

int peer_add_keys(struct peer *peer, struct session *session, const struct noise_session *keys,
		  uint64_t now)
{
	struct session_key *key = secret_pool_alloc(&peer->group->keys);
	struct receiver *handshake;
	struct keypair *retired[KEYPAIRS_SLOTS];
	int err;

	if (!key)
		return -ENOMEM;
	keypair_init(&key->pair, keys, now);
	receiver_init(&key->receiver, peer, true);

	pthread_mutex_lock(&peer->lock);
	handshake = session->handshake;
	if (!is_current(peer, session) || !handshake) {
		err = -ESHUTDOWN;
	} else {
		/* One step: the index stands for the handshake, then for its keys. */
		err = index_replace(peer->group->indices, &handshake->entry,
				    &key->receiver.entry);
	}
	if (err) {
		pthread_mutex_unlock(&peer->lock);
		keypair_clear(&key->pair);
		secret_pool_free(&peer->group->keys, key);
		return err;
	}
	session->handshake = NULL;
	call_rcu(&handshake->rcu, receiver_free);
	retire(retired, keypairs_add(&session->keys, &key->pair, retired));
	if (keys->initiator)
		clock_realtime(&peer->last_handshake);
	pthread_mutex_unlock(&peer->lock);
	if (keys->initiator)
		note_handshake(peer);
	return 0;
}

bool peer_confirm_key(struct peer *peer, struct session *session, struct session_key *key)
{
	struct keypair *retired[KEYPAIRS_SLOTS];
	int n;

	if (likely(!keypairs_is_next(&session->keys, &key->pair)))
		return false;
	pthread_mutex_lock(&peer->lock);
	/* Another worker may have been faster, or the session gone with its keys. */
	n = keypairs_confirm(&session->keys, &key->pair, retired);
	if (n >= 0) {
		retire(retired, (unsigned)n);
		clock_realtime(&peer->last_handshake);
	}
	pthread_mutex_unlock(&peer->lock);
	if (n >= 0)
		note_handshake(peer);
	return n >= 0;
}

bool peer_is_connected(struct peer *peer, uint64_t now)
{
	struct session *session = rcu_read(&peer->session);
	const struct keypair *key = session ? keypairs_current(&session->keys) : NULL;

	return key && now < key->birth + REJECT_AFTER_TIME + REKEY_ATTEMPT_TIME;
}

/* Endpoints */

int peer_get_endpoint(struct peer *peer, struct endpoint *out)
{
	if (!atomic_load_explicit(&peer->has_endpoint, memory_order_relaxed))
		return -EDESTADDRREQ;
	pthread_mutex_lock(&peer->lock);
	*out = peer->endpoint;
	pthread_mutex_unlock(&peer->lock);
	return endpoint_is_set(out) ? 0 : -EDESTADDRREQ;
}

bool peer_move(struct peer *peer, const struct endpoint *from, struct endpoint *before)
{
	bool news = false, moved = false;

	pthread_mutex_lock(&peer->lock);
	if (!endpoint_equal(&peer->endpoint, from) &&
	    !atomic_load_explicit(&peer->dead, memory_order_relaxed)) {
		news = !endpoint_same_remote(&peer->endpoint, from);
		moved = news && endpoint_is_set(&peer->endpoint);
		*before = peer->endpoint;
		peer->endpoint = *from;
		atomic_store_explicit(&peer->has_endpoint, !peer_is_held(peer),
				      memory_order_relaxed);
	}
	pthread_mutex_unlock(&peer->lock);
	if (moved) {
		atomic_fetch_add_explicit(&peer->endpoint_changes, 1, memory_order_relaxed);
		peer_note_way(peer, EVENT_ROAMED, before, from);
	}
	if (news)
		learned_tell(peer);
	return moved;
}

bool peer_set_endpoint(struct peer *peer, const struct endpoint *from)
{
	struct endpoint before;

	return peer_move(peer, from, &before);
}

void peer_clear_endpoint_src(struct peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	endpoint_clear_src(&peer->endpoint);
	pthread_mutex_unlock(&peer->lock);
}

/* Staging */

/* Returns how long it was. */
static size_t pop_staged(struct session *session)
{
	struct staged *oldest = session->staged;
	size_t len = oldest->len;

	session->staged = oldest->next;
	if (!session->staged)
		session->staged_tail = NULL;
	session->staged_bytes -= oldest->len;
	atomic_fetch_sub_explicit(&session->group->staged_bytes, oldest->len,
				  memory_order_relaxed);
	atomic_fetch_sub_explicit(&session->n_staged, 1, memory_order_relaxed);
	free(oldest);
	return len;
}

/* What one peer may have, when all of the device have so much. */
static size_t staging_share(size_t total)
{
	if (total < STAGED_TOTAL_BYTES_MAX / 2)
		return STAGED_PEER_BYTES_MAX;
	return total < STAGED_TOTAL_BYTES_MAX / 4 * 3 ? STAGED_PEER_BYTES_SOME
						      : STAGED_PEER_BYTES_FEW;
}

static bool staging_is_full(const struct session *session, size_t len, size_t total)
{
	return atomic_load_explicit(&session->n_staged, memory_order_relaxed) >=
		       STAGED_PACKETS_MAX ||
	       session->staged_bytes + len > staging_share(total);
}

unsigned peer_stage(struct peer *peer, struct session *session, const uint8_t *data, size_t len)
{
	size_t total = atomic_load_explicit(&peer->group->staged_bytes, memory_order_relaxed);
	struct staged *s = total + len > STAGED_TOTAL_BYTES_MAX ? NULL : staged_new(data, len);
	unsigned dropped = 0;
	size_t lost = 0;

	pthread_mutex_lock(&peer->lock);
	if (!s || !is_current(peer, session)) {
		free(s);
		dropped = 1;
		lost = len;
		goto out;
	}
	while (session->staged && staging_is_full(session, len, total)) {
		lost += pop_staged(session);
		dropped++;
	}
	if (session->staged_tail)
		*session->staged_tail = s;
	else
		session->staged = s;
	session->staged_tail = &s->next;
	session->staged_bytes += len;
	atomic_fetch_add_explicit(&session->group->staged_bytes, len, memory_order_relaxed);
	atomic_fetch_add_explicit(&session->n_staged, 1, memory_order_relaxed);
out:
	give_back(peer, lost);
	pthread_mutex_unlock(&peer->lock);
	return dropped;
}

struct staged *peer_take_staged(struct peer *peer, struct session *session, bool continuing)
{
	struct staged *staged = NULL;
	unsigned n;

	pthread_mutex_lock(&peer->lock);
	/* What a dropped session has staged was counted as lost. */
	if (is_current(peer, session) &&
	    (continuing || !atomic_load_explicit(&session->flushing, memory_order_relaxed))) {
		atomic_store_explicit(&session->flushing, session->staged != NULL,
				      memory_order_relaxed);
		staged = unstage(session, &n);
	}
	pthread_mutex_unlock(&peer->lock);
	return staged;
}

void peer_stop_flushing(struct peer *peer, struct session *session)
{
	pthread_mutex_lock(&peer->lock);
	atomic_store_explicit(&session->flushing, false, memory_order_relaxed);
	pthread_mutex_unlock(&peer->lock);
}

unsigned peer_drop_staged(struct peer *peer, struct session *session)
{
	struct staged *staged = NULL;
	unsigned n = 0;

	pthread_mutex_lock(&peer->lock);
	if (is_current(peer, session)) {
		give_back(peer, session->staged_bytes);
		staged = unstage(session, &n);
	}
	pthread_mutex_unlock(&peer->lock);
	staged_free(staged);
	return n;
}

/* Under a flood this writes once a second, and notes nothing. */
static void note_drop(struct peer *peer, struct drop_counters *drops, enum drop_reason reason)
{
	uint32_t now = (uint32_t)(clock_now() / NSEC_PER_SEC) + 1;
	uint32_t last = atomic_load_explicit(&drops->last[reason], memory_order_relaxed);

	if (last == now)
		return;
	/* Of several threads at once one is the first. */
	if (atomic_exchange_explicit(&drops->last[reason], now, memory_order_relaxed) == last &&
	    (!last || now - last >= EVENTS_DROP_QUIET_S))
		peer_note(peer, EVENT_DROPPED, reason);
}

void peer_count_drop(struct peer *peer, enum drop_reason reason, uint64_t n)
{
	struct drop_counters *drops = rcu_read(&peer->drops);

	if (!drops) {
		struct drop_counters *fresh = calloc(1, sizeof(*fresh));

		if (!fresh)
			return;
		if (atomic_compare_exchange_strong_explicit(&peer->drops, &drops, fresh,
							    memory_order_acq_rel,
							    memory_order_acquire))
			drops = fresh;
		else
			free(fresh);
	}
	counter_add(&drops->n[reason], n);
	note_drop(peer, drops, reason);
}
