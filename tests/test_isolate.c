/* SPDX-License-Identifier: MIT */
/* Tenants who are kept apart: packets of home to another tenant of the gate, and back. */
#include <sodium.h>
#include <stdlib.h>

#include "path_lab.h"

/* The gate has another tenant: "mate" at 10.0.0.7 and fd00::7. */
static const uint8_t mate_key[32] = { 7 };
static struct lab lab;
static struct peer *mate;

static void setup(void)
{
	struct endpoint at;

	lab_start(&lab, 1, false);
	device_datapath(lab.gate.dev)->gateway = true;
	lab_meet(&lab, NULL);
	lab_connect(&lab);
	ck_assert_int_eq(endpoint_parse(&at, "203.0.113.77:7"), 0);
	mate = lab_add_peer(&lab.gate, mate_key, "mate", &at, "10.0.0.7/32", "fd00::7/128");
}

static void teardown(void)
{
	lab_stop(&lab);
}

static void isolate(const uint8_t key[32], enum isolate how)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | PEER_HAS_ISOLATE,
			    .isolate = how };

	memcpy(c.key, key, 32);
	lab_apply(&lab.gate, &c);
}

static unsigned n_isolated(void)
{
	return atomic_load(&device_datapath(lab.gate.dev)->n_isolated);
}

static const struct {
	const char *home, *mate, *world;
	size_t header; /* of IP */
	uint8_t prohibited[2];
} families[] = { { "10.0.0.2", "10.0.0.7", "8.8.8.8", 20, { 3, 13 } },
		 { "fd00::2", "fd00::7", "2001:db8:9::1", 40, { 1, 1 } } };

