/* SPDX-License-Identifier: MIT */
/* doctor: uplinks, our own interface, and the neighbours. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/host/owner.h"
#include "answer.h"
#include "doctor.h"

enum {
	/* IPv6, UDP, type and index and counter, tag: what a datagram of the tunnel has more. */
	TUNNEL_OVERHEAD = 40 + 8 + 16 + 16
};

static void check_uplink(struct doctor *d)
{
	char bridge[IFNAMSIZ];
	struct doctor_row *row;
	struct netlink_link link;

	for (unsigned i = 0; d->gateway && i < d->router->n_uplinks; i++) {
		const char *name = d->router->uplinks[i];

		if (!d->uplinks[i] || netlink_link_get(d->nl, d->uplinks[i], &link)) {
			row = doctor_say(d, FINDING_FAIL, "there is no interface %s: Uplink of %s is to "
					 "be another one", name, d->router->file);
			doctor_mend(row, "ip -brief link show");
		} else if (link.type != ARPHRD_ETHER) {
			doctor_say(d, FINDING_FAIL, "%s is no Ethernet: nobody asks for neighbours there; "
				   "leave Uplink out of %s", name, d->router->file);
		} else if (!(link.flags & IFF_UP)) {
			row = doctor_say(d, FINDING_FAIL, "%s is down", name);
			doctor_mend(row, "ip link set %s up", name);
		} else if (!link.carrier) {
			doctor_say(d, FINDING_FAIL, "%s has no carrier: the cable, or its other end", name);
		} else if (link.master && !netlink_link_name(d->nl, link.master, bridge)) {
			row = doctor_say(d, FINDING_WARN, "%s is a port of %s, which takes its packets: "
					 "name that as Uplink", name, bridge);
			doctor_mend(row, "sed -i 's/^Uplink *= *%s$/Uplink = %s/' %s", name, bridge,
				    d->router->file);
		} else {
			doctor_say(d, FINDING_OK, "%s is up", name);
		}
	}
}

/* What berthd's packets come to, outside. 0: not known. */
static uint32_t smallest_mtu(struct doctor *d, char name[IFNAMSIZ])
{
	uint32_t least = 0;

	for (unsigned i = 0; i < 2; i++) {
		const struct doctor_outside *out = doctor_outside(d, i ? AF_INET6 : AF_INET);
		struct netlink_link link;

		if (!out->found || netlink_link_get(d->nl, out->route.oif, &link) ||
		    (least && link.mtu >= least))
			continue;
		least = link.mtu;
		memcpy(name, link.name, IFNAMSIZ);
	}
	return least;
}

static void check_mtu(struct doctor *d, uint32_t mtu)
{
	char out[IFNAMSIZ] = "";
	uint32_t room = smallest_mtu(d, out);
	struct doctor_row *row;

	if (!room || mtu + TUNNEL_OVERHEAD <= room) {
		doctor_say(d, FINDING_OK, "packets of %u bytes fit %s with what the tunnel adds", mtu,
			   room ? out : "the way out");
		return;
	}
	row = doctor_say(d, FINDING_WARN, "an MTU of %u and the %d bytes that the tunnel adds are more "
			 "than the %u of %s: large packets are cut up, and lost where that is not "
			 "allowed", mtu, TUNNEL_OVERHEAD, room, out);
	doctor_mend(row, "ip link set %s mtu %u", d->router->name, room - TUNNEL_OVERHEAD);
}

/* berthd is not running, or was not asked. */
static void check_free_name(struct doctor *d)
{
	const char *name = d->router->name;
	char who[OWNER_STRLEN];
	struct doctor_row *row;
	struct owner owner;

	if (!d->tun) {
		doctor_say(d, FINDING_OK, "%s is free for berthd to make", name);
	} else if (owner_of_tun(name, &owner)) {
		row = doctor_say(d, FINDING_FAIL, "there is an interface %s already, of %s", name,
				 owner_format(&owner, who));
		doctor_mend(row, "kill %d", (int)owner.pid);
	} else {
		doctor_say(d, FINDING_OK, "%s was made beforehand", name);
	}
}

static void check_interface(struct doctor *d)
{
	struct netlink_link link;
	struct doctor_row *row;

	if (!d->gateway)
		return;
	if (!d->status) {
		check_free_name(d);
		check_mtu(d, d->router->mtu);
		return;
	}
	if (!d->tun || netlink_link_get(d->nl, d->tun, &link)) {
		doctor_say(d, FINDING_FAIL, "berthd runs, and there is no %s here: is it in another "
			   "network namespace?", d->router->name);
		return;
	}
	if (!(link.flags & IFF_UP)) {
		row = doctor_say(d, FINDING_FAIL, "%s is down: no tenant is reached", link.name);
		doctor_mend(row, "ip link set %s up", link.name);
	} else {
		doctor_say(d, FINDING_OK, "%s is up", link.name);
	}
	check_mtu(d, link.mtu);
}

