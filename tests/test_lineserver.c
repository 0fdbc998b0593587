/* SPDX-License-Identifier: MIT */
/*
 * lineserver and the socket file under it: a real loop in this thread, clients
 * as plain sockets of it. Every wait is for an event; a deadline ends a test
 * whose event does not come.
 */
#include "../src/manage/lineserver.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { DEADLINE_MS = 20000, REQUEST_MAX = 1000, BIG = 4 << 20 };

static struct {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct lineserver *server;
	char dir[64];
	char path[96];
	unsigned requests, gone, too_long, left;
	struct text *later; /* of the latest "later" */
	bool close_when_gone;
} lab;

static void on_left(void *arg)
{
	ck_assert_ptr_eq(arg, &lab);
	lab.left++;
}

/* "big" is answered by BIG bytes, "bye" by a hang-up, "later" later, all else by itself in brackets. */
static bool on_request(void *arg, char *text, size_t len, struct text *answer)
{
	ck_assert_ptr_eq(arg, &lab);
	ck_assert_int_eq(text[len], '\0');
	lab.requests++;
	if (strcmp(text, "big") == 0) {
		char *to = text_reserve(answer, BIG);

		memset(to, 'x', BIG - 1);
		to[BIG - 1] = '\n';
		answer->len += BIG;
		return true;
	}
	if (strcmp(text, "silence") == 0)
		return true;
	if (strcmp(text, "later") == 0) {
		lab.later = answer;
		lineserver_later(answer, on_left, &lab);
		return true;
	}
	text_add_string(answer, "[");
	text_add(answer, text, len);
	text_add_string(answer, "]\n");
	return strcmp(text, "bye") != 0;
}

static void on_too_long(void *arg, struct text *answer)
{
	(void)arg;
	lab.too_long++;
	text_add_string(answer, "too long\n");
}

static void on_gone(void *arg)
{
	(void)arg;
	lab.gone++;
	if (lab.close_when_gone) {
		lineserver_close(lab.server);
		lab.server = NULL;
	}
}

static struct lineserver_ops ops_with(const char *end)
{
	return (struct lineserver_ops){ .end = end,
					.max = REQUEST_MAX,
					.request = on_request,
					.too_long = on_too_long,
					.gone = on_gone };
}

static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
	ck_abort_msg("what the test waits for has not come");
}

static void setup(void)
{
	memset(&lab, 0, sizeof(lab));
	ck_assert_int_eq(uv_loop_init(&lab.loop), 0);
	uv_timer_init(&lab.loop, &lab.deadline);
	uv_timer_start(&lab.deadline, on_deadline, DEADLINE_MS, 0);
	uv_unref((uv_handle_t *)&lab.deadline);
	snprintf(lab.dir, sizeof(lab.dir), "/tmp/berth-lineserver-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(lab.dir));
	snprintf(lab.path, sizeof(lab.path), "%s/run/test.sock", lab.dir);
}

static void teardown(void)
{
	char command[128];

	lineserver_close(lab.server);
	uv_close((uv_handle_t *)&lab.deadline, NULL);
	uv_run(&lab.loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&lab.loop), 0);
	ck_assert_int_ne(access(lab.path, F_OK), 0);
	snprintf(command, sizeof(command), "rm -r %s", lab.dir);
	ck_assert_int_eq(system(command), 0);
}

static void open_server(const char *end)
{
	struct lineserver_ops ops = ops_with(end);

	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, lab.path, &ops, &lab), 0);
}

static int connect_client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, lab.path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Turns the loop until len bytes have come, or the end. Returns how many came. */
static size_t hear(int fd, char *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(fd, buf + got, len - got, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			break;
		if (n > 0) {
			got += (size_t)n;
			continue;
		}
		ck_assert_int_eq(errno, EAGAIN);
		uv_run(&lab.loop, UV_RUN_ONCE);
	}
	return got;
}

static void expect(int fd, const char *want)
{
	char buf[512];
	size_t n = hear(fd, buf, strlen(want));

	ck_assert_uint_eq(n, strlen(want));
	ck_assert_int_eq(memcmp(buf, want, n), 0);
}

static void expect_end(int fd)
{
	char c;

	ck_assert_uint_eq(hear(fd, &c, 1), 0);
	close(fd);
}

/* Serving */

