/* SPDX-License-Identifier: MIT */
/* Workers: the loop around the data path, and the peers' timers. */
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <urcu/arch.h>

#include "../base/confine.h"
#include "../base/log.h"
#include "../peer/events.h"
#include "handshake.h"
#include "worker_private.h"

enum {
	RATE_SOURCES = 32768, /* 512 KiB: handshakes by source, per worker */
	RATE_ICMP = 64,       /* ICMP errors by sender; in all 1,280 a second at the most */
	WORKERS_MAX = 256,
	SLICE_NS = 100000,    /* the shortest there is */
	PACE_TICK_SHIFT = 20  /* 1.05 ms: no finer are the loop's timers */
};

/*
 * libuv spares the wake-up when one is pending, and nothing but the barrier keeps
 * a weakly ordered processor from looking before others see what was posted.
 */
static void wake(struct worker *w)
{
	cmm_smp_mb();
	uv_async_send(&w->wake);
}

/* Timers */

static void rearm(struct worker *w);

static struct queue *queue_of(struct peer *peer)
{
	return &peer->dp->queues[peer->home];
}

static void leave_wheel(struct worker *w, struct peer *peer)
{
	if (!peer->on_wheel)
		return;
	wheel_disarm(&w->wheel, &peer->timer);
	peer->on_wheel = false;
	peer_unref(peer);
}

static void give_up(struct peer *peer, struct session *session)
{
	unsigned n = peer_drop_staged(peer, session);
	struct endpoint where = { 0 };

	counter_add(&peer->dp->handshakes.unanswered, 1);
	datapath_drop(peer->dp, peer, DROP_HANDSHAKE_TIMEOUT, n);
	log_event(LOG_LEVEL_DEBUG, peer->name, "unanswered", drop_name(DROP_HANDSHAKE_TIMEOUT),
		  "%s: %s: no answer to handshakes, giving up", peer->dp->name, peer->name);
	(void)!peer_get_endpoint(peer, &where);
	peer_note_where(peer, EVENT_UNANSWERED, &where);
	/* Persistent keepalives go on trying, and the session is what they are counted in. */
	if (!atomic_load_explicit(&peer->keepalive, memory_order_relaxed))
		peer_drop_idle_session(peer);
}

/* Does what the time stamps of the peer's session ask for. */
static void act(struct worker *w, struct peer *peer, struct session *session, unsigned actions)
{
	struct handshake_thread *ht = peer->dp->handshake;
	struct queue *q = queue_of(peer);

	if (actions & TIMER_GIVE_UP)
		give_up(peer, session);
	/* No answer: perhaps it is our address that is no longer good. */
	if (actions & (TIMER_RETRY | TIMER_NEW_HANDSHAKE)) {
		peer_clear_endpoint_src(peer);
		peer->dp->ops->unanswered(peer->dp);
	}
	if (actions & TIMER_RETRY)
		handshake_want(ht, peer, PEER_HANDSHAKE_RETRY);
	if (actions & TIMER_NEW_HANDSHAKE)
		handshake_want(ht, peer, PEER_HANDSHAKE_WANT);
	if (actions & (TIMER_KEEPALIVE | TIMER_PERSISTENT))
		send_keepalive(q, peer);
	if (actions & TIMER_KEEPALIVE_AGAIN)
		timers_expect_more(&session->timers, w->burst.now);
	/* A persistent keepalive goes on, and begins anew. */
	if (actions & TIMER_WIPE && peer_wipe_session(peer, w->burst.now) &&
	    atomic_load_explicit(&peer->keepalive, memory_order_relaxed))
		send_keepalive(q, peer);
}

static void come_again(struct worker *w, struct peer *peer, uint64_t next)
{
	if (!peer->on_wheel) {
		if (!peer_ref(peer))
			return;
		peer->on_wheel = true;
	}
	wheel_arm(&w->wheel, &peer->timer, next);
}

/* No memory for a session, in which persistent keepalives are counted: tried until there is. */
static void want_session(struct worker *w, struct peer *peer)
{
	send_keepalive(queue_of(peer), peer);
	if (!rcu_read(&peer->session))
		come_again(w, peer, w->burst.now + REKEY_TIMEOUT);
}

