/* SPDX-License-Identifier: MIT */
/*
 * Tenants come and go under a storm of handshakes; does the gateway's memory stay
 * where it was? Each round adds one by its file, meets it, deletes the file and
 * waits until it is gone. Meanwhile others shake hands all the time: tenants that
 * exist, strangers, forgers and those who say again what they said before, now as
 * many as the gateway can answer, now as many as can be sent. Prints one line of JSON.
 *
 *	churn files N FOLDER     writes the files of the tenants that stay
 *	churn run N WARM ROUNDS NETNS NETWORK GATEWAY KEY PID CONTROL FOLDER
 *
 * All addresses NETWORK.1.* and NETWORK.2.* (two bytes, "10.71") are NETNS's own:
 * under load the gateway has a limit for each. CONTROL is its control socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "crowd.h"
#include "load.h"
#include "memory.h"

enum {
	STAY_MAX = 1000,
	STRANGERS = 64,
	SOURCES = 100,       /* addresses on either side */
	FIRST_ROUND = 2000,  /* the number of the first who comes and goes */
	ROUNDS_MAX = 60000,
	/* So many different ones: of 10,000 revoked keys the gateway remembers a timestamp each. */
	COMERS = 200,
	BATCH = 10,          /* come and go at once */
	PACED_PER_MS = 2,    /* initiations that the gateway can answer */
	FLOOD_PER_MS = 80,   /* and that it cannot */
	PORT = 7200,
	PATIENCE_MS = 10000
};

enum weather { CALM, PACED, FLOOD, OVER };

struct churn {
	unsigned n;
	struct member stay[STAY_MAX];
	struct message_initiation strangers[STRANGERS], replays[STRANGERS];
	int storm[SOURCES], fd[SOURCES];
	_Atomic unsigned weather;
	uint64_t sent, cookies; /* storm thread: cookies are what an overloaded gateway answers */
	uint8_t gateway_key[NOISE_KEY_LEN];
	const char *folder;
	int control;
	struct aead *aead;
};

static void sleep_us(unsigned us)
{
	nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
}

/* The storm */

static void post(struct churn *c, const struct message_initiation *msg)
{
	uint8_t buf[256];
	int fd = c->storm[c->sent++ % SOURCES];

	ssize_t len;

	/* Refused or not: the next one comes soon. */
	(void)!send(fd, msg, sizeof(*msg), MSG_DONTWAIT);
	while ((len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		c->cookies += len == sizeof(struct message_cookie_reply);
}

/* One that is what it says, one of a stranger, one that was played before, one that is forged. */
static void post_one(struct churn *c, unsigned turn, bool fresh)
{
	struct message_initiation msg;
	struct cookie_maker macs;

	switch (turn % 4) {
	case 0:
		if (!fresh)
			return;
		crowd_initiation(&c->stay[turn / 4 % c->n], 0, &msg);
		post(c, &msg);
		return;
	case 1:
		post(c, &c->strangers[turn / 4 % STRANGERS]);
		return;
	case 2:
		post(c, &c->replays[turn / 4 % STRANGERS]);
		return;
	default:
		msg = c->replays[turn / 4 % STRANGERS];
		msg.encrypted_timestamp[0] ^= 1;
		cookie_maker_init(&macs, c->gateway_key);
		cookie_add_macs(&macs, &msg, sizeof(msg), load_now());
		post(c, &msg);
	}
}

static void *blow(void *arg)
{
	struct churn *c = arg;
	unsigned turn = 0, weather;

	while ((weather = atomic_load(&c->weather)) != OVER) {
		unsigned n = weather == PACED ? PACED_PER_MS : weather == FLOOD ? FLOOD_PER_MS : 0;

		while (n--)
			post_one(c, turn++, weather == PACED);
		sleep_us(1000);
	}
	return NULL;
}

/* Who comes and goes */

/* Does the gateway have a tenant of that name? */
static bool is_there(struct churn *c, const char *name)
{
	char line[8192];
	size_t len = 0;
	int n = snprintf(line, sizeof(line), "{\"do\":\"show\",\"name\":\"%s\"}\n", name);

	if (send(c->control, line, (size_t)n, 0) != n)
		load_die("control socket");
	do {
		ssize_t got = recv(c->control, line + len, sizeof(line) - 1 - len, 0);

		if (got <= 0)
			load_die("control socket");
		len += (size_t)got;
		line[len] = '\0';
	} while (!strchr(line, '\n'));
	return !strstr(line, "\"error\"");
}

static void await(struct churn *c, const char *name, bool there)
{
	uint64_t until = load_now() + PATIENCE_MS * NSEC_PER_MSEC;

	while (is_there(c, name) != there) {
		if (load_now() > until) {
			errno = ETIMEDOUT;
			load_die(there ? "a tenant to come" : "a tenant to go");
		}
		sleep_us(1000);
	}
}

static const char *name_of(uint32_t number)
{
	static char name[16];

	snprintf(name, sizeof(name), "t%05u", number);
	return name;
}

/* BATCH rounds at once, the first with that number. */
static void rounds(struct churn *c, uint32_t first)
{
	static struct member members[BATCH];
	uint8_t psk[NOISE_KEY_LEN];

	for (unsigned i = 0; i < BATCH; i++) {
		randombytes_buf(psk, sizeof(psk));
		crowd_member(&members[i], first + i, c->gateway_key, psk);
		crowd_write(c->folder, &members[i], "");
	}
	for (unsigned i = 0; i < BATCH; i++) {
		await(c, name_of(first + i), true);
		if (!crowd_meet(&members[i], c->fd[(first + i) % SOURCES], c->aead, 10, 1000,
				NULL)) {
			errno = ETIMEDOUT;
			load_die("handshake");
		}
	}
	for (unsigned i = 0; i < BATCH; i++)
		if (unlink(crowd_path(c->folder, first + i)))
			load_die("unlink");
	for (unsigned i = 0; i < BATCH; i++)
		await(c, name_of(first + i), false);
}

/* In either weather; then waits for what comes late. */
static void many_rounds(struct churn *c, unsigned n)
{
	for (unsigned i = 0; i < n; i += BATCH) {
		atomic_store(&c->weather, i < n / 2 ? PACED : FLOOD);
		rounds(c, FIRST_ROUND + i % COMERS);
	}
	atomic_store(&c->weather, CALM);
	sleep_us(500000);
}

/* The whole */

static void open_control(struct churn *c, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	c->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->control < 0 || connect(c->control, (struct sockaddr *)&un, sizeof(un)))
		load_die(path);
}

static void open_sockets(struct churn *c, const char *netns, const char *network,
			 const char *gateway)
{
	char address[32];

	for (unsigned i = 0; i < SOURCES; i++) {
		snprintf(address, sizeof(address), "%s.1.%u", network, 1 + i);
		c->fd[i] = crowd_socket(netns, address, PORT, gateway);
		snprintf(address, sizeof(address), "%s.2.%u", network, 1 + i);
		c->storm[i] = crowd_socket(netns, address, PORT, gateway);
	}
}

/* Those who stay have sessions from the start, and their initiations will be replayed. */
static void meet_all(struct churn *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		crowd_member(&c->stay[i], 1 + i, c->gateway_key, NULL);
		if (i < STRANGERS)
			crowd_initiation(&c->stay[i], 0, &c->replays[i]);
		if (!crowd_meet(&c->stay[i], c->fd[i % SOURCES], c->aead, 10, 1000, NULL)) {
			errno = ETIMEDOUT;
			load_die("handshake");
		}
	}
	for (unsigned i = 0; i < STRANGERS; i++) {
		struct member stranger;

		crowd_member(&stranger, 1000000 + i, c->gateway_key, NULL);
		crowd_initiation(&stranger, 0, &c->strangers[i]);
	}
}

