/* SPDX-License-Identifier: MIT */
/*
 * /etc/netns/NAME/resolv.conf: where `ip netns exec` and its like let a namespace ask for
 * names. It is there as long as a tunnel with Netns = NAME and DNS is in force, also while
 * the namespace is not: whoever begins to live in there finds it. Its first line says whose it
 * is; a file with another one is never touched. Control thread.
 */
#ifndef BERTH_MANAGE_TUNNEL_DNS_H
#define BERTH_MANAGE_TUNNEL_DNS_H

#include "../config/tenant.h"

#define TUNNEL_DNS_FOLDER "/etc/netns"

/* All zero: nothing was written. */
struct tunnel_dns {
	const char *folder; /* NULL: TUNNEL_DNS_FOLDER; tests have another */
	char *netns;        /* in whose folder the file is; NULL: there is none of ours */
	char *owner;        /* its first line */
	bool made_folder;
	bool said;          /* that somebody else's is in the way */
};

/*
 * Writes what conf says, in place of what was written before, or removes that if conf has
 * no DNS for a named namespace; NULL: and frees all. Faults are logged.
 */
void tunnel_dns_update(struct tunnel_dns *dns, const struct config_tenant *conf);

/*
 * Removes the files that a run which was killed has left for the tunnels of that folder
 * (config.d). Logs.
 */
void tunnel_dns_sweep(const char *tenants);
void tunnel_dns_sweep_in(const char *folder, const char *tenants); /* for tests */

#endif
