/* SPDX-License-Identifier: MIT */
/*
 * What neigh does with frames: reads a burst of requests from the packet
 * socket, writes the answers, sends them together. Of use to neigh.c alone, which
 * keeps the socket and follows the uplink. Control thread.
 */
#ifndef BERTH_NEIGHBOR_ANSWERER_H
#define BERTH_NEIGHBOR_ANSWERER_H

#include <linux/if_packet.h>
#include <sys/socket.h>

#include "../base/log.h"
#include "askers.h"
#include "neigh.h"
#include "uplink.h"

enum {
	/* Frames per system call. */
	ANSWERER_BURST = 64,
	/*
	 * A solicitation has 86 bytes, one with every option of SEND (RFC 3971)
	 * some 1,000. A longer one counts as truncated.
	 */
	ANSWERER_FRAME_MAX = 1536,
	ANSWERER_ANSWER_MAX = NDP_ADVERTISEMENT_MAX
};

struct answerer {
	struct neigh_ops ops;
	void *arg;
	const struct uplink *uplink; /* neigh's */
	enum router_neighbor_source source;
	struct askers askers; /* of NEIGHBOR_SOURCE_AUTO */
	struct neigh_stats stats;
	struct log_limit send_limit;

	/* Laid out once; only the lengths of answers change. */
	struct mmsghdr rx[ANSWERER_BURST];
	struct iovec rx_iov[ANSWERER_BURST];
	struct mmsghdr tx[ANSWERER_BURST];
	struct iovec tx_iov[ANSWERER_BURST];
	uint64_t *tx_counter[ANSWERER_BURST]; /* what an answer counts as once it is sent */
	unsigned int queued;                  /* answers in tx that wait to be sent */
	/* The kernel wants the EtherType beside the frame that says it too. */
	struct sockaddr_ll to_ndp, to_arp;
	uint8_t rx_frame[ANSWERER_BURST][ANSWERER_FRAME_MAX];
	uint8_t tx_frame[ANSWERER_BURST][ANSWERER_ANSWER_MAX];
};

/* *a is zeroed memory; uplink must live as long. */
void answerer_init(struct answerer *a, const struct uplink *uplink, const struct neigh_ops *ops,
		   void *arg);

/* The link has another index: where frames go from now on. */
void answerer_set_link(struct answerer *a, int ifindex);

/* Answers what has come to the socket fd, a burst at most; true when there may be more. */
bool answerer_burst(struct answerer *a, int fd);

/* As neigh_announce(), from the socket fd. */
int answerer_announce(struct answerer *a, int fd, int family, const uint8_t *addr);

#endif
