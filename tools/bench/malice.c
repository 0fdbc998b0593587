/* SPDX-License-Identifier: MIT */
/*
 * Tenants that try: what the network tests malice and crowd are made of. A tenant is known
 * by its number, as in crowd.h.
 *
 *	malice key N             its public key
 *	malice send NETNS ADDRESS GATEWAY KEY N
 *	                         a session of tenant N; then each line of standard input, in
 *	                         hexadecimal, is sent as an inner packet, exactly as it is
 *	malice files N FOLDER    writes the files of tenants 1 to N
 *	malice crowd N MS RATE NETNS ADDRESS GATEWAY KEY WORLD
 *	                         sessions for tenants 1 to N but the NEWCOMERS in front of N, and
 *	                         round trips of each but N to WORLD for MS; then the same while
 *	                         tenant N sends RATE packets of 1,024 bytes a second, and the
 *	                         NEWCOMERS begin theirs. One line of JSON for either
 *
 * GATEWAY and WORLD are IPv4 addresses; the gateway listens on port 51820, KEY is its public key.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "../../tun/checksum.h"
#include "crowd.h"
#include "load.h"

enum {
	PORT = 7300,
	CROWD_MAX = 2000,
	NEWCOMERS = 20,
	ROUND_MS = 1000,  /* in each of which everybody asks once */
	LAST_MS = 1000,   /* for the last answers */
	ECHO_LEN = 48,    /* inner: IPv4, ICMP, and a payload of zeroes */
	PACKET_MAX = 2048
};

struct crowd {
	unsigned n;
	struct member members[CROWD_MAX + 1]; /* by number; that of 0 is nobody's */
	unsigned answered[CROWD_MAX + 1];
	uint64_t asked, answers;
	struct in_addr world;
	struct aead *aead;
	int fd;        /* of all but the one that floods */
	int newcomers; /* of those */
	int flood;
};

struct flood {
	struct crowd *crowd;
	struct aead *aead;
	unsigned rate; /* packets a second */
	_Atomic bool over;
	uint64_t sent;
};

static unsigned number_of(const char *text, unsigned most)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n < 1 || n > most) {
		errno = ERANGE;
		load_die(text);
	}
	return (unsigned)n;
}

static struct aead *new_aead(void)
{
	struct aead *aead;

	if (aead_new("auto", &aead))
		load_die("aead_new");
	return aead;
}

/* Seals the inner packet of len bytes that stands behind room for the message's header; sends. */
static bool send_inner(struct member *m, int fd, struct aead *aead, uint8_t *msg, size_t len)
{
	struct aead_op op = { .data = msg + sizeof(struct message_data),
			      .len = len,
			      .key = m->session.send_key,
			      .nonce = m->counter };

	store_le32(msg, MESSAGE_DATA);
	store_le32(msg + offsetof(struct message_data, receiver_index), m->session.remote_index);
	store_le64(msg + offsetof(struct message_data, counter), m->counter++);
	aead_seal_burst(aead, &op, 1);
	return send(fd, msg, len + MESSAGE_DATA_OVERHEAD, 0) > 0;
}

/* Packet by packet */

static int run_key(char **argv)
{
	char text[KEY_BASE64_STRLEN];
	struct noise_local local;

	crowd_local(number_of(argv[0], CROWD_MAX), &local);
	puts(key_to_base64(local.public_key, text));
	return 0;
}

static int run_send(char **argv)
{
	uint8_t key[NOISE_KEY_LEN], msg[PACKET_MAX];
	static char line[2 * PACKET_MAX];
	struct aead *aead = new_aead();
	struct member m;
	size_t len;
	int fd;

	crowd_key(key, argv[3]);
	crowd_member(&m, number_of(argv[4], CROWD_MAX), key, NULL);
	fd = crowd_socket(argv[0], argv[1], PORT, argv[2]);
	if (!crowd_meet(&m, fd, aead, 10, 500, NULL)) {
		errno = ETIMEDOUT;
		load_die("handshake");
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sodium_hex2bin(msg + sizeof(struct message_data),
				   sizeof(msg) - MESSAGE_DATA_OVERHEAD, line, strcspn(line, "\n"),
				   NULL, &len, NULL) ||
		    !send_inner(&m, fd, aead, msg, len))
			load_die("a packet");
	}
	aead_free(aead);
	return 0;
}

