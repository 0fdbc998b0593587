/* SPDX-License-Identifier: MIT */
/* The handshake thread: initiations, responses, cookies. handshake.h says how work comes. */
#include "handshake.h"

#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>
#include <urcu/arch.h>
#include <uv.h>

#include "../../crypto/tai64n.h"
#include "../base/clock.h"
#include "../base/confine.h"
#include "../base/log.h"
#include "../base/ring.h"
#include "../peer/learned.h"
#include "roaming.h"

enum {
	/* A quarter of a second to a half of work, where an initiator waits 5 s before it tries again */
	QUEUE_CELLS = 2048,
	QUEUE_LOAD = QUEUE_CELLS / 8, /* as the kernel: cookies from here on */
	TURN_MESSAGES = 16,           /* in turn with our own peers' wishes, */
	TURN_WISHES = 16,             /* lest a hundred thousand of these hold up all answers */
	/* To wake a worker costs a twentieth of a handshake: once for so many, if there are more. */
	WAKE_EVERY = 4
};

/* Load is remembered this long, lest every second message pass for nothing (as the kernel). */
#define LOAD_MEMORY NSEC_PER_SEC

/* A worker that has been posted work and not woken yet. */
struct late {
	struct datapath *dp;
	unsigned home;
};

struct handshake_thread {
	uv_thread_t thread;
	uv_loop_t loop;
	uv_async_t wake;
	struct ring messages;
	struct inbox wishes;
	struct inbox_item *taken; /* this thread: wishes not granted yet, the oldest first */
	struct late late[WAKE_EVERY]; /* this thread, within consume_messages() */
	unsigned n_late;
	/* This thread: clock of timestamps less time since boot, ns; see initiation_time(). */
	int64_t offset_tried, offset_proven;
	_Atomic uint64_t loaded_until;
	_Atomic bool stop;
	_Atomic bool drain;
	_Atomic unsigned asked, answered; /* control, this thread: handshake_answers() */
	uv_sem_t drained;
};

/* As in worker.c: the barrier lets whoever waits see what was queued, or us that he waits. */
static void wake(struct handshake_thread *ht)
{
	cmm_smp_mb();
	uv_async_send(&ht->wake);
}

static void wake_late(struct handshake_thread *ht)
{
	for (unsigned i = 0; i < ht->n_late; i++)
		ht->late[i].dp->ops->wake_home(ht->late[i].dp, ht->late[i].home);
	ht->n_late = 0;
}

/* The worker has work, of messages that were consumed. */
static void post_work(struct datapath *dp, struct peer *peer, unsigned work)
{
	struct handshake_thread *ht = dp->handshake;

	if (dp->ops->post_work(dp, peer, work))
		ht->late[ht->n_late++] = (struct late){ .dp = dp, .home = peer->home };
	if (ht->n_late == WAKE_EVERY)
		wake_late(ht);
}

/* What noise asks of us while it reads an initiation. */
struct lookup {
	struct datapath *dp;
	struct identity *id;
	struct peer *peer;       /* found */
	struct session *session; /* its own */
	int64_t refused;         /* s since 1970: the timestamp of a replayed one */
	bool held;               /* found, and not to be answered */
	uint64_t now;
};

/* Makes the Noise side of a session usable: 65 µs the first time, then nothing. */
static struct noise_remote *prepare_remote(struct peer *peer, struct session *session,
					   const struct identity *id)
{
	struct noise_remote *remote = &session->remote;
	uint8_t psk[NOISE_KEY_LEN];

	if (!session->remote_ready) {
		/* An unusable key makes every handshake fail, and says so there. */
		enum noise_result r =
			noise_remote_init(remote, &id->local, peer->public_key, NULL);

		(void)r;
		learned_get_timestamp(peer, remote->last_timestamp);
		cookie_maker_init(&session->cookie, peer->public_key);
		session->remote_ready = true;
	}
	/* A changed preshared key acts at the next handshake: this one. */
	pthread_mutex_lock(&peer->lock);
	memcpy(psk, peer->preshared_key, sizeof(psk));
	pthread_mutex_unlock(&peer->lock);
	noise_remote_set_psk(remote, psk);
	sodium_memzero(psk, sizeof(psk));
	return remote;
}

