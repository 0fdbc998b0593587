/* SPDX-License-Identifier: MIT */
/*
 * neigh and its link: one that goes down, changes, is made again or renamed
 * under it, links that it refuses, and several of it on one link.
 */
#include <errno.h>

#include "neigh_lab.h"

START_TEST(down_and_up)
{
	struct frame_na na;
	struct lab lab;
	int i;

	lab_open(&lab);
	lab_listen(&lab);
	for (i = 0; i < 3; i++) {
		na = ask_multicast(&lab);
		ck_assert_mem_eq(na.link_source, FRAME_US, 6);
		sh("ip link set up0 down");
		uv_run(&lab.loop, UV_RUN_NOWAIT); /* hears ENETDOWN */
		ck_assert_int_eq(neigh_refresh(lab.neigh), 0);
		sh("ip link set up0 up");
		wait_for_carrier();
	}
	/* Down took the address away: the target stands in, then it is back. */
	na = ask_multicast(&lab);
	sh("ip addr replace " OWN_LINK_LOCAL "/64 dev up0 nodad");
	wait_for_addresses();
	ck_assert_int_eq(neigh_refresh(lab.neigh), 0);
	na = ask_multicast(&lab);
	check_advertisement(&na, false);
	lab_close(&lab);
}
END_TEST

START_TEST(other_hardware)
{
	struct netlink_link link = { .name = "eth7", .index = 77 };
	struct frame_na na;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	sh("ip link set up0 address 02:00:00:00:00:02");
	ck_assert_int_eq(neigh_link_changed(lab.neigh, &link), 0); /* not ours */
	link.index = (int)if_nametoindex("up0");
	strcpy(link.name, "up0");
	ck_assert_int_eq(neigh_link_changed(lab.neigh, &link), 1);
	ck_assert_int_eq(neigh_link_changed(lab.neigh, &link), 0);
	na = ask_multicast(&lab);
	ck_assert_mem_eq(na.link_source, "\x02\x00\x00\x00\x00\x02", 6);
	ck_assert_mem_eq(na.option + 2, "\x02\x00\x00\x00\x00\x02", 6);
	lab_close(&lab);
}
END_TEST

/* Deleted, and made again under another number (0) or, worse, under the same (1). */
START_TEST(made_again)
{
	struct in6_addr target = frame_in6(TENANT);
	struct neigh_stats stats;
	char options[32] = "";
	struct frame_na na;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	ask_multicast(&lab);
	if (_i)
		snprintf(options, sizeof(options), "index %u", if_nametoindex("up0"));
	else
		strcpy(options, "index 4711");
	lab_deafen(&lab);
	sh("ip link delete up0");
	uv_run(&lab.loop, UV_RUN_NOWAIT);
	if (!_i) {
		ck_assert_int_eq(neigh_refresh(lab.neigh), 0);
		ck_assert_int_eq(neigh_refresh(lab.neigh), 0);
		ck_assert_int_eq(neigh_announce(lab.neigh, AF_INET6, target.s6_addr), -ENETDOWN);
	}
	make_link(options);
	ck_assert_int_eq(neigh_refresh(lab.neigh), 1);
	lab_listen(&lab);
	na = ask_multicast(&lab);
	check_advertisement(&na, false);
	neigh_stats(lab.neigh, &stats);
	ck_assert_uint_eq(stats.ndp_answered, 2);
	lab_close(&lab);
}
END_TEST

/* The name is what was configured: a link that gave it up is not ours any more. */
START_TEST(renamed)
{
	struct netlink_link link = { .name = "wan0" };
	struct in6_addr target = frame_in6(TENANT);
	struct lab lab;

	lab_open(&lab);
	link.index = (int)if_nametoindex("up0");
	sh("ip link set up0 down && ip link set up0 name wan0 && ip link set wan0 up");
	ck_assert_int_eq(neigh_link_changed(lab.neigh, &link), 0);
	ck_assert_int_eq(neigh_announce(lab.neigh, AF_INET6, target.s6_addr), -ENETDOWN);
	sh("ip link set wan0 down && ip link set wan0 name up0 && ip link set up0 up");
	strcpy(link.name, "up0");
	ck_assert_int_eq(neigh_link_changed(lab.neigh, &link), 1);
	ck_assert_int_eq(neigh_announce(lab.neigh, AF_INET6, target.s6_addr), 0);
	lab_close(&lab);
}
END_TEST

START_TEST(refused)
{
	struct neigh *neigh = (struct neigh *)1;
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(neigh_open(&neigh, &lab.loop, "not-there", &ops, NULL), -ENODEV);
	ck_assert_ptr_null(neigh);
	ck_assert_int_eq(neigh_open(&neigh, &lab.loop, "lo", &ops, NULL), -EMEDIUMTYPE);
	ck_assert_int_eq(neigh_open(&neigh, &lab.loop, "sixteen-letters-", &ops, NULL),
			 -ENAMETOOLONG);
	ck_assert_ptr_null(neigh);
	neigh_close(NULL);
	lab_close(&lab);
}
END_TEST

static bool got_two(struct lab *lab)
{
	return lab->count > 1;
}

static enum neigh_owner nobody(void *arg, int family, const uint8_t *addr)
{
	(void)family;
	(void)addr;
	++*(unsigned int *)arg;
	return NEIGH_UNOWNED;
}

/* Two in one process, on one link: both hear, each asks its own. */
START_TEST(two_instances)
{
	static const struct neigh_ops silent = { .owner = nobody };
	unsigned int asked = 0;
	struct neigh *second, *third;
	struct neigh_stats stats;
	struct frame f;
	struct lab lab;

	lab_open(&lab);
	lab_listen(&lab);
	ck_assert_int_eq(neigh_open(&second, &lab.loop, "up0", &silent, &asked), 0);
	ck_assert_int_eq(neigh_open(&third, &lab.loop, "up0", &ops, NULL), 0);
	frame_solicitation(&f, &multicast);
	ask(&lab, &f);
	wait_until(&lab, got_two);
	neigh_stats(second, &stats);
	ck_assert_uint_eq(stats.ndp_answered, 0);
	ck_assert_uint_eq(stats.ndp_asked[NEIGH_UNOWNED], asked);
	neigh_stats(third, &stats);
	ck_assert_uint_eq(stats.ndp_answered, 1);
	neigh_close(third);
	neigh_close(second);
	lab.count = 0;
	ask_multicast(&lab);
	lab_close(&lab);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("neigh_link");
	TCase *tc = tcase_create("neigh_link");
	SRunner *runner;
	int failed;

	if (!in_netns_possible("test_neigh_link"))
		return 77;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, in_netns_setup, NULL);
	tcase_add_test(tc, down_and_up);
	tcase_add_test(tc, other_hardware);
	tcase_add_loop_test(tc, made_again, 0, 2);
	tcase_add_test(tc, renamed);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, two_instances);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
