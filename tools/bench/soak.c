/* SPDX-License-Identifier: MIT */
/*
 * The loop of the soak, and its report. tools/bench/soak builds the world and calls it:
 *
 *	soak KEY=VALUE...       all keys of struct soak_options (options[] below)
 *
 * Prints one line of JSON; exit status 1: something was not as it must be.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <sodium.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crowd.h"
#include "load.h"
#include "soak.h"

enum {
	EVENTS = 64,
	FAULTS_KEPT = 30,
	COME_S = 8,          /* all come within so many seconds, or a third of the warm ones */
	FLAP_EVERY_S = 150,
	FLAP_CALM_MS = 700,  /* before and after: nothing may be under way */
	END_S = 60,          /* patience with the last of them */
	STILL_MS = 400,
	SAY_S = 60
};

const char *const soak_count_names[SOAK_COUNTS] = {
	"added", "revoked", "expired", "rotated", "rewritten", "relimited", "broken", "mended",
	"stray_files", "handshakes", "answered_calls", "forgot", "roamed", "slept", "keepalives",
	"cookies", "transfers_up", "transfers_down", "transfers_across", "transfers_whole",
	"transfers_short", "packets_checked", "bytes_checked", "spoofs", "floods", "flood_packets",
	"neighbours_asked", "neighbours_answered", "reloads", "requests", "scrapes", "flaps",
	"audits", "late_packets", "resaid"
};

/* ---- small things that all files use ---- */

void soak_fault(struct soak *s, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (s->faults++ >= FAULTS_KEPT)
		return;
	(void)fprintf(stderr, "soak: %.1f s: %s\n", (double)(s->now - s->begun) / 1e9, text);
	json_array_append_new(s->fault_texts, json_string(text));
}

/* xorshift64* (Marsaglia 2003, Vigna 2016). */
uint64_t soak_random(struct soak *s, uint64_t n)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (s->random * UINT64_C(0x2545f4914f6cdd1d) >> 11) % n;
}

bool soak_chance(struct soak *s, unsigned percent)
{
	return soak_random(s, 100) < percent;
}

void soak_lag(struct lag *lag, uint64_t ns)
{
	lag->n++;
	lag->within += ns <= SOAK_LAG_NS;
	lag->worst = max(lag->worst, ns);
}

bool soak_ends_absent(const struct soak *s, const struct tenant *t)
{
	return s->ending && t->number % 10 == 3;
}

bool soak_is_up(const struct tenant *t)
{
	return t->life == LIVE && !t->asleep;
}

/* ---- the loop ---- */

static void dispatch(struct soak *s, void *ptr)
{
	struct ask *a = ptr;

	if (ptr == &s->world4 || ptr == &s->world6)
		traffic_world(s, *(int *)ptr);
	else if (ptr == s->hostile)
		hostile_read(s);
	else if (a >= s->asks && a < s->asks + SOAK_ASKS)
		files_answer(s, a);
	else
		wire_receive(s, ptr);
}

static void turn(struct soak *s)
{
	struct epoll_event events[EVENTS];
	uint64_t before = s->now;
	int n = epoll_wait(s->epoll, events, EVENTS, 1);

	s->now = load_now();
	for (int i = 0; i < n; i++)
		dispatch(s, events[i].data.ptr);
	s->tokens = min(s->tokens + (double)(s->now - before) * s->o.packets / 1e9,
			s->o.packets / 50.0);
	plan_run(s);
	plan_look(s);
	traffic_run(s);
	s->late_loop = max(s->late_loop, load_now() - s->now);
}

void soak_turns(struct soak *s, unsigned ms)
{
	uint64_t until = s->now + ms * NSEC_PER_MSEC;

	while (s->now < until)
		turn(s);
}

static bool has_ended(pid_t child, int *status)
{
	return waitpid(child, status, WNOHANG) == child;
}

/* The uplink goes down and comes up. What would be lost then is not sent. */
static void flap(struct soak *s)
{
	char *const argv[] = { (char *)(uintptr_t)s->o.flap, NULL };
	extern char **environ;
	int status = 0;
	pid_t child;

	s->calm = true;
	soak_turns(s, FLAP_CALM_MS);
	errno = posix_spawn(&child, argv[0], NULL, NULL, argv, environ);
	if (errno)
		load_die(argv[0]);
	while (!has_ended(child, &status))
		turn(s);
	if (status)
		soak_fault(s, "%s: status %d", argv[0], status);
	soak_turns(s, FLAP_CALM_MS);
	s->calm = false;
	s->next_event = s->now;
	soak_count(s, FLAPS);
}

static void say(const struct soak *s, const struct process *p)
{
	(void)fprintf(stderr, "soak: %3.0f s: %u tenants, %u sessions, %.1f MiB, %u descriptors; %"
		      PRIu64 " packets compared, %u faults\n", (double)(s->now - s->begun) / 1e9,
		      p->tenants, p->sessions, (double)p->pss / (1 << 20), p->descriptors,
		      s->counts[PACKETS_CHECKED], s->faults);
}

