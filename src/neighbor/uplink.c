/* SPDX-License-Identifier: MIT */
/* The uplink as the kernel describes it. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "uplink.h"

static void take_address(struct uplink_address *own, const struct netlink_addr *addr)
{
	if (own->known)
		return;
	own->known = true;
	memcpy(own->addr, addr->addr, NDP_ADDR_LEN);
}

static int note_own(struct uplink *uplink, const struct netlink_addr *addr)
{
	static const uint8_t mapped[UPLINK_MAPPED_LEN] = UPLINK_MAPPED;
	uint8_t *own;
	void *grown = reallocarray(uplink->own, uplink->n_own + 1, sizeof(*uplink->own));

	if (!grown)
		return -ENOMEM;
	uplink->own = grown;
	own = uplink->own[uplink->n_own++];
	if (addr->family == AF_INET) {
		memcpy(own, mapped, sizeof(mapped));
		memcpy(own + sizeof(mapped), addr->addr, 4);
	} else {
		memcpy(own, addr->addr, NDP_ADDR_LEN);
	}
	return 0;
}

static int compare_addresses(const void *a, const void *b)
{
	return memcmp(a, b, NDP_ADDR_LEN);
}

static int on_address(const struct netlink_addr *addr, void *arg)
{
	/* Not ours yet, or proven not to be: RFC 4862 §5.4. */
	const uint32_t unusable = IFA_F_TENTATIVE | IFA_F_DADFAILED;
	/* Soon to go: RFC 8981, RFC 4862 §5.5.4. */
	const uint32_t fleeting = IFA_F_TEMPORARY | IFA_F_DEPRECATED;
	struct uplink *uplink = arg;
	int err;

	if (addr->scope == RT_SCOPE_HOST)
		return 0;
	err = note_own(uplink, addr);
	if (err || addr->family != AF_INET6 || addr->flags & unusable)
		return err;
	if (addr->scope == RT_SCOPE_LINK)
		take_address(&uplink->link_local, addr);
	else if (addr->scope == RT_SCOPE_UNIVERSE && !(addr->flags & fleeting))
		take_address(&uplink->global, addr);
	return 0;
}

static int list_addresses(void *arg)
{
	struct uplink *uplink = arg;
	int err;

	uplink->link_local.known = false;
	uplink->global.known = false;
	uplink->n_own = 0;
	err = netlink_addr_list(uplink->nl, AF_INET6, uplink->index, on_address, uplink);
	/* Linux answers ARP on each link for the IPv4 addresses of all (arp_ignore 0). */
	return err ? err : netlink_addr_list(uplink->nl, AF_INET, 0, on_address, uplink);
}

static int read_addresses(struct uplink *uplink)
{
	int err = netlink_list_whole(list_addresses, uplink);

	if (uplink->n_own)
		qsort(uplink->own, uplink->n_own, sizeof(*uplink->own), compare_addresses);
	return err;
}

static int read_link(struct uplink *uplink)
{
	struct netlink_link link;
	int index, err;

	index = netlink_link_index(uplink->nl, uplink->name);
	if (index < 0)
		return index;
	err = netlink_link_get(uplink->nl, index, &link);
	if (err)
		return err;
	/* On other media there is no NDP to answer, or its frames look different. */
	if (link.type != ARPHRD_ETHER || link.hwaddr_len != ETHER_ADDR_LEN)
		return -EMEDIUMTYPE;
	uplink->index = link.index;
	memcpy(uplink->link_address, link.hwaddr, ETHER_ADDR_LEN);
	return 0;
}

int uplink_read(struct uplink *uplink)
{
	int err;

	err = read_link(uplink);
	if (!err)
		err = read_addresses(uplink);
	if (err == -ENODEV || err == -EMEDIUMTYPE)
		uplink->index = 0;
	if (!uplink->index)
		uplink->n_own = 0;
	return err;
}

void uplink_close(struct uplink *uplink)
{
	netlink_close(uplink->nl);
	free(uplink->own);
	uplink->nl = NULL;
	uplink->own = NULL;
}

int uplink_open(struct uplink *uplink, const char *name)
{
	size_t len = strlen(name);

	memset(uplink, 0, sizeof(*uplink));
	if (len >= sizeof(uplink->name))
		return -ENAMETOOLONG;
	memcpy(uplink->name, name, len);
	return netlink_open(&uplink->nl, -1);
}
