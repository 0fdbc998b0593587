/* SPDX-License-Identifier: MIT */
/*
 * neigh as its neighbours see it: what is answered and what is not, whether
 * a kernel believes it, and how fast it comes. Links that change are in
 * test_neigh_link.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <pthread.h>
#include <time.h>

#include "neigh_lab.h"

/* ---- what is answered ---- */

START_TEST(solicitations)
{
	static const struct frame_ns rows[] = {
		{ .source = "fe80::a", .target = TENANT, .link_address = true },
		{ .source = "fe80::a", .destination = TENANT, .target = TENANT,
		  .link_destination = FRAME_US },
		{ .source = "::", .target = TENANT },
		{ .source = "::", .target = TENANT, .nonce = true },
	};
	struct neigh_stats stats;
	struct frame_na na;
	struct frame f;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	frame_solicitation(&f, &rows[_i]);
	ask(&lab, &f);
	na = take_advertisement(&lab);
	check_advertisement(&na, strcmp(rows[_i].source, "::") == 0);
	neigh_stats(lab.neigh, &stats);
	ck_assert_uint_eq(stats.ndp[NDP_OK], 1);
	ck_assert_uint_eq(stats.ndp_answered, 1);
	ck_assert_uint_eq(stats.send_failures, 0);
	lab_close(&lab);
}
END_TEST

START_TEST(arp_requests)
{
	static const struct frame_arp rows[] = {
		{ .sender = "198.51.100.1", .target = TENANT4 },
		{ .sender = "198.51.100.1", .target = TENANT4, .link_destination = FRAME_US },
		{ .sender = "0.0.0.0", .target = TENANT4 },
	};
	const struct frame *reply;
	struct neigh_stats stats;
	struct frame f;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	frame_request(&f, &rows[_i]);
	ask(&lab, &f);
	reply = take(&lab);
	ck_assert_uint_eq(reply->len, 42);
	ck_assert_mem_eq(reply->data, FRAME_ASKER FRAME_US "\x08\x06\0\x01\x08\0\x06\x04\0\x02"
			 FRAME_US "\xc6\x33\x64\x4d" FRAME_ASKER, 38);
	neigh_stats(lab.neigh, &stats);
	ck_assert_uint_eq(stats.arp_answered, 1);
	lab_close(&lab);
}
END_TEST

/* Each is sent before a good one, and the first thing heard is the answer to that. */
START_TEST(silence)
{
	static const struct frame_ns quiet[] = {
		{ .source = "fe80::a", .target = FOREIGN, .link_address = true },
		{ .source = "fe80::a", .target = TENANT, .tagged = true },
		{ .source = "fe80::a", .target = TENANT,
		  .link_destination = "\x02\x00\x00\x00\x00\x99" }, /* to another station */
	};
	static const struct frame_arp quiet4[] = {
		{ .sender = "198.51.100.1", .target = FOREIGN4 },
		{ .sender = TENANT4, .target = TENANT4 },
	};
	struct neigh_stats stats;
	struct frame_na na;
	struct frame f;
	struct lab lab;
	size_t i;

	lab_open(&lab);
	lab_listen(&lab);
	sh("ip link set up0 promisc on");
	for (i = 0; i < ARRAY_SIZE(quiet); i++) {
		frame_solicitation(&f, &quiet[i]);
		ask(&lab, &f);
	}
	for (i = 0; i < ARRAY_SIZE(quiet4); i++) {
		frame_request(&f, &quiet4[i]);
		ask(&lab, &f);
	}
	frame_solicitation(&f, &multicast);
	f.data[14 + 43] ^= 1;
	ask(&lab, &f);
	na = ask_multicast(&lab);
	check_advertisement(&na, false);
	neigh_stats(lab.neigh, &stats);
	ck_assert_uint_eq(stats.ndp[NDP_OK], 2);
	ck_assert_uint_eq(stats.ndp[NDP_BAD_CHECKSUM], 1);
	ck_assert_uint_eq(stats.ndp_asked[NEIGH_UNOWNED], 1);
	ck_assert_uint_eq(stats.ndp_answered, 1);
	ck_assert_uint_eq(stats.arp[ARP_OK], 1);
	ck_assert_uint_eq(stats.arp[ARP_ANNOUNCEMENT], 1);
	ck_assert_uint_eq(stats.arp_asked[NEIGH_UNOWNED], 1);
	ck_assert_uint_eq(stats.arp_answered, 0);
	lab_close(&lab);
}
END_TEST

