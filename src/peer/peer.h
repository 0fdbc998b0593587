/* SPDX-License-Identifier: MIT */
/*
 * A peer, and the session it has while it speaks.
 *
 * struct peer is what an idle tenant costs: identity, endpoint, counters. All
 * that a handshake or keys need is in struct session, made when the peer first
 * speaks or is first spoken to, and given back when its keys are wiped.
 *
 * Lifetime. Tables, the wheel, and inboxes hold references; the data path
 * holds none: what it finds inside an RCU turn stays until the turn's end.
 * Removal has two phases: peer_kill() makes it unreachable, and the memory goes
 * a grace period after the last reference.
 */
#ifndef BERTH_PEER_PEER_H
#define BERTH_PEER_PEER_H

#include <pthread.h>
#include <time.h>

#include "../../crypto/cookie.h"
#include "../../crypto/keypair.h"
#include "../../crypto/noise.h"
#include "../base/endpoint.h"
#include "../base/inbox.h"
#include "../base/prefix.h"
#include "../base/rcu.h"
#include "../base/secret.h"
#include "../base/wheel.h"
#include "../config/change.h"
#include "../table/counters.h"
#include "../table/index.h"
#include "../table/peertable.h"
#include "limit.h"
#include "staged.h"
#include "timers.h"

struct datapath;
struct event_ring;
struct sharing;

/* What all peers of a device share. Constant after peer_group_init(). */
struct peer_group {
	struct index_table *indices;
	unsigned n_homes; /* peer.home is below it */
	struct secret_pool sessions;
	struct secret_pool keys;
	_Atomic size_t staged_bytes; /* in all staging queues together */
	_Atomic size_t held_bytes;   /* of packets that wait for their rate */
	struct inbox *learned; /* learned.h; NULL: nobody asks. Constant once there are peers */
};

/* What a receiver index stands for: a session_key, or a handshake in flight. */
struct receiver {
	struct index_entry entry;
	struct peer *peer;
	struct peer_group *group; /* outlives the peer */
	bool is_key; /* inside a session_key; otherwise an object of its own */
	struct rcu_head rcu;
};

/* One pair of transport keys. Immutable once published but for counter and window. */
struct session_key {
	struct keypair pair;
	struct receiver receiver;
};

/* A handshake message that is to be sent. */
struct outgoing {
	size_t len;
	uint8_t data[MESSAGE_HANDSHAKE_MAX];
};

struct session {
	struct timers timers;
	struct keypairs keys;          /* written under peer->lock */
	struct receiver *handshake;    /* peer->lock: index of the one in flight, or NULL */
	bool remote_ready;             /* handshake thread: remote was initialised */
	_Atomic unsigned n_staged;     /* written under peer->lock */
	_Atomic bool flushing;         /* written under peer->lock: a worker sends the staged */
	/* ns: when a cookie reply was last let through, for a handshake in flight and for keys */
	_Atomic uint64_t cookie_taken[2];
	_Atomic uint64_t late_key;     /* 1 << 32 | index of the last key found about to expire */
	size_t staged_bytes;           /* peer->lock */
	struct staged *staged;         /* peer->lock */
	struct staged **staged_tail;   /* peer->lock; NULL: staged is empty */
	_Atomic(struct outgoing *) outgoing; /* handshake thread → home worker; NULL: none */
	struct noise_remote remote;    /* handshake thread */
	struct cookie_maker cookie;    /* handshake thread */
	struct peer_group *group;
	struct rcu_head rcu;
};

/* What is wanted of the home worker, as flags of peer->to_worker. */
enum peer_work {
	PEER_WORK_LOOK = 1 << 0,      /* timers changed: look at them */
	PEER_WORK_FLUSH = 1 << 1,     /* keys are there: send what is staged */
	PEER_WORK_KEEPALIVE = 1 << 2, /* send a keepalive, unless staged packets went out */
	PEER_WORK_GONE = 1 << 3,      /* killed: take it off the wheel */
	PEER_WORK_SEND = 1 << 4,      /* a handshake message is outgoing */
	PEER_WORK_RELEASE = 1 << 5    /* packets wait for their rate */
};

