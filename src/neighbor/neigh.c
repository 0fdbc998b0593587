/* SPDX-License-Identifier: MIT */
/* Neighbour Discovery and ARP answered on an uplink, a burst at a time. */
#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "neigh.h"
#include "rawsock.h"
#include "silence.h"
#include "uplink.h"

enum {
	/* Frames per system call. */
	BURST = 64,
	/*
	 * Bursts per turn of the loop: this thread has other work. What is left
	 * keeps the descriptor readable, so the loop comes back for it.
	 */
	BURSTS_PER_TURN = 8,
	/*
	 * A solicitation has 86 bytes, one with every option of SEND (RFC 3971)
	 * some 1,000. A longer one counts as truncated.
	 */
	FRAME_MAX = 1536,
	ANSWER_MAX = NDP_ADVERTISEMENT_MAX
};

_Static_assert((int)ARP_FRAME_MAX <= (int)ANSWER_MAX, "a slot holds either answer");

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
	struct neigh_ops ops;
	void *arg;
	enum router_neighbor_source source;
	struct uplink uplink;
	struct port *port; /* NULL while there is no such link */
	struct silence *silence; /* NULL: the kernel may say what it likes */
	int said_silence;        /* why it does, once it was logged */
	struct neigh_stats stats;
	struct log_limit send_limit;

	/* Laid out once in neigh_open(); only the lengths of answers change. */
	struct mmsghdr rx[BURST];
	struct iovec rx_iov[BURST];
	struct mmsghdr tx[BURST];
	struct iovec tx_iov[BURST];
	uint64_t *tx_counter[BURST]; /* what an answer counts as once it is sent */
	unsigned int queued;         /* answers in tx that wait for flush() */
	/* The kernel wants the EtherType beside the frame that says it too. */
	struct sockaddr_ll to_ndp, to_arp;
	uint8_t rx_frame[BURST][FRAME_MAX];
	uint8_t tx_frame[BURST][ANSWER_MAX];
};

/* ---- sending ---- */

static void queue(struct neigh *n, struct sockaddr_ll *to, size_t len, uint64_t *counter)
{
	n->tx_iov[n->queued].iov_len = len;
	n->tx[n->queued].msg_hdr.msg_name = to;
	n->tx_counter[n->queued] = counter;
	n->queued++;
}

/*
 * Hands the queued frames to the kernel. Those it refuses are lost (0 or a
 * negative errno): the asker asks again within a second, and by then the queue
 * that is full or the link that is down has mended or has not.
 */
static int flush(struct neigh *n)
{
	unsigned int done = 0;
	int sent, err = 0;

	while (done < n->queued) {
		sent = sendmmsg(n->port->fd, n->tx + done, n->queued - done, MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			err = -errno;
			break;
		}
		while (sent-- > 0)
			(*n->tx_counter[done++])++;
	}
	if (err) {
		n->stats.send_failures += n->queued - done;
		log_limited(LOG_LEVEL_WARNING, &n->send_limit, clock_now(),
			    "uplink %s: answers to neighbours are lost: %s", n->uplink.name,
			    strerror(-err));
	}
	n->queued = 0;
	return err;
}

/* The address that an advertisement for target comes from. */
static const uint8_t *source_for(const struct neigh *n, const uint8_t *target)
{
	const struct uplink_address *own = NULL;

	switch (n->source) {
	case NEIGHBOR_SOURCE_AUTO:
	case NEIGHBOR_SOURCE_LINK_LOCAL:
		own = &n->uplink.link_local;
		break;
	case NEIGHBOR_SOURCE_GLOBAL:
		own = &n->uplink.global;
		break;
	case NEIGHBOR_SOURCE_TARGET:
		break;
	}
	return own && own->known ? own->addr : target;
}

int neigh_announce(struct neigh *n, int family, const uint8_t *addr)
{
	uint8_t *frame = n->tx_frame[n->queued];
	struct ndp_advertisement advertisement;
	struct sockaddr_ll *to;
	size_t len;

	if (!n->port)
		return -ENETDOWN;
	switch (family) {
	case AF_INET6:
		ndp_announcement(&advertisement, addr, n->uplink.link_address, source_for(n, addr));
		len = ndp_build_advertisement(frame, ANSWER_MAX, &advertisement);
		to = &n->to_ndp;
		break;
	case AF_INET:
		len = arp_build_announcement(frame, ANSWER_MAX, addr, n->uplink.link_address);
		to = &n->to_arp;
		break;
	default:
		return -EAFNOSUPPORT;
	}
	queue(n, to, len, &n->stats.announced);
	return flush(n);
}

