/* SPDX-License-Identifier: MIT */
/*
 * A case while it is played against one target.
 *
 * A case is a function. It is called once for each target, with the same random numbers, and
 * does two things at a time: it sends, and it says by the want_ functions what the paper
 * demands to come of it. What did come is taken down by the play itself. When the function has
 * returned, the two are compared: a third opinion beside those of the two targets, so that a
 * case in which both are silent because the driver sends nonsense is seen, too.
 *
 * Nothing is waited for by the clock: a packet that is known to be good goes after those that
 * are tried (the fence), on the same path. When it comes out, all before it have been decided.
 */
#ifndef BERTH_TESTS_DIFFERENTIAL_PLAY_H
#define BERTH_TESTS_DIFFERENTIAL_PLAY_H

#include "../../crypto/aead.h"
#include "../../crypto/cookie.h"
#include "../../crypto/noise.h"
#include "known.h"
#include "side.h"

enum {
	PEERS = 24,       /* that cases are played with, in turn; those of odd numbers have a psk */
	FENCES = 24,      /* peers of the handshake fence; numbers from PEERS on */
	FIRST_GUEST = 1000, /* peers of one case alone */
	MEETINGS = 8,     /* of one case */
	ENTRIES = 200,
	ENTRY_LEN = 80
};

/* A peer of a target: we. */
struct peer_keys {
	uint32_t number;
	struct noise_local local;
	uint8_t psk[NOISE_KEY_LEN]; /* zero: none */
	uint64_t busy_until; /* ns: no initiation of it before, it would be one too many (§5.1) */
};

/* A handshake, whoever began it, and the session that it becomes. */
struct meeting {
	struct peer_keys *peer;
	uint32_t index; /* ours */
	struct noise_remote remote;
	struct message_initiation first;
	struct message_response second;
	bool answered; /* the target's response is in second */
	bool ready;    /* session is there */
	struct noise_session session;
	uint64_t next; /* counter */
};

/* What is wanted, or came: lines of text, in order. */
struct list {
	unsigned n;
	char entry[ENTRIES][ENTRY_LEN];
};

struct letter {
	size_t len;
	uint8_t data[DATAGRAM_MAX];
};

struct play {
	struct side *side;
	struct aead *aead;
	uint8_t target_key[NOISE_KEY_LEN]; /* the public one */
	struct cookie_maker macs;  /* of the target's key */
	struct peer_keys peers[PEERS + FENCES];
	uint64_t stamp;      /* the last timestamp of ours */
	unsigned next_peer, next_fence;
	unsigned patience;   /* factor of all waits */
	bool talk;           /* print what is sent and what comes */
	bool elsewhere;      /* what is taken in has come there */
	bool seen[DIFFERENCES];

	/* of one case */
	uint64_t random;
	unsigned turn;       /* how many of its kind came before */
	struct peer_keys *peer;
	struct peer_keys guest;
	struct meeting meetings[MEETINGS];
	unsigned n_meetings;
	struct message_initiation call; /* the target's last */
	unsigned calls;
	bool foul;           /* a step that the case stands on has failed */
	struct list want_tun, got_tun, want_udp, got_udp;
	uint64_t want_rx;
	uint64_t begun; /* s since 1970 */
	struct counts before, after;
	uint64_t fence, fence_seen; /* numbers */
	uint32_t fence_index; /* of the initiation that is the fence */
	bool fence_answered;
	struct letter letter, buf;
};

/* Makes the keys of all peers. */
void play_init(struct play *p, struct side *side, const struct noise_local *target);
void play_clear(struct play *p);

/* The words of the cross-platform protocol that make keys a peer; port: where it is, 0: unknown. */
void play_peer_words(const struct peer_keys *keys, uint16_t port, char out[1024]);
void play_keys(struct peer_keys *keys, uint32_t number);

/* A number below n, the same for both targets. */
uint64_t dice(struct play *p, uint64_t n);
void dice_bytes(struct play *p, void *buf, size_t len);

