/* SPDX-License-Identifier: MIT */
/* doctor: tunnels of our own. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "../../src/config/tunnel.h"
#include "../../tun/netns.h"
#include "answer.h"
#include "doctor.h"

enum { OVERHEAD4 = 20 + 8 + 32, OVERHEAD6 = 40 + 8 + 32 };

int doctor_open_netns(const struct config_tunnel *t)
{
	char pid[64];

	(void)snprintf(pid, sizeof(pid), "pid:%s", t->netns);
	return netns_open(t->netns_kind == TUNNEL_NETNS_PID ? pid : t->netns);
}

static void check_netns(struct doctor *d)
{
	for (size_t i = 0; i < d->n_tunnels; i++) {
		const struct config_tenant *tenant = d->tunnels[i];
		const struct config_tunnel *t = tenant->tunnel;
		struct doctor_row *row;
		int fd;

		if (t->netns_kind == TUNNEL_NETNS_HOST)
			continue;
		fd = doctor_open_netns(t);
		if (fd >= 0) {
			doctor_say(d, FINDING_OK, "%s: its namespace %s is there", tenant->name, t->netns);
			close(fd);
			continue;
		}
		row = doctor_say(d, FINDING_FAIL, "%s: its namespace %s is not there (%s): berthd waits for "
				 "it", tenant->name, t->netns, strerror(-fd));
		if (t->netns_kind == TUNNEL_NETNS_NAME)
			doctor_mend(row, "ip netns add %s", t->netns);
	}
}

/* Endpoints */

/* host:port or [host]:port, as value_endpoint() has checked. */
static int resolve(const char *endpoint, struct addrinfo **out)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	const char *colon = strrchr(endpoint, ':');
	char host[256];
	size_t len;

	if (!colon || (size_t)(colon - endpoint) >= sizeof(host))
		return EAI_NONAME;
	len = (size_t)(colon - endpoint);
	if (*endpoint == '[' && len > 2)
		(void)snprintf(host, sizeof(host), "%.*s", (int)len - 2, endpoint + 1);
	else
		(void)snprintf(host, sizeof(host), "%.*s", (int)len, endpoint);
	return getaddrinfo(host, NULL, &hints, out);
}

/* The way to one address, as the tunnel's own packets take it. */
static int look_up(struct doctor *d, const struct config_tenant *tenant,
		   const struct addrinfo *info, struct netlink_route *out)
{
	struct netlink_lookup lookup = { .family = (uint8_t)info->ai_family,
					 .mark = tunnel_mark(tenant) };

	if (info->ai_family == AF_INET)
		memcpy(lookup.dst, &((const struct sockaddr_in *)info->ai_addr)->sin_addr, 4);
	else if (info->ai_family == AF_INET6)
		memcpy(lookup.dst, &((const struct sockaddr_in6 *)info->ai_addr)->sin6_addr, 16);
	else
		return -EAFNOSUPPORT;
	return netlink_route_get(d->nl, &lookup, out);
}

static void say_way(struct doctor *d, const struct config_tenant *tenant, const char *endpoint,
		    const struct netlink_route *route, int family)
{
	const struct config_tunnel *t = tenant->tunnel;
	uint32_t overhead = family == AF_INET ? OVERHEAD4 : OVERHEAD6;
	struct netlink_link link;
	struct doctor_row *row;
	uint32_t mtu;

	if (netlink_link_get(d->nl, route->oif, &link))
		return;
	if (t->netns_kind == TUNNEL_NETNS_HOST && !strcmp(link.name, t->ifname)) {
		row = doctor_say(d, FINDING_FAIL, "%s: the way to %s leads into the tunnel itself",
				 tenant->name, endpoint);
		doctor_mend(row, "ip rule show; ip route show table all dev %s", link.name);
		return;
	}
	mtu = route->mtu ? route->mtu : link.mtu;
	if (t->mtu && t->mtu + overhead > mtu) {
		row = doctor_say(d, FINDING_WARN, "%s: an MTU of %u and the %u bytes that the tunnel adds "
				 "are more than the %u of the way to %s", tenant->name, t->mtu, overhead, mtu,
				 endpoint);
		doctor_mend(row, "sed -i 's/^MTU *=.*/MTU = %u/' %s", mtu - overhead, tenant->file);
		return;
	}
	doctor_say(d, FINDING_OK, "%s: the way to %s is by %s", tenant->name, endpoint, link.name);
}

