/* SPDX-License-Identifier: MIT */
/* Routes that stay, and win. */
#include "fib.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "../base/log.h"
#include "../host/verdict.h"
#include "losses.h"
#include "routes.h"
#include "waiting.h"

enum {
	/* Some microseconds each: a slice holds the loop up for a millisecond or two. */
	LOOKUPS_PER_TICK = 256,
	TICK_MS = 10,
	/* A flush is many events; and twice as long each time, if it happens again soon. */
	RESTORE_MS = 50,
	RESTORE_MAX_MS = 60000,
	/* Between rounds over all: at least, and in times of what the last one took. */
	ROUND_MS = 50,
	REST_MIN_MS = 200,
	REST_TIMES = 20,
	/* What the kernel did not take is offered again. */
	RETRY_MS = 30000,
	/* Routes that could not be removed: soon, and then from time to time. */
	PRUNE_MS = 50,
	PRUNE_RETRY_MS = 5000,
	/* More than that at once: a round over all is cheaper than to keep count. */
	WAITING_MAX = 4096,
	/* Uplinks are looked for no more often than this, but before each round. */
	LOOK_AROUND_MS = 1000
};

struct fib {
	struct routes *routes;
	struct losses *losses;
	struct verdict_view view;
	const char *name;
	const struct fib_ops *ops;
	void *arg;
	bool down; /* the interface: there are no routes to it */

	struct waiting unproven; /* to be looked up */
	struct waiting missing;  /* to be installed: seen not to lead to us */
	struct waiting tried;    /* to be looked up once more: there was a route already */
	bool some_went;          /* since then: perhaps those very routes */
	bool all_missing;        /* too many for a list */
	uv_timer_t verify, restore, round, prune;

	uint64_t looked_around; /* ms of the loop; 0: never */
	bool in_round;          /* everything is among the unproven */
	uint64_t spent_ns;      /* on the look-ups of this round */
	uint64_t rests_until;   /* ms of the loop: no round before */

	uint64_t restored;        /* when something had to be put back last; ms, 0: never */
	uint64_t patience;        /* ms to wait before the next time */
	size_t n_gone;            /* while it is put back */
	struct prefix gone;       /* the first of them */
	unsigned closing;
};

static uint64_t now_ms(const struct fib *fib)
{
	return uv_now(fib->verify.loop);
}

/* Rounds over all */

static void on_tick(uv_timer_t *timer);

static void begin_verifying(struct fib *fib)
{
	if (!uv_is_active((uv_handle_t *)&fib->verify))
		uv_timer_start(&fib->verify, on_tick, TICK_MS, TICK_MS);
}

static void add_unproven(const struct prefix *p, void *arg)
{
	struct fib *fib = arg;

	(void)!waiting_add(&fib->unproven, p);
}

static void on_round(uv_timer_t *timer)
{
	struct fib *fib = timer->data;

	/* What is on its way already is waited for. */
	if (fib->in_round || uv_is_active((uv_handle_t *)&fib->restore)) {
		uv_timer_start(timer, on_round, REST_MIN_MS, 0);
		return;
	}
	waiting_clear(&fib->unproven);
	fib->looked_around = 0;
	fib->spent_ns = 0;
	fib->in_round = true;
	fib->ops->each_wanted(fib->arg, add_unproven, fib);
	begin_verifying(fib);
}

static void want_round_in(struct fib *fib, uint64_t ms)
{
	uint64_t now = now_ms(fib);
	uint64_t in = max(fib->rests_until, now + ms) - now;

	if (!fib->down &&
	    (!uv_is_active((uv_handle_t *)&fib->round) || uv_timer_get_due_in(&fib->round) > in))
		uv_timer_start(&fib->round, on_round, in, 0);
}

/* Everything may be affected: soon, and once for many changes. */
static void want_round(struct fib *fib)
{
	want_round_in(fib, ROUND_MS);
}

static void end_round(struct fib *fib)
{
	uint64_t rest = fib->spent_ns * REST_TIMES / 1000000;

	fib->in_round = false;
	fib->rests_until = now_ms(fib) + max(rest, (uint64_t)REST_MIN_MS);
}

/* One more to be looked up. */
static void prove(struct fib *fib, const struct prefix *p)
{
	if (waiting_count(&fib->unproven) >= WAITING_MAX || !waiting_add(&fib->unproven, p))
		want_round(fib);
	begin_verifying(fib);
}

/* Putting back */

static void say_restored(const struct fib *fib, bool again)
{
	char text[PREFIX_STRLEN];

	log_warning("%s: %zu %s to tenants had gone (%s%s) and %s put back%s", fib->name,
		    fib->n_gone, fib->n_gone == 1 ? "route" : "routes",
		    prefix_format(&fib->gone, text), fib->n_gone == 1 ? "" : " and more",
		    fib->n_gone == 1 ? "is" : "are",
		    again ? "; it happens again and again: systemd-networkd does that unless "
			    "networkd.conf says ManageForeignRoutes=no" : "");
}

