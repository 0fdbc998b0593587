/* SPDX-License-Identifier: MIT */
/*
 * What floods are made of: a table of kinds, each with a function that writes one datagram
 * or one frame. flood.c puts headers around datagrams and sends. One thread.
 */
#ifndef BERTH_TOOLS_BENCH_FLOOD_H
#define BERTH_TOOLS_BENCH_FLOOD_H

#include <netinet/in.h>

#include "../../crypto/messages.h"
#include "../../src/neighbor/ether.h"

enum {
	FLOOD_FRAME_MAX = 1514,
	FLOOD_PAYLOAD_MAX = 1400, /* leaves room for any headers */
	FLOOD_SOURCES_MAX = 65536,
	FLOOD_POOL = 256,         /* messages that cost a scalar multiplication, made before */
	FLOOD_INDICES = 16
};

struct flood;

struct flood_kind {
	const char *name, *what;
	/* What it cannot do without: the gateway's key, a tenant's number, a prefix. */
	bool key, tenant, prefix;
	/* NULL: nothing to prepare. Before the clock runs. */
	void (*prepare)(struct flood *f);
	/* Writes one datagram of at most FLOOD_PAYLOAD_MAX bytes; returns its length. */
	size_t (*datagram)(struct flood *f, uint8_t *out);
	/* Instead of it: a whole frame of at most FLOOD_FRAME_MAX bytes. */
	size_t (*frame)(struct flood *f, uint8_t *out);
};

extern const struct flood_kind flood_kinds[];
extern const size_t flood_n_kinds;

struct flood {
	const struct flood_kind *kind;
	const char *netns, *dev;
	uint8_t via[ETHER_ADDR_LEN];  /* hardware address that frames go to, */
	uint8_t from[ETHER_ADDR_LEN]; /* and ours */
	bool ipv6;
	uint8_t to[16];     /* network order; IPv4: the first 4 bytes */
	uint8_t prefix[16]; /* likewise */
	uint16_t port, listens; /* sent to; the gateway's */
	uint32_t sources, targets, tenant;
	size_t size;        /* of datagrams whose length is free */
	uint8_t key[NOISE_KEY_LEN];

	uint64_t random; /* state of flood_random() */
	uint32_t source; /* number of the current one, below sources */
	unsigned n_pool;
	uint8_t pool[FLOOD_POOL][MESSAGE_HANDSHAKE_MAX];
	unsigned n_indices;
	uint32_t indices[FLOOD_INDICES]; /* of sessions that live, as seen on the way */
};

/* 64 bits, quickly; not for keys. The sequence is the same in each run. */
uint64_t flood_random(struct flood *f);

void flood_random_bytes(struct flood *f, uint8_t *out, size_t len);

/*
 * Writes Ethernet and IP headers from the current source to addr (4 or 16 bytes; NULL: f->to)
 * for len bytes of protocol proto. Returns where those go.
 */
uint8_t *flood_headers(struct flood *f, uint8_t *frame, const uint8_t *addr, uint8_t proto,
		       size_t len);

/* Completes a UDP datagram whose len bytes of payload stand 8 bytes behind udp; frame as above. */
void flood_udp(struct flood *f, uint8_t *udp, size_t len, uint16_t port);

/* What a datagram's headers and the Ethernet header take. */
static inline size_t flood_headers_len(const struct flood *f)
{
	return ETHER_HEADER_LEN + (f->ipv6 ? 40u : 20u);
}

/*
 * Takes the receiver indices of data messages to the gateway from what passes on the interface,
 * as somebody on the way would. Exits with a message when none comes within three seconds.
 */
void flood_listen(struct flood *f);

#endif