static void check_endpoint(struct doctor *d, const struct config_tenant *tenant,
			   const char *endpoint)
{
	struct addrinfo *found = NULL;
	struct netlink_route route;
	struct doctor_row *row;
	int family = 0, err = resolve(endpoint, &found);

	if (err) {
		row = doctor_say(d, FINDING_FAIL, "%s: Endpoint %s has no address: %s", tenant->name,
				 endpoint, gai_strerror(err));
		doctor_mend(row, "getent ahosts %.*s", (int)(strrchr(endpoint, ':') - endpoint), endpoint);
		return;
	}
	/* Any will do: berthd tries them in turn. */
	err = -ENETUNREACH;
	for (const struct addrinfo *info = found; info && err; info = info->ai_next) {
		err = look_up(d, tenant, info, &route);
		family = info->ai_family;
	}
	freeaddrinfo(found);
	if (!err) {
		say_way(d, tenant, endpoint, &route, family);
		return;
	}
	row = doctor_say(d, FINDING_FAIL, "%s: there is no way to %s: %s", tenant->name, endpoint,
			 strerror(-err));
	doctor_mend(row, "ip route show default; ip -6 route show default");
}

static void check_endpoints(struct doctor *d)
{
	for (size_t i = 0; i < d->n_tunnels; i++)
		for (size_t j = 0; j < d->tunnels[i]->n_peers; j++)
			if (d->tunnels[i]->peers[j].endpoint)
				check_endpoint(d, d->tunnels[i], d->tunnels[i]->peers[j].endpoint);
}

/* Settings for a default route through a tunnel of the host */

static const struct config_tenant *find_taker(const struct doctor *d)
{
	for (size_t i = 0; i < d->n_tunnels; i++)
		if (tunnel_takes_host(d->tunnels[i], AF_INET))
			return d->tunnels[i];
	return NULL;
}

static void check_valid_mark(struct doctor *d)
{
	const struct config_tenant *tenant = find_taker(d);
	const struct doctor_outside *out = doctor_outside(d, AF_INET);
	struct doctor_row *row;
	char link[IFNAMSIZ];

	if (!tenant)
		return;
	if (doctor_setting("ipv4", "all", "src_valid_mark") == 0) {
		row = doctor_say(d, FINDING_FAIL, "%s: its default route is by a mark, which the reverse "
				 "path filter does not look at", tenant->name);
		doctor_set(row, "1", "net/ipv4/conf/all/src_valid_mark");
	}
	if (doctor_setting("ipv4", "all", "rp_filter") == 1 ||
	    (out->found && !netlink_link_name(d->nl, out->route.oif, link) &&
	     doctor_setting("ipv4", "all", "rp_filter") != 2 &&
	     doctor_setting("ipv4", link, "rp_filter") == 1)) {
		row = doctor_say(d, FINDING_WARN, "%s: the strict reverse path filter drops what its peers "
				 "send over IPv4", tenant->name);
		doctor_set(row, "2", "net/ipv4/conf/all/rp_filter");
	}
}

/* What leads into a tunnel of the host; berthd puts it back, but where it cannot */

static int count_route(const struct netlink_route *route, void *arg)
{
	(void)route;
	++*(size_t *)arg;
	return 0;
}

/* Routes of ours into the interface; family, table 0: all. */
static size_t count_routes(struct doctor *d, int ifindex, uint8_t family, uint32_t table)
{
	struct netlink_route_filter filter = { .family = family,
					       .protocol = NETLINK_PROTO_BERTH,
					       .table = table,
					       .oif = ifindex };
	size_t n = 0;

	return netlink_route_list(d->nl, &filter, count_route, &n) ? 0 : n;
}

enum { TABLES_MAX = 80 }; /* tunnels with a default route: TUNNEL_ROUTES_SLOTS of berthd */

/* Others with the same mark have tables of their own. */
struct by_mark {
	uint32_t mark, tables[TABLES_MAX];
	size_t n;
};

