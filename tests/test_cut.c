/* SPDX-License-Identifier: MIT */
/* IPv4 packets that are larger than a tenant's MTU: their pieces go as they would have. */
#include <linux/virtio_net.h>
#include <stdlib.h>

#include "packets.h"
#include "path_lab.h"

enum { MTU = 1300, LARGE = 1400, PIECES = 2 };

static struct lab lab;

static void setup(void)
{
	lab_start_acquainted(&lab, NULL);
	lab_connect(&lab);
}

static void teardown(void)
{
	lab_stop(&lab);
}

static void set_tenant(struct limits limits)
{
	struct change c = { .kind = CHANGE_PEER,
			    .flags = PEER_UPDATE_ONLY | PEER_HAS_MTU | PEER_HAS_LIMITS,
			    .mtu = MTU,
			    .limits = limits };

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	lab_mark(&lab.gate);
}

/* To the address dst, of a length, with an IP id. */
static void inject(const char *dst, size_t len, uint16_t id)
{
	uint8_t packet[1500];

	lab_packet(packet, "198.51.100.1", dst, len);
	store_be16(packet + 4, id);
	store_be16(packet + 10, 0);
	store_be16(packet + 10, (uint16_t)~naive_sum(0, packet, 20));
	wire_inject(lab.gate.tun, NULL, 0, packet, len);
}

/* What has arrived at home so far: the next id, and how much of it. */
struct arrived {
	uint16_t id;
	size_t done;
};

/* Takes what there is: ids in their order, each whole, in pieces that follow one another. */
static void take(struct arrived *a)
{
	struct fake_packet *p;

	while ((p = wire_take(lab.home.tun))) {
		uint16_t word = load_be16(p->data + 6);

		ck_assert_uint_le(p->len, MTU);
		ck_assert_uint_eq(naive_sum(0, p->data, 20), 0xffff);
		ck_assert_uint_eq(load_be16(p->data + 4), a->id);
		ck_assert_uint_eq((word & 0x1fff) * 8u, a->done);
		a->done += p->len - 20;
		if (!(word & 0x2000)) {
			a->id++;
			a->done = 0;
		}
		free(p);
	}
}

/* More at once than there is room for pieces of, those that fit among them. */
START_TEST(rounds)
{
	struct arrived a = { 0 };

	set_tenant((struct limits){ 0 });
	for (uint16_t id = 0; id < 250; id++)
		inject("10.0.0.2", id % 5 ? LARGE : 900, id);
	lab_carry(&lab);
	take(&a);
	ck_assert_uint_eq(a.id, 250);
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* What is cut is asked for as all is, and waits in its place. */
START_TEST(at_its_rate)
{
	struct arrived a = { 0 };
	unsigned ms;

	set_tenant((struct limits){ .rate_down = 1000000 });
	for (uint16_t id = 0; id < 8; id++)
		inject("10.0.0.2", id % 3 ? LARGE : 900, id);
	lab_carry(&lab);
	take(&a);
	ck_assert_uint_le(a.id, 3); /* a bucket of 3,000 bytes */
	for (ms = 0; ms < 200 && a.id < 8; ms++) {
		lab_wait(&lab, NSEC_PER_MSEC);
		lab_carry(&lab);
		take(&a);
	}
	ck_assert_uint_eq(a.id, 8);
	ck_assert_uint_ge(ms, 50); /* the other 6,700 take 54 */
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Nor does a quota that is used up let it through. */
START_TEST(blocked)
{
	struct arrived a = { 0 };

	set_tenant((struct limits){ .quota = { .bytes = QUOTA_BYTES_MIN } });
	inject("10.0.0.2", 900, 0);
	inject("10.0.0.2", 900, 1);
	lab_carry(&lab);
	take(&a);
	lab_mark(&lab.gate);
	for (uint16_t id = a.id; id < a.id + 8; id++)
		inject("10.0.0.2", LARGE, id);
	lab_carry(&lab);
	lab_tun_silent(&lab.home);
	lab_dropped(&lab.gate, DROP_QUOTA, 8 * PIECES, true);
}
END_TEST

/* One's packets, cut, limited and dropped, among those of another. */
START_TEST(among_others)
{
	struct endpoint elsewhere = lab.home.at4;
	static const uint8_t key[32] = { 9 };
	struct fake_packet *p;

	elsewhere.addr4.sin_port = htons(3333);
	lab_add_peer(&lab.gate, key, "other", &elsewhere, "10.0.0.9", "fd00::9");
	set_tenant((struct limits){ .rate_down = 64000 });
	for (uint16_t id = 1; id <= 100; id++) {
		inject("10.0.0.9", 200, id);
		inject("10.0.0.2", LARGE, id);
	}
	for (unsigned s = 0; s < 5; s++) {
		lab_carry(&lab);
		for (; (p = wire_take(lab.home.tun)); free(p))
			ck_assert_mem_eq(p->data + 16, ((uint8_t[]){ 10, 0, 0, 2 }), 4);
		lab_wait(&lab, NSEC_PER_SEC);
	}
}
END_TEST

/* The first packet that a worker ever sees is one, of a super-packet's shape. */
START_TEST(first_of_all)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | PEER_HAS_ENDPOINT };
	uint8_t packet[sizeof(struct virtio_net_hdr) + LARGE] = { 0 };

	lab_start(&lab, 1, true);
	lab_meet(&lab, NULL);
	memcpy(c.key, lab.home.public_key, 32);
	c.endpoint = lab.home.at4;
	lab_apply(&lab.gate, &c);
	set_tenant((struct limits){ .rate_down = 64000 });
	lab_packet(packet + sizeof(struct virtio_net_hdr), "198.51.100.1", "10.0.0.2", LARGE);
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_dropped_nothing(&lab.gate);
	lab_stop(&lab);
}
END_TEST

/* Without a key the pieces wait for it. */
START_TEST(before_the_handshake)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | PEER_HAS_ENDPOINT };
	struct arrived a = { 0 };

	lab_start_acquainted(&lab, NULL);
	memcpy(c.key, lab.home.public_key, 32);
	c.endpoint = lab.home.at4;
	lab_apply(&lab.gate, &c);
	set_tenant((struct limits){ 0 });
	for (uint16_t id = 0; id < 40; id++)
		inject("10.0.0.2", LARGE, id);
	lab_carry(&lab);
	take(&a);
	ck_assert_uint_eq(a.id, 40);
	lab_dropped_nothing(&lab.gate);
	lab_stop(&lab);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cut");
	TCase *tc = tcase_create("cut");
	TCase *alone = tcase_create("alone");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rounds);
	tcase_add_test(tc, at_its_rate);
	tcase_add_test(tc, blocked);
	tcase_add_test(tc, among_others);
	tcase_add_test(alone, first_of_all);
	tcase_add_test(alone, before_the_handshake);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, alone);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
