/* SPDX-License-Identifier: MIT */
/* Neighbour Discovery and ARP answered, a burst at a time. */
#include "answerer.h"

#include <errno.h>

#include "../base/clock.h"

_Static_assert((int)ARP_FRAME_MAX <= (int)ANSWERER_ANSWER_MAX, "a slot holds either answer");

/* Sending */

static void queue(struct answerer *a, struct sockaddr_ll *to, size_t len, uint64_t *counter)
{
	a->tx_iov[a->queued].iov_len = len;
	a->tx[a->queued].msg_hdr.msg_name = to;
	a->tx_counter[a->queued] = counter;
	a->queued++;
}

/*
 * Hands the queued frames to the kernel. Those it refuses are lost (0 or a
 * negative errno): the asker asks again within a second, and by then the queue
 * that is full or the link that is down has mended or has not.
 */
static int flush(struct answerer *a, int fd)
{
	unsigned int done = 0;
	int sent, err = 0;

	while (done < a->queued) {
		sent = sendmmsg(fd, a->tx + done, a->queued - done, MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			err = -errno;
			break;
		}
		while (sent-- > 0)
			(*a->tx_counter[done++])++;
	}
	if (err) {
		a->stats.send_failures += a->queued - done;
		log_limited(LOG_LEVEL_WARNING, &a->send_limit, clock_now(),
			    "uplink %s: answers to neighbours are lost: %s", a->uplink->name,
			    strerror(-err));
	}
	a->queued = 0;
	return err;
}

/* Sources */

/* The address that an advertisement for target comes from; target if we have none such. */
static const uint8_t *source_address(const struct answerer *a, enum asker_source source,
				     const uint8_t *target)
{
	const struct uplink_address *own = NULL;

	switch (source) {
	case ASKER_LINK_LOCAL:
		own = &a->uplink->link_local;
		break;
	case ASKER_GLOBAL:
		own = &a->uplink->global;
		break;
	case ASKER_TARGET:
	case ASKER_SOURCES:
		break;
	}
	return own && own->known ? own->addr : target;
}

/* Those of a set, each address once. Returns how many. */
static unsigned source_addresses(const struct answerer *a, unsigned set, const uint8_t *target,
				 const uint8_t *out[ASKER_SOURCES])
{
	unsigned n = 0;

	for (enum asker_source source = 0; source < ASKER_SOURCES; source++) {
		const uint8_t *addr = source_address(a, source, target);
		bool twice = false;

		for (unsigned i = 0; i < n; i++)
			twice |= out[i] == addr;
		if (set & 1U << source && !twice)
			out[n++] = addr;
	}
	return n;
}

/* What the operator wants, as a set; 0: he leaves it to us. */
static unsigned configured_sources(const struct answerer *a)
{
	switch (a->source) {
	case NEIGHBOR_SOURCE_TARGET:
		return 1U << ASKER_TARGET;
	case NEIGHBOR_SOURCE_GLOBAL:
		return 1U << ASKER_GLOBAL;
	case NEIGHBOR_SOURCE_LINK_LOCAL:
		return 1U << ASKER_LINK_LOCAL;
	case NEIGHBOR_SOURCE_AUTO:
		break;
	}
	return 0;
}

/* Announcing */

static void announce_ndp(struct answerer *a, const uint8_t *addr)
{
	const uint8_t *sources[ASKER_SOURCES] = { NULL };
	struct ndp_advertisement advertisement;
	unsigned set = configured_sources(a), n;
	size_t len;

	n = source_addresses(a, set ? set : askers_all_sources(&a->askers), addr, sources);
	for (unsigned i = 0; i < n; i++) {
		ndp_announcement(&advertisement, addr, a->uplink->link_address, sources[i]);
		len = ndp_build_advertisement(a->tx_frame[a->queued], ANSWERER_ANSWER_MAX,
					      &advertisement);
		queue(a, &a->to_ndp, len, i ? &a->stats.repeated : &a->stats.announced);
	}
}

int answerer_announce(struct answerer *a, int fd, int family, const uint8_t *addr)
{
	size_t len;

	switch (family) {
	case AF_INET6:
		announce_ndp(a, addr);
		break;
	case AF_INET:
		len = arp_build_announcement(a->tx_frame[a->queued], ANSWERER_ANSWER_MAX, addr,
					     a->uplink->link_address);
		queue(a, &a->to_arp, len, &a->stats.announced);
		break;
	default:
		return -EAFNOSUPPORT;
	}
	return flush(a, fd);
}

/* Answering */

