/* SPDX-License-Identifier: MIT */
/*
 * What is counted. Every packet that dies has a reason: one list, from which
 * the enum, the names in `berth show` and the metrics are made.
 */
#ifndef BERTH_TABLE_COUNTERS_H
#define BERTH_TABLE_COUNTERS_H

#include <stdatomic.h>

#include "../base.h"

/* enumerator, name for programs, sentence for people */
#define DROP_REASONS(X)                                                                        \
	/* from outside, before a peer is known */                                             \
	X(MALFORMED, "malformed", "not a WireGuard message: wrong length or type")             \
	X(OVERSIZED, "oversized", "datagram larger than any we accept")                        \
	X(NO_IDENTITY, "no-identity", "message came while we had no private key")              \
	X(BAD_MAC1, "bad-mac1", "handshake without a valid mac1")                              \
	X(UNDER_LOAD, "under-load", "handshake answered with a cookie instead")                \
	X(SOURCE_RATE, "source-rate", "handshakes from one source came too fast")              \
	X(HANDSHAKE_QUEUE_FULL, "handshake-queue-full", "handshake queue was full")            \
	X(OVERLOAD, "overload", "sent more than its share while the gateway was busy")         \
	X(UNKNOWN_INDEX, "unknown-index", "receiver index belongs to no session")              \
	X(UNKNOWN_PEER, "unknown-peer", "initiation from a key that no tenant has")            \
	/* from outside, of a peer */                                                          \
	X(BAD_HANDSHAKE, "bad-handshake", "handshake failed to authenticate")                  \
	X(UNEXPECTED_RESPONSE, "unexpected-response", "response to no initiation of ours")     \
	X(REPLAYED_INITIATION, "replayed-initiation", "initiation not newer than the last")    \
	X(INITIATION_FLOOD, "initiation-flood", "initiations of one peer came too fast")       \
	X(BAD_COOKIE, "bad-cookie", "cookie reply failed to authenticate")                     \
	X(KEY_EXPIRED, "key-expired", "data under a key past its life")                        \
	X(BAD_TAG, "bad-tag", "data failed to authenticate")                                   \
	X(REPLAYED, "replayed", "data with a counter seen before or too old")                  \
	X(INNER_MALFORMED, "inner-malformed", "decrypted packet is not IP or is cut short")    \
	X(SOURCE_NOT_ALLOWED, "source-not-allowed", "inner source is not the tenant's own")    \
	X(LINK_SCOPE, "link-scope", "meant for a link: neighbour discovery, its addresses")    \
	X(SOURCE_ROUTE, "source-route", "packet with a source route")                          \
	X(RATE_UP, "rate-up", "tenant sent faster than its RateUp")                            \
	X(TUN_WRITE, "tun-write", "the TUN device refused the packet")                         \
	/* either way */                                                                       \
	X(ISOLATED, "isolated", "from tenant to tenant, one of which is isolated")             \
	X(QUARANTINED, "quarantined", "tenant is held: its key is in use from two places")     \
	/* from the TUN device */                                                              \
	X(OUT_MALFORMED, "out-malformed", "packet from the TUN device is not IP")              \
	X(NO_TENANT, "no-tenant", "destination belongs to no tenant")                          \
	X(QUOTA, "quota", "the tenant's quota is used up")                                     \
	X(NO_ENDPOINT, "no-endpoint", "tenant has not been heard from yet")                    \
	X(TOO_BIG, "too-big", "packet is larger than the tenant's MTU")                        \
	X(RATE_DOWN, "rate-down", "packets came faster than the tenant's RateDown")            \
	X(STAGING_FULL, "staging-full", "too many packets waited for a handshake")             \
	X(HANDSHAKE_TIMEOUT, "handshake-timeout", "packets waited for a handshake in vain")    \
	X(SEND_FAILED, "send-failed", "the network refused the datagram")

enum drop_reason {
#define DROP_ENUM(id, name, text) DROP_##id,
	DROP_REASONS(DROP_ENUM)
#undef DROP_ENUM
	DROP_REASON_COUNT
};

/* "bad-tag" and the like; stable, for programs. */
const char *drop_name(enum drop_reason reason);
/* The reason of that name of len characters, or DROP_REASON_COUNT: there is none. */
enum drop_reason drop_find(const char *name, size_t len);
/* One short sentence for people. */
const char *drop_text(enum drop_reason reason);

struct drop_counters {
	_Atomic uint64_t n[DROP_REASON_COUNT];
	_Atomic uint32_t last[DROP_REASON_COUNT]; /* of a peer: s since boot; 0: never */
};

/* Bytes are of whole WireGuard messages, as `wg show` counts them. */
struct traffic_counters {
	_Atomic uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};

/* What of both survives a restart, as plain numbers. */
struct saved_counts {
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
	uint64_t drops[DROP_REASON_COUNT];
	uint64_t quota_used; /* bytes, */
	int64_t quota_start; /* since this second of UTC; 0: no period, or no quota */
};

/* Handshakes of a device; those that were refused are drops. */
struct handshake_counters {
	_Atomic uint64_t initiated;  /* initiations sent, repeated ones included */
	_Atomic uint64_t answered;   /* responses sent */
	_Atomic uint64_t completed;  /* both sides have the keys */
	_Atomic uint64_t unanswered; /* given up after REKEY_ATTEMPT_TIME */
};

/* Relaxed: counters order nothing, they only have to add up. */
static inline void counter_add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t counter_read(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

#endif