/* One look at the peer's stamps, and when the next is due. */
static void look(struct worker *w, struct peer *peer)
{
	uint64_t persistent = atomic_load_explicit(&peer->keepalive, memory_order_relaxed);
	struct session *session;
	unsigned actions;
	uint64_t next;

	if (persistent && peer_lacks_session(peer))
		want_session(w, peer);
	session = rcu_read(&peer->session);
	if (!session) {
		if (!persistent || !peer_lacks_session(peer))
			leave_wheel(w, peer);
		return;
	}
	next = timers_look(&session->timers, w->burst.now, persistent * NSEC_PER_SEC, &actions);
	act(w, peer, session, actions);
	if (rcu_read(&peer->session))
		come_again(w, peer, next);
	else
		leave_wheel(w, peer);
}

static void on_timer_fired(struct wheel_timer *timer, uint64_t now, void *arg)
{
	(void)now;
	look(arg, container_of(timer, struct peer, timer));
}

/* Rates */

static void leave_pace(struct worker *w, struct peer *peer, struct limit *limit)
{
	if (!limit->on_wheel)
		return;
	wheel_disarm(&w->pace, &limit->timer);
	limit->on_wheel = false;
	peer_unref(peer);
}

/* Lets go what may pass now, and comes again when the next may. */
static void release(struct worker *w, struct peer *peer)
{
	struct limit *limit = rcu_read(&peer->limit);
	struct queue *q = queue_of(peer);
	uint64_t up = deliver_held(q, peer);
	uint64_t next = min(up, send_held(q, peer));

	if (next == UINT64_MAX) {
		leave_pace(w, peer, limit);
		return;
	}
	if (!limit->on_wheel) {
		if (!peer_ref(peer))
			return;
		limit->on_wheel = true;
		limit->peer = peer;
	}
	wheel_arm(&w->pace, &limit->timer, next);
}

static void on_pace_fired(struct wheel_timer *timer, uint64_t now, void *arg)
{
	(void)now;
	release(arg, container_of(timer, struct limit, timer)->peer);
}

static void on_timer(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	worker_turn_begin(w);
	wheel_expire(&w->pace, w->burst.now, on_pace_fired, w);
	wheel_expire(&w->wheel, w->burst.now, on_timer_fired, w);
	rcu_turn_end();
	rearm(w);
}