/* ---- receiving ---- */

static void answer_ndp(struct neigh *n, const uint8_t *frame, size_t len)
{
	struct ndp_advertisement advertisement;
	struct ndp_solicitation solicitation;
	enum ndp_verdict verdict;
	enum neigh_owner owner;

	verdict = ndp_parse_solicitation(frame, len, &solicitation);
	n->stats.ndp[verdict]++;
	if (verdict != NDP_OK)
		return;
	owner = n->ops.owner(n->arg, AF_INET6, solicitation.target);
	n->stats.ndp_asked[owner]++;
	if (owner != NEIGH_HERE)
		return;
	ndp_answer(&advertisement, &solicitation, n->uplink.link_address,
		   source_for(n, solicitation.target));
	len = ndp_build_advertisement(n->tx_frame[n->queued], ANSWER_MAX, &advertisement);
	queue(n, &n->to_ndp, len, &n->stats.ndp_answered);
}

static void answer_arp(struct neigh *n, const uint8_t *frame, size_t len)
{
	struct arp_request request;
	enum arp_verdict verdict;
	enum neigh_owner owner;

	verdict = arp_parse_request(frame, len, &request);
	n->stats.arp[verdict]++;
	if (verdict != ARP_OK)
		return;
	owner = n->ops.owner(n->arg, AF_INET, request.target);
	n->stats.arp_asked[owner]++;
	if (owner != NEIGH_HERE)
		return;
	len = arp_build_reply(n->tx_frame[n->queued], ANSWER_MAX, &request, n->uplink.link_address);
	queue(n, &n->to_arp, len, &n->stats.arp_answered);
}

/* Every request yields one answer at most, so a burst's answers fit the queue. */
static void answer_frame(struct neigh *n, const uint8_t *frame, size_t len)
{
	struct ether_frame ether;

	if (ether_parse(frame, len, &ether) && ether.type == ETHER_TYPE_ARP)
		answer_arp(n, frame, len);
	else
		answer_ndp(n, frame, len);
}

/* Answers what has come, a burst at most; true when there may be more. */
static bool answer_burst(struct neigh *n)
{
	int i, got;

	/*
	 * An error is "nothing there", or that the link went down, which the
	 * kernel mends itself when it comes up.
	 */
	got = recvmmsg(n->port->fd, n->rx, BURST, MSG_DONTWAIT, NULL);
	for (i = 0; i < got; i++)
		answer_frame(n, n->rx_frame[i], n->rx[i].msg_len);
	(void)flush(n); /* counted and logged there */
	return got == BURST;
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
	for (turn = 0; turn < BURSTS_PER_TURN && answer_burst(n); turn++)
		;
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
	n->stats.overruns += rawsock_take_drops(n->port->fd);
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
	n->to_ndp.sll_ifindex = n->uplink.index;
	n->to_arp.sll_ifindex = n->uplink.index;
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
	if (addr->family != AF_INET6 || addr->ifindex != n->uplink.index)
		return 0;
	return neigh_refresh(n);
}

/* ---- life ---- */

void neigh_set_source(struct neigh *n, enum router_neighbor_source source)
{
	n->source = source;
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
		n->stats.overruns += rawsock_take_drops(n->port->fd);
	*out = n->stats;
}

static void lay_out_buffers(struct neigh *n)
{
	size_t i;

	for (i = 0; i < BURST; i++) {
		n->rx_iov[i] = (struct iovec){ n->rx_frame[i], FRAME_MAX };
		n->rx[i].msg_hdr.msg_iov = &n->rx_iov[i];
		n->rx[i].msg_hdr.msg_iovlen = 1;
		n->tx_iov[i] = (struct iovec){ n->tx_frame[i], 0 };
		n->tx[i].msg_hdr.msg_iov = &n->tx_iov[i];
		n->tx[i].msg_hdr.msg_iovlen = 1;
		n->tx[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_ll);
	}
	n->to_ndp.sll_family = AF_PACKET;
	n->to_arp.sll_family = AF_PACKET;
	store_be16(&n->to_ndp.sll_protocol, ETHER_TYPE_IPV6);
	store_be16(&n->to_arp.sll_protocol, ETHER_TYPE_ARP);
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
	n->ops = *ops;
	n->arg = arg;
	n->send_limit = (struct log_limit)LOG_LIMIT_INIT(1, 60 * NSEC_PER_SEC);
	lay_out_buffers(n);

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
