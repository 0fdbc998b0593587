/* SPDX-License-Identifier: MIT */
/* owner: what this process has is found to be its own. */
#include "../src/host/owner.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void check_is_us(const struct owner *owner)
{
	char want[OWNER_STRLEN], got[OWNER_STRLEN];
	char comm[16] = "";
	FILE *file = fopen("/proc/self/comm", "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%15[^\n]", comm), 1);
	fclose(file);
	ck_assert_int_eq(owner->pid, getpid());
	snprintf(want, sizeof(want), "%s (pid %d)", comm, (int)getpid());
	ck_assert_str_eq(owner_format(owner, got), want);
}

static int bind_udp(int family, uint16_t *port)
{
	struct sockaddr_in6 addr = { .sin6_family = (sa_family_t)family };
	socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(addr);
	int fd = socket(family, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len)) {
		close(fd);
		return -1;
	}
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*port = ntohs(addr.sin6_port); /* where IPv4 has it too */
	return fd;
}

START_TEST(udp)
{
	struct owner owner;
	uint16_t port;
	int fd = bind_udp(_i ? AF_INET6 : AF_INET, &port);

	if (fd < 0) {
		printf("owner: no %s here, skipped\n", _i ? "IPv6" : "IPv4");
		return;
	}
	ck_assert(owner_of_udp_port(port, &owner));
	check_is_us(&owner);
	close(fd);
	ck_assert(!owner_of_udp_port(port, &owner));
}
END_TEST

/* Ports are asked for where the calling thread is. */
START_TEST(udp_elsewhere)
{
	struct owner owner;
	uint16_t port;
	int fd = bind_udp(AF_INET, &port);

	ck_assert_int_ge(fd, 0);
	if (unshare(CLONE_NEWNET)) {
		printf("owner: no network namespaces without root, skipped\n");
		close(fd);
		return;
	}
	ck_assert(!owner_of_udp_port(port, &owner));
	close(fd);
}
END_TEST

START_TEST(tun)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct owner owner;
	int fd;

	if (unshare(CLONE_NEWNET)) {
		printf("owner: no network namespaces without root, skipped\n");
		return;
	}
	fd = open("/dev/net/tun", O_RDWR);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "ownertest%d", (int)getpid() % 10000);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request)) {
		printf("owner: no TUN devices here, skipped\n");
		return;
	}
	ck_assert(owner_of_tun(request.ifr_name, &owner));
	check_is_us(&owner);
	/* not a part of the name */
	request.ifr_name[strlen(request.ifr_name) - 1] = '\0';
	ck_assert(!owner_of_tun(request.ifr_name, &owner));
	close(fd);
}
END_TEST

START_TEST(unix_socket)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char too_long[200];
	struct owner owner;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/berth-owner-%d.sock", (int)getpid());
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert(!owner_of_socket(addr.sun_path, &owner)); /* nobody listens yet */
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert(owner_of_socket(addr.sun_path, &owner));
	check_is_us(&owner);
	close(fd);
	ck_assert(!owner_of_socket(addr.sun_path, &owner));
	unlink(addr.sun_path);
	ck_assert(!owner_of_socket(addr.sun_path, &owner));
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	ck_assert(!owner_of_socket(too_long, &owner));
}
END_TEST

START_TEST(words)
{
	struct owner kernel = { 0 };
	struct owner go = { .pid = 123, .command = "wireguard-go" };
	char buf[OWNER_STRLEN];

	ck_assert_str_eq(owner_format(NULL, buf), "another process");
	ck_assert_str_eq(owner_format(&kernel, buf), "the kernel");
	ck_assert_str_eq(owner_format(&go, buf), "wireguard-go (pid 123)");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("owner");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, udp, 0, 2);
	tcase_add_test(t, udp_elsewhere);
	tcase_add_test(t, tun);
	tcase_add_test(t, unix_socket);
	tcase_add_test(t, words);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