static void perform(struct churn *c, unsigned warm, unsigned n, pid_t pid)
{
	unsigned fds, fds_after;
	size_t before, after;
	pthread_t storm;
	uint64_t begun;

	errno = pthread_create(&storm, NULL, blow, c);
	if (errno)
		load_die("pthread_create");
	many_rounds(c, warm);
	before = memory_resident(pid);
	fds = memory_descriptors(pid);
	begun = load_now();
	many_rounds(c, n);
	after = memory_resident(pid);
	fds_after = memory_descriptors(pid);
	atomic_store(&c->weather, OVER);
	pthread_join(storm, NULL);
	printf("{\"rounds\":%u,\"seconds\":%.1f,\"resident\":%zu,\"grown\":%lld,"
	       "\"descriptors\":%u,\"descriptors_after\":%u,\"initiations\":%llu,\"cookies\":%llu}\n", n,
	       (double)(load_now() - begun) / 1e9, before, (long long)after - (long long)before,
	       fds, fds_after, (unsigned long long)c->sent,
	       (unsigned long long)c->cookies);
}

static unsigned number(const char *text, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || !v || v > most) {
		fprintf(stderr, "churn: %s is not a number from 1 to %u\n", text, most);
		exit(2);
	}
	return (unsigned)v;
}

int main(int argc, char **argv)
{
	static struct churn c;

	if (sodium_init() < 0)
		load_die("sodium_init");
	if (argc == 4 && !strcmp(argv[1], "files")) {
		for (unsigned i = 1, n = number(argv[2], STAY_MAX); i <= n; i++) {
			crowd_member(&c.stay[0], i, NULL, NULL);
			crowd_write(argv[3], &c.stay[0], "");
		}
	} else if (argc == 12 && !strcmp(argv[1], "run")) {
		c.n = number(argv[2], STAY_MAX);
		c.folder = argv[11];
		crowd_key(c.gateway_key, argv[8]);
		if (aead_new("auto", &c.aead))
			load_die("aead_new");
		open_sockets(&c, argv[5], argv[6], argv[7]);
		open_control(&c, argv[10]);
		meet_all(&c);
		perform(&c, number(argv[3], ROUNDS_MAX), number(argv[4], ROUNDS_MAX),
			(pid_t)number(argv[9], 1 << 30));
		aead_free(c.aead);
	} else {
		fputs("usage: churn files N FOLDER |\n       churn run N WARM ROUNDS NETNS NETWORK "
		      "GATEWAY KEY PID CONTROL FOLDER\n", stderr);
		return 2;
	}
	return 0;
}