/* One answer; more only to an asker who seems not to believe the usual one. */
static void advertise(struct answerer *a, const struct ndp_solicitation *solicitation)
{
	const uint8_t *sources[ASKER_SOURCES] = { NULL };
	struct ndp_advertisement advertisement;
	unsigned set = configured_sources(a), n;
	size_t len;

	if (!set)
		set = askers_sources(&a->askers, solicitation, clock_now());
	n = source_addresses(a, set, solicitation->target, sources);
	for (unsigned i = 0; i < n; i++) {
		ndp_answer(&advertisement, solicitation, a->uplink->link_address, sources[i]);
		len = ndp_build_advertisement(a->tx_frame[a->queued], ANSWERER_ANSWER_MAX,
					      &advertisement);
		queue(a, &a->to_ndp, len, i ? &a->stats.repeated : &a->stats.ndp_answered);
	}
}

static void answer_ndp(struct answerer *a, const uint8_t *frame, size_t len)
{
	struct ndp_solicitation solicitation;
	enum ndp_verdict verdict;
	enum neigh_owner owner;

	verdict = ndp_parse_solicitation(frame, len, &solicitation);
	a->stats.ndp[verdict]++;
	if (verdict != NDP_OK)
		return;
	owner = a->ops.owner(a->arg, AF_INET6, solicitation.target);
	a->stats.ndp_asked[owner]++;
	if (owner == NEIGH_HERE)
		advertise(a, &solicitation);
}

static void answer_arp(struct answerer *a, const uint8_t *frame, size_t len)
{
	struct arp_request request;
	enum arp_verdict verdict;
	enum neigh_owner owner;

	verdict = arp_parse_request(frame, len, &request);
	a->stats.arp[verdict]++;
	if (verdict != ARP_OK)
		return;
	owner = a->ops.owner(a->arg, AF_INET, request.target);
	a->stats.arp_asked[owner]++;
	if (owner != NEIGH_HERE)
		return;
	len = arp_build_reply(a->tx_frame[a->queued], ANSWERER_ANSWER_MAX, &request,
			      a->uplink->link_address);
	queue(a, &a->to_arp, len, &a->stats.arp_answered);
}

static void answer_frame(struct answerer *a, const uint8_t *frame, size_t len)
{
	struct ether_frame ether;

	if (ether_parse(frame, len, &ether) && ether.type == ETHER_TYPE_ARP)
		answer_arp(a, frame, len);
	else
		answer_ndp(a, frame, len);
}

bool answerer_burst(struct answerer *a, int fd)
{
	int i, got;

	/*
	 * An error is "nothing there", or that the link went down, which the
	 * kernel mends itself when it comes up.
	 */
	got = recvmmsg(fd, a->rx, ANSWERER_BURST, MSG_DONTWAIT, NULL);
	for (i = 0; i < got; i++) {
		/* What it refuses is counted and logged there. */
		if (a->queued > ANSWERER_BURST - ASKER_SOURCES)
			(void)flush(a, fd);
		answer_frame(a, a->rx_frame[i], a->rx[i].msg_len);
	}
	(void)flush(a, fd);
	return got == ANSWERER_BURST;
}

/* Life */

void answerer_set_link(struct answerer *a, int ifindex)
{
	a->to_ndp.sll_ifindex = ifindex;
	a->to_arp.sll_ifindex = ifindex;
}

void answerer_init(struct answerer *a, const struct uplink *uplink, const struct neigh_ops *ops,
		   void *arg)
{
	a->uplink = uplink;
	a->ops = *ops;
	a->arg = arg;
	a->send_limit = (struct log_limit)LOG_LIMIT_INIT(1, 60 * NSEC_PER_SEC);
	for (size_t i = 0; i < ANSWERER_BURST; i++) {
		a->rx_iov[i] = (struct iovec){ a->rx_frame[i], ANSWERER_FRAME_MAX };
		a->rx[i].msg_hdr.msg_iov = &a->rx_iov[i];
		a->rx[i].msg_hdr.msg_iovlen = 1;
		a->tx_iov[i] = (struct iovec){ a->tx_frame[i], 0 };
		a->tx[i].msg_hdr.msg_iov = &a->tx_iov[i];
		a->tx[i].msg_hdr.msg_iovlen = 1;
		a->tx[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_ll);
	}
	a->to_ndp.sll_family = AF_PACKET;
	a->to_arp.sll_family = AF_PACKET;
	store_be16(&a->to_ndp.sll_protocol, ETHER_TYPE_IPV6);
	store_be16(&a->to_arp.sll_protocol, ETHER_TYPE_ARP);
}
