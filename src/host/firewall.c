/* SPDX-License-Identifier: MIT */
/* Reading the rules, by libnftnl over libmnl. */
#include "firewall.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

#include "firewall_rules.h"

enum { ANSWER_ROOM = 65536, REQUEST_ROOM = 1024, READINGS_MAX = 8 };

const struct firewall_chain *firewall_find_chain(const struct firewall *fw, uint32_t family,
						 const char *table, const char *name)
{
	for (size_t i = 0; i < fw->n_chains; i++) {
		const struct firewall_chain *chain = &fw->chains[i];

		if (chain->family == family && !strcmp(chain->table, table) &&
		    !strcmp(chain->name, name))
			return chain;
	}
	return NULL;
}

const struct nftnl_set *firewall_find_set(const struct firewall *fw, uint32_t family,
					  const char *table, const char *name)
{
	for (size_t i = 0; i < fw->n_sets; i++) {
		const struct nftnl_set *set = fw->sets[i];

		if (nftnl_set_get_u32(set, NFTNL_SET_FAMILY) == family &&
		    !strcmp(nftnl_set_get_str(set, NFTNL_SET_TABLE), table) &&
		    !strcmp(nftnl_set_get_str(set, NFTNL_SET_NAME), name))
			return set;
	}
	return NULL;
}

/* Of each message one entry */

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();
	struct firewall *fw = arg;
	struct firewall_chain *chains, *c;

	chains = reallocarray(fw->chains, fw->n_chains + 1, sizeof(*chains));
	if (chains)
		fw->chains = chains;
	if (!chain || !chains) {
		fw->failed = true;
	} else if (!nftnl_chain_nlmsg_parse(nlh, chain)) {
		c = &fw->chains[fw->n_chains];
		*c = (struct firewall_chain){
			.family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY),
			.table = strdup(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE)),
			.name = strdup(nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME)),
			.base = nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM),
			.hook = nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM),
			.policy = nftnl_chain_is_set(chain, NFTNL_CHAIN_POLICY) ?
				nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) : NF_ACCEPT,
		};
		fw->failed |= !c->table || !c->name;
		if (c->table && c->name) {
			fw->n_chains++;
		} else {
			free(c->table);
			free(c->name);
		}
	}
	if (chain)
		nftnl_chain_free(chain);
	return MNL_CB_OK;
}

/* Rules come in the order in which they stand. */
static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct nftnl_rule **rules = NULL;
	struct firewall_chain *chain = NULL;
	struct firewall *fw = arg;

	if (rule && !nftnl_rule_nlmsg_parse(nlh, rule))
		chain = (struct firewall_chain *)firewall_find_chain(
			fw, nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY),
			nftnl_rule_get_str(rule, NFTNL_RULE_TABLE),
			nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));
	if (chain)
		rules = reallocarray(chain->rules, chain->n_rules + 1, sizeof(*rules));
	if (rules) {
		chain->rules = rules;
		rules[chain->n_rules++] = rule;
		return MNL_CB_OK;
	}
	fw->failed |= !rule || chain;
	if (rule)
		nftnl_rule_free(rule);
	return MNL_CB_OK;
}

static int on_set(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_set *set = nftnl_set_alloc();
	struct firewall *fw = arg;
	struct nftnl_set **sets = reallocarray(fw->sets, fw->n_sets + 1, sizeof(struct nftnl_set *));

	if (sets)
		fw->sets = sets;
	if (set && sets && !nftnl_set_nlmsg_parse(nlh, set)) {
		fw->sets[fw->n_sets++] = set;
		return MNL_CB_OK;
	}
	fw->failed |= !set || !sets;
	if (set)
		nftnl_set_free(set);
	return MNL_CB_OK;
}

static int on_elements(const struct nlmsghdr *nlh, void *arg)
{
	return nftnl_set_elems_nlmsg_parse(nlh, arg) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Dumps */

static int dump(struct mnl_socket *socket, struct nlmsghdr *nlh, mnl_cb_t fn, void *arg)
{
	char *buf = malloc(ANSWER_ROOM);
	unsigned seq = nlh->nlmsg_seq;
	int more = 1, err = 0;

	if (!buf)
		return -ENOMEM;
	if (mnl_socket_sendto(socket, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	while (!err && more > 0) {
		ssize_t n = mnl_socket_recvfrom(socket, buf, ANSWER_ROOM);

		more = n < 0 ? (int)n :
			mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(socket), fn, arg);
		if (more < 0)
			err = errno ? -errno : -EIO;
	}
	free(buf);
	return err;
}

static int dump_all(struct mnl_socket *socket, uint16_t type, mnl_cb_t fn, struct firewall *fw)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_ROOM];

	return dump(socket, nftnl_nlmsg_build_hdr(buf, type, NFPROTO_UNSPEC, NLM_F_DUMP, type + 1),
		    fn, fw);
}

/* Those that others fill while packets pass (timeouts, meters) say nothing lasting. */
static bool is_of_use(const struct nftnl_set *set)
{
	return !(nftnl_set_get_u32(set, NFTNL_SET_FLAGS) &
		 (NFT_SET_INTERVAL | NFT_SET_TIMEOUT | NFT_SET_EVAL));
}

static int dump_elements(struct mnl_socket *socket, struct nftnl_set *set, uint32_t seq)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_ROOM];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(
		buf, NFT_MSG_GETSETELEM, (uint16_t)nftnl_set_get_u32(set, NFTNL_SET_FAMILY),
		NLM_F_DUMP, seq);

	nftnl_set_nlmsg_build_payload(nlh, set);
	return dump(socket, nlh, on_elements, set);
}

static int load(struct mnl_socket *socket, struct firewall *fw)
{
	int err = dump_all(socket, NFT_MSG_GETCHAIN, on_chain, fw);

	if (!err)
		err = dump_all(socket, NFT_MSG_GETRULE, on_rule, fw);
	if (!err)
		err = dump_all(socket, NFT_MSG_GETSET, on_set, fw);
	for (size_t i = 0; !err && i < fw->n_sets; i++)
		if (is_of_use(fw->sets[i]))
			err = dump_elements(socket, fw->sets[i], 1000 + (uint32_t)i);
	return !err && fw->failed ? -ENOMEM : err;
}

void firewall_free(struct firewall *fw)
{
	if (!fw)
		return;
	for (size_t i = 0; i < fw->n_chains; i++) {
		for (size_t j = 0; j < fw->chains[i].n_rules; j++)
			nftnl_rule_free(fw->chains[i].rules[j]);
		free(fw->chains[i].rules);
		free(fw->chains[i].table);
		free(fw->chains[i].name);
	}
	for (size_t i = 0; i < fw->n_sets; i++)
		nftnl_set_free(fw->sets[i]);
	free(fw->chains);
	free(fw->sets);
	free(fw);
}

static int load_once(struct firewall **out)
{
	struct firewall *fw = calloc(1, sizeof(*fw));
	struct mnl_socket *socket = NULL;
	int err = fw ? 0 : -ENOMEM;

	if (!err)
		socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!err && !socket)
		err = -errno;
	if (!err && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	if (!err)
		err = load(socket, fw);
	if (socket)
		mnl_socket_close(socket);
	if (err) {
		firewall_free(fw);
		fw = NULL;
	}
	*out = fw;
	return err;
}

int firewall_load(struct firewall **out)
{
	int err = -EINTR;

	/* The kernel says -EINTR when rules changed between two pieces of a dump. */
	for (int i = 0; err == -EINTR && i < READINGS_MAX; i++)
		err = load_once(out);
	return err;
}
