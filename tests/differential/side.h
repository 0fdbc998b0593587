/* SPDX-License-Identifier: MIT */
/*
 * One of the two targets, as its surroundings see it: a UDP port, a TUN device whose packets
 * can be watched and made, and the socket that `wg` speaks to. Whatever fails here ends the
 * program with a message. A side belongs to one thread.
 */
#ifndef BERTH_TESTS_DIFFERENTIAL_SIDE_H
#define BERTH_TESTS_DIFFERENTIAL_SIDE_H

#include "../../src/base.h"

enum which { OURS, THEIRS, SIDES };

enum {
	DATAGRAM_MAX = 65536,
	TARGET_PORT = 51820,
	MTU = 1420
};

struct side {
	enum which which;
	int udp;  /* connected: what comes from one address is decided in its order */
	int elsewhere; /* the same from another port */
	int tap;  /* packet socket at its TUN device */
	int uapi; /* a connection that is kept */
	int ifindex;
	uint16_t port; /* our own */
	uint32_t last_index; /* of ours: side_index() */
	uint64_t strays;     /* what timers of earlier cases have sent */
};

/* Of a peer, as `wg show` has it. */
struct counts {
	uint64_t rx, tx; /* bytes */
	uint64_t handshake; /* s since 1970; 0: none */
};

/* Attaches to the target in namespace netns whose interface is ifname; waits for nothing. */
void side_open(struct side *s, enum which which, const char *netns, const char *ifname);
void side_close(struct side *s);

/*
 * A receiver index of ours that was never used before. They do not follow each other: one in which
 * a bit is changed is nobody's.
 */
uint32_t side_index(struct side *s);

/* One datagram; tos is the outer TOS byte. The second is for what comes from elsewhere. */
void side_send(struct side *s, const void *data, size_t len, uint8_t tos);
void side_send_elsewhere(struct side *s, const void *data, size_t len);

/* Puts a packet into the TUN device, as if the target's machine had sent it. */
void side_poke(struct side *s, const void *packet, size_t len);

/*
 * Waits at most ms for either. What came of each is in buf (DATAGRAM_MAX bytes), its length the
 * result; 0: nothing. side_tapped() leaves out what side_poke() has sent.
 */
void side_wait(struct side *s, int ms);
size_t side_received(struct side *s, bool elsewhere, uint8_t *buf);
size_t side_tapped(struct side *s, uint8_t *buf);

/* A set operation, without its first and its empty last line. */
void side_configure(struct side *s, const char *lines);

/* What the target has counted of the peer; all zero when it has none. */
void side_counts(struct side *s, const uint8_t public_key[32], struct counts *out);

#endif
