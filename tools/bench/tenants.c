/* SPDX-License-Identifier: MIT */
/*
 * Many tenants of one gateway, behind one socket: as much of each as it takes to
 * measure the gateway alone. Their private keys are numbers, so that the
 * gateway can be told of them beforehand. Prints one line of JSON.
 *
 *	tenants peers N         what `wg addconf` wants: keys, and 10.8.0.0/16 by number
 *	tenants x25519          handshakes a second that X25519 alone allows on one core
 *	tenants handshakes N MS NETNS ADDRESS GATEWAY KEY
 *	                        handshakes a second that the gateway answers
 *	tenants down N BYTES MS NETNS ADDRESS GATEWAY KEY FROM-NETNS FROM-ADDRESS
 *	                        UDP to all of them in turn: what gets through
 *
 * GATEWAY is an IPv4 address and listens on port 51820; KEY is its public key.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../crypto/aead.h"
#include "../../crypto/cookie.h"
#include "../../crypto/noise.h"
#include "../../crypto/tai64n.h"
#include "load.h"

enum {
	TENANTS_MAX = 4096,
	PORT = 7100,
	GATEWAY_PORT = 51820,
	BATCH = 64,
	BUFFER = 65536,
	HEADERS = 20 + 8, /* IPv4 and UDP */
	WINDOW = 24,      /* handshakes on the way: too few to be answered with cookies */
	RATE_MAX = 12000  /* initiations made ahead for each second */
};

struct tenant {
	struct noise_local local;
	struct noise_remote gateway;
	struct load_flow order;
};

struct tenants {
	unsigned n, next;
	struct tenant *tenant;
	uint8_t gateway_key[NOISE_KEY_LEN];
	struct cookie_maker macs;
	int fd;       /* towards the gateway */
	int world;    /* from where the tenants are sent to */
	size_t size;  /* of the IP packets */
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in to[BATCH];
	uint8_t payload[1500];
	uint8_t buffer[BUFFER];
};

static const struct noise_upcalls upcalls = { .random = noise_random_sodium };

static void local_of(unsigned number, struct noise_local *local)
{
	uint8_t private_key[NOISE_KEY_LEN] = { 0x5a };

	store_le32(private_key + 4, number);
	if (noise_local_init(local, private_key) != NOISE_OK)
		load_die("noise_local_init");
}

/* 10.8.0.0/16 by number, host order. */
static uint32_t address_of(unsigned number)
{
	return 0x0a080000 + number;
}

static void print_peers(unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		struct in_addr in = { .s_addr = htobe32(address_of(i)) };
		struct noise_local local;
		char key[64], text[INET_ADDRSTRLEN];

		local_of(i, &local);
		sodium_bin2base64(key, sizeof(key), local.public_key, NOISE_KEY_LEN,
				  sodium_base64_VARIANT_ORIGINAL);
		printf("[Peer]\nPublicKey = %s\nAllowedIPs = %s/32\n", key,
		       inet_ntop(AF_INET, &in, text, sizeof(text)));
	}
}

/* A responder computes three shared secrets and one public key; es, ee, se and its ephemeral. */
static void x25519(void)
{
	uint8_t scalar[32] = { 7 }, point[32], shared[32];
	uint64_t start = load_now(), took;
	unsigned n = 0;

	crypto_scalarmult_base(point, scalar);
	do {
		(void)!crypto_scalarmult_base(shared, scalar);
		for (int i = 0; i < 3; i++)
			(void)!crypto_scalarmult(shared, scalar, point);
		n++;
		took = load_now() - start;
	} while (took < NSEC_PER_SEC / 3);
	printf("{\"handshakes_per_s\":%.0f}\n", n * 1e9 / (double)took);
}

