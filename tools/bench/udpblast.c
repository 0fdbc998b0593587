/* SPDX-License-Identifier: MIT */
/*
 * UDP from one network namespace to another, numbered, so that what is lost and
 * what arrives out of order can be told. Looks for the rate at which less than
 * 1 % is lost, or sends at a given one. Prints one line of JSON.
 *
 *	udpblast [options] NETNS ADDRESS NETNS ADDRESS
 *
 *	-s BYTES	size of the IP packets; "imix": 7 of 40, 4 of 576, 1 of 1,420
 *	-f N		flows, each with ports of its own
 *	-d		in both directions: each flow goes both ways
 *	-r RATE		packets a second, instead of the search
 *	-t MS		length of each try
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum {
	FLOWS_MAX = 64,
	BATCH = 64,
	PACKET_MAX = 1500,
	HEADERS = 20 + 8, /* IPv4 and UDP */
	PORT = 7000
};

/* In front of each payload: the smallest IMIX packet has room for just this. */
struct stamp {
	uint32_t flow;
	uint32_t number;
	uint32_t more; /* bits 32 and up of the number */
};

static const uint16_t imix[] = { 40, 576, 40, 40, 576, 40, 1420, 40, 576, 40, 40, 576 };

/* One way of one flow. */
struct way {
	int from, to;    /* sockets, each connected to the other */
	uint64_t number; /* sending thread */
	struct load_flow order;
};

struct blast {
	unsigned n;
	struct way ways[2 * FLOWS_MAX];
	struct pollfd polls[2 * FLOWS_MAX];
	unsigned size, next; /* 0: IMIX; whose turn it is to send */
	struct mmsghdr msgs[2][BATCH]; /* sending, receiving */
	struct iovec iov[2][BATCH];
	uint8_t data[2][BATCH][PACKET_MAX];
};

/* A burst belongs to one flow, the next burst to the next one. */
static unsigned blast_send(void *arg, unsigned n)
{
	struct blast *b = arg;
	struct way *w = &b->ways[b->next];
	int sent;

	n = min(n, (unsigned)BATCH);
	for (unsigned i = 0; i < n; i++) {
		uint64_t number = w->number + i;
		struct stamp stamp = { b->next, (uint32_t)number, (uint32_t)(number >> 32) };
		size_t size = b->size ? b->size : imix[number % ARRAY_SIZE(imix)];

		memcpy(b->data[0][i], &stamp, sizeof(stamp));
		b->iov[0][i].iov_len = size - HEADERS;
	}
	b->next = (b->next + 1) % b->n;
	sent = sendmmsg(w->from, b->msgs[0], n, MSG_DONTWAIT);
	if (sent < 0)
		return 0;
	w->number += (unsigned)sent;
	return (unsigned)sent;
}

static void receive_from(struct blast *b, struct way *w, struct load_count *count)
{
	int n;

	do {
		for (unsigned i = 0; i < BATCH; i++)
			b->iov[1][i].iov_len = PACKET_MAX;
		n = recvmmsg(w->to, b->msgs[1], BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			struct stamp stamp;

			memcpy(&stamp, b->data[1][i], sizeof(stamp));
			load_arrived(count, &w->order,
				     stamp.number | (uint64_t)stamp.more << 32,
				     b->msgs[1][i].msg_len + HEADERS);
		}
	} while (n == BATCH);
}

static void blast_receive(void *arg, int ms, struct load_count *count)
{
	struct blast *b = arg;

	if (poll(b->polls, b->n, ms) <= 0)
		return;
	for (unsigned i = 0; i < b->n; i++)
		if (b->polls[i].revents)
			receive_from(b, &b->ways[i], count);
}

static void connect_to(int fd, const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htobe16(port) };

	inet_pton(AF_INET, address, &in.sin_addr);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)))
		load_die(address);
}

static void open_ways(struct blast *b, unsigned flows, bool both, char **argv)
{
	for (unsigned i = 0; i < flows; i++) {
		uint16_t port = (uint16_t)(PORT + i);
		int from = load_socket(argv[0], argv[1], port);
		int to = load_socket(argv[2], argv[3], port);

		connect_to(from, argv[3], port);
		connect_to(to, argv[1], port);
		b->ways[b->n++] = (struct way){ .from = from, .to = to };
		if (both)
			b->ways[b->n++] = (struct way){ .from = to, .to = from };
	}
	for (unsigned i = 0; i < b->n; i++)
		b->polls[i] = (struct pollfd){ .fd = b->ways[i].to, .events = POLLIN };
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned i = 0; i < BATCH; i++) {
			b->iov[side][i].iov_base = b->data[side][i];
			b->msgs[side][i].msg_hdr.msg_iov = &b->iov[side][i];
			b->msgs[side][i].msg_hdr.msg_iovlen = 1;
		}
	}
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || v < least || v > most) {
		fprintf(stderr, "udpblast: %s is not a number from %u to %u\n", text, least, most);
		exit(2);
	}
	return (unsigned)v;
}

int main(int argc, char **argv)
{
	static struct blast b = { .size = 1400 };
	struct load load = { &b, blast_send, blast_receive };
	unsigned flows = 1, ms = 300, rate = 0;
	struct load_result result;
	bool both = false;
	int c;

	while ((c = getopt(argc, argv, "s:f:dr:t:")) != -1) {
		switch (c) {
		case 's':
			b.size = strcmp(optarg, "imix") ? number(optarg, 40, PACKET_MAX) : 0;
			break;
		case 'f':
			flows = number(optarg, 1, FLOWS_MAX);
			break;
		case 'd':
			both = true;
			break;
		case 'r':
			rate = number(optarg, 1, 100000000);
			break;
		case 't':
			ms = number(optarg, 1, 600000);
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 4) {
		fputs("usage: udpblast [-s BYTES|imix] [-f FLOWS] [-d] [-r RATE] [-t MS] "
		      "NETNS ADDRESS NETNS ADDRESS\n", stderr);
		return 2;
	}
	open_ways(&b, flows, both, argv + optind);
	if (rate)
		load_try(&load, rate, ms, &result);
	else
		load_search(&load, ms, &result);
	load_print(&result);
	return 0;
}
