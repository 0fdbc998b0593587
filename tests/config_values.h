/* SPDX-License-Identifier: MIT */
/* Tenants made by hand, for tests of what is pure. */
#ifndef BERTH_TESTS_CONFIG_VALUES_H
#define BERTH_TESTS_CONFIG_VALUES_H

#include <check.h>
#include <stdlib.h>

#include "../src/config/tenant.h"

static inline struct config_tenant *make_tenant(const char *name)
{
	struct config_tenant *tenant = tenant_new("config.d", name);

	ck_assert_ptr_nonnull(tenant);
	tenant->state = TENANT_OK;
	return tenant;
}

/* A peer whose key begins with that byte, with a comma list of ranges. */
static inline struct config_peer *make_peer(struct config_tenant *tenant, uint8_t key,
					    const char *ranges)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { tenant->file, 3, "AllowedIPs", &faults };
	struct config_peer *peer = tenant_add_peer(tenant);

	ck_assert_ptr_nonnull(peer);
	peer->line = 2;
	peer->public_key[0] = key;
	ck_assert_int_eq(value_ranges(&where, ranges, &peer->allowed_ips), 0);
	value_sort_ranges(&peer->allowed_ips);
	fault_list_free(&faults);
	return peer;
}

/* A tenant of the gateway. */
static inline struct config_tenant *make(const char *name, uint8_t key, const char *ranges)
{
	struct config_tenant *tenant = make_tenant(name);

	make_peer(tenant, key, ranges);
	return tenant;
}

/* A tunnel of our own, without peers. */
static inline struct config_tenant *make_tunnel(const char *name, const char *netns,
						const char *ifname)
{
	struct config_tenant *tenant = make_tenant(name);

	ck_assert_int_eq(tenant_make_tunnel(tenant), 0);
	tenant->tunnel->private_key[0] = 9;
	tenant->tunnel->mtu = 1420;
	tenant->tunnel->netns_kind = netns ? TUNNEL_NETNS_NAME : TUNNEL_NETNS_HOST;
	tenant->tunnel->netns = netns ? strdup(netns) : NULL;
	strcpy(tenant->tunnel->ifname, ifname);
	tenant->tunnel->ifname_line = 5;
	return tenant;
}

static inline uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

#endif
