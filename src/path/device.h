/* SPDX-License-Identifier: MIT */
/*
 * One WireGuard interface: a TUN device, a UDP port, a private key, peers.
 * Everything that changes one goes through device_apply(). Any number may live
 * in one process; they share the workers.
 *
 * All functions: control thread, registered with RCU, outside a turn.
 */
#ifndef BERTH_PATH_DEVICE_H
#define BERTH_PATH_DEVICE_H

#include "../config/change.h"
#include "../config/router.h"
#include "../peer/events.h"
#include "datapath.h"
#include "worker.h"

struct device;

/* Who wants to know which addresses the peers have: host routes, neighbours. */
struct device_observer {
	void *arg;
	void (*address_added)(void *arg, const struct prefix *p, const char *name);
	void (*address_removed)(void *arg, const struct prefix *p, const char *name);
	/* Called once after the last of a list of changes. */
	void (*applied)(void *arg);
	/*
	 * A peer is connected that was not, or had not been for somebody who asked
	 * (device_find_owner()). Told by device_take_learned(), in an RCU turn: must not
	 * ask or change the device.
	 */
	void (*arrived)(void *arg, enum announce announce, const struct prefix *addresses,
			size_t n);
	/* Some peer does not answer: device_peer.silent tells which. Any thread, RCU turn. */
	void (*unanswered)(void *arg);
	/* The TUN device was deleted from outside. Any thread; once. */
	void (*gone)(void *arg);
};

struct device_options {
	const char *name;  /* of the interface */
	int netns;         /* descriptor of the namespace it is made in; -1: ours */
	int tun_fd;        /* one that somebody opened for us; -1: none */
	unsigned n_queues; /* 0: one on each worker */
	unsigned n_rings;  /* of each of its TUN queues; 0: as many as there may be */
	uint16_t mtu;      /* of inner packets; the link's own is the caller's to set */
	bool offload;
	bool gateway;      /* its peers are tenants (border.h), */
	bool isolate;      /* and kept apart unless they say otherwise */
	/* What its peers may have (device_refuses()), for as long as it lives; NULL: anything. */
	const struct config_router *rules;
	struct device_observer observer; /* functions may be NULL */
};

/*
 * Makes the TUN device (down, without addresses) and opens the queues. No
 * socket yet: CHANGE_LISTEN_PORT opens it. 0 or -errno; those of tun_open()
 * mean what they mean there.
 */
must_check int device_open(struct device **out, struct workers *ws,
			   const struct device_options *options);

/*
 * Revokes all peers and closes everything. The kernel deletes the interface
 * with the last descriptor. The observer hears of each address.
 */
void device_close(struct device *dev);

/* As the kernel named it. Constant. */
const char *device_name(const struct device *dev);

/* The datapath of the device: for tables that others may read. */
struct datapath *device_datapath(struct device *dev);

/* Of inner packets, when the link's MTU has changed. */
void device_set_mtu(struct device *dev, uint16_t mtu);

/*
 * Applies changes in order. When it returns, a removed peer's last packet has
 * passed in either direction and its keys are wiped. 0, or the first error:
 * changes[*failed] is the one that failed, those before it stay, those behind it
 * were not applied. A peer that was to be added is then not there.
 * -EADDRINUSE (an address belongs to another peer; the port is taken),
 * -EADDRNOTAVAIL (device_refuses()), -ENOMEM, -EINVAL (a public key of zeroes), -EPERM (mark).
 * An unknown peer with PEER_UPDATE_ONLY or PEER_REMOVE is no error.
 */
must_check int device_apply(struct device *dev, const struct change *changes, size_t n,
			    size_t *failed);

/*
 * Would changes[at], a peer, be refused for an address that no file could ask for? 0: no;
 * -EADDRNOTAVAIL: it is in no Prefix; -EADDRINUSE: it overlaps one of another peer's, or is
 * the gateway's own. Then why is half a sentence for the log. Where the list goes on with
 * the same peer (PEER_UPDATE_ONLY), what it says there is looked at as well, and not a second
 * time at its turn: all of it is refused, or nothing. 0 for what files have said
 * (PEER_MAY_TAKE: claims have decided) and for a device without rules.
 */
enum { DEVICE_WHY_STRLEN = 384 };
must_check int device_refuses(struct device *dev, const struct change *changes, size_t n,
			      size_t at, char why[DEVICE_WHY_STRLEN]);

/* What the device is now. */
struct device_info {
	uint8_t private_key[NOISE_KEY_LEN]; /* secret; zero: none */
	uint8_t public_key[NOISE_KEY_LEN];
	uint16_t listen_port; /* 0: no socket */
	uint32_t fwmark;
	size_t n_peers;
	bool gso, gro; /* UDP offloads in use */
	bool tun_offload;
	bool tun_steering; /* each flow keeps its queue */
};

void device_get(struct device *dev, struct device_info *out);