/* most is the greatest memory. */
static void soak(struct soak *s, struct process *warm, struct process *half, uint64_t *most)
{
	uint64_t end = s->begun + s->o.seconds * NSEC_PER_SEC;
	uint64_t said = s->begun;
	uint64_t flapped = said;
	struct process p;

	for (warm->pss = half->pss = 0; s->now < end;) {
		turn(s);
		if (!warm->pss && s->now - s->begun >= s->o.warm * NSEC_PER_SEC) {
			watch_process(s, warm);
			say(s, warm);
		}
		if (!half->pss && end - s->now < s->o.seconds * NSEC_PER_SEC / 2)
			watch_process(s, half);
		if (s->now - said >= SAY_S * NSEC_PER_SEC) {
			said = s->now;
			watch_process(s, &p);
			*most = max(*most, p.pss);
			say(s, &p);
		}
		if (*s->o.flap && s->now - flapped >= FLAP_EVERY_S * NSEC_PER_SEC) {
			flapped = s->now;
			flap(s);
		}
	}
}

/* ---- the end ---- */

static bool is_settled(const struct soak *s)
{
	for (unsigned i = 0; i < s->o.tenants; i++) {
		const struct tenant *t = &s->tenants[i];

		if (soak_ends_absent(s, t) ? t->life != ABSENT :
					     t->life != LIVE || t->expires || t->paused)
			return false;
	}
	for (unsigned i = 0; i < SOAK_ASKS; i++)
		if (s->asks[i].busy)
			return false;
	return traffic_idle(s);
}

static void send_away(struct soak *s)
{
	for (unsigned i = 0; i < s->o.tenants; i++) {
		struct tenant *t = &s->tenants[i];

		if (soak_ends_absent(s, t) && t->life == LIVE && !t->expires && !t->paused &&
		    files_may_ask(s))
			files_leave(s, t);
	}
}

static void await_stillness(struct soak *s)
{
	uint64_t until = s->now + END_S * NSEC_PER_SEC;

	do
		soak_turns(s, STILL_MS);
	while (!account_is_still(s) && s->now < until);
}

/* Nine of ten come back, all that is broken is mended, and nobody says anything more. */
static void wind_up(struct soak *s)
{
	uint64_t until = s->now + END_S * NSEC_PER_SEC;

	s->calm = s->ending = true;
	files_no_strays(s);
	for (unsigned i = 0; i < s->o.tenants; i++) {
		if (s->tenants[i].life == LIVE && s->tenants[i].faulty)
			files_mend(s, &s->tenants[i]);
		if (s->tenants[i].asleep)
			s->tenants[i].asleep = 0;
	}
	while (!is_settled(s) && s->now < until) {
		turn(s);
		send_away(s);
	}
	if (!is_settled(s))
		soak_fault(s, "not everybody is back");
	await_stillness(s);
}

static json_t *lag_json(const struct lag *l)
{
	return json_pack("{s:I,s:I,s:f}", "n", (json_int_t)l->n, "within_100_ms",
			 (json_int_t)l->within, "worst_ms", (double)l->worst / 1e6);
}

static json_t *report_json(struct soak *s, const struct process *warm, const struct process *half,
			   const struct process *last, uint64_t most)
{
	json_t *report = json_object(), *counts = json_object();
	struct losses_seen lost;

	for (unsigned i = 0; i < SOAK_COUNTS; i++)
		json_object_set_new(counts, soak_count_names[i],
				    json_integer((json_int_t)s->counts[i]));
	watch_losses(s, &lost);
	json_object_set_new(report, "seed", json_integer((json_int_t)s->o.seed));
	json_object_set_new(report, "seconds", json_real((double)(s->now - s->begun) / 1e9));
	json_object_set_new(report, "tenants", json_integer(s->o.tenants));
	json_object_set_new(report, "counts", counts);
	json_object_set_new(report, "warm", watch_json(warm));
	json_object_set_new(report, "half", watch_json(half));
	json_object_set_new(report, "last", watch_json(last));
	json_object_set_new(report, "most_pss", json_integer((json_int_t)most));
	json_object_set_new(report, "lost", json_integer((json_int_t)watch_lost(s)));
	json_object_set_new(report, "lost_by",
			    json_pack("{s:I,s:I,s:I,s:I}", "sockets", (json_int_t)lost.sockets,
				      "links", (json_int_t)lost.links, "backlog",
				      (json_int_t)lost.backlog, "closed", (json_int_t)lost.closed));
	json_object_set_new(report, "added_within", lag_json(&s->lag_add));
	json_object_set_new(report, "revoked_within", lag_json(&s->lag_revoke));
	json_object_set_new(report, "last_packet_ms", json_real((double)s->lag_last.worst / 1e6));
	json_object_set_new(report, "our_longest_turn_ms", json_real((double)s->late_loop / 1e6));
	return report;
}

