/* SPDX-License-Identifier: MIT */
/*
 * The one language in which a running router is changed. The watcher of
 * config.d, UAPI `set` and the control socket all write lists of these, and
 * device_apply() is their only reader. A change is a plain value: it owns its
 * memory and points at nothing that runs.
 */
#ifndef BERTH_CONFIG_CHANGE_H
#define BERTH_CONFIG_CHANGE_H

#include "../base/endpoint.h"
#include "../base/prefix.h"
#include "limits.h"

enum { TENANT_NAME_MAX = 64 };

enum change_kind {
	CHANGE_PRIVATE_KEY,  /* private_key; all zero removes the identity */
	CHANGE_LISTEN_PORT,  /* number: 0 = the kernel picks */
	CHANGE_FWMARK,       /* number: 0 = off */
	CHANGE_REMOVE_PEERS, /* all of them (replace_peers) */
	CHANGE_PEER          /* add, update or remove one */
};

/* When neighbours are answered for a peer's addresses. */
enum announce {
	ANNOUNCE_DEFAULT, /* as the router is told */
	ANNOUNCE_ALWAYS,
	ANNOUNCE_CONNECTED /* while it is there */
};

/* Is a tenant kept apart from all others? */
enum isolate {
	ISOLATE_DEFAULT, /* as the router is told */
	ISOLATE_NO,
	ISOLATE_YES
};

/* What a CHANGE_PEER says; a bit that is not set leaves the value as it is. */
enum change_peer_flags {
	PEER_REMOVE = 1 << 0,
	PEER_UPDATE_ONLY = 1 << 1,         /* do nothing when there is no such peer */
	PEER_HAS_PRESHARED_KEY = 1 << 2,   /* all zero removes it */
	PEER_HAS_ENDPOINT = 1 << 3,
	PEER_HAS_KEEPALIVE = 1 << 4,
	PEER_REPLACE_ALLOWED_IPS = 1 << 5, /* drop those not in allowed_ips */
	PEER_MAY_TAKE = 1 << 6,            /* an address of another peer moves here, as wg(8) does */
	PEER_HAS_ANNOUNCE = 1 << 7,
	PEER_DROP_ALLOWED_IPS = 1 << 8,    /* allowed_ips are those that it no longer has */
	PEER_HAS_LIMITS = 1 << 9,          /* nothing but zeros: none */
	PEER_SUSPEND = 1 << 10,            /* beside PEER_REMOVE: what was counted of it is kept */
	PEER_IF_ABSENT = 1 << 11,          /* beside PEER_REMOVE: one that is there stays */
	PEER_HAS_MTU = 1 << 12,
	PEER_HAS_QUARANTINE = 1 << 13,
	PEER_HAS_ISOLATE = 1 << 14,
};

struct change {
	enum change_kind kind;
	uint32_t number;
	unsigned flags;
	uint8_t key[32]; /* CHANGE_PRIVATE_KEY: secret; CHANGE_PEER: the public key */
	uint8_t preshared_key[32];
	char name[TENANT_NAME_MAX + 1]; /* of the tenant, or "" */
	struct endpoint endpoint;
	uint16_t keepalive; /* seconds, 0 = off */
	enum announce announce;
	enum isolate isolate;
	uint16_t mtu;    /* of packets to it; 0: the device's */
	bool quarantine; /* hold it when its key is in use from two places */
	struct limits limits;
	struct prefix *allowed_ips;
	size_t n_allowed_ips;
};

/* Grows by doubling; secrets are wiped whenever memory is given back. */
struct change_list {
	struct change *changes;
	size_t n, room;
};

/* Appends a zeroed change of that kind. NULL: no memory. Valid until the next call. */
struct change *change_add(struct change_list *list, enum change_kind kind);

/* Appends one prefix to c->allowed_ips. 0 or -ENOMEM. */
must_check int change_add_allowed_ip(struct change *c, const struct prefix *p);

/* Wipes and frees everything; the list is empty and usable again. */
void change_list_free(struct change_list *list);

#endif
