/* SPDX-License-Identifier: MIT */
/*
 * The handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard uses it
 * (paper §5.4). One function per message:
 *
 *	initiator                                       responder
 *	noise_create_initiation   --- e, es, s, ss --->  noise_consume_initiation
 *	noise_consume_response    <-- e, ee, se, psk --  noise_create_response
 *	noise_begin_session                              noise_begin_session
 *
 * It knows no peers, sockets or tables, and reaches out through noise_upcalls. Each
 * function works on a copy, checks, and commits only when everything was right: a
 * forged message leaves no trace.
 *
 * mac1 and mac2 are cookie.h's: they come after a create function, and are checked before
 * a consume function. mac1 is what covers type and sender index, which
 * Noise does not.
 *
 * Indices are the caller's: whoever keeps them in a table remembers which one the
 * handshake under way holds, and releases it when that is replaced or dropped.
 *
 * Thread: all functions on remotes of one device run on one thread at a time (the
 * handshake thread); there are no locks here.
 * sodium_init() must have been called.
 */
#ifndef BERTH_CRYPTO_NOISE_H
#define BERTH_CRYPTO_NOISE_H

#include "messages.h"
#include "symmetric.h"

enum noise_result {
	NOISE_OK,
	NOISE_NO_IDENTITY,    /* we have no private key */
	NOISE_NO_REMOTE,      /* the initiator's public key is nobody's we know */
	NOISE_LOW_ORDER,      /* a public key that makes every shared secret zero */
	NOISE_BAD_ENCRYPTION, /* a tag is wrong: forged, not for us, or another preshared key */
	NOISE_REPLAY,         /* the initiation's timestamp is not later than the greatest seen */
	NOISE_FLOOD,          /* initiations closer together than INITIATION_MIN_INTERVAL */
	NOISE_WRONG_STATE     /* no step of the handshake that is under way */
};

/* Ourselves. Read-only after noise_local_init. */
struct noise_local {
	uint8_t private_key[NOISE_KEY_LEN]; /* clamped; zero: no identity */
	uint8_t public_key[NOISE_KEY_LEN];
};

enum noise_state {
	NOISE_ZEROED,
	NOISE_CREATED_INITIATION,
	NOISE_CONSUMED_INITIATION,
	NOISE_CREATED_RESPONSE,
	NOISE_CONSUMED_RESPONSE
};

/* A handshake between its messages. Indices are in host byte order. */
struct noise_handshake {
	struct symmetric symmetric;
	uint8_t ephemeral_private[NOISE_KEY_LEN]; /* ours, after CREATED_INITIATION */
	uint8_t remote_ephemeral[NOISE_KEY_LEN];  /* theirs, after CONSUMED_INITIATION */
	uint32_t local_index;                     /* we chose it, for packets to us */
	uint32_t remote_index;                    /* they chose it, for packets to them */
	enum noise_state state;
};

/* The other side, as the handshake sees it. All fields: handshake thread. */
struct noise_remote {
	uint8_t public_key[NOISE_KEY_LEN];
	uint8_t preshared_key[NOISE_KEY_LEN];        /* zero: none */
	uint8_t static_static[NOISE_KEY_LEN];        /* DH(ours, theirs); zero: unusable */
	uint8_t last_timestamp[NOISE_TIMESTAMP_LEN]; /* greatest accepted; kept over restarts */
	uint64_t last_initiation; /* when one was last accepted, monotonic ns; 0: never */
	struct noise_handshake handshake;
};

struct noise_upcalls {
	void *arg;
	/* The remote with this public key, or NULL. */
	struct noise_remote *(*find_remote)(void *arg, const uint8_t public_key[NOISE_KEY_LEN]);
	/* len bytes of the best randomness there is: an ephemeral private key. */
	void (*random)(void *arg, void *buf, size_t len);
	/* This is the timestamp for which it will be NOISE_REPLAY. NULL: nobody wants to know. */
	void (*replayed)(void *arg, const uint8_t timestamp[NOISE_TIMESTAMP_LEN]);
};

/* What a finished handshake leaves: keypair_init() takes it. Wipe it afterwards. */
struct noise_session {
	uint8_t send_key[NOISE_KEY_LEN];
	uint8_t recv_key[NOISE_KEY_LEN];
	uint32_t local_index;
	uint32_t remote_index;
	bool initiator;
};

/* Names a result for logs and tables: "bad encryption". */
const char *noise_result_text(enum noise_result result);

