/* SPDX-License-Identifier: MIT */
/* Full rate without anybody's queue overflowing; what comes through is stamped by the kernel. */
#include "revoke_traffic.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "load.h"

enum {
	FULL_SIZE = 1392,   /* of the inner packets of number 1 */
	STEADY_SIZE = 112,  /* and of the others */
	STEADY_RATE = 3000, /* packets a second each way, of all others together */
	WINDOW = 128,       /* on the way: as fast as it gets through, and no queue overflows */
	STUCK_NS = 4000 * 1000, /* nothing comes through: a burst each so often all the same */
	ASK_NS = 5000 * 1000,   /* between solicitations */
	STRAGGLE_MS = 500,      /* the last packet arrives */
	FULL_PORT = 7101,
	STEADY_PORT = 7100
};

void traffic_sleep(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000 * NSEC_PER_MSEC) };

	nanosleep(&ts, NULL);
}

struct aead *traffic_aead(void)
{
	struct aead *aead;

	if (aead_new("auto", &aead))
		load_die("aead_new");
	return aead;
}

/* Sending */

/*
 * May a burst go out? In full flight the window says so, and when nothing comes through the
 * clock, so slowly that no queue overflows.
 */
static bool may_send(struct flow *f)
{
	uint64_t now = load_now();
	uint64_t in_flight = atomic_load(&f->sent) - atomic_load(&f->received);

	if (in_flight + CROWD_BURST > WINDOW && now - f->progress < STUCK_NS)
		return false;
	f->progress = now;
	return true;
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

static void *push_up(void *arg)
{
	struct traffic *t = arg;
	struct crowd_burst *burst = malloc(sizeof(*burst));
	struct aead *aead = traffic_aead();
	struct sockaddr_in world = { 0 };
	socklen_t len = sizeof(world);

	if (!burst || getsockname(t->world_victim, (struct sockaddr *)&world, &len))
		load_die("push_up");
	while (!atomic_load(&t->stop_sending)) {
		if (!may_send(&t->flow[FLOW_UP])) {
			pause_briefly();
			continue;
		}
		crowd_lay(burst, &t->members[1], CROWD_BURST, FULL_SIZE, world.sin_addr, FULL_PORT);
		atomic_fetch_add(&t->flow[FLOW_UP].sent,
				 crowd_send(burst, &t->members[1], t->victim, aead));
	}
	aead_free(aead);
	free(burst);
	return NULL;
}

/* n packets to one tenant. */
static unsigned send_from_world(int fd, uint32_t number, unsigned n, size_t size, uint16_t port)
{
	static const uint8_t nothing[FULL_SIZE];
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htobe16(port),
				  .sin_addr = crowd_address(number) };
	struct iovec iov = { (void *)(uintptr_t)nothing, size - CROWD_HEADERS };
	struct mmsghdr msgs[CROWD_BURST];
	int sent;

	for (unsigned i = 0; i < n; i++)
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &to,
							 .msg_namelen = sizeof(to),
							 .msg_iov = &iov,
							 .msg_iovlen = 1 } };
	sent = sendmmsg(fd, msgs, n, 0);
	return sent < 0 ? 0 : (unsigned)sent;
}

static void *push_down(void *arg)
{
	struct traffic *t = arg;

	while (!atomic_load(&t->stop_sending)) {
		if (may_send(&t->flow[FLOW_DOWN]))
			atomic_fetch_add(&t->flow[FLOW_DOWN].sent,
					 send_from_world(t->world_victim, 1, CROWD_BURST,
							 FULL_SIZE, FULL_PORT));
		else
			pause_briefly();
	}
	return NULL;
}

/* All others in turn, one packet each way; and the questions of the neighbour. */
static void *steady(void *arg)
{
	struct traffic *t = arg;
	struct crowd_burst *burst = malloc(sizeof(*burst));
	struct aead *aead = traffic_aead();
	uint64_t begun = load_now(), asked = 0, turns = 0;
	struct sockaddr_in world = { 0 };
	socklen_t len = sizeof(world);

	if (!burst || getsockname(t->world_crowd, (struct sockaddr *)&world, &len))
		load_die("steady");
	while (!atomic_load(&t->stop_sending)) {
		uint64_t now = load_now();

		if (now - asked >= ASK_NS) {
			asked = now;
			atomic_fetch_add(&t->flow[FLOW_ASKED].sent, solicit_ask(&t->solicit));
		}
		for (; turns < (now - begun) * STEADY_RATE / NSEC_PER_SEC; turns++) {
			struct member *m = &t->members[2 + turns % (t->n - 1)];

			crowd_lay(burst, m, 1, STEADY_SIZE, world.sin_addr, STEADY_PORT);
			t->steady_up += crowd_send(burst, m, t->crowd, aead);
			t->steady_down += send_from_world(t->world_crowd, m->number, 1,
							  STEADY_SIZE, STEADY_PORT);
		}
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	}
	aead_free(aead);
	free(burst);
	return NULL;
}

