/* SPDX-License-Identifier: MIT */
/*
 * The netlink socket: one request, its answers, its verdict.
 *
 * rtnetlink does its work inside sendmsg(2): when that returns, the
 * acknowledgement is queued, and only the later pieces of a dump are made while
 * we read. So blocking here is short, and bounded by ANSWER_TIMEOUT.
 */
#include "netlink_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "broker.h"
#include "netlink_parse.h"
#include "netns.h"

/* Not a matter of load: see above. It keeps a bug from hanging the daemon. */
static const struct timeval ANSWER_TIMEOUT = { .tv_sec = 5 };

/* A list is torn when something changes while it is read; then once more. */
enum { LIST_TRIES = 5 };

/* In the namespace where it is called. */
static int open_here(void *arg)
{
	struct mnl_socket **out = arg;

	*out = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	return *out ? 0 : -errno;
}

static int open_by_broker(struct mnl_socket **out, int nsfd)
{
	int fd = broker_netlink(nsfd), err;

	if (fd < 0)
		return fd;
	*out = mnl_socket_fdopen(fd);
	if (*out)
		return 0;
	err = -errno;
	close(fd);
	return err;
}

int netlink_socket_open(struct mnl_socket **out, int nsfd, uint32_t groups)
{
	int err = nsfd >= 0 && broker_is_on() ? open_by_broker(out, nsfd)
					      : netns_call(nsfd, open_here, out);

	if (err)
		return err;
	if (mnl_socket_bind(*out, groups, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		mnl_socket_close(*out);
	}
	return err;
}

ssize_t netlink_socket_recv(struct mnl_socket *socket, void *buf, size_t size, int flags)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do {
		n = recvmsg(mnl_socket_get_fd(socket), &msg, flags);
	} while (n < 0 && errno == EINTR);

	if (n < 0)
		return -errno;
	/* A process with CAP_NET_ADMIN may send to us, too. Only the kernel is 0. */
	if (msg.msg_namelen != sizeof(from) || from.nl_pid)
		return 0;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return n;
}

int netlink_socket_drain(struct mnl_socket *socket, void *buf, size_t size)
{
	ssize_t n;

	do {
		n = netlink_socket_recv(socket, buf, size, MSG_DONTWAIT);
	} while (n >= 0 || n == -ENOBUFS || n == -EMSGSIZE);
	return n == -EAGAIN ? 0 : (int)n;
}

void netlink_set_error(struct netlink *nl, const char *text)
{
	snprintf(nl->error, sizeof(nl->error), "%s", text);
}

struct nlmsghdr *netlink_message(struct netlink *nl, uint16_t type, uint16_t flags,
				 size_t header_len)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->request);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	mnl_nlmsg_put_extra_header(nlh, header_len);
	return nlh;
}

struct answer {
	struct netlink *nl;
	netlink_message_fn *fn;
	void *arg;
	int result;       /* of the first callback that returned non-zero */
	bool interrupted; /* the kernel noticed a change in mid-dump */
};

/* Returns 1 when the verdict has come, 0 to go on, or a negative errno. */
static int answer_message(struct answer *answer, const struct nlmsghdr *nlh)
{
	const char *text;
	int error, err;

	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		answer->interrupted = true;

	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
	case NLMSG_DONE:
		err = netlink_parse_verdict(nlh, &error, &text);
		if (err)
			return err;
		if (error)
			netlink_set_error(answer->nl, text);
		return error ? error : 1;
	case NLMSG_OVERRUN:
		return -ENOBUFS;
	case NLMSG_NOOP:
		return 0;
	default:
		/* A dump must be read to its end even if nobody listens any more. */
		if (answer->fn && !answer->result)
			answer->result = answer->fn(nlh, answer->arg);
		return 0;
	}
}

static int answer_datagram(struct answer *answer, size_t len)
{
	const void *pos = answer->nl->answer;
	const struct nlmsghdr *nlh;
	int err;

	while ((nlh = netlink_parse_next(&pos, &len))) {
		/* An older number: left over from a request that timed out. */
		if (nlh->nlmsg_seq != answer->nl->seq)
			continue;
		err = answer_message(answer, nlh);
		if (err)
			return err;
	}
	return 0;
}

ssize_t netlink_receive(struct netlink *nl)
{
	ssize_t n = netlink_socket_recv(nl->socket, nl->answer, sizeof(nl->answer), 0);

	if (n < 0)
		(void)netlink_socket_drain(nl->socket, nl->answer, sizeof(nl->answer));
	return n == -EAGAIN ? -ETIMEDOUT : n;
}

static int answer_wait(struct answer *answer)
{
	ssize_t n;
	int err;

	for (;;) {
		n = netlink_receive(answer->nl);
		if (n < 0)
			return (int)n;
		err = answer_datagram(answer, (size_t)n);
		if (err)
			return min(err, 0);
	}
}

int netlink_request(struct netlink *nl, struct nlmsghdr *nlh, netlink_message_fn *fn, void *arg)
{
	struct answer answer = { .nl = nl, .fn = fn, .arg = arg };
	int err;

	if (nl->busy || nl->batch)
		return -EBUSY;
	nl->busy = true;
	nl->error[0] = '\0';
	nlh->nlmsg_seq = ++nl->seq;

	if (mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	else
		err = answer_wait(&answer);
	nl->busy = false;

	if (err)
		return err;
	if (answer.result)
		return answer.result;
	return answer.interrupted ? -EAGAIN : 0;
}

int netlink_list_whole(int (*list)(void *arg), void *arg)
{
	int err = -EAGAIN;

	for (unsigned i = 0; i < LIST_TRIES && err == -EAGAIN; i++)
		err = list(arg);
	return err;
}

const char *netlink_error(const struct netlink *nl)
{
	return nl->error;
}

uint32_t netlink_port(const struct netlink *nl)
{
	return mnl_socket_get_portid(nl->socket);
}

/* What older kernels lack costs comfort only: explanations, and filters that we repeat. */
static void set_options(struct mnl_socket *socket)
{
	int on = 1;

	(void)mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));        /* 4.12 */
	(void)mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on));        /* 4.3 */
	(void)mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, &on, sizeof(on)); /* 4.20 */
}

int netlink_open(struct netlink **out, int nsfd)
{
	struct netlink *nl;
	int err;

	nl = calloc(1, sizeof(*nl));
	if (!nl)
		return -ENOMEM;
	err = netlink_socket_open(&nl->socket, nsfd, 0);
	if (err)
		goto err_free;
	if (setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVTIMEO, &ANSWER_TIMEOUT,
		       sizeof(ANSWER_TIMEOUT))) {
		err = -errno;
		goto err_close;
	}
	set_options(nl->socket);
	*out = nl;
	return 0;

err_close:
	mnl_socket_close(nl->socket);
err_free:
	free(nl);
	return err;
}

void netlink_close(struct netlink *nl)
{
	if (!nl)
		return;
	free(nl->batch);
	mnl_socket_close(nl->socket);
	free(nl);
}
