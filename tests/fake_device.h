/* SPDX-License-Identifier: MIT */
/*
 * A gateway, its device and tunnels as plain values: what src/manage/reload.c
 * and below do to them can be looked at. Stands in for src/path/device.c,
 * src/manage/gateway.c and src/manage/tunnel.c. One per process.
 */
#ifndef BERTH_TESTS_FAKE_DEVICE_H
#define BERTH_TESTS_FAKE_DEVICE_H

#include "../src/config/change.h"

enum { FAKE_PEERS = 4096, FAKE_PREFIXES = 8, FAKE_TUNNELS = 16 };

struct fake_peer {
	bool there;
	char name[TENANT_NAME_MAX + 1];
	uint8_t key[32], preshared_key[32];
	struct prefix prefixes[FAKE_PREFIXES];
	size_t n_prefixes;
	unsigned session; /* another number for each time the peer was made */
};

struct fake_tunnel {
	bool there;
	char name[TENANT_NAME_MAX + 1], ifname[16];
	unsigned session;
};

struct fake {
	struct fake_peer peers[FAKE_PEERS];
	struct fake_tunnel tunnels[FAKE_TUNNELS];
	size_t n_applied; /* calls of device_apply() */
	size_t n_changes; /* all that they held */
	unsigned n_sessions;
	unsigned n_suspended, n_absent; /* removals with PEER_SUSPEND, and of who was not there */
	unsigned n_looks; /* calls of workers_look() */
	int64_t quotas_turned, quotas_next; /* of device_turn_quotas() */
	char fail_name[TENANT_NAME_MAX + 1]; /* whose next addition fails with -ENOMEM */
};

extern struct fake fake;

/* NULL: there is none of that name. */
const struct fake_peer *fake_peer(const char *name);
const struct fake_tunnel *fake_tunnel(const char *name);

/* The gateway's peers, one line each in order of names: "name key/prefix,prefix\n". Static. */
const char *fake_peers(void);

struct gateway;
struct gateway *fake_gateway(void);

#endif
