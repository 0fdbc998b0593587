/* SPDX-License-Identifier: MIT */
/*
 * The same cases into berthd and into wireguard-go: which packets come out, what is answered,
 * what is counted. play.h says how a verdict is reached, known.c where the two differ.
 *
 *	differential config > FILE            for `wg setconf`, the same for both
 *	differential play [OPTIONS] NETNS IF NETNS IF      of berthd, and of wireguard-go
 *	differential wrap NETNS IF            does it outlive a length that has ended others?
 *
 *	-s SEED    of the random numbers (1)      -n N   cases (3000)
 *	-c NUMBER  that case alone, and what it sends and gets
 *	-k KIND    cases of that kind alone       -p N   factor of all waits (1)
 *
 * Exit status: 0 both did what is wanted in all cases (the target is still there), 1 not, 2 usage.
 */
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/base/encoding.h"
#include "../../tools/bench/crowd.h"
#include "../../tools/bench/load.h"
#include "../packets.h"
#include "cases.h"

enum {
	TARGET_NUMBER = 0x7fffffff,
	KINDS_MAX = 80,
	REPORT = 2000,
	ALL_KINDS = 2000,  /* so many cases are sure to meet each known difference */
	REPORTS_MAX = 10,  /* in full */
	FAILURES_MAX = 20  /* a target that fails more need not be asked more */
};

struct plan {
	uint64_t seed;
	unsigned n, patience;
	long only;          /* -1: all */
	const char *kind;   /* NULL: all */
	const struct kind *kinds[KINDS_MAX];
	unsigned n_kinds, n_slow, shares;
};

/* What one target did. */
struct result {
	const struct plan *plan;
	struct side side;
	struct play *play;
	char **reports;     /* of each case; NULL: as it was wanted */
	unsigned played, failed;
	pthread_t thread;
};

/* A case of the plan. */
struct turn {
	unsigned kind, turn;
	uint64_t seed;
};

static void list_kinds(struct plan *plan)
{
	const struct kind *lists[] = { slow_cases, data_cases, inner_cases, responder_cases,
				       initiator_cases, roaming_cases };

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const struct kind *k = lists[i]; k->name; k++) {
			if (plan->n_kinds == KINDS_MAX)
				load_die("kinds");
			plan->kinds[plan->n_kinds++] = k;
			plan->shares += k->share;
			plan->n_slow += lists[i] == slow_cases;
		}
	}
}

/* Case number i: of which kind, and the how manieth. turns counts those before. */
static struct turn next_turn(const struct plan *plan, unsigned i, unsigned turns[KINDS_MAX])
{
	uint64_t random = plan->seed * UINT64_C(0x100000001) + i, share;
	struct turn t = { 0 };

	share = next_random(&random) % plan->shares;
	t.seed = next_random(&random);
	if (i < plan->n_slow)
		t.kind = i;
	else
		t.kind = plan->n_slow;
	while (i >= plan->n_slow && share >= plan->kinds[t.kind]->share)
		share -= plan->kinds[t.kind++]->share;
	t.turn = turns[t.kind]++;
	return t;
}

static bool is_wanted(const struct plan *plan, unsigned i, const struct turn *t)
{
	return (plan->only < 0 || plan->only == (long)i) &&
	       (!plan->kind || !strcmp(plan->kind, plan->kinds[t->kind]->name));
}

static void play_case(struct result *r, unsigned i, const struct turn *t)
{
	struct play *p = r->play;

	play_begin(p, t->seed, t->turn);
	r->plan->kinds[t->kind]->play(p);
	if (!play_end(p)) {
		r->reports[i] = malloc(REPORT);
		if (!r->reports[i])
			load_die("malloc");
		play_report(p, r->reports[i], REPORT);
		r->failed++;
	}
	dismiss_guest(p);
	r->played++;
}

static void *run(void *arg)
{
	struct result *r = arg;
	unsigned turns[KINDS_MAX] = { 0 };

	for (unsigned i = 0; i < r->plan->n && r->failed < FAILURES_MAX; i++) {
		struct turn t = next_turn(r->plan, i, turns);

		if (is_wanted(r->plan, i, &t))
			play_case(r, i, &t);
	}
	return NULL;
}

static void open_target(struct result *r, const struct plan *plan, enum which which, char **words)
{
	struct noise_local target;

	crowd_local(TARGET_NUMBER, &target);
	r->plan = plan;
	r->reports = calloc(plan->n, sizeof(*r->reports));
	r->play = malloc(sizeof(*r->play));
	if (!r->reports || !r->play)
		load_die("malloc");
	side_open(&r->side, which, words[0], words[1]);
	play_init(r->play, &r->side, &target);
	r->play->patience = plan->patience;
	r->play->talk = plan->only >= 0;
}

static void finish(struct result *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(r->reports[i]);
	free(r->reports);
	play_clear(r->play);
	free(r->play);
	side_close(&r->side);
}

static const char *or_good(const char *report)
{
	return report ? report : "    as wanted\n";
}

