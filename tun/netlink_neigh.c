/* SPDX-License-Identifier: MIT */
/* Requests about neighbours: whom the kernel has met on a link. */
#include <errno.h>
#include <sys/socket.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

struct list {
	int family;
	int ifindex;
	netlink_neigh_fn *fn;
	void *arg;
};

static int list_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct list *list = arg;
	struct netlink_neigh neigh;
	int err;

	if (nlh->nlmsg_type != RTM_NEWNEIGH)
		return 0;
	err = netlink_parse_neigh(nlh, &neigh);
	if (err)
		return err == -EAFNOSUPPORT ? 0 : err;
	/* A kernel without IPv6 answers for all families if asked for that. */
	if (neigh.family != list->family)
		return 0;
	/* A proxied address may be one of all links, which has no index. */
	if (list->ifindex && neigh.ifindex && neigh.ifindex != list->ifindex)
		return 0;
	return list->fn(&neigh, list->arg);
}

static int list_both(struct netlink *nl, uint8_t flags, struct list *list)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		list->family = families[i];
		nlh = netlink_message(nl, RTM_GETNEIGH, NLM_F_DUMP, sizeof(*ndm));
		ndm = mnl_nlmsg_get_payload(nlh);
		ndm->ndm_family = (uint8_t)list->family;
		ndm->ndm_flags = flags;
		err = netlink_request(nl, nlh, list_message, list);
		if (err)
			return err;
	}
	return 0;
}

int netlink_neigh_list(struct netlink *nl, int ifindex, netlink_neigh_fn *fn, void *arg)
{
	struct list list = { .ifindex = ifindex, .fn = fn, .arg = arg };

	return list_both(nl, 0, &list);
}

int netlink_proxy_list(struct netlink *nl, int ifindex, netlink_neigh_fn *fn, void *arg)
{
	struct list list = { .ifindex = ifindex, .fn = fn, .arg = arg };

	return list_both(nl, NTF_PROXY, &list);
}