static struct noise_remote *find_remote(void *arg, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct lookup *l = arg;
	struct peertable_entry *entry = peertable_lookup(l->dp->table, public_key);

	if (!entry)
		return NULL;
	l->peer = container_of(entry, struct peer, entry);
	if (peer_is_held(l->peer)) {
		datapath_drop(l->dp, l->peer, DROP_QUARANTINED, 1);
		l->held = true;
		l->peer = NULL;
		return NULL;
	}
	l->session = peer_session(l->peer, l->now);
	if (!l->session) {
		l->peer = NULL;
		return NULL;
	}
	return prepare_remote(l->peer, l->session, l->id);
}

static void note_replayed(void *arg, const uint8_t timestamp[NOISE_TIMESTAMP_LEN])
{
	struct lookup *l = arg;

	l->refused = tai64n_seconds(timestamp);
}

/* Sending */

/*
 * The way through the network stack costs a sixth of a handshake, and workers have time
 * when handshakes are what there is to do: they send. Returns the work.
 */
static unsigned send_message(struct datapath *dp, struct peer *peer, struct session *session,
			     const void *msg, size_t len)
{
	if (session_give_outgoing(session, msg, len))
		return PEER_WORK_SEND;
	datapath_drop(dp, peer, DROP_SEND_FAILED, 1);
	return 0;
}

/* No initiation can be sent: whatever waits for its answer waits in vain. */
static void stop_waiting(struct datapath *dp, struct peer *peer, struct session *session)
{
	datapath_drop(dp, peer, DROP_HANDSHAKE_TIMEOUT, peer_drop_staged(peer, session));
	/* The session may be new: the worker is to see to its end. */
	dp->ops->wake_worker(dp, peer, PEER_WORK_LOOK);
}

/*
 * We have answered just now, and packets wait for the proof that the answer
 * arrived. Should it not come, we begin.
 */
static void wait_for_peer(struct datapath *dp, struct peer *peer, struct session *session,
			  uint64_t now)
{
	const struct keypair *pair = keypairs_current(&session->keys);

	if (!session_is_staging(session) || (pair && keypair_can_send(pair, now)))
		return;
	if (timers_initiate_later(&session->timers))
		dp->ops->wake_worker(dp, peer, PEER_WORK_LOOK);
}

/*
 * The clock may be set back. Whoever has seen a later timestamp of ours then refuses all of
 * them until that time comes again (§5.1). So once an initiation was answered, later
 * ones are stamped as if the clock had gone on from there, unless it is ahead of that. One
 * that was not answered binds nobody: perhaps it is the clock that was wrong then.
 */
static void initiation_time(struct handshake_thread *ht, uint64_t now, struct timespec *utc)
{
	int64_t ns;

	clock_realtime(utc);
	ns = (int64_t)utc->tv_sec * (int64_t)NSEC_PER_SEC + utc->tv_nsec;
	ns = max(ns, (int64_t)now + ht->offset_proven);
	ht->offset_tried = ns - (int64_t)now;
	utc->tv_sec = (time_t)(ns / (int64_t)NSEC_PER_SEC);
	utc->tv_nsec = (long)(ns % (int64_t)NSEC_PER_SEC);
}

/* Returns what the worker has to do. */
static unsigned send_initiation(struct datapath *dp, struct peer *peer, struct session *session,
				struct identity *id, uint64_t now)
{
	struct noise_remote *remote = prepare_remote(peer, session, id);
	struct noise_upcalls up = { .random = noise_random_sodium };
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	struct message_initiation msg;
	struct timespec utc;
	uint32_t index;

