/* SPDX-License-Identifier: MIT */
/* What comes from the TUN device: to whom it goes, in which shape, and what if it cannot. */
#include <errno.h>
#include <linux/virtio_net.h>
#include <sodium.h>
#include <stdlib.h>

#include "path_lab.h"

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

static void set_mtu(struct side *side, uint16_t mtu)
{
	device_set_mtu(side->dev, mtu);
}

/* §5.4.6: padded to 16 bytes, but never past the MTU. All lengths there are, all at once. */
static const uint16_t mtus[] = { 1280, 1420, 1421, 1423, 1500 };

START_TEST(every_length)
{
	static uint8_t packet[1600];
	uint16_t mtu = mtus[_i];
	struct fake_packet *p;

	set_mtu(&lab.home, mtu);
	for (size_t len = 40; len <= mtu; len++) {
		lab_packet(packet, "fd00::2", "2001:db8:9::1", len);
		wire_inject(lab.home.tun, NULL, 0, packet, len);
	}
	lab_settle(&lab);
	for (size_t len = 40; len <= mtu; len++) {
		size_t padded = min((len + 15) / 16 * 16, (size_t)mtu);

		p = lab_sent_one(&lab.home, MESSAGE_DATA, padded + 32);
		wire_inject(lab.gate.udp4, &lab.home.at4, 0, p->data, p->len);
		free(p);
	}
	lab_settle(&lab);
	for (size_t len = 40; len <= mtu; len++) {
		lab_packet(packet, "fd00::2", "2001:db8:9::1", len);
		p = wire_take(lab.gate.tun);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(p->len, len);
		ck_assert_int_eq(memcmp(p->data, packet, len), 0);
		free(p);
	}
	lab_dropped_nothing(&lab.home);
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Longer than the MTU, which the link's own may be: not padded, but sent. */
START_TEST(beyond_mtu)
{
	uint8_t packet[1499];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, 1499 + 32));
	lab_tun_out(&lab.gate, packet, sizeof(packet));
}
END_TEST

/* The MTU changes all the time, also between the reading and the sealing of a burst. */
START_TEST(mtu_changes)
{
	uint8_t packet[1421];
	struct fake_packet *p;
	unsigned n = 0;

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	for (unsigned i = 0; i < 2000; i++)
		wire_inject(lab.home.tun, NULL, 0, packet, sizeof(packet));
	for (unsigned i = 0; !wire_idle(); i++)
		set_mtu(&lab.home, i % 2 ? 1280 : 1500);
	lab_carry(&lab);
	for (; (p = wire_take(lab.gate.tun)); n++) {
		ck_assert_uint_eq(p->len, sizeof(packet));
		ck_assert_mem_eq(p->data, packet, sizeof(packet));
		free(p);
	}
	ck_assert_uint_eq(n, 2000);
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Counters go up by one; nothing of ours shows outside but the index that was agreed on. */
START_TEST(headers)
{
	uint8_t packet[64];
	uint64_t first = 0;
	uint32_t index;

	rcu_turn_begin();
	index = lab_key(&lab.home)->pair.remote_index;
	rcu_turn_end();
	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	for (unsigned i = 0; i < 10; i++) {
		struct fake_packet *p;

		lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
		p = lab_sent_one(&lab.home, MESSAGE_DATA, 96);
		ck_assert_uint_eq(load_le32(p->data + 4), index);
		first = i ? first : load_le64(p->data + 8);
		ck_assert_uint_eq(load_le64(p->data + 8), first + i);
		ck_assert(endpoint_same_remote(&p->peer, &lab.gate.at4));
		free(p);
	}
}
END_TEST

/* What the inner packet says of congestion, the outer says. */
START_TEST(congestion)
{
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		uint8_t packet[64];
		struct fake_packet *p;

		lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
		packet[1] = (uint8_t)(0xb8 | ecn);
		lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
		p = lab_sent_one(&lab.home, MESSAGE_DATA, 96);
		ck_assert_uint_eq(p->ecn, ecn);
		free(p);
		lab_packet(packet, "fd00::2", "2001:db8:9::1", sizeof(packet));
		packet[1] = (uint8_t)(ecn << 4);
		lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
		p = lab_sent_one(&lab.home, MESSAGE_DATA, 96);
		ck_assert_uint_eq(p->ecn, ecn);
		free(p);
	}
}
END_TEST