/* VLAN 0 is a priority and nothing else (IEEE 802.1Q). */
START_TEST(priority_tag)
{
	struct frame_ns ns = multicast;
	struct frame_na na;
	struct frame f;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	ns.tagged = true;
	frame_solicitation(&f, &ns);
	memcpy(f.data + 14, "\xe0\x00", 2);
	ask(&lab, &f);
	na = take_advertisement(&lab);
	check_advertisement(&na, false);
	lab_close(&lab);
}
END_TEST

START_TEST(sources)
{
	static const struct {
		enum router_neighbor_source source;
		bool have_own; /* the uplink has addresses */
		const char *expect;
	} rows[] = {
		{ NEIGHBOR_SOURCE_AUTO, true, OWN_LINK_LOCAL },
		{ NEIGHBOR_SOURCE_LINK_LOCAL, true, OWN_LINK_LOCAL },
		{ NEIGHBOR_SOURCE_GLOBAL, true, OWN_GLOBAL },
		{ NEIGHBOR_SOURCE_TARGET, true, TENANT },
		{ NEIGHBOR_SOURCE_AUTO, false, TENANT },
		{ NEIGHBOR_SOURCE_LINK_LOCAL, false, TENANT },
		{ NEIGHBOR_SOURCE_GLOBAL, false, TENANT },
	};
	struct netlink_addr changed = { .family = AF_INET6 };
	struct in6_addr expect = frame_in6(rows[_i].expect);
	struct frame_na na;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	if (rows[_i].have_own)
		sh("ip addr add " OWN_GLOBAL "/64 dev up0 nodad");
	else
		sh("ip addr flush dev up0");
	wait_for_addresses();
	changed.ifindex = (int)if_nametoindex("up0");
	ck_assert_int_eq(neigh_addr_changed(lab.neigh, &changed), 0);
	neigh_set_source(lab.neigh, rows[_i].source);
	na = ask_multicast(&lab);
	ck_assert_mem_eq(&na.ip.ip6_src, &expect, 16);
	lab_close(&lab);
}
END_TEST

/* Who asks again gets all the answers there are; askers.h */
START_TEST(asked_again)
{
	static const char *const all[] = { OWN_LINK_LOCAL, TENANT, OWN_GLOBAL };
	struct neigh_stats stats;
	struct frame_na na;
	struct frame f;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	sh("ip addr add " OWN_GLOBAL "/64 dev up0 nodad");
	wait_for_addresses();
	ck_assert_int_eq(neigh_refresh(lab.neigh), 0);
	neigh_set_source(lab.neigh, NEIGHBOR_SOURCE_AUTO);
	(void)ask_multicast(&lab);
	frame_solicitation(&f, &multicast);
	do { /* until it is late enough not to be a copy */
		lab.count = 0;
		ask(&lab, &f);
		wait_until(&lab, got_one);
		neigh_stats(lab.neigh, &stats);
	} while (!stats.repeated);
	while (lab.count < ARRAY_SIZE(all))
		uv_run(&lab.loop, UV_RUN_ONCE);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct in6_addr expect = frame_in6(all[i]);

		ck_assert(frame_read_advertisement(lab.got[i].data, lab.got[i].len, &na));
		ck_assert_mem_eq(&na.ip.ip6_src, &expect, 16);
	}
	lab_close(&lab);
}
END_TEST

