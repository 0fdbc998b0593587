/* SPDX-License-Identifier: MIT */
/*
 * UDP in bursts: the outside of every tunnel.
 *
 * libuv's uv_udp_t gives no control messages (GRO segment size, local address,
 * ECN) and cannot send UDP_SEGMENT, so this is recvmmsg and sendmmsg on plain
 * sockets, which the worker's loop polls.
 *
 * A socket may be sent on by any thread; a burst object belongs to one.
 */
#ifndef BERTH_PATH_UDP_H
#define BERTH_PATH_UDP_H

#include <netinet/udp.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "../base/endpoint.h"
#include "../base/fairq.h"

/* Linux 4.18 and 5.0; spelled out for older headers. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	UDP_RX_MESSAGES = 16,     /* per system call; with GRO each may be 64 packets, */
	UDP_RX_SOME = 4,          /* each of which may cost a cookie: udp_recv_some() */
	UDP_RX_BURST = 256 << 10, /* bytes of one burst: everybody else waits for its end */
	UDP_RX_SLOTS = FAIRQ_SLOTS_MAX, /* messages that were received and wait for their turn */
	/*
	 * What may wait of one peer, by its cost: two megabytes of super-packets. With more there
	 * would not be the slots to empty the socket each time, and others would wait in there
	 * behind him.
	 */
	UDP_RX_FAT = 3 << 20,
	/*
	 * So many bursts have left something in the socket before packets are dropped that we
	 * might have come to: more than it holds, of large packets and of small ones.
	 */
	UDP_RX_PATIENCE = 64,
	UDP_RX_ROUNDS = 64,       /* system calls in a row to empty it then */
	UDP_RX_BUFFER = 65536,    /* the largest datagram, and the largest GRO super-packet */
	UDP_RX_PACKETS = 1024,    /* packets per burst, once split */
	UDP_TX_RUNS = 256,        /* messages in one sendmmsg */
	UDP_TX_PIECES = 1024,     /* packets in one flush */
	UDP_GSO_SEGMENTS = 64,    /* UDP_MAX_SEGMENTS of every kernel that has UDP_SEGMENT */
	UDP_GSO_BYTES = 65000,    /* below 65,535 by any header that may come in front */
	/*
	 * Socket buffers: the default of 208 KiB is a millisecond of traffic, and a worker may
	 * wait as long for a processor. Much more, and others wait behind whoever fills it.
	 */
	UDP_BUFFER = 1 << 20
};

/*
 * The sockets of one queue, one of each per family, sharing their port with each other and with
 * the other queues'. What is not data comes by itself: a flood of it fills no socket but its own,
 * and need not be looked at each time that a packet of data is.
 */
struct udp_sockets {
	int fd4, fd6;               /* data, and all that is sent; -1: the machine has no such family */
	int handshake4, handshake6; /* all else that comes; -1: it comes with the data */
	uint16_t port;              /* host order */
	_Atomic bool gso; /* UDP_SEGMENT; switches itself off where the device refuses */
	bool gro;
	uint32_t overflow4, overflow6; /* udp_rx.overflow, as counted; the queue's worker */
};

/* Datagrams as they came in; split where GRO had merged them. */
struct udp_packet {
	uint8_t *data;
	uint32_t len;
	uint16_t message; /* of udp_rx.from */
	uint8_t ecn;
};

/* A datagram, or several of one sender that GRO has merged. */
struct udp_message {
	void *owner;   /* as udp_recv_burst() was given it; NULL: of nobody any more */
	uint32_t len;
	uint32_t segment; /* size of each packet but the last */
	uint8_t ecn;
	bool oversized;   /* cut by the kernel */
};

/*
 * Whose is a message that has to wait? Any number; those of one number wait for each
 * other. And what is to be counted when it waited in vain: n packets.
 */
struct udp_rx_judge {
	uint32_t (*bucket)(void *owner, const uint8_t *message, size_t len);
	void (*lost)(void *owner, const uint8_t *message, size_t len, unsigned n);
};

struct udp_rx {
	struct udp_packet packets[UDP_RX_PACKETS];
	unsigned n_packets;
	unsigned n_oversized; /* datagrams dropped for that, of those in this burst */
	void *owner;          /* of the burst */
	bool more;            /* the socket may hold more; udp_recv_some() alone */
	uint32_t overflow;    /* what it had no room for, since it was opened; the same */
	unsigned n_held;
	uint16_t held[UDP_RX_MESSAGES]; /* slots of the burst */
	struct endpoint from[UDP_RX_SLOTS];
	struct udp_message messages[UDP_RX_SLOTS];
	struct fairq queue;   /* of slots */
	uint8_t *buffers;     /* UDP_RX_SLOTS × UDP_RX_BUFFER */
};