/* Neighbours */

/* The flags as the kernel has them, which netlink hides: -1 where /sys is another namespace's. */
static long link_flags(const char *name, int ifindex)
{
	static const char *const files[] = { "ifindex", "flags" };
	char path[64 + IFNAMSIZ], text[32] = "";
	long value = -1;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		FILE *file;

		(void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, files[i]);
		file = fopen(path, "re");
		if (!file)
			return -1;
		value = fgets(text, sizeof(text), file) ? strtol(text, NULL, 0) : -1;
		(void)fclose(file);
		if (!i && value != ifindex)
			return -1;
	}
	return value;
}

static void check_multicast(struct doctor *d)
{
	for (unsigned i = 0; d->status && d->wants6 && i < d->router->n_uplinks; i++) {
		const char *name = d->router->uplinks[i];
		long flags = d->uplinks[i] ? link_flags(name, d->uplinks[i]) : -1;
		struct doctor_row *row;

		if (flags < 0)
			continue;
		if (flags & (IFF_ALLMULTI | IFF_PROMISC)) {
			doctor_say(d, FINDING_OK, "%s hears all groups, and so what neighbours ask", name);
			continue;
		}
		row = doctor_say(d, FINDING_FAIL, "%s does not hear the groups in which neighbours ask for "
				 "tenants", name);
		doctor_mend(row, "ip link set %s allmulticast on", name);
	}
}

static void check_answers(struct doctor *d)
{
	const json_t *uplink;
	size_t i;

	json_array_foreach(json_object_get(d->status, "uplinks"), i, uplink) {
		const json_t *ndp = json_object_get(uplink, "ndp");
		const char *name = answer_text(uplink, "name");
		uint64_t answered = answer_number(ndp, "answered") +
			answer_number(json_object_get(uplink, "arp"), "answered");
		uint64_t lost = answer_number(uplink, "overruns");
		uint64_t refused = answer_number(uplink, "send_failures");

		if (refused > answered / 100)
			doctor_say(d, FINDING_WARN, "%s: the kernel refused to send %" PRIu64 " answers to "
				   "neighbours", name, refused);
		else if (lost > answered / 100)
			doctor_say(d, FINDING_WARN, "%s: %" PRIu64 " questions of neighbours came faster than "
				   "they could be read", name, lost);
		else if (answered)
			doctor_say(d, FINDING_OK, "%s: %" PRIu64 " questions of neighbours answered", name,
				   answered);
		else
			doctor_say(d, FINDING_OK, "%s: no neighbour has asked for a tenant so far", name);
	}
}

/* The next hop to the Internet */

struct hop {
	const struct netlink_route *route;
	uint16_t state;
};

static int note_hop(const struct netlink_neigh *neigh, void *arg)
{
	struct hop *hop = arg;
	size_t len = neigh->family == AF_INET ? 4 : 16;

	if (neigh->family == hop->route->gateway_family && !memcmp(neigh->addr, hop->route->gateway, len))
		hop->state = neigh->state;
	return 0;
}

static void check_next_hop(struct doctor *d, uint8_t family)
{
	const struct doctor_outside *out = doctor_outside(d, family);
	char address[INET6_ADDRSTRLEN], link[IFNAMSIZ];
	struct hop hop = { .route = &out->route };
	struct doctor_row *row;

	if (!out->found || !out->route.gateway_family ||
	    netlink_link_name(d->nl, out->route.oif, link))
		return;
	inet_ntop(out->route.gateway_family, out->route.gateway, address, sizeof(address));
	(void)!netlink_neigh_list(d->nl, out->route.oif, note_hop, &hop);
	if (hop.state & (NUD_FAILED | NUD_INCOMPLETE)) {
		row = doctor_say(d, FINDING_FAIL, "the provider's router %s does not answer at %s", address,
				 link);
		doctor_mend(row, "ip neigh flush dev %s; ping -c 1 %s%%%s", link, address, link);
	} else {
		doctor_say(d, FINDING_OK, "the next hop is %s at %s%s", address, link,
			   hop.state ? "" : ", not spoken to of late");
	}
}

static void check_router(struct doctor *d)
{
	if (d->wants6 || !d->gateway)
		check_next_hop(d, AF_INET6);
	if (d->wants4 || !d->gateway)
		check_next_hop(d, AF_INET);
}

const struct doctor_check doctor_links[] = {
	{ "uplink", check_uplink },       { "interface", check_interface },
	{ "multicast", check_multicast }, { "neighbours", check_answers },
	{ "router", check_router },       { 0 },
};
