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
		lab_inject(&lab.gate, &lab.home.at4, 0, p->data, p->len);
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

/* The rings of a queue are all read, much from each at once, and each in its order. */
START_TEST(rings_take_turns)
{
	enum { EACH = 3000 };
	const struct tun_queue *tun = &device_datapath(lab.home.dev)->queues[0].tun;
	uint8_t packet[400];
	unsigned next[2] = { 0 };

	ck_assert_uint_ge(tun->n_rings, 2);
	for (unsigned i = 0; i < 2 * EACH; i++) {
		lab_packet(packet, "10.0.0.2", i % 2 ? "8.8.8.8" : "9.9.9.9", sizeof(packet));
		store_be32(packet + 28, i / 2);
		wire_inject(tun_ring(tun, i % 2), NULL, 0, packet, sizeof(packet));
	}
	lab_carry(&lab);
	for (unsigned i = 0; i < 2 * EACH; i++) {
		struct fake_packet *p = wire_take(lab.gate.tun);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(load_be32(p->data + 28), next[p->data[16] == 8]++);
		free(p);
	}
	lab_dropped_nothing(&lab.home);
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

/* A tenant's own MTU */

static void set_tenant_mtu(uint16_t mtu)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | PEER_HAS_MTU,
			    .mtu = mtu };

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
}

/* Padding ends there, too, and what does not fit gets its error. All lengths there are. */
START_TEST(tenant_mtu)
{
	static const uint16_t own[] = { 1280, 1281, 1371, 1419, 1420 };
	uint16_t mtu = own[_i];
	uint8_t packet[1500];

	set_tenant_mtu(mtu);
	for (size_t len = 40; len <= 1420; len += len == 60 ? 1180 : 1) {
		size_t padded = min((len + 15) / 16 * 16, (size_t)mtu);
		struct fake_packet *p;

		lab_packet(packet, "2001:db8:9::1", "fd00::2", len);
		lab_tun_in(&lab, &lab.gate, packet, len);
		if (len <= mtu) {
			p = lab_sent_one(&lab.gate, MESSAGE_DATA, padded + 32);
			lab_forward(&lab, &lab.home, p);
			lab_tun_out(&lab.home, packet, len);
			lab_dropped_nothing(&lab.gate);
			continue;
		}
		lab_sent_nothing(&lab.gate);
		lab_dropped(&lab.gate, DROP_TOO_BIG, 1, true);
		p = wire_take(lab.gate.tun);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(p->len, 1280);
		ck_assert_mem_eq(p->data + 40, ((uint8_t[]){ 2, 0 }), 2);
		ck_assert_uint_eq(load_be32(p->data + 44), mtu);
		ck_assert_mem_eq(p->data + 48, packet, 1280 - 48);
		ck_assert_mem_eq(p->data + 24, packet + 8, 16);
		free(p);
		lab_wait(&lab, 50 * NSEC_PER_MSEC); /* one more token */
	}
	set_tenant_mtu(0);
	lab_packet(packet, "2001:db8:9::1", "fd00::2", 1420);
	lab_tun_in(&lab, &lab.gate, packet, 1420);
	free(lab_sent_one(&lab.gate, MESSAGE_DATA, 1452));
}
END_TEST

/* A super-packet whose segments are all too large: one error, in IPv4 and IPv6. */
START_TEST(too_big_once)
{
	static uint8_t packet[sizeof(struct virtio_net_hdr) + 60000], payload[50000];
	struct recipe r = { .ip4 = _i, .proto = IPPROTO_TCP, .ttl = 64, .flags = 16, .df = true };
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_UPDATE_ONLY | PEER_HAS_ENDPOINT };
	struct virtio_net_hdr vh = { .gso_size = 1350, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .gso_type = _i ? VIRTIO_NET_HDR_GSO_TCPV4
						    : VIRTIO_NET_HDR_GSO_TCPV6 };
	uint8_t *ip = packet + sizeof(vh);
	struct fake_packet *p;
	size_t len;

	lab_start(&lab, 1, true);
	lab_meet(&lab, NULL);
	memcpy(c.key, lab.home.public_key, 32);
	c.endpoint = lab.home.at4;
	lab_apply(&lab.gate, &c);
	set_tenant_mtu(1300);
	lab_mark(&lab.gate);
	len = make_packet(ip, &r, payload, sizeof(payload));
	if (r.ip4)
		memcpy(ip + 12, (uint8_t[]){ 198, 51, 100, 1, 10, 0, 0, 2 }, 8);
	else
		memcpy(ip + 24, (uint8_t[16]){ 0xfd, [15] = 2 }, 16);
	naive_finish(ip, len, IPPROTO_TCP);
	vh.csum_start = r.ip4 ? 20 : 40;
	vh.csum_offset = 16;
	vh.hdr_len = (uint16_t)(vh.csum_start + 20);
	memcpy(packet, &vh, sizeof(vh));
	lab_tun_in(&lab, &lab.gate, packet, sizeof(vh) + len);
	/* all but the last, of 50 bytes */
	lab_dropped(&lab.gate, DROP_TOO_BIG, 37, true);
	ck_assert_uint_eq(wire_count(lab.gate.tun), 1);
	p = wire_take(lab.gate.tun);
	if (r.ip4) {
		ck_assert_mem_eq(p->data + sizeof(vh) + 20, ((uint8_t[]){ 3, 4 }), 2);
		ck_assert_uint_eq(load_be32(p->data + sizeof(vh) + 24), 1300);
	} else {
		ck_assert_mem_eq(p->data + sizeof(vh) + 40, ((uint8_t[]){ 2, 0 }), 2);
		ck_assert_uint_eq(load_be32(p->data + sizeof(vh) + 44), 1300);
	}
	free(p);
	lab_stop(&lab);
}
END_TEST

