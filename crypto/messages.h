/* SPDX-License-Identifier: MIT */
/*
 * The WireGuard wire format and every constant of the protocol
 * ("WireGuard: Next Generation Kernel Network Tunnel", Donenfeld, §5.4, §6.1).
 */
#ifndef BERTH_CRYPTO_MESSAGES_H
#define BERTH_CRYPTO_MESSAGES_H

#include "../src/base.h"

enum {
	NOISE_KEY_LEN = 32,       /* Curve25519 and ChaCha20-Poly1305 keys */
	NOISE_HASH_LEN = 32,      /* BLAKE2s */
	NOISE_TAG_LEN = 16,       /* Poly1305 */
	NOISE_TIMESTAMP_LEN = 12, /* TAI64N */
	COOKIE_LEN = 16,
	COOKIE_NONCE_LEN = 24, /* XChaCha20 */
	MAC_LEN = 16,          /* mac1 and mac2 */
	PADDING_MULTIPLE = 16  /* §5.4.6 */
};

/* §6.1. Times are in nanoseconds of the monotonic clock. */
#define REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))
#define REKEY_AFTER_TIME (120 * NSEC_PER_SEC)
#define REJECT_AFTER_TIME (180 * NSEC_PER_SEC)
#define REKEY_ATTEMPT_TIME (90 * NSEC_PER_SEC)
#define REKEY_TIMEOUT (5 * NSEC_PER_SEC)
#define REKEY_TIMEOUT_JITTER_MAX (NSEC_PER_SEC / 3)
#define KEEPALIVE_TIMEOUT (10 * NSEC_PER_SEC)
#define COOKIE_SECRET_MAX_AGE (120 * NSEC_PER_SEC)
/* A cookie is used a little shorter than its issuer honours it. */
#define COOKIE_SECRET_LATENCY (5 * NSEC_PER_SEC)
/* At most 50 initiations a second are accepted from one static key. */
#define INITIATION_MIN_INTERVAL (NSEC_PER_SEC / 50)

enum message_type {
	MESSAGE_INITIATION = 1,
	MESSAGE_RESPONSE = 2,
	MESSAGE_COOKIE_REPLY = 3,
	MESSAGE_DATA = 4
};

/*
 * The type is one byte and three reserved zero bytes, read as one
 * little-endian word so that a non-zero reserved byte is an unknown type.
 */
struct message_macs {
	uint8_t mac1[MAC_LEN];
	uint8_t mac2[MAC_LEN];
};

struct message_initiation { /* §5.4.2 */
	le32 type;
	le32 sender_index;
	uint8_t ephemeral[NOISE_KEY_LEN];
	uint8_t encrypted_static[NOISE_KEY_LEN + NOISE_TAG_LEN];
	uint8_t encrypted_timestamp[NOISE_TIMESTAMP_LEN + NOISE_TAG_LEN];
	struct message_macs macs;
};

struct message_response { /* §5.4.3 */
	le32 type;
	le32 sender_index;
	le32 receiver_index;
	uint8_t ephemeral[NOISE_KEY_LEN];
	uint8_t encrypted_nothing[NOISE_TAG_LEN];
	struct message_macs macs;
};

struct message_cookie_reply { /* §5.4.7 */
	le32 type;
	le32 receiver_index;
	uint8_t nonce[COOKIE_NONCE_LEN];
	uint8_t encrypted_cookie[COOKIE_LEN + NOISE_TAG_LEN];
};

struct message_data { /* §5.4.6; the encrypted packet and its tag follow */
	le32 type;
	le32 receiver_index;
	le64 counter;
};

_Static_assert(sizeof(struct message_initiation) == 148, "wire size");
_Static_assert(sizeof(struct message_response) == 92, "wire size");
_Static_assert(sizeof(struct message_cookie_reply) == 64, "wire size");
_Static_assert(sizeof(struct message_data) == 16, "wire size");

enum {
	MESSAGE_DATA_OVERHEAD = sizeof(struct message_data) + NOISE_TAG_LEN,
	MESSAGE_HANDSHAKE_MAX = sizeof(struct message_initiation)
};

#endif