/* Datagrams to be sent: runs to one peer become one system call. */
struct udp_run {
	struct endpoint to;
	uint8_t ecn;
	unsigned first, n; /* of udp_tx.pieces */
	size_t size;       /* of each piece but the last */
	size_t bytes;
};

struct udp_tx {
	unsigned n_runs, n_pieces;
	unsigned segments; /* how many packets a run may have */
	bool apart;        /* the next packet begins one, wherever it goes: udp_tx_part() */
	struct udp_run runs[UDP_TX_RUNS];
	struct iovec pieces[UDP_TX_PIECES];
	bool stale_src[UDP_TX_RUNS]; /* result: the local address of that run is gone */
	unsigned sent[UDP_TX_RUNS];  /* result: packets the kernel took */
};

/*
 * Opens the sockets of n queues on one port (0: the kernel picks it) into s[0..n).
 * The port is ours alone: a second program gets -EADDRINUSE, although they
 * share it among themselves (SO_REUSEPORT). A machine without IPv6 gets
 * IPv4 alone. -EADDRINUSE, -EACCES, -EPERM (mark), ... Control thread.
 */
must_check int udp_open(struct udp_sockets *s, unsigned n, uint16_t port, uint32_t mark,
			bool offload);

void udp_close(struct udp_sockets *s);

/* SO_MARK on all of them. 0 or -EPERM. Control thread. */
must_check int udp_set_mark(const struct udp_sockets *s, uint32_t mark);

/* 0 or -ENOMEM; the struct is large and belongs on the heap. */
must_check int udp_rx_init(struct udp_rx *rx);
void udp_rx_free(struct udp_rx *rx);

/*
 * Receives what is there, up to one burst. Returns the number of rx->packets. Errors that
 * belong to datagrams we sent (ICMP) are swallowed.
 *
 * When the socket holds more than a burst, all of it is taken, and waits in rx for its turn:
 * whoever sends little is served first, and where there is no room, whoever sends most
 * loses. The burst may then be of another owner, in rx->owner, and udp_rx_waits() says
 * whether there is more. fd -1: nothing is received, only served.
 *
 * *behind is the socket's own: bursts that left something in it, half when it was empty.
 */
unsigned udp_recv_burst(int fd, unsigned *behind, struct udp_rx *rx, void *owner,
			const struct udp_rx_judge *judge);

/*
 * The same of a handshake socket: what one system call brings, in the slots that are free (one is,
 * whatever waits of the other sockets: that of the last burst). The rest stays in the socket, and
 * what has no room there is lost, and told in rx->overflow (which stays as it is when there is no
 * message).
 */
unsigned udp_recv_some(int fd, struct udp_rx *rx, void *owner);

static inline bool udp_rx_waits(const struct udp_rx *rx)
{
	return !fairq_is_empty(&rx->queue);
}

/* What waits for that owner is forgotten, before he goes. */
void udp_rx_forget(struct udp_rx *rx, const void *owner);

/* Empties it, for datagrams that leave through s. */
static inline void udp_tx_reset(struct udp_tx *tx, const struct udp_sockets *s)
{
	tx->n_runs = 0;
	tx->n_pieces = 0;
	tx->apart = false;
	tx->segments = atomic_load_explicit(&s->gso, memory_order_relaxed) ? UDP_GSO_SEGMENTS : 1;
}

/* What is added from here on is in other runs: somebody else's account. */
static inline void udp_tx_part(struct udp_tx *tx)
{
	tx->apart = true;
}

/* Room for n more packets, each perhaps a run of its own? */
static inline bool udp_tx_has_room(const struct udp_tx *tx, unsigned n)
{
	return tx->n_runs + n <= UDP_TX_RUNS && tx->n_pieces + n <= UDP_TX_PIECES;
}

/*
 * Adds one datagram, which must stay in place until the flush. It joins the last
 * run when that has the same destination and mark and an equal size. Returns
 * the number of its run. The caller saw to room.
 */
unsigned udp_tx_add(struct udp_tx *tx, const struct endpoint *to, uint8_t ecn, void *data,
		    size_t len);

/*
 * Sends everything and fills in tx->sent and tx->stale_src. Never waits: what
 * the kernel does not take is lost, as on any network.
 */
void udp_flush(struct udp_sockets *s, struct udp_tx *tx);

/* One datagram, outside the data path. 0 or -errno. Any thread. */
int udp_send_one(struct udp_sockets *s, const struct endpoint *to, const void *data, size_t len);

#endif
