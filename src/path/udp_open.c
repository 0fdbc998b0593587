/* SPDX-License-Identifier: MIT */
/* UDP sockets: opened in pairs on one port that is ours alone, with all they can do for us. */
#include "udp.h"

#include <errno.h>
#include <linux/filter.h>
#include <unistd.h>

#include "../../crypto/messages.h"

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* Options that make packets better but without which all works. */
static void set_niceties(int fd, int family, struct udp_sockets *s, bool offload)
{
	int probe = 0;
	socklen_t len = sizeof(probe);

	/* *FORCE needs CAP_NET_ADMIN; what remains is net.core.[rw]mem_max. */
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER))
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, UDP_BUFFER))
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER);
	if (family == AF_INET) {
		(void)set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
		(void)set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
		/* The outer path may be smaller than we think: let routers fragment. */
		(void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	} else {
		(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
		(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		(void)set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	}
	if (offload && !set_int(fd, IPPROTO_UDP, UDP_GRO, 1))
		s->gro = true;
	if (offload && !getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &probe, &len))
		atomic_store(&s->gso, true);
}

/* A bound socket, or -errno. *port becomes the real one. */
static int open_one(int family, uint16_t *port, uint32_t mark, bool first, bool offload,
		    struct udp_sockets *s)
{
	struct endpoint self;
	socklen_t len;
	int fd, err;

	/* Any address: an initialiser need not reach behind the smallest member of a union. */
	memset(&self, 0, sizeof(self));
	self.addr.sa_family = (sa_family_t)family;
	len = endpoint_addr_len(&self);
	fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	if (family == AF_INET6) {
		err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (err)
			goto close_fd;
		self.addr6.sin6_port = htobe16(*port);
	} else {
		self.addr4.sin_port = htobe16(*port);
	}
	/*
	 * The first socket binds without SO_REUSEPORT, so that the port must be
	 * nobody's, and allows sharing only once it has it.
	 */
	if (!first) {
		err = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
		if (err)
			goto close_fd;
	}
	if (bind(fd, &self.addr, len)) {
		err = -errno;
		goto close_fd;
	}
	if (first) {
		err = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
		if (err)
			goto close_fd;
	}
	if (mark) {
		err = set_int(fd, SOL_SOCKET, SO_MARK, (int)mark);
		if (err)
			goto close_fd;
	}
	if (getsockname(fd, &self.addr, &len)) {
		err = -errno;
		goto close_fd;
	}
	*port = be16toh(family == AF_INET ? self.addr4.sin_port : self.addr6.sin6_port);
	set_niceties(fd, family, s, offload);
	return fd;

close_fd:
	close(fd);
	return err;
}

static bool family_is_missing(int err)
{
	/* EADDRNOTAVAIL: IPv6 is compiled in but disabled on every interface. */
	return err == -EAFNOSUPPORT || err == -EPROTONOSUPPORT || err == -EADDRNOTAVAIL;
}

static int open_pair(struct udp_sockets *s, uint16_t *port, uint32_t mark, bool first,
		     bool offload)
{
	s->fd4 = open_one(AF_INET, port, mark, first, offload, s);
	if (s->fd4 < 0 && !family_is_missing(s->fd4))
		return s->fd4;
	s->fd6 = open_one(AF_INET6, port, mark, first, offload, s);
	if (s->fd6 < 0 && !family_is_missing(s->fd6))
		return s->fd6;
	if (s->fd4 < 0 && s->fd6 < 0)
		return s->fd4;
	s->port = *port;
	return 0;
}

/*
 * Data goes to the socket of its peer's home, which the first byte of the receiver index
 * names (table/index.h); everything else to any, by the kernel's hash of the sender.
 */
static void steer(int fd, unsigned n)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct message_data, type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MESSAGE_DATA << 24, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(struct message_data, receiver_index)),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
		BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX) /* nobody's number */
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	/* Without it all works, if not at home. */
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
				 sizeof(program));
}

int udp_open(struct udp_sockets *s, unsigned n, uint16_t port, uint32_t mark, bool offload)
{
	/* A port that the kernel picked for IPv4 may be taken for IPv6. */
	for (int attempt = 0; attempt < 16; attempt++) {
		uint16_t actual = port;
		int err = 0;

		for (unsigned i = 0; i < n; i++)
			s[i] = (struct udp_sockets){ .fd4 = -1, .fd6 = -1 };
		for (unsigned i = 0; i < n && !err; i++)
			err = open_pair(&s[i], &actual, mark, i == 0, offload);
		if (!err) {
			steer(s[n - 1].fd4, n);
			steer(s[n - 1].fd6, n);
			return 0;
		}
		for (unsigned i = 0; i < n; i++)
			udp_close(&s[i]);
		if (err != -EADDRINUSE || port)
			return err;
	}
	return -EADDRINUSE;
}

void udp_close(struct udp_sockets *s)
{
	if (s->fd4 >= 0)
		close(s->fd4);
	if (s->fd6 >= 0)
		close(s->fd6);
	s->fd4 = -1;
	s->fd6 = -1;
}

int udp_set_mark(const struct udp_sockets *s, uint32_t mark)
{
	int err = 0;

	if (s->fd4 >= 0)
		err = set_int(s->fd4, SOL_SOCKET, SO_MARK, (int)mark);
	if (s->fd6 >= 0 && !err)
		err = set_int(s->fd6, SOL_SOCKET, SO_MARK, (int)mark);
	return err;
}
