/* SPDX-License-Identifier: MIT */
/*
 * A tenant is revoked in full flight. Number 1 sends at full rate and is sent to
 * at full rate; all others carry a little, and every packet of theirs is counted.
 * Then the file of number 1 is deleted, and everybody goes on sending. What came
 * through is known by the kernel's receive time stamps, what is left of the keys by
 * a look into the gateway's memory. Prints one line of JSON.
 *
 *	revoke files N FOLDER PSKFILE
 *				writes the files of the tenants
 *	revoke run N MS NETNS ADDRESS GATEWAY KEY WORLD-NETNS WORLD-ADDRESS LINK PID PSKFILE FILE
 *	revoke look PID KEYFILE where a key stands in a process's memory
 *
 * NETNS and ADDRESS are where the tenants are, LINK is the interface in WORLD-NETNS on which
 * neighbours are asked for, PID is the gateway's, FILE is what is deleted. After MS all
 * should be over.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "load.h"
#include "memory.h"
#include "revoke_traffic.h"

#define VICTIM_ADDRESS "2001:db8:beef::a1"

enum {
	MEMBERS_MAX = 4096,
	WARM_MS = 500,
	AFTER_MS = 1000 /* longer than MS everybody goes on */
};

/* Secrets */

static const char *const secret_names[CROWD_SECRETS + 2] = {
	[CROWD_PRESHARED] = "preshared",
	[CROWD_STATIC_STATIC] = "static_static",
	[CROWD_EPHEMERAL_STATIC] = "es",
	[CROWD_EPHEMERAL] = "ee",
	[CROWD_STATIC_EPHEMERAL] = "se",
	[CROWD_CHAIN_FIRST] = "chain_first",
	[CROWD_CHAIN_SECOND] = "chain_second",
	[CROWD_SEND] = "send",
	[CROWD_RECEIVE] = "receive",
	[CROWD_SECRETS] = "preshared_base64",
	[CROWD_SECRETS + 1] = "preshared_hex"
};

struct sought {
	char base64[KEY_BASE64_STRLEN], hex[KEY_HEX_STRLEN];
	struct memory_needle before[ARRAY_SIZE(secret_names)], after[ARRAY_SIZE(secret_names)];
};

static void seek(struct sought *s, const struct crowd_secrets *secrets)
{
	const uint8_t *psk = secrets->key[CROWD_PRESHARED];

	for (unsigned i = 0; i < CROWD_SECRETS; i++)
		s->before[i] = (struct memory_needle){ secrets->key[i], NOISE_KEY_LEN, 0, 0, "" };
	s->before[CROWD_SECRETS] = (struct memory_needle){ key_to_base64(psk, s->base64),
							   KEY_BASE64_STRLEN - 1, 0, 0, "" };
	s->before[CROWD_SECRETS + 1] = (struct memory_needle){ key_to_hex(psk, s->hex),
							       KEY_HEX_STRLEN - 1, 0, 0, "" };
	memcpy(s->after, s->before, sizeof(s->after));
}

static bool is_clean(const struct memory_needle *needles)
{
	for (unsigned i = 0; i < ARRAY_SIZE(secret_names); i++)
		if (needles[i].found)
			return false;
	return true;
}

/* Looks until nothing is found; returns when the look that found nothing began, or the last. */
static uint64_t await_clean(struct sought *s, pid_t pid, uint64_t until)
{
	uint64_t begun;

	do {
		begun = load_utc();
		memory_search(pid, s->after, ARRAY_SIZE(secret_names));
	} while (!is_clean(s->after) && load_utc() < until);
	return begun;
}

/* The whole */

static double ms_after(uint64_t when, uint64_t origin)
{
	return ((double)when - (double)origin) / 1e6;
}

static void print_flow(const char *name, struct flow *f, uint64_t per_s, uint64_t sent_before,
		       uint64_t origin)
{
	uint64_t sent = atomic_load(&f->sent);

	printf("\"%s\":{\"before_per_s\":%llu,\"sent_after\":%llu,\"last_ms\":%.3f},", name,
	       (unsigned long long)per_s, (unsigned long long)(sent - sent_before),
	       ms_after(atomic_load(&f->last), origin));
}

static void print_secrets(const struct sought *s)
{
	const char *comma = "";

	printf("\"secrets\":[");
	for (unsigned i = 0; i < ARRAY_SIZE(secret_names); i++, comma = ",")
		printf("%s{\"name\":\"%s\",\"before\":%u,\"unlocked\":%u,\"where\":\"%s\","
		       "\"after\":%u,\"left_in\":\"%s\"}", comma, secret_names[i],
		       s->before[i].found, s->before[i].unlocked, s->before[i].where,
		       s->after[i].found, s->after[i].where);
	printf("]");
}

static void snapshot(struct traffic *t, uint64_t received[FLOWS], uint64_t sent[FLOWS])
{
	for (unsigned i = 0; i < FLOWS; i++) {
		received[i] = atomic_load(&t->flow[i].received);
		sent[i] = atomic_load(&t->flow[i].sent);
	}
}

