/* SPDX-License-Identifier: MIT */
/* The file for a tenant's home: config.d/NAME.conf there, or one for wg-quick. Pure. */
#ifndef BERTH_TOOLS_HOMEFILE_H
#define BERTH_TOOLS_HOMEFILE_H

#include "../../src/base/prefix.h"
#include "draft.h"

struct homefile {
	const char *name;             /* of the tenant */
	const uint8_t *public_key;    /* of the tenant */
	const uint8_t *private_key;   /* NULL: it is at home already, and to be filled in there */
	const uint8_t *preshared_key; /* NULL: none */
	const uint8_t *gateway_key;   /* public */
	const char *endpoint;         /* "host:port" of the gateway */
	const struct prefix *addresses;
	size_t n_addresses;
	uint32_t mtu;      /* 0: not said */
	const char *dns;   /* a list; NULL: not said */
	const char *netns; /* of the container; NULL: the interface stays on the host */
};

/* Adds the whole file. AllowedIPs are the whole internet, in the families of the addresses. */
void homefile_write(struct draft *draft, const struct homefile *home);

#endif
