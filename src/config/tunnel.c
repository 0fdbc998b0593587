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

/* Where the whole machine asks for names is not for one tunnel of it to decide. */
static void check_dns(const struct config_tenant *tenant, struct fault_list *faults)
{
	const struct config_tunnel *tunnel = tenant->tunnel;

	if (!tunnel->dns_line || tunnel->netns_kind == TUNNEL_NETNS_NAME)
		return;
	if (tunnel->netns_kind != TUNNEL_NETNS_HOST)
		fault_warn(faults, tenant->file, tunnel->dns_line,
			   "DNS: only a namespace with a name has a resolv.conf (in /etc/netns): "
			   "write the one of this container yourself");
	else if (tunnel->dns_servers)
		fault_warn(faults, tenant->file, tunnel->dns_line,
			   "DNS: is left as it is on the host; to change it, when the tunnel is "
			   "up: resolvectl dns %s %s", tunnel->ifname, tunnel->dns_servers);
	else
		fault_warn(faults, tenant->file, tunnel->dns_line,
			   "DNS: is left as it is on the host; to change it, when the tunnel is "
			   "up: resolvectl domain %s %s", tunnel->ifname,
			   tunnel->dns_search ? tunnel->dns_search : "");
}

/* A packet that carries the tunnel must not be sent into it. */
static void check_endpoint(const struct config_tenant *tenant, const struct config_peer *peer,
			   struct fault_list *faults)
{
	struct prefix host;
	struct endpoint to;

	if (!tenant_peer_endpoint(peer, &to))
		return;
	host = to.addr.sa_family == AF_INET
		       ? prefix_host(AF_INET, (const uint8_t *)&to.addr4.sin_addr)
		       : prefix_host(AF_INET6, to.addr6.sin6_addr.s6_addr);
	for (size_t i = 0; i < tenant->n_peers; i++) {
		const struct config_ranges *ranges = &tenant->peers[i].allowed_ips;

		for (uint32_t k = 0; k < ranges->n; k++) {
			const struct prefix *range = &ranges->v[k].prefix;
			char text[PREFIX_STRLEN];

			if (tunnel_is_default(range) || !prefix_contains(range, &host))
				continue;
			fault_warn(faults, tenant->file, peer->endpoint_line,
				   "Endpoint: lies within AllowedIPs %s, so the packets that carry "
				   "the tunnel are sent into it: take that range out, or give "
				   "Table = off or a number", prefix_format(range, text));
			return;
		}
	}
}

static void check_endpoints(const struct config_tenant *tenant, struct fault_list *faults)
{
	if (tenant->tunnel->netns_kind != TUNNEL_NETNS_HOST ||
	    tenant->tunnel->table_kind != TUNNEL_TABLE_AUTO)
		return;
	for (size_t i = 0; i < tenant->n_peers; i++)
		check_endpoint(tenant, &tenant->peers[i], faults);
}

/* Who does not know where the other is waits to be called, at a port that somebody knows. */
static void check_callers(const struct config_tenant *tenant, struct fault_list *faults)
{
	for (size_t i = 0; i < tenant->n_peers; i++) {
		const struct config_peer *peer = &tenant->peers[i];

		if (peer->keepalive && !peer->endpoint && !tenant->tunnel->listen_port)
			fault_warn(faults, tenant->file, peer->keepalive_line,
				   "PersistentKeepalive: its [Peer] has no Endpoint to send it to, "
				   "and without a ListenPort nobody knows where to call");
	}
}

int tunnel_finish(struct config_tenant *tenant, unsigned interface_line, struct fault_list *faults)
{
	name_interface(tenant, interface_line, faults);
	check_keys(tenant, faults);
	check_dns(tenant, faults);
	check_endpoints(tenant, faults);
	check_callers(tenant, faults);
	return check_ranges(tenant, faults);
}

bool tunnel_is_default(const struct prefix *range)
{
	return range->cidr <= (range->family == AF_INET ? 1 : 3);
}

bool tunnel_takes_host(const struct config_tenant *tenant, uint8_t family)
{
	if (tenant->tunnel->netns_kind != TUNNEL_NETNS_HOST ||
	    tenant->tunnel->table_kind != TUNNEL_TABLE_AUTO)
		return false;
	for (size_t i = 0; i < tenant->n_peers; i++) {
		const struct config_ranges *ranges = &tenant->peers[i].allowed_ips;

		for (uint32_t k = 0; k < ranges->n; k++)
			if (ranges->v[k].prefix.family == family &&
			    tunnel_is_default(&ranges->v[k].prefix))
				return true;
	}
	return false;
}

uint32_t tunnel_mark(const struct config_tenant *tenant)
{
	if (tenant->tunnel->fwmark)
		return tenant->tunnel->fwmark;
	return tunnel_takes_host(tenant, AF_INET) || tunnel_takes_host(tenant, AF_INET6)
		       ? TUNNEL_MARK_AUTO : 0;
}