START_TEST(announcements)
{
	struct in6_addr target = frame_in6(TENANT);
	struct neigh_stats stats;
	struct frame_na na;
	const struct frame *f;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	ck_assert_int_eq(neigh_announce(lab.neigh, AF_INET6, target.s6_addr), 0);
	na = take_advertisement(&lab);
	ck_assert_mem_eq(na.link_destination, "\x33\x33\0\0\0\x01", 6);
	ck_assert_mem_eq(&na.msg.nd_na_target, &target, 16);
	ck_assert_uint_eq(ntohl(na.msg.nd_na_flags_reserved), 0xa0000000);

	ck_assert_int_eq(neigh_announce(lab.neigh, AF_INET, (const uint8_t *)"\xc6\x33\x64\x4d"), 0);
	f = take(&lab);
	ck_assert_uint_eq(f->len, 42);
	ck_assert_mem_eq(f->data, "\xff\xff\xff\xff\xff\xff" FRAME_US, 12);

	ck_assert_int_eq(neigh_announce(lab.neigh, AF_UNIX, target.s6_addr), -EAFNOSUPPORT);
	sh("ip link set up0 down");
	ck_assert_int_eq(neigh_announce(lab.neigh, AF_INET6, target.s6_addr), -ENETDOWN);
	neigh_stats(lab.neigh, &stats);
	ck_assert_uint_eq(stats.announced, 2);
	ck_assert_uint_eq(stats.send_failures, 1);
	lab_close(&lab);
}
END_TEST

/* ---- a kernel asks ---- */

struct router {
	struct lab lab;
	struct nlmon *mon;
	uv_poll_t poll;
	const char *wait_for;
	bool reachable, duplicate;
};

static void on_neigh(const struct netlink_neigh *neigh, bool gone, void *arg)
{
	struct router *router = arg;
	uint8_t addr[16] = { 0 };

	inet_pton(strchr(router->wait_for, ':') ? AF_INET6 : AF_INET, router->wait_for, addr);
	if (!gone && memcmp(neigh->addr, addr, 16) == 0 && neigh->state == NUD_REACHABLE) {
		ck_assert_uint_eq(neigh->lladdr_len, 6);
		ck_assert_mem_eq(neigh->lladdr, FRAME_US, 6);
		router->reachable = true;
	}
}

static void on_addr(const struct netlink_addr *addr, bool gone, void *arg)
{
	struct router *router = arg;

	if (!gone && (addr->flags & IFA_F_DADFAILED))
		router->duplicate = true;
}

static void on_kernel(uv_poll_t *poll, int status, int events)
{
	static const struct nlmon_callbacks callbacks = { .neigh = on_neigh, .addr = on_addr };
	struct router *router = poll->data;

	(void)events;
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(nlmon_read(router->mon, &callbacks, router), 0);
}

static bool is_reachable(struct lab *lab)
{
	return container_of(lab, struct router, lab)->reachable;
}

static bool is_duplicate(struct lab *lab)
{
	return container_of(lab, struct router, lab)->duplicate;
}

