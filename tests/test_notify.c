/* SPDX-License-Identifier: MIT */
/* What the service manager hears: a socket of our own in the place of systemd's. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../src/base/clock.h"
#include "../src/manage/notify.h"

static const char path[] = "/tmp/berth-test-notify", abstract[] = "@berth-test-notify";

static int listen_at(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, name);
	unlink(name);
	if (*name == '@')
		addr.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *heard(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[max(n, (ssize_t)0)] = '\0';
	return text;
}

START_TEST(lines)
{
	int fd = listen_at(_i ? abstract : path);
	struct notify n;

	notify_open(&n);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_uint_eq(n.watchdog, 0);
	notify_send(&n, "READY=1");
	ck_assert_str_eq(heard(fd), "READY=1");
	notify_status(&n, "%d tenants", 3);
	ck_assert_str_eq(heard(fd), "STATUS=3 tenants");
	notify_status(&n, "%d tenants", 3);
	ck_assert_str_eq(heard(fd), "");
	notify_status(&n, "%d tenants", 4);
	ck_assert_str_eq(heard(fd), "STATUS=4 tenants");
	notify_close(&n);
	notify_send(&n, "STOPPING=1");
	ck_assert_str_eq(heard(fd), "");
	close(fd);
	unlink(path);
}
END_TEST

static unsigned long long monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000;
}

START_TEST(reloading)
{
	int fd = listen_at(path);
	unsigned long long before = monotonic_us(), us;
	struct notify n;

	notify_open(&n);
	notify_reloading(&n);
	ck_assert_int_eq(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%llu", &us), 1);
	ck_assert(us >= before && us <= monotonic_us());
	notify_close(&n);
	close(fd);
	unlink(path);
}
END_TEST

/* sd_watchdog_enabled(3) */
static const struct {
	const char *usec, *pid;
	uint64_t ns;
} watchdogs[] = {
	{ "30000000", NULL, 30 * NSEC_PER_SEC },
	{ "30000000", "me", 30 * NSEC_PER_SEC },
	{ "30000000", "1", 0 }, /* meant for who started us */
	{ "0", NULL, 0 },
	{ "", NULL, 0 },
	{ "30s", NULL, 0 },
	{ "-1", NULL, 0 },
	{ "18446744073709551615", NULL, 0 },
	{ NULL, NULL, 0 },
};

START_TEST(watchdog)
{
	int fd = listen_at(path);
	char me[16];
	struct notify n;

	snprintf(me, sizeof(me), "%d", getpid());
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (watchdogs[_i].usec)
		setenv("WATCHDOG_USEC", watchdogs[_i].usec, 1);
	if (watchdogs[_i].pid)
		setenv("WATCHDOG_PID", strcmp(watchdogs[_i].pid, "me") ? watchdogs[_i].pid : me, 1);
	notify_open(&n);
	ck_assert_uint_eq(n.watchdog, watchdogs[_i].ns);
	ck_assert(!getenv("WATCHDOG_USEC") && !getenv("WATCHDOG_PID"));
	notify_close(&n);
	close(fd);
	unlink(path);
}
END_TEST

/* Nobody there, or what is no address: said, and then quiet. */
START_TEST(nobody)
{
	static const char *const names[] = { NULL, "", "/", "@", "relative", "/nonexistent/s",
					     "/tmp/0123456789012345678901234567890123456789012345"
					     "678901234567890123456789012345678901234567890123456"
					     "789012345678901234567890" };
	struct notify n;

	unsetenv("NOTIFY_SOCKET");
	if (names[_i])
		setenv("NOTIFY_SOCKET", names[_i], 1);
	setenv("WATCHDOG_USEC", "1000000", 1);
	notify_open(&n);
	ck_assert_int_lt(n.fd, 0);
	ck_assert_uint_eq(n.watchdog, 0);
	notify_send(&n, "READY=1");
	notify_reloading(&n);
	notify_status(&n, "x");
	notify_close(&n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notify");
	TCase *tc = tcase_create("notify");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, lines, 0, 2);
	tcase_add_test(tc, reloading);
	tcase_add_loop_test(tc, watchdog, 0, ARRAY_SIZE(watchdogs));
	tcase_add_loop_test(tc, nobody, 0, 7);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
