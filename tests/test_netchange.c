/* SPDX-License-Identifier: MIT */
/* netchange: when it speaks, and which ways it finds to be other ones, against the kernel. */
#include "../src/manage/netchange.h"

#include "in_netns.h"
#include "loop_wait.h"

static uv_loop_t loop;
static struct netchange *net;
static struct netchange_item item;
static unsigned calls;
static struct endpoint far4, far6;

static void on_changed(void *arg)
{
	ck_assert_ptr_eq(arg, &item);
	calls++;
}

/* Two uplinks, of which the first has the default routes. */
static void setup(void)
{
	in_netns_setup();
	sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0");
	sh("ip link add wifi type veth peer name ap && ip link add lte type veth peer name mast");
	sh("for i in lo wifi ap lte mast; do ip link set dev $i up; done");
	sh("ip addr add 10.1.0.2/24 dev wifi && ip addr add 10.2.0.2/24 dev lte");
	sh("ip addr add fd01::2/64 dev wifi nodad && ip addr add fd02::2/64 dev lte nodad");
	sh("ip route add default via 10.1.0.1 && ip route add default via fd01::1");
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(netchange_open(&net, &loop), 0);
	calls = 0;
	item = (struct netchange_item){ .changed = on_changed, .arg = &item };
	netchange_add(net, &item);
	ck_assert_int_eq(endpoint_parse(&far4, "192.0.2.1:1"), 0);
	ck_assert_int_eq(endpoint_parse(&far6, "[2001:db8::1]:1"), 0);
}

static void teardown(void)
{
	netchange_remove(&item);
	netchange_close(net);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

START_TEST(ways)
{
	uint64_t wifi4 = netchange_way(net, &far4, 0), wifi6 = netchange_way(net, &far6, 0);

	ck_assert_uint_ne(wifi4, 0);
	ck_assert_uint_ne(wifi6, 0);
	/* What has nothing to do with it changes nothing, nor does the same said again. */
	sh("ip route add 198.51.100.0/24 via 10.2.0.1 && ip addr add 10.2.0.3/24 dev lte");
	sh("ip addr change fd01::2/64 dev wifi nodad");
	ck_assert_uint_eq(netchange_way(net, &far4, 0), wifi4);
	ck_assert_uint_eq(netchange_way(net, &far6, 0), wifi6);
	/* Another interface, another router, another address of ours. */
	sh("ip route replace default via 10.2.0.1 && ip route replace default via fd02::1");
	ck_assert_uint_ne(netchange_way(net, &far4, 0), wifi4);
	ck_assert_uint_ne(netchange_way(net, &far6, 0), wifi6);
	sh("ip route replace default via 10.1.0.9 && ip route replace default via fd01::9 dev wifi");
	ck_assert_uint_ne(netchange_way(net, &far4, 0), wifi4);
	ck_assert_uint_ne(netchange_way(net, &far6, 0), wifi6);
	sh("ip route replace default via 10.1.0.1 src 10.2.0.2");
	ck_assert_uint_ne(netchange_way(net, &far4, 0), wifi4);
	sh("ip route replace default via 10.1.0.1 && ip route replace default via fd01::1");
	ck_assert_uint_eq(netchange_way(net, &far4, 0), wifi4);
	ck_assert_uint_eq(netchange_way(net, &far6, 0), wifi6);
	/* The cable is out. */
	sh("ip link set ap down");
	ck_assert_uint_eq(netchange_way(net, &far4, 0), 0);
	sh("ip link set ap up && ip route del default && ip -6 route del default");
	ck_assert_uint_eq(netchange_way(net, &far4, 0), 0);
	ck_assert_uint_eq(netchange_way(net, &far6, 0), 0);
}
END_TEST

/* The tunnel's own packets bear a mark, and go another way than all others. */
START_TEST(marked)
{
	uint64_t wifi = netchange_way(net, &far4, 0);

	sh("ip route add default via 10.2.0.1 table 7 && ip rule add not fwmark 9 table 7");
	ck_assert_uint_eq(netchange_way(net, &far4, 9), wifi);
	ck_assert_uint_ne(netchange_way(net, &far4, 0), wifi);
}
END_TEST

START_TEST(tells)
{
	static const char *const changes[] = {
		"ip route replace default via 10.2.0.1", "ip -6 route del default",
		"ip addr add 10.1.0.3/24 dev wifi", "ip addr del fd02::2/64 dev lte",
		"ip link set wifi down", "ip rule add fwmark 1 table 1",
	};

	sh("%s", changes[_i]);
	loop_wait(&loop, calls, NULL);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

static void on_pause(uv_timer_t *timer)
{
	(void)timer;
}

/* Routes flap, three times in each pause: told at once, once in each, and when it is over. */
START_TEST(flapping)
{
	uint64_t begin, end;
	static uv_timer_t pause;

	uv_timer_init(&loop, &pause);
	uv_update_time(&loop);
	begin = uv_now(&loop);
	for (unsigned i = 0; i < 7; i++) {
		unsigned before = calls;

		sh("ip route replace default via 10.%u.0.1", 2 - i % 2);
		if (!i)
			loop_wait(&loop, calls, NULL);
		uv_timer_start(&pause, on_pause, NETCHANGE_PAUSE_MS / 3, 0);
		loop_wait(&loop, !uv_is_active((uv_handle_t *)&pause), NULL);
		ck_assert_uint_le(calls, before + 1);
	}
	end = uv_now(&loop);
	ck_assert_uint_ge(calls, 2);
	ck_assert_uint_le(calls, 2 + (end - begin) / NETCHANGE_PAUSE_MS);
	uv_close((uv_handle_t *)&pause, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("netchange");
	TCase *kernel = tcase_create("kernel");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(kernel, setup, teardown);
	tcase_add_test(kernel, ways);
	tcase_add_test(kernel, marked);
	tcase_add_loop_test(kernel, tells, 0, 6);
	tcase_add_test(kernel, flapping);
	tcase_set_timeout(kernel, 60);
	suite_add_tcase(suite, kernel);
	if (!in_netns_possible("netchange"))
		tcase_set_tags(kernel, "root");

	srunner_run_tagged(sr, NULL, NULL, NULL, "root", CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
