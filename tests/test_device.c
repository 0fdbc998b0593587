/* SPDX-License-Identifier: MIT */
/* What a device tells of itself and its peers, and the changes that move things between peers. */
#include <errno.h>
#include <stdio.h>

#include "../src/path/handshake.h"
#include "path_lab.h"

enum { CROWD = 50, STEP = 7, GONE = 3 };

static struct lab lab;

static void setup(void)
{
	lab_start_acquainted(&lab, NULL);
}

static void teardown(void)
{
	lab_stop(&lab);
}

/* The public key of number i of the crowd; X25519 is not asked for. */
static void key_of(unsigned i, uint8_t key[32])
{
	memset(key, 0x40, 32);
	key[0] = (uint8_t)(i + 1);
}

static struct peer *add(unsigned i, const char *ip, const char *ip2)
{
	uint8_t key[32];
	char name[16];

	key_of(i, key);
	(void)snprintf(name, sizeof(name), "crowd-%u", i);
	return lab_add_peer(&lab.gate, key, name, NULL, ip, ip2);
}

static void change(unsigned i, unsigned flags, const char *ip)
{
	struct change c = { .kind = CHANGE_PEER, .flags = flags };
	struct prefix p;

	key_of(i, c.key);
	if (ip) {
		ck_assert_int_eq(prefix_parse(&p, ip), 0);
		c.allowed_ips = &p;
		c.n_allowed_ips = 1;
	}
	lab_apply(&lab.gate, &c);
}

static bool has(const char *ip)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, ip), 0);
	return device_has_prefix(lab.gate.dev, &p);
}

static void take_name(const struct device_peer *peer, void *arg)
{
	(void)snprintf(arg, TENANT_NAME_MAX + 1, "%s", peer->name);
}

/* Whose is the address? "" nobody's. */
static const char *owner(const char *ip)
{
	static char name[TENANT_NAME_MAX + 1];
	struct prefix p;

	*name = '\0';
	ck_assert_int_eq(prefix_parse(&p, ip), 0);
	ck_assert(device_get_owner(lab.gate.dev, p.family, p.addr, take_name, name) == (*name != 0));
	return name;
}

START_TEST(itself)
{
	struct change mark = { .kind = CHANGE_FWMARK, .number = 7 };
	struct change port = { .kind = CHANGE_LISTEN_PORT, .number = 2222 };
	struct device_info info;

	device_get(lab.gate.dev, &info);
	ck_assert_mem_eq(info.public_key, lab.gate.public_key, 32);
	ck_assert_uint_eq(info.listen_port, 1111);
	ck_assert_uint_eq(info.n_peers, 1);
	ck_assert_uint_eq(info.fwmark, 0);
	ck_assert(!info.gso && !info.gro);
	ck_assert_str_eq(device_name(lab.gate.dev), "gate0");

	lab_apply(&lab.gate, &mark);
	lab_apply(&lab.gate, &port);
	device_get(lab.gate.dev, &info);
	ck_assert_uint_eq(info.fwmark, 7);
	ck_assert_uint_eq(info.listen_port, 2222);

	device_set_mtu(lab.gate.dev, 1300);
	ck_assert_uint_eq(datapath_mtu(device_datapath(lab.gate.dev), lab.gate.peer), 1300);
}
END_TEST

START_TEST(its_peers)
{
	const uint8_t address[4] = { 10, 0, 0, 2 }, nobody[4] = { 10, 9, 9, 9 };
	char name[TENANT_NAME_MAX + 1] = "";
	struct device_owner found;

	ck_assert(device_get_peer(lab.gate.dev, lab.home.public_key, take_name, name));
	ck_assert_str_eq(name, "home");
	ck_assert(!device_get_peer(lab.gate.dev, lab.gate.public_key, take_name, name));
	*name = '\0';
	device_each_peer(lab.gate.dev, take_name, name);
	ck_assert_str_eq(name, "home");
	ck_assert_str_eq(owner("fd00::2"), "home");
	ck_assert_str_eq(owner("10.9.9.9"), "");
	ck_assert(has("10.0.0.2/32") && !has("10.0.0.0/24"));

	ck_assert(!device_find_owner(lab.gate.dev, AF_INET, nobody, &found));
	ck_assert(device_find_owner(lab.gate.dev, AF_INET, address, &found));
	ck_assert(!found.connected && found.announce == ANNOUNCE_DEFAULT);
	lab_connect(&lab);
	ck_assert(device_find_owner(lab.gate.dev, AF_INET, address, &found));
	ck_assert(found.connected);
}
END_TEST

/* How often each was met. */
static void meet(const struct device_peer *peer, void *arg)
{
	unsigned *met = arg;

	if (peer->public_key[1] == 0x40)
		met[peer->public_key[0] - 1]++;
}