static void router_open(struct router *router)
{
	int nsfd;

	memset(router, 0, sizeof(*router));
	router->wait_for = "::";
	lab_open(&router->lab);
	sh("ip netns add router");
	quiet_ipv6("ip netns exec router");
	sh("ip link set ask0 netns router && ip -n router link set ask0 up");
	sh("ip -n router addr add fe80::a/64 dev ask0 nodad");
	sh("ip -n router addr add " OWN_GLOBAL "0/64 dev ask0 nodad");
	sh("ip -n router addr add 198.51.100.1/24 dev ask0");
	nsfd = open("/run/netns/router", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(nlmon_open(&router->mon, nsfd, NLMON_NEIGH | NLMON_ADDR), 0);
	close(nsfd);
	uv_poll_init(&router->lab.loop, &router->poll, nlmon_fd(router->mon));
	router->poll.data = router;
	uv_poll_start(&router->poll, UV_READABLE, on_kernel);
}

static void router_close(struct router *router)
{
	uv_close((uv_handle_t *)&router->poll, NULL);
	lab_close(&router->lab);
	nlmon_close(router->mon);
}

/* A packet makes it resolve the address, first by multicast; later it probes by unicast. */
START_TEST(kernel_resolves)
{
	static const char *const addresses[] = { TENANT, TENANT4 };
	struct neigh_stats before, after;
	struct router router;

	router_open(&router);
	router.wait_for = addresses[_i];
	sh("ip netns exec router bash -c 'echo >/dev/udp/%s/9'", addresses[_i]);
	wait_until(&router.lab, is_reachable);

	neigh_stats(router.lab.neigh, &before);
	router.reachable = false;
	sh("ip -n router neigh replace %s dev ask0 lladdr 02:00:00:00:00:01 nud probe",
	   addresses[_i]);
	wait_until(&router.lab, is_reachable);
	neigh_stats(router.lab.neigh, &after);
	ck_assert_uint_gt(after.ndp_answered + after.arp_answered,
			  before.ndp_answered + before.arp_answered);
	router_close(&router);
}
END_TEST

START_TEST(kernel_detects_duplicate)
{
	struct router router;

	router_open(&router);
	sh("ip -n router addr add " TENANT "/64 dev ask0");
	wait_until(&router.lab, is_duplicate);
	router_close(&router);
}
END_TEST

/* ---- how fast ---- */

enum { IDLE_ASKS = 2000, FLOOD_ASKS = 50000, FLOOD_PER_MS = 50 };

struct measure {
	int ask;
	uv_async_t done;
	struct frame *frames;      /* with the number of each in its target's last bytes */
	uint64_t sent[FLOOD_ASKS]; /* by that number */
	uint64_t took[FLOOD_ASKS];
	uint32_t answered;
};

/* The clock of the kernel's time stamps. */
static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static struct frame *numbered_frames(void)
{
	struct frame *frames = calloc(FLOOD_ASKS, sizeof(*frames));
	struct frame_ns ns = multicast;
	char target[64];
	uint32_t i;

	for (i = 0; i < FLOOD_ASKS; i++) {
		snprintf(target, sizeof(target), "2001:db8:dead:beef:1::%x", i);
		ns.target = target;
		frame_solicitation(&frames[i], &ns);
	}
	return frames;
}

static void send_numbered(struct measure *m, uint32_t number)
{
	m->sent[number] = now_ns();
	(void)!send(m->ask, m->frames[number].data, m->frames[number].len, 0);
}

/*
 * Takes an answer; false when none came for long. The kernel stamps the time of
 * its arrival, so that it does not matter when we get here.
 */
static bool take_numbered(struct measure *m)
{
	struct frame f;
	struct iovec iov = { f.data, sizeof(f.data) };
	union {
		char room[CMSG_SPACE(sizeof(struct timespec))];
		struct cmsghdr align;
	} control;
	struct msghdr msg;
	struct timespec ts;
	uint32_t number;

	do {
		msg = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1,
				       .msg_control = &control,
				       .msg_controllen = sizeof(control) };
		if (recvmsg(m->ask, &msg, 0) < 0)
			return false;
	} while (!is_answer(&f));
	memcpy(&ts, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(ts));
	number = load_be16(f.data + 14 + 40 + 8 + 14);
	m->took[m->answered++] =
		(uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec - m->sent[number];
	return true;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct measure *m, const char *what, uint32_t asked)
{
	qsort(m->took, m->answered, sizeof(m->took[0]), compare);
	ck_assert_uint_gt(m->answered, 0);
	printf("%s: %u of %u answered, p50 %.0f us, p99 %.0f us, slowest %.0f us\n", what,
	       m->answered, asked, (double)m->took[m->answered / 2] / 1000,
	       (double)m->took[(uint64_t)m->answered * 99 / 100] / 1000,
	       (double)m->took[m->answered - 1] / 1000);
	fflush(stdout);
}

/* Sends the flood, FLOOD_PER_MS at the beginning of each millisecond. */
static void send_flood(struct measure *m)
{
	uint64_t start = now_ns(), next;
	struct timespec ts;
	uint32_t i;

	for (i = 0; i < FLOOD_ASKS; i++) {
		if (i % FLOOD_PER_MS == 0) {
			next = start + (uint64_t)(i / FLOOD_PER_MS) * NSEC_PER_MSEC;
			ts.tv_sec = (time_t)(next / NSEC_PER_SEC);
			ts.tv_nsec = (long)(next % NSEC_PER_SEC);
			clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL);
		}
		send_numbered(m, i);
	}
	printf("asked %d times in %.2f s\n", FLOOD_ASKS, (double)(now_ns() - start) / 1e9);
}