/* Home sends to that address; what comes of it. */
static void passes(const char *to, bool ip4)
{
	uint8_t packet[100];

	lab_packet(packet, families[!ip4].home, to, sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
	lab_dropped_nothing(&lab.gate);
}

static void prohibited(unsigned family)
{
	size_t header = families[family].header, half = header == 20 ? 4 : 16;
	uint8_t packet[100];
	struct fake_packet *p;

	lab_packet(packet, families[family].home, families[family].mate, sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_silent(&lab.gate);
	lab_dropped(&lab.gate, DROP_ISOLATED, 1, true);
	/* Home is told, through the tunnel, by the address that it asked for. */
	p = wire_take(lab.home.tun);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->len, header + 8 + sizeof(packet));
	ck_assert_mem_eq(p->data + header, families[family].prohibited, 2);
	ck_assert_mem_eq(p->data + header - 2 * half, packet + header - half, half);
	ck_assert_mem_eq(p->data + header - half, packet + header - 2 * half, half);
	ck_assert_mem_eq(p->data + header + 8, packet, sizeof(packet));
	free(p);
	lab_tun_silent(&lab.home);
}

/* Either of them is isolated, by its own word or the router's. */
START_TEST(who)
{
	static const struct {
		bool router;
		enum isolate home, mate;
		unsigned n;
	} rows[] = {
		{ false, ISOLATE_DEFAULT, ISOLATE_DEFAULT, 0 },
		{ false, ISOLATE_NO, ISOLATE_NO, 0 },
		{ false, ISOLATE_YES, ISOLATE_DEFAULT, 1 },
		{ false, ISOLATE_DEFAULT, ISOLATE_YES, 1 },
		{ false, ISOLATE_YES, ISOLATE_YES, 2 },
		{ true, ISOLATE_DEFAULT, ISOLATE_DEFAULT, 2 },
		{ true, ISOLATE_NO, ISOLATE_DEFAULT, 1 },
		{ true, ISOLATE_DEFAULT, ISOLATE_NO, 1 },
		{ true, ISOLATE_NO, ISOLATE_NO, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		device_datapath(lab.gate.dev)->isolate = rows[i].router;
		isolate(lab.home.public_key, rows[i].home);
		isolate(mate_key, rows[i].mate);
		ck_assert_uint_eq(n_isolated(), rows[i].n);
		for (unsigned family = 0; family < 2; family++) {
			if (rows[i].n)
				prohibited(family);
			else
				passes(families[family].mate, !family);
			/* The world, the gateway, and one's own addresses are not meant. */
			passes(families[family].world, !family);
			passes(families[family].home, !family);
		}
		lab_wait(&lab, NSEC_PER_SEC);
	}
}
END_TEST

/* What comes from the device: from a tenant's address to a tenant, whoever has sent it. */
START_TEST(outbound)
{
	uint8_t packet[100];

	isolate(lab.home.public_key, ISOLATE_YES);
	for (unsigned family = 0; family < 2; family++) {
		lab_packet(packet, families[family].mate, families[family].home, sizeof(packet));
		lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
		lab_dropped(&lab.gate, DROP_ISOLATED, 1, true);
		lab_sent_nothing(&lab.gate);
		/* No word to an address that anybody may have put there. */
		lab_tun_silent(&lab.gate);
		lab_packet(packet, families[family].world, families[family].home, sizeof(packet));
		lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
		lab_carry(&lab);
		lab_tun_out(&lab.home, packet, sizeof(packet));
	}
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Of a burst only what must not go is taken out, and the rest keeps its order. */
START_TEST(mixed_burst)
{
	uint8_t packet[64];
	struct fake_packet *p;

	isolate(mate_key, ISOLATE_YES);
	for (uint8_t i = 0; i < 60; i++) {
		lab_packet(packet, i % 3 ? "8.8.8.8" : "10.0.0.7", "10.0.0.2", sizeof(packet));
		packet[40] = i;
		wire_inject(lab.gate.tun, NULL, 0, packet, sizeof(packet));
	}
	lab_settle(&lab);
	lab_dropped(&lab.gate, DROP_ISOLATED, 20, true);
	lab_carry(&lab);
	for (uint8_t i = 0; i < 60; i++) {
		if (i % 3 == 0)
			continue;
		p = wire_take(lab.home.tun);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(p->data[40], i);
		free(p);
	}
	lab_tun_silent(&lab.home);
}
END_TEST

/* A tenant is told now and then, and no more; of the rest nothing is heard. */
START_TEST(answer_rate)
{
	uint8_t packet[100], msg[132];
	struct fake_packet *p;
	unsigned told = 0;

	isolate(mate_key, ISOLATE_YES);
	lab_packet(packet, "10.0.0.2", "10.0.0.7", sizeof(packet));
	for (unsigned i = 0; i < 100; i++) {
		rcu_turn_begin();
		lab_seal(msg, lab_key(&lab.home), 1000 + i, packet, sizeof(packet));
		rcu_turn_end();
		lab_inject(&lab.gate, &lab.home.at4, 0, msg, sizeof(msg));
	}
	lab_settle(&lab);
	lab_dropped(&lab.gate, DROP_ISOLATED, 100, true);
	lab_carry(&lab);
	while ((p = wire_take(lab.home.tun))) {
		told++;
		free(p);
	}
	ck_assert_uint_eq(told, 5);
	/* Nor is an error answered, as everywhere. */
	lab_wait(&lab, NSEC_PER_SEC);
	packet[9] = 1;
	packet[20] = 3;
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_dropped(&lab.gate, DROP_ISOLATED, 1, true);
	lab_tun_silent(&lab.home);
}
END_TEST

/* What waits for its rate when the other one is isolated does not pass afterwards. */
START_TEST(while_it_waits)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | PEER_HAS_LIMITS,
			    .limits = { .rate_up = 16000 } };
	uint8_t packet[1000];
	unsigned passed = 0;
	struct fake_packet *p;

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	for (unsigned i = 0; i < 8; i++) {
		lab_packet(packet, "10.0.0.2", "10.0.0.7", sizeof(packet));
		wire_inject(lab.home.tun, NULL, 0, packet, sizeof(packet));
	}
	lab_carry(&lab);
	while ((p = wire_take(lab.gate.tun))) {
		passed++;
		free(p);
	}
	ck_assert_uint_lt(passed, 8);
	lab_dropped_nothing(&lab.gate);
	isolate(mate_key, ISOLATE_YES);
	for (unsigned i = 0; i < 10; i++)
		lab_wait(&lab, NSEC_PER_SEC);
	lab_tun_silent(&lab.gate);
	lab_dropped(&lab.gate, DROP_ISOLATED, 8 - passed, true);
}
END_TEST

/* Who is revoked is not counted any more, and who is added is as the router says. */
START_TEST(come_and_go)
{
	static const uint8_t new_key[32] = { 9 };
	struct change gone = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_ISOLATE,
			    .isolate = ISOLATE_YES };

	memcpy(gone.key, new_key, 32);
	memcpy(c.key, new_key, 32);
	lab_apply(&lab.gate, &c);
	ck_assert_uint_eq(n_isolated(), 1);
	lab_apply(&lab.gate, &gone);
	ck_assert_uint_eq(n_isolated(), 0);
	device_datapath(lab.gate.dev)->isolate = true;
	lab_add_peer(&lab.gate, new_key, "new", NULL, "10.0.0.9/32", "fd00::9/128");
	ck_assert_uint_eq(n_isolated(), 1);
	c.isolate = ISOLATE_NO;
	lab_apply(&lab.gate, &c);
	ck_assert_uint_eq(n_isolated(), 0);
	c.isolate = ISOLATE_DEFAULT;
	lab_apply(&lab.gate, &c);
	ck_assert_uint_eq(n_isolated(), 1);
	gone.kind = CHANGE_REMOVE_PEERS;
	lab_apply(&lab.gate, &gone);
	ck_assert_uint_eq(n_isolated(), 0);
}
END_TEST