START_TEST(each_once)
{
	unsigned met[CROWD + 1] = { 0 }, steps = 1;
	struct device_walk walk;
	char ip[32], ip2[32];

	for (unsigned i = 0; i < CROWD; i++) {
		(void)snprintf(ip, sizeof(ip), "10.1.0.%u", i);
		(void)snprintf(ip2, sizeof(ip2), "fd01::%x", i);
		(void)add(i, ip, ip2);
	}
	device_walk_begin(lab.gate.dev, &walk);
	ck_assert(device_walk(lab.gate.dev, &walk, STEP, meet, met));
	/* One comes, one goes. */
	(void)add(CROWD, "10.1.1.1", "fd01::1:1");
	change(GONE, PEER_REMOVE, NULL);
	while (device_walk(lab.gate.dev, &walk, STEP, meet, met))
		steps++;
	ck_assert_uint_ge(steps, CROWD / STEP);
	ck_assert_uint_eq(met[CROWD], 0);
	for (unsigned i = 0; i < CROWD; i++)
		ck_assert(met[i] == 1 || (i == GONE && !met[i]));
}
END_TEST

START_TEST(address_moves)
{
	struct prefix p;
	struct change c = { .kind = CHANGE_PEER, .allowed_ips = &p, .n_allowed_ips = 1 };
	size_t failed;

	(void)add(0, "10.1.0.1", "fd01::1");
	(void)add(1, "10.1.0.2", "fd01::2");
	/* Not by itself. */
	ck_assert_int_eq(prefix_parse(&p, "10.1.0.1"), 0);
	key_of(1, c.key);
	ck_assert_int_lt(device_apply(lab.gate.dev, &c, 1, &failed), 0);
	ck_assert_str_eq(owner("10.1.0.1"), "crowd-0");
	change(1, PEER_MAY_TAKE, "10.1.0.1");
	ck_assert_str_eq(owner("10.1.0.1"), "crowd-1");
	/* Who has it no more does not take it along. */
	change(0, PEER_DROP_ALLOWED_IPS, "10.1.0.1");
	ck_assert_str_eq(owner("10.1.0.1"), "crowd-1");
	change(1, PEER_DROP_ALLOWED_IPS, "10.1.0.1");
	ck_assert_str_eq(owner("10.1.0.1"), "");
	change(0, PEER_REMOVE, NULL);
	ck_assert_str_eq(owner("fd01::1"), "");
	ck_assert_str_eq(owner("fd01::2"), "crowd-1");
}
END_TEST

/* What wg(8) may ask a gateway for, of which no file knows. */

/* As the UAPI makes them of its lines. */
struct step {
	unsigned peer, flags;
	const char *ips[3];
};

static int apply_steps(const struct step *steps, size_t n, char why[DEVICE_WHY_STRLEN])
{
	struct change_list list = { 0 };
	size_t failed = 0;
	int err;

	for (size_t i = 0; i < n; i++) {
		struct change *c = change_add(&list, CHANGE_PEER);
		struct prefix p;

		c->flags = steps[i].flags;
		key_of(steps[i].peer, c->key);
		for (const char *const *ip = steps[i].ips; *ip; ip++) {
			ck_assert_int_eq(prefix_parse(&p, *ip), 0);
			ck_assert_int_eq(change_add_allowed_ip(c, &p), 0);
		}
	}
	err = device_apply(lab.gate.dev, list.changes, n, &failed);
	*why = '\0';
	if (err)
		ck_assert_int_eq(device_refuses(lab.gate.dev, list.changes, n, failed, why), err);
	change_list_free(&list);
	return err;
}

