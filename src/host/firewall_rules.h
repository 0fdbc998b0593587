/* SPDX-License-Identifier: MIT */
/* What the files of the firewall share: the rules as they were read, and what rules ask. */
#ifndef BERTH_HOST_FIREWALL_RULES_H
#define BERTH_HOST_FIREWALL_RULES_H

#include <linux/netfilter/nf_conntrack_common.h>
#include <stdio.h> /* the headers of libnftnl want it */

#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "firewall.h"

/* Linux's NF_CT_STATE_BIT() and XT_STATE_BIT() agree on what a first packet is. */
#define FIREWALL_STATE_NEW (UINT32_C(1) << (IP_CT_NEW % IP_CT_IS_REPLY + 1))

/* Does a rule apply? In order, so that the least of several is their sum. */
enum firewall_match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

static inline enum firewall_match match_of(bool yes)
{
	return yes ? MATCH_YES : MATCH_NO;
}

/* A match of iptables: its name and the len bytes of its settings. */
enum firewall_match firewall_ask_module(const char *name, const void *data, size_t len,
					const struct firewall_packet *packet);

struct firewall_chain {
	uint32_t family; /* NFPROTO_* */
	char *table, *name;
	bool base;
	uint32_t hook, policy; /* of a base chain; NF_ACCEPT or NF_DROP */
	struct nftnl_rule **rules;
	size_t n_rules;
};

struct firewall {
	struct firewall_chain *chains;
	size_t n_chains;
	struct nftnl_set **sets; /* with their elements */
	size_t n_sets;
	bool failed; /* no memory, while reading */
};

/* NULL: there is none such. */
const struct firewall_chain *firewall_find_chain(const struct firewall *fw, uint32_t family,
						 const char *table, const char *name);
const struct nftnl_set *firewall_find_set(const struct firewall *fw, uint32_t family,
					  const char *table, const char *name);

#endif
