/* SPDX-License-Identifier: MIT */
/* A socket with an error is polled on: UDP over loopback, to a port that is closed at first. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../src/base/poll.h"

static uv_loop_t loop;
static uv_poll_t handle;
static unsigned errors, received;
static int fd;

static void on_readable(uv_poll_t *poll, int status, int events)
{
	char buf[16];

	(void)events;
	errors += status < 0;
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		received++;
	ck_assert_int_eq(poll_go_on(poll, status, on_readable), 0);
}

START_TEST(goes_on)
{
	struct sockaddr_in ours = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in theirs = ours;
	socklen_t len = sizeof(ours);
	int peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert(peer >= 0 && fd >= 0);
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&theirs, len), 0);
	ck_assert_int_eq(getsockname(peer, (struct sockaddr *)&theirs, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&theirs, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ours, &len), 0);
	close(peer);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(uv_poll_init(&loop, &handle, fd), 0);
	ck_assert_int_eq(uv_poll_start(&handle, UV_READABLE, on_readable), 0);

	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(send(fd, "", 1, 0), 1);
		while (errors < i)
			uv_run(&loop, UV_RUN_ONCE);
	}
	peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&theirs, len), 0);
	ck_assert_int_eq(sendto(peer, "", 1, 0, (struct sockaddr *)&ours, len), 1);
	while (!received)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&handle, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	close(peer);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("poll");
	TCase *tc = tcase_create("poll");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, goes_on);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