static void open_tenants(struct tenants *t, unsigned n, char **argv)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htobe16(GATEWAY_PORT) };
	int one = 1;
	size_t len;

	t->n = n;
	t->tenant = calloc(n + 1, sizeof(*t->tenant)); /* numbered from 1 */
	if (!t->tenant)
		load_die("calloc");
	if (inet_pton(AF_INET, argv[2], &in.sin_addr) != 1 ||
	    sodium_base642bin(t->gateway_key, NOISE_KEY_LEN, argv[3], strlen(argv[3]), NULL, &len,
			      NULL, sodium_base64_VARIANT_ORIGINAL) || len != NOISE_KEY_LEN) {
		errno = EINVAL;
		load_die("gateway's address or key");
	}
	cookie_maker_init(&t->macs, t->gateway_key);
	for (unsigned i = 1; i <= n; i++) {
		local_of(i, &t->tenant[i].local);
		if (noise_remote_init(&t->tenant[i].gateway, &t->tenant[i].local, t->gateway_key,
				      NULL) != NOISE_OK)
			load_die("noise_remote_init");
	}
	t->fd = load_socket(argv[0], argv[1], PORT);
	if (connect(t->fd, (struct sockaddr *)&in, sizeof(in)))
		load_die("connect");
	setsockopt(t->fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
}

/* The tenant's initiation as of second from now; its number is its index. */
static void make_initiation(struct tenants *t, unsigned number, unsigned second,
			    struct message_initiation *msg)
{
	struct tenant *tenant = &t->tenant[number];
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += second;
	tai64n_encode(timestamp, &ts);
	if (noise_create_initiation(&tenant->gateway, &tenant->local, &upcalls, number, timestamp,
				    msg) != NOISE_OK)
		load_die("noise_create_initiation");
	cookie_add_macs(&t->macs, msg, sizeof(*msg), load_now());
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

/* An empty packet under the new key: until it arrives the gateway may not send. */
static void confirm(const struct tenants *t, struct tenant *tenant, struct aead *aead)
{
	uint8_t msg[MESSAGE_DATA_OVERHEAD];
	struct noise_session session;
	struct aead_op op = { .data = msg + sizeof(struct message_data), .key = session.send_key };

	if (noise_begin_session(&tenant->gateway, &session) != NOISE_OK)
		load_die("noise_begin_session");
	store_le32(msg, MESSAGE_DATA);
	store_le32(msg + 4, session.remote_index);
	store_le64(msg + 8, 0);
	aead_seal_burst(aead, &op, 1);
	if (send(t->fd, msg, sizeof(msg), 0) != sizeof(msg))
		load_die("send");
}

/* A whole handshake with the gateway. */
static bool meet(struct tenants *t, unsigned number, struct aead *aead)
{
	struct tenant *tenant = &t->tenant[number];
	struct message_initiation first;
	struct message_response second;

	make_initiation(t, number, 0, &first);
	if (send(t->fd, &first, sizeof(first), 0) != sizeof(first))
		load_die("send");
	while (readable(t->fd, 1000)) {
		if (recv(t->fd, &second, sizeof(second), 0) != sizeof(second))
			continue;
		if (noise_consume_response(&tenant->gateway, &tenant->local, &second) == NOISE_OK) {
			confirm(t, tenant, aead);
			return true;
		}
	}
	return false;
}

static void meet_all(struct tenants *t)
{
	struct aead *aead;

	if (aead_new("auto", &aead))
		load_die("aead_new");
	for (unsigned i = 1; i <= t->n; i++) {
		int attempts = 3;

		while (!meet(t, i, aead)) {
			if (!--attempts) {
				errno = ETIMEDOUT;
				load_die("handshake");
			}
		}
	}
	aead_free(aead);
}

/* One packet to each tenant in turn. */
static unsigned world_send(void *arg, unsigned n)
{
	struct tenants *t = arg;
	int sent;

	n = min(n, (unsigned)BATCH);
	for (unsigned i = 0; i < n; i++) {
		unsigned number = 1 + (t->next + i) % t->n;

		t->to[i] = (struct sockaddr_in){ .sin_family = AF_INET,
						 .sin_port = htobe16(PORT),
						 .sin_addr.s_addr = htobe32(address_of(number)) };
		t->iov[i] = (struct iovec){ t->payload, t->size - HEADERS };
		t->msgs[i].msg_hdr = (struct msghdr){ .msg_name = &t->to[i],
						      .msg_namelen = sizeof(t->to[i]),
						      .msg_iov = &t->iov[i],
						      .msg_iovlen = 1 };
	}
	sent = sendmmsg(t->world, t->msgs, n, MSG_DONTWAIT);
	if (sent < 0)
		return 0;
	t->next += (unsigned)sent;
	return (unsigned)sent;
}

/* Size of the datagrams in a message that UDP_GRO may have merged. */
static size_t segment_size(struct msghdr *msg, size_t len)
{
	struct cmsghdr *c;
	int size;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return (size_t)size;
		}
	}
	return len;
}