START_TEST(several_requests)
{
	int fd;

	open_server("\n");
	fd = connect_client();
	say(fd, "one\n");
	expect(fd, "[one]\n");
	say(fd, "two\nthree\n\nfo");
	expect(fd, "[two]\n[three]\n[]\n");
	say(fd, "ur\n");
	expect(fd, "[four]\n");
	ck_assert_uint_eq(lab.requests, 5);
	close(fd);
}
END_TEST

/* An answer that comes later: nothing more is answered before it, and others are. */
START_TEST(later)
{
	int fd, other;

	open_server("\n");
	fd = connect_client();
	say(fd, "later\nnext\n");
	while (!lab.later)
		uv_run(&lab.loop, UV_RUN_ONCE);
	other = connect_client();
	say(other, "one\n");
	expect(other, "[one]\n");
	ck_assert_uint_eq(lab.requests, 2);
	text_add_string(lab.later, "now\n");
	lineserver_now(lab.later);
	expect(fd, "now\n[next]\n");
	ck_assert_uint_eq(lab.left, 0);
	close(fd);
	close(other);
}
END_TEST

/* Who waits for an answer and goes away is told of, once; so is who waits when all is closed. */
START_TEST(later_left)
{
	int fd;

	open_server("\n");
	fd = connect_client();
	say(fd, "later\n");
	while (!lab.later)
		uv_run(&lab.loop, UV_RUN_ONCE);
	close(fd);
	while (!lab.left)
		uv_run(&lab.loop, UV_RUN_ONCE);
	lab.later = NULL;
	fd = connect_client();
	say(fd, "later\n");
	while (!lab.later)
		uv_run(&lab.loop, UV_RUN_ONCE);
	lineserver_close(lab.server);
	lab.server = NULL;
	ck_assert_uint_eq(lab.left, 2);
	close(fd);
}
END_TEST

/* Who has asked all that it wants to know, and says so, still waits; until it goes away. */
START_TEST(later_half_closed)
{
	int fd, other;

	open_server("\n");
	fd = connect_client();
	say(fd, "later\nnext\n");
	shutdown(fd, SHUT_WR);
	while (!lab.later)
		uv_run(&lab.loop, UV_RUN_ONCE);
	other = connect_client();
	for (unsigned i = 0; i < 3; i++) {
		say(other, "one\n");
		expect(other, "[one]\n");
	}
	ck_assert_uint_eq(lab.left, 0);
	if (_i) {
		close(fd);
		while (!lab.left)
			uv_run(&lab.loop, UV_RUN_ONCE);
	} else {
		text_add_string(lab.later, "now\n");
		lineserver_now(lab.later);
		expect(fd, "now\n[next]\n");
		expect_end(fd);
		ck_assert_uint_eq(lab.left, 0);
	}
	close(other);
}
END_TEST

/* Our patience ends for them, too. */
START_TEST(later_never)
{
	struct lineserver_ops ops = ops_with("\n");
	int fd;

	ops.patience_ms = 50;
	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, lab.path, &ops, &lab), 0);
	fd = connect_client();
	say(fd, "later\n");
	expect_end(fd);
	ck_assert_uint_eq(lab.left, 1);
}
END_TEST

