/* SPDX-License-Identifier: MIT */
/* Whether the uplink's router asks for each address of the prefix. */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Linux 4.15; spelled out for older headers. */
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

enum {
	FRAME_MAX = 2048,
	ASK_EVERY_MS = 1000,
	ARP_REQUEST = 1,
	ARP_LEN = 28, /* RFC 826, of Ethernet and IPv4 */
	ARP_TARGET = 24
};

struct probe {
	const struct prefix *prefixes;
	size_t n;
	const struct machine *m;
};

static bool is_own(const struct machine *m, const struct prefix *host)
{
	for (size_t i = 0; i < m->n_addrs; i++) {
		struct prefix own = prefix_host(m->addrs[i].family, m->addrs[i].addr);

		if (prefix_equal(&own, host))
			return true;
	}
	return false;
}

/* Of the prefix, and not this machine's. */
static bool is_other(const struct probe *p, uint8_t family, const uint8_t *addr)
{
	struct prefix host = prefix_host(family, addr);

	for (size_t i = 0; i < p->n; i++)
		if (prefix_contains(&p->prefixes[i], &host))
			return !is_own(p->m, &host);
	return false;
}

static enum heard hear6(const struct probe *p, const uint8_t *packet, size_t len, bool to_us)
{
	struct ip6_hdr ip;
	struct nd_neighbor_solicit ns;

	if (len < sizeof(ip))
		return HEARD_NOTHING;
	memcpy(&ip, packet, sizeof(ip));
	/* A hop limit of 255 says that nobody forwarded it (RFC 4861 §7.1.1). */
	if (ip.ip6_nxt == IPPROTO_ICMPV6 && ip.ip6_hlim == 255 && len >= sizeof(ip) + sizeof(ns)) {
		memcpy(&ns, packet + sizeof(ip), sizeof(ns));
		if (ns.nd_ns_type == ND_NEIGHBOR_SOLICIT)
			return is_other(p, AF_INET6, ns.nd_ns_target.s6_addr) ? HEARD_ASKED
									      : HEARD_NOTHING;
	}
	return to_us && is_other(p, AF_INET6, ip.ip6_dst.s6_addr) ? HEARD_ROUTED : HEARD_NOTHING;
}

static enum heard hear_arp(const struct probe *p, const uint8_t *packet, size_t len)
{
	if (len < ARP_LEN || load_be16(packet + 6) != ARP_REQUEST)
		return HEARD_NOTHING;
	return is_other(p, AF_INET, packet + ARP_TARGET) ? HEARD_ASKED : HEARD_NOTHING;
}

/* One frame, if there is one. */
static enum heard hear(const struct probe *p, int fd)
{
	uint8_t packet[FRAME_MAX];
	struct sockaddr_ll from = { .sll_family = AF_PACKET };
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(fd, packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len);

	if (n < 0 || from.sll_pkttype == PACKET_OUTGOING)
		return HEARD_NOTHING;
	switch (ntohs(from.sll_protocol)) {
	case ETH_P_IPV6:
		return hear6(p, packet, (size_t)n, from.sll_pkttype == PACKET_HOST);
	case ETH_P_ARP:
		return hear_arp(p, packet, (size_t)n);
	default:
		return HEARD_NOTHING;
	}
}

/* A socket that hears all IPv6 and ARP of the link, to whatever group. */
static int open_ears(int ifindex)
{
	const struct sockaddr_ll link = { .sll_family = AF_PACKET,
					  .sll_protocol = htons(ETH_P_ALL),
					  .sll_ifindex = ifindex };
	const struct packet_mreq all = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_ALLMULTI };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (const struct sockaddr *)&link, sizeof(link)) &&
	    !setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* An echo request from the stranger. The kernel fills the checksum in (RFC 3542 §3.1). */
static void ask_one(const uint8_t dst[16], unsigned scope, const struct prefix *stranger, int hops)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_scope_id = scope };
	struct icmp6_hdr echo = { .icmp6_type = ICMP6_ECHO_REQUEST };
	int on = 1, fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	if (fd < 0)
		return;
	memcpy(&from.sin6_addr, stranger->addr, 16);
	memcpy(&to.sin6_addr, dst, 16);
	/* Whatever is in the way, we only learn less. */
	if (!setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) &&
	    !bind(fd, (struct sockaddr *)&from, sizeof(from))) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
		(void)sendto(fd, &echo, sizeof(echo), MSG_DONTWAIT, (struct sockaddr *)&to,
			     sizeof(to));
	}
	close(fd);
}

/*
 * The router itself answers an echo, and where it does not, it tells that a packet's hops
 * are used up (RFC 4443 §3.3). That packet is for an address of documentation, which
 * nobody has.
 */
static void ask(const struct probe *p, const struct netlink_link *link,
		const struct prefix *stranger)
{
	static const uint8_t nobody[16] = { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 1 };
	const struct netlink_route *route = machine_default(p->m, AF_INET6);

	if (route && route->oif == link->index && route->gateway_family == AF_INET6)
		ask_one(route->gateway, (unsigned)link->index, stranger, 64);
	ask_one(nobody, 0, stranger, 1);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int probe_listen(enum heard *heard, const struct netlink_link *link, const struct prefix *prefixes,
		 size_t n, const struct machine *m, const struct prefix *stranger, unsigned seconds)
{
	const struct probe p = { prefixes, n, m };
	int64_t now = now_ms(), end = now + (int64_t)seconds * 1000, next = now;
	struct pollfd ears = { .events = POLLIN };

	*heard = HEARD_NOTHING;
	ears.fd = open_ears(link->index);
	if (ears.fd < 0)
		return ears.fd;
	while (*heard == HEARD_NOTHING && now < end) {
		if (stranger && now >= next) {
			ask(&p, link, stranger);
			next = now + ASK_EVERY_MS;
		}
		if (poll(&ears, 1, (int)(min(end, next > now ? next : end) - now)) > 0)
			*heard = hear(&p, ears.fd);
		now = now_ms();
	}
	close(ears.fd);
	return 0;
}
