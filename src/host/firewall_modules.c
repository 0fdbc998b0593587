/* SPDX-License-Identifier: MIT */
/* The matches of iptables that are understood; either iptables has them. */
#include <arpa/inet.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "firewall_rules.h"

static enum firewall_match ask_state(const void *data, size_t len)
{
	struct xt_state_info state;

	if (len < sizeof(state))
		return MATCH_MAYBE;
	memcpy(&state, data, sizeof(state));
	return match_of(state.statemask & FIREWALL_STATE_NEW);
}

static enum firewall_match ask_conntrack(const void *data, size_t len)
{
	struct xt_conntrack_mtinfo3 ct;

	if (len < sizeof(ct))
		return MATCH_MAYBE;
	memcpy(&ct, data, sizeof(ct));
	if (ct.match_flags != XT_CONNTRACK_STATE)
		return MATCH_MAYBE;
	return match_of(!(ct.state_mask & FIREWALL_STATE_NEW) ==
			!!(ct.invert_flags & XT_CONNTRACK_STATE));
}

static enum firewall_match ask_udp(const void *data, size_t len,
				   const struct firewall_packet *packet)
{
	struct xt_udp udp;
	bool inside;

	if (len < sizeof(udp) || !packet->port)
		return MATCH_MAYBE;
	memcpy(&udp, data, sizeof(udp));
	inside = packet->port >= udp.dpts[0] && packet->port <= udp.dpts[1];
	if (inside == !!(udp.invflags & XT_UDP_INV_DSTPT))
		return MATCH_NO;
	/* Where it comes from is not known. */
	return udp.spts[0] == 0 && udp.spts[1] == UINT16_MAX ? MATCH_YES : MATCH_MAYBE;
}

enum firewall_match firewall_ask_module(const char *name, const void *data, size_t len,
					const struct firewall_packet *packet)
{
	if (!strcmp(name, "comment"))
		return MATCH_YES;
	if (!strcmp(name, "state"))
		return ask_state(data, len);
	if (!strcmp(name, "conntrack"))
		return ask_conntrack(data, len);
	if (!strcmp(name, "udp"))
		return ask_udp(data, len, packet);
	return MATCH_MAYBE;
}
