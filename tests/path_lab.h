/* SPDX-License-Identifier: MIT */
/*
 * Two routers in one process, with their workers and the handshake thread, but on
 * fake wires and a fake clock. Nothing passes between them unless the test carries it.
 *
 *	10.0.0.2, fd00::2    home ───────────── gate    everything else, 10.0.0.1
 *	                     192.0.2.2:2222     192.0.2.1:1111
 *	                     [2001:db8::2]:2222 [2001:db8::1]:1111
 *
 * The gate owns what home's peer says (0.0.0.0/0 and ::/0); home owns 10.0.0.2 and fd00::2
 * there, and does not know where home is until it speaks.
 */
#ifndef BERTH_TESTS_PATH_LAB_H
#define BERTH_TESTS_PATH_LAB_H

#include <check.h>

#include "../src/path/device_peers.h"
#include "fake_wire.h"
#include "fakes.h"
#include "packets.h"

enum { LAB_MTU = 1420, LAB_PACKET_MAX = 70000 };

struct tally {
	uint64_t device[DROP_REASON_COUNT], peer[DROP_REASON_COUNT];
};

struct side {
	struct device *dev;
	uint8_t private_key[32], public_key[32];
	struct endpoint at4, at6; /* as the other side sees it */
	int tun, udp4, udp6, handshake4, handshake6; /* wires */
	struct peer *peer; /* the other side */
	struct tally before;
};

struct lab {
	struct workers ws;
	struct side home, gate;
	bool v6; /* which family carries */
};

/* Starts both, strangers to each other. offload as of device_open(). */
void lab_start(struct lab *lab, unsigned workers, bool offload);
void lab_stop(struct lab *lab);

/* The same, and they know each other; home knows where the gate is. psk may be NULL. */
void lab_start_acquainted(struct lab *lab, const uint8_t *psk);
void lab_meet(struct lab *lab, const uint8_t *psk);

/* One change, which must succeed. */
void lab_apply(struct side *side, const struct change *change);
/* A peer of side: public key and one or two addresses, as text. */
struct peer *lab_add_peer(struct side *side, const uint8_t public_key[32], const char *name,
			  const struct endpoint *at, const char *ip, const char *ip2);

/* Waits until all threads have done what there is to do. */
void lab_settle(struct lab *lab);
/* Turns the clock, and lets the workers see it. */
void lab_wait(struct lab *lab, uint64_t ns);
/* The same second by second, and carries what is sent meanwhile. */
void lab_live(struct lab *lab, unsigned seconds);
/* Carries datagrams both ways until none is left. */
void lab_carry(struct lab *lab);
/* All of: a packet from home to the gate, and what it takes to bring it there. */
void lab_connect(struct lab *lab);

/* Checks say in which line of the test they failed: hence the macros. */

/* Datagrams a side has sent, of either family, the oldest first; NULL: none. */
struct fake_packet *lab_sent(struct side *side);
/* Takes one that must be there, of that type and length. */
struct fake_packet *lab_sent_one_at(int line, struct side *side, uint32_t type, size_t len);
#define lab_sent_one(side, type, len) lab_sent_one_at(__LINE__, side, type, len)
void lab_sent_nothing_at(int line, struct side *side);
#define lab_sent_nothing(side) lab_sent_nothing_at(__LINE__, side)
/* Hands a datagram to a side, at the socket where the kernel's filter would. */
void lab_inject(struct side *to, const struct endpoint *from, uint8_t ecn, const void *data,
		size_t len);
/* The same, and settles. */
void lab_deliver(struct lab *lab, struct side *to, const struct endpoint *from, uint8_t ecn,
		 const void *data, size_t len);
/* Delivers what was taken from one side to the other as it would have arrived; frees it. */
void lab_forward(struct lab *lab, struct side *to, struct fake_packet *p);

/* A packet comes from side's TUN device; settles. */
void lab_tun_in(struct lab *lab, struct side *side, const void *packet, size_t len);
/* Exactly this comes out of side's TUN device, and nothing else. */
void lab_tun_out_at(int line, struct side *side, const void *packet, size_t len);
#define lab_tun_out(side, packet, len) lab_tun_out_at(__LINE__, side, packet, len)
void lab_tun_silent(struct side *side);

/* An inner packet of len bytes with a right header; text addresses. Returns len. */
size_t lab_packet(uint8_t *out, const char *src, const char *dst, size_t len);

/* Data passes both ways. */
void lab_check_tunnel(struct lab *lab);

/* The key side sends with now, or NULL. Inside an RCU turn. */
struct session_key *lab_key(struct side *side);
/* A data message of side to the other, under a key and counter of the test's choice. */
size_t lab_seal(uint8_t *out, const struct session_key *key, uint64_t counter,
		const void *inner, size_t len);

/* Forgets what was counted until now. */
void lab_mark(struct side *side);
/* Since the mark exactly n packets died, for that reason, counted so; marks again. */
void lab_dropped_at(int line, struct side *side, enum drop_reason reason, unsigned n,
		    bool at_peer);
#define lab_dropped(side, reason, n, at_peer) lab_dropped_at(__LINE__, side, reason, n, at_peer)
#define lab_dropped_nothing(side) lab_dropped_at(__LINE__, side, 0, 0, false)

#endif
