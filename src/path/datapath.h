/* SPDX-License-Identifier: MIT */
/*
 * The path of a packet. Read this first.
 *
 * Each worker runs a packet to completion: no queue between threads, no lock
 * per packet, no allocation. The bursts below are turns of the worker's loop
 * (worker.c), one RCU turn each (base/rcu.h).
 *
 * INBOUND: UDP → TUN                                               file       thread
 *
 *  (the kernel)           data to the socket of its peer's home, all
 *                         else to a socket of its own               udp_open.c
 *  udp_recv_burst         recvmmsg; GRO super-packets split; when
 *                         there is more than a burst, each peer in
 *                         turn, whoever sends little first         udp.c      worker
 *  udp_recv_some          the same of the other sockets, a bounded
 *                         number, once a millisecond               udp.c      worker
 *   classify              length and type only                     receive.c  worker
 *    ├ take_handshake     mac1, under load mac2 and rate per
 *    │                    source, then a copy into a bounded ring  receive.c  worker
 *    │                    → handshake_push                         handshake.c handshake
 *    │                    answers go back to the peer's worker:
 *    │                    send_handshake                           send.c     worker
 *    └ data
 *      lookup_keys        receiver index → keys → peer             receive.c  worker
 *      open_burst         AEAD, in place                           crypto/aead
 *      accept_runs        replay window, roaming, key
 *                         confirmation, time stamps                receive.c  worker
 *      deliver            inner header, padding, ECN; the source
 *                         must be the peer's own; at a gateway
 *                         nothing of link scope, and nothing to
 *                         another tenant if one is isolated        border.c   worker
 *                         MSS of a SYN; then its rate: what is
 *                         too fast waits, or is dropped            receive.c  worker
 *  tun_write_burst        gro: one flow's packets in one write     tun/       worker
 *
 * OUTBOUND: TUN → UDP
 *
 *  (the kernel)           a ring for each address; the rings take
 *                         turns, what is too much for one is lost
 *                         in that one                              tun/steer.c
 *  tun_read_burst         read; gso lays super-packets out, each   tun/       worker
 *                         packet in its slot of the send buffer:
 *                         | message_data | inner | 0… | tag |
 *   route_keep_apart      from tenant to tenant, if one is
 *                         isolated: by another way than inbound    route.c    worker
 *   route_packets         destination → peer; none: ICMP error;
 *                         packets of one peer become one group     route.c    worker
 *    fit                  MSS of a SYN; larger than the tenant's
 *                         MTU: ICMP error, or cut to pieces        route.c    worker
 *   route_limit           the tenant's rate: what is too fast
 *                         waits, or is dropped                     route.c    worker
 *   route_hold_back       what must wait behind staged packets     route.c    worker
 *   assign                key and nonces of a group, one atomic
 *                         add; no key: staged, handshake wanted    send.c     worker
 *   aead_seal_burst       AEAD, in place                           crypto/aead
 *   queue_group           to the peer's endpoint                   send.c     worker
 *  udp_flush              runs of equal size: UDP_SEGMENT          udp.c      worker
 *
 * Where the rate is asked for, the quota is, too (peer/meter.h). What waits for its rate
 * (peer/limit.h) is taken up by the peer's home worker, on a timer: deliver_held() and
 * send_held(). Tenants without a limit have no queue.
 *
 * Everybody may read what stands here; who may write is said at each field.
 */
#ifndef BERTH_PATH_DATAPATH_H
#define BERTH_PATH_DATAPATH_H

#include "../../crypto/aead.h"
#include "../../crypto/ratelimit.h"
#include "../../tun/tun.h"
#include "../base/packet.h"
#include "../peer/learned.h"
#include "../table/allowedips.h"
#include "../table/counters.h"
#include "udp.h"

struct handshake_thread;
struct own_addresses;
struct datapath;

/* Who we are. Immutable once published; replaced as a whole. */
struct identity {
	struct noise_local local;
	struct cookie_checker checker;
	struct secret_pool *pool;
	struct rcu_head rcu;
};

