/* SPDX-License-Identifier: MIT */
/* Ports: the queues on a worker's loop, and the descriptors that it polls for them. */
#include <errno.h>
#include <stdlib.h>

#include "../base/poll.h"
#include "worker_private.h"

/*
 * What is not data is looked at once a millisecond and for a quarter of the time, all that has come
 * meanwhile: a flood that woke the worker for each message would cost several times as much.
 * What there is no time for is lost in its socket. No rest is long: while this process is
 * stopped, the clock goes on.
 */
enum {
	TURN_NS = 500 * 1000, /* in this time the last system call of a turn begins */
	REST_SHARE = 4,
	REST_MIN = 1000 * 1000,
	REST_MAX = 20 * 1000 * 1000
};

/* In the order of struct udp_sockets. */
enum { DATA4, DATA6, HANDSHAKE4, HANDSHAKE6, SOCKETS };

struct port_socket {
	uv_poll_t poll;
	bool polls; /* a handle that must be closed */
	bool rests; /* which is stopped for a while */
};

/* A queue on its worker's loop. */
struct port {
	struct port *next;
	struct port *next_resting;
	struct worker *worker;
	struct queue *queue;
	struct port_socket sockets[SOCKETS];
	unsigned closing; /* handles whose close callback is to come */
	unsigned n_rings;
	uv_poll_t rings[]; /* of the TUN queue */
};

/* Packets */

/* One writer needs no locked instruction. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, counter_read(counter) + n, memory_order_relaxed);
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

	worker_turn_begin(w);
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

	worker_turn_begin(w);
	n = receive_burst(q, fd);
	rcu_turn_end();
	count(&w->bursts, n > 0);
	count(&w->received, n);
	if (udp_rx_waits(&w->burst.rx))
		uv_async_send(&w->wake);
}

static int fd_of(const struct udp_sockets *udp, unsigned which)
{
	const int fds[SOCKETS] = { udp->fd4, udp->fd6, udp->handshake4, udp->handshake6 };

	return fds[which];
}

static void on_data(uv_poll_t *poll, int status, int events)
{
	struct port *port = poll->data;
	struct udp_sockets *udp = rcu_read(&port->queue->udp);

	(void)events;
	receive(port->worker, port->queue,
		fd_of(udp, poll == &port->sockets[DATA4].poll ? DATA4 : DATA6));
	(void)!poll_go_on(poll, status, on_data);
}

static void on_handshakes(uv_poll_t *poll, int status, int events);

static void end_rests(struct worker *w)
{
	for (struct port *port = w->resting; port; port = port->next_resting) {
		for (unsigned i = 0; i < SOCKETS; i++) {
			struct port_socket *s = &port->sockets[i];

			if (s->rests)
				(void)uv_poll_start(&s->poll, UV_READABLE, on_handshakes);
			s->rests = false;
		}
	}
	w->resting = NULL;
}

static void on_rest(uv_timer_t *timer)
{
	struct worker *w = timer->data;
	uint64_t now = uv_hrtime();

	/* The loop's timers know no less than a millisecond, and may be early by one. */
	if (now < w->rest_end)
		uv_timer_start(timer, on_rest, 1 + (w->rest_end - now) / NSEC_PER_MSEC, 0);
	else
		end_rests(w);
}

static bool is_resting(const struct port *port)
{
	for (unsigned i = 0; i < SOCKETS; i++)
		if (port->sockets[i].rests)
			return true;
	return false;
}

/* After a turn of a handshake socket. All that had one since the last rest share this one. */
static void rest(struct port *port, struct port_socket *s, uint64_t begun, uint64_t took)
{
	struct worker *w = port->worker;

	if (!w->resting) {
		w->rest_begun = begun;
		w->rest_for = 0;
	}
	if (!is_resting(port)) {
		port->next_resting = w->resting;
		w->resting = port;
	}
	uv_poll_stop(&s->poll);
	s->rests = true;
	w->rest_for += REST_SHARE * took;
	w->rest_end = w->rest_begun + min(max(w->rest_for, (uint64_t)REST_MIN), (uint64_t)REST_MAX);
	if (!uv_is_active((uv_handle_t *)&w->rest))
		uv_timer_start(&w->rest, on_rest, 1, 0);
}