START_TEST(byte_by_byte)
{
	static const char text[] = "a=1\nb=2\n\nc\n\n";
	int fd;

	open_server("\n\n");
	fd = connect_client();
	for (size_t i = 0; text[i]; i++) {
		ck_assert_int_eq(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
		uv_run(&lab.loop, UV_RUN_ONCE);
	}
	expect(fd, "[a=1\nb=2]\n[c]\n");
	close(fd);
}
END_TEST

/* All is said before anybody listens; then only answers are waited for. */
START_TEST(half_closed)
{
	int fd;

	open_server("\n");
	fd = connect_client();
	say(fd, "one\ntwo\nthr");
	shutdown(fd, SHUT_WR);
	expect(fd, "[one]\n[two]\n");
	expect_end(fd);
	ck_assert_uint_eq(lab.requests, 2);
}
END_TEST

START_TEST(hang_up)
{
	int fd;

	open_server("\n");
	fd = connect_client();
	say(fd, "bye\nmore\n");
	expect(fd, "[bye]\n");
	expect_end(fd);
	ck_assert_uint_eq(lab.requests, 1);
}
END_TEST

START_TEST(answer_of_nothing)
{
	int fd;

	open_server("\n");
	fd = connect_client();
	say(fd, "silence\nword\n");
	expect(fd, "[word]\n");
	close(fd);
}
END_TEST

START_TEST(lengths)
{
	char text[REQUEST_MAX + 2], want[REQUEST_MAX + 8];
	int fd;

	open_server("\n");
	/* the longest one */
	memset(text, 'a', sizeof(text));
	text[REQUEST_MAX - 1] = '\n';
	text[REQUEST_MAX] = '\0';
	fd = connect_client();
	say(fd, text);
	snprintf(want, sizeof(want), "[%.*s]\n", REQUEST_MAX - 1, text);
	{
		char buf[sizeof(want)];

		ck_assert_uint_eq(hear(fd, buf, strlen(want)), strlen(want));
	}
	close(fd);
	/* one byte more */
	text[REQUEST_MAX - 1] = 'a';
	text[REQUEST_MAX] = '\n';
	text[REQUEST_MAX + 1] = '\0';
	fd = connect_client();
	say(fd, text);
	expect(fd, "too long\n");
	expect_end(fd);
	/* an end that never comes */
	text[REQUEST_MAX] = 'a';
	fd = connect_client();
	say(fd, text);
	expect(fd, "too long\n");
	expect_end(fd);
	ck_assert_uint_eq(lab.too_long, 2);
}
END_TEST

/* Who does not read does not hinder who does, and gets it all in the end. */
START_TEST(slow_reader)
{
	char *buf = malloc(BIG);
	int slow, quick;

	open_server("\n");
	slow = connect_client();
	say(slow, "big\nbig\nlast\n");
	quick = connect_client();
	for (int i = 0; i < 100; i++) {
		say(quick, "word\n");
		expect(quick, "[word]\n");
	}
	/* Only one answer waits: the second request has not been looked at. */
	ck_assert_uint_eq(lab.requests, 101);
	ck_assert_uint_eq(hear(slow, buf, BIG), BIG);
	ck_assert_uint_eq(hear(slow, buf, BIG), BIG);
	expect(slow, "[last]\n");
	close(slow);
	close(quick);
	free(buf);
}
END_TEST

START_TEST(dead_reader)
{
	int dead, alive;

	open_server("\n");
	dead = connect_client();
	say(dead, "big\nbig\n");
	while (!lab.requests)
		uv_run(&lab.loop, UV_RUN_ONCE);
	close(dead);
	alive = connect_client();
	say(alive, "word\n");
	expect(alive, "[word]\n");
	close(alive);
}
END_TEST

/* Half a request, and half an answer: both are dropped. The silent one stays. */
START_TEST(patience)
{
	struct lineserver_ops ops = ops_with("\n");
	int silent, half, deaf;
	char buf[1024];

	ops.patience_ms = 30;
	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, lab.path, &ops, &lab), 0);
	silent = connect_client();
	deaf = connect_client();
	say(deaf, "big\n");
	half = connect_client();
	say(half, "wor");
	expect_end(half);
	/* What the kernel holds of the answer is there, the rest is not. */
	do
		uv_run(&lab.loop, UV_RUN_ONCE);
	while (send(deaf, "x", 1, MSG_NOSIGNAL) > 0);
	ck_assert(recv(deaf, buf, sizeof(buf), 0) > 0);
	close(deaf);
	say(silent, "word\n");
	expect(silent, "[word]\n");
	close(silent);
}
END_TEST

START_TEST(many_clients)
{
	enum { CLIENTS = LINESERVER_CLIENTS_MAX + 10 };
	int fds[CLIENTS];

	open_server("\n");
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = connect_client();
		say(fds[i], "word\n");
		if (i < LINESERVER_CLIENTS_MAX)
			expect(fds[i], "[word]\n");
	}
	/* The rest have their turn when somebody leaves. */
	for (int i = 0; i < CLIENTS; i++) {
		if (i >= LINESERVER_CLIENTS_MAX)
			expect(fds[i], "[word]\n");
		close(fds[i]);
	}
	ck_assert_uint_eq(lab.requests, CLIENTS);
}
END_TEST