/* Who allows fragments gets them, in the order in which all was sent. */
START_TEST(fragments)
{
	static const size_t sizes[] = { 100, 1400, 60, 1301, 1300, 1420 };
	uint8_t packets[ARRAY_SIZE(sizes)][1500], joined[1500];
	struct fake_packet *p;

	set_tenant_mtu(1300);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		lab_packet(packets[i], "198.51.100.1", "10.0.0.2", sizes[i]);
		store_be16(packets[i] + 4, (uint16_t)(i + 1));
		store_be16(packets[i] + 10, 0);
		store_be16(packets[i] + 10, (uint16_t)~naive_sum(0, packets[i], 20));
		wire_inject(lab.gate.tun, NULL, 0, packets[i], sizes[i]);
	}
	lab_carry(&lab);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t done = 0;

		while (done < sizes[i] - 20) {
			p = wire_take(lab.home.tun);
			ck_assert_ptr_nonnull(p);
			ck_assert_uint_le(p->len, 1300);
			ck_assert_uint_eq(load_be16(p->data + 4), i + 1);
			ck_assert_uint_eq(naive_sum(0, p->data, 20), 0xffff);
			ck_assert_uint_eq((load_be16(p->data + 6) & 0x1fff) * 8u, done);
			memcpy(joined + done, p->data + 20, p->len - 20);
			done += p->len - 20;
			ck_assert_uint_eq(!!(p->data[6] & 0x20), done < sizes[i] - 20);
			free(p);
		}
		ck_assert_mem_eq(joined, packets[i] + 20, done);
	}
	lab_tun_silent(&lab.home);
	lab_tun_silent(&lab.gate);
	lab_dropped_nothing(&lab.gate);
	lab_dropped_nothing(&lab.home);
}
END_TEST

/* A SYN of either direction is told what the tenant's way carries. */
START_TEST(clamped)
{
	static const uint8_t mss[4] = { 2, 4, 5, 0xb4 };
	struct recipe r = { .proto = IPPROTO_TCP, .ttl = 64, .flags = 2, .tcp_extra = 4 };
	uint8_t packet[128];
	struct fake_packet *p;
	size_t len;

	set_tenant_mtu((uint16_t)(_i & 1 ? 1300 : 0));
	r.ip4 = _i & 2;
	len = make_packet(packet, &r, (const uint8_t *)"", 0);
	memcpy(packet + len - 4, mss, 4);
	if (r.ip4)
		memcpy(packet + 12, (uint8_t[]){ 198, 51, 100, 1, 10, 0, 0, 2 }, 8);
	else
		memcpy(packet + 24, (uint8_t[16]){ 0xfd, [15] = 2 }, 16);
	naive_finish(packet, len, IPPROTO_TCP);
	lab_tun_in(&lab, &lab.gate, packet, len);
	lab_carry(&lab);
	p = wire_take(lab.home.tun);
	ck_assert_ptr_nonnull(p);
	ck_assert(naive_valid(p->data, p->len, IPPROTO_TCP));
	ck_assert_uint_eq(load_be16(p->data + len - 2),
			  (_i & 1 ? 1300 : 1420) - (r.ip4 ? 40 : 60));
	free(p);

	/* And back, from the tenant: home knows of no MTU of its own but the device's. */
	if (r.ip4)
		memcpy(packet + 12, (uint8_t[]){ 10, 0, 0, 2, 198, 51, 100, 1 }, 8);
	else
		memcpy(packet + 8, (uint8_t[32]){ 0xfd, [15] = 2, 0xfd, [31] = 9 }, 32);
	naive_finish(packet, len, IPPROTO_TCP);
	lab_tun_in(&lab, &lab.home, packet, len);
	lab_carry(&lab);
	p = wire_take(lab.gate.tun);
	ck_assert_ptr_nonnull(p);
	ck_assert(naive_valid(p->data, p->len, IPPROTO_TCP));
	ck_assert_uint_eq(load_be16(p->data + len - 2),
			  (_i & 1 ? 1300 : 1420) - (r.ip4 ? 40 : 60));
	free(p);
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
	tcase_add_test(tc, rings_take_turns);
	tcase_add_test(tc, congestion);
	tcase_add_test(tc, no_tenant);
	tcase_add_test(tc, no_endpoint);
	tcase_add_test(tc, error_rate);
	tcase_add_loop_test(tc, tenant_mtu, 0, 5);
	tcase_add_loop_test(alone, too_big_once, 0, 2);
	tcase_add_test(tc, fragments);
	tcase_add_loop_test(tc, clamped, 0, 4);
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
