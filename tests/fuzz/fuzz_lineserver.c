/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: a client of a unix socket that says anything, in pieces of any size, and hangs up
 * behind it. However it was cut, the answers are those of a slow and obvious reading of the whole.
 * Requests end in two newlines, as those of the UAPI. The input is a piece's length and its bytes,
 * again and again.
 *
 * Length: 400
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/manage/lineserver.h"
#include "fuzz.h"

enum { REQUEST_MAX = 64, ANSWERS_MAX = 8192, TURNS_MAX = 20000 };

static uv_loop_t loop;
static struct lineserver *server;
static struct text *later;
static bool left;
static char path[64];

static void on_left(void *arg)
{
	(void)arg;
	later = NULL;
	left = true;
}

/* "bye" hangs up, "later" is answered in a later turn, everything by itself in brackets. */
static bool on_request(void *arg, char *text, size_t len, struct text *answer)
{
	(void)arg;
	must(len + 2 <= REQUEST_MAX && text[len] == '\0');
	text_add_string(answer, "[");
	text_add(answer, text, len);
	text_add_string(answer, "]");
	if (len >= 5 && !memcmp(text, "later", 5)) {
		later = answer;
		lineserver_later(answer, on_left, NULL);
	}
	return len < 3 || memcmp(text, "bye", 3) != 0;
}

static void on_too_long(void *arg, struct text *answer)
{
	(void)arg;
	text_add_string(answer, "<too long>");
}

static void remove_socket(void)
{
	lineserver_close(server);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
}

static void start(void)
{
	static const struct lineserver_ops ops = { .end = "\n\n", .max = REQUEST_MAX,
						   .request = on_request,
						   .too_long = on_too_long };

	(void)snprintf(path, sizeof(path), "/tmp/berth-fuzz-%d.sock", (int)getpid());
	must(!uv_loop_init(&loop) && !lineserver_open(&server, &loop, path, &ops, NULL));
	(void)atexit(remove_socket);
}

static int connect_client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	must(fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	return fd;
}

/* What should come back; *n bytes. False: the server may hang up before it has read all. */
static bool naive(const uint8_t *said, size_t len, char *out, size_t *n)
{
	size_t at = 0;

	*n = 0;
	while (at < len) {
		const uint8_t *end = memmem(said + at, len - at, "\n\n", 2);
		size_t size = end ? (size_t)(end - said) - at : len - at;

		if (size + (end ? 2 : 0) > REQUEST_MAX) {
			*n += (size_t)sprintf(out + *n, "<too long>");
			return false;
		}
		if (!end)
			return true;
		out[(*n)++] = '[';
		memcpy(out + *n, said + at, size);
		*n += size;
		out[(*n)++] = ']';
		if (size >= 3 && !memcmp(said + at, "bye", 3))
			return false;
		at += size + 2;
	}
	return true;
}

static void turn(void)
{
	struct text *answer = later;

	(void)uv_run(&loop, UV_RUN_NOWAIT);
	if (answer && answer == later) {
		later = NULL;
		lineserver_now(answer);
	}
}

/* Reads what there is; false: that was the end. */
static bool hear(int fd, char *out, size_t *n)
{
	ssize_t got = recv(fd, out + *n, ANSWERS_MAX - *n, MSG_DONTWAIT);

	if (got > 0)
		*n += (size_t)got;
	return got > 0 || (got < 0 && errno == EAGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t said[4096];
	static char wanted[ANSWERS_MAX], heard[ANSWERS_MAX];
	struct input in = { data, size };
	size_t n_said = 0, n_wanted, n_heard = 0;
	unsigned turns = 0;
	bool open = true, whole;
	int fd;

	if (!server)
		start();
	left = false;
	fd = connect_client();
	while (in.size && open) {
		size_t len = min((size_t)take_u8(&in), in.size);

		if (send(fd, in.data, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
			break; /* it has hung up */
		memcpy(said + n_said, in.data, len);
		n_said += len;
		in.data += len;
		in.size -= len;
		turn();
		open = hear(fd, heard, &n_heard);
	}
	whole = naive(said, n_said, wanted, &n_wanted);
	/* Who says no more hears the rest; but an answer that comes later needs a client. */
	while (open && n_heard < n_wanted && turns++ < TURNS_MAX) {
		turn();
		open = hear(fd, heard, &n_heard);
	}
	(void)shutdown(fd, SHUT_WR);
	while (open && turns++ < TURNS_MAX) {
		turn();
		open = hear(fd, heard, &n_heard);
	}
	must(!open && !left);
	/* A hang-up may take with it what was still on its way. */
	must(whole ? n_heard == n_wanted : n_heard <= n_wanted);
	must(!memcmp(heard, wanted, n_heard));
	close(fd);
	return 0;
}