/* Counters of data messages are in the clear: they show order and loss. */
static void take(struct tenants *t, const uint8_t *msg, size_t len, struct load_count *count)
{
	uint32_t number;

	if (len < MESSAGE_DATA_OVERHEAD + HEADERS || load_le32(msg) != MESSAGE_DATA)
		return;
	number = load_le32(msg + 4);
	if (number >= 1 && number <= t->n)
		load_arrived(count, &t->tenant[number].order, load_le64(msg + 8), t->size);
}

static void tenants_receive(void *arg, int ms, struct load_count *count)
{
	struct tenants *t = arg;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { t->buffer, BUFFER };

	if (!readable(t->fd, ms))
		return;
	for (int i = 0; i < BATCH; i++) {
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		ssize_t len = recvmsg(t->fd, &msg, MSG_DONTWAIT);
		size_t size;

		if (len <= 0)
			return;
		size = segment_size(&msg, (size_t)len);
		for (size_t at = 0; at < (size_t)len; at += size)
			take(t, t->buffer + at, min(size, (size_t)len - at), count);
	}
}

static void down(struct tenants *t, unsigned ms)
{
	struct load load = { t, world_send, tenants_receive };
	struct load_result result;

	meet_all(t);
	load_search(&load, ms, &result);
	load_print(&result);
}

/*
 * Initiations are made beforehand, and responses only counted: what is measured is
 * the gateway. A tenant's turn comes too seldom to be taken for a flood.
 */
static void handshakes(struct tenants *t, unsigned ms)
{
	size_t made = (size_t)RATE_MAX * ms / 1000, next = 0, answered = 0, given_up = 0;
	struct message_initiation *msgs = calloc(made, sizeof(*msgs));
	uint64_t start, took = 0;

	if (!msgs)
		load_die("calloc");
	for (size_t i = 0; i < made; i++)
		make_initiation(t, 1 + (unsigned)(i % t->n), (unsigned)(i / t->n), &msgs[i]);
	start = load_now();
	while (next < made && (took = load_now() - start) < ms * NSEC_PER_MSEC) {
		while (next < made && next - answered - given_up < WINDOW)
			if (send(t->fd, &msgs[next++], sizeof(*msgs), 0) < 0)
				load_die("send");
		if (!readable(t->fd, 100)) {
			given_up = next - answered;
			continue;
		}
		for (ssize_t len; (len = recv(t->fd, t->buffer, BUFFER, MSG_DONTWAIT)) > 0;)
			answered += (size_t)len / sizeof(struct message_response);
	}
	printf("{\"handshakes_per_s\":%.0f,\"unanswered\":%zu}\n",
	       (double)answered * 1e9 / (double)took, given_up);
	free(msgs);
}

static unsigned number(const char *text, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || !v || v > most) {
		fprintf(stderr, "tenants: %s is not a number from 1 to %u\n", text, most);
		exit(2);
	}
	return (unsigned)v;
}

int main(int argc, char **argv)
{
	static struct tenants t;

	if (sodium_init() < 0)
		load_die("sodium_init");
	if (argc == 3 && !strcmp(argv[1], "peers")) {
		print_peers(number(argv[2], TENANTS_MAX));
	} else if (argc == 2 && !strcmp(argv[1], "x25519")) {
		x25519();
	} else if (argc == 8 && !strcmp(argv[1], "handshakes")) {
		open_tenants(&t, number(argv[2], TENANTS_MAX), argv + 4);
		handshakes(&t, number(argv[3], 60000));
	} else if (argc == 11 && !strcmp(argv[1], "down")) {
		t.size = number(argv[3], sizeof(t.payload));
		open_tenants(&t, number(argv[2], TENANTS_MAX), argv + 5);
		t.world = load_socket(argv[9], argv[10], PORT);
		down(&t, number(argv[4], 60000));
	} else {
		fputs("usage: tenants peers N | x25519 | handshakes N MS NETNS ADDRESS GATEWAY KEY "
		      "|\n       down N BYTES MS NETNS ADDRESS GATEWAY KEY NETNS ADDRESS\n", stderr);
		return 2;
	}
	return 0;
}
