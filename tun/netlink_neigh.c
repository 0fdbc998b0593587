/* SPDX-License-Identifier: MIT */
/* Requests about neighbours. */
#include <errno.h>
#include <sys/socket.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

struct list {
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
	/* A proxied address may be one of all links, without an index. */
	if (list->ifindex && neigh.ifindex != list->ifindex && neigh.ifindex)
		return 0;
	return list->fn(&neigh, list->arg);
}

int netlink_neigh_list(struct netlink *nl, uint8_t family, int ifindex, bool proxied,
		       netlink_neigh_fn *fn, void *arg)
{
	struct list list = { .ifindex = ifindex, .fn = fn, .arg = arg };
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;

	nlh = netlink_message(nl, RTM_GETNEIGH, NLM_F_DUMP, sizeof(*ndm));
	ndm = mnl_nlmsg_get_payload(nlh);
	ndm->ndm_family = family;
	/* The kernel asks for the whole of it, and an index is for an attribute then. */
	ndm->ndm_flags = proxied ? NTF_PROXY : 0;
	return netlink_request(nl, nlh, list_message, &list);
}
