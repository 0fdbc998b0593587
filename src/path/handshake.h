/* SPDX-License-Identifier: MIT */
/*
 * The handshake thread: everything that costs a scalar multiplication. A
 * responder's handshake takes four of them, as long as 290 data packets, so
 * none is ever made on a worker.
 *
 * Two ways in. Messages from the network come through a bounded ring, after
 * the worker has found mac1 good; a full ring drops them. Wishes of our own (a
 * peer needs keys) come through an inbox that cannot be full.
 */
#ifndef BERTH_PATH_HANDSHAKE_H
#define BERTH_PATH_HANDSHAKE_H

#include "datapath.h"

struct handshake_thread;

/* A handshake or cookie message as it came in. */
struct handshake_message {
	struct datapath *dp;
	struct endpoint from;
	uint32_t len;
	uint8_t data[MESSAGE_HANDSHAKE_MAX];
};

/* Starts the thread. 0 or -errno. Control thread. */
must_check int handshake_start(struct handshake_thread **out);

/* Ends and joins it; what waits is dropped. After the last device is gone. Control thread. */
void handshake_stop(struct handshake_thread *ht);

/*
 * Returns once everything that was queued before has been dealt with: when no
 * worker queues for a device any more, the device may go afterwards. Control
 * thread, outside an RCU turn.
 */
void handshake_drain(struct handshake_thread *ht);

/*
 * Has the thread turned its loop since the last call (true at the first)? Asks it to do
 * so once more. Control thread.
 */
must_check bool handshake_answers(struct handshake_thread *ht);

/* How busy the thread is. */
struct handshake_load {
	uint64_t processor;  /* ns of processor time since the start */
	size_t queued, room; /* messages that wait, and how many can */
};

/* Control thread. */
void handshake_load(const struct handshake_thread *ht, struct handshake_load *out);

/* Queues a message; false: full. Any worker. */
must_check bool handshake_push(struct handshake_thread *ht, const struct handshake_message *msg);

/* Is the queue so long that senders must prove their address first (§5.3)? Any worker. */
bool handshake_under_load(struct handshake_thread *ht, uint64_t now);

/*
 * The peer wants an initiation (flags of enum peer_handshake); sent at most every
 * REKEY_TIMEOUT. Any thread, RCU turn.
 */
void handshake_want(struct handshake_thread *ht, struct peer *peer, unsigned how);

#endif
