/* SPDX-License-Identifier: MIT */
/*
 * What the tests of netlink stand upon: a fresh namespace with
 *
 *	wan (veth, 192.0.2.1/24, 2001:db8::1/64) --- wan-peer
 *	tun (veth)                               --- tun-peer
 *
 * all up, and a socket there. State is per process, and Check forks one per test.
 */
#ifndef BERTH_TESTS_NETLINK_FIXTURE_H
#define BERTH_TESTS_NETLINK_FIXTURE_H

#include <arpa/inet.h>

#include "../tun/netlink.h"
#include "in_netns.h"

static struct netlink *nl;
static int wan, tun;

/* Parse "2001:db8::1/64"; without a slash the whole address. Returns the length. */
static inline uint8_t prefix(const char *text, uint8_t *family, uint8_t out[16])
{
	const char *slash = strchr(text, '/');
	char addr[INET6_ADDRSTRLEN];

	snprintf(addr, sizeof(addr), "%.*s", slash ? (int)(slash - text) : 64, text);
	*family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	memset(out, 0, 16);
	ck_assert_msg(inet_pton(*family, addr, out) == 1, "%s", text);
	if (slash)
		return (uint8_t)atoi(slash + 1);
	return *family == AF_INET ? 32 : 128;
}

static inline void setup(void)
{
	in_netns_setup();
	sh("ip link set lo up");
	sh("ip link add wan type veth peer name wan-peer");
	sh("ip link add tun type veth peer name tun-peer");
	sh("for i in wan wan-peer tun tun-peer; do ip link set $i up; done");
	sh("ip addr add 192.0.2.1/24 dev wan && ip addr add 2001:db8::1/64 nodad dev wan");
	ck_assert_int_eq(netlink_open(&nl, -1), 0);
	wan = netlink_link_index(nl, "wan");
	tun = netlink_link_index(nl, "tun");
	ck_assert_int_gt(wan, 0);
	ck_assert_int_gt(tun, 0);
	ck_assert_int_ne(wan, tun);
}

static inline void teardown(void)
{
	netlink_close(nl);
}

#endif
