/* SPDX-License-Identifier: MIT */
/* The uplink followed, and its packet socket in the loop. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "answerer.h"
#include "neigh.h"
#include "rawsock.h"
#include "silence.h"

/*
 * Bursts per turn of the loop: this thread has other work. What is left keeps
 * the descriptor readable, so the loop comes back for it.
 */
enum { BURSTS_PER_TURN = 8 };

/*
 * The socket and its place in the loop. Apart from struct neigh because libuv
 * keeps a handle until the turn after uv_close(), when its struct neigh may
 * be freed or have the next one.
 */
struct port {
	uv_poll_t poll; /* .data: its struct neigh */
	int fd;
};

struct neigh {
	uv_loop_t *loop;
	struct uplink uplink;
	struct port *port; /* NULL while there is no such link */
	struct silence *silence; /* NULL: the kernel may say what it likes */
	int said_silence;        /* why it does, once it was logged */
	struct answerer answerer;
};

int neigh_announce(struct neigh *n, int family, const uint8_t *addr)
{
	return n->port ? answerer_announce(&n->answerer, n->port->fd, family, addr) : -ENETDOWN;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct neigh *n = poll->data;
	int err, turn, ignored;
	socklen_t len = sizeof(ignored);

	(void)events;
	if (status < 0) {
		/*
		 * The link went down or away. libuv stops polling a descriptor
		 * in error: fetch the error, so that it is gone, and go on. Down,
		 * the socket works again as soon as the link is up; away, it
		 * stays silent until neigh_refresh() replaces it.
		 */
		(void)getsockopt(n->port->fd, SOL_SOCKET, SO_ERROR, &ignored, &len);
		err = uv_poll_start(poll, UV_READABLE, on_readable);
		if (err)
			log_error("uplink %s: neighbours get no more answers: %s", n->uplink.name,
				  uv_strerror(err));
		return;
	}
	for (turn = 0; turn < BURSTS_PER_TURN; turn++)
		if (!answerer_burst(&n->answerer, n->port->fd))
			break;
}

/* ---- following the uplink ---- */

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct port, poll));
}

/* Falls silent; the counters stay. */
static void detach(struct neigh *n)
{
	if (!n->port)
		return;
	n->answerer.stats.overruns += rawsock_take_drops(n->port->fd);
	uv_close((uv_handle_t *)&n->port->poll, on_closed);
	/* uv_close() has taken the descriptor out of the loop already. */
	close(n->port->fd);
	n->port = NULL;
}

static int attach(struct neigh *n)
{
	struct port *port;
	int err;

	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	port->fd = rawsock_open(n->uplink.index);
	if (port->fd < 0) {
		err = port->fd;
		goto err_free;
	}
	err = uv_poll_init(n->loop, &port->poll, port->fd);
	if (err)
		goto err_close;
	port->poll.data = n;
	/* The handle is the loop's now; detach() undoes all of it. */
	n->port = port;
	answerer_set_link(&n->answerer, n->uplink.index);
	err = uv_poll_start(&port->poll, UV_READABLE, on_readable);
	if (err)
		detach(n);
	return err; /* libuv's errors are negative errnos here */

err_close:
	close(port->fd);
err_free:
	free(port);
	return err;
}

/* Without it neighbours see the kernel's error beside our answer, and most do not mind. */
static void say_silence(struct neigh *n, int err)
{
	if (err && err != n->said_silence)
		log_warning("uplink %s: cannot keep the kernel from answering neighbours' unicast "
			    "solicitations with errors beside our answers: nftables: %s",
			    n->uplink.name, strerror(-err));
	n->said_silence = err;
}

/* As neigh_refresh(), but a link that is not there is -ENODEV. */
static int follow_uplink(struct neigh *n)
{
	const uint8_t *hw = n->uplink.link_address;
	uint8_t before[ETHER_ADDR_LEN];
	bool moved;
	int err;

	memcpy(before, hw, sizeof(before));
	err = uplink_read(&n->uplink);
	if (n->silence && (!err || err == -ENODEV))
		say_silence(n, silence_update(n->silence, &n->uplink));
	/* Also when another link has our name by now, or ours was made anew. */
	if (n->port && !rawsock_is_bound(n->port->fd, n->uplink.index))
		detach(n);
	if (err)
		return err;

	moved = !n->port || memcmp(before, hw, sizeof(before)) != 0;
	if (!n->port)
		err = attach(n);
	if (err)
		return err;
	if (moved)
		log_info("uplink %s: answering neighbours as %02x:%02x:%02x:%02x:%02x:%02x",
			 n->uplink.name, hw[0], hw[1], hw[2], hw[3], hw[4], hw[5]);
	return moved;
}

int neigh_refresh(struct neigh *n)
{
	bool answering = n->port != NULL;
	int err;

	err = follow_uplink(n);
	if (err != -ENODEV)
		return err;
	if (answering)
		log_warning("uplink %s is gone: no tenant can be reached until it is back",
			    n->uplink.name);
	return 0;
}

/*
 * An event says which link to look at; what is true now says the kernel, since
 * events may be old.
 */
int neigh_link_changed(struct neigh *n, const struct netlink_link *link)
{
	/* By its index too: ours may have been renamed. */
	if (strcmp(link->name, n->uplink.name) != 0 && link->index != n->uplink.index)
		return 0;
	return neigh_refresh(n);
}

int neigh_addr_changed(struct neigh *n, const struct netlink_addr *addr)
{
	if (addr->family == AF_INET6 && addr->ifindex != n->uplink.index)
		return 0;
	return neigh_refresh(n);
}

/* ---- life ---- */

void neigh_set_source(struct neigh *n, enum router_neighbor_source source)
{
	n->answerer.source = source;
}

void neigh_silence_kernel(struct neigh *n, const char *table,
			  const struct config_ranges *prefixes)
{
	int err = silence_open(&n->silence, table, prefixes);

	if (!err)
		err = silence_update(n->silence, &n->uplink);
	say_silence(n, err);
}

void neigh_stats(struct neigh *n, struct neigh_stats *out)
{
	if (n->port)
		n->answerer.stats.overruns += rawsock_take_drops(n->port->fd);
	*out = n->answerer.stats;
}

uint64_t neigh_asked_ago(const struct neigh *n, const uint8_t addr[NDP_ADDR_LEN])
{
	uint64_t at = askers_asked(&n->answerer.askers, addr), now = clock_now();

	return at ? now - min(at, now) : UINT64_MAX;
}

void neigh_close(struct neigh *n)
{
	if (!n)
		return;
	detach(n);
	silence_close(n->silence);
	uplink_close(&n->uplink);
	free(n);
}

int neigh_open(struct neigh **neigh, uv_loop_t *loop, const char *ifname,
	       const struct neigh_ops *ops, void *arg)
{
	struct neigh *n;
	int err;

	*neigh = NULL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->loop = loop;
	answerer_init(&n->answerer, &n->uplink, ops, arg);

	err = uplink_open(&n->uplink, ifname);
	if (err)
		goto err_close;
	err = follow_uplink(n);
	if (err < 0)
		goto err_close;
	*neigh = n;
	return 0;

err_close:
	neigh_close(n); /* takes what has not been opened yet */
	return err;
}
