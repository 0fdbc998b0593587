/* SPDX-License-Identifier: MIT */
/* trace: an address of a tunnel of our own: from its interface to the gateway. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "../../src/config/tunnel_place.h"
#include "answer.h"
#include "people.h"
#include "trace.h"

struct address_search {
	const struct prefix *wanted;
	bool found;
};

static int note_address(const struct netlink_addr *addr, void *arg)
{
	struct address_search *search = arg;

	search->found |= !memcmp(addr->addr, search->wanted->addr, search->wanted->cidr / 8);
	return 0;
}

/* Is the interface there, up, and has it the address? */
static void hop_interface(struct trace *t, const struct config_tenant *tenant, int nsfd)
{
	struct address_search search = { .wanted = &t->address };
	const char *name = tenant->tunnel->ifname;
	char ip[TUNNEL_PLACE_STRLEN];
	struct netlink_link link;
	struct netlink *nl;
	int index = -1;

	if (netlink_open(&nl, nsfd)) {
		trace_stop(t, "interface", "its namespace cannot be entered: run this as root");
		return;
	}
	index = netlink_link_index(nl, name);
	if (index < 0 || netlink_link_get(nl, index, &link)) {
		trace_stop(t, "interface", "there is no %s there: berthd's log says why", name);
		goto out;
	}
	(void)!netlink_addr_list(nl, t->address.family, index, note_address, &search);
	if (!(link.flags & IFF_UP))
		trace_mend(trace_stop(t, "interface", "%s is down", name), "%s link set %s up",
			   tunnel_place_ip(tenant->tunnel, ip), name);
	else if (!search.found)
		trace_stop(t, "interface", "%s does not have the address", name);
	else
		trace_pass(t, "interface", "%s is up and has the address", name);
out:
	netlink_close(nl);
}

static void hop_namespace(struct trace *t, const struct config_tenant *tenant)
{
	const struct config_tunnel *tunnel = tenant->tunnel;
	int fd;

	if (tunnel->netns_kind == TUNNEL_NETNS_HOST) {
		hop_interface(t, tenant, -1);
		return;
	}
	fd = doctor_open_netns(tunnel);
	if (fd < 0) {
		trace_mend(trace_stop(t, "namespace", "%s is not there: %s", tunnel->netns, strerror(-fd)),
			   tunnel->netns_kind == TUNNEL_NETNS_NAME ? "ip netns add %s" :
			   "ls -l %s", tunnel->netns);
		return;
	}
	trace_pass(t, "namespace", "%s is there", tunnel->netns);
	hop_interface(t, tenant, fd);
	close(fd);
}

static const json_t *find_running(const struct trace *t, const char *name)
{
	const json_t *running;
	size_t i;

	json_array_foreach(t->d.running, i, running)
		if (!strcmp(answer_text(running, "name"), name))
			return running;
	return NULL;
}

static void hop_session(struct trace *t, const json_t *running)
{
	int64_t when = (int64_t)answer_number(running, "last_handshake");
	char age[PEOPLE_STRLEN], received[PEOPLE_STRLEN];

	if (when)
		trace_pass(t, "session", "the last handshake was %s ago, %s received",
			   people_age(when, time(NULL), age),
			   people_size(answer_number(running, "rx_bytes"), received));
	else if (answer_number(running, "tx_packets"))
		trace_mend(trace_stop(t, "session", "the gateway at %s has never answered: its key or ours, "
				      "its firewall, or its port", answer_text(running, "endpoint")),
			   "berth doctor   # there, at the gateway");
	else
		trace_pass(t, "session", "nothing has been sent so far, and so there is none");
}

void trace_home(struct trace *t, const struct config_tenant *tenant)
{
	const json_t *running = find_running(t, tenant->name);

	trace_pass(t, "tunnel", "is of the tunnel %s, by %s", tenant->name, tenant->file);
	if (!t->d.status)
		trace_mend(trace_stop(t, "berthd", "does not run"), "systemctl start berthd-home");
	hop_namespace(t, tenant);
	if (running)
		hop_session(t, running);
}