/* Where it cannot go */

/* One ICMP error comes back from the TUN device. */
static void check_error(struct side *side, const uint8_t *packet, size_t len)
{
	bool ip4 = packet[0] >> 4 == 4;
	struct fake_packet *p = wire_take(side->tun);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->data[0] >> 4, ip4 ? 4 : 6);
	ck_assert_uint_eq(p->data[ip4 ? 20 : 40], ip4 ? 3 : 1);
	ck_assert_uint_eq(p->data[ip4 ? 21 : 41], ip4 ? 1 : 3);
	ck_assert_uint_eq(p->len, (ip4 ? 28 : 48) + len);
	ck_assert_mem_eq(p->data + (ip4 ? 28 : 48), packet, len);
	/* to who asked, from whom he asked for */
	ck_assert_mem_eq(p->data + (ip4 ? 16 : 24), packet + (ip4 ? 12 : 8), ip4 ? 4 : 16);
	ck_assert_mem_eq(p->data + (ip4 ? 12 : 8), packet + (ip4 ? 16 : 24), ip4 ? 4 : 16);
	free(p);
	lab_tun_silent(side);
}

START_TEST(no_tenant)
{
	uint8_t packet[100];

	lab_packet(packet, "198.51.100.1", "10.0.0.3", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_dropped(&lab.gate, DROP_NO_TENANT, 1, false);
	check_error(&lab.gate, packet, sizeof(packet));
	lab_packet(packet, "2001:db8::5", "fd00::3", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_dropped(&lab.gate, DROP_NO_TENANT, 1, false);
	check_error(&lab.gate, packet, sizeof(packet));
	/* For nobody: multicast. */
	lab_packet(packet, "2001:db8::5", "ff02::1", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_dropped(&lab.gate, DROP_NO_TENANT, 1, false);
	lab_tun_silent(&lab.gate);
	lab_sent_nothing(&lab.gate);
}
END_TEST

START_TEST(no_endpoint)
{
	uint8_t key[32] = { 5 }, packet[100];
	struct peer *home = lab.gate.peer;

	lab.gate.peer = lab_add_peer(&lab.gate, key, "new", NULL, "10.0.0.9/32", "fd00::9/128");
	lab_mark(&lab.gate);
	lab_packet(packet, "198.51.100.1", "10.0.0.9", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	lab_dropped(&lab.gate, DROP_NO_ENDPOINT, 1, true);
	check_error(&lab.gate, packet, sizeof(packet));
	lab_sent_nothing(&lab.gate);
	/* It has cost no session. */
	ck_assert_ptr_null(atomic_load(&lab.gate.peer->session));
	lab.gate.peer = home;
}
END_TEST

/* Each sender has a rate for errors; the others do not suffer from it. */
START_TEST(error_rate)
{
	uint8_t packet[100];

	lab_packet(packet, "198.51.100.1", "10.0.0.3", sizeof(packet));
	for (unsigned i = 0; i < 100; i++)
		wire_inject(lab.gate.tun, NULL, 0, packet, sizeof(packet));
	lab_settle(&lab);
	lab_dropped(&lab.gate, DROP_NO_TENANT, 100, false);
	ck_assert_uint_eq(wire_count(lab.gate.tun), 5);
	for (unsigned i = 0; i < 5; i++)
		free(wire_take(lab.gate.tun));
	lab_packet(packet, "198.51.100.2", "10.0.0.3", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	check_error(&lab.gate, packet, sizeof(packet));
	lab_packet(packet, "198.51.100.1", "10.0.0.3", sizeof(packet));
	lab_wait(&lab, 50 * NSEC_PER_MSEC);
	lab_tun_in(&lab, &lab.gate, packet, sizeof(packet));
	check_error(&lab.gate, packet, sizeof(packet));
}
END_TEST

START_TEST(not_ip)
{
	static const uint8_t rubbish[100] = { 0x50 };
	uint8_t packet[64];

	lab_tun_in(&lab, &lab.home, rubbish, sizeof(rubbish));
	lab_dropped(&lab.home, DROP_OUT_MALFORMED, 1, false);
	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, 10);
	lab_dropped(&lab.home, DROP_OUT_MALFORMED, 1, false);
	lab_tun_in(&lab, &lab.home, packet, 63);
	lab_dropped(&lab.home, DROP_OUT_MALFORMED, 1, false);
	lab_sent_nothing(&lab.home);
}
END_TEST

/* As Linux does with a packet whose kind has no name in a virtio_net_hdr: it is consumed. */
static ssize_t read_indescribable(int fd, const struct iovec *iov, int count)
{
	struct fake_packet *p = wire_read(fd);

	(void)iov;
	(void)count;
	errno = p ? EINVAL : EAGAIN;
	free(p);
	return -1;
}

START_TEST(indescribable)
{
	struct tun_queue *tun = &device_datapath(lab.home.dev)->queues[0].tun;
	const struct tun_ops *usual = tun->ops;
	struct tun_ops ops = { .readv = read_indescribable, .writev = usual->writev };
	uint8_t packet[64];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	tun->ops = &ops;
	lab_settle(&lab); /* the worker has seen it */
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_dropped(&lab.home, DROP_OUT_MALFORMED, 1, false);
	tun->ops = usual;
	lab_settle(&lab);
	/* The device lives on. */
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	lab_tun_out(&lab.gate, packet, sizeof(packet));
}
END_TEST

/* With offloads, a super-packet that describes itself wrongly. */
START_TEST(not_a_super_packet)
{
	struct virtio_net_hdr vh = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100 };
	uint8_t packet[sizeof(vh) + 64];

	lab_start(&lab, 1, true);
	lab_meet(&lab, NULL);
	lab_mark(&lab.home);
	lab_packet(packet + sizeof(vh), "10.0.0.2", "8.8.8.8", 64);
	memcpy(packet, &vh, sizeof(vh));
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet)); /* it is UDP */
	lab_dropped(&lab.home, DROP_OUT_MALFORMED, 1, false);
	lab_tun_in(&lab, &lab.home, packet, 5);
	lab_dropped(&lab.home, DROP_OUT_MALFORMED, 1, false);
	lab_sent_nothing(&lab.home);
	lab_stop(&lab);
}
END_TEST

START_TEST(network_refuses)
{
	uint64_t sent = counter_read(&lab.home.peer->traffic.tx_packets);
	struct endpoint at, here;
	uint8_t packet[64], msg[96];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	/* First: the worker does not wait for us to have injected all. */
	wire_fail(lab.home.udp4, -ENOBUFS, 3);
	for (unsigned i = 0; i < 5; i++)
		wire_inject(lab.home.tun, NULL, 0, packet, sizeof(packet));
	lab_settle(&lab);
	lab_dropped(&lab.home, DROP_SEND_FAILED, 3, true);
	for (unsigned i = 0; i < 2; i++)
		free(lab_sent_one(&lab.home, MESSAGE_DATA, 96));
	ck_assert_uint_eq(counter_read(&lab.home.peer->traffic.tx_packets), sent + 2);

	/* Our own address has gone: it is forgotten, and the packet goes all the same. */
	here = lab.gate.at4;
	here.src4.s_addr = htobe32(0xc0000202);
	here.src_ifindex = 3;
	rcu_turn_begin();
	lab_seal(msg, lab_key(&lab.gate), 100, NULL, 0);
	rcu_turn_end();
	lab_deliver(&lab, &lab.home, &here, 0, msg, 32);
	ck_assert_int_eq(peer_get_endpoint(lab.home.peer, &at), 0);
	ck_assert(endpoint_equal(&at, &here));
	wire_fail(lab.home.udp4, -EADDRNOTAVAIL, 1);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	free(lab_sent_one(&lab.home, MESSAGE_DATA, 96));
	lab_dropped_nothing(&lab.home);
	ck_assert_int_eq(peer_get_endpoint(lab.home.peer, &at), 0);
	ck_assert_uint_eq(at.src_ifindex, 0);
	ck_assert(endpoint_same_remote(&at, &here));
}
END_TEST

/* Staging */

START_TEST(too_many_wait)
{
	uint8_t packet[64];
	unsigned n = 0;
	struct fake_packet *p;

	lab_wait(&lab, 180 * NSEC_PER_SEC);
	while ((p = lab_sent(&lab.home)) || (p = lab_sent(&lab.gate)))
		free(p);
	lab_wait(&lab, 5 * NSEC_PER_SEC + REKEY_TIMEOUT_JITTER_MAX);
	while ((p = lab_sent(&lab.gate)))
		free(p);
	lab_mark(&lab.home);
	for (unsigned i = 0; i < STAGED_PACKETS_MAX + 30; i++) {
		lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
		packet[40] = (uint8_t)i;
		wire_inject(lab.home.tun, NULL, 0, packet, sizeof(packet));
	}
	lab_settle(&lab);
	lab_dropped(&lab.home, DROP_STAGING_FULL, 30, true);
	lab_carry(&lab);
	/* The oldest have made room, and the order was kept. */
	for (; (p = wire_take(lab.gate.tun)); n++) {
		ck_assert_uint_eq(p->data[40], n + 30);
		free(p);
	}
	ck_assert_uint_eq(n, STAGED_PACKETS_MAX);
	lab_dropped_nothing(&lab.home);
}
END_TEST

/* Some of a burst's packets have keys and some have not; each peer's order is its own. */
START_TEST(two_peers)
{
	uint8_t private_key[32], public_key[32], packet[64];
	struct endpoint at;
	struct peer *other;
	unsigned next = 0;
	struct fake_packet *p;

	memset(private_key, 0x77, 32);
	crypto_scalarmult_base(public_key, private_key);
	ck_assert_int_eq(endpoint_parse(&at, "203.0.113.77:7"), 0);
	other = lab_add_peer(&lab.gate, public_key, "other", &at, "10.0.0.7/32", "fd00::7/128");
	for (unsigned i = 0; i < 90; i++) {
		lab_packet(packet, "8.8.8.8", i % 3 ? "10.0.0.2" : "10.0.0.7", sizeof(packet));
		packet[40] = (uint8_t)i;
		wire_inject(lab.gate.tun, NULL, 0, packet, sizeof(packet));
	}
	lab_settle(&lab);
	while ((p = lab_sent(&lab.gate))) {
		if (load_le32(p->data) == MESSAGE_INITIATION) {
			ck_assert(endpoint_same_remote(&p->peer, &at));
			free(p);
		} else {
			lab_forward(&lab, &lab.home, p);
		}
	}
	while ((p = wire_take(lab.home.tun))) {
		next += next % 3 == 0;
		ck_assert_uint_eq(p->data[40], next++);
		free(p);
	}
	ck_assert_uint_eq(next, 90);
	ck_assert_uint_eq(atomic_load(&atomic_load(&other->session)->n_staged), 30);
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Rekeying, by what was sent */

static void set_counter(struct side *side, uint64_t counter)
{
	rcu_turn_begin();
	atomic_store(&lab_key(side)->pair.send_counter, counter);
	rcu_turn_end();
}

/* After 2^60 messages either side asks for new keys, and goes on with those it has. */
START_TEST(rekey_after_messages)
{
	struct side *side = _i ? &lab.gate : &lab.home;
	uint8_t packet[64];

	if (_i)
		lab_packet(packet, "8.8.8.8", "10.0.0.2", sizeof(packet));
	else
		lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_wait(&lab, 5 * NSEC_PER_SEC);
	set_counter(side, REKEY_AFTER_MESSAGES - 1);
	lab_tun_in(&lab, side, packet, sizeof(packet));
	free(lab_sent_one(side, MESSAGE_DATA, 96));
	lab_sent_nothing(side);
	lab_tun_in(&lab, side, packet, sizeof(packet));
	free(lab_sent_one(side, MESSAGE_DATA, 96));
	free(lab_sent_one(side, MESSAGE_INITIATION, 148));
	lab_dropped_nothing(side);
}
END_TEST

/* The last nonces: what has none left waits for new keys. */
START_TEST(reject_after_messages)
{
	uint8_t packet[64];
	struct fake_packet *p;
	unsigned n = 0;

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_wait(&lab, 5 * NSEC_PER_SEC);
	set_counter(&lab.home, REJECT_AFTER_MESSAGES - 1);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	p = lab_sent_one(&lab.home, MESSAGE_DATA, 96);
	ck_assert_uint_eq(load_le64(p->data + 8), REJECT_AFTER_MESSAGES - 1);
	free(p);
	for (unsigned i = 0; i < 3; i++)
		lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	for (; (p = wire_take(lab.gate.tun)); n++)
		free(p);
	ck_assert_uint_eq(n, 3);
	lab_dropped_nothing(&lab.home);
	lab_dropped_nothing(&lab.gate);
}
END_TEST

/* Fewer nonces than packets: they wait, and nobody turns in circles meanwhile. */
START_TEST(too_few_nonces)
{
	uint8_t packet[64];
	struct fake_packet *p;
	unsigned n = 0;

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_wait(&lab, 5 * NSEC_PER_SEC);
	set_counter(&lab.home, REJECT_AFTER_MESSAGES - 2);
	for (unsigned i = 0; i < 20; i++)
		wire_inject(lab.home.tun, NULL, 0, packet, sizeof(packet));
	lab_settle(&lab);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_carry(&lab);
	for (; (p = wire_take(lab.gate.tun)); n++)
		free(p);
	ck_assert_uint_eq(n, 21);
}
END_TEST

/* After 120 s the initiator asks with the next data, the responder does not. */
START_TEST(rekey_after_time)
{
	uint8_t packet[64], back[64];

	lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_packet(back, "8.8.8.8", "10.0.0.2", sizeof(back));
	lab_live(&lab, 119);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, 96));
	lab_sent_nothing(&lab.home);
	lab_wait(&lab, NSEC_PER_SEC);
	lab_tun_in(&lab, &lab.gate, back, sizeof(back));
	lab_forward(&lab, &lab.home, lab_sent_one(&lab.gate, MESSAGE_DATA, 96));
	lab_sent_nothing(&lab.gate);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, 96));
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, 148));
	/* Not again within 5 s. */
	lab_wait(&lab, 4 * NSEC_PER_SEC);
	lab_tun_in(&lab, &lab.home, packet, sizeof(packet));
	lab_forward(&lab, &lab.gate, lab_sent_one(&lab.home, MESSAGE_DATA, 96));
	lab_sent_nothing(&lab.home);
}
END_TEST