static void perform(struct traffic *t, const struct crowd_secrets *secrets, unsigned deadline,
		    pid_t pid, const char *file)
{
	static const char *const names[FLOWS] = { "up", "down", "neighbor" };
	uint64_t began[FLOWS], before[FLOWS], after[FLOWS], sent[FLOWS], origin, looked;
	static struct sought sought;

	seek(&sought, secrets);
	traffic_start(t);
	traffic_sleep(WARM_MS);
	memory_search(pid, sought.before, ARRAY_SIZE(secret_names));
	snapshot(t, began, sent);
	traffic_sleep(WARM_MS);
	snapshot(t, before, sent);
	origin = load_utc();
	if (unlink(file))
		load_die(file);
	traffic_sleep(deadline);
	snapshot(t, after, sent);
	looked = await_clean(&sought, pid, origin + (deadline + AFTER_MS) * NSEC_PER_MSEC);
	traffic_sleep(AFTER_MS);
	traffic_stop(t);

	printf("{\"unlinked\":%llu.%09llu,", (unsigned long long)(origin / NSEC_PER_SEC),
	       (unsigned long long)(origin % NSEC_PER_SEC));
	for (unsigned i = 0; i < FLOWS; i++)
		print_flow(names[i], &t->flow[i], (before[i] - began[i]) * 1000 / WARM_MS, sent[i],
			   origin);
	printf("\"others\":{\"tenants\":%u,\"sent\":%llu,\"lost_up\":%lld,\"lost_down\":%lld},",
	       t->n - 1, (unsigned long long)t->steady_up + t->steady_down,
	       (long long)(t->steady_up - atomic_load(&t->got_up)),
	       (long long)(t->steady_down - atomic_load(&t->got_down)));
	printf("\"looked_ms\":%.3f,", ms_after(looked, origin));
	print_secrets(&sought);
	printf("}\n");
}

static void read_key(const char *path, uint8_t key[NOISE_KEY_LEN])
{
	char text[KEY_BASE64_STRLEN] = "";
	FILE *f = load_open(path, "re");

	if (fread(text, 1, KEY_BASE64_STRLEN - 1, f) != KEY_BASE64_STRLEN - 1)
		load_die(path);
	fclose(f);
	crowd_key(key, text);
}

/* Number 1 has a socket of its own. */
static void meet_all(struct traffic *t, unsigned n, const char *gateway, const char *psk_file,
		     struct crowd_secrets *secrets)
{
	uint8_t gateway_key[NOISE_KEY_LEN], psk[NOISE_KEY_LEN];
	struct aead *aead = traffic_aead();

	crowd_key(gateway_key, gateway);
	read_key(psk_file, psk);
	t->n = n;
	t->members = calloc(n + 1, sizeof(*t->members));
	if (!t->members)
		load_die("calloc");
	for (unsigned i = 1; i <= n; i++) {
		crowd_member(&t->members[i], i, gateway_key, i == 1 ? psk : NULL);
		if (!crowd_meet(&t->members[i], i == 1 ? t->victim : t->crowd, aead, 5, 2000,
				i == 1 ? secrets : NULL)) {
			errno = ETIMEDOUT;
			load_die("handshake");
		}
	}
	aead_free(aead);
}

/* A private key as it is used (RFC 7748 §5), and as it is written. */
static void look(pid_t pid, const char *key_file)
{
	struct memory_needle needles[2];
	struct noise_local local;
	char text[KEY_BASE64_STRLEN];
	uint8_t key[NOISE_KEY_LEN];

	read_key(key_file, key);
	if (noise_local_init(&local, key) != NOISE_OK)
		load_die(key_file);
	needles[0] = (struct memory_needle){ local.private_key, NOISE_KEY_LEN, 0, 0, "" };
	needles[1] = (struct memory_needle){ key_to_base64(key, text), KEY_BASE64_STRLEN - 1, 0, 0,
					     "" };
	memory_search(pid, needles, ARRAY_SIZE(needles));
	printf("{\"places\":%u,\"unlocked\":%u,\"where\":\"%s\",\"as_text\":%u}\n", needles[0].found,
	       needles[0].unlocked, needles[0].where, needles[1].found);
}

static void write_files(unsigned n, const char *folder, const char *psk_file)
{
	uint8_t psk[NOISE_KEY_LEN];
	struct member m;

	read_key(psk_file, psk);
	for (unsigned i = 1; i <= n; i++) {
		crowd_member(&m, i, NULL, i == 1 ? psk : NULL);
		crowd_write(folder, &m, i == 1 ? ", " VICTIM_ADDRESS : "");
	}
}

static unsigned number(const char *text, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || !v || v > most) {
		fprintf(stderr, "revoke: %s is not a number from 1 to %u\n", text, most);
		exit(2);
	}
	return (unsigned)v;
}

int main(int argc, char **argv)
{
	static struct crowd_secrets secrets;
	static struct traffic t;

	if (sodium_init() < 0)
		load_die("sodium_init");
	if (argc == 5 && !strcmp(argv[1], "files")) {
		write_files(number(argv[2], MEMBERS_MAX), argv[3], argv[4]);
	} else if (argc == 14 && !strcmp(argv[1], "run")) {
		traffic_open(&t, argv[4], argv[5], argv[6], argv[8], argv[9], argv[10],
			     VICTIM_ADDRESS);
		meet_all(&t, number(argv[2], MEMBERS_MAX), argv[7], argv[12], &secrets);
		perform(&t, &secrets, number(argv[3], 60000), (pid_t)number(argv[11], 1 << 30),
			argv[13]);
	} else if (argc == 4 && !strcmp(argv[1], "look")) {
		look((pid_t)number(argv[2], 1 << 30), argv[3]);
	} else {
		fputs("usage: revoke files N FOLDER PSKFILE | look PID KEYFILE |\n       run N MS "
		      "NETNS ADDRESS GATEWAY KEY NETNS ADDRESS LINK PID PSKFILE FILE\n", stderr);
		return 2;
	}
	return 0;
}
