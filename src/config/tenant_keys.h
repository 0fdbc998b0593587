/* SPDX-License-Identifier: MIT */
/*
 * The keys of config.d/NAME.conf: one table per section, each row with the
 * function that takes its value. Of use to tenant_file.c alone. Any thread.
 */
#ifndef BERTH_CONFIG_TENANT_KEYS_H
#define BERTH_CONFIG_TENANT_KEYS_H

#include "tenant.h"

enum tenant_keys_section {
	TENANT_KEYS_INTERFACE,
	TENANT_KEYS_CONTAINER,
	TENANT_KEYS_PEER,
	TENANT_KEYS_TENANT,
	N_TENANT_KEYS_SECTIONS
};

/* A file while it is being read. */
struct tenant_reading {
	struct config_tenant *tenant;
	struct fault_list *faults;
	int dirfd;
	const char *dir;
	mode_t mode;
	bool said_exposed;            /* once per file is enough */
	unsigned interface_line;      /* 0: no [Interface], a tenant of the gateway */
	unsigned private_key_line;
	uint32_t mtu;                 /* of [Interface], as it stands there */
	unsigned mtu_line;            /* 0: none, or auto */
	unsigned second_peer_line;    /* of the second [Peer] */
	size_t peer_sections;

	/* of [Tenant]; a line of 0: not given */
	uint64_t rate, rate_up, rate_down; /* bit/s; 0: off */
	unsigned rate_up_line, rate_down_line;
	struct quota quota;
	unsigned quota_line, quota_rate_line, blocked_line;
	bool blocked;

	/* of the [Peer] at hand */
	struct config_peer *peer;
	unsigned public_key_line, preshared_key_line;
	bool revoked;                 /* its public key was blanked or its file removed */
};

/*
 * Takes the keys of section number i of the file, which is a `which`. For
 * [Interface] and [Container] the tenant has a tunnel, for [Peer] r->peer is
 * the one to fill. 0 (faults may have been added), -EAGAIN: a key file was
 * being written; -ENOMEM.
 */
must_check int tenant_keys_apply(struct tenant_reading *r, const struct inifile *ini, unsigned i,
				 enum tenant_keys_section which);

#endif
