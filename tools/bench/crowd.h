/* SPDX-License-Identifier: MIT */
/*
 * A crowd of tenants behind few sockets, each with a session of its own: what
 * revoke and churn are made of. Their private keys are numbers, so that the
 * files that make them tenants can be written without them. A member belongs to one
 * thread at a time. Whatever fails ends the program with a message.
 */
#ifndef BERTH_TOOLS_BENCH_CROWD_H
#define BERTH_TOOLS_BENCH_CROWD_H

#include <netinet/in.h>

#include "../../crypto/aead.h"
#include "../../crypto/cookie.h"
#include "../../crypto/noise.h"
#include "../../src/base/encoding.h"

/* All that a handshake computes and its gateway knows too, but for what is in the session. */
enum crowd_secret {
	CROWD_PRESHARED,
	CROWD_STATIC_STATIC,
	CROWD_EPHEMERAL_STATIC, /* es */
	CROWD_EPHEMERAL,        /* ee */
	CROWD_STATIC_EPHEMERAL, /* se */
	CROWD_CHAIN_FIRST,      /* chaining key behind the first message */
	CROWD_CHAIN_SECOND,     /* and behind the second */
	CROWD_SEND,             /* transport keys, as the tenant sees them */
	CROWD_RECEIVE,
	CROWD_SECRETS
};

struct crowd_secrets {
	uint8_t key[CROWD_SECRETS][NOISE_KEY_LEN];
};

struct member {
	uint32_t number;
	struct noise_local local;
	struct noise_remote gateway;
	struct cookie_maker macs;
	struct noise_session session;
	uint64_t counter; /* next nonce to send with */
};

enum {
	CROWD_BURST = 32,
	CROWD_PACKET_MAX = 1408,       /* inner, a multiple of 16 */
	CROWD_HEADERS = 20 + 8,        /* IPv4 and UDP */
	CROWD_GATEWAY_PORT = 51820,
	CROWD_NETWORK = 0x0a080000,    /* 10.8.0.0/16 by number, host order */
	CROWD_PAYLOAD_AT = sizeof(struct message_data) + CROWD_HEADERS
};

/* Messages of one burst, ready for crowd_send(). */
struct crowd_burst {
	unsigned n;
	size_t size; /* of the inner packets */
	uint8_t data[CROWD_BURST][CROWD_PACKET_MAX + MESSAGE_DATA_OVERHEAD];
};

/* The keys of tenant number so-and-so. */
void crowd_local(uint32_t number, struct noise_local *local);

/* gateway_key NULL: it will call nobody, only its file is wanted. psk NULL: none. */
void crowd_member(struct member *m, uint32_t number, const uint8_t gateway_key[NOISE_KEY_LEN],
		  const uint8_t *psk);

/* The member's inner address. */
struct in_addr crowd_address(uint32_t number);

/* Of the member's file in folder. Static. */
const char *crowd_path(const char *folder, uint32_t number);

/* Writes the file that makes the member a tenant; more is further addresses (", ADDRESS"), or "". */
void crowd_write(const char *folder, const struct member *m, const char *more);

/* A UDP socket in netns, bound to address and port, connected to the gateway's IPv4 address. */
int crowd_socket(const char *netns, const char *address, uint16_t port, const char *gateway);

/* The 32 bytes of a base64 key. */
void crowd_key(uint8_t key[NOISE_KEY_LEN], const char *text);

/*
 * Writes a new initiation. A timestamp that lies ahead seconds in the future (or, below 0, in the past) makes
 * room for as many more. Its sender index is the member's number.
 */
void crowd_initiation(struct member *m, int ahead, struct message_initiation *msg);

/*
 * A whole handshake over fd, cookies included, and the packet that confirms it: from
 * then on the gateway may send. At most attempts initiations, each answered within
 * ms. secrets, unless NULL, takes what was computed. False: no answer.
 */
must_check bool crowd_meet(struct member *m, int fd, struct aead *aead, unsigned attempts, int ms,
			   struct crowd_secrets *secrets);

/* Lays n inner UDP packets of size bytes to that address and port out; payloads are zero. */
void crowd_lay(struct crowd_burst *b, const struct member *m, unsigned n, size_t size,
	       struct in_addr to, uint16_t port);

/* Seals what was laid out and may have been filled; sends. Returns how many the kernel took. */
unsigned crowd_send(struct crowd_burst *b, struct member *m, int fd, struct aead *aead);

#endif