/* What a peer is now; pointers are valid within the callback. */
struct device_peer {
	const char *name;
	const uint8_t *public_key;
	uint8_t preshared_key[NOISE_KEY_LEN]; /* secret; zero: none */
	struct endpoint endpoint;             /* unset: none */
	struct timespec last_handshake;       /* UTC; zero: never */
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets;
	uint32_t endpoint_changes;
	uint16_t keepalive;
	struct limits limits;
	struct meter_info meter; /* of limits.quota */
	bool session; /* there are keys that can send */
	bool silent;  /* timers_is_silent() */
	bool held;    /* peer_hold(): its key was in use from two places */
	uint16_t mtu; /* its own; 0: the device's */
	bool isolated;
	uint32_t shared_key; /* how often that was noticed (sharing.h) */
	struct endpoint shared_between[2]; /* where, the last time */
	const struct prefix *allowed_ips;
	size_t n_allowed_ips;
	uint64_t drops[DROP_REASON_COUNT];
	uint8_t timestamp[NOISE_TIMESTAMP_LEN]; /* the greatest of its initiations; zero: none */
	bool removed;                           /* struct device_memory only */
	bool suspended;                         /* removed by PEER_SUSPEND */
	const struct event *events;             /* device_get_peer() only; the newest first */
	unsigned n_events;
};

/* One peer by its public key. False: no such. Calls fn once. */
bool device_get_peer(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN],
		     void (*fn)(const struct device_peer *peer, void *arg), void *arg);

/*
 * Where the peer is, or where we are, has changed: it is sent a packet at once, from the
 * address that the kernel now chooses. While there is no good key, or no answer, that is an
 * initiation, however recent the last. attempt: if it is not answered either, it counts
 * among those before, of which there is an end. An unknown peer is no error.
 */
void device_hello(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN], bool attempt);

/*
 * Ends the holding of a peer: whoever has its key may come. 0; -ENOENT: no such peer;
 * -EALREADY: it was not held.
 */
must_check int device_release(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN]);

/* All peers, in no order. */
void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg);

/*
 * All peers in no order, some at a time, so that the loop can turn in between. A peer that
 * is there from the beginning to the end is met once; one that comes in between is not met,
 * so that no name is met twice.
 */
struct device_walk {
	struct peertable_cursor at;
	uint32_t before; /* peers that came later are left out */
};

void device_walk_begin(struct device *dev, struct device_walk *walk);

/* The next n of them, at least 1. False: these were the last. fn as in device_each_peer(). */
bool device_walk(struct device *dev, struct device_walk *walk, unsigned n,
		 void (*fn)(const struct device_peer *peer, void *arg), void *arg);

/* The peer to which an address belongs, as far as its neighbours are concerned. */
struct device_owner {
	enum announce announce;
	bool connected; /* peer_is_connected() */
};

/* By a prefix of any length; network order. False: nobody owns it. */
bool device_find_owner(struct device *dev, int family, const uint8_t *addr,
		       struct device_owner *out);

/* As device_get_peer(), the peer to which an address belongs. Only looks. */
bool device_get_owner(struct device *dev, int family, const uint8_t *addr,
		      void (*fn)(const struct device_peer *peer, void *arg), void *arg);

/*
 * The machine's own addresses, as host prefixes, in place of those before: no peer of a gateway
 * sends from them, whatever its AllowedIPs. 0 or -ENOMEM: those before stay.
 */
must_check int device_set_own(struct device *dev, const struct prefix *own, size_t n);

/* Is it one of them? Network order. */
bool device_is_own(struct device *dev, int family, const uint8_t *addr);

/* Does a peer have exactly this prefix? */
bool device_has_prefix(struct device *dev, const struct prefix *p);

/* What was known of a peer before; all zero: nothing. */
struct device_recalled {
	struct endpoint endpoint;
	uint8_t timestamp[NOISE_TIMESTAMP_LEN]; /* the greatest of its initiations */
	bool held;
	struct saved_counts counts;
};

/* Called in an RCU turn: neither may ask or change the device. */
struct device_memory {
	void *arg;
	/*
	 * Its endpoint, its timestamp, that it is held, or what was counted of it has changed; or it
	 * was removed, which is told once, and has no endpoint now.
	 */
	void (*learned)(void *arg, const struct device_peer *peer);
	/*
	 * PEER_REMOVE was said of a tenant (change.name is not "") whose public key no peer
	 * has. suspended: PEER_SUSPEND was, too. May be NULL.
	 */
	void (*absent)(void *arg, const uint8_t public_key[NOISE_KEY_LEN], bool suspended);
	/*
	 * A peer is about to be added, and found by nobody yet: fills in what is known of
	 * its public key. name: "" if it has none.
	 */
	void (*recall)(void *arg, const uint8_t public_key[NOISE_KEY_LEN], const char *name,
		       struct device_recalled *out);
};

/*
 * From here on what is learned of peers is gathered for device_take_learned(), and a
 * peer that is added gets back what is recalled of it; an endpoint that its change
 * names goes before. Once, before the first peer; until device_forget().
 */
void device_remember(struct device *dev, const struct device_memory *memory);
void device_forget(struct device *dev);

/* Tells memory->learned of all peers that have news; costs nothing when there are none. */
void device_take_learned(struct device *dev);

/*
 * Begins the periods of quotas that now (seconds of UTC) lies in. Returns when the next one
 * begins, INT64_MAX: none does.
 */
int64_t device_turn_quotas(struct device *dev, int64_t now);

/* Nothing of the peer's quota is used. False: there is no such peer, or it has no quota. */
must_check bool device_reset_quota(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN]);

/*
 * Begins a handshake with a peer that has no session, by one initiation and no more: if it
 * is not there, it will not be tomorrow either. 0, also if there is no such peer; -EAGAIN:
 * tenants are coming by themselves as fast as handshakes can be made, call later.
 */
must_check int device_call(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN]);

#endif