static int note_table(const struct netlink_rule *rule, void *arg)
{
	struct by_mark *found = arg;

	if (rule->invert && rule->fwmark == found->mark && found->n < TABLES_MAX)
		found->tables[found->n++] = rule->table;
	return 0;
}

static bool lacks_rule(struct doctor *d, const struct config_tenant *tenant, int ifindex,
		       uint8_t family)
{
	struct by_mark found = { .mark = tunnel_mark(tenant) };

	if (!tunnel_takes_host(tenant, family) ||
	    netlink_rule_list(d->nl, family, 0, note_table, &found))
		return false;
	for (size_t i = 0; i < found.n; i++)
		if (count_routes(d, ifindex, family, found.tables[i]))
			return false;
	return true;
}

static void check_lead(struct doctor *d, const struct config_tenant *tenant,
		       const struct netlink_link *link)
{
	size_t n = 0, there = count_routes(d, link->index, 0, 0);
	struct doctor_row *row;

	for (size_t i = 0; i < tenant->n_peers; i++)
		n += tenant->peers[i].allowed_ips.n;
	if (!(link->flags & IFF_UP)) {
		row = doctor_say(d, FINDING_FAIL, "%s: somebody has set %s down: what should go through it "
				 "goes elsewhere", tenant->name, link->name);
		doctor_mend(row, "ip link set %s up", link->name);
	} else if (tenant->tunnel->table_kind != TUNNEL_TABLE_OFF && there < n) {
		row = doctor_say(d, FINDING_FAIL, "%s: %zu of %zu routes into %s are not there; berthd's "
				 "log says why", tenant->name, n - there, n, link->name);
		doctor_mend(row, "ip route show table all; ip -6 route show table all");
	} else if (lacks_rule(d, tenant, link->index, AF_INET) ||
		   lacks_rule(d, tenant, link->index, AF_INET6)) {
		row = doctor_say(d, FINDING_FAIL, "%s: the rule that leads the default route into %s is "
				 "not there: somebody removes it", tenant->name, link->name);
		doctor_mend(row, "ip rule show; ip -6 rule show");
	} else {
		doctor_say(d, FINDING_OK, "%s: the routes into %s are there", tenant->name, link->name);
	}
}

/* Without an interface it is not up, which is said of its session. */
static void check_leads(struct doctor *d)
{
	struct netlink_link link;

	for (size_t i = 0; d->running && i < d->n_tunnels; i++) {
		const struct config_tunnel *t = d->tunnels[i]->tunnel;
		int ifindex = t->netns_kind == TUNNEL_NETNS_HOST
				      ? netlink_link_index(d->nl, t->ifname) : 0;

		if (ifindex > 0 && !netlink_link_get(d->nl, ifindex, &link))
			check_lead(d, d->tunnels[i], &link);
	}
}

static void check_sessions(struct doctor *d)
{
	const json_t *running;
	size_t i;

	for (size_t j = 0; d->running && j < d->n_tunnels; j++) {
		const char *name = d->tunnels[j]->name;
		bool seen = false;

		json_array_foreach(d->running, i, running) {
			bool connected = !strcmp(answer_text(running, "state"), "connected");

			if (strcmp(answer_text(running, "name"), name) != 0)
				continue;
			seen = true;
			if (connected || answer_number(running, "last_handshake"))
				doctor_say(d, FINDING_OK, "%s: %s", name, connected ? "connected" :
					   "was connected, and is idle");
			else if (!answer_number(running, "keepalive"))
				doctor_say(d, FINDING_OK, "%s: idle until something is sent", name);
			else
				doctor_say(d, FINDING_FAIL, "%s: the gateway has never answered: its key or "
					   "ours, its firewall, or its port", name);
		}
		if (!seen)
			doctor_say(d, FINDING_FAIL, "%s: it is not up; berthd's log says why", name);
	}
}

const struct doctor_check doctor_tunnels[] = {
	{ "namespace", check_netns },
	{ "endpoint", check_endpoints },
	{ "default-by-mark", check_valid_mark },
	{ "tunnel-routes", check_leads },
	{ "session", check_sessions },
	{ 0 },
};