/* Past 180 s nothing is sent under the old keys, in either role. */
START_TEST(reject_after_time)
{
	struct side *side = _i ? &lab.gate : &lab.home;
	struct side *other = _i ? &lab.home : &lab.gate;
	uint8_t packet[64];
	struct fake_packet *p;

	if (_i)
		lab_packet(packet, "8.8.8.8", "10.0.0.2", sizeof(packet));
	else
		lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	lab_live(&lab, 179);
	lab_wait(&lab, NSEC_PER_SEC);
	lab_tun_in(&lab, side, packet, sizeof(packet));
	p = lab_sent_one(side, MESSAGE_INITIATION, 148);
	lab_sent_nothing(side);
	lab_forward(&lab, other, p);
	lab_carry(&lab);
	lab_tun_out(other, packet, sizeof(packet));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("send");
	TCase *alone = tcase_create("alone");
	TCase *tc = tcase_create("send");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, every_length, 0, ARRAY_SIZE(mtus));
	tcase_add_test(tc, beyond_mtu);
	tcase_add_test(tc, mtu_changes);
	tcase_add_test(tc, headers);
	tcase_add_test(tc, congestion);
	tcase_add_test(tc, no_tenant);
	tcase_add_test(tc, no_endpoint);
	tcase_add_test(tc, error_rate);
	tcase_add_test(tc, not_ip);
	tcase_add_test(tc, indescribable);
	tcase_add_test(alone, not_a_super_packet);
	tcase_add_test(tc, network_refuses);
	tcase_add_test(tc, too_many_wait);
	tcase_add_test(tc, two_peers);
	tcase_add_loop_test(tc, rekey_after_messages, 0, 2);
	tcase_add_test(tc, reject_after_messages);
	tcase_add_test(tc, too_few_nonces);
	tcase_add_test(tc, rekey_after_time);
	tcase_add_loop_test(tc, reject_after_time, 0, 2);
	suite_add_tcase(s, alone);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
