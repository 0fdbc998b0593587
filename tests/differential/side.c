/* SPDX-License-Identifier: MIT */
/* The sockets of a target. */
#include "side.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../tools/bench/load.h"

enum { TAP_BUFFER = 8 << 20, REPLY_MAX = 256 << 10 };

/* A socket of ours at a port that the kernel chooses. */
static int open_udp(uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htobe16(TARGET_PORT),
				  .sin_addr = { htobe32(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);
	int fd = load_socket(NULL, "127.0.0.1", 0);

	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) ||
	    getsockname(fd, (struct sockaddr *)&in, &len))
		load_die("the target's port");
	*port = be16toh(in.sin_port);
	return fd;
}

static void open_tap(struct side *s, const char *ifname)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htobe16(ETH_P_ALL) };
	int size = TAP_BUFFER;

	s->ifindex = (int)if_nametoindex(ifname);
	at.sll_ifindex = s->ifindex;
	s->tap = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (!s->ifindex || s->tap < 0 ||
	    setsockopt(s->tap, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(s->tap, (struct sockaddr *)&at, sizeof(at)))
		load_die(ifname);
}

static void open_uapi(struct side *s, const char *ifname)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "/var/run/wireguard/%s.sock", ifname);
	s->uapi = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->uapi < 0 || connect(s->uapi, (struct sockaddr *)&un, sizeof(un)))
		load_die(un.sun_path);
}

void side_open(struct side *s, enum which which, const char *netns, const char *ifname)
{
	int old = load_enter(netns);
	uint16_t other;

	*s = (struct side){ .which = which };
	s->udp = open_udp(&s->port);
	s->elsewhere = open_udp(&other);
	open_tap(s, ifname);
	open_uapi(s, ifname);
	load_leave(old);
}

/* Of full period (Knuth, TAOCP 2, §3.2.1.2): the increment is odd, the multiplier 1 modulo 4. */
uint32_t side_index(struct side *s)
{
	s->last_index = s->last_index * 1664525 + 1013904223;
	return s->last_index;
}

void side_close(struct side *s)
{
	close(s->udp);
	close(s->elsewhere);
	close(s->tap);
	close(s->uapi);
}

void side_send(struct side *s, const void *data, size_t len, uint8_t tos)
{
	int value = tos;

	if (tos && setsockopt(s->udp, IPPROTO_IP, IP_TOS, &value, sizeof(value)))
		load_die("IP_TOS");
	if (send(s->udp, data, len, 0) != (ssize_t)len)
		load_die("send");
	value = 0;
	if (tos && setsockopt(s->udp, IPPROTO_IP, IP_TOS, &value, sizeof(value)))
		load_die("IP_TOS");
}

void side_send_elsewhere(struct side *s, const void *data, size_t len)
{
	if (send(s->elsewhere, data, len, 0) != (ssize_t)len)
		load_die("send");
}

void side_poke(struct side *s, const void *packet, size_t len)
{
	bool ip6 = *(const uint8_t *)packet >> 4 == 6;
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = s->ifindex,
				  .sll_protocol = htobe16(ip6 ? ETH_P_IPV6 : ETH_P_IP) };

	if (sendto(s->tap, packet, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len)
		load_die("a packet into the TUN device");
}

void side_wait(struct side *s, int ms)
{
	struct pollfd p[] = { { .fd = s->udp, .events = POLLIN },
			      { .fd = s->elsewhere, .events = POLLIN },
			      { .fd = s->tap, .events = POLLIN } };

	(void)!poll(p, ARRAY_SIZE(p), ms);
}

size_t side_received(struct side *s, bool elsewhere, uint8_t *buf)
{
	ssize_t n = recv(elsewhere ? s->elsewhere : s->udp, buf, DATAGRAM_MAX, MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		load_die("the target's port");
	return n < 0 ? 0 : (size_t)n;
}

size_t side_tapped(struct side *s, uint8_t *buf)
{
	struct sockaddr_ll from = { 0 };
	socklen_t len;
	ssize_t n;

	do {
		len = sizeof(from);
		n = recvfrom(s->tap, buf, DATAGRAM_MAX, MSG_DONTWAIT, (struct sockaddr *)&from,
			     &len);
	} while (n >= 0 && from.sll_pkttype == PACKET_OUTGOING);
	if (n < 0 && errno != EAGAIN)
		load_die("the target's device");
	return n < 0 ? 0 : (size_t)n;
}

/* Sends a request of the cross-platform protocol; the answer, without its errno. */
static char *ask(struct side *s, const char *request)
{
	char *reply = malloc(REPLY_MAX);
	size_t len = strlen(request), have = 0;

	if (!reply)
		load_die("malloc");
	if (send(s->uapi, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		load_die("a request");
	do {
		ssize_t n = recv(s->uapi, reply + have, REPLY_MAX - 1 - have, 0);

		if (n <= 0)
			load_die("an answer");
		have += (size_t)n;
		reply[have] = '\0';
	} while (have < 2 || strcmp(reply + have - 2, "\n\n"));
	if (!strstr(reply, "errno=0\n")) {
		fprintf(stderr, "%s: asked for:\n%sanswered:\n%s", s->which == OURS ? "ours" :
			"theirs", request, reply);
		exit(1);
	}
	return reply;
}

void side_configure(struct side *s, const char *lines)
{
	char request[2048];

	snprintf(request, sizeof(request), "set=1\n%s\n", lines);
	free(ask(s, request));
}

static uint64_t value_of(const char *peer, const char *end, const char *word)
{
	const char *at = strstr(peer, word);

	return at && at < end ? strtoull(at + strlen(word), NULL, 10) : 0;
}

void side_counts(struct side *s, const uint8_t public_key[32], struct counts *out)
{
	char word[16 + 64 + 1] = "\npublic_key=", *reply = ask(s, "get=1\n\n");
	const char *peer, *end;

	sodium_bin2hex(word + strlen(word), 65, public_key, 32);
	memset(out, 0, sizeof(*out));
	peer = strstr(reply, word);
	if (peer) {
		end = strstr(peer + 1, "\npublic_key=");
		if (!end)
			end = peer + strlen(peer);
		out->rx = value_of(peer, end, "\nrx_bytes=");
		out->tx = value_of(peer, end, "\ntx_bytes=");
		out->handshake = value_of(peer, end, "\nlast_handshake_time_sec=");
	}
	free(reply);
}
