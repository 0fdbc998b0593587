/* SPDX-License-Identifier: MIT */
/* GET /metrics by libmicrohttpd, on the loop of the control thread. */
#include "metrics_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu/list.h>

#include "../base/log.h"
#include "exposition.h"

struct metrics_http {
	struct MHD_Daemon *daemon;
	struct metrics *metrics;
	uv_poll_t poll;   /* of the library's epoll: readable when anything is to be done */
	uv_timer_t timer; /* when the library wants to be called without that, or to try again */
	unsigned n_handles;
	struct endpoint listen;
	bool complained;
	struct cds_list_head waiting; /* requests whose connection is suspended */
};

/* One request, from its first line to the end of its answer. */
struct request {
	struct metrics_asker asker;
	struct metrics_http *http;
	struct MHD_Connection *connection;
	struct cds_list_head link;
	bool asked; /* the connection is suspended, or was */
	struct metrics_text *text;
};

/* Answers */

static enum MHD_Result answer_sentence(struct MHD_Connection *connection, unsigned status,
				       const char *sentence)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(sentence), (void *)(uintptr_t)sentence,
						MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* A text on its way to one client. */
struct sending {
	struct metrics_text *text;
	struct rope_reader reader;
	uint64_t sent;
};

static ssize_t read_text(void *arg, uint64_t at, char *buf, size_t room)
{
	struct sending *s = arg;
	const char *data;
	size_t n;

	if (at != s->sent)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	data = rope_next(&s->reader, &n);
	if (!data)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = min(n, room);
	memcpy(buf, data, n);
	rope_skip(&s->reader, n);
	s->sent += n;
	return (ssize_t)n;
}

static void free_sending(void *arg)
{
	struct sending *s = arg;

	metrics_text_put(s->text);
	free(s);
}

/* Takes over a reference of the text. */
static enum MHD_Result answer_text(struct MHD_Connection *connection, struct metrics_text *text)
{
	struct sending *s = malloc(sizeof(*s));
	struct MHD_Response *response;
	enum MHD_Result result;

	if (!s) {
		metrics_text_put(text);
		return MHD_NO;
	}
	*s = (struct sending){ .text = text, .reader = rope_read_from_start(&text->rope) };
	response = MHD_create_response_from_callback(text->rope.len, ROPE_PIECE, read_text, s,
						     free_sending);
	if (!response) {
		free_sending(s);
		return MHD_NO;
	}
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				      EXPOSITION_CONTENT_TYPE);
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

/* Requests */

static void run_soon(struct metrics_http *http);

static void on_text(struct metrics_asker *asker, struct metrics_text *text)
{
	struct request *request = container_of(asker, struct request, asker);

	request->text = text;
	cds_list_del(&request->link);
	MHD_resume_connection(request->connection);
	run_soon(request->http);
}

static struct request *new_request(struct metrics_http *http, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request)
		*request = (struct request){ .asker = { .done = on_text }, .http = http,
					     .connection = connection };
	return request;
}

/* Called when the header has come, and again with the body until there is no more of it. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *body,
				  size_t *body_len, void **state)
{
	struct metrics_http *http = arg;
	struct request *request = *state;

	(void)version;
	(void)body;
	if (!request) {
		if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
		    strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
			return answer_sentence(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
					       "There is nothing here but to read.\n");
		*state = new_request(http, connection);
		return *state ? MHD_YES : MHD_NO;
	}
	if (*body_len) {
		*body_len = 0; /* nobody wants it */
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return answer_sentence(connection, MHD_HTTP_NOT_FOUND,
				       "The metrics are at /metrics.\n");
	if (!request->asked) {
		request->asked = true;
		MHD_suspend_connection(connection);
		cds_list_add(&request->link, &http->waiting);
		metrics_ask(http->metrics, &request->asker);
		return MHD_YES;
	}
	if (request->text) {
		struct metrics_text *text = request->text;

		request->text = NULL;
		return answer_text(connection, text);
	}
	return answer_sentence(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
			       "berthd is short of memory.\n");
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct request *request = *state;

	(void)arg;
	(void)connection;
	(void)why;
	if (!request)
		return;
	metrics_text_put(request->text);
	free(request);
	*state = NULL;
}

/* The loop */

static void run(struct metrics_http *http);

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_timer(uv_timer_t *timer)
{
	struct metrics_http *http = timer->data;

	/* It may have been stopped for want of descriptors. */
	(void)uv_poll_start(&http->poll, UV_READABLE, on_poll);
	run(http);
}