	if (peer_list_handshake(peer, session, &index))
		return 0;
	initiation_time(dp->handshake, now, &utc);
	tai64n_encode(timestamp, &utc);
	if (noise_create_initiation(remote, &id->local, &up, index, timestamp, &msg) != NOISE_OK) {
		datapath_drop(dp, peer, DROP_BAD_HANDSHAKE, 1);
		return 0;
	}
	cookie_add_macs(&session->cookie, &msg, sizeof(msg), now);
	counter_add(&dp->handshakes.initiated, 1);
	return send_message(dp, peer, session, &msg, sizeof(msg));
}

/* how: flags of enum peer_handshake. */
static void initiate(struct datapath *dp, struct peer *peer, unsigned how)
{
	/* Any wish but that for another attempt begins anew. */
	bool retry = (how & (PEER_HANDSHAKE_WANT | PEER_HANDSHAKE_RETRY)) == PEER_HANDSHAKE_RETRY;
	struct identity *id = rcu_read(&dp->identity);
	uint64_t now = clock_now();
	struct session *session = peer_session(peer, now);
	unsigned work = PEER_WORK_LOOK;

	if (!session)
		return;
	if (!id || !atomic_load_explicit(&peer->has_endpoint, memory_order_relaxed)) {
		stop_waiting(dp, peer, session);
		return;
	}
	if (how & PEER_HANDSHAKE_ANEW)
		timers_start_over(&session->timers);
	if (!timers_may_initiate(&session->timers, now, retry)) {
		wait_for_peer(dp, peer, session, now);
		return;
	}
	/* What memory, or the network, is missing for now may be there at the retry. */
	work |= send_initiation(dp, peer, session, id, now);
	timers_initiation_sent(&session->timers, now, randombytes_random());
	if (how == PEER_HANDSHAKE_CALL)
		timers_try_once(&session->timers);
	dp->ops->wake_worker(dp, peer, work);
}

/* Receiving */

static void drop_result(struct datapath *dp, struct peer *peer, enum noise_result result)
{
	switch (result) {
	case NOISE_OK:
		return;
	case NOISE_NO_IDENTITY:
		datapath_drop(dp, peer, DROP_NO_IDENTITY, 1);
		return;
	case NOISE_NO_REMOTE:
		datapath_drop(dp, NULL, DROP_UNKNOWN_PEER, 1);
		return;
	case NOISE_LOW_ORDER:
	case NOISE_BAD_ENCRYPTION:
		datapath_drop(dp, peer, DROP_BAD_HANDSHAKE, 1);
		return;
	case NOISE_REPLAY:
		datapath_drop(dp, peer, DROP_REPLAYED_INITIATION, 1);
		return;
	case NOISE_FLOOD:
		datapath_drop(dp, peer, DROP_INITIATION_FLOOD, 1);
		return;
	case NOISE_WRONG_STATE:
		datapath_drop(dp, peer, DROP_UNEXPECTED_RESPONSE, 1);
		return;
	}
}

/* An authenticated handshake message: counted, and the peer is where it came from. */
static void note_received(struct peer *peer, struct session *session,
			  const struct handshake_message *m, uint64_t now)
{
	roaming_heard(m->dp, peer, session, NULL, &m->from, now);
	timers_received(&session->timers, now, false);
	counter_add(&peer->traffic.rx_packets, 1);
	counter_add(&peer->traffic.rx_bytes, m->len);
	learned_counted(peer);
}

/* Derives the keys of the handshake that is complete on our side, and publishes them. */
static int begin_session(struct peer *peer, struct session *session, uint64_t now)
{
	struct noise_session keys;
	int err = -EPROTO;

	if (noise_begin_session(&session->remote, &keys) == NOISE_OK)
		err = peer_add_keys(peer, session, &keys, now);
	sodium_memzero(&keys, sizeof(keys));
	if (!err)
		timers_keys_made(&session->timers, now);
	return err;
}

/* Returns what the worker has to do. */
static unsigned respond(struct datapath *dp, struct peer *peer, struct session *session,
			uint64_t now)
{
	struct noise_upcalls up = { .random = noise_random_sodium };
	struct message_response msg;
	enum noise_result result;
	uint32_t index;

	if (peer_list_handshake(peer, session, &index))
		return 0;
	result = noise_create_response(&session->remote, &up, index, &msg);
	drop_result(dp, peer, result);
	if (result != NOISE_OK || begin_session(peer, session, now))
		return 0;
	cookie_add_macs(&session->cookie, &msg, sizeof(msg), now);
	timers_response_sent(&session->timers, now);
	counter_add(&dp->handshakes.answered, 1);
	return send_message(dp, peer, session, &msg, sizeof(msg));
}

