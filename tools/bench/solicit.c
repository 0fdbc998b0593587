/* SPDX-License-Identifier: MIT */
/* Neighbour solicitations over a raw ICMPv6 socket. */
#include "solicit.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <sys/socket.h>

#include "load.h"

void solicit_open(struct solicit *s, const char *netns, const char *ifname, const char *target)
{
	int old = load_enter(netns), hops = 255, index = (int)if_nametoindex(ifname);
	struct icmp6_filter filter;

	if (!index || inet_pton(AF_INET6, target, &s->target) != 1)
		load_die(target);
	s->fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &filter);
	if (s->fd < 0 ||
	    setsockopt(s->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) ||
	    setsockopt(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) ||
	    setsockopt(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)))
		load_die("raw socket");
	load_leave(old);
}

bool solicit_ask(const struct solicit *s)
{
	struct nd_neighbor_solicit ns = { .nd_ns_type = ND_NEIGHBOR_SOLICIT,
					  .nd_ns_target = s->target };
	/* The solicited-node group (RFC 4291 §2.7.1). */
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_addr = { { { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
						      0xff } } } };

	memcpy(to.sin6_addr.s6_addr + 13, s->target.s6_addr + 13, 3);
	return sendto(s->fd, &ns, sizeof(ns), 0, (struct sockaddr *)&to, sizeof(to)) ==
	       sizeof(ns);
}

bool solicit_is_answer(const struct solicit *s, const void *icmp, size_t len)
{
	struct nd_neighbor_advert na;

	if (len < sizeof(na))
		return false;
	memcpy(&na, icmp, sizeof(na));
	return na.nd_na_type == ND_NEIGHBOR_ADVERT &&
	       !memcmp(&na.nd_na_target, &s->target, sizeof(na.nd_na_target));
}
