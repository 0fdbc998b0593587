/* SPDX-License-Identifier: MIT */
/* The peers of a device, some at a time. */
#include <sodium.h>

#include "device_peers.h"

void device_walk_begin(struct device *dev, struct device_walk *walk)
{
	*walk = (struct device_walk){ .before = dev->n_added };
}

bool device_walk(struct device *dev, struct device_walk *walk, unsigned n,
		 void (*fn)(const struct device_peer *peer, void *arg), void *arg)
{
	struct peertable_entry *entry;
	struct device_peer info = { 0 };
	struct peertable_iter it;

	rcu_turn_begin();
	entry = peertable_resume(dev->dp.table, &walk->at, &it);
	for (; entry && n; n--) {
		struct peer *peer = container_of(entry, struct peer, entry);

		/* Wraps after four thousand million peers, as before does. */
		if ((int32_t)(peer->number - walk->before) < 0) {
			device_describe(peer, &info);
			fn(&info, arg);
		}
		peertable_pause(entry, &walk->at);
		entry = peertable_next(dev->dp.table, &it);
	}
	rcu_turn_end();
	sodium_memzero(info.preshared_key, sizeof(info.preshared_key));
	return entry != NULL;
}