/* Without descriptors nothing is accepted, and the loop does not spin. */
START_TEST(no_descriptors)
{
	struct lineserver_ops ops = ops_with("\n");
	struct rlimit before, tight;
	int fd, turns = 0;

	ops.patience_ms = 40;
	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, lab.path, &ops, &lab), 0);
	fd = connect_client();
	say(fd, "word\n");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)fd + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	for (uint64_t start = uv_now(&lab.loop); uv_now(&lab.loop) < start + 100; turns++)
		uv_run(&lab.loop, UV_RUN_ONCE);
	ck_assert_int_lt(turns, 50);
	ck_assert_uint_eq(lab.requests, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect(fd, "[word]\n");
	close(fd);
}
END_TEST

START_TEST(close_amid)
{
	int fds[3];

	open_server("\n");
	for (int i = 0; i < 3; i++)
		fds[i] = connect_client();
	say(fds[0], "big\n");
	say(fds[1], "hal");
	while (!lab.requests)
		uv_run(&lab.loop, UV_RUN_ONCE);
	lineserver_close(lab.server);
	lab.server = NULL;
	expect_end(fds[1]);
	close(fds[0]);
	close(fds[2]);
	lineserver_close(NULL);
}
END_TEST

/* The file */

START_TEST(modes)
{
	mode_t mask = umask(0);
	struct stat st;

	open_server("\n");
	umask(mask);
	ck_assert_int_eq(stat(lab.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	strrchr(lab.path, '/')[0] = '\0';
	ck_assert_int_eq(stat(lab.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	strcat(lab.path, "/test.sock");
}
END_TEST

/*
 * The name is given to a socket that listens: `wg show` removes one that refuses it. What a
 * process left that died before is no hindrance.
 */
START_TEST(appears_listening)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	const char *name = strrchr(lab.path, '/') + 1;
	const struct inotify_event *event;
	unsigned moved = 0;
	char beside[128];
	ssize_t n;

	snprintf(beside, sizeof(beside), "%s/run", lab.dir);
	ck_assert_int_eq(mkdir(beside, 0755), 0);
	strcat(beside, "/.berth.new");
	close(open(beside, O_CREAT | O_WRONLY, 0600));
	snprintf(events, sizeof(events), "%s/run", lab.dir);
	ck_assert_int_ge(inotify_add_watch(inotify, events, IN_CREATE | IN_MOVED_TO), 0);
	open_server("\n");
	n = read(inotify, events, sizeof(events));
	ck_assert_int_gt(n, 0);
	for (char *at = events; at < events + n; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)at;
		if (strcmp(event->name, name) != 0)
			continue;
		ck_assert_uint_eq(event->mask, IN_MOVED_TO);
		moved++;
	}
	ck_assert_uint_eq(moved, 1);
	ck_assert_int_ne(access(beside, F_OK), 0);
	close(inotify);
}
END_TEST

START_TEST(in_use)
{
	struct lineserver_ops ops = ops_with("\n");
	struct lineserver *second;
	int fd;

	open_server("\n");
	ck_assert_int_eq(lineserver_open(&second, &lab.loop, lab.path, &ops, &lab), -EADDRINUSE);
	ck_assert_ptr_null(second);
	/* The first has not noticed, but for a client that said nothing. */
	fd = connect_client();
	say(fd, "word\n");
	expect(fd, "[word]\n");
	ck_assert_uint_eq(lab.gone, 0);
	close(fd);
}
END_TEST

/* A process that dies without a word leaves its file. */
START_TEST(stale)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(lab.path, sizeof(lab.path), "%s/stale.sock", lab.dir);
	strcpy(addr.sun_path, lab.path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	open_server("\n");
	fd = connect_client();
	say(fd, "word\n");
	expect(fd, "[word]\n");
	close(fd);
}
END_TEST

START_TEST(bad_paths)
{
	struct lineserver_ops ops = ops_with("\n");
	char path[256];
	struct stat st;
	int fd;

	/* what is not a socket is not removed */
	snprintf(path, sizeof(path), "%s/file", lab.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, path, &ops, &lab), -ENOTSOCK);
	ck_assert_int_eq(stat(path, &st), 0);
	/* a file for a folder */
	snprintf(path, sizeof(path), "%s/file/x.sock", lab.dir);
	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, path, &ops, &lab), -ENOTDIR);
	/* two folders missing */
	snprintf(path, sizeof(path), "%s/a/b/x.sock", lab.dir);
	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, path, &ops, &lab), -ENOENT);
	/* too long for sockets */
	memset(path, 'x', 120);
	path[120] = '\0';
	ck_assert_int_eq(lineserver_open(&lab.server, &lab.loop, path, &ops, &lab),
			 -ENAMETOOLONG);
	ck_assert_ptr_null(lab.server);
}
END_TEST