/*
 * The library accepts again and again what it has no descriptor for, unless it waits for one
 * of its own clients to leave.
 */
static bool would_spin(const struct metrics_http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	int fd;

	if (info && info->num_connections)
		return false;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	close(fd);
	return false;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct metrics_http *http = poll->data;

	(void)status;
	(void)events;
	if (!would_spin(http)) {
		run(http);
		return;
	}
	(void)uv_poll_stop(poll);
	(void)uv_timer_start(&http->timer, on_timer, METRICS_HTTP_SHORT_MS, 0);
}

/* Not at once: who calls may be called by the library. */
static void run_soon(struct metrics_http *http)
{
	(void)uv_timer_start(&http->timer, on_timer, 0, 0);
}

static void run(struct metrics_http *http)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	(void)MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &timeout) == MHD_YES)
		(void)uv_timer_start(&http->timer, on_timer, timeout, 0);
	else
		(void)uv_timer_stop(&http->timer);
}

/* Life */

static int open_socket(const struct endpoint *listen_at)
{
	int fd = socket(listen_at->addr.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, err;

	if (fd < 0)
		return -errno;
	/* An address of ours that comes later, as those of an uplink may, is no fault. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	if (!bind(fd, &listen_at->addr, endpoint_addr_len(listen_at)) &&
	    !listen(fd, METRICS_HTTP_CLIENTS_MAX))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static struct MHD_Daemon *start_daemon(struct metrics_http *http, int fd)
{
	const struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, METRICS_HTTP_CLIENTS_MAX, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, METRICS_HTTP_PATIENCE_S, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, METRICS_HTTP_BUFFER, NULL },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, NULL },
		{ MHD_OPTION_END, 0, NULL }
	};

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
				on_request, http, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static int start_poll(struct metrics_http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int err = info ? uv_poll_init(http->timer.loop, &http->poll, info->epoll_fd) : -ENOTSUP;

	if (err)
		return err;
	http->poll.data = http;
	http->n_handles++;
	return uv_poll_start(&http->poll, UV_READABLE, on_poll);
}

static int start(struct metrics_http *http)
{
	int fd = open_socket(&http->listen);
	int err;

	if (fd < 0)
		return fd;
	http->daemon = start_daemon(http, fd);
	if (!http->daemon) {
		close(fd);
		return -ENOMEM;
	}
	err = start_poll(http);
	if (err) {
		MHD_stop_daemon(http->daemon);
		http->daemon = NULL;
	}
	return err;
}

static void try_to_start(uv_timer_t *timer)
{
	struct metrics_http *http = timer->data;
	char text[ENDPOINT_STRLEN];
	int err = start(http);

	(void)endpoint_format(&http->listen, text);
	if (!err) {
		log_info("metrics at http://%s/metrics", text);
		run_soon(http);
		return;
	}
	if (!http->complained)
		log_error("MetricsListen = %s: %s; trying again every %d s", text,
			  err == -EADDRINUSE ? "another program listens there" : strerror(-err),
			  METRICS_HTTP_AGAIN_S);
	http->complained = true;
	(void)uv_timer_start(timer, try_to_start, METRICS_HTTP_AGAIN_S * 1000, 0);
}

int metrics_http_open(struct metrics_http **out, uv_loop_t *loop, const struct endpoint *listen,
		      struct metrics *m)
{
	struct metrics_http *http = calloc(1, sizeof(*http));

	*out = NULL;
	if (!http)
		return -ENOMEM;
	http->metrics = m;
	http->listen = *listen;
	CDS_INIT_LIST_HEAD(&http->waiting);
	(void)uv_timer_init(loop, &http->timer);
	http->timer.data = http;
	http->n_handles = 1;
	try_to_start(&http->timer);
	*out = http;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct metrics_http *http = handle->data;

	if (!--http->n_handles)
		free(http);
}

static void stop(struct metrics_http *http)
{
	struct request *request;

	/* The library cannot end while somebody is suspended. */
	cds_list_for_each_entry(request, &http->waiting, link) {
		metrics_leave(http->metrics, &request->asker);
		MHD_resume_connection(request->connection);
	}
	uv_close((uv_handle_t *)&http->poll, on_closed);
	MHD_stop_daemon(http->daemon);
}

void metrics_http_close(struct metrics_http *http)
{
	if (!http)
		return;
	if (http->daemon)
		stop(http);
	uv_close((uv_handle_t *)&http->timer, on_closed);
}
