/* SPDX-License-Identifier: MIT */
/*
 * A unix stream socket where requests of a few lines are answered.
 *
 * A client is always in one of three states: its request is being read, its
 * answer is waited for, or being sent. With uv_poll rather than uv_pipe: send() takes
 * MSG_NOSIGNAL, buffers are ours to wipe, and progress can be seen.
 */
#include "lineserver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <urcu/list.h>

#include "sockfile.h"

enum {
	READ_MAX = 64 << 10, /* in one turn of the loop: others wait too */
	LOOK_MAX_MS = 5000,  /* how often the impatient look */
	LOOKS = 4            /* in the time of our patience */
};

struct lineserver {
	struct lineserver_ops ops;
	void *arg;
	size_t end_len;
	struct sockfile file;
	uv_loop_t *loop;
	uv_poll_t listener;
	uv_poll_cb on_connection; /* for whoever makes room for another client */
	uv_poll_t watch;          /* of file.inotify */
	uv_timer_t look; /* runs while there are clients, or accepting is paused */
	struct cds_list_head clients;
	unsigned n_clients;
	unsigned n_handles; /* open in libuv; the last one to close frees */
};

struct client {
	struct lineserver *server;
	struct cds_list_head link;
	uv_poll_t poll;
	int fd;
	uint64_t progress; /* uv_now() when something last moved */
	struct text in;
	size_t scanned;    /* of in: there is no end of a request before this */
	struct text answer;
	size_t sent;       /* of answer */
	void (*left)(void *arg); /* the answer comes later; NULL: it does not */
	void *left_arg;
	bool hang_up;      /* once the answer is sent */
};

/* Closing */

static void client_freed(uv_handle_t *handle)
{
	free(handle->data);
}

static void client_close(struct client *c)
{
	if (c->left)
		c->left(c->left_arg);
	uv_close((uv_handle_t *)&c->poll, client_freed);
	close(c->fd);
	text_free(&c->in);
	text_free(&c->answer);
	cds_list_del(&c->link);
	c->server->n_clients--;
}

static void handle_closed(uv_handle_t *handle)
{
	struct lineserver *server = handle->data;

	if (--server->n_handles == 0)
		free(server);
}

/* Only handles that were initialised have their data. */
static void close_handle(struct lineserver *server, uv_handle_t *handle)
{
	if (handle->data == server)
		uv_close(handle, handle_closed);
}

void lineserver_close(struct lineserver *server)
{
	struct client *c, *next;

	if (!server)
		return;
	cds_list_for_each_entry_safe(c, next, &server->clients, link)
		client_close(c);
	close_handle(server, (uv_handle_t *)&server->look);
	close_handle(server, (uv_handle_t *)&server->listener);
	close_handle(server, (uv_handle_t *)&server->watch);
	sockfile_close(&server->file);
}

static void listen_again(struct lineserver *server)
{
	if (server->n_clients < LINESERVER_CLIENTS_MAX)
		(void)uv_poll_start(&server->listener, UV_READABLE, server->on_connection);
}

static void drop(struct client *c)
{
	struct lineserver *server = c->server;

	client_close(c);
	listen_again(server);
}

/* Serving */

/* How long the first request is, with its end; 0: it is not whole yet. */
static size_t find_request(struct client *c)
{
	const struct lineserver *server = c->server;
	const char *end;

	if (c->in.len < server->end_len)
		return 0;
	end = memmem(c->in.data + c->scanned, c->in.len - c->scanned, server->ops.end,
		     server->end_len);
	if (end)
		return (size_t)(end - c->in.data) + server->end_len;
	/* Nothing but a part of the end is looked at twice. */
	c->scanned = c->in.len - (server->end_len - 1);
	return 0;
}

