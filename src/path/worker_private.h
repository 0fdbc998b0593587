/* SPDX-License-Identifier: MIT */
/*
 * What a worker is made of, for worker.c (its loop, its life, the peers' timers) and
 * worker_ports.c (the descriptors that it polls). All of it is the worker's thread's, but
 * for what says so.
 */
#ifndef BERTH_PATH_WORKER_PRIVATE_H
#define BERTH_PATH_WORKER_PRIVATE_H

#include <uv.h>

#include "../base/clock.h"
#include "../base/inbox.h"
#include "../base/rcu.h"
#include "../base/wheel.h"
#include "datapath.h"

struct port;
struct worker;

/* Something that control wants done on the worker's thread, and waits for. */
struct call {
	/* True: done. False: call_finish() will be called later, and perhaps was already. */
	bool (*fn)(struct worker *w, struct call *call);
	struct queue *queue;
	struct udp_sockets *udp;
	int result;
	uv_sem_t done;
};

struct worker {
	uv_thread_t thread;
	uv_loop_t loop;
	uv_async_t wake;
	uv_timer_t timer;
	uv_prepare_t prepare;
	unsigned senders;      /* rings that sent something in this turn of the loop */
	unsigned senders_last; /* and in the one before */
	struct inbox peers;
	_Atomic(struct call *) call; /* one at a time: control waits */
	struct call *closing;        /* whose handles are being closed */
	struct wheel wheel; /* of sessions */
	struct wheel pace;  /* of packets that wait for their rate */
	struct port *ports;
	struct port *resting; /* whose handshake sockets are not polled until rest_end */
	uint64_t rest_begun, rest_for, rest_end; /* ns, of the loop's clock */
	uv_timer_t rest;
	_Atomic uint64_t bursts, received, sent; /* this thread writes; worker_load */
	_Atomic unsigned asked, answered; /* control, this thread: workers_silent() */
	struct burst burst;
};

static inline void worker_turn_begin(struct worker *w)
{
	rcu_turn_begin();
	w->burst.now = clock_now();
}

/* The last that the worker sees of a call: control's stack may be gone after this. */
static inline void call_finish(struct call *call)
{
	uv_sem_post(&call->done);
}

/* Calls, as worker_attach(), worker_detach() and worker_set_sockets() make them. */
bool ports_attach(struct worker *w, struct call *call);
bool ports_detach(struct worker *w, struct call *call);
bool ports_set_sockets(struct worker *w, struct call *call);

/* Goes on with what no descriptor tells of: super-packets half way, messages that wait. */
void ports_go_on(struct worker *w);

/* Before each turn of the loop: who sends in this one shares with who sent in the last. */
void ports_new_turn(struct worker *w);

#endif