/* At a gateway, and only there: what is meant for a link. */
START_TEST(link_scope)
{
	uint8_t packet[100];

	lab_packet(packet, "fd00::2", "ff02::1", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_silent(&lab.gate);
	lab_dropped(&lab.gate, DROP_LINK_SCOPE, 1, true);
	/* A router advertisement to an address of the world. */
	lab_packet(packet, "fd00::2", "2001:db8:9::1", sizeof(packet));
	packet[6] = 58;
	packet[40] = 134;
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_silent(&lab.gate);
	lab_dropped(&lab.gate, DROP_LINK_SCOPE, 1, true);
	/* The gate is no gateway for home: there all of this passes. */
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_mark(&lab.gate);
	lab_packet(packet, "fe80::1", "fd00::2", sizeof(packet));
	packet[6] = 58;
	packet[40] = 134;
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_out(&lab.home, packet, sizeof(packet));
}
END_TEST

/* The gateway's own address, in the prefix of a tenant. */
START_TEST(own_source)
{
	struct prefix whole, own;
	struct change c = { .kind = CHANGE_PEER, .allowed_ips = &whole, .n_allowed_ips = 1 };
	uint8_t packet[100];

	ck_assert_int_eq(prefix_parse(&whole, "fd00:1::/64"), 0);
	ck_assert_int_eq(prefix_parse(&own, "fd00:1::1"), 0);
	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	ck_assert_int_eq(device_set_own(lab.gate.dev, &own, 1), 0);
	lab_packet(packet, "fd00:1::1", "2001:db8:9::1", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_silent(&lab.gate);
	lab_dropped(&lab.gate, DROP_SOURCE_NOT_ALLOWED, 1, true);
	lab_packet(packet, "fd00:1::2", "2001:db8:9::1", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
	/* As a destination it is nobody's business here. */
	lab_packet(packet, "fd00:1::2", "fd00:1::1", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
	lab_dropped_nothing(&lab.gate);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("isolate");
	TCase *tc = tcase_create("isolate");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, who);
	tcase_add_test(tc, outbound);
	tcase_add_test(tc, mixed_burst);
	tcase_add_test(tc, answer_rate);
	tcase_add_test(tc, while_it_waits);
	tcase_add_test(tc, come_and_go);
	tcase_add_test(tc, link_scope);
	tcase_add_test(tc, own_source);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
