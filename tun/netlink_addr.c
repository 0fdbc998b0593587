/* SPDX-License-Identifier: MIT */
/* Requests about the addresses of links. */
#include <errno.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

static int change(struct netlink *nl, uint16_t type, uint16_t flags,
		  const struct netlink_addr *addr)
{
	/* Valid for ever, preferred never. */
	static const struct ifa_cacheinfo forever = { .ifa_valid = UINT32_MAX };
	size_t len = netlink_addr_len(addr->family);
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh;

	if (!len || addr->prefixlen > 8 * len)
		return -EINVAL;
	if (addr->ifindex <= 0)
		return -ENODEV;

	nlh = netlink_message(nl, type, flags, sizeof(*ifa));
	ifa = mnl_nlmsg_get_payload(nlh);
	ifa->ifa_family = addr->family;
	ifa->ifa_prefixlen = addr->prefixlen;
	ifa->ifa_scope = addr->scope;
	ifa->ifa_flags = (uint8_t)addr->flags;
	ifa->ifa_index = (uint32_t)addr->ifindex;
	/* IPv4 demands the one, IPv6 the other; both take both. */
	mnl_attr_put(nlh, IFA_LOCAL, len, addr->addr);
	mnl_attr_put(nlh, IFA_ADDRESS, len, addr->addr);
	if (type == RTM_NEWADDR)
		mnl_attr_put_u32(nlh, IFA_FLAGS, addr->flags);
	if (type == RTM_NEWADDR && addr->deprecated)
		mnl_attr_put(nlh, IFA_CACHEINFO, sizeof(forever), &forever);
	return netlink_request(nl, nlh, NULL, NULL);
}

int netlink_addr_add(struct netlink *nl, const struct netlink_addr *addr)
{
	return change(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, addr);
}

int netlink_addr_del(struct netlink *nl, const struct netlink_addr *addr)
{
	return change(nl, RTM_DELADDR, 0, addr);
}

struct list {
	int family;
	int ifindex;
	netlink_addr_fn *fn;
	void *arg;
};

static int list_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct list *list = arg;
	struct netlink_addr addr;
	int err;

	if (nlh->nlmsg_type != RTM_NEWADDR)
		return 0;
	err = netlink_parse_addr(nlh, &addr);
	if (err)
		return err == -EAFNOSUPPORT ? 0 : err;
	/*
	 * A kernel without strict checking ignores the index, and one without
	 * IPv6 answers for all families if asked for that.
	 */
	if (addr.family != list->family || (list->ifindex && addr.ifindex != list->ifindex))
		return 0;
	return list->fn(&addr, list->arg);
}

static int list_family(struct netlink *nl, struct list *list)
{
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh;

	nlh = netlink_message(nl, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
	ifa = mnl_nlmsg_get_payload(nlh);
	ifa->ifa_family = (uint8_t)list->family;
	ifa->ifa_index = (uint32_t)list->ifindex;
	return netlink_request(nl, nlh, list_message, list);
}

int netlink_addr_list(struct netlink *nl, int family, int ifindex, netlink_addr_fn *fn, void *arg)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct list list = { .ifindex = ifindex, .fn = fn, .arg = arg };
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
