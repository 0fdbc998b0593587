/* SPDX-License-Identifier: MIT */
/* What happens next: thrown by weighted dice; and what each tenant does by its own clock. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "load.h"
#include "soak.h"

enum {
	AWAY_MIN_MS = 500, AWAY_MAX_MS = 5000,
	AUDIT_FIRST_MS = 300, AUDIT_AGAIN_MS = 400, AUDITS_MAX = 8,
	KEEPALIVE_MS = 9000, /* a second less than where the gateway's patience begins */
	SLEEP_MIN_S = 12, SLEEP_MAX_S = 240
};

extern char **environ;

/* Of a tenant that is there, and about whom nothing is undecided; NULL: not found at once. */
static struct tenant *choose(struct soak *s)
{
	for (int i = 0; i < 8; i++) {
		struct tenant *t = &s->tenants[soak_random(s, s->o.tenants)];

		if (soak_is_up(t) && !t->paused && !t->across && !t->expires)
			return t;
	}
	return NULL;
}

static void leave(struct soak *s, struct tenant *t)
{
	if (files_may_ask(s))
		files_leave(s, t);
}

static void rotate(struct soak *s, struct tenant *t)
{
	if (files_may_ask(s))
		files_rotate(s, t);
}

static void change(struct soak *s, struct tenant *t)
{
	if (t->faulty)
		files_mend(s, t);
	else
		files_rewrite(s, t);
}

static void forget(struct soak *s, struct tenant *t)
{
	wire_forget(t);
	soak_count(s, FORGOT);
}

static void keepalive(struct soak *s, struct tenant *t)
{
	static uint8_t message[1][SOAK_MESSAGE_MAX];
	size_t len = 0;

	s->counts[KEEPALIVES] += wire_send(s, t, message, &len, 1);
}

/* It says so at once: what goes to the place before its last one is not counted by anybody. */
static void roam(struct soak *s, struct tenant *t)
{
	if (!wire_key(s, t) || s->now - t->moved < NSEC_PER_SEC)
		return;
	wire_move(s, t);
	keepalive(s, t);
	soak_count(s, ROAMED);
}

static void rest(struct soak *s, struct tenant *t)
{
	t->asleep = s->now + (SLEEP_MIN_S + soak_random(s, SLEEP_MAX_S - SLEEP_MIN_S)) * NSEC_PER_SEC;
	t->calling = false;
	soak_count(s, SLEPT);
}

static void call(struct soak *s, struct tenant *t)
{
	/* The gateway takes one in 20 ms of one key. */
	if (!t->calling && s->now - t->called > NSEC_PER_SEC / 10)
		wire_call(s, t);
}

static void audit(struct soak *s, struct tenant *t)
{
	t->paused = true;
	t->audits = 0;
	t->audit_at = s->now + AUDIT_FIRST_MS * NSEC_PER_MSEC;
}

static void hang_up(struct soak *s, struct tenant *t)
{
	(void)t;
	for (unsigned i = 0; i < s->o.tenants; i++)
		s->counts[RESAID] += s->tenants[i].faulty;
	s->counts[RESAID] += s->stray_files;
	if (kill(s->o.pid, SIGHUP))
		load_die("kill");
	soak_count(s, RELOADS);
}

static void begin_transfer(struct soak *s, struct tenant *t)
{
	(void)t;
	traffic_begin(s);
}

static void flood(struct soak *s, struct tenant *t)
{
	(void)t;
	hostile_flood(s);
}

static void ask_neighbours(struct soak *s, struct tenant *t)
{
	(void)t;
	hostile_ask(s);
}

static void stray(struct soak *s, struct tenant *t)
{
	(void)t;
	files_stray(s);
}

static const struct {
	unsigned weight;
	void (*act)(struct soak *s, struct tenant *t);
} events[] = {
	{ 400, begin_transfer }, { 80, roam },	     { 60, leave },   { 60, change },
	{ 40, call },		 { 30, forget },     { 25, rotate },  { 60, hostile_spoof },
	{ 20, hostile_garbage }, { 15, files_expire }, { 15, files_break }, { 15, stray },
	{ 40, flood },		 { 20, ask_neighbours }, { 20, audit }, { 8, rest },
	{ 3, hang_up }
};

static void throw_dice(struct soak *s)
{
	unsigned total = 0, dice;
	struct tenant *t = choose(s);

	for (unsigned i = 0; i < ARRAY_SIZE(events); i++)
		total += events[i].weight;
	dice = (unsigned)soak_random(s, total);
	for (unsigned i = 0; t && i < ARRAY_SIZE(events); i++) {
		if (dice < events[i].weight) {
			events[i].act(s, t);
			return;
		}
		dice -= events[i].weight;
	}
}

void plan_run(struct soak *s)
{
	while (!s->calm && s->now >= s->next_event) {
		throw_dice(s);
		/* Between nothing and twice the mean. */
		s->next_event += soak_random(s, 2 * NSEC_PER_SEC / s->o.events) + 1;
	}
}

/* The tenants' own clocks */

static void look_live(struct soak *s, struct tenant *t)
{
	struct skey *key = wire_key(s, t);

	if (t->expires && load_utc() >= (uint64_t)t->expires * NSEC_PER_SEC) {
		if (files_may_ask(s))
			files_expire(s, t);
		return;
	}
	if (t->asleep && s->now >= t->asleep)
		t->asleep = 0;
	if (t->paused && s->now >= t->audit_at && files_ask(s, ASK_SHOW, t))
		t->audit_at = UINT64_MAX;
	if (t->asleep || s->calm || t->paused)
		return;
	if (t->calling && s->now - t->called > t->patience)
		wire_call(s, t);
	else if (!key || s->now - key->birth > t->rekey_after)
		call(s, t);
	if (t->unanswered && s->now - t->unanswered > KEEPALIVE_MS * NSEC_PER_MSEC)
		keepalive(s, t);
}

static void look(struct soak *s, struct tenant *t)
{
	switch (t->life) {
	case LIVE:
		look_live(s, t);
		return;
	case LEAVING:
		if (!t->gone || s->now < t->until)
			return;
		files_left(s, t);
		t->until = s->now + (AWAY_MIN_MS + soak_random(s, AWAY_MAX_MS - AWAY_MIN_MS)) *
					    NSEC_PER_MSEC;
		return;
	case ABSENT:
		/* What was counted of one that has expired is kept as long as its file. */
		if ((s->now >= t->until || (s->ending && !t->expires)) &&
		    !soak_ends_absent(s, t) && files_may_ask(s))
			files_come(s, t);
		return;
	case COMING:
		return;
	}
}

/* A part of all at a time: each is seen every 20 ms or so. */
void plan_look(struct soak *s)
{
	unsigned n = s->o.tenants / 20 + 1;

	while (n--) {
		look(s, &s->tenants[s->look]);
		s->look = (s->look + 1) % s->o.tenants;
	}
}

/* What it has sent may still be on its way, or wait for its rate: then once more. */
void plan_audit(struct soak *s, struct tenant *t, const json_t *shown)
{
	const char *what;

	if (t->life != LIVE || !t->paused)
		return;
	what = account_differs(t, shown, 0);
	if (what && ++t->audits < AUDITS_MAX) {
		t->audit_at = s->now + AUDIT_AGAIN_MS * NSEC_PER_MSEC;
		return;
	}
	what = what ? account_differs(t, shown, watch_lost(s)) : NULL;
	if (what)
		soak_fault(s, "t%05u: %s", t->number, what);
	t->paused = false;
	soak_count(s, AUDITS);
}
