/* SPDX-License-Identifier: MIT */
/*
 * Keeps the kernel from having its own say on tenants' addresses.
 *
 * A router that checks whether a neighbour is still there asks it in unicast
 * (RFC 4861 §7.3.3). The frame comes to our hardware address with the tenant's
 * IPv6 address, so the kernel forwards it into the tunnel, or sends "beyond scope of
 * source address" (ICMPv6 1/2) beside our answer, and some routers believe
 * the error. So a rule of nftables, at the ingress of the uplink, drops unicast
 * solicitations to the router's prefixes; our packet socket has seen them by then.
 * Those to addresses of the machine itself are let through, and so are all that
 * go to groups: they are the kernel's to answer.
 *
 * But not more than 100 a second, ARP requests included. Each question for an address of
 * the machine itself makes the kernel remember who asked. It does so for 1,024 neighbours at
 * most, and when that many are made up it finds no room for its own router any more.
 *
 * The rules are in a table of the family netdev that the kernel removes when we
 * close the socket, or crash (NFT_TABLE_F_OWNER, Linux 5.12; with older kernels
 * it stays after a crash, and is replaced at the next start). Control thread.
 */
#ifndef BERTH_NEIGHBOR_SILENCE_H
#define BERTH_NEIGHBOR_SILENCE_H

#include "../config/value.h"
#include "uplink.h"

struct silence;

/*
 * table: its name, another one for each uplink of each router in this network
 * namespace. prefixes stay the caller's. Nothing is installed yet. 0; -ENOMEM; or
 * why there is no netfilter socket to be had, such as -EPROTONOSUPPORT.
 */
must_check int silence_open(struct silence **out, const char *table,
			    const struct config_ranges *prefixes);

/* Removes what is installed. NULL is fine. */
void silence_close(struct silence *s);

/*
 * Brings the rules in line with the uplink as it is now (uplink_read()): where it
 * is, and which addresses are the machine's own. Costs nothing if they are so
 * already. 0, or why the kernel refuses: -EPERM, -EOPNOTSUPP and -ENOENT for
 * want of nf_tables; then nothing is installed, and the next call tries again.
 */
must_check int silence_update(struct silence *s, const struct uplink *uplink);

#endif
