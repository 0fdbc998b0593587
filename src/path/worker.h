/* SPDX-License-Identifier: MIT */
/*
 * Workers: threads that carry packets, each with its own loop, buffers, AEAD
 * context and timing wheel. A device has a queue on each of its workers.
 *
 * All functions are the control thread's, but for worker_wake().
 */
#ifndef BERTH_PATH_WORKER_H
#define BERTH_PATH_WORKER_H

#include "datapath.h"

struct worker;

/* All threads but control: made at start, shared by all devices. */
struct workers {
	unsigned n;
	struct worker **worker;
	struct handshake_thread *handshake;
};

/*
 * Starts n workers (0: one per processor this process may use) and the
 * handshake thread. crypto as aead_new() takes it. 0 or -errno.
 */
must_check int workers_start(struct workers *ws, unsigned n, const char *crypto);

/* Ends and joins all threads. After the last device is closed. */
void workers_stop(struct workers *ws);

/*
 * Asks every thread for a sign of life, by the way that work comes to it. Returns one that
 * has given none since the last call: the number of a worker, n for the handshake
 * thread; -1: there is none (always at the first call).
 */
must_check int workers_silent(struct workers *ws);

/* What a worker has done since it was started. */
struct worker_load {
	uint64_t processor; /* ns of processor time, by the kernel's account */
	uint64_t bursts;    /* turns that carried packets */
	uint64_t received;  /* datagrams */
	uint64_t sent;      /* packets read from the TUN device */
};

/* Of worker i < ws->n. */
void workers_load(const struct workers *ws, unsigned i, struct worker_load *out);

/* Name of the AEAD provider in use. */
const char *workers_crypto(const struct workers *ws);

/*
 * Puts a queue on a worker, which begins to read its TUN descriptor at once
 * and its sockets when they are set. The queue stays the caller's. 0 or -errno.
 */
must_check int worker_attach(struct worker *w, struct queue *q);

/*
 * Takes the queue off again: when this returns, the worker touches neither it
 * nor its descriptors any more, and every look at a peer's timers is over.
 */
void worker_detach(struct worker *w, struct queue *q);

/*
 * Replaces the queue's sockets (NULL: none). When this returns the worker polls
 * the new ones; the old may be closed a grace period later. 0 or -errno.
 */
must_check int worker_set_sockets(struct worker *w, struct queue *q, struct udp_sockets *udp);

/* The peer's home worker is to do something (enum peer_work). Any thread, RCU turn. */
void worker_wake(struct worker *w, struct peer *peer, unsigned work);

/*
 * The same in two steps, for whoever posts much. worker_post: true when the worker is to be
 * woken, as soon as that may be. Any thread, the first in an RCU turn.
 */
must_check bool worker_post(struct worker *w, struct peer *peer, unsigned work);
void worker_wake_posted(struct worker *w);

#endif
