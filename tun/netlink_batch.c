/* SPDX-License-Identifier: MIT */
/*
 * Many routes at once.
 *
 * The kernel handles all messages of one sendmsg(2) in order. It reports a
 * failure whether or not an acknowledgement was asked for; so only the last
 * message of a chunk asks, and when its verdict is there, those of which nothing
 * was heard have succeeded. Reading an acknowledgement apiece would take
 * as long as adding the routes. A report that is lost is noticed: ENOBUFS.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include "netlink_parse.h"
#include "netlink_private.h"

enum {
	/*
	 * If all of a chunk fail, their reports must fit into a receive buffer of
	 * the smallest usual size, 208 KiB, of which each takes about 1.3 KiB.
	 */
	CHUNK_MESSAGES = 128,
	CHUNK_BYTES = CHUNK_MESSAGES * 192
};

struct netlink_batch {
	netlink_batch_fn *failed;
	void *arg;
	int broken;           /* negative errno once the socket let us down */
	size_t refused;       /* by us or by the kernel, so far */
	size_t next;          /* index of the next route */
	uint32_t seq;         /* of the first message of this chunk */
	uint32_t count;       /* messages in this chunk */
	size_t len;           /* bytes in this chunk */
	struct nlmsghdr *last; /* of this chunk */
	size_t index[CHUNK_MESSAGES];
	_Alignas(NLMSG_ALIGNTO) char chunk[CHUNK_BYTES + NETLINK_REQUEST_MAX];
};

static void refuse(struct netlink *nl, size_t index, int error, const char *text)
{
	struct netlink_batch *batch = nl->batch;

	batch->refused++;
	netlink_set_error(nl, text);
	if (batch->failed)
		batch->failed(index, error, text, batch->arg);
}

/* Returns 1 when the last message of the chunk has its verdict. */
static int chunk_message(struct netlink *nl, const struct nlmsghdr *nlh)
{
	struct netlink_batch *batch = nl->batch;
	uint32_t i = nlh->nlmsg_seq - batch->seq;
	const char *text;
	int error, err;

	if (nlh->nlmsg_type != NLMSG_ERROR || i >= batch->count)
		return 0;
	err = netlink_parse_verdict(nlh, &error, &text);
	if (err)
		return err;
	if (error)
		refuse(nl, batch->index[i], error, text);
	return i == batch->count - 1;
}

static int chunk_wait(struct netlink *nl)
{
	const struct nlmsghdr *nlh;
	const void *pos;
	size_t len;
	ssize_t n;
	int done;

	for (;;) {
		n = netlink_receive(nl);
		if (n < 0)
			return (int)n;
		pos = nl->answer;
		len = (size_t)n;
		while ((nlh = netlink_parse_next(&pos, &len))) {
			done = chunk_message(nl, nlh);
			if (done)
				return min(done, 0);
		}
	}
}

static void chunk_send(struct netlink *nl)
{
	struct netlink_batch *batch = nl->batch;

	if (!batch->count)
		return;
	batch->last->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl->socket, batch->chunk, batch->len) < 0)
		batch->broken = -errno;
	else
		batch->broken = chunk_wait(nl);
	batch->count = 0;
	batch->len = 0;
}

static void chunk_append(struct netlink *nl, enum netlink_op op, const struct netlink_route *route)
{
	struct netlink_batch *batch = nl->batch;
	struct nlmsghdr *nlh;
	int err;

	nlh = mnl_nlmsg_put_header(batch->chunk + batch->len);
	nlh->nlmsg_type = op == NETLINK_DEL ? RTM_DELROUTE : RTM_NEWROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | netlink_route_flags(op);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct rtmsg));
	err = netlink_route_put(nlh, op, route);
	if (err) {
		refuse(nl, batch->next, err, "");
		return;
	}

	nlh->nlmsg_seq = ++nl->seq;
	if (!batch->count)
		batch->seq = nlh->nlmsg_seq;
	batch->index[batch->count++] = batch->next;
	batch->last = nlh;
	batch->len += MNL_ALIGN(nlh->nlmsg_len);
}

int netlink_batch_begin(struct netlink *nl, netlink_batch_fn *failed, void *arg)
{
	if (nl->busy || nl->batch)
		return -EBUSY;
	nl->batch = calloc(1, sizeof(*nl->batch));
	if (!nl->batch)
		return -ENOMEM;
	nl->batch->failed = failed;
	nl->batch->arg = arg;
	nl->error[0] = '\0';
	return 0;
}

int netlink_batch_route(struct netlink *nl, enum netlink_op op, const struct netlink_route *route)
{
	struct netlink_batch *batch = nl->batch;

	if (!batch)
		return -EINVAL;
	if (batch->broken)
		return batch->broken;
	chunk_append(nl, op, route);
	batch->next++;
	if (batch->count == CHUNK_MESSAGES || batch->len >= CHUNK_BYTES)
		chunk_send(nl);
	return batch->broken;
}

int netlink_batch_end(struct netlink *nl)
{
	struct netlink_batch *batch = nl->batch;
	int result;

	if (!batch)
		return -EINVAL;
	if (!batch->broken)
		chunk_send(nl);
	result = batch->broken ? batch->broken : (int)min(batch->refused, (size_t)INT32_MAX);
	free(batch);
	nl->batch = NULL;
	return result;
}