/* What the data path asks of the level above. Any thread. */
struct datapath_ops {
	/* A peer's home worker has work (flags of enum peer_work). RCU turn. */
	void (*wake_worker)(struct datapath *dp, struct peer *peer, unsigned work);
	/* The same in two steps, for many peers. True: the home worker is to be woken. */
	bool (*post_work)(struct datapath *dp, struct peer *peer, unsigned work);
	void (*wake_home)(struct datapath *dp, unsigned home);
	/* A peer has not answered for so long that a handshake is begun, or begun again. */
	void (*unanswered)(struct datapath *dp);
	/* The TUN queue is gone: deleted from outside. */
	void (*tun_gone)(struct datapath *dp);
};

/* One device's share of one worker. Fields: that worker, but where noted. */
struct queue {
	struct datapath *dp;
	unsigned number;
	struct tun_queue tun;
	_Atomic(struct udp_sockets *) udp; /* control replaces */
	unsigned behind[2]; /* udp_recv_burst(), of its IPv4 and IPv6 sockets */
	struct burst *burst;               /* the worker's, shared by its queues in turn */
	struct tun_reader *reader;
};

/* One WireGuard device, as all its queues see it. */
struct datapath {
	struct peer_group peers;           /* handshakes and keys by receiver index */
	struct allowedips allowedips;      /* addresses → peers; control writes */
	struct peertable *table;           /* public keys → peers; control writes */
	_Atomic(struct identity *) identity; /* NULL: none; control writes */
	_Atomic uint32_t mtu;              /* inner; control writes */
	struct drop_counters drops;        /* of the device, those of its peers included */
	struct handshake_counters handshakes;
	struct handshake_thread *handshake;
	const struct datapath_ops *ops;
	const char *name; /* of the interface, for messages */
	bool gateway;     /* its peers are tenants: border.h. Constant, as the next */
	bool isolate;     /* those who do not say otherwise */
	_Atomic unsigned n_isolated;         /* tenants; control writes */
	_Atomic(struct own_addresses *) own; /* border.h; NULL: none; control writes */
	unsigned n_queues;
	struct queue *queues;
};

enum {
	BURST_PACKETS = 1024, /* as udp_rx yields, and tun_read_burst is asked for */
	BURST_REPLIES = 64,   /* cookie replies that leave at once */
	/* The send buffer: five super-packets. More would leave the second-level cache. */
	BURST_ARENA = 384 << 10,
	/* What each ring may send of that at once when many have something: a super-packet. */
	BURST_SHARE = 72 << 10,
	/* What is read of small packets at once: each counts as so many bytes at least. */
	BURST_PACKET_COST = 768,
	/*
	 * Pieces of packets that are cut, in one round: what has been routed is sent before there
	 * is room for more. Each in a slot of its own behind the arena.
	 */
	BURST_PIECES = 128,
	BURST_PIECE_MAX = 2048, /* a tunnel of more than this has no need to cut */
	BURST_PIECE_SLOT = BURST_PIECE_MAX + 64,
	BURST_ALL = BURST_PACKETS + BURST_PIECES
};

/* What one packet is while it passes. */
struct packet {
	struct session_key *key;
	struct peer *peer;
	uint8_t *data; /* inbound: the message, then the inner packet */
	uint32_t len;
	uint16_t message; /* inbound: of udp_rx.from */
	uint8_t ecn;
	bool dead;
};

/* Packets of one peer within an outbound burst. */
struct group {
	struct peer *peer;
	struct session *session;
	struct session_key *key;
	struct endpoint to;
	unsigned first, last; /* packets, linked by burst.next */
	unsigned n;
	uint16_t slot; /* of burst.group_of */
	uint16_t mtu;  /* the peer's own; 0: the device's */
	bool data;     /* not only a keepalive */
};

/*
 * Buffers of one worker, laid out once. Only that worker touches them.
 */
