/* SPDX-License-Identifier: MIT */
/* UDP sockets: opened on one port that is ours alone, with all they can do for us. */
#include "udp.h"

#include <errno.h>
#include <linux/filter.h>
#include <sodium.h>
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

/* A socket of each family, for data or for handshakes. */
static int open_pair(struct udp_sockets *s, int *fd4, int *fd6, uint16_t *port, uint32_t mark,
		     bool first, bool offload)
{
	*fd4 = open_one(AF_INET, port, mark, first, offload, s);
	if (*fd4 < 0 && !family_is_missing(*fd4))
		return *fd4;
	*fd6 = open_one(AF_INET6, port, mark, first, offload, s);
	if (*fd6 < 0 && !family_is_missing(*fd6))
		return *fd6;
	if (*fd4 < 0 && *fd6 < 0)
		return *fd4;
	s->port = *port;
	return 0;
}

/* With each message comes how many there was no room for: udp_rx.overflow. */
static void count_overflow(int fd)
{
	if (fd >= 0)
		(void)set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
}

/* In the order that steer() counts them in. */
static int open_all(struct udp_sockets *s, unsigned n, uint16_t *port, uint32_t mark, bool offload)
{
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = open_pair(&s[i], &s[i].fd4, &s[i].fd6, port, mark, i == 0, offload);
	/* With GRO like the others: it is for any of them that the kernel asks before it merges. */
	for (unsigned i = 0; i < n && !err; i++) {
		err = open_pair(&s[i], &s[i].handshake4, &s[i].handshake6, port, mark, false,
				offload);
		count_overflow(s[i].handshake4);
		count_overflow(s[i].handshake6);
	}
	return err;
}

/*
 * Data goes to the socket of its peer's home, which the first byte of the receiver index
 * names (table/index.h); all else to a handshake socket, by a hash of the sender's IPv4 address
 * or IPv6 /64 that he cannot know. The kernel numbers sockets that share a port in the order in
 * which they were bound. What GRO has merged goes where its first packet belongs, so that either
 * may get a message that is meant for the other. -errno: the kernel takes no such filter.
 */
must_check static int steer(int fd, int family, unsigned n)
{
	/* Of the IP header: the source, twice, or its first half. */
	unsigned word = (unsigned)SKF_NET_OFF + (family == AF_INET ? 12 : 8);
	unsigned next = family == AF_INET ? word : word + 4;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, MESSAGE_DATA_OVERHEAD, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct message_data, type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MESSAGE_DATA << 24, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(struct message_data, receiver_index)),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
		BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, word),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, next),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, randombytes_random() | 1),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, randombytes_random() | 1),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, n),
		BPF_STMT(BPF_RET | BPF_A, 0)
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	if (fd < 0)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) ?
		       -errno : 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Without it all works, if not at home, and all comes with the data. */
static void steer_all(struct udp_sockets *s, unsigned n)
{
	bool steered4 = !steer(s[0].fd4, AF_INET, n), steered6 = !steer(s[0].fd6, AF_INET6, n);

	for (unsigned i = 0; i < n; i++) {
		if (!steered4)
			close_one(&s[i].handshake4);
		if (!steered6)
			close_one(&s[i].handshake6);
	}
}

int udp_open(struct udp_sockets *s, unsigned n, uint16_t port, uint32_t mark, bool offload)
{
	/* A port that the kernel picked for IPv4 may be taken for IPv6. */
	for (int attempt = 0; attempt < 16; attempt++) {
		uint16_t actual = port;
		int err;

		for (unsigned i = 0; i < n; i++)
			s[i] = (struct udp_sockets){ .fd4 = -1, .fd6 = -1,
						     .handshake4 = -1, .handshake6 = -1 };
		err = open_all(s, n, &actual, mark, offload);
		if (!err) {
			steer_all(s, n);
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
	close_one(&s->fd4);
	close_one(&s->fd6);
	close_one(&s->handshake4);
	close_one(&s->handshake6);
}

int udp_set_mark(const struct udp_sockets *s, uint32_t mark)
{
	const int fds[] = { s->fd4, s->fd6, s->handshake4, s->handshake6 };
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(fds) && !err; i++)
		if (fds[i] >= 0)
			err = set_int(fds[i], SOL_SOCKET, SO_MARK, (int)mark);
	return err;
}
