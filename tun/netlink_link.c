/* SPDX-License-Identifier: MIT */
/* Requests about links. */
#include <errno.h>
#include <sys/socket.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

struct list {
	netlink_link_fn *fn;
	void *arg;
};

static int list_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct list *list = arg;
	struct netlink_link link;
	int err;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return 0;
	err = netlink_parse_link(nlh, &link);
	if (err)
		return err == -EAFNOSUPPORT ? 0 : err;
	return list->fn(&link, list->arg);
}

static int get(struct netlink *nl, int index, const char *name, uint16_t flags, netlink_link_fn *fn,
	       void *arg)
{
	struct list list = { .fn = fn, .arg = arg };
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh;

	nlh = netlink_message(nl, RTM_GETLINK, flags, sizeof(*ifi));
	ifi = mnl_nlmsg_get_payload(nlh);
	ifi->ifi_index = index;
	if (name)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	/* Statistics are the larger half of the answer. */
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return netlink_request(nl, nlh, list_message, &list);
}

static int keep_link(const struct netlink_link *link, void *arg)
{
	struct netlink_link *out = arg;

	*out = *link;
	return 0;
}

static int get_one(struct netlink *nl, int index, const char *name, struct netlink_link *link)
{
	int err;

	link->index = 0;
	err = get(nl, index, name, 0, keep_link, link);
	if (err)
		return err;
	return link->index > 0 ? 0 : -EBADMSG;
}

/* What else a name may not be (a slash, a space) the kernel knows. */
static bool name_fits(const char *name)
{
	return name[0] && strnlen(name, IFNAMSIZ) < IFNAMSIZ;
}

int netlink_link_index(struct netlink *nl, const char *name)
{
	struct netlink_link link;
	int err;

	if (!name_fits(name))
		return -ENODEV;
	err = get_one(nl, 0, name, &link);
	return err ? err : link.index;
}

int netlink_link_name(struct netlink *nl, int index, char name[IFNAMSIZ])
{
	struct netlink_link link;
	int err = netlink_link_get(nl, index, &link);

	if (err)
		return err;
	memcpy(name, link.name, IFNAMSIZ);
	return 0;
}

int netlink_link_get(struct netlink *nl, int index, struct netlink_link *link)
{
	if (index <= 0)
		return -ENODEV;
	return get_one(nl, index, NULL, link);
}

int netlink_link_list(struct netlink *nl, netlink_link_fn *fn, void *arg)
{
	return get(nl, 0, NULL, NLM_F_DUMP, fn, arg);
}

/* Index 0 would mean "the one of that name", or every link of a group. */
static struct nlmsghdr *change(struct netlink *nl, uint16_t type, int index, struct ifinfomsg **ifi)
{
	struct nlmsghdr *nlh;

	if (index <= 0)
		return NULL;
	nlh = netlink_message(nl, type, 0, sizeof(**ifi));
	*ifi = mnl_nlmsg_get_payload(nlh);
	(*ifi)->ifi_index = index;
	return nlh;
}

static int set_flags(struct netlink *nl, int index, unsigned int flags, unsigned int mask)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index, &ifi);

	if (!nlh)
		return -ENODEV;
	ifi->ifi_flags = flags;
	ifi->ifi_change = mask;
	return netlink_request(nl, nlh, NULL, NULL);
}

int netlink_link_set_up(struct netlink *nl, int index)
{
	return set_flags(nl, index, IFF_UP, IFF_UP);
}

int netlink_link_set_down(struct netlink *nl, int index)
{
	return set_flags(nl, index, 0, IFF_UP);
}

int netlink_link_set_mtu(struct netlink *nl, int index, uint32_t mtu)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index, &ifi);

	if (!nlh)
		return -ENODEV;
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return netlink_request(nl, nlh, NULL, NULL);
}

int netlink_link_set_no_link_local(struct netlink *nl, int index)
{
	struct nlattr *families, *ip6;
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index, &ifi);
	int err;

	if (!nlh)
		return -ENODEV;
	families = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	ip6 = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, ip6);
	mnl_attr_nest_end(nlh, families);
	err = netlink_request(nl, nlh, NULL, NULL);
	/* Without IPv6, on this machine or under its least MTU, there is none anyway. */
	return err == -EAFNOSUPPORT ? 0 : err;
}

int netlink_link_rename(struct netlink *nl, int index, const char *name)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index, &ifi);

	if (!nlh)
		return -ENODEV;
	if (!name_fits(name))
		return -EINVAL;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return netlink_request(nl, nlh, NULL, NULL);
}

int netlink_link_set_netns(struct netlink *nl, int index, int nsfd, const char *name)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index, &ifi);

	if (!nlh)
		return -ENODEV;
	if (name && !name_fits(name))
		return -EINVAL;
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)nsfd);
	if (name)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return netlink_request(nl, nlh, NULL, NULL);
}

int netlink_link_delete(struct netlink *nl, int index)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = change(nl, RTM_DELLINK, index, &ifi);

	if (!nlh)
		return -ENODEV;
	return netlink_request(nl, nlh, NULL, NULL);
}