/* What is wanted of the handshake thread, as flags of peer->to_handshake. */
enum peer_handshake {
	PEER_HANDSHAKE_WANT = 1 << 0, /* data has no key, or its key is old */
	PEER_HANDSHAKE_RETRY = 1 << 1, /* the last initiation was not answered */
	PEER_HANDSHAKE_CALL = 1 << 2,  /* there was a session before the restart: try once */
	PEER_HANDSHAKE_ANEW = 1 << 3   /* the last initiation went another way: do not wait */
};

/* What its packets are looked at for, beyond what everybody's are (path/border.h). */
enum peer_border {
	PEER_BORDER_SOURCES = 1 << 0, /* its prefixes hold addresses that it must not send from */
	PEER_BORDER_ISOLATED = 1 << 1
};

enum {
	STAGED_PACKETS_MAX = 128,        /* per peer, like the kernel */
	STAGED_PEER_BYTES_MAX = 256 << 10,
	/*
	 * Per device: bounds what strangers can make us hold. As it fills up each peer may have
	 * less, and gives back the rest with its next packet: who sends to many that do not answer
	 * does not take it from the others.
	 */
	STAGED_TOTAL_BYTES_MAX = 32 << 20,
	STAGED_PEER_BYTES_SOME = 32 << 10, /* from half of it on */
	STAGED_PEER_BYTES_FEW = 8 << 10    /* from three quarters on */
};

struct peer {
	/* read by the data path */
	_Atomic(struct session *) session; /* written under lock */
	_Atomic bool dead;                 /* under lock; never cleared */
	_Atomic bool has_endpoint;         /* written under lock: spares the lock where none is */
	_Atomic uint16_t keepalive;        /* seconds; control thread writes */
	uint16_t home;                     /* queue whose worker looks after it; constant */
	_Atomic uint16_t mtu;              /* of packets to it; 0: the device's; control writes */
	struct traffic_counters traffic;
	_Atomic(struct limit *) limit; /* made at the first limit, constant from there; NULL: none */
	_Atomic(struct drop_counters *) drops; /* made at the first drop */

	pthread_mutex_t lock;      /* short holds only, never while sending or computing */
	struct endpoint endpoint;  /* lock */
	uint8_t preshared_key[NOISE_KEY_LEN];        /* lock */
	uint8_t last_timestamp[NOISE_TIMESTAMP_LEN]; /* lock; constant once dead */
	_Atomic uint32_t endpoint_changes;
	struct event_ring *events;      /* lock; events.h; NULL: nothing has happened yet */
	struct sharing *sharing;        /* lock; sharing.h; NULL: it has never moved */
	struct timespec last_handshake; /* lock; UTC */
	uint32_t replay_said; /* handshake thread: s since boot, when it was last logged; 0: never */
	_Atomic unsigned refs;

	struct inbox_item to_worker;
	struct inbox_item to_handshake;
	struct inbox_item to_memory; /* any flag: something was learned */
	struct wheel_timer timer; /* home worker */
	bool on_wheel;            /* home worker; holds a reference */
	uint32_t number;          /* device: so many came before it; constant */

	/* control thread */
	struct prefix *allowed_ips;
	size_t n_allowed_ips;
	enum announce announce;
	bool arrived;   /* was found connected, and not away since */
	bool suspended; /* removed, but what was counted is kept: it may come back */
	bool buried;    /* that it was removed has been told */
	_Atomic bool quarantine; /* hold it when its key is shared; anybody reads */
	_Atomic bool held;       /* written under lock; anybody reads */
	_Atomic uint8_t border;  /* enum peer_border; anybody reads */

	char *name; /* of the tenant, or "peer(abcd…wxyz)"; constant */
	uint8_t public_key[NOISE_KEY_LEN]; /* constant */
	struct peertable_entry entry;
	struct peer_group *group;
	struct datapath *dp; /* passed through to the levels above; constant */
	struct rcu_head rcu;
};

