/* SPDX-License-Identifier: MIT */
/*
 * Round trips of echo requests from a network namespace to an address, at even intervals.
 * ping(8) turns in circles between requests that follow each other within 10 ms, and takes
 * from those that it measures a processor; this one sleeps. An answer's time is the
 * kernel's, so that nothing is measured behind it. Prints one line of JSON, in microseconds.
 *
 *	pinger NETNS ADDRESS INTERVAL-US COUNT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../tun/checksum.h"
#include "load.h"

enum {
	COUNT_MAX = 65536, /* sequence numbers */
	PAYLOAD = 56,      /* as ping(8) sends */
	LAST_MS = 500      /* for the last answers */
};

struct pinger {
	int fd;
	uint16_t id;
	unsigned n, n_answered;
	uint64_t sent[COUNT_MAX]; /* ns, UTC; 0: answered */
	double took[COUNT_MAX];   /* us, of those that were answered */
};

struct echo {
	struct icmphdr header;
	uint8_t payload[PAYLOAD];
};

static uint64_t utc(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static void open_socket(struct pinger *p, const char *netns, const char *address)
{
	struct icmp_filter only = { .data = ~(1u << ICMP_ECHOREPLY) };
	struct sockaddr_in to = { .sin_family = AF_INET };
	int old = load_enter(netns), on = 1;

	p->fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	if (p->fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(p->fd, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(p->fd, SOL_RAW, ICMP_FILTER, &only, sizeof(only)) ||
	    setsockopt(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		load_die(address);
	load_leave(old);
	p->id = (uint16_t)getpid();
}

static void send_echo(struct pinger *p, unsigned number)
{
	struct echo echo = { .header = { .type = ICMP_ECHO } };

	echo.header.un.echo.id = htons(p->id);
	echo.header.un.echo.sequence = htons((uint16_t)number);
	checksum_store(&echo.header.checksum, checksum_finish(checksum_add(0, &echo, sizeof(echo))));
	p->sent[number] = utc();
	if (send(p->fd, &echo, sizeof(echo), 0) < 0 && errno != ENOBUFS)
		load_die("send");
	p->n++;
}

/* When the kernel received it; 0: it does not say. */
static uint64_t stamp_of(struct msghdr *msg)
{
	struct timespec t;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
	}
	return 0;
}

static bool receive_one(struct pinger *p)
{
	struct {
		struct iphdr ip;
		struct echo echo;
	} packet;
	char control[128];
	struct iovec iov = { &packet, sizeof(packet) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(p->fd, &msg, MSG_DONTWAIT);
	unsigned number;
	uint64_t at;

	if (len < 0)
		return false;
	number = ntohs(packet.echo.header.un.echo.sequence);
	at = stamp_of(&msg);
	if (len != sizeof(packet) || ntohs(packet.echo.header.un.echo.id) != p->id ||
	    !p->sent[number] || !at)
		return true;
	p->took[p->n_answered++] = (double)(at - p->sent[number]) / 1e3;
	p->sent[number] = 0;
	return true;
}

/* Takes answers until then (monotonic ns). */
static void receive_until(struct pinger *p, uint64_t end)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };
	uint64_t now;

	while ((now = load_now()) < end) {
		struct timespec left = { .tv_sec = (time_t)((end - now) / NSEC_PER_SEC),
					 .tv_nsec = (long)((end - now) % NSEC_PER_SEC) };

		if (ppoll(&poll_fd, 1, &left, NULL) < 0 && errno != EINTR)
			load_die("poll");
		while (receive_one(p))
			;
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct pinger *p, unsigned percent)
{
	return p->n_answered ? p->took[(p->n_answered - 1) * percent / 100] : 0;
}

int main(int argc, char **argv)
{
	static struct pinger p;
	uint64_t interval, start;
	unsigned count;

	if (argc != 5) {
		(void)fputs("usage: pinger NETNS ADDRESS INTERVAL-US COUNT\n", stderr);
		return 2;
	}
	interval = strtoull(argv[3], NULL, 10) * 1000;
	count = min((unsigned)strtoul(argv[4], NULL, 10), (unsigned)COUNT_MAX);
	open_socket(&p, argv[1], argv[2]);
	start = load_now();
	for (unsigned i = 0; i < count; i++) {
		send_echo(&p, i);
		receive_until(&p, start + (i + 1) * interval);
	}
	if (p.n_answered < p.n)
		receive_until(&p, load_now() + LAST_MS * NSEC_PER_MSEC);
	qsort(p.took, p.n_answered, sizeof(p.took[0]), compare);
	(void)printf("{\"sent\":%u,\"lost\":%u,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}\n", p.n,
		     p.n - p.n_answered, percentile(&p, 50), percentile(&p, 99),
		     percentile(&p, 100));
	return 0;
}