static void *measure_all(void *arg)
{
	struct measure *m = arg;
	uint32_t i;

	for (i = 0; i < IDLE_ASKS; i++) {
		send_numbered(m, i);
		take_numbered(m);
	}
	report(m, "one at a time", IDLE_ASKS);

	m->answered = 0;
	send_flood(m);
	while (m->answered < FLOOD_ASKS && take_numbered(m))
		;
	report(m, "50,000 a second", FLOOD_ASKS);
	uv_async_send(&m->done);
	return NULL;
}

static void on_done(uv_async_t *async)
{
	uv_close((uv_handle_t *)async, NULL);
	uv_stop(async->loop);
}

START_TEST(speed)
{
	const struct timeval patience = { .tv_usec = 500000 };
	struct measure *m = calloc(1, sizeof(*m));
	const int room = 64 << 20, on = 1;
	struct neigh_stats stats;
	struct lab lab;
	pthread_t thread;

	lab_open(&lab);
	m->frames = numbered_frames();
	m->ask = packet_socket("ask0");
	ck_assert_int_eq(setsockopt(m->ask, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ck_assert_int_eq(setsockopt(m->ask, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)), 0);
	ck_assert_int_eq(setsockopt(m->ask, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	uv_async_init(&lab.loop, &m->done, on_done);
	ck_assert_int_eq(pthread_create(&thread, NULL, measure_all, m), 0);
	uv_run(&lab.loop, UV_RUN_DEFAULT);
	pthread_join(thread, NULL);
	neigh_stats(lab.neigh, &stats);
	printf("lost in the socket's buffer: %" PRIu64 ", while sending: %" PRIu64 "\n",
	       stats.overruns, stats.send_failures);
	/* The kernel may lose some on the way, but here nothing goes uncounted. */
	ck_assert_uint_le(stats.ndp[NDP_OK] + stats.overruns, IDLE_ASKS + FLOOD_ASKS);
	ck_assert_uint_eq(stats.ndp_answered + stats.send_failures, stats.ndp[NDP_OK]);
	ck_assert_uint_eq(stats.ndp_asked[NEIGH_UNOWNED], 0);
	close(m->ask);
	lab_close(&lab);
	free(m->frames);
	free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("neigh");
	TCase *tc = tcase_create("neigh");
	SRunner *runner;
	int failed;

	if (!in_netns_possible("test_neigh"))
		return 77;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, in_netns_setup, NULL);
	tcase_add_loop_test(tc, solicitations, 0, 4);
	tcase_add_loop_test(tc, arp_requests, 0, 3);
	tcase_add_test(tc, silence);
	tcase_add_test(tc, priority_tag);
	tcase_add_loop_test(tc, sources, 0, 7);
	tcase_add_test(tc, asked_again);
	tcase_add_test(tc, announcements);
	tcase_add_loop_test(tc, kernel_resolves, 0, 2);
	tcase_add_test(tc, kernel_detects_duplicate);
	tcase_add_test(tc, speed);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
