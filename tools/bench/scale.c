/* SPDX-License-Identifier: MIT */
/*
 * A gateway of very many tenants, as its operator and as its tenants see it: what
 * bench-tenants is made of. Tenant number N has the address 2001:db8:beef::1:0 + N, and
 * a private key that is the number.
 *
 *	scale write FOLDER FROM TO      the files of these tenants
 *	scale call NETNS ADDRESS GATEWAY KEY N MS
 *	                                calls as tenant N until it is answered, for MS at
 *	                                the most; prints the time of the answer
 *	scale meet NETNS ADDRESS GATEWAY KEY FROM TO
 *	                                a session for each of them; prints how many have one
 *
 * Times are UTC in microseconds. GATEWAY is an IPv4 address and listens on port 51820;
 * KEY is its public key.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "crowd.h"
#include "load.h"

enum {
	PORT = 7200,
	/* The gateway takes initiations of one peer not less than 20 ms apart. */
	CALL_EVERY_MS = 25,
	MEET_ATTEMPTS = 10
};

static uint32_t number_of(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10);
}

static void write_file(const char *folder, uint32_t number)
{
	char path[512], key[KEY_BASE64_STRLEN];
	struct noise_local local;
	FILE *f;

	crowd_local(number, &local);
	(void)snprintf(path, sizeof(path), "%s/t%07" PRIu32 ".conf", folder, number);
	f = load_open(path, "we");
	(void)fprintf(f, "[Peer]\nPublicKey = %s\nAllowedIPs = 2001:db8:beef::%" PRIx32
		      ":%" PRIx32 "/128\n", key_to_base64(local.public_key, key),
		      1 + (number >> 16), number & 0xffff);
	if (fclose(f))
		load_die(path);
}

static uint64_t utc_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Sends initiations, also while nobody listens yet, until one is answered. */
static bool call(struct member *m, int fd, unsigned ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t end = load_now() + ms * NSEC_PER_MSEC;
	struct message_initiation first;
	uint8_t buf[256];

	while (load_now() < end) {
		crowd_initiation(m, 0, &first);
		(void)!send(fd, &first, sizeof(first), 0);
		/* Errors of the closed port come back here, and end the wait too early. */
		if (poll(&p, 1, CALL_EVERY_MS) > 0 &&
		    recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == sizeof(struct message_response))
			return true;
	}
	return false;
}

static int run_call(char **argv)
{
	uint8_t key[NOISE_KEY_LEN];
	struct member m;
	int fd;

	crowd_key(key, argv[3]);
	crowd_member(&m, number_of(argv[4]), key, NULL);
	/* Several may call at a time. */
	fd = crowd_socket(argv[0], argv[1], (uint16_t)(PORT + 1 + m.number % 1000), argv[2]);
	if (!call(&m, fd, number_of(argv[5])))
		return 1;
	printf("%" PRIu64 "\n", utc_us());
	return 0;
}

static int run_meet(char **argv)
{
	uint32_t n = 0, from = number_of(argv[4]), to = number_of(argv[5]);
	uint8_t key[NOISE_KEY_LEN];
	struct aead *aead;
	struct member m;
	int fd;

	if (aead_new("auto", &aead))
		load_die("aead_new");
	crowd_key(key, argv[3]);
	fd = crowd_socket(argv[0], argv[1], PORT, argv[2]);
	for (uint32_t i = from; i <= to; i++) {
		crowd_member(&m, i, key, NULL);
		n += crowd_meet(&m, fd, aead, MEET_ATTEMPTS, 500, NULL);
	}
	aead_free(aead);
	printf("%" PRIu32 "\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	umask(077);
	if (argc == 5 && !strcmp(argv[1], "write")) {
		for (uint32_t i = number_of(argv[3]); i <= number_of(argv[4]); i++)
			write_file(argv[2], i);
		return 0;
	}
	if (argc == 8 && !strcmp(argv[1], "call"))
		return run_call(argv + 2);
	if (argc == 8 && !strcmp(argv[1], "meet"))
		return run_meet(argv + 2);
	(void)fprintf(stderr, "scale: write, call or meet, see tools/bench/scale.c\n");
	return 2;
}