/* Receiving */

static void arrived(struct flow *f, uint64_t stamp)
{
	atomic_fetch_add(&f->received, 1);
	atomic_store(&f->last, stamp);
}

struct source {
	struct traffic *t;
	int fd;
};

/* What a message is, by the socket that it came from. */
static void take(void *arg, const struct load_datagram *d)
{
	bool is_data = d->len > MESSAGE_DATA_OVERHEAD && load_le32(d->data) == MESSAGE_DATA;
	const struct sockaddr_in *from = d->from; /* of IPv4; asked for nowhere else */
	const struct source *source = arg;
	struct traffic *t = source->t;

	if (source->fd == t->world_victim) {
		if (be32toh(from->sin_addr.s_addr) == CROWD_NETWORK + 1)
			arrived(&t->flow[FLOW_UP], d->stamp);
	} else if (source->fd == t->victim) {
		if (is_data && load_le32(d->data + 4) == 1)
			arrived(&t->flow[FLOW_DOWN], d->stamp);
	} else if (source->fd == t->solicit.fd) {
		if (solicit_is_answer(&t->solicit, d->data, d->len))
			arrived(&t->flow[FLOW_ASKED], d->stamp);
	} else if (source->fd == t->world_crowd) {
		atomic_fetch_add(&t->got_up, be32toh(from->sin_addr.s_addr) > CROWD_NETWORK + 1);
	} else {
		atomic_fetch_add(&t->got_down, is_data);
	}
}

static void *receive(void *arg)
{
	struct traffic *t = arg;
	struct pollfd polls[] = { { t->victim, POLLIN, 0 },
				  { t->world_victim, POLLIN, 0 },
				  { t->solicit.fd, POLLIN, 0 },
				  { t->crowd, POLLIN, 0 },
				  { t->world_crowd, POLLIN, 0 } };

	while (!atomic_load(&t->stop_receiving)) {
		if (poll(polls, ARRAY_SIZE(polls), 10) <= 0)
			continue;
		for (unsigned i = 0; i < ARRAY_SIZE(polls); i++)
			if (polls[i].revents)
				load_receive(polls[i].fd, take,
					     &(struct source){ t, polls[i].fd });
	}
	return NULL;
}

/* The whole */

static void stamp_all(int fd)
{
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		load_die("SO_TIMESTAMPNS");
}

void traffic_open(struct traffic *t, const char *netns, const char *address, const char *gateway,
		  const char *world_netns, const char *world_address, const char *link,
		  const char *victim)
{
	t->victim = crowd_socket(netns, address, FULL_PORT, gateway);
	t->crowd = crowd_socket(netns, address, STEADY_PORT, gateway);
	t->world_victim = load_socket(world_netns, world_address, FULL_PORT);
	t->world_crowd = load_socket(world_netns, world_address, STEADY_PORT);
	solicit_open(&t->solicit, world_netns, link, victim);
	stamp_all(t->victim);
	stamp_all(t->world_victim);
	stamp_all(t->solicit.fd);
}

static void begin_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	errno = pthread_create(thread, NULL, run, arg);
	if (errno)
		load_die("pthread_create");
}

void traffic_start(struct traffic *t)
{
	begin_thread(&t->receiver, receive, t);
	begin_thread(&t->senders[0], push_up, t);
	begin_thread(&t->senders[1], push_down, t);
	begin_thread(&t->senders[2], steady, t);
}

void traffic_stop(struct traffic *t)
{
	atomic_store(&t->stop_sending, true);
	for (unsigned i = 0; i < ARRAY_SIZE(t->senders); i++)
		pthread_join(t->senders[i], NULL);
	traffic_sleep(STRAGGLE_MS);
	atomic_store(&t->stop_receiving, true);
	pthread_join(t->receiver, NULL);
}
