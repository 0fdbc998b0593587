/* SPDX-License-Identifier: MIT */
/* What the netlink_*.c files share: one request, one answer. */
#ifndef BERTH_TUN_NETLINK_PRIVATE_H
#define BERTH_TUN_NETLINK_PRIVATE_H

#include <sys/types.h>

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include "netlink.h"

enum {
	/* Larger than any single request of ours; nothing in one is of variable size. */
	NETLINK_REQUEST_MAX = 512,
	/* The kernel's dumps come in pieces of up to 32 KiB; one entry may be larger. */
	NETLINK_ANSWER_MAX = 65536
};

struct netlink_batch;

struct netlink {
	struct mnl_socket *socket;
	uint32_t seq;
	bool busy;                   /* a request is being answered, maybe by callbacks */
	struct netlink_batch *batch; /* the one that is open, or NULL */
	char error[256];
	_Alignas(NLMSG_ALIGNTO) char request[NETLINK_REQUEST_MAX];
	_Alignas(NLMSG_ALIGNTO) char answer[NETLINK_ANSWER_MAX];
};

/*
 * Open a NETLINK_ROUTE socket in the namespace @nsfd (< 0: the caller's),
 * member of the multicast groups of the bit mask @groups.
 */
must_check int netlink_socket_open(struct mnl_socket **out, int nsfd, uint32_t groups);

/*
 * Receive one datagram; @flags as for recv(2). Returns its length, 0 if it is
 * to be skipped because the kernel did not send it, or a negative errno:
 * -EAGAIN nothing there, -ENOBUFS something was lost, -EMSGSIZE it did not fit.
 */
must_check ssize_t netlink_socket_recv(struct mnl_socket *socket, void *buf, size_t size,
				       int flags);

/*
 * After a loss (-ENOBUFS) the kernel drops all that comes, without another word,
 * until the queue has been emptied. This throws away what is queued, using @buf
 * as for netlink_socket_recv(), and so makes the socket whole again. Returns 0,
 * or a negative errno if the socket is broken.
 */
int netlink_socket_drain(struct mnl_socket *socket, void *buf, size_t size);

/* Keep @text for netlink_error(). */
void netlink_set_error(struct netlink *nl, const char *text);

/*
 * Start a request in nl->request: NLM_F_REQUEST and NLM_F_ACK are added to
 * @flags. Its payload is a fixed header of @header_len bytes, zeroed.
 */
struct nlmsghdr *netlink_message(struct netlink *nl, uint16_t type, uint16_t flags,
				 size_t header_len);

/*
 * Wait for a datagram of an answer, into nl->answer. Returns its length, 0 to be
 * skipped, or a negative errno, upon which nothing more of it will come.
 */
must_check ssize_t netlink_receive(struct netlink *nl);

/* Called with every message of an answer; non-zero ends the request with it. */
typedef int netlink_message_fn(const struct nlmsghdr *nlh, void *arg);

/* Send what netlink_message() began and wait for the verdict. */
must_check int netlink_request(struct netlink *nl, struct nlmsghdr *nlh, netlink_message_fn *fn,
			       void *arg);

/* Append the body of a request to @nlh: netlink_route.c, used by netlink_batch.c. */
must_check int netlink_route_put(struct nlmsghdr *nlh, enum netlink_op op,
				 const struct netlink_route *route);
uint16_t netlink_route_flags(enum netlink_op op);

#endif