/* What became of an addition. All that is looked up is what the kernel has by now. */
static void on_told(void *arg, const struct prefix *p, int error)
{
	struct fib *fib = arg;
	struct verdict refused = { .kind = VERDICT_REFUSED, .error = error };

	if (!error) {
		if (!losses_find(fib->losses, p) && !fib->n_gone++)
			fib->gone = *p;
		prove(fib, p);
	} else if (error == -EEXIST) {
		if (!waiting_add(&fib->tried, p))
			want_round(fib);
	} else {
		losses_note(fib->losses, p, &refused);
		want_round_in(fib, RETRY_MS);
	}
}

/* What was to be removed is not remembered, which needs memory: the kernel is asked what it has. */
static void on_prune(uv_timer_t *timer)
{
	struct fib *fib = timer->data;

	if (routes_prune(fib->routes, fib->ops->is_wanted, fib->arg))
		uv_timer_start(timer, on_prune, PRUNE_RETRY_MS, 0);
}

/* Installs and removes, and has it proven. */
static void flush(struct fib *fib)
{
	fib->n_gone = 0;
	fib->some_went = false;
	if (routes_flush(fib->routes)) {
		uv_timer_start(&fib->prune, on_prune, PRUNE_MS, 0);
		want_round(fib);
	}
	if (waiting_count(&fib->tried))
		begin_verifying(fib);
}

static void install(const struct prefix *p, void *arg)
{
	struct fib *fib = arg;

	routes_add(fib->routes, p);
}

static void install_missing(struct fib *fib)
{
	const struct prefix *p;

	if (fib->all_missing) {
		waiting_clear(&fib->missing);
		fib->ops->each_wanted(fib->arg, install, fib);
	}
	while ((p = waiting_first(&fib->missing))) {
		/* It may have been revoked meanwhile. */
		if (fib->ops->is_wanted(fib->arg, p))
			routes_add(fib->routes, p);
		waiting_advance(&fib->missing);
	}
	fib->all_missing = false;
	flush(fib);
}

static void on_restore(uv_timer_t *timer)
{
	struct fib *fib = timer->data;
	uint64_t now = now_ms(fib);
	bool again = fib->restored && now - fib->restored < fib->patience + RESTORE_MAX_MS;

	install_missing(fib);
	if (fib->n_gone) {
		say_restored(fib, again);
		fib->restored = now;
		fib->patience = again ? min(2 * fib->patience, (uint64_t)RESTORE_MAX_MS) :
					RESTORE_MS;
	}
}

static void put_back(struct fib *fib, const struct prefix *p)
{
	if (waiting_count(&fib->missing) >= WAITING_MAX || !waiting_add(&fib->missing, p))
		fib->all_missing = true;
	if (!uv_is_active((uv_handle_t *)&fib->restore))
		uv_timer_start(&fib->restore, on_restore, fib->patience, 0);
}

/* Looking up */

static void look_up(struct fib *fib, const struct prefix *p, bool tried)
{
	struct verdict verdict;

	/* What was revoked meanwhile needs no route. */
	if (!fib->ops->is_wanted(fib->arg, p))
		return;
	verdict_get(&fib->view, p, &verdict);
	switch (verdict.kind) {
	case VERDICT_UNKNOWN:
		break;
	case VERDICT_OURS:
		losses_mended(fib->losses, p);
		break;
	case VERDICT_MISSING:
		if (!tried || fib->some_went)
			put_back(fib, p);
		else
			losses_note(fib->losses, p, &verdict);
		break;
	default:
		/* Ours is to be there all the same, for the time when the other one goes. */
		if (tried || losses_find(fib->losses, p))
			losses_note(fib->losses, p, &verdict);
		else
			put_back(fib, p);
	}
}

static bool look_up_next(struct fib *fib)
{
	bool tried = waiting_count(&fib->tried) != 0;
	struct waiting *w = tried ? &fib->tried : &fib->unproven;
	const struct prefix *first = waiting_first(w);
	struct prefix p;

	if (!first)
		return false;
	p = *first;
	waiting_advance(w);
	look_up(fib, &p, tried);
	return true;
}

static void look_around(struct fib *fib)
{
	if (fib->looked_around && now_ms(fib) - fib->looked_around < LOOK_AROUND_MS)
		return;
	verdict_look_around(&fib->view);
	fib->looked_around = now_ms(fib);
}

static void on_tick(uv_timer_t *timer)
{
	struct fib *fib = timer->data;
	uint64_t began = uv_hrtime();
	int n = 0;

	look_around(fib);
	while (n < LOOKUPS_PER_TICK && look_up_next(fib))
		n++;
	fib->spent_ns += uv_hrtime() - began;
	if (n == LOOKUPS_PER_TICK)
		return;
	uv_timer_stop(timer);
	if (fib->in_round)
		end_round(fib);
}

/* Wishes */

void fib_add(struct fib *fib, const struct prefix *p)
{
	if (fib && !fib->down)
		routes_add(fib->routes, p);
}