/* Old initiations of the network itself are no older than this. */
enum { REPLAY_OVERTAKEN_S = 10, REPLAY_SILENCE_S = 3600 };

static const char *format_utc(int64_t seconds, char buf[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buf, 32, "%Y-%m-%d %H:%M:%S UTC", &tm))
		return "?";
	return buf;
}

/* A clock that was set back looks like an attack (§5.1), and lasts until somebody mends it. */
static void explain_replay(struct datapath *dp, struct peer *peer,
			   const struct noise_remote *remote, int64_t refused, uint64_t now)
{
	int64_t last = tai64n_seconds(remote->last_timestamp);
	uint32_t s = (uint32_t)(now / NSEC_PER_SEC);
	char was[32], is[32];

	if (last - refused < REPLAY_OVERTAKEN_S ||
	    (peer->replay_said && s - peer->replay_said < REPLAY_SILENCE_S))
		return;
	peer->replay_said = max(s, UINT32_C(1));
	log_event(LOG_LEVEL_WARNING, peer->name, "replayed",
		  drop_name(DROP_REPLAYED_INITIATION),
		  "%s: %s: its handshake is refused as a replayed one: it is stamped %s, and it has "
		  "sent one that is stamped %s. If the clock of its machine was set back, set "
		  "it right there (NTP) or give it a new key; if not, somebody plays back old "
		  "packets", dp->name, peer->name, format_utc(refused, is), format_utc(last, was));
}

static void consume_initiation(const struct handshake_message *m, struct identity *id,
			       uint64_t now)
{
	struct lookup l = { .dp = m->dp, .id = id, .now = now };
	struct noise_upcalls up = { .arg = &l, .find_remote = find_remote,
				    .random = noise_random_sodium,
				    .replayed = note_replayed };
	struct message_initiation msg;
	struct noise_remote *remote;
	enum noise_result result;
	unsigned work = PEER_WORK_LOOK;

	memcpy(&msg, m->data, sizeof(msg));
	result = noise_consume_initiation(&id->local, &up, now, &msg, &remote);
	if (!l.held)
		drop_result(m->dp, l.peer, result);
	if (result == NOISE_REPLAY)
		explain_replay(m->dp, l.peer, remote, l.refused, now);
	if (result == NOISE_OK && !learned_timestamp(l.peer, remote->last_timestamp)) {
		note_received(l.peer, l.session, m, now);
		work |= respond(m->dp, l.peer, l.session, now);
		log_event(LOG_LEVEL_DEBUG, l.peer->name, "handshake", NULL,
			  "%s: %s: handshake initiation answered", m->dp->name, l.peer->name);
	}
	/* Also for the session that a replayed message may have made: it ends by its timer. */
	if (l.peer)
		post_work(m->dp, l.peer, work);
}

static void consume_response(const struct handshake_message *m, struct identity *id, uint64_t now)
{
	struct index_entry *entry;
	struct message_response msg;
	struct session *session;
	enum noise_result result;
	struct peer *peer;

	memcpy(&msg, m->data, sizeof(msg));
	entry = index_lookup(m->dp->peers.indices, le32toh(msg.receiver_index));
	if (!entry || receiver_of(entry)->is_key) {
		datapath_drop(m->dp, NULL, DROP_UNKNOWN_INDEX, 1);
		return;
	}
	peer = receiver_of(entry)->peer;
	session = rcu_read(&peer->session);
	if (!session) {
		datapath_drop(m->dp, peer, DROP_UNEXPECTED_RESPONSE, 1);
		return;
	}
	result = noise_consume_response(prepare_remote(peer, session, id), &id->local, &msg);
	drop_result(m->dp, peer, result);
	if (result != NOISE_OK)
		return;
	m->dp->handshake->offset_proven =
		max(m->dp->handshake->offset_proven, m->dp->handshake->offset_tried);
	note_received(peer, session, m, now);
	if (begin_session(peer, session, now))
		return;
	timers_handshake_complete(&session->timers);
	counter_add(&m->dp->handshakes.completed, 1);
	log_event(LOG_LEVEL_DEBUG, peer->name, "handshake", NULL, "%s: %s: handshake complete",
		  m->dp->name, peer->name);
	/* The responder may not send before it has seen the first packet (§5.4.5). */
	post_work(m->dp, peer, PEER_WORK_FLUSH | PEER_WORK_KEEPALIVE | PEER_WORK_LOOK);
}

