/* SPDX-License-Identifier: MIT */
/*
 * What happened to a peer lately: its last events, for `berth show NAME`.
 *
 * Kept in a ring that is made at the first event and grows with them: a peer that was
 * only ever configured has none. What repeats itself (a handshake every two minutes,
 * drops of one reason) is one event that counts, lest it push out what is rare.
 */
#ifndef BERTH_PEER_EVENTS_H
#define BERTH_PEER_EVENTS_H

#include "../base/endpoint.h"
#include "../table/counters.h"

struct peer;

/* What an event says beside its kind. */
enum event_word {
	EVENT_SAYS_NOTHING,
	EVENT_SAYS_WHERE,   /* one address */
	EVENT_SAYS_WAY,     /* two: from, to */
	EVENT_SAYS_REASON,  /* enum drop_reason */
	EVENT_SAYS_FIELDS,  /* a set of enum event_field */
	EVENT_SAYS_BYTES,
	EVENT_SAYS_PERCENT,
	EVENT_SAYS_BITS     /* per second; 0: none */
};

/* enumerator, name for programs, sentence for people, what stands behind it */
#define EVENT_KINDS(X)                                                                         \
	X(HANDSHAKE, "handshake", "handshake", WHERE)                                          \
	X(UNANSWERED, "unanswered", "does not answer handshakes", WHERE)                     \
	X(SESSION_ENDED, "session-ended", "session ended, its keys are wiped", NOTHING)        \
	X(ROAMED, "roamed", "moved", WAY)                                                      \
	X(SHARED_KEY, "shared-key", "two machines use its key", WAY)                           \
	X(DROPPED, "dropped", "packets dropped", REASON)                                       \
	X(CONFIGURED, "configured", "its file changed", FIELDS)                                \
	X(RATE_CHANGED, "rate-changed", "rate limit changed", BITS)                             \
	X(QUOTA_WARNED, "quota-warned", "quota nearly used up", PERCENT)                       \
	X(QUOTA_REACHED, "quota-reached", "quota used up", BYTES)                              \
	X(QUOTA_RESET, "quota-reset", "quota begins anew", NOTHING)                            \
	X(QUARANTINED, "quarantined", "quarantined", NOTHING)                                  \
	X(RELEASED, "released", "released from quarantine", NOTHING)                           \
	X(EXPIRED, "expired", "its time is over", NOTHING)

enum event_kind {
#define EVENT_ENUM(id, name, text, word) EVENT_##id,
	EVENT_KINDS(EVENT_ENUM)
#undef EVENT_ENUM
	EVENT_KIND_COUNT
};

/* What a change of configuration changed. */
#define EVENT_FIELDS(X)                                                                        \
	X(ADDRESSES, "addresses")                                                              \
	X(ENDPOINT, "endpoint")                                                                \
	X(PRESHARED_KEY, "preshared key")                                                      \
	X(KEEPALIVE, "keepalive")                                                              \
	X(ANNOUNCE, "announcing")                                                              \
	X(ISOLATE, "isolation")                                                                \
	X(MTU, "MTU")                                                                          \
	X(ON_SHARED_KEY, "what a shared key does")

enum event_field_bit {
#define EVENT_FIELD_BIT(id, text) EVENT_FIELD_BIT_##id,
	EVENT_FIELDS(EVENT_FIELD_BIT)
#undef EVENT_FIELD_BIT
	EVENT_FIELD_BITS
};

enum event_field {
#define EVENT_FIELD(id, text) EVENT_FIELD_##id = 1 << EVENT_FIELD_BIT_##id,
	EVENT_FIELDS(EVENT_FIELD)
#undef EVENT_FIELD
};

/* Address and port; IPv4 as ::ffff:a.b.c.d. A link-local one is kept without its interface. */
struct event_address {
	uint8_t addr[16]; /* network order; all zero: none */
	uint16_t port;    /* host order */
};

struct event {
	uint64_t time : 48; /* ms since 1970, UTC; of several: of the last */
	uint64_t kind : 8;  /* enum event_kind */
	uint64_t reason : 8; /* enum drop_reason, for EVENT_SAYS_REASON */
	union {
		struct {
			struct event_address from, to;
		} way;
		struct {
			struct event_address where;
			uint32_t count; /* so many like it, at least 1; 0: never counted */
			uint32_t span;  /* s from the first of them to the last */
		} run;
		uint64_t value; /* fields, bytes, percent, bits per second */
	};
};

enum {
	EVENTS_MAX = 32,          /* of a peer */
	EVENTS_DROP_QUIET_S = 60, /* a reason is news again after so long without a drop */
	EVENT_TEXT_MAX = 192
};

/* Names for programs ("session-ended"); stable. */
const char *event_name(enum event_kind kind);

/* One sentence for people, without its time. Returns buf. */
const char *event_text(const struct event *event, char buf[EVENT_TEXT_MAX]);

/* How many events in a row it stands for, and the seconds between the first and the last. */
unsigned event_count(const struct event *event, uint32_t *span);

/*
 * Takes down what happened to the peer just now. value: as EVENT_KINDS says, 0 for
 * nothing. Never per packet; a peer that is dead, or no memory: not taken down. Any
 * thread, RCU turn or the only one who knows the peer; takes peer->lock.
 */
void peer_note(struct peer *peer, enum event_kind kind, uint64_t value);

/* The same for EVENT_SAYS_WHERE; one that is unset is left out. */
void peer_note_where(struct peer *peer, enum event_kind kind, const struct endpoint *where);

/* The same for EVENT_SAYS_WAY. */
void peer_note_way(struct peer *peer, enum event_kind kind, const struct endpoint *from,
		   const struct endpoint *to);

/* Copies the events, the newest first. Returns how many. Any thread, RCU turn. */
unsigned peer_events(struct peer *peer, struct event out[EVENTS_MAX]);

#endif