/* A crowd, and one of it who sends all that it can */

static int run_files(char **argv)
{
	unsigned n = number_of(argv[0], CROWD_MAX);
	static struct member m;

	umask(077);
	for (unsigned i = 1; i <= n; i++) {
		crowd_member(&m, i, NULL, NULL);
		crowd_write(argv[1], &m, "");
	}
	return 0;
}

static void ask(struct crowd *c, struct member *m)
{
	struct in_addr from = crowd_address(m->number);
	uint8_t msg[ECHO_LEN + MESSAGE_DATA_OVERHEAD] = { 0 };
	uint8_t *ip = msg + sizeof(struct message_data), *icmp = ip + 20;

	ip[0] = 0x45;
	store_be16(ip + 2, ECHO_LEN);
	ip[8] = 64;
	ip[9] = IPPROTO_ICMP;
	memcpy(ip + 12, &from, sizeof(from));
	memcpy(ip + 16, &c->world, sizeof(c->world));
	checksum_store(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
	icmp[0] = ICMP_ECHO;
	store_be16(icmp + 4, (uint16_t)m->number);
	checksum_store(icmp + 2, checksum_finish(checksum_add(0, icmp, ECHO_LEN - 20)));
	c->asked += send_inner(m, c->fd, c->aead, msg, ECHO_LEN);
}

/* Takes what comes within ms, or until nothing is there any more. */
static void take_answers(struct crowd *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint8_t msg[PACKET_MAX];
	ssize_t len;

	if (poll(&p, 1, ms) <= 0)
		return;
	while ((len = recv(c->fd, msg, sizeof(msg), MSG_DONTWAIT)) > 0) {
		struct aead_op op = { .data = msg + sizeof(struct message_data),
				      .len = (size_t)len - sizeof(struct message_data) };
		uint32_t number = load_le32(msg + 4);

		if (len != ECHO_LEN + MESSAGE_DATA_OVERHEAD || number > c->n)
			continue;
		op.key = c->members[number].session.recv_key;
		op.nonce = load_le64(msg + 8);
		aead_open_burst(c->aead, &op, 1);
		if (!op.ok || msg[sizeof(struct message_data) + 20] != ICMP_ECHOREPLY)
			continue;
		c->answers++;
		c->answered[number]++;
	}
}

/* Everybody up to that number asks once in each round, at even intervals. */
static void ask_for(struct crowd *c, unsigned upto, unsigned ms)
{
	uint64_t begin = load_now(), step = ROUND_MS * NSEC_PER_MSEC / upto, end;
	unsigned rounds = ms / ROUND_MS;

	memset(c->answered, 0, sizeof(c->answered));
	c->asked = c->answers = 0;
	for (uint64_t i = 0; i < (uint64_t)rounds * upto; i++) {
		while (load_now() < begin + i * step)
			take_answers(c, 1);
		ask(c, &c->members[1 + i % upto]);
	}
	end = load_now() + LAST_MS * NSEC_PER_MSEC;
	while (c->answers < c->asked && load_now() < end)
		take_answers(c, 10);
}

static unsigned count_unserved(const struct crowd *c, unsigned upto)
{
	unsigned n = 0;

	for (unsigned i = 1; i <= upto; i++)
		n += !c->answered[i];
	return n;
}

static void print(const struct crowd *c, unsigned upto, const struct flood *f, double seconds,
		  unsigned met)
{
	printf("{\"asked\":%llu,\"answered\":%llu,\"loss\":%.5f,\"unserved\":%u,"
	       "\"flood_sent\":%llu,\"flood_packets_per_s\":%.0f,\"newcomers\":%d,\"met\":%u}\n",
	       (unsigned long long)c->asked, (unsigned long long)c->answers,
	       1 - (double)c->answers / (double)c->asked, count_unserved(c, upto),
	       (unsigned long long)f->sent, (double)f->sent / seconds, NEWCOMERS, met);
	fflush(stdout);
}

static void *send_many(void *arg)
{
	static struct crowd_burst b;
	struct flood *f = arg;
	struct crowd *c = f->crowd;
	struct member *m = &c->members[c->n];
	uint64_t begin = load_now();

	for (unsigned n = 0; !atomic_load(&f->over); n++) {
		uint64_t due = begin + n * (CROWD_BURST * NSEC_PER_SEC / f->rate);

		while (load_now() < due)
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
		/* Sealing is in place: what was sealed is no packet any more. */
		crowd_lay(&b, m, CROWD_BURST, 1024, c->world, 9);
		f->sent += crowd_send(&b, m, c->flood, f->aead);
	}
	return NULL;
}

struct newcomers {
	struct crowd *crowd;
	struct aead *aead;
	unsigned met;
};

static void *meet_anew(void *arg)
{
	struct newcomers *n = arg;
	struct crowd *c = n->crowd;

	for (unsigned i = c->n - NEWCOMERS; i < c->n; i++)
		n->met += crowd_meet(&c->members[i], c->newcomers, n->aead, 3, 1000, NULL);
	return NULL;
}

static bool is_newcomer(const struct crowd *c, unsigned number)
{
	return number >= c->n - NEWCOMERS && number < c->n;
}

static void meet_all(struct crowd *c, const uint8_t *key)
{
	for (unsigned i = 1; i <= c->n; i++) {
		crowd_member(&c->members[i], i, key, NULL);
		if (!is_newcomer(c, i) &&
		    !crowd_meet(&c->members[i], i == c->n ? c->flood : c->fd, c->aead, 10, 500,
				NULL)) {
			errno = ETIMEDOUT;
			load_die("handshake");
		}
	}
}

static int run_crowd(char **argv)
{
	static struct crowd c;
	struct flood flood = { .crowd = &c, .aead = new_aead() };
	struct newcomers newcomers = { .crowd = &c, .aead = new_aead() };
	unsigned ms = number_of(argv[1], 600000), upto;
	uint8_t key[NOISE_KEY_LEN];
	pthread_t threads[2];
	uint64_t begin;

	c.n = number_of(argv[0], CROWD_MAX);
	flood.rate = number_of(argv[2], 10000000);
	upto = c.n - 1 - NEWCOMERS;
	c.aead = new_aead();
	crowd_key(key, argv[6]);
	if (inet_pton(AF_INET, argv[7], &c.world) != 1)
		load_die(argv[7]);
	c.fd = crowd_socket(argv[3], argv[4], PORT, argv[5]);
	c.newcomers = crowd_socket(argv[3], argv[4], PORT + 1, argv[5]);
	c.flood = crowd_socket(argv[3], argv[4], PORT + 2, argv[5]);
	meet_all(&c, key);
	ask_for(&c, upto, ms);
	print(&c, upto, &flood, 1, 0);

	begin = load_now();
	errno = pthread_create(&threads[0], NULL, send_many, &flood);
	if (!errno)
		errno = pthread_create(&threads[1], NULL, meet_anew, &newcomers);
	if (errno)
		load_die("pthread_create");
	ask_for(&c, upto, ms);
	pthread_join(threads[1], NULL);
	atomic_store(&flood.over, true);
	pthread_join(threads[0], NULL);
	print(&c, upto, &flood, (double)(load_now() - begin) / 1e9, newcomers.met);
	return 0;
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	if (argc == 3 && !strcmp(argv[1], "key"))
		return run_key(argv + 2);
	if (argc == 7 && !strcmp(argv[1], "send"))
		return run_send(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "files"))
		return run_files(argv + 2);
	if (argc == 10 && !strcmp(argv[1], "crowd"))
		return run_crowd(argv + 2);
	(void)fprintf(stderr, "malice: key, send, files or crowd, see tools/bench/malice.c\n");
	return 2;
}
