/* SPDX-License-Identifier: MIT */
/* Addresses that are lost, and what is said of them. */
#include "losses.h"

#include <search.h>
#include <stdlib.h>

#include "../base/log.h"

enum {
	/* What happens together is said together. */
	SAY_MS = 100,
	SAID_AT_ONCE = 10,
	/* So many times in a row; from then on no more often than that. */
	TURNS_MAX = 30,
	TURN_MS = 5000
};

struct loss {
	struct prefix prefix; /* first: what the tree compares */
	struct verdict verdict;
	bool said;
};

struct losses {
	void *tree; /* of struct loss, by prefix: tsearch(3) */
	const char *name;
	struct verdict_view *view;
	uv_timer_t say;
	unsigned turns;  /* how many times may be spoken at once */
	uint64_t earned; /* ms of the loop: when the last turn was earned */
	size_t mended;   /* since they were spoken of; of those that were said */
	struct prefix mended_one;
	size_t n_new; /* while it is said */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct prefix));
}

static struct loss *find(struct losses *l, const struct prefix *p)
{
	struct loss **found = tfind(p, &l->tree, compare);

	return found ? *found : NULL;
}

static void say_one(const void *node, VISIT which, void *arg)
{
	struct loss *loss = *(struct loss *const *)node;
	struct losses *l = arg;

	if ((which != postorder && which != leaf) || loss->said)
		return;
	loss->said = true;
	if (l->n_new++ < SAID_AT_ONCE)
		verdict_explain(l->view, l->name, &loss->prefix, &loss->verdict);
}

static void say_mended(struct losses *l)
{
	char text[PREFIX_STRLEN];

	prefix_format(&l->mended_one, text);
	if (l->mended == 1)
		log_info("%s: packets to %s come to us again", l->name, text);
	else if (l->mended)
		log_info("%s: packets to %zu addresses come to us again, %s one of them", l->name,
			 l->mended, text);
	l->mended = 0;
}

/* A turn is earned every TURN_MS, as long as there are fewer than TURNS_MAX. */
static void earn_turns(struct losses *l)
{
	uint64_t earned = (uv_now(l->say.loop) - l->earned) / TURN_MS;

	l->turns = (unsigned)min(l->turns + earned, (uint64_t)TURNS_MAX);
	l->earned += earned * TURN_MS;
}

static void on_say(uv_timer_t *timer)
{
	struct losses *l = timer->data;

	earn_turns(l);
	l->turns -= l->turns ? 1 : 0;
	l->n_new = 0;
	say_mended(l);
	twalk_r(l->tree, say_one, l);
	if (l->n_new > SAID_AT_ONCE)
		log_error("%s: and %zu addresses more to which packets do not come", l->name,
			  l->n_new - SAID_AT_ONCE);
}

static void say_soon(struct losses *l)
{
	if (uv_is_active((uv_handle_t *)&l->say))
		return;
	earn_turns(l);
	uv_timer_start(&l->say, on_say,
		       l->turns ? SAY_MS : l->earned + TURN_MS - uv_now(l->say.loop), 0);
}

void losses_note(struct losses *l, const struct prefix *p, const struct verdict *verdict)
{
	struct loss *loss = find(l, p);

	if (loss && verdict_equal(&loss->verdict, verdict))
		return;
	if (!loss) {
		loss = calloc(1, sizeof(*loss));
		if (!loss)
			return; /* the next look at it tries again */
		loss->prefix = *p;
		if (!tsearch(loss, &l->tree, compare)) {
			free(loss);
			return;
		}
	}
	loss->verdict = *verdict;
	loss->said = false;
	say_soon(l);
}

const struct verdict *losses_find(struct losses *l, const struct prefix *p)
{
	struct loss *loss = find(l, p);

	return loss ? &loss->verdict : NULL;
}

static void drop(struct losses *l, struct loss *loss)
{
	tdelete(loss, &l->tree, compare);
	free(loss);
}

void losses_mended(struct losses *l, const struct prefix *p)
{
	struct loss *loss = find(l, p);

	if (!loss)
		return;
	if (loss->said) {
		l->mended++;
		l->mended_one = *p;
		say_soon(l);
	}
	drop(l, loss);
}

void losses_retract(struct losses *l, const struct prefix *p)
{
	struct loss *loss = find(l, p);

	if (loss && !loss->said)
		drop(l, loss);
}

void losses_forget(struct losses *l, const struct prefix *p)
{
	struct loss *loss = find(l, p);

	if (loss)
		drop(l, loss);
}

struct losses *losses_new(uv_loop_t *loop, const char *name, struct verdict_view *view)
{
	struct losses *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct losses){ .name = name, .view = view, .turns = TURNS_MAX,
			      .earned = uv_now(loop) };
	uv_timer_init(loop, &l->say);
	l->say.data = l;
	return l;
}

static void on_closed(uv_handle_t *handle)
{
	struct losses *l = handle->data;

	tdestroy(l->tree, free);
	free(l);
}

void losses_free(struct losses *l)
{
	if (l)
		uv_close((uv_handle_t *)&l->say, on_closed);
}