/* Neither roams nor counts as heard from: it proves too little (§6.6). */
static void consume_cookie(const struct handshake_message *m, uint64_t now)
{
	struct index_entry *entry;
	struct message_cookie_reply msg;
	struct session *session;
	struct peer *peer;

	memcpy(&msg, m->data, sizeof(msg));
	entry = index_lookup(m->dp->peers.indices, le32toh(msg.receiver_index));
	if (!entry) {
		datapath_drop(m->dp, NULL, DROP_UNKNOWN_INDEX, 1);
		return;
	}
	peer = receiver_of(entry)->peer;
	session = rcu_read(&peer->session);
	if (!session || !session->remote_ready ||
	    cookie_consume_reply(&session->cookie, &msg, now))
		datapath_drop(m->dp, peer, DROP_BAD_COOKIE, 1);
}

static void consume(const struct handshake_message *m)
{
	struct identity *id = rcu_read(&m->dp->identity);
	uint64_t now = clock_now();

	if (!id) {
		datapath_drop(m->dp, NULL, DROP_NO_IDENTITY, 1);
		return;
	}
	switch ((enum message_type)load_le32(m->data)) {
	case MESSAGE_INITIATION:
		consume_initiation(m, id, now);
		return;
	case MESSAGE_RESPONSE:
		consume_response(m, id, now);
		return;
	case MESSAGE_COOKIE_REPLY:
		consume_cookie(m, now);
		return;
	case MESSAGE_DATA:
		return; /* never queued here */
	}
}

/* The thread */

/* Up to n, each in a turn of its own: three scalar multiplications. */
static void grant_wishes(struct handshake_thread *ht, size_t n)
{
	if (!ht->taken)
		ht->taken = inbox_take_all(&ht->wishes);
	while (n-- && ht->taken) {
		struct inbox_item *item = ht->taken;
		struct peer *peer = container_of(item, struct peer, to_handshake);
		unsigned how;

		ht->taken = item->next;
		how = inbox_claim(item);
		rcu_turn_begin();
		/* Who has come by himself meanwhile, or is asked for already, is not called. */
		if (how != PEER_HANDSHAKE_CALL || !rcu_read(&peer->session))
			initiate(peer->dp, peer, how);
		peer_unref(peer);
		rcu_turn_end();
	}
}

/*
 * Up to n messages, each in a turn of its own: four scalar multiplications are long
 * enough. Returns how many there were.
 */
static size_t consume_messages(struct handshake_thread *ht, size_t n)
{
	struct handshake_message msg;
	size_t done;

	for (done = 0; done < n && ring_pop(&ht->messages, &msg); done++) {
		rcu_turn_begin();
		consume(&msg);
		rcu_turn_end();
	}
	wake_late(ht);
	return done;
}

/* All that was queued before: what was taken already, and what has come since. */
static void drain(struct handshake_thread *ht)
{
	size_t n = ring_count(&ht->messages);

	while (n) {
		size_t done = consume_messages(ht, n);

		n -= done;
		/* A worker is still writing the oldest, and ours may lie behind it. */
		if (!done)
			sched_yield();
	}
	if (ht->taken)
		grant_wishes(ht, SIZE_MAX);
	grant_wishes(ht, SIZE_MAX);
	uv_sem_post(&ht->drained);
}