/* Sets the loop's one timer to the wheels' next expiry. */
static void rearm(struct worker *w)
{
	uint64_t next = min(wheel_next(&w->wheel), wheel_next(&w->pace)), now;

	if (next == UINT64_MAX) {
		uv_timer_stop(&w->timer);
		return;
	}
	now = clock_now();
	uv_update_time(&w->loop);
	uv_timer_start(&w->timer, on_timer,
		       next > now ? (next - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0, 0);
}

/* Calls from control */

static int call_worker(struct worker *w, struct call *call)
{
	if (uv_sem_init(&call->done, 0))
		return -ENOMEM;
	atomic_store(&w->call, call);
	wake(w);
	uv_sem_wait(&call->done);
	uv_sem_destroy(&call->done);
	return call->result;
}

static bool stop(struct worker *w, struct call *call)
{
	(void)call;
	uv_close((uv_handle_t *)&w->wake, NULL);
	uv_close((uv_handle_t *)&w->timer, NULL);
	uv_close((uv_handle_t *)&w->prepare, NULL);
	uv_close((uv_handle_t *)&w->rest, NULL);
	return true;
}

/* Waking up */

static void serve_peer(struct worker *w, struct peer *peer, unsigned work)
{
	struct queue *q = queue_of(peer);
	bool sent = false;

	if (work & PEER_WORK_GONE) {
		struct limit *limit = rcu_read(&peer->limit);

		leave_wheel(w, peer);
		if (limit)
			leave_pace(w, peer, limit);
		return;
	}
	if (work & PEER_WORK_RELEASE)
		release(w, peer);
	if (work & PEER_WORK_SEND)
		send_handshake(q, peer);
	if (work & PEER_WORK_FLUSH)
		sent = send_staged(q, peer);
	if (work & PEER_WORK_KEEPALIVE && !sent)
		send_keepalive(q, peer);
	look(w, peer);
}

static void serve_inbox(struct worker *w)
{
	struct inbox_item *item = inbox_take_all(&w->peers);

	while (item) {
		struct peer *peer = container_of(item, struct peer, to_worker);
		struct inbox_item *next = item->next;
		unsigned work = inbox_claim(item);

		worker_turn_begin(w);
		serve_peer(w, peer, work);
		peer_unref(peer);
		rcu_turn_end();
		item = next;
	}
}

static void on_wake(uv_async_t *async)
{
	struct worker *w = async->data;
	/*
	 * Taken before the inbox: what was posted before the call is served before
	 * it. After a detach nothing may be left there of the device's peers.
	 */
	struct call *call = atomic_exchange(&w->call, NULL);

	atomic_store_explicit(&w->answered, atomic_load_explicit(&w->asked, memory_order_relaxed),
			      memory_order_relaxed);
	serve_inbox(w);
	ports_go_on(w);
	rearm(w);
	if (call && call->fn(w, call))
		call_finish(call);
}

bool worker_post(struct worker *w, struct peer *peer, unsigned work)
{
	if (!peer_ref(peer))
		return false;
	if (inbox_post(&w->peers, &peer->to_worker, work))
		return true;
	peer_unref(peer);
	return false;
}

void worker_wake_posted(struct worker *w)
{
	wake(w);
}

void worker_wake(struct worker *w, struct peer *peer, unsigned work)
{
	if (worker_post(w, peer, work))
		wake(w);
}

/* Life */

static void on_prepare(uv_prepare_t *prepare)
{
	ports_new_turn(prepare->data);
}

/*
 * A worker that wakes for a packet wants to run at once, and mostly is done before a slice
 * of the usual length (3 ms) is: with a short one the scheduler (EEVDF, Linux 6.12) lets it go
 * before those that are in the midst of theirs, for the same share of the processor. Older
 * kernels, and a policy that somebody chose for us, stay as they are.
 */
static void ask_for_short_slices(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period; /* ns */
	} attr = { .size = sizeof(attr) };

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) || attr.policy != SCHED_OTHER)
		return;
	attr.runtime = SLICE_NS;
	(void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

static void run(void *arg)
{
	struct worker *w = arg;

	ask_for_short_slices(); /* which the filter forbids */
	confine_thread(CONFINE_WORKER);
	rcu_register_thread();
	rcu_turn_end();
	uv_run(&w->loop, UV_RUN_DEFAULT);
	rcu_unregister_thread();
}

static int burst_init(struct burst *b, const char *crypto)
{
	int err = udp_rx_init(&b->rx);

	if (err)
		return err;
	err = aead_new(crypto, &b->aead);
	if (err)
		return err;
	err = gro_init(&b->gro, BURST_PACKETS);
	if (err)
		return err;
	err = ratelimit_init(&b->sources, RATE_SOURCES);
	if (err)
		return err;
	err = ratelimit_init(&b->icmp, RATE_ICMP);
	if (err)
		return err;
	b->arena = malloc(BURST_ARENA + BURST_PIECES * BURST_PIECE_SLOT);
	return b->arena ? 0 : -ENOMEM;
}

/* Also of a burst that was initialised half. */
static void burst_free(struct burst *b)
{
	sodium_memzero(&b->epochs, sizeof(b->epochs));
	free(b->arena);
	ratelimit_free(&b->icmp);
	ratelimit_free(&b->sources);
	gro_free(&b->gro);
	aead_free(b->aead);
	udp_rx_free(&b->rx);
}

static int worker_start(struct worker **out, const char *crypto)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	err = burst_init(&w->burst, crypto);
	if (err)
		goto free_burst;
	wheel_init(&w->wheel, clock_now(), WHEEL_TICK_SHIFT);
	wheel_init(&w->pace, clock_now(), PACE_TICK_SHIFT);
	err = uv_loop_init(&w->loop);
	if (err)
		goto free_burst;
	err = uv_async_init(&w->loop, &w->wake, on_wake);
	if (err)
		goto close_loop;
	uv_timer_init(&w->loop, &w->timer);
	uv_timer_init(&w->loop, &w->rest);
	uv_prepare_init(&w->loop, &w->prepare);
	uv_prepare_start(&w->prepare, on_prepare);
	w->prepare.data = w;
	w->wake.data = w;
	w->timer.data = w;
	w->rest.data = w;
	err = uv_thread_create(&w->thread, run, w);
	if (err)
		goto close_handles;
	*out = w;
	return 0;

close_handles:
	uv_close((uv_handle_t *)&w->wake, NULL);
	uv_close((uv_handle_t *)&w->timer, NULL);
	uv_close((uv_handle_t *)&w->prepare, NULL);
	uv_close((uv_handle_t *)&w->rest, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
close_loop:
	uv_loop_close(&w->loop);
free_burst:
	burst_free(&w->burst);
	free(w);
	return err;
}

static void worker_stop(struct worker *w)
{
	struct call call = { .fn = stop };

	(void)call_worker(w, &call);
	uv_thread_join(&w->thread);
	uv_loop_close(&w->loop);
	burst_free(&w->burst);
	free(w);
}

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return max(1u, min((unsigned)CPU_COUNT(&set), (unsigned)WORKERS_MAX));
}