static void answer_request(struct client *c, size_t len)
{
	struct lineserver *server = c->server;
	size_t n = len - server->end_len;

	c->in.data[n] = '\0';
	if (!server->ops.request(server->arg, c->in.data, n, &c->answer))
		c->hang_up = true;
	text_consume(&c->in, len);
	c->scanned = 0;
	if (!c->in.len)
		text_free(&c->in);
	/* A part of an answer is worse than none. */
	if (c->answer.failed) {
		text_free(&c->answer);
		c->hang_up = true;
	}
}

/* Answers the first request in the buffer. False: there is none yet. */
static bool serve(struct client *c)
{
	struct lineserver *server = c->server;
	size_t len = find_request(c);

	if (len && len <= server->ops.max) {
		answer_request(c, len);
		return true;
	}
	if (!len && c->in.len <= server->ops.max)
		return false;
	if (server->ops.too_long)
		server->ops.too_long(server->arg, &c->answer);
	c->hang_up = true;
	return true;
}

/* 1: all is sent; 0: later; negative: the client is gone. */
static int flush(struct client *c)
{
	while (c->sent < c->answer.len) {
		ssize_t n = send(c->fd, c->answer.data + c->sent, c->answer.len - c->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->sent += (size_t)n;
		c->progress = uv_now(c->server->loop);
	}
	text_free(&c->answer);
	c->sent = 0;
	return 1;
}

/* 1: read something; 0: later; negative: no more will come. */
static int fill(struct client *c)
{
	/* One byte beyond the longest request tells that it is too long. */
	size_t room = min((size_t)READ_MAX, c->server->ops.max + 1 - c->in.len);
	char *to = text_reserve(&c->in, room);
	ssize_t n;

	if (!to)
		return -ENOMEM;
	n = recv(c->fd, to, room, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	c->in.len += (size_t)n;
	c->progress = uv_now(c->server->loop);
	return 1;
}

/*
 * Reads and answers one request, or goes on sending. Returns what to wait for,
 * or a negative errno when there is nothing more to do for the client.
 *
 * A request that is in the buffer is answered before more is read: who sends
 * several, half closes and waits gets all answers.
 */
static int take_turn(struct client *c)
{
	int n;

	if (!c->answer.len && !serve(c)) {
		n = fill(c);
		if (n < 0)
			return n;
		if (!n || !serve(c))
			return UV_READABLE;
	}
	/*
	 * UV_DISCONNECT would come when it half closes. That it is gone (EPOLLHUP) is told
	 * whatever is waited for, and nobody has urgent data.
	 */
	if (c->left)
		return UV_PRIORITIZED;
	n = flush(c);
	if (n < 0)
		return n;
	if (n == 0)
		return UV_WRITABLE;
	if (c->hang_up)
		return -EPIPE;
	/* The next request has its turn when the others have had theirs. */
	return c->in.len ? UV_WRITABLE : UV_READABLE;
}

static void on_client(uv_poll_t *handle, int status, int events)
{
	struct client *c = handle->data;
	int next = status;

	if (!next && c->left)
		next = -EPIPE;
	else if (!next)
		next = take_turn(c);
	(void)events;
	if (next < 0 || uv_poll_start(&c->poll, next, on_client))
		drop(c);
}

void lineserver_later(struct text *answer, void (*left)(void *arg), void *arg)
{
	struct client *c = container_of(answer, struct client, answer);

	c->left = left;
	c->left_arg = arg;
}

void lineserver_now(struct text *answer)
{
	struct client *c = container_of(answer, struct client, answer);

	c->left = NULL;
	c->progress = uv_now(c->server->loop);
	/* It is sent in a turn of its own: whoever calls is in the middle of something. */
	if (answer->failed || uv_poll_start(&c->poll, UV_WRITABLE, on_client))
		drop(c);
}

static bool is_stuck(const struct client *c)
{
	return (c->in.len || c->answer.len || c->left) &&
	       uv_now(c->server->loop) - c->progress >= c->server->ops.patience_ms;
}

static void on_look(uv_timer_t *timer)
{
	struct lineserver *server = timer->data;
	struct client *c, *next;

	cds_list_for_each_entry_safe(c, next, &server->clients, link)
		if (is_stuck(c))
			client_close(c);
	listen_again(server);
	if (!server->n_clients)
		(void)uv_timer_stop(timer);
}

/* The descriptor is the client's from here on, or closed. */
static int add_client(struct lineserver *server, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		goto close_fd;
	c->server = server;
	c->fd = fd;
	c->progress = uv_now(server->loop);
	if (uv_poll_init(server->loop, &c->poll, fd))
		goto free_client;
	c->poll.data = c;
	cds_list_add_tail(&c->link, &server->clients);
	server->n_clients++;
	if (!uv_poll_start(&c->poll, UV_READABLE, on_client))
		return 0;
	client_close(c);
	return -ENOMEM;

free_client:
	free(c);
close_fd:
	close(fd);
	return -ENOMEM;
}

static void on_connection(uv_poll_t *handle, int status, int events)
{
	struct lineserver *server = handle->data;
	uint64_t look = min(server->ops.patience_ms / LOOKS + 1, (uint64_t)LOOK_MAX_MS);
	int fd = accept4(server->file.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)status;
	(void)events;
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return;
	/* Without descriptors or memory the backlog stays, and would wake us for ever. */
	if (fd < 0 || add_client(server, fd) || server->n_clients == LINESERVER_CLIENTS_MAX)
		(void)uv_poll_stop(&server->listener);
	if (!uv_is_active((uv_handle_t *)&server->look))
		(void)uv_timer_start(&server->look, on_look, look, look);
}

static void on_watch(uv_poll_t *handle, int status, int events)
{
	struct lineserver *server = handle->data;

	(void)status;
	(void)events;
	if (sockfile_is_there(&server->file))
		return;
	(void)uv_poll_stop(handle);
	if (server->ops.gone)
		server->ops.gone(server->arg);
}

static int start_poll(struct lineserver *server, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
	int err = uv_poll_init(server->loop, poll, fd);

	if (err)
		return err;
	poll->data = server;
	server->n_handles++;
	return uv_poll_start(poll, UV_READABLE, callback);
}

/* server->file is open. On errors everything is closed. */
static int start(struct lineserver *server)
{
	int err;

	server->on_connection = on_connection;
	(void)uv_timer_init(server->loop, &server->look);
	server->look.data = server;
	server->n_handles++;
	err = start_poll(server, &server->listener, server->file.fd, on_connection);
	if (!err && server->file.inotify >= 0)
		err = start_poll(server, &server->watch, server->file.inotify, on_watch);
	if (err)
		lineserver_close(server);
	return err;
}

static struct lineserver *new_server(uv_loop_t *loop, const struct lineserver_ops *ops, void *arg)
{
	struct lineserver *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->loop = loop;
	server->ops = *ops;
	server->arg = arg;
	server->end_len = strlen(ops->end);
	if (!server->ops.patience_ms)
		server->ops.patience_ms = LINESERVER_PATIENCE_MS;
	CDS_INIT_LIST_HEAD(&server->clients);
	return server;
}

int lineserver_open(struct lineserver **server, uv_loop_t *loop, const char *path,
		    const struct lineserver_ops *ops, void *arg)
{
	struct lineserver *new = new_server(loop, ops, arg);
	int err;

	*server = NULL;
	if (!new)
		return -ENOMEM;
	err = sockfile_open(&new->file, path);
	if (err) {
		free(new);
		return err;
	}
	err = start(new);
	if (!err)
		*server = new;
	return err;
}

int lineserver_adopt(struct lineserver **server, uv_loop_t *loop, int fd,
		     const struct lineserver_ops *ops, void *arg)
{
	struct lineserver *new = new_server(loop, ops, arg);
	int err;

	*server = NULL;
	if (!new) {
		close(fd);
		return -ENOMEM;
	}
	err = sockfile_adopt(&new->file, fd);
	if (err) {
		free(new);
		return err;
	}
	err = start(new);
	if (!err)
		*server = new;
	return err;
}