/* Does this target do otherwise than the paper in this? Then that is what is to be wanted. */
bool deviates(struct play *p, enum difference d);

/* A step that must succeed: the case is failed with that text otherwise. Returns good. */
bool must(struct play *p, bool good, const char *what);

void want_tun(struct play *p, const void *packet, size_t len);
/* "response", "keepalive", "initiation", "cookie"; " elsewhere" behind it at the other port. */
void want_udp(struct play *p, const char *what);
/* The packet, sealed and padded by the target (§5.4.6). */
void want_data(struct play *p, const void *packet, size_t len);
void want_data_elsewhere(struct play *p, const void *packet, size_t len);

/* Handshakes that we begin */

/* A new initiation, not sent yet. */
struct meeting *begin(struct play *p);
/* The same as if made by other keys, or for another target. */
struct meeting *begin_as(struct play *p, struct peer_keys *keys, const uint8_t *target_key,
			 const uint8_t *psk);
/* Until an initiation of that peer is no flood; it takes in what comes meanwhile. */
void wait_for_turn(struct play *p, const struct peer_keys *keys);
/* Waits for its turn, and sends it. */
void send_initiation(struct play *p, struct meeting *m);
/* Waits for the response; counts it as wanted, in the second case at the other port. */
bool await_response(struct play *p, struct meeting *m);
bool await_response_elsewhere(struct play *p, struct meeting *m);
/* Derives the keys; false: the response is not good. */
must_check bool take_response(struct meeting *m, const struct noise_local *local);
/* An empty packet: the target now knows that we have the keys. */
void confirm(struct play *p, struct meeting *m);
/* All of these. */
struct meeting *meet(struct play *p);

/* Handshakes that the target begins */

/* The case is played with a peer that the target has never heard of before. */
void invite_guest(struct play *p);
void dismiss_guest(struct play *p);
/* Waits for the target's initiation; counts it as wanted. NULL: none came, or it is not good. */
struct meeting *await_call(struct play *p);
/* Writes the answer and derives the keys; not sent. */
bool answer(struct play *p, struct meeting *m);

/* Recomputes mac1, of a handshake message of len bytes, at least SEALED_MIN: type, index, macs. */
enum { SEALED_MIN = 8 + sizeof(struct message_macs) };
void seal_macs(struct play *p, void *msg, size_t len);

/* Data */

/* Puts a sealed message into p->letter. */
void seal(struct play *p, const struct meeting *m, uint64_t counter, const void *plain,
	  size_t len);
void post(struct play *p);
void post_bytes(struct play *p, const void *data, size_t len);
/* Seals with the next counter, sends, wants it to be counted; and to come out, if good. */
void send_packet(struct play *p, struct meeting *m, const void *packet, size_t len, bool good);

/* Waits for everything before it to be decided: data of that session, handshakes. */
void fence_data(struct play *p, struct meeting *m);
void fence_at(struct play *p, struct meeting *m, uint64_t counter);
void fence_handshakes(struct play *p);
/* Until n entries have come by UDP, which are wanted. */
bool await_udp(struct play *p, unsigned n);
/* Until the target has counted as many bytes of the peer as are wanted. */
void await_counted(struct play *p);

/* Inner packets */

enum { IP4 = 4, IP6 = 6 };

/*
 * Lays out a packet of exactly len bytes (from 20, or 40) of a protocol that nobody merges,
 * from host number host of the peer's network (1 to 200) to the target's, with random contents.
 */
void lay(struct play *p, int version, unsigned host, uint8_t *packet, size_t len);
/* The same the other way. */
void lay_back(struct play *p, int version, uint8_t *packet, size_t len);
/* Checksum of an IPv4 header of 20 bytes. */
void sum_ip4(uint8_t *packet);

/* Begins the case of that random seed; ends it, true when all came as it was wanted. */
void play_begin(struct play *p, uint64_t seed, unsigned turn);
bool play_end(struct play *p);
/* What was wanted and what came, as text. */
void play_report(const struct play *p, char *out, size_t size);

#endif