static const struct asked {
	size_t n;
	struct step steps[3];
	int err;
	const char *why;
} asked[] = {
	{ 1, { { 1, 0, { "10.1.0.9/32", "fd01::9/128" } } }, 0, "" },
	{ 1, { { 1, 0, { "10.1.0.8/29" } } }, 0, "" },
	/* Its own may lie within each other. */
	{ 1, { { 0, 0, { "10.1.0.1/32", "10.1.0.0/30" } } }, 0, "" },
	{ 1, { { 1, 0, { "0.0.0.0/0" } } }, -EADDRNOTAVAIL,
	  "0.0.0.0/0 is in no Prefix of berth.conf" },
	{ 1, { { 1, 0, { "10.1.0.9/32", "::/0" } } }, -EADDRNOTAVAIL,
	  "::/0 is in no Prefix of berth.conf" },
	{ 1, { { 1, 0, { "10.2.0.1/32" } } }, -EADDRNOTAVAIL,
	  "10.2.0.1/32 is in no Prefix of berth.conf" },
	{ 1, { { 1, 0, { "10.1.0.1/32" } } }, -EADDRINUSE,
	  "10.1.0.1/32 belongs to tenant crowd-0 already" },
	{ 1, { { 1, 0, { "10.1.0.0/28" } } }, -EADDRINUSE,
	  "10.1.0.0/28 overlaps 10.1.0.1/32, which belongs to tenant crowd-0" },
	{ 1, { { 1, 0, { "10.1.0.65/32" } } }, -EADDRINUSE,
	  "10.1.0.65/32 overlaps 10.1.0.64/28, which belongs to tenant crowd-2" },
	/* Beside one of its own in it. */
	{ 1, { { 0, 0, { "10.1.0.0/26" } } }, -EADDRINUSE,
	  "10.1.0.0/26 overlaps 10.1.0.6/32, which belongs to tenant crowd-1" },
	{ 1, { { 1, 0, { "10.1.0.254/31" } } }, -EADDRINUSE,
	  "10.1.0.254/31 holds an Address of the gateway itself in berth.conf" },
	/* Whatever it says of one peer is done whole or not at all; */
	{ 3, { { 1, PEER_REPLACE_ALLOWED_IPS, { "10.1.0.9/32" } },
	    { 1, PEER_UPDATE_ONLY | PEER_DROP_ALLOWED_IPS, { "10.1.0.9/32" } },
	    { 1, PEER_UPDATE_ONLY, { "10.1.0.1/32" } } }, -EADDRINUSE,
	  "10.1.0.1/32 belongs to tenant crowd-0 already" },
	/* but one after the other. */
	{ 2, { { 0, PEER_REMOVE, { NULL } }, { 1, 0, { "10.1.0.1/32" } } }, 0, "" },
	{ 2, { { 0, PEER_REPLACE_ALLOWED_IPS, { NULL } }, { 1, 0, { "10.1.0.0/28" } } }, 0, "" },
	/* What is taken away, or said of nobody, may be anything. */
	{ 1, { { 1, PEER_DROP_ALLOWED_IPS, { "0.0.0.0/0" } } }, 0, "" },
	{ 1, { { 7, PEER_UPDATE_ONLY, { "0.0.0.0/0" } } }, 0, "" },
	{ 1, { { 1, PEER_REMOVE, { "0.0.0.0/0" } } }, 0, "" },
	/* Files have been looked at. */
	{ 1, { { 1, PEER_MAY_TAKE, { "10.1.0.1/32" } } }, 0, "" },
};

START_TEST(rules)
{
	static struct config_range ranges[] = {
		{ .prefix = { .family = AF_INET, .cidr = 24, .addr = { 10, 1, 0 } } },
		{ .prefix = { .family = AF_INET6, .cidr = 64, .addr = { 0xfd, 1 } } },
	};
	static struct config_address own = { .family = AF_INET, .addr = { 10, 1, 0, 254 } };
	static char file[] = "berth.conf";
	static const struct config_router router = { .file = file,
						     .prefixes = { .v = ranges, .n = 2 },
						     .addresses = { .v = &own, .n = 1 } };
	const struct asked *a = &asked[_i];
	char why[DEVICE_WHY_STRLEN];

	(void)add(0, "10.1.0.1", "fd01::1");
	(void)add(1, "10.1.0.6", "fd01::2");
	(void)add(2, "10.1.0.64/28", "fd01:0:0:0:1::/80");
	lab.gate.dev->rules = &router;
	ck_assert_int_eq(apply_steps(a->steps, a->n, why), a->err);
	ck_assert_str_eq(why, a->why);
	if (a->err) {
		ck_assert_str_eq(owner("10.1.0.1"), "crowd-0");
		ck_assert_str_eq(owner("fd01::2"), "crowd-1");
		ck_assert_str_eq(owner("10.1.0.9"), "");
		ck_assert_str_eq(owner("10.1.0.65"), "crowd-2");
	}
}
END_TEST

/* A peer of our own key is nobody: it goes when the key becomes ours. */
START_TEST(our_own_key)
{
	struct change key = { .kind = CHANGE_PRIVATE_KEY };

	memcpy(key.key, lab.home.private_key, 32);
	lab_apply(&lab.gate, &key);
	ck_assert(!device_get_peer(lab.gate.dev, lab.home.public_key, take_name,
				   (char[TENANT_NAME_MAX + 1]){ 0 }));
	ck_assert_str_eq(owner("10.0.0.2"), "");
}
END_TEST

START_TEST(signs_of_life)
{
	struct handshake_load queue;
	struct worker_load load;
	int silent = 0;

	lab_connect(&lab);
	/* Whoever was asked has answered once it has turned. */
	for (unsigned i = 0; i < 1000 && silent != -1; i++) {
		lab_settle(&lab);
		silent = workers_silent(&lab.ws);
	}
	ck_assert_int_eq(silent, -1);
	workers_load(&lab.ws, 0, &load);
	ck_assert(load.bursts && load.received && load.sent && load.processor);
	handshake_load(lab.ws.handshake, &queue);
	ck_assert(queue.room && queue.queued <= queue.room && queue.processor);
	ck_assert_str_eq(workers_crypto(&lab.ws), "libsodium");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device");
	TCase *tc = tcase_create("device");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, itself);
	tcase_add_test(tc, its_peers);
	tcase_add_test(tc, each_once);
	tcase_add_test(tc, address_moves);
	tcase_add_loop_test(tc, rules, 0, ARRAY_SIZE(asked));
	tcase_add_test(tc, our_own_key);
	tcase_add_test(tc, signs_of_life);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
