/* SPDX-License-Identifier: MIT */
/*
 * Packets at a given rate, and how many of them arrive: what udpblast and tenants
 * share. One thread sends, the caller's receives, each in bursts.
 */
#ifndef BERTH_TOOLS_BENCH_LOAD_H
#define BERTH_TOOLS_BENCH_LOAD_H

#include <stdio.h>

#include "../../src/base.h"

/* The order of arrival within one flow. Receiving thread. */
struct load_flow {
	uint64_t next; /* greatest number seen + 1 */
};

struct load_count {
	uint64_t sent;      /* sending thread; packets that the kernel took */
	uint64_t received, bytes, reordered; /* receiving thread */
};

/* One kind of traffic. */
struct load {
	void *arg;
	/* Sends up to n packets at once; returns how many. Sending thread. */
	unsigned (*send)(void *arg, unsigned n);
	/* Takes what arrives within ms, or earlier; counts it. Receiving thread. */
	void (*receive)(void *arg, int ms, struct load_count *count);
};

struct load_result {
	struct load_count count;
	double seconds;  /* of sending */
	double asked;    /* packets per second */
	double received; /* packets per second */
	double loss;     /* of what was sent, 0 to 1 */
};

/* Counts a packet of that number, which arrived in n bytes. */
static inline void load_arrived(struct load_count *count, struct load_flow *flow, uint64_t number,
				size_t n)
{
	count->received++;
	count->bytes += n;
	if (number < flow->next)
		count->reordered++;
	else
		flow->next = number + 1;
}

/*
 * Sends rate packets a second for ms, and waits for the last to arrive. A
 * sender that was not run for a while does not make up for more than two
 * milliseconds, or it would measure queues.
 */
void load_try(const struct load *load, double rate, unsigned ms, struct load_result *out);

/*
 * The greatest rate at which at most LOAD_LOSS of the packets are lost, found by
 * doubling and then by halving the gap; each try lasts ms. Where nothing is lost it
 * is the greatest that this sender can send. *out is the best try, its
 * reordered that of all tries.
 */
#define LOAD_LOSS 0.01
void load_search(const struct load *load, unsigned ms, struct load_result *out);

/* Enters the network namespace of that name; returns the one left, for load_leave(). */
int load_enter(const char *netns);
void load_leave(int old);

/* Monotonic, ns. */
uint64_t load_now(void);

/*
 * A UDP socket in the network namespace of that name (NULL: ours), with large buffers, bound to
 * address and port. Exits with a message when that fails, as everything below.
 */
int load_socket(const char *netns, const char *address, uint16_t port);

/* UTC, ns. */
uint64_t load_utc(void);

struct msghdr;

/* When the kernel received it (SO_TIMESTAMPNS), UTC in ns; without a stamp: now. */
uint64_t load_stamp(struct msghdr *msg);

/* What came, and when; the caller's until the next one is taken. */
struct load_datagram {
	uint8_t *data;
	size_t len;
	const void *from; /* struct sockaddr_in or sockaddr_in6, as the socket is */
	uint64_t stamp;   /* load_stamp() */
};

/* Takes all that lies in the socket. Not from within take. */
void load_receive(int fd, void (*take)(void *arg, const struct load_datagram *d), void *arg);

/* One line of JSON on standard output. */
void load_print(const struct load_result *r);

/* fopen() of what must be there. */
FILE *load_open(const char *path, const char *mode);

_Noreturn void load_die(const char *what);

#endif
