/* SPDX-License-Identifier: MIT */
/* When the network around us is another one. */
#include "netchange.h"

#include <errno.h>
#include <stdlib.h>

#include "../../tun/nlmon.h"
#include "../base/log.h"
#include "../base/poll.h"
#include "link.h"
#include "stamp.h"

struct netchange {
	struct nlmon *mon;
	struct netlink *nl;
	uv_poll_t poll;
	uv_timer_t settle;
	uint64_t told; /* ms of the loop; 0: never */
	struct cds_list_head items;
	unsigned closing;
};

static void on_settled(uv_timer_t *timer)
{
	struct netchange *n = timer->data;
	struct netchange_item *item;

	n->told = uv_now(timer->loop);
	cds_list_for_each_entry(item, &n->items, in_list)
		item->changed(item->arg);
}

static void note(struct netchange *n)
{
	uint64_t now = uv_now(n->settle.loop), earliest = n->told + NETCHANGE_PAUSE_MS;

	if (uv_is_active((uv_handle_t *)&n->settle))
		return;
	uv_timer_start(&n->settle, on_settled,
		       n->told && earliest > now + NETCHANGE_SETTLE_MS
			       ? earliest - now : NETCHANGE_SETTLE_MS, 0);
}

static void on_link(const struct netlink_link *link, bool gone, void *arg)
{
	(void)link;
	(void)gone;
	note(arg);
}

static void on_addr(const struct netlink_addr *addr, bool gone, void *arg)
{
	(void)addr;
	(void)gone;
	note(arg);
}

static void on_route(const struct netlink_route *route, bool gone, void *arg)
{
	(void)route;
	(void)gone;
	note(arg);
}

/* A rule has changed, or events were lost. */
static void on_something(void *arg)
{
	note(arg);
}

static void on_mon(uv_poll_t *poll, int status, int events)
{
	/* What changes is asked for anyway (netchange_way): that something did is enough. */
	static const struct nlmon_callbacks callbacks = { .link = on_link,
							  .addr = on_addr,
							  .route = on_route,
							  .rule = on_something,
							  .overrun = on_something };
	struct netchange *n = poll->data;

	(void)events;
	if (nlmon_read(n->mon, &callbacks, n) < 0)
		note(n);
	if (poll_go_on(poll, status, on_mon))
		log_error("cannot follow the network any more: tunnels find out by themselves when "
			  "it changes, and late");
}

int netchange_open(struct netchange **out, uv_loop_t *loop)
{
	struct netchange *n = calloc(1, sizeof(*n));
	int err;

	*out = NULL;
	if (!n)
		return -ENOMEM;
	CDS_INIT_LIST_HEAD(&n->items);
	err = nlmon_open(&n->mon, -1, NLMON_LINK | NLMON_ADDR | NLMON_ROUTE | NLMON_RULE);
	if (err)
		goto free_n;
	err = netlink_open(&n->nl, -1);
	if (err)
		goto close_mon;
	err = uv_poll_init(loop, &n->poll, nlmon_fd(n->mon));
	if (err)
		goto close_nl;
	uv_timer_init(loop, &n->settle);
	n->poll.data = n->settle.data = n;
	uv_poll_start(&n->poll, UV_READABLE, on_mon);
	*out = n;
	return 0;

close_nl:
	netlink_close(n->nl);
close_mon:
	nlmon_close(n->mon);
free_n:
	free(n);
	return err;
}

static void on_closed(uv_handle_t *handle)
{
	struct netchange *n = handle->data;

	if (--n->closing)
		return;
	netlink_close(n->nl);
	nlmon_close(n->mon);
	free(n);
}

void netchange_close(struct netchange *n)
{
	if (!n)
		return;
	n->closing = 2;
	uv_close((uv_handle_t *)&n->poll, on_closed);
	uv_close((uv_handle_t *)&n->settle, on_closed);
}

void netchange_add(struct netchange *n, struct netchange_item *item)
{
	cds_list_add_tail(&item->in_list, &n->items);
}

void netchange_remove(struct netchange_item *item)
{
	cds_list_del(&item->in_list);
}

uint64_t netchange_way(struct netchange *n, const struct endpoint *to, uint32_t mark)
{
	struct netlink_lookup lookup = link_lookup_to(to, mark);
	uint64_t hash = STAMP_HASH_INIT;
	struct netlink_route route;
	struct netlink_link link;

	if (netlink_route_get(n->nl, &lookup, &route) ||
	    netlink_link_get(n->nl, route.oif, &link) || !link.carrier)
		return 0;
	hash = stamp_hash(hash, &route.oif, sizeof(route.oif));
	hash = stamp_hash(hash, &route.gateway_family, sizeof(route.gateway_family));
	hash = stamp_hash(hash, route.gateway, sizeof(route.gateway));
	hash = stamp_hash(hash, route.src, sizeof(route.src));
	return hash | 1;
}
