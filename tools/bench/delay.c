/* SPDX-License-Identifier: MIT */
/*
 * A long way: a UDP relay that hands each datagram on after a time, for kernels without netem.
 * Super-datagrams stay what they are (UDP_GRO, UDP_SEGMENT), so that it is no bottleneck.
 *
 *	delay 127.0.0.1:5000 127.0.0.1:51820 25	   each way takes 25 ms; for one client
 *
 * It ends with SIGTERM. What finds the memory for the way full is dropped, and said at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../../src/base.h"
#include "../../src/base/endpoint.h"

enum { DATAGRAM_MAX = 65536, WAY_MAX = 64 << 20, SOCKET_BUFFER = 16 << 20 };

struct parcel {
	struct parcel *next;
	uint64_t due; /* ns */
	uint16_t size; /* of a segment; 0: one datagram */
	size_t len;
	uint8_t data[];
};

/* From one socket to the other. */
struct way {
	int from, to;
	struct parcel *first, **tail;
	size_t bytes;
	unsigned long dropped;
};

static volatile sig_atomic_t ended;
static uint8_t buffer[DATAGRAM_MAX];

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, size = SOCKET_BUFFER;

	if (fd < 0 || setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		die("socket");
	return fd;
}

static struct sockaddr_in address(const char *text)
{
	struct endpoint e;

	if (endpoint_parse(&e, text) || e.addr.sa_family != AF_INET) {
		fprintf(stderr, "'%s' is not 192.0.2.1:port\n", text);
		exit(2);
	}
	return e.addr4;
}

/* Takes one datagram, or super-datagram, off the socket. False: there is none. */
static bool take(struct way *w, struct sockaddr_in *from, uint64_t due)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = buffer, .iov_len = sizeof(buffer) };
	struct msghdr msg = { .msg_name = from, .msg_namelen = sizeof(*from), .msg_iov = &iov,
			      .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(w->from, &msg, 0);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct parcel *p;

	if (len < 0)
		return errno == EINTR;
	p = w->bytes + (size_t)len <= WAY_MAX ? malloc(sizeof(*p) + (size_t)len) : NULL;
	if (!p) {
		w->dropped++;
		return true;
	}
	*p = (struct parcel){ .due = due, .len = (size_t)len };
	if (cmsg && cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO) {
		int size;

		memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
		p->size = (uint16_t)size;
	}
	memcpy(p->data, buffer, (size_t)len);
	w->bytes += p->len;
	*w->tail = p;
	w->tail = &p->next;
	return true;
}

static void hand_on(struct way *w, const struct sockaddr_in *to)
{
	struct parcel *p = w->first;
	char control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct iovec iov = { .iov_base = p->data, .iov_len = p->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (to) {
		msg.msg_name = (void *)(uintptr_t)to;
		msg.msg_namelen = sizeof(*to);
	}
	if (p->size && p->size < p->len) {
		struct cmsghdr *cmsg;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_UDP;
		cmsg->cmsg_type = UDP_SEGMENT;
		cmsg->cmsg_len = CMSG_LEN(sizeof(p->size));
		memcpy(CMSG_DATA(cmsg), &p->size, sizeof(p->size));
	}
	if (sendmsg(w->to, &msg, 0) < 0)
		w->dropped++;
	w->first = p->next;
	if (!w->first)
		w->tail = &w->first;
	w->bytes -= p->len;
	free(p);
}

static void sleep_until(int timer, uint64_t due)
{
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(due / NSEC_PER_SEC),
					       .tv_nsec = (long)(due % NSEC_PER_SEC) } };

	if (due == UINT64_MAX)
		at = (struct itimerspec){ 0 };
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void forget(struct way *w)
{
	while (w->first) {
		struct parcel *p = w->first;

		w->first = p->next;
		free(p);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	int front = open_socket(), back = open_socket();
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct way out = { .from = front, .to = back }, in = { .from = back, .to = front };
	struct sockaddr_in listen_at, target, client = { 0 }, from;
	uint64_t delay;

	if (argc != 4) {
		fprintf(stderr, "usage: delay LISTEN:PORT TARGET:PORT MILLISECONDS\n");
		return 2;
	}
	listen_at = address(argv[1]);
	target = address(argv[2]);
	delay = strtoull(argv[3], NULL, 10) * NSEC_PER_MSEC;
	if (bind(front, (struct sockaddr *)&listen_at, sizeof(listen_at)))
		die(argv[1]);
	if (connect(back, (struct sockaddr *)&target, sizeof(target)))
		die(argv[2]);
	sigaction(SIGTERM, &action, NULL);
	out.tail = &out.first;
	in.tail = &in.first;
	puts("ready");
	fflush(stdout);
	while (!ended) {
		struct pollfd fds[] = { { .fd = front, .events = POLLIN },
					{ .fd = back, .events = POLLIN },
					{ .fd = timer, .events = POLLIN } };
		uint64_t now = now_ns(), next;

		while (out.first && out.first->due <= now)
			hand_on(&out, NULL);
		while (in.first && in.first->due <= now)
			hand_on(&in, &client);
		next = min(out.first ? out.first->due : UINT64_MAX,
			   in.first ? in.first->due : UINT64_MAX);
		sleep_until(timer, next);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			die("poll");
		now = now_ns();
		while (take(&out, &from, now + delay))
			client = from;
		while (take(&in, &from, now + delay))
			;
	}
	printf("dropped %lu and %lu\n", out.dropped, in.dropped);
	forget(&out);
	forget(&in);
	return 0;
}
