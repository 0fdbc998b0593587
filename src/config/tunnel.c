/* SPDX-License-Identifier: MIT */
/* The file of a tunnel of our own, as a whole. */
#include <errno.h>
#include <stdlib.h>

#include "../base/encoding.h"
#include "tunnel.h"

static void name_interface(struct config_tenant *tenant, unsigned line, struct fault_list *faults)
{
	struct config_tunnel *tunnel = tenant->tunnel;

	if (tunnel->ifname_line)
		return;
	if (value_is_ifname(tenant->name))
		strcpy(tunnel->ifname, tenant->name);
	else
		fault_add(faults, tenant->file, line,
			  "[Interface]: '%s' is too long for the name of an interface (15 "
			  "characters): give one by Name in [Container]", tenant->name);
}

/* Peers are sorted by key. Zero is what a key that was no key was read as. */
static void check_keys(const struct config_tenant *tenant, struct fault_list *faults)
{
	const struct config_peer *peers = tenant->peers;

	for (size_t i = 1; i < tenant->n_peers; i++) {
		if (memcmp(peers[i - 1].public_key, peers[i].public_key, VALUE_KEY_LEN) == 0 &&
		    !key_is_zero(peers[i].public_key))
			fault_add(faults, tenant->file, peers[i].line,
				  "PublicKey: the peer of line %u has the same", peers[i - 1].line);
	}
}

/* `wg` moves a range to the last peer that asks for it; here that is a mistake. */
static int check_ranges(const struct config_tenant *tenant, struct fault_list *faults)
{
	struct config_ranges all = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < tenant->n_peers; i++)
		n += tenant->peers[i].allowed_ips.n;
	if (!n)
		return 0;
	all.v = reallocarray(NULL, n, sizeof(*all.v));
	if (!all.v)
		return -ENOMEM;
	for (size_t i = 0; i < tenant->n_peers; i++) {
		const struct config_ranges *ranges = &tenant->peers[i].allowed_ips;

		for (uint32_t k = 0; k < ranges->n; k++)
			all.v[all.n++] = ranges->v[k];
	}
	qsort(all.v, all.n, sizeof(*all.v), value_compare_ranges);
	for (uint32_t i = 1; i < all.n; i++) {
		char text[PREFIX_STRLEN];

		if (prefix_equal(&all.v[i - 1].prefix, &all.v[i].prefix))
			fault_add(faults, tenant->file, all.v[i].line,
				  "AllowedIPs: another peer has %s already (line %u)",
				  prefix_format(&all.v[i].prefix, text), all.v[i - 1].line);
	}
	free(all.v);
	return 0;
}

static void check_routes(const struct config_tenant *tenant, struct fault_list *faults)
{
	const struct config_tunnel *tunnel = tenant->tunnel;

	if (tunnel->netns_kind != TUNNEL_NETNS_HOST || tunnel->no_routes)
		return;
	for (size_t i = 0; i < tenant->n_peers; i++) {
		const struct config_ranges *ranges = &tenant->peers[i].allowed_ips;

		for (uint32_t k = 0; k < ranges->n; k++) {
			char text[PREFIX_STRLEN];

			if (ranges->v[k].prefix.cidr != 0)
				continue;
			fault_add(faults, tenant->file, ranges->v[k].line,
				  "AllowedIPs: %s: a default route for the whole host is "
				  RULES_NOT_YET "; give Netns in [Container], or Table = off",
				  prefix_format(&ranges->v[k].prefix, text));
		}
	}
}

int tunnel_finish(struct config_tenant *tenant, unsigned interface_line, struct fault_list *faults)
{
	name_interface(tenant, interface_line, faults);
	check_keys(tenant, faults);
	check_routes(tenant, faults);
	return check_ranges(tenant, faults);
}