/* The default for noise_upcalls.random: libsodium's generator. arg is not used. */
void noise_random_sodium(void *arg, void *buf, size_t len);

/*
 * Clamps private_key (RFC 7748 §5) and derives the public key.
 * NOISE_NO_IDENTITY when the key is all zero, which wg(8) sends for "none": local is then
 * zero too and every handshake with it is refused.
 */
must_check enum noise_result noise_local_init(struct noise_local *local,
					      const uint8_t private_key[NOISE_KEY_LEN]);

/* Wipes. */
void noise_local_clear(struct noise_local *local);

/*
 * Makes a remote that has never been heard of; psk may be NULL. Computes the
 * static-static secret once, which saves one X25519 in each handshake.
 * NOISE_NO_IDENTITY or NOISE_LOW_ORDER: the remote is whole but all handshakes
 * with it are refused with the same result, until noise_remote_set_local() has
 * something better. A caller that restores last_timestamp does so after this.
 */
must_check enum noise_result noise_remote_init(struct noise_remote *remote,
					       const struct noise_local *local,
					       const uint8_t public_key[NOISE_KEY_LEN],
					       const uint8_t *psk);

/*
 * Our private key has changed: computes static-static anew and drops the
 * handshake in flight. Results as of noise_remote_init; what was seen of the
 * remote (timestamp) stays.
 */
must_check enum noise_result noise_remote_set_local(struct noise_remote *remote,
						    const struct noise_local *local);

/*
 * Changes the preshared key; psk NULL or zero: none. It is mixed in with the second
 * message, thus a handshake in flight ends under the new key; sessions live on.
 */
void noise_remote_set_psk(struct noise_remote *remote, const uint8_t *psk);

/* Forgets the handshake under way, and wipes it. */
void noise_remote_drop_handshake(struct noise_remote *remote);

/* Wipes everything. */
void noise_remote_clear(struct noise_remote *remote);

/*
 * Writes the first message, but for its macs, which are zero. index is the one we
 * want to be answered under (host byte order), timestamp is tai64n_encode()'s.
 * Takes the place of whatever handshake was under way.
 * NOISE_OK, NOISE_NO_IDENTITY, NOISE_LOW_ORDER (the remote's static key).
 */
must_check enum noise_result noise_create_initiation(struct noise_remote *remote,
						     const struct noise_local *local,
						     const struct noise_upcalls *up,
						     uint32_t index,
						     const uint8_t timestamp[NOISE_TIMESTAMP_LEN],
						     struct message_initiation *out);

/*
 * Reads the first message. now is the monotonic clock in ns. Upon NOISE_OK the
 * handshake of *out takes the place of one under way, be it one of our own: when
 * initiations cross, the later one to arrive wins on either side.
 * *out is the sender when that is proven: upon NOISE_OK, NOISE_REPLAY and NOISE_FLOOD, so
 * that those can be counted; NULL otherwise.
 * Also NOISE_NO_IDENTITY, NOISE_NO_REMOTE, NOISE_LOW_ORDER, NOISE_BAD_ENCRYPTION.
 */
must_check enum noise_result noise_consume_initiation(const struct noise_local *local,
						      const struct noise_upcalls *up, uint64_t now,
						      const struct message_initiation *msg,
						      struct noise_remote **out);

/*
 * Writes the answer to the initiation consumed last, but for its macs, which are zero.
 * index is the one we want to be sent to under (host byte order).
 * NOISE_OK, NOISE_WRONG_STATE, NOISE_LOW_ORDER (the initiator's ephemeral key).
 */
must_check enum noise_result noise_create_response(struct noise_remote *remote,
						   const struct noise_upcalls *up, uint32_t index,
						   struct message_response *out);

/*
 * Reads the answer to our initiation in flight. On any failure the handshake
 * stays in flight: a forged response must not end it.
 * NOISE_OK, NOISE_NO_IDENTITY, NOISE_WRONG_STATE (none is in flight, or the
 * receiver index is not its), NOISE_LOW_ORDER, NOISE_BAD_ENCRYPTION.
 */
must_check enum noise_result noise_consume_response(struct noise_remote *remote,
						    const struct noise_local *local,
						    const struct message_response *msg);

/*
 * Derives the transport keys once a response was created or consumed, and wipes
 * the handshake. NOISE_OK or NOISE_WRONG_STATE.
 */
must_check enum noise_result noise_begin_session(struct noise_remote *remote,
						 struct noise_session *out);

#endif
