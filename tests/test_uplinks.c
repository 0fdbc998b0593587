/* SPDX-License-Identifier: MIT */
/*
 * For whom uplinks answer: between a neigh that asks and a device in which somebody has every
 * address that there is. Their functions below take the place of those of src/neighbor/neigh.c
 * and src/path/.
 */
#include "../src/manage/uplinks.h"

#include <check.h>
#include <stdlib.h>

static struct neigh_ops asked;
static void *asked_arg;
static bool owned, connected;

/* The fake neigh: remembers whom it is to ask. */

int neigh_open(struct neigh **neigh, uv_loop_t *loop, const char *ifname,
	       const struct neigh_ops *ops, void *arg)
{
	(void)loop;
	ck_assert_str_eq(ifname, "eth0");
	asked = *ops;
	asked_arg = arg;
	*neigh = (struct neigh *)&asked;
	return 0;
}

void neigh_close(struct neigh *neigh)
{
	ck_assert_ptr_eq(neigh, &asked);
}

void neigh_set_source(struct neigh *neigh, enum router_neighbor_source source)
{
	(void)neigh, (void)source;
}

void neigh_silence_kernel(struct neigh *neigh, const char *table,
			  const struct config_ranges *prefixes)
{
	(void)neigh, (void)prefixes;
	ck_assert_str_eq(table, "berth-berth0-eth0");
}

int neigh_announce(struct neigh *neigh, int family, const uint8_t *addr)
{
	(void)neigh, (void)family, (void)addr;
	return 0;
}

int neigh_link_changed(struct neigh *neigh, const struct netlink_link *link)
{
	(void)neigh, (void)link;
	return 0;
}

int neigh_addr_changed(struct neigh *neigh, const struct netlink_addr *addr)
{
	(void)neigh, (void)addr;
	return 0;
}

int neigh_refresh(struct neigh *neigh)
{
	(void)neigh;
	return 0;
}

void neigh_stats(struct neigh *neigh, struct neigh_stats *out)
{
	(void)neigh;
	*out = (struct neigh_stats){ 0 };
}

uint64_t neigh_asked_ago(const struct neigh *neigh, const uint8_t addr[NDP_ADDR_LEN])
{
	(void)neigh, (void)addr;
	return UINT64_MAX;
}

/* The fake device */

const char *device_name(const struct device *dev)
{
	(void)dev;
	return "berth0";
}

void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg)
{
	(void)dev, (void)fn, (void)arg;
}

bool device_find_owner(struct device *dev, int family, const uint8_t *addr,
		       struct device_owner *out)
{
	(void)dev, (void)family, (void)addr;
	*out = (struct device_owner){ .announce = ANNOUNCE_CONNECTED, .connected = connected };
	return owned;
}

static const struct {
	const char *addr;
	bool owned, connected;
	enum neigh_owner answer;
} rows[] = {
	{ "2001:db8:dead:beef::1234/128", true, true, NEIGH_HERE },
	{ "2001:db8:dead:beef::1234/128", true, false, NEIGH_AWAY },
	{ "2001:db8:dead:beef::1234/128", false, false, NEIGH_UNOWNED },
	{ "192.0.2.70/32", true, true, NEIGH_HERE },
	{ "192.0.2.70/32", false, false, NEIGH_UNOWNED },
	/* The router of the link, and whoever else is there: not even if a peer has it all. */
	{ "192.0.2.1/32", true, true, NEIGH_FOREIGN },
	{ "2001:db8:dead:bee0::1/128", true, true, NEIGH_FOREIGN },
	{ "fe80::1/128", true, true, NEIGH_FOREIGN },
	{ "192.0.2.1/32", false, false, NEIGH_FOREIGN },
};

START_TEST(whose)
{
	static struct config_range ranges[] = {
		{ .prefix = { .family = AF_INET, .cidr = 28, .addr = { 192, 0, 2, 64 } } },
		{ .prefix = { .family = AF_INET6, .cidr = 64,
			      .addr = { 0x20, 0x01, 0x0d, 0xb8, 0xde, 0xad, 0xbe, 0xef } } },
	};
	static const struct config_router router = { .name = "berth0",
						     .uplinks = { "eth0" }, .n_uplinks = 1,
						     .prefixes = { .v = ranges, .n = 2 } };
	struct uplinks *uplinks;
	struct prefix p;
	uv_loop_t loop;

	uv_loop_init(&loop);
	ck_assert_int_eq(uplinks_open(&uplinks, &loop, &router, NULL), 0);
	ck_assert_int_eq(prefix_parse(&p, rows[_i].addr), 0);
	owned = rows[_i].owned;
	connected = rows[_i].connected;
	ck_assert_int_eq(asked.owner(asked_arg, p.family, p.addr), rows[_i].answer);
	uplinks_close(uplinks);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uplinks");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, whose, 0, ARRAY_SIZE(rows));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