int workers_start(struct workers *ws, unsigned n, const char *crypto)
{
	int err;

	*ws = (struct workers){ 0 };
	n = n ? n : processors();
	ws->worker = calloc(n, sizeof(*ws->worker));
	if (!ws->worker)
		return -ENOMEM;
	err = handshake_start(&ws->handshake);
	if (err) {
		free(ws->worker);
		return err;
	}
	while (ws->n < n) {
		err = worker_start(&ws->worker[ws->n], crypto);
		if (err) {
			workers_stop(ws);
			return err;
		}
		ws->n++;
	}
	return 0;
}

void workers_stop(struct workers *ws)
{
	for (unsigned i = 0; i < ws->n; i++)
		worker_stop(ws->worker[i]);
	handshake_stop(ws->handshake);
	free(ws->worker);
	*ws = (struct workers){ 0 };
}

static bool answers(struct worker *w)
{
	unsigned asked = atomic_load_explicit(&w->asked, memory_order_relaxed);
	bool answered = atomic_load_explicit(&w->answered, memory_order_relaxed) == asked;

	if (answered)
		atomic_store_explicit(&w->asked, asked + 1, memory_order_relaxed);
	wake(w);
	return answered;
}

int workers_silent(struct workers *ws)
{
	int silent = handshake_answers(ws->handshake) ? -1 : (int)ws->n;

	for (unsigned i = 0; i < ws->n; i++)
		if (!answers(ws->worker[i]))
			silent = (int)i;
	return silent;
}

void workers_look(struct workers *ws)
{
	for (unsigned i = 0; i < ws->n; i++)
		wake(ws->worker[i]); /* who sets his timer anew */
}

void workers_load(const struct workers *ws, unsigned i, struct worker_load *out)
{
	const struct worker *w = ws->worker[i];

	*out = (struct worker_load){ .processor = clock_of_thread(w->thread),
				     .bursts = counter_read(&w->bursts),
				     .received = counter_read(&w->received),
				     .sent = counter_read(&w->sent) };
}

const char *workers_crypto(const struct workers *ws)
{
	return aead_name(ws->worker[0]->burst.aead);
}

int worker_attach(struct worker *w, struct queue *q)
{
	struct call call = { .fn = ports_attach, .queue = q };

	return call_worker(w, &call);
}

void worker_detach(struct worker *w, struct queue *q)
{
	struct call call = { .fn = ports_detach, .queue = q };

	(void)call_worker(w, &call);
}

int worker_set_sockets(struct worker *w, struct queue *q, struct udp_sockets *udp)
{
	struct call call = { .fn = ports_set_sockets, .queue = q, .udp = udp };

	return call_worker(w, &call);
}
