/* SPDX-License-Identifier: MIT */
/* Paced sending, and the search for the rate that still gets through. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_NS = 100 * 1000,     /* between bursts */
	DEBT_NS = 2000 * 1000,    /* of lateness that is made up for */
	QUIET_MS = 30,            /* without a packet: the last has arrived */
	BURST_MAX = 64,
	FIRST_RATE = 4000,        /* packets a second; everybody can do that */
	HALVINGS = 5,
	SOCKET_BUFFER = 16 << 20,
	TAKEN = 32,               /* datagrams at once */
	DATAGRAM_MAX = 2048
};

struct sender {
	const struct load *load;
	double rate;
	uint64_t ns;   /* how long to send */
	uint64_t sent, took; /* results */
	_Atomic bool done;
};

void load_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t load_utc(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t when)
{
	struct timespec ts = { .tv_sec = (time_t)(when / NSEC_PER_SEC),
			       .tv_nsec = (long)(when % NSEC_PER_SEC) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void *send_paced(void *arg)
{
	struct sender *s = arg;
	uint64_t start, credit_from, now, end;

	prctl(PR_SET_TIMERSLACK, 1);
	start = credit_from = load_now();
	end = start + s->ns;
	for (double due = 0; (now = load_now()) < end;) {
		if (now - credit_from > DEBT_NS)
			credit_from = now - DEBT_NS;
		due += (double)(now - credit_from) * s->rate / 1e9;
		credit_from = now;
		while (due >= 1) {
			unsigned n = s->load->send(s->load->arg, (unsigned)min(due, BURST_MAX * 1.0));

			s->sent += n;
			due -= n ? n : 1; /* refused: it does not count as lost on the way */
		}
		sleep_until(now + TICK_NS);
	}
	s->took = load_now() - start;
	atomic_store(&s->done, true);
	return NULL;
}

void load_try(const struct load *load, double rate, unsigned ms, struct load_result *out)
{
	struct sender s = { .load = load, .rate = rate, .ns = ms * NSEC_PER_MSEC };
	uint64_t before, quiet_since = 0;
	pthread_t thread;

	memset(out, 0, sizeof(*out));
	errno = pthread_create(&thread, NULL, send_paced, &s);
	if (errno)
		load_die("pthread_create");
	while (!quiet_since || load_now() - quiet_since < QUIET_MS * NSEC_PER_MSEC) {
		before = out->count.received;
		load->receive(load->arg, 5, &out->count);
		if (!atomic_load(&s.done) || out->count.received != before)
			quiet_since = 0;
		else if (!quiet_since)
			quiet_since = load_now();
	}
	pthread_join(thread, NULL);
	out->count.sent = s.sent;
	out->seconds = (double)s.took / 1e9;
	out->asked = rate;
	out->received = (double)out->count.received / out->seconds;
	if (s.sent > out->count.received)
		out->loss = 1 - (double)out->count.received / (double)s.sent;
}

/*
 * Did the rate get through? A second chance, for the machine may have looked
 * away. *out is the last try.
 */
static bool passes(const struct load *load, double rate, unsigned ms, struct load_result *out,
		   uint64_t *reordered)
{
	for (int chance = 0; chance < 2; chance++) {
		load_try(load, rate, ms, out);
		*reordered += out->count.reordered;
		if (out->count.received && out->loss <= LOAD_LOSS)
			return true;
	}
	return false;
}

/* Sent much less than it was asked to: this sender cannot send more. */
static bool sender_is_slow(const struct load_result *r)
{
	return (double)r->count.sent < 0.7 * r->asked * r->seconds;
}

void load_search(const struct load *load, unsigned ms, struct load_result *out)
{
	double good = 0, bad = FIRST_RATE;
	uint64_t reordered = 0;
	struct load_result r;

	memset(out, 0, sizeof(*out));
	for (; passes(load, bad, ms, &r, &reordered); bad *= 2) {
		good = bad;
		if (r.received > out->received)
			*out = r;
		if (sender_is_slow(&r))
			break;
	}
	for (int i = 0; i < HALVINGS; i++) {
		double middle = (good + bad) / 2;

		if (passes(load, middle, ms, &r, &reordered)) {
			good = middle;
			if (r.received > out->received)
				*out = r;
		} else {
			bad = middle;
		}
	}
	out->count.reordered = reordered;
}

FILE *load_open(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (file)
		return file;
	load_die(path);
}

int load_enter(const char *name)
{
	char path[256];
	int old = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (old < 0 || fd < 0 || setns(fd, CLONE_NEWNET))
		load_die(path);
	close(fd);
	return old;
}

void load_leave(int old)
{
	if (setns(old, CLONE_NEWNET))
		load_die("setns");
	close(old);
}

int load_socket(const char *netns, const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htobe16(port) };
	int old = netns ? load_enter(netns) : -1, size = SOCKET_BUFFER, fd;

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		errno = EINVAL;
		load_die(address);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)))
		load_die(address);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (old >= 0)
		load_leave(old);
	return fd;
}

uint64_t load_stamp(struct msghdr *msg)
{
	struct timespec ts;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
	}
	return load_utc(); /* too late rather than too early */
}

void load_receive(int fd, void (*take)(void *arg, const struct load_datagram *d), void *arg)
{
	static _Alignas(struct cmsghdr) uint8_t control[TAKEN][CMSG_SPACE(sizeof(struct timespec))];
	static uint8_t data[TAKEN][DATAGRAM_MAX];
	struct sockaddr_storage from[TAKEN];
	struct mmsghdr msgs[TAKEN];
	struct iovec iov[TAKEN];
	int n;

	do {
		for (unsigned i = 0; i < TAKEN; i++) {
			iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
			msgs[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
							   .msg_namelen = sizeof(from[i]),
							   .msg_iov = &iov[i],
							   .msg_iovlen = 1,
							   .msg_control = control[i],
							   .msg_controllen = sizeof(control[i]) };
		}
		n = recvmmsg(fd, msgs, TAKEN, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take(arg, &(struct load_datagram){ data[i], msgs[i].msg_len, &from[i],
							   load_stamp(&msgs[i].msg_hdr) });
	} while (n == TAKEN);
}

void load_print(const struct load_result *r)
{
	printf("{\"packets_per_s\":%.0f,\"mbit_per_s\":%.1f,\"loss\":%.5f,\"sent\":%llu,"
	       "\"received\":%llu,\"reordered\":%llu,\"asked_per_s\":%.0f}\n",
	       r->received, (double)r->count.bytes * 8 / 1e6 / r->seconds, r->loss,
	       (unsigned long long)r->count.sent, (unsigned long long)r->count.received,
	       (unsigned long long)r->count.reordered, r->asked);
}
