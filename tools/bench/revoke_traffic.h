/* SPDX-License-Identifier: MIT */
/*
 * The traffic of revoke: number 1 at full rate each way, all others a little, and
 * somebody on the link who asks for number 1's address.
 */
#ifndef BERTH_TOOLS_BENCH_REVOKE_TRAFFIC_H
#define BERTH_TOOLS_BENCH_REVOKE_TRAFFIC_H

#include <pthread.h>
#include <stdatomic.h>

#include "crowd.h"
#include "solicit.h"

/* One way of number 1, or the questions for it. */
struct flow {
	_Atomic uint64_t sent, received;
	_Atomic uint64_t last; /* UTC ns: when the kernel received the last one */
	uint64_t progress;     /* sending thread: monotonic ns of the last burst */
};

enum { FLOW_UP, FLOW_DOWN, FLOW_ASKED, FLOWS };

struct traffic {
	/* constant while it runs */
	unsigned n;
	struct member *members; /* numbered from 1; each is its sending thread's */
	int victim, crowd;             /* outer sockets, of number 1 and of all others */
	int world_victim, world_crowd; /* in the world */
	struct solicit solicit;
	/* counted by its threads */
	struct flow flow[FLOWS];
	uint64_t steady_up, steady_down;   /* sent; to be read after traffic_stop() */
	_Atomic uint64_t got_up, got_down;
	/* its own */
	_Atomic bool stop_sending, stop_receiving;
	pthread_t senders[3], receiver;
};

/* A context for the calling thread. */
struct aead *traffic_aead(void);

/*
 * Opens the sockets: tenants at address of netns, who call the gateway, and
 * world_address in world_netns, on whose interface link victim is asked for.
 */
void traffic_open(struct traffic *t, const char *netns, const char *address, const char *gateway,
		  const char *world_netns, const char *world_address, const char *link,
		  const char *victim);

/* All members must have sessions. */
void traffic_start(struct traffic *t);

/* Stops sending, and receiving when the last has arrived. */
void traffic_stop(struct traffic *t);

void traffic_sleep(unsigned ms);

#endif