static void wait_gone(void)
{
	while (!lab.gone)
		uv_run(&lab.loop, UV_RUN_ONCE);
	/* Once, and not for its own closing. */
	uv_run(&lab.loop, UV_RUN_NOWAIT);
	ck_assert_uint_eq(lab.gone, 1);
}

START_TEST(removed)
{
	lab.close_when_gone = _i;
	open_server("\n");
	ck_assert_int_eq(unlink(lab.path), 0);
	wait_gone();
}
END_TEST

START_TEST(renamed_away)
{
	char to[128];

	open_server("\n");
	snprintf(to, sizeof(to), "%s/elsewhere", lab.dir);
	ck_assert_int_eq(rename(lab.path, to), 0);
	wait_gone();
}
END_TEST

/* Somebody else's file is not ours to remove, and others in the folder do not matter. */
START_TEST(replaced)
{
	char other[128];
	struct stat st;

	open_server("\n");
	snprintf(other, sizeof(other), "%s/run/other", lab.dir);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	uv_run(&lab.loop, UV_RUN_ONCE);
	ck_assert_uint_eq(lab.gone, 0);
	ck_assert_int_eq(rename(other, lab.path), 0);
	wait_gone();
	lineserver_close(lab.server);
	lab.server = NULL;
	ck_assert_int_eq(stat(lab.path, &st), 0);
	unlink(lab.path);
}
END_TEST

START_TEST(adopted)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct lineserver_ops ops = ops_with("\n");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int client;

	snprintf(lab.path, sizeof(lab.path), "%s/adopted.sock", lab.dir);
	strcpy(addr.sun_path, lab.path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(lineserver_adopt(&lab.server, &lab.loop, fd, &ops, &lab), 0);
	client = connect_client();
	say(client, "word\n");
	expect(client, "[word]\n");
	close(client);
	ck_assert_int_eq(unlink(lab.path), 0);
	wait_gone();
}
END_TEST

START_TEST(adopted_without_file)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct lineserver_ops ops = ops_with("\n");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	/* Linux binds it to an abstract name of its choice. */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(lineserver_adopt(&lab.server, &lab.loop, fd, &ops, &lab), 0);
}
END_TEST

START_TEST(not_adopted)
{
	struct lineserver_ops ops = ops_with("\n");
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(lineserver_adopt(&lab.server, &lab.loop, fds[0], &ops, &lab), -ENOTSOCK);
	/* it was closed */
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(lineserver_adopt(&lab.server, &lab.loop, fds[0], &ops, &lab), -ENOTSOCK);
	close(fds[1]);
	ck_assert_int_eq(lineserver_adopt(&lab.server, &lab.loop,
					  socket(AF_INET, SOCK_DGRAM, 0), &ops, &lab), -ENOTSOCK);
	ck_assert_int_eq(lineserver_adopt(&lab.server, &lab.loop, 999, &ops, &lab), -ENOTSOCK);
	ck_assert_ptr_null(lab.server);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lineserver");
	TCase *t = tcase_create("serving");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, several_requests);
	tcase_add_test(t, byte_by_byte);
	tcase_add_test(t, later);
	tcase_add_test(t, later_left);
	tcase_add_loop_test(t, later_half_closed, 0, 2);
	tcase_add_test(t, later_never);
	tcase_add_test(t, half_closed);
	tcase_add_test(t, hang_up);
	tcase_add_test(t, answer_of_nothing);
	tcase_add_test(t, lengths);
	tcase_add_test(t, slow_reader);
	tcase_add_test(t, dead_reader);
	tcase_add_test(t, patience);
	tcase_add_test(t, many_clients);
	tcase_add_test(t, no_descriptors);
	tcase_add_test(t, close_amid);
	suite_add_tcase(s, t);
	t = tcase_create("file");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, modes);
	tcase_add_test(t, appears_listening);
	tcase_add_test(t, in_use);
	tcase_add_test(t, stale);
	tcase_add_test(t, bad_paths);
	tcase_add_loop_test(t, removed, 0, 2);
	tcase_add_test(t, renamed_away);
	tcase_add_test(t, replaced);
	tcase_add_test(t, adopted);
	tcase_add_test(t, adopted_without_file);
	tcase_add_test(t, not_adopted);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
