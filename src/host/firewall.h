/* SPDX-License-Identifier: MIT */
/*
 * What the firewall of this machine does to a packet: its nf_tables rules, which are also
 * those of iptables-nft, Docker, ufw and firewalld, are read and gone through as the
 * kernel would. What a packet does not tell (a port, a source) is left open, and so is
 * what a rule asks that is not understood here: the answer is then "unsure", not a guess.
 *
 * Reads only. One thread at a time.
 */
#ifndef BERTH_HOST_FIREWALL_H
#define BERTH_HOST_FIREWALL_H

#include <net/if.h>

#include "../base.h"

struct firewall;

/*
 * The rules of the caller's network namespace as they are now. 0; -EPERM without
 * CAP_NET_ADMIN; -EPROTONOSUPPORT and the like: this kernel has no nf_tables, so nothing
 * of it is in the way; -EINTR: they kept changing; -ENOMEM.
 */
must_check int firewall_load(struct firewall **out);

void firewall_free(struct firewall *fw); /* NULL is fine */

/* The first packet of a connection. Zero and NULL: not said. */
struct firewall_packet {
	uint8_t family;       /* AF_INET or AF_INET6 */
	const char *iif, *oif; /* names of interfaces, as the hook sees them */
	int iifindex, oifindex;
	const uint8_t *src, *dst; /* 4 or 16 bytes in network order */
	uint8_t protocol;         /* IPPROTO_UDP, … */
	uint16_t port;            /* destination, host order */
};

enum firewall_fate {
	FIREWALL_PASSES,
	FIREWALL_DROPS,
	FIREWALL_UNSURE, /* some such packets pass, or a rule is not understood */
	FIREWALL_REWRITES /* passes under another source address; of postrouting only */
};

/* The base chain that decides, of those of the hook. */
struct firewall_verdict {
	enum firewall_fate fate;
	const char *family, *table, *chain; /* as nft writes them; live as long as fw; NULL: none */
	bool by_policy;  /* no rule took it: the chain's policy does */
	bool has_docker; /* the table has Docker's chain for rules of the user's own */
};

/* hook: NF_INET_LOCAL_IN, NF_INET_FORWARD or NF_INET_POST_ROUTING. */
void firewall_ask(const struct firewall *fw, unsigned hook, const struct firewall_packet *packet,
		  struct firewall_verdict *out);

/*
 * The same of the older iptables (iptables-legacy), whose table "filter" lies beside
 * nf_tables. Addresses and ports are not looked at there. 0; -ENOENT: it is not in
 * use; -errno.
 */
must_check int firewall_ask_legacy(unsigned hook, const struct firewall_packet *packet,
				   struct firewall_verdict *out);

#endif