void fib_remove(struct fib *fib, const struct prefix *p)
{
	if (!fib)
		return;
	routes_remove(fib->routes, p);
	losses_forget(fib->losses, p);
}

void fib_flush(struct fib *fib)
{
	if (fib)
		flush(fib);
}

/* Events */

/* Longer prefixes win, in one table; and some tables come before the others. */
static bool concerns_many(const struct netlink_route *route, const struct prefix *p)
{
	if (route->type == RTN_MULTICAST)
		return false;
	return route->table != RT_TABLE_MAIN &&
	       (route->table != RT_TABLE_LOCAL || !prefix_is_host(p));
}

void fib_route_changed(struct fib *fib, const struct netlink_route *route, bool gone)
{
	struct prefix p = { .family = route->family, .cidr = route->dst_len };

	if (!fib || fib->down)
		return;
	memcpy(p.addr, route->dst, sizeof(p.addr));
	if (concerns_many(route, &p)) {
		want_round(fib);
	} else if (fib->ops->is_wanted(fib->arg, &p)) {
		if (gone)
			losses_retract(fib->losses, &p);
		fib->some_went |= gone;
		prove(fib, &p);
	}
}

void fib_rule_changed(struct fib *fib)
{
	fib_refresh(fib);
}

/* Whatever was in the way of our routes may have gone: there is no reason to be patient. */
static void start_afresh(struct fib *fib)
{
	fib->patience = RESTORE_MS;
	if (uv_is_active((uv_handle_t *)&fib->restore))
		uv_timer_start(&fib->restore, on_restore, fib->patience, 0);
	want_round(fib);
}

/*
 * With the last IPv4 address of an interface the kernel drops all of its IPv4 routes, ours
 * or those that were in the way of ours, and reports none of them.
 */
void fib_addr_changed(struct fib *fib, const struct netlink_addr *addr, bool gone)
{
	if (!fib || fib->down)
		return;
	if (addr->ifindex == fib->view.ifindex)
		start_afresh(fib);
	else if (gone && addr->family == AF_INET)
		want_round(fib);
}

static void go_down(struct fib *fib)
{
	waiting_clear(&fib->missing);
	waiting_clear(&fib->tried);
	waiting_clear(&fib->unproven);
	fib->all_missing = fib->in_round = false;
	uv_timer_stop(&fib->restore);
	uv_timer_stop(&fib->verify);
	uv_timer_stop(&fib->round);
	fib->down = true;
}

static void come_up(struct fib *fib)
{
	fib->down = false;
	fib->ops->each_wanted(fib->arg, install, fib);
	flush(fib);
	start_afresh(fib);
}

void fib_link_changed(struct fib *fib, const struct netlink_link *link, bool gone)
{
	bool down = gone || !(link->flags & IFF_UP);

	if (!fib)
		return;
	if (link->index != fib->view.ifindex) {
		if (down)
			want_round(fib);
		return;
	}
	if (down && !fib->down)
		go_down(fib);
	else if (!down && fib->down)
		come_up(fib);
}

void fib_refresh(struct fib *fib)
{
	if (fib)
		want_round(fib);
}

/* Life */

int fib_open(struct fib **out, uv_loop_t *loop, struct netlink *nl, int ifindex,
	     const char *name, const struct config_router *router, const struct fib_ops *ops,
	     void *arg)
{
	struct fib *fib = calloc(1, sizeof(*fib));

	*out = NULL;
	if (!fib)
		return -ENOMEM;
	*fib = (struct fib){ .name = name, .ops = ops, .arg = arg, .patience = RESTORE_MS,
			     .view = { .nl = nl, .ifindex = ifindex, .router = router } };
	fib->routes = routes_new(nl, ifindex, name);
	fib->losses = losses_new(loop, name, &fib->view);
	if (!fib->routes || !fib->losses) {
		routes_free(fib->routes);
		losses_free(fib->losses);
		free(fib);
		return -ENOMEM;
	}
	routes_sweep(fib->routes);
	routes_tell(fib->routes, on_told, fib);
	uv_timer_init(loop, &fib->restore);
	uv_timer_init(loop, &fib->verify);
	uv_timer_init(loop, &fib->round);
	uv_timer_init(loop, &fib->prune);
	fib->restore.data = fib->verify.data = fib->round.data = fib->prune.data = fib;
	*out = fib;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct fib *fib = handle->data;

	if (--fib->closing)
		return;
	waiting_clear(&fib->missing);
	waiting_clear(&fib->tried);
	waiting_clear(&fib->unproven);
	routes_free(fib->routes);
	free(fib);
}

void fib_close(struct fib *fib)
{
	if (!fib)
		return;
	losses_free(fib->losses);
	fib->losses = NULL;
	fib->closing = 4;
	uv_close((uv_handle_t *)&fib->restore, on_closed);
	uv_close((uv_handle_t *)&fib->verify, on_closed);
	uv_close((uv_handle_t *)&fib->round, on_closed);
	uv_close((uv_handle_t *)&fib->prune, on_closed);
}