static void on_wake(uv_async_t *async)
{
	struct handshake_thread *ht = async->data;

	atomic_store_explicit(&ht->answered,
			      atomic_load_explicit(&ht->asked, memory_order_relaxed),
			      memory_order_relaxed);
	grant_wishes(ht, TURN_WISHES);
	(void)consume_messages(ht, TURN_MESSAGES);
	if (atomic_exchange(&ht->drain, false))
		drain(ht);
	if (atomic_load(&ht->stop))
		uv_close((uv_handle_t *)async, NULL);
	else if (ht->taken || ring_count(&ht->messages))
		uv_async_send(async);
}

static void run(void *arg)
{
	struct handshake_thread *ht = arg;

	confine_thread(CONFINE_HANDSHAKE);
	rcu_register_thread();
	rcu_turn_end();
	uv_run(&ht->loop, UV_RUN_DEFAULT);
	rcu_unregister_thread();
}

int handshake_start(struct handshake_thread **out)
{
	struct handshake_thread *ht = calloc(1, sizeof(*ht));
	int err;

	if (!ht)
		return -ENOMEM;
	err = ring_init(&ht->messages, QUEUE_CELLS, sizeof(struct handshake_message));
	if (err)
		goto free_ht;
	err = uv_sem_init(&ht->drained, 0);
	if (err)
		goto free_ring;
	err = uv_loop_init(&ht->loop);
	if (err)
		goto free_sem;
	err = uv_async_init(&ht->loop, &ht->wake, on_wake);
	if (err)
		goto close_loop;
	ht->wake.data = ht;
	err = uv_thread_create(&ht->thread, run, ht);
	if (err)
		goto close_wake;
	*out = ht;
	return 0;

close_wake:
	uv_close((uv_handle_t *)&ht->wake, NULL);
	uv_run(&ht->loop, UV_RUN_DEFAULT);
close_loop:
	uv_loop_close(&ht->loop);
free_sem:
	uv_sem_destroy(&ht->drained);
free_ring:
	ring_free(&ht->messages);
free_ht:
	free(ht);
	return err;
}

void handshake_stop(struct handshake_thread *ht)
{
	atomic_store(&ht->stop, true);
	wake(ht);
	uv_thread_join(&ht->thread);
	uv_loop_close(&ht->loop);
	uv_sem_destroy(&ht->drained);
	ring_free(&ht->messages);
	free(ht);
}

void handshake_drain(struct handshake_thread *ht)
{
	atomic_store(&ht->drain, true);
	wake(ht);
	uv_sem_wait(&ht->drained);
}

bool handshake_answers(struct handshake_thread *ht)
{
	unsigned asked = atomic_load_explicit(&ht->asked, memory_order_relaxed);
	bool answered = atomic_load_explicit(&ht->answered, memory_order_relaxed) == asked;

	if (answered)
		atomic_store_explicit(&ht->asked, asked + 1, memory_order_relaxed);
	wake(ht);
	return answered;
}

bool handshake_push(struct handshake_thread *ht, const struct handshake_message *msg)
{
	if (!ring_push(&ht->messages, msg))
		return false;
	wake(ht);
	return true;
}

void handshake_load(const struct handshake_thread *ht, struct handshake_load *out)
{
	*out = (struct handshake_load){ .processor = clock_of_thread(ht->thread),
					.queued = ring_count(&ht->messages),
					.room = QUEUE_CELLS };
}

bool handshake_under_load(struct handshake_thread *ht, uint64_t now)
{
	if (ring_count(&ht->messages) >= QUEUE_LOAD) {
		atomic_store_explicit(&ht->loaded_until, now + LOAD_MEMORY, memory_order_relaxed);
		return true;
	}
	return now < atomic_load_explicit(&ht->loaded_until, memory_order_relaxed);
}

void handshake_want(struct handshake_thread *ht, struct peer *peer, unsigned how)
{
	if (!peer_ref(peer))
		return;
	if (inbox_post(&ht->wishes, &peer->to_handshake, how))
		wake(ht);
	else
		peer_unref(peer);
}