/* Before its sockets are closed. */
static void forget_rest(struct port *port)
{
	struct port **link = &port->worker->resting;

	while (*link && *link != port)
		link = &(*link)->next_resting;
	if (*link)
		*link = port->next_resting;
	for (unsigned i = 0; i < SOCKETS; i++)
		port->sockets[i].rests = false;
}

static void on_handshakes(uv_poll_t *poll, int status, int events)
{
	struct port *port = poll->data;
	struct port_socket *s = container_of(poll, struct port_socket, poll);
	int fd = fd_of(rcu_read(&port->queue->udp), (unsigned)(s - port->sockets));
	struct worker *w = port->worker;
	uint64_t begun = uv_hrtime();
	bool more;

	(void)status; /* an error is news, and the poll begins anew in any case */
	(void)events;
	do {
		unsigned n;

		worker_turn_begin(w);
		n = receive_handshakes(port->queue, fd, &more);
		rcu_turn_end();
		count(&w->bursts, n > 0);
		count(&w->received, n);
	} while (more && uv_hrtime() - begun < TURN_NS);
	rest(port, s, begun, uv_hrtime() - begun);
}

void ports_go_on(struct worker *w)
{
	for (struct port *port = w->ports; port; port = port->next)
		if (tun_reader_pending(port->queue->reader))
			(void)serve_ring(port, -1);
	if (w->ports && udp_rx_waits(&w->burst.rx))
		receive(w, w->ports->queue, -1);
}

void ports_new_turn(struct worker *w)
{
	w->senders_last = w->senders;
	w->senders = 0;
}

/* Calls from control */

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
	call_finish(call);
}

/* Counts them in port->closing. */
static void close_sockets(struct port *port, uv_close_cb closed)
{
	forget_rest(port);
	for (unsigned i = 0; i < SOCKETS; i++) {
		struct port_socket *s = &port->sockets[i];

		if (!s->polls)
			continue;
		s->polls = false;
		port->closing++;
		uv_close((uv_handle_t *)&s->poll, closed);
	}
}

/* Closes all handles of a port that is on no list any more. False: the call goes on. */
static bool close_port(struct port *port, struct call *call)
{
	port->worker->closing = call;
	port->closing = port->n_rings;
	for (unsigned i = 0; i < port->n_rings; i++)
		uv_close((uv_handle_t *)&port->rings[i], on_port_closed);
	close_sockets(port, on_port_closed);
	if (port->closing)
		return false;
	free(port);
	return true;
}

bool ports_attach(struct worker *w, struct call *call)
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

static int start_socket(struct worker *w, struct port *port, unsigned which, int fd)
{
	struct port_socket *s = &port->sockets[which];
	int err;

	if (fd < 0)
		return 0;
	err = uv_poll_init(&w->loop, &s->poll, fd);
	if (err)
		return err;
	s->poll.data = port;
	s->polls = true;
	return uv_poll_start(&s->poll, UV_READABLE,
			     which < HANDSHAKE4 ? on_data : on_handshakes);
}

/* Second half of ports_set_sockets(): the old handles are closed and may be used again. */
static int start_sockets(struct worker *w, struct port *port, struct udp_sockets *udp)
{
	int err = 0;

	rcu_publish(&port->queue->udp, udp);
	if (!udp) {
		/* What waits could not be answered. */
		udp_rx_forget(&w->burst.rx, port->queue);
		return 0;
	}
	for (unsigned i = 0; i < SOCKETS && !err; i++)
		err = start_socket(w, port, i, fd_of(udp, i));
	return err;
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct port *port = handle->data;
	struct worker *w = port->worker;
	struct call *call = w->closing;

	if (--port->closing)
		return;
	call->result = start_sockets(w, port, call->udp);
	call_finish(call);
}

bool ports_set_sockets(struct worker *w, struct call *call)
{
	struct port *port = find_port(w, call->queue);

	if (!port) {
		call->result = -ENOENT;
		return true;
	}
	w->closing = call;
	close_sockets(port, on_socket_closed);
	if (port->closing)
		return false;
	call->result = start_sockets(w, port, call->udp);
	return true;
}

bool ports_detach(struct worker *w, struct call *call)
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