/* For peers with so many homes, 1 to 256. 0 or -ENOMEM. */
must_check int peer_group_init(struct peer_group *group, unsigned n_homes);
/* After the last peer is gone and rcu_settle(). Outside an RCU turn. */
void peer_group_free(struct peer_group *group);

/*
 * A peer of dp without addresses, with one reference. home is the number of the
 * queue whose worker looks after it. NULL: no memory. Control thread.
 */
struct peer *peer_new(struct peer_group *group, struct datapath *dp,
		      const uint8_t public_key[NOISE_KEY_LEN], const char *name, unsigned home);

/* One more reference; false when the peer is past its last one. Inside an RCU turn. */
must_check bool peer_ref(struct peer *peer);
void peer_unref(struct peer *peer);

/* Makes what these limits need, without setting them. 0 or -ENOMEM. Control thread. */
must_check int peer_make_limit(struct peer *peer, const struct limits *limits);

/*
 * Its limits from now on, after peer_make_limit(). True: packets wait for their rate, and the
 * home worker is to look at once (PEER_WORK_RELEASE). Control thread.
 */
must_check bool peer_set_limits(struct peer *peer, const struct limits *limits);

/*
 * First phase of removal: no session, no keys, no endpoint, and none ever
 * again. The caller has taken it out of the tables. Returns how many packets that waited
 * end with it. Control thread.
 */
unsigned peer_kill(struct peer *peer);

/*
 * Holds the peer: no session and no handshake, no packet either way, until
 * peer_release() or for good. Its endpoint stays known. Returns how many staged packets
 * end with it. Any thread, RCU turn.
 */
unsigned peer_hold(struct peer *peer);

/* False: it is not held. Any thread. */
must_check bool peer_release(struct peer *peer);

/* Any thread. */
static inline bool peer_is_held(const struct peer *peer)
{
	return atomic_load_explicit(&peer->held, memory_order_relaxed);
}

/* The peer's session, made if there is none. NULL: dead, held, or no memory. RCU turn, any thread. */
struct session *peer_session(struct peer *peer, uint64_t now);

/* Has none, and might have one: there was no memory, or no wish for one yet. RCU turn. */
bool peer_lacks_session(struct peer *peer);

/*
 * Gives the session back with its keys and all that is staged; returns how many
 * packets that were. Any thread, RCU turn.
 */
unsigned peer_drop_session(struct peer *peer);

/*
 * Wipes the keys, unless new ones were made since the look at the timers that
 * found it due. The session is dropped with them, and true returned, unless it is
 * needed: packets wait, or an initiation is in flight. Home worker, RCU turn.
 */
bool peer_wipe_session(struct peer *peer, uint64_t now);

/*
 * Drops a session that has come to nothing: no keys, nobody's answer awaited,
 * nothing staged. Home worker, RCU turn.
 */
void peer_drop_idle_session(struct peer *peer);

/* 0 and a copy, or -EDESTADDRREQ. Any thread. */
must_check int peer_get_endpoint(struct peer *peer, struct endpoint *out);

/*
 * Roaming (§6.5): an authenticated packet came from there. True when the
 * remote side is another one than before, which *before then is. Any thread, RCU turn.
 */
bool peer_move(struct peer *peer, const struct endpoint *from, struct endpoint *before);

/* The same for whom the rest does not concern. */
bool peer_set_endpoint(struct peer *peer, const struct endpoint *from);

/* The local address was no good, or no answer comes: let the kernel choose. Any thread. */
void peer_clear_endpoint_src(struct peer *peer);

/*
 * Gives the session a new receiver index for the handshake that begins, in
 * place of the last one's. 0; -ESHUTDOWN when the session is no longer the
 * peer's; -ENOMEM. Handshake thread, RCU turn.
 */
must_check int peer_list_handshake(struct peer *peer, struct session *session, uint32_t *index);

/*
 * Publishes the keys of a finished handshake, which take over its receiver
 * index (crypto/keypair.h says into which slot they go). 0; -ESHUTDOWN when the
 * peer died or its session was dropped meanwhile; -ENOMEM. Wiping keys is the
 * caller's. Handshake thread, RCU turn.
 */
must_check int peer_add_keys(struct peer *peer, struct session *session,
			     const struct noise_session *keys, uint64_t now);

