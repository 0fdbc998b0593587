/* SPDX-License-Identifier: MIT */
/* broker: what it opens is what its caller could not, and its end is its parent's. */
#include "../tun/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "../tun/netlink.h"
#include "../tun/netns.h"
#include "in_netns.h"

static int owner(const char *what, char command[BROKER_COMMAND])
{
	if (strcmp(what, "udp:1"))
		return -ESRCH;
	strcpy(command, "somebody");
	return 77;
}

static const struct broker_ops ops = { .owner = owner };

static ino_t inode_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

static int domain_of(int fd)
{
	int domain = -1;
	socklen_t len = sizeof(domain);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len), 0);
	return domain;
}

static void in_netns_with_broker(void)
{
	in_netns_setup();
	sh("ip netns add a && ip netns exec a ip link add inside type veth peer name outside");
	ck_assert_int_eq(broker_start(&ops), 0);
}

START_TEST(namespaces)
{
	int fd = netns_open("a"), direct = open("/run/netns/a", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(inode_of(fd), inode_of(direct));
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(netns_open("b"), -ENOENT);
	ck_assert_int_eq(netns_open("../a"), -EINVAL);
	ck_assert_int_eq(netns_open("/etc/passwd"), -EINVAL);
	ck_assert_int_eq(netns_open("pid:2147483647"), -ENOENT);
}
END_TEST

START_TEST(long_reference)
{
	char ref[PATH_MAX + 1];

	memset(ref, '/', sizeof(ref) - 1);
	ref[sizeof(ref) - 1] = '\0';
	ck_assert_int_eq(netns_open(ref), -EINVAL);
	ref[PATH_MAX - 1] = '\0';
	ck_assert_int_eq(netns_open(ref), -EINVAL); /* a folder: it got there whole */
}
END_TEST

/* It works inside; and neither we nor the broker stay there. */
START_TEST(netlink_inside)
{
	int fd = netns_open("a");
	struct netlink *nl;

	ck_assert_int_ge(fd, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(netlink_open(&nl, fd), 0);
		ck_assert_int_gt(netlink_link_index(nl, "inside"), 0);
		netlink_close(nl);
		ck_assert_int_eq(netlink_open(&nl, -1), 0);
		ck_assert_int_eq(netlink_link_index(nl, "inside"), -ENODEV);
		netlink_close(nl);
	}
	ck_assert_int_eq(broker_netlink(-1), -EBADF);
	ck_assert_int_eq(broker_netlink(open("/dev/null", O_RDONLY)), -EINVAL);
}
END_TEST

START_TEST(packets)
{
	int fd = broker_packet();
	struct sockaddr_ll link = { 0 };
	socklen_t len = sizeof(link);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(domain_of(fd), AF_PACKET);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&link, &len), 0);
	ck_assert_int_eq(link.sll_protocol, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}
END_TEST

START_TEST(owners)
{
	char command[BROKER_COMMAND] = "";

	ck_assert_int_eq(broker_owner("udp:1", command), 77);
	ck_assert_str_eq(command, "somebody");
	ck_assert_int_eq(broker_owner("udp:2", command), -ESRCH);
}
END_TEST

/* Every answer's descriptor is ours or nobody's: the broker keeps none. */
START_TEST(many)
{
	for (int i = 0; i < 5000; i++) {
		int fd = netns_open("a");

		ck_assert_int_ge(fd, 0);
		close(fd);
	}
}
END_TEST

START_TEST(end)
{
	ck_assert(broker_is_on());
	broker_stop(); /* it waits: the process is gone */
	ck_assert(!broker_is_on());
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_ge(netns_open("a"), 0); /* by ourselves again */
	broker_stop();
}
END_TEST

/* Killed: an error, not a signal or a wait. */
START_TEST(killed)
{
	char path[64], child[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY);
	ck_assert_int_gt(read(fd, child, sizeof(child) - 1), 0);
	ck_assert_int_eq(kill((pid_t)strtol(child, NULL, 10), SIGKILL), 0);
	ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
	ck_assert_int_eq(netns_open("a"), -EPIPE);
	ck_assert_int_eq(broker_packet(), -EPIPE);
}
END_TEST

/* Signals of the terminal and of systemd are for us alone. */
START_TEST(signals)
{
	ck_assert_int_eq(setpgid(0, 0), 0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	broker_stop();
	ck_assert_int_eq(broker_start(&ops), 0);
	ck_assert_int_ge(netns_open("a"), 0); /* it serves: it ignores them */
	kill(0, SIGTERM);
	kill(0, SIGINT);
	kill(0, SIGHUP);
	ck_assert_int_ge(netns_open("a"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("broker");
	TCase *tc = tcase_create("broker");
	SRunner *sr;
	int failed;

	if (!in_netns_possible("broker"))
		return EXIT_SUCCESS;
	tcase_add_checked_fixture(tc, in_netns_with_broker, broker_stop);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, namespaces);
	tcase_add_test(tc, long_reference);
	tcase_add_test(tc, netlink_inside);
	tcase_add_test(tc, packets);
	tcase_add_test(tc, owners);
	tcase_add_test(tc, many);
	tcase_add_test(tc, end);
	tcase_add_test(tc, killed);
	tcase_add_test(tc, signals);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
