/* SPDX-License-Identifier: MIT */
/*
 * What device.c and device_peers.c share: the device's own state, and the two
 * halves of device_apply(). Nobody else includes this.
 */
#ifndef BERTH_PATH_DEVICE_PEERS_H
#define BERTH_PATH_DEVICE_PEERS_H

#include "device.h"

struct socket_set;

enum { STEERED_BY_ADDRESS = -1 };

struct device {
	struct datapath dp;
	struct workers *ws;
	unsigned first_worker;         /* of queue 0 */
	struct secret_pool identities;
	struct socket_set *sockets;    /* NULL: no port yet */
	uint32_t fwmark;
	bool offload;
	int steered_to; /* the queue that all outbound packets take, or STEERED_BY_ADDRESS */
	_Atomic bool gone;             /* the TUN device was deleted from outside */
	struct device_observer observer;
	const struct config_router *rules; /* NULL: peers may have anything */
	struct device_memory memory;
	struct inbox learned;          /* peers; each holds a reference */
	uint32_t n_added;              /* peers, ever */
	unsigned n_isolated_gone;      /* removed in this list of changes */
	char name[IFNAMSIZ];
};

/* device.c: one change each; 0 or -errno. */
must_check int device_set_private_key(struct device *dev, const uint8_t key[NOISE_KEY_LEN]);
must_check int device_set_port(struct device *dev, uint16_t port);
must_check int device_set_mark(struct device *dev, uint32_t mark);

/* device_peers.c: revokes everybody, and returns after the last packet. */
void device_remove_all_peers(struct device *dev);

/* device_peers.c: both in an RCU turn. NULL: no such peer. What is described is secret in part. */
struct peer *device_find_peer(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN]);
void device_describe(struct peer *peer, struct device_peer *out);

/*
 * device_memory.c: a peer that c adds and nobody can find yet gets back what was learned of it.
 * 0 or -ENOMEM: it must not come without.
 */
must_check int device_recall(struct device *dev, struct peer *peer, const struct change *c);

/*
 * device_quota.c: both on the control thread, in an RCU turn. Logs and notes what of the peer's
 * quota has become news since, each step once per period.
 */
void device_tell_quota(struct peer *peer);
/* What was used of the quota that c gives to a peer which nobody can find yet; its limit is made. */
void device_recall_quota(struct peer *peer, const struct change *c,
			 const struct saved_counts *counts);

#endif
