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
#include <uv.h>

#include "../base/clock.h"
#include "../base/confine.h"
#include "../base/log.h"
#include "../base/poll.h"
#include "../peer/events.h"
#include "handshake.h"

enum {
	RATE_SOURCES = 32768, /* 512 KiB: handshakes by source, per worker */
	RATE_ICMP = 64,       /* ICMP errors by sender; in all 1,280 a second at the most */
	WORKERS_MAX = 256,
	SLICE_NS = 100000,    /* the shortest there is */
	PACE_TICK_SHIFT = 20  /* 1.05 ms: no finer are the loop's timers */
};

/* A queue on its worker's loop. */
struct port {
	struct port *next;
	struct worker *worker;
	struct queue *queue;
	uv_poll_t udp4, udp6;
	bool polls4, polls6;
	unsigned closing; /* handles whose close callback is to come */
	unsigned n_rings;
	uv_poll_t rings[]; /* of the TUN queue */
};

/* Something that control wants done on the worker's thread, and waits for. */
struct call {
	/* True: done. False: finish() will be called later, and perhaps was already. */
	bool (*fn)(struct worker *w, struct call *call);
	struct queue *queue;
	struct udp_sockets *udp;
	int result;
	uv_sem_t done;
};

struct worker {
	uv_thread_t thread;
	uv_loop_t loop;
	uv_async_t wake;
	uv_timer_t timer;
	uv_prepare_t prepare;
	unsigned senders;      /* rings that sent something in this turn of the loop */
	unsigned senders_last; /* and in the one before */
	struct inbox peers;
	_Atomic(struct call *) call; /* one at a time: control waits */
	struct call *closing;        /* whose handles are being closed */
	struct wheel wheel; /* of sessions */
	struct wheel pace;  /* of packets that wait for their rate */
	struct port *ports;
	_Atomic uint64_t bursts, received, sent; /* this thread writes; worker_load */
	_Atomic unsigned asked, answered; /* control, this thread: workers_silent() */
	struct burst burst;
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

static void turn_begin(struct worker *w)
{
	rcu_turn_begin();
	w->burst.now = clock_now();
}

static void on_timer(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	turn_begin(w);
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

/* Packets */

/* One writer needs no locked instruction. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, counter_read(counter) + n, memory_order_relaxed);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct worker *w = prepare->data;

	w->senders_last = w->senders;
	w->senders = 0;
}

/*
 * A burst from a ring; -1: the rest of the last one. One turn of the loop serves each ring
 * that has something once: all of them together fill one arena, so that nobody waits longer
 * than he would for one burst of one alone.
 */
static int serve_ring(struct port *port, int ring)
{
	struct worker *w = port->worker;
	struct queue *q = port->queue;
	size_t share = BURST_ARENA / max(w->senders_last, 1u);
	int n;

	turn_begin(w);
	n = send_burst(q, ring, max(share, (size_t)BURST_SHARE));
	rcu_turn_end();
	w->senders += n > 0 && ring >= 0;
	count(&w->bursts, n > 0);
	count(&w->sent, (uint64_t)max(n, 0));
	/* What is half way through a super-packet makes no descriptor readable. */
	if (n > 0 && tun_reader_pending(q->reader))
		uv_async_send(&w->wake);
	return n;
}

static void on_ring(uv_poll_t *poll, int status, int events)
{
	struct port *port = poll->data;
	uv_os_fd_t fd;

	(void)status;
	(void)events;
	(void)uv_fileno((uv_handle_t *)poll, &fd);
	if (serve_ring(port, fd) >= 0)
		return;
	/* The device is gone: nothing will ever come, and polling it would spin. */
	uv_poll_stop(poll);
	port->queue->dp->ops->tun_gone(port->queue->dp);
}

/* A burst from a socket of the queue; -1: of what waits. What then waits is served after others. */
static void receive(struct worker *w, struct queue *q, int fd)
{
	unsigned n;

	turn_begin(w);
	n = receive_burst(q, fd);
	rcu_turn_end();
	count(&w->bursts, n > 0);
	count(&w->received, n);
	if (udp_rx_waits(&w->burst.rx))
		uv_async_send(&w->wake);
}

static void on_udp(uv_poll_t *poll, int status, int events)
{
	struct port *port = poll->data;
	struct udp_sockets *udp = rcu_read(&port->queue->udp);

	(void)events;
	receive(port->worker, port->queue, poll == &port->udp4 ? udp->fd4 : udp->fd6);
	(void)!poll_go_on(poll, status, on_udp);
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

/* The last that the worker sees of a call: control's stack may be gone after this. */
static void finish(struct call *call)
{
	uv_sem_post(&call->done);
}

static struct port *find_port(struct worker *w, const struct queue *q)
{
	struct port *port = w->ports;

	while (port && port->queue != q)
		port = port->next;
	return port;
}

static void on_port_closed(uv_handle_t *handle)
{
	struct port *port = handle->data;
	struct call *call = port->worker->closing;

	if (--port->closing)
		return;
	free(port);
	finish(call);
}

/* Closes all handles of a port that is on no list any more. False: the call goes on. */
static bool close_port(struct port *port, struct call *call)
{
	port->worker->closing = call;
	port->closing = port->n_rings + (unsigned)port->polls4 + (unsigned)port->polls6;
	if (!port->closing) {
		free(port);
		return true;
	}
	for (unsigned i = 0; i < port->n_rings; i++)
		uv_close((uv_handle_t *)&port->rings[i], on_port_closed);
	if (port->polls4)
		uv_close((uv_handle_t *)&port->udp4, on_port_closed);
	if (port->polls6)
		uv_close((uv_handle_t *)&port->udp6, on_port_closed);
	return false;
}

static bool attach(struct worker *w, struct call *call)
{
	struct tun_queue *tun = &call->queue->tun;
	struct port *port = calloc(1, sizeof(*port) + tun->n_rings * sizeof(port->rings[0]));

	call->result = -ENOMEM;
	if (!port)
		return true;
	port->worker = w;
	port->queue = call->queue;
	port->queue->burst = &w->burst;
	while (port->n_rings < tun->n_rings) {
		uv_poll_t *poll = &port->rings[port->n_rings];

		call->result = uv_poll_init(&w->loop, poll, tun_ring(tun, port->n_rings));
		if (call->result)
			return close_port(port, call);
		port->n_rings++;
		poll->data = port;
		uv_poll_start(poll, UV_READABLE, on_ring);
	}
	port->next = w->ports;
	w->ports = port;
	return true;
}

static int start_socket(struct worker *w, struct port *port, uv_poll_t *poll, int fd, bool *polls)
{
	int err;

	if (fd < 0)
		return 0;
	err = uv_poll_init(&w->loop, poll, fd);
	if (err)
		return err;
	poll->data = port;
	*polls = true;
	return uv_poll_start(poll, UV_READABLE, on_udp);
}

/* Second half of set_sockets: the old handles are closed and may be used again. */
static int start_sockets(struct worker *w, struct port *port, struct udp_sockets *udp)
{
	int err;

	rcu_publish(&port->queue->udp, udp);
	if (!udp)
		return 0;
	err = start_socket(w, port, &port->udp4, udp->fd4, &port->polls4);
	return err ? err : start_socket(w, port, &port->udp6, udp->fd6, &port->polls6);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct port *port = handle->data;
	struct worker *w = port->worker;
	struct call *call = w->closing;

	if (--port->closing)
		return;
	call->result = start_sockets(w, port, call->udp);
	finish(call);
}

static bool set_sockets(struct worker *w, struct call *call)
{
	struct port *port = find_port(w, call->queue);

	if (!port) {
		call->result = -ENOENT;
		return true;
	}
	port->closing = (unsigned)port->polls4 + (unsigned)port->polls6;
	if (!port->closing) {
		call->result = start_sockets(w, port, call->udp);
		return true;
	}
	w->closing = call;
	if (port->polls4)
		uv_close((uv_handle_t *)&port->udp4, on_socket_closed);
	if (port->polls6)
		uv_close((uv_handle_t *)&port->udp6, on_socket_closed);
	port->polls4 = false;
	port->polls6 = false;
	return false;
}

static bool detach(struct worker *w, struct call *call)
{
	struct port **link = &w->ports, *port;

	while (*link && (*link)->queue != call->queue)
		link = &(*link)->next;
	port = *link;
	if (!port)
		return true;
	*link = port->next;
	udp_rx_forget(&w->burst.rx, port->queue);
	return close_port(port, call);
}

static bool stop(struct worker *w, struct call *call)
{
	(void)call;
	uv_close((uv_handle_t *)&w->wake, NULL);
	uv_close((uv_handle_t *)&w->timer, NULL);
	uv_close((uv_handle_t *)&w->prepare, NULL);
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

		turn_begin(w);
		serve_peer(w, peer, work);
		peer_unref(peer);
		rcu_turn_end();
		item = next;
	}
}

static void finish_super_packets(struct worker *w)
{
	for (struct port *port = w->ports; port; port = port->next)
		if (tun_reader_pending(port->queue->reader))
			(void)serve_ring(port, -1);
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
	finish_super_packets(w);
	if (w->ports && udp_rx_waits(&w->burst.rx))
		receive(w, w->ports->queue, -1);
	rearm(w);
	if (call && call->fn(w, call))
		finish(call);
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
	b->arena = malloc(BURST_ARENA);
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
	uv_prepare_init(&w->loop, &w->prepare);
	uv_prepare_start(&w->prepare, on_prepare);
	w->prepare.data = w;
	w->wake.data = w;
	w->timer.data = w;
	err = uv_thread_create(&w->thread, run, w);
	if (err)
		goto close_handles;
	*out = w;
	return 0;

close_handles:
	uv_close((uv_handle_t *)&w->wake, NULL);
	uv_close((uv_handle_t *)&w->timer, NULL);
	uv_close((uv_handle_t *)&w->prepare, NULL);
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
	struct call call = { .fn = attach, .queue = q };

	return call_worker(w, &call);
}

void worker_detach(struct worker *w, struct queue *q)
{
	struct call call = { .fn = detach, .queue = q };

	(void)call_worker(w, &call);
}

int worker_set_sockets(struct worker *w, struct queue *q, struct udp_sockets *udp)
{
	struct call call = { .fn = set_sockets, .queue = q, .udp = udp };

	return call_worker(w, &call);
}
