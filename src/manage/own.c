/* SPDX-License-Identifier: MIT */
/* The machine's own addresses. */
#include "own.h"

#include <errno.h>
#include <stdlib.h>

#include "../base/log.h"

struct list {
	struct netlink *nl;
	struct prefix *v;
	size_t n;
};

/* Room is a power of two. */
static int collect(const struct netlink_addr *addr, void *arg)
{
	struct list *list = arg;

	if ((list->n & (list->n - 1)) == 0) {
		struct prefix *grown = reallocarray(list->v, list->n ? 2 * list->n : 1,
						    sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->v = grown;
	}
	list->v[list->n++] = prefix_host(addr->family, addr->addr);
	return 0;
}

static int list_all(void *arg)
{
	struct list *list = arg;

	free(list->v);
	list->v = NULL;
	list->n = 0;
	return netlink_addr_list(list->nl, 0, 0, collect, list);
}

void own_refresh(struct device *device, struct netlink *nl)
{
	struct list list = { .nl = nl };
	int err = netlink_list_whole(list_all, &list);

	if (!err)
		err = device_set_own(device, list.v, list.n);
	if (err)
		log_error("%s: cannot list this machine's addresses: %s", device_name(device),
			  strerror(-err));
	free(list.v);
}

/* Another interface may have the same one: that one is gone is only seen in the whole list. */
void own_changed(struct device *device, struct netlink *nl, const struct netlink_addr *addr,
		 bool gone)
{
	if (gone || !device_is_own(device, addr->family, addr->addr))
		own_refresh(device, nl);
}