/* The cases in which a target did otherwise than is wanted; how many they are. */
static unsigned print_failures(const struct plan *plan, const struct result r[SIDES])
{
	unsigned turns[KINDS_MAX] = { 0 }, failures = 0;

	for (unsigned i = 0; i < plan->n; i++) {
		struct turn t = next_turn(plan, i, turns);
		const char *ours = r[OURS].reports[i], *theirs = r[THEIRS].reports[i];

		if ((!ours && !theirs) || failures++ >= REPORTS_MAX)
			continue;
		printf("case %u of seed %llu, %s number %u:\n  ours:\n%s  theirs:\n%s", i,
		       (unsigned long long)plan->seed, plan->kinds[t.kind]->name, t.turn,
		       or_good(ours), or_good(theirs));
	}
	return failures;
}

/* The table, as far as it was met. Returns how many rows were not. */
static unsigned print_known(const struct result r[SIDES])
{
	unsigned unmet = 0;

	for (unsigned i = 0; i < DIFFERENCES; i++) {
		bool met = r[OURS].play->seen[i] && r[THEIRS].play->seen[i];

		printf("%s: %s, %s\n    %s\n", met ? "known" : "not met", known[i].name,
		       known[i].what, known[i].why);
		unmet += !met;
	}
	return unmet;
}

static int play(struct plan *plan, char **words)
{
	struct result r[SIDES] = { 0 };
	uint64_t begun = load_now();
	unsigned failures, unmet = 0;

	list_kinds(plan);
	for (unsigned i = 0; i < SIDES; i++) {
		open_target(&r[i], plan, i, words + 2 * i);
		if (pthread_create(&r[i].thread, NULL, run, &r[i]))
			load_die("pthread_create");
	}
	for (unsigned i = 0; i < SIDES; i++)
		pthread_join(r[i].thread, NULL);
	failures = print_failures(plan, r);
	if (plan->only < 0 && !plan->kind)
		unmet = print_known(r);
	printf("seed %llu: %u cases of %u kinds, %u failed, %u known differences (%u not met), "
	       "%.1f s\n", (unsigned long long)plan->seed,
	       min(r[OURS].played, r[THEIRS].played), plan->n_kinds, failures,
	       DIFFERENCES, unmet, (double)(load_now() - begun) / 1e9);
	for (unsigned i = 0; i < SIDES; i++)
		finish(&r[i], plan->n);
	return failures || (unmet && plan->n >= ALL_KINDS) ? 1 : 0;
}

/*
 * The IPv6 payload length that makes zero of a sum in 16 bits: at least one implementation reads
 * beyond a buffer then. The target has to drop the packet and go on.
 */
static int wrap(char **words)
{
	struct result r = { 0 };
	const struct plan plan = { .n = 1, .patience = 1, .only = -1 };
	uint8_t packet[100];
	struct meeting *m;
	bool alive;

	open_target(&r, &plan, THEIRS, words);
	play_begin(r.play, 1, 0);
	m = meet(r.play);
	lay(r.play, IP6, 1, packet, sizeof(packet));
	store_be16(packet + 4, UINT16_MAX - 40 + 1);
	send_packet(r.play, m, packet, sizeof(packet), false);
	fence_data(r.play, m);
	alive = play_end(r.play);
	finish(&r, plan.n);
	return alive ? 0 : 1;
}

static int config(void)
{
	char key[KEY_BASE64_STRLEN], psk[KEY_BASE64_STRLEN];
	struct noise_local target;

	crowd_local(TARGET_NUMBER, &target);
	printf("[Interface]\nPrivateKey = %s\nListenPort = %u\n",
	       key_to_base64(target.private_key, key), TARGET_PORT);
	for (unsigned i = 0; i < PEERS + FENCES; i++) {
		struct peer_keys keys;

		play_keys(&keys, i);
		printf("[Peer]\nPublicKey = %s\nAllowedIPs = 10.8.%u.0/24, fd08:0:0:%x::/64\n",
		       key_to_base64(keys.local.public_key, key), i, i);
		if (!key_is_zero(keys.psk))
			printf("PresharedKey = %s\n", key_to_base64(keys.psk, psk));
	}
	return 0;
}

static int usage(void)
{
	fputs("usage: differential config\n"
	      "       differential play [-s SEED] [-n CASES] [-c CASE] [-k KIND] [-p FACTOR]\n"
	      "                         NETNS IF NETNS IF\n"
	      "       differential wrap NETNS IF\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct plan plan = { .seed = 1, .n = 3000, .patience = 1, .only = -1 };
	int option;

	if (sodium_init() < 0)
		load_die("sodium_init");
	while ((option = getopt(argc, argv, "s:n:c:k:p:")) != -1) {
		switch (option) {
		case 's':
			plan.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			plan.n = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'c':
			plan.only = strtol(optarg, NULL, 0);
			break;
		case 'k':
			plan.kind = optarg;
			break;
		case 'p':
			plan.patience = (unsigned)strtoul(optarg, NULL, 0);
			break;
		default:
			return usage();
		}
	}
	argv += optind;
	argc -= optind;
	if (plan.only >= (long)plan.n)
		plan.n = (unsigned)plan.only + 1;
	if (argc == 1 && !strcmp(argv[0], "config"))
		return config();
	if (argc == 5 && !strcmp(argv[0], "play"))
		return play(&plan, argv + 1);
	if (argc == 3 && !strcmp(argv[0], "wrap"))
		return wrap(argv + 1);
	return usage();
}
