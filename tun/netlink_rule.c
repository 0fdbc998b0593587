/* SPDX-License-Identifier: MIT */
/* Requests about the rules that choose a routing table. */
#include <errno.h>
#include <sys/socket.h>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

static int change(struct netlink *nl, uint16_t type, uint16_t flags,
		  const struct netlink_rule *rule)
{
	size_t len = netlink_addr_len(rule->family);
	uint32_t table = rule->table ? rule->table : RT_TABLE_MAIN;
	struct fib_rule_hdr *frh;
	struct nlmsghdr *nlh;

	if (!len || rule->from_len > 8 * len)
		return -EINVAL;

	nlh = netlink_message(nl, type, flags, sizeof(*frh));
	frh = mnl_nlmsg_get_payload(nlh);
	frh->family = rule->family;
	frh->src_len = rule->from_len;
	frh->table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
	frh->action = FR_ACT_TO_TBL;
	frh->flags = rule->invert ? FIB_RULE_INVERT : 0;
	mnl_attr_put_u32(nlh, FRA_TABLE, table);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, rule->protocol ? rule->protocol : NETLINK_PROTO_BERTH);
	if (rule->from_len)
		mnl_attr_put(nlh, FRA_SRC, len, rule->from);
	if (rule->fwmark || rule->fwmask) {
		mnl_attr_put_u32(nlh, FRA_FWMARK, rule->fwmark);
		mnl_attr_put_u32(nlh, FRA_FWMASK, rule->fwmask ? rule->fwmask : UINT32_MAX);
	}
	if (rule->suppress)
		mnl_attr_put_u32(nlh, FRA_SUPPRESS_PREFIXLEN, rule->suppress_prefixlength);
	if (rule->priority)
		mnl_attr_put_u32(nlh, FRA_PRIORITY, rule->priority);
	return netlink_request(nl, nlh, NULL, NULL);
}

int netlink_rule_add(struct netlink *nl, const struct netlink_rule *rule)
{
	return change(nl, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

int netlink_rule_del(struct netlink *nl, const struct netlink_rule *rule)
{
	return change(nl, RTM_DELRULE, 0, rule);
}

struct list {
	int family;
	uint8_t protocol;
	netlink_rule_fn *fn;
	void *arg;
};

static int list_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct list *list = arg;
	struct netlink_rule rule;
	int err;

	if (nlh->nlmsg_type != RTM_NEWRULE)
		return 0;
	err = netlink_parse_rule(nlh, &rule);
	if (err)
		return err == -EAFNOSUPPORT ? 0 : err;
	if (rule.family != list->family || (list->protocol && rule.protocol != list->protocol))
		return 0;
	return list->fn(&rule, list->arg);
}

static int list_family(struct netlink *nl, struct list *list)
{
	struct fib_rule_hdr *frh;
	struct nlmsghdr *nlh;
	int err;

	nlh = netlink_message(nl, RTM_GETRULE, NLM_F_DUMP, sizeof(*frh));
	frh = mnl_nlmsg_get_payload(nlh);
	frh->family = (uint8_t)list->family;
	err = netlink_request(nl, nlh, list_message, list);
	/* A kernel with ipv6.disable=1 has none. */
	return err == -EAFNOSUPPORT ? 0 : err;
}

int netlink_rule_list(struct netlink *nl, int family, uint8_t protocol, netlink_rule_fn *fn,
		      void *arg)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct list list = { .protocol = protocol, .fn = fn, .arg = arg };
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		if (family && family != families[i])
			continue;
		list.family = families[i];
		err = list_family(nl, &list);
		if (err)
			return err;
	}
	return 0;
}