/* ---- arguments ---- */

#define NUMBER(name) { #name, offsetof(struct soak_options, name), true }
#define TEXT(name) { #name, offsetof(struct soak_options, name), false }

static const struct {
	const char *name;
	size_t at;
	bool number;
} options[] = { NUMBER(tenants), NUMBER(seconds), NUMBER(warm), NUMBER(events), NUMBER(packets),
		NUMBER(slack_ms), NUMBER(pid), TEXT(crowd), TEXT(world), TEXT(vps), TEXT(network4),
		TEXT(network6), TEXT(gateway4), TEXT(gateway6), TEXT(world4), TEXT(world6),
		TEXT(link), TEXT(key), TEXT(control), TEXT(folder), TEXT(metrics), TEXT(flap),
		TEXT(report) };

static bool take_option(struct soak_options *o, const char *arg)
{
	const char *value = strchr(arg, '=');

	if (value && !strncmp(arg, "seed=", 5)) {
		o->seed = strtoull(value + 1, NULL, 10);
		return true;
	}
	for (unsigned i = 0; value && i < ARRAY_SIZE(options); i++) {
		if (strlen(options[i].name) != (size_t)(value - arg) ||
		    strncmp(arg, options[i].name, (size_t)(value - arg)))
			continue;
		if (options[i].number)
			*(unsigned *)((char *)o + options[i].at) =
				(unsigned)strtoul(value + 1, NULL, 10);
		else
			*(const char **)((char *)o + options[i].at) = value + 1;
		return true;
	}
	return false;
}

static bool take_options(struct soak_options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (take_option(o, argv[i]))
			continue;
		(void)fprintf(stderr, "soak: what is '%s'?\n", argv[i]);
		return false;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].number ? *(unsigned *)((char *)o + options[i].at) != 0 :
					*(const char **)((char *)o + options[i].at) != NULL)
			continue;
		(void)fprintf(stderr, "soak: %s= is missing\n", options[i].name);
		return false;
	}
	if (o->tenants >= 10 && o->tenants <= SOAK_TENANTS_MAX)
		return true;
	(void)fprintf(stderr, "soak: tenants= is not from 10 to %d\n", SOAK_TENANTS_MAX);
	return false;
}

static void add_fd(struct soak *s, int *fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = fd };

	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, *fd, &e))
		load_die("epoll_ctl");
}

static void begin(struct soak *s)
{
	struct rlimit many = { 4 * SOAK_TENANTS_MAX, 4 * SOAK_TENANTS_MAX };
	unsigned come_ms = min((unsigned)COME_S, s->o.warm / 3 + 1) * 1000;

	if (setrlimit(RLIMIT_NOFILE, &many))
		load_die("setrlimit");
	umask(077);
	s->random = s->o.seed * 2 + 1;
	s->tenants = calloc(s->o.tenants, sizeof(*s->tenants));
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!s->tenants || s->epoll < 0 || aead_new("auto", &s->aead))
		load_die("begin");
	s->fault_texts = json_array();
	crowd_key(s->gateway_key, s->o.key);
	cookie_maker_init(&s->gateway_macs, s->gateway_key);
	watch_start(s);
	traffic_open(s);
	(void)load_enter(s->o.crowd);
	add_fd(s, &s->world4);
	add_fd(s, &s->world6);
	wire_open(s);
	hostile_open(s);
	files_open(s);
	s->now = s->begun = s->next_event = load_now();
	for (unsigned i = 0; i < s->o.tenants; i++)
		s->tenants[i].until = s->now + soak_random(s, come_ms) * NSEC_PER_MSEC;
}

int main(int argc, char **argv)
{
	static struct soak s;
	struct process warm = { 0 }, half = { 0 }, last = { 0 };
	uint64_t most = 0;
	json_t *report;
	char *text;
	FILE *f;

	if (sodium_init() < 0)
		load_die("sodium_init");
	if (!take_options(&s.o, argc, argv))
		return 2;
	begin(&s);
	soak(&s, &warm, &half, &most);
	(void)fprintf(stderr, "soak: quiet\n");
	wind_up(&s);
	watch_process(&s, &last);
	say(&s, &last);
	watch_stop(&s);
	if (last.started != warm.started)
		soak_fault(&s, "the gateway was started anew");
	report = report_json(&s, &warm, &half, &last, max(most, last.pss));
	account_final(&s, report);
	json_object_set_new(report, "faults", json_integer(s.faults));
	json_object_set(report, "fault_texts", s.fault_texts);
	text = json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(6));
	f = load_open(s.o.report, "we");
	if (!text || fprintf(f, "%s\n", text) < 0 || fclose(f))
		load_die(s.o.report);
	free(text);
	json_decref(report);
	return s.faults ? 1 : 0;
}