struct burst {
	uint64_t now; /* monotonic ns; read once per turn */
	struct gso_layout layout; /* of what lies in the arena: the MTU may change meanwhile */
	struct aead *aead;
	struct gro gro;
	struct ratelimit sources; /* handshakes by source, under load */
	/* Of who was asked for cookies last. Not locked: of use to nobody after four minutes. */
	struct cookie_epochs epochs;
	struct ratelimit icmp;    /* ICMP errors by sender */
	struct udp_rx rx;
	struct udp_tx tx;
	unsigned n_replies; /* in tx, while handshake messages are looked at */
	struct message_cookie_reply replies[BURST_REPLIES];
	struct packet packets[BURST_ALL]; /* the last ones: of pieces */
	unsigned n_pieces;
	struct aead_op ops[BURST_ALL];
	uint16_t op_packet[BURST_PACKETS]; /* op → packet */
	struct span spans[BURST_PACKETS];
	uint16_t next[BURST_ALL];          /* packet → next of its group */
	struct group groups[BURST_PACKETS];
	unsigned n_groups;
	uint16_t group_of[2 * BURST_PACKETS]; /* hash of a peer → group + 1 */
	uint8_t *arena;                    /* BURST_ARENA, and BURST_PIECES slots */
};

/*
 * Counts packets that died at the device, and at the peer if one is known (NULL
 * otherwise). Any thread, RCU turn.
 */
static inline void datapath_drop(struct datapath *dp, struct peer *peer, enum drop_reason reason,
				 uint64_t n)
{
	if (!n)
		return;
	counter_add(&dp->drops.n[reason], n);
	if (!peer)
		return;
	peer_count_drop(peer, reason, n);
	learned_counted(peer);
}

/* What packets to the peer may be long: its own MTU, but never more than the device's. Any thread. */
static inline uint16_t datapath_mtu(const struct datapath *dp, const struct peer *peer)
{
	uint32_t device = atomic_load_explicit(&dp->mtu, memory_order_relaxed);
	uint32_t own = atomic_load_explicit(&peer->mtu, memory_order_relaxed);

	return (uint16_t)(own ? min(own, device) : device);
}

/* May the sender of a packet be told something? Not more often than its rate allows. Worker. */
must_check static inline bool datapath_may_answer(struct burst *b, const struct inner *in)
{
	return ratelimit_allow(&b->icmp, in->src, in->family == AF_INET ? 4 : 16, b->now);
}

/* Who owns the address? Network order. RCU turn, any thread. */
static inline struct peer *datapath_owner(const struct datapath *dp, uint8_t family,
					  const uint8_t *addr)
{
	return family == AF_INET ? allowedips_lookup4(&dp->allowedips, addr)
				 : allowedips_lookup6(&dp->allowedips, addr);
}

/*
 * receive.c: one burst from a data socket of the queue (fd4 or fd6), or of what waits in
 * burst->rx (fd -1), perhaps for another queue. Returns the number of datagrams, 0 when
 * there were none. Worker, RCU turn, burst->now set.
 */
unsigned receive_burst(struct queue *q, int fd);

/*
 * receive.c: what one system call takes from a handshake socket of the queue. Returns the number of
 * datagrams; *more: there may be more. Worker, RCU turn, burst->now set.
 */
unsigned receive_handshakes(struct queue *q, int fd, bool *more);

/*
 * send.c: one burst from a ring of the TUN device (a descriptor; -1: only the rest of the
 * super-packet that the last burst ended in), up to so many bytes: at least BURST_SHARE, at
 * most BURST_ARENA. Returns the number of packets, 0 when there were none or none good;
 * negative: the device is gone. Worker, RCU turn.
 */
int send_burst(struct queue *q, int ring, size_t bytes);

/*
 * send.c: sends what the peer has staged under its current key, or asks for a
 * handshake when there is none. True when anything was sent. Worker, RCU turn.
 */
bool send_staged(struct queue *q, struct peer *peer);

/*
 * Lets go what waits for the peer's rate and may pass now: receive.c to the TUN device, send.c to
 * the peer. The peer has a limit. Returns when to come again (monotonic ns), UINT64_MAX when nothing
 * waits. The peer's home worker and queue, RCU turn.
 */
uint64_t deliver_held(struct queue *q, struct peer *peer);
uint64_t send_held(struct queue *q, struct peer *peer);

/*
 * send.c: sends the handshake message that the handshake thread has left for the peer.
 * Worker, RCU turn.
 */
void send_handshake(struct queue *q, struct peer *peer);

/*
 * send.c: sends an empty packet (§6.5), or asks for a handshake when there is no
 * key to send it with. Worker, RCU turn.
 */
void send_keepalive(struct queue *q, struct peer *peer);

#endif