/*
 * Is somebody there? For as long as the current key can be used, and as long
 * after that as the protocol goes on trying for the next one (REKEY_ATTEMPT_TIME): a
 * tenant that restarts or changes networks has not left. now: monotonic ns. Any
 * thread, RCU turn.
 */
bool peer_is_connected(struct peer *peer, uint64_t now);

/*
 * A packet came under a key: is that the first proof that the peer has the
 * newest one? Then it becomes the current one. Any worker, RCU turn.
 */
bool peer_confirm_key(struct peer *peer, struct session *session, struct session_key *key);

/*
 * A key is about to expire and only receives (paper §6.2): is this the first
 * packet under it that finds so? Any worker.
 */
static inline bool session_first_late(struct session *session, uint32_t index)
{
	uint64_t mark = UINT64_C(1) << 32 | index;

	return atomic_exchange_explicit(&session->late_key, mark, memory_order_relaxed) != mark;
}

/*
 * Hands a message of len bytes to the home worker, which is to be woken with
 * PEER_WORK_SEND; one that it has not sent yet is out of date, and goes. False: no
 * memory. Handshake thread, RCU turn.
 */
must_check bool session_give_outgoing(struct session *session, const void *msg, size_t len);

/* Takes it; the caller frees it. NULL: there is none. Home worker, RCU turn. */
static inline struct outgoing *session_take_outgoing(struct session *session)
{
	return atomic_exchange_explicit(&session->outgoing, NULL, memory_order_acq_rel);
}

/*
 * May a cookie reply go to the handshake thread? Only there it is found out whether it is
 * one of ours, so each session has a rate: one for the index of keys, which whoever looks
 * on sees in every packet, and one for that of a handshake in flight. now: monotonic ns. Any worker.
 */
must_check static inline bool session_takes_cookie(struct session *session, bool is_key,
						   uint64_t now)
{
	_Atomic uint64_t *taken = &session->cookie_taken[is_key];
	uint64_t last = atomic_load_explicit(taken, memory_order_relaxed);

	return (!last || now >= last + INITIATION_MIN_INTERVAL) &&
	       atomic_compare_exchange_strong_explicit(taken, &last, now, memory_order_relaxed,
						       memory_order_relaxed);
}

/* Must further packets wait behind those already staged, lest a flow be reordered? Any worker. */
static inline bool session_is_staging(const struct session *session)
{
	/* Whoever sees the queue emptied sees also that somebody is sending it. */
	return atomic_load_explicit(&session->n_staged, memory_order_acquire) ||
	       atomic_load_explicit(&session->flushing, memory_order_relaxed);
}

/*
 * Keeps a copy of an inner packet until there is a key, the oldest making room.
 * Returns how many packets were dropped for it (1 for this one when there is no memory).
 * Any worker, RCU turn.
 */
unsigned peer_stage(struct peer *peer, struct session *session, const uint8_t *data, size_t len);

/*
 * Takes all staged packets for sending. While one worker sends them, others
 * stage what follows, so that no flow is reordered. NULL: nothing, or somebody
 * else is at it. Call again until NULL: that ends the flushing. Any worker.
 */
struct staged *peer_take_staged(struct peer *peer, struct session *session, bool continuing);

/* Ends the flushing early; what is staged waits for the next one. The flushing worker. */
void peer_stop_flushing(struct peer *peer, struct session *session);

/* Drops what is staged; returns how many. */
unsigned peer_drop_staged(struct peer *peer, struct session *session);

/*
 * Counts packets that died, for `berth show NAME`; the first of a reason after a quiet
 * time is an event. Any thread, not under peer->lock.
 */
void peer_count_drop(struct peer *peer, enum drop_reason reason, uint64_t n);

/* The key behind a keypair slot, and the one behind a receiver. */
static inline struct session_key *session_key_of(struct keypair *pair)
{
	return pair ? container_of(pair, struct session_key, pair) : NULL;
}

static inline struct receiver *receiver_of(struct index_entry *entry)
{
	return container_of(entry, struct receiver, entry);
}

#endif
