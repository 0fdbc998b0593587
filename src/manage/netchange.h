/* SPDX-License-Identifier: MIT */
/*
 * Hears of it when the network around us is another one: a default route, an address, an
 * uplink has come or gone. One for all tunnels, by one nlmon in our own namespace. What
 * comes in bunches is told once, and never more often than every NETCHANGE_PAUSE_MS,
 * however much the routes flap. Control thread.
 */
#ifndef BERTH_MANAGE_NETCHANGE_H
#define BERTH_MANAGE_NETCHANGE_H

#include <uv.h>
#include <urcu/list.h>

#include "../base/endpoint.h"

enum {
	NETCHANGE_SETTLE_MS = 50,
	NETCHANGE_PAUSE_MS = 1000 /* between two tellings */
};

struct netchange;

/* Somebody who wants to know. */
struct netchange_item {
	struct cds_list_head in_list;
	void (*changed)(void *arg); /* must neither add nor remove */
	void *arg;
};

/* 0 or -errno; nothing is logged. */
must_check int netchange_open(struct netchange **out, uv_loop_t *loop);

/* Every item has been removed. The loop turns once more. NULL is fine. */
void netchange_close(struct netchange *n);

void netchange_add(struct netchange *n, struct netchange_item *item);
void netchange_remove(struct netchange_item *item);

/*
 * The way to an address by what the kernel would do now, with that mark, as a number:
 * another one when the interface, its carrier, the next hop or the source address is
 * another. 0: there is no way.
 */
uint64_t netchange_way(struct netchange *n, const struct endpoint *to, uint32_t mark);

#endif
