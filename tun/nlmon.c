/* SPDX-License-Identifier: MIT */
/* Hearing of it when the kernel's links, addresses, routes, rules or neighbours change. */
#include "nlmon.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/filter.h>
#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

enum {
	/* One event is a datagram; this many are handled in about a millisecond. */
	BURST = 256,
	/* A thousand events or so may pile up while the caller is busy. */
	RECEIVE_BUFFER = 1 << 20
};

struct nlmon {
	struct mnl_socket *socket;
	_Alignas(NLMSG_ALIGNTO) char buf[NETLINK_ANSWER_MAX];
};

static uint32_t group_bit(unsigned int group)
{
	return UINT32_C(1) << (group - 1);
}

static uint32_t groups_of(unsigned int groups)
{
	uint32_t bits = 0;

	if (groups & NLMON_LINK)
		bits |= group_bit(RTNLGRP_LINK);
	if (groups & NLMON_ADDR)
		bits |= group_bit(RTNLGRP_IPV4_IFADDR) | group_bit(RTNLGRP_IPV6_IFADDR);
	if (groups & NLMON_ROUTE)
		bits |= group_bit(RTNLGRP_IPV4_ROUTE) | group_bit(RTNLGRP_IPV6_ROUTE);
	if (groups & NLMON_NEIGH)
		bits |= group_bit(RTNLGRP_NEIGH);
	if (groups & NLMON_RULE)
		bits |= group_bit(RTNLGRP_IPV4_RULE) | group_bit(RTNLGRP_IPV6_RULE);
	return bits;
}

/* More room needs CAP_NET_ADMIN; without it an overrun comes sooner, that is all. */
static void set_buffer(int fd)
{
	int size = RECEIVE_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int nlmon_open(struct nlmon **out, int nsfd, unsigned int groups)
{
	struct nlmon *mon;
	int err;

	mon = calloc(1, sizeof(*mon));
	if (!mon)
		return -ENOMEM;
	err = netlink_socket_open(&mon->socket, nsfd, groups_of(groups));
	if (err) {
		free(mon);
		return err;
	}
	set_buffer(mnl_socket_get_fd(mon->socket));
	*out = mon;
	return 0;
}

void nlmon_close(struct nlmon *mon)
{
	if (!mon)
		return;
	mnl_socket_close(mon->socket);
	free(mon);
}

int nlmon_fd(const struct nlmon *mon)
{
	return mnl_socket_get_fd(mon->socket);
}

int nlmon_ignore(struct nlmon *mon, uint32_t port)
{
	/* A notification bears the port of the socket whose request caused it. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		/* The filter loads words as if they were in network byte order. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htobe32(port), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };
	int fd = mnl_socket_get_fd(mon->socket);
	int err, unused = 0;

	if (port)
		err = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	else
		err = setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	if (!err || (!port && errno == ENOENT)) /* there was no filter */
		return 0;
	return -errno;
}

static void deliver_message(const struct nlmsghdr *nlh, const struct nlmon_callbacks *callbacks,
			    void *arg)
{
	union {
		struct netlink_link link;
		struct netlink_addr addr;
		struct netlink_route route;
		struct netlink_neigh neigh;
	} u;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (callbacks->link && !netlink_parse_link(nlh, &u.link))
			callbacks->link(&u.link, nlh->nlmsg_type == RTM_DELLINK, arg);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (callbacks->addr && !netlink_parse_addr(nlh, &u.addr))
			callbacks->addr(&u.addr, nlh->nlmsg_type == RTM_DELADDR, arg);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (callbacks->route && !netlink_parse_route(nlh, &u.route))
			callbacks->route(&u.route, nlh->nlmsg_type == RTM_DELROUTE, arg);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (callbacks->neigh && !netlink_parse_neigh(nlh, &u.neigh))
			callbacks->neigh(&u.neigh, nlh->nlmsg_type == RTM_DELNEIGH, arg);
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		if (callbacks->rule)
			callbacks->rule(arg);
		break;
	}
}

void nlmon_deliver(const void *buf, size_t len, const struct nlmon_callbacks *callbacks, void *arg)
{
	const struct nlmsghdr *nlh;

	while ((nlh = netlink_parse_next(&buf, &len)))
		deliver_message(nlh, callbacks, arg);
}

/* Ends in a state from which a listing can start: nothing older is still to come. */
static int overrun(struct nlmon *mon, const struct nlmon_callbacks *callbacks, void *arg)
{
	int err = netlink_socket_drain(mon->socket, mon->buf, sizeof(mon->buf));

	if (err)
		return err;
	if (callbacks->overrun)
		callbacks->overrun(arg);
	return 0;
}

int nlmon_read(struct nlmon *mon, const struct nlmon_callbacks *callbacks, void *arg)
{
	ssize_t n;
	int i;

	for (i = 0; i < BURST; i++) {
		n = netlink_socket_recv(mon->socket, mon->buf, sizeof(mon->buf), MSG_DONTWAIT);
		if (n == -EAGAIN)
			return 0;
		/* What did not fit into the buffer is lost just as well. */
		if (n == -ENOBUFS || n == -EMSGSIZE)
			return overrun(mon, callbacks, arg);
		if (n < 0)
			return (int)n;
		nlmon_deliver(mon->buf, (size_t)n, callbacks, arg);
	}
	return 0;
}
