/* SPDX-License-Identifier: MIT */
#include "path_lab.h"

#include <arpa/inet.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>

#include "../crypto/aead.h"
#include "../src/path/handshake.h"
#include "rcu_fixture.h"

/* Control's side */

void lab_apply(struct side *side, const struct change *change)
{
	size_t failed;

	ck_assert_int_eq(device_apply(side->dev, change, 1, &failed), 0);
}

static struct peer *find_peer(struct side *side, const uint8_t public_key[32])
{
	struct peertable_entry *entry;

	rcu_turn_begin();
	entry = peertable_lookup(device_datapath(side->dev)->table, public_key);
	rcu_turn_end();
	return entry ? container_of(entry, struct peer, entry) : NULL;
}

static struct prefix prefix_of(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return p;
}

struct peer *lab_add_peer(struct side *side, const uint8_t public_key[32], const char *name,
			  const struct endpoint *at, const char *ip, const char *ip2)
{
	struct prefix ips[2] = { prefix_of(ip), prefix_of(ip2) };
	struct change c = { .kind = CHANGE_PEER, .allowed_ips = ips, .n_allowed_ips = 2 };

	memcpy(c.key, public_key, 32);
	strncpy(c.name, name, sizeof(c.name) - 1);
	if (at) {
		c.flags = PEER_HAS_ENDPOINT;
		c.endpoint = *at;
	}
	lab_apply(side, &c);
	return find_peer(side, public_key);
}

static void open_side(struct side *side, struct workers *ws, const char *name, bool offload,
		      uint8_t seed, const char *at4, const char *at6)
{
	struct device_options options = { .name = name, .netns = -1, .tun_fd = -1,
					  .mtu = LAB_MTU, .offload = offload };
	struct change port = { .kind = CHANGE_LISTEN_PORT, .number = 1111 };
	struct change key = { .kind = CHANGE_PRIVATE_KEY };
	struct udp_sockets *udp;
	struct queue *q;

	ck_assert_int_eq(device_open(&side->dev, ws, &options), 0);
	memset(side->private_key, seed, 32);
	crypto_scalarmult_base(side->public_key, side->private_key);
	memcpy(key.key, side->private_key, 32);
	lab_apply(side, &key);
	lab_apply(side, &port);
	ck_assert_int_eq(endpoint_parse(&side->at4, at4), 0);
	ck_assert_int_eq(endpoint_parse(&side->at6, at6), 0);
	q = device_datapath(side->dev)->queues;
	udp = atomic_load(&q->udp);
	side->tun = q->tun.fd;
	side->udp4 = udp->fd4;
	side->udp6 = udp->fd6;
	side->handshake4 = udp->handshake4;
	side->handshake6 = udp->handshake6;
}

void lab_start(struct lab *lab, unsigned workers, bool offload)
{
	memset(lab, 0, sizeof(*lab));
	ck_assert_int_ge(sodium_init(), 0);
	rcu_register_thread();
	rcu_turn_end();
	ck_assert_int_eq(workers_start(&lab->ws, workers, "libsodium"), 0);
	open_side(&lab->home, &lab->ws, "home0", offload, 0x11, "192.0.2.2:2222",
		  "[2001:db8::2]:2222");
	open_side(&lab->gate, &lab->ws, "gate0", offload, 0x22, "192.0.2.1:1111",
		  "[2001:db8::1]:1111");
}

void lab_meet(struct lab *lab, const uint8_t *psk)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_PRESHARED_KEY };

	lab->home.peer = lab_add_peer(&lab->home, lab->gate.public_key, "gate",
				      lab->v6 ? &lab->gate.at6 : &lab->gate.at4,
				      "0.0.0.0/0", "::/0");
	lab->gate.peer = lab_add_peer(&lab->gate, lab->home.public_key, "home", NULL,
				      "10.0.0.2/32", "fd00::2/128");
	if (!psk)
		return;
	memcpy(c.preshared_key, psk, 32);
	memcpy(c.key, lab->gate.public_key, 32);
	lab_apply(&lab->home, &c);
	memcpy(c.key, lab->home.public_key, 32);
	lab_apply(&lab->gate, &c);
}

void lab_start_acquainted(struct lab *lab, const uint8_t *psk)
{
	lab_start(lab, 1, false);
	lab_meet(lab, psk);
}

void lab_stop(struct lab *lab)
{
	device_close(lab->home.dev);
	device_close(lab->gate.dev);
	workers_stop(&lab->ws);
	rcu_barrier();
	rcu_unregister_thread();
}

/* Threads */

/* A round through the worker: what was posted to it before has been served after. */
static void pass_worker(struct lab *lab, struct side *side)
{
	struct datapath *dp = device_datapath(side->dev);

	for (unsigned i = 0; i < dp->n_queues; i++) {
		struct queue *q = &dp->queues[i];
		struct worker *w = lab->ws.worker[(side->dev->first_worker + i) % lab->ws.n];

		ck_assert_int_eq(worker_set_sockets(w, q, atomic_load(&q->udp)), 0);
	}
}

void lab_settle(struct lab *lab)
{
	unsigned before;

	/* Each may make work for the other: until a whole round moves nothing. */
	do {
		before = wire_traffic();
		for (unsigned i = 0; i < 3; i++) {
			while (!wire_idle())
				sched_yield();
			pass_worker(lab, &lab->home);
			pass_worker(lab, &lab->gate);
			handshake_drain(lab->ws.handshake);
		}
	} while (wire_traffic() != before || !wire_idle());
}

void lab_wait(struct lab *lab, uint64_t ns)
{
	fake_clock_advance(ns);
	/* Passing a worker sets its timer anew, for at once; it goes off before the next pass. */
	lab_settle(lab);
}

/* The network */

struct fake_packet *lab_sent(struct side *side)
{
	struct datapath *dp = device_datapath(side->dev);
	struct fake_packet *p = NULL;

	for (unsigned i = 0; i < dp->n_queues && !p; i++) {
		struct udp_sockets *udp = atomic_load(&dp->queues[i].udp);

		p = wire_take(udp->fd4);
		if (!p)
			p = wire_take(udp->fd6);
	}
	return p;
}

struct fake_packet *lab_sent_one_at(int line, struct side *side, uint32_t type, size_t len)
{
	struct fake_packet *p = lab_sent(side);

	if (!p || load_le32(p->data) != type || p->len != len)
		ck_abort_msg("line %d: type %u, %zu bytes", line, p ? p->data[0] : 0,
			     p ? p->len : 0);
	return p;
}

void lab_sent_nothing_at(int line, struct side *side)
{
	struct fake_packet *p = lab_sent(side);

	if (p)
		ck_abort_msg("line %d: type %u, %zu bytes", line, p->data[0], p->len);
}

void lab_inject(struct side *to, const struct endpoint *from, uint8_t ecn, const void *data,
		size_t len)
{
	bool v4 = from->addr.sa_family == AF_INET;
	int wire = v4 ? to->handshake4 : to->handshake6;

	if (len >= sizeof(uint32_t) && load_le32(data) == MESSAGE_DATA)
		wire = v4 ? to->udp4 : to->udp6;
	wire_inject(wire, from, ecn, data, len);
}

void lab_deliver(struct lab *lab, struct side *to, const struct endpoint *from, uint8_t ecn,
		 const void *data, size_t len)
{
	lab_inject(to, from, ecn, data, len);
	lab_settle(lab);
}

void lab_forward(struct lab *lab, struct side *to, struct fake_packet *p)
{
	const struct side *from = to == &lab->home ? &lab->gate : &lab->home;

	lab_deliver(lab, to, p->peer.addr.sa_family == AF_INET ? &from->at4 : &from->at6, p->ecn,
		    p->data, p->len);
	free(p);
}

void lab_carry(struct lab *lab)
{
	struct fake_packet *p;

	lab_settle(lab);
	for (;;) {
		if ((p = lab_sent(&lab->home)))
			lab_forward(lab, &lab->gate, p);
		else if ((p = lab_sent(&lab->gate)))
			lab_forward(lab, &lab->home, p);
		else
			return;
	}
}

void lab_live(struct lab *lab, unsigned seconds)
{
	while (seconds--) {
		lab_wait(lab, NSEC_PER_SEC);
		lab_carry(lab);
	}
}

void lab_tun_in(struct lab *lab, struct side *side, const void *packet, size_t len)
{
	wire_inject(side->tun, NULL, 0, packet, len);
	lab_settle(lab);
}

void lab_tun_silent(struct side *side)
{
	ck_assert_uint_eq(wire_count(side->tun), 0);
}

void lab_tun_out_at(int line, struct side *side, const void *packet, size_t len)
{
	struct fake_packet *p = wire_take(side->tun);

	if (!p || p->len != len || memcmp(p->data, packet, len) || wire_count(side->tun))
		ck_abort_msg("line %d: %zu bytes, %u packets more", line, p ? p->len : 0,
			     wire_count(side->tun));
	free(p);
}

void lab_connect(struct lab *lab)
{
	uint8_t packet[100];
	size_t len = lab_packet(packet, "10.0.0.2", "10.0.0.1", sizeof(packet));

	lab_tun_in(lab, &lab->home, packet, len);
	lab_carry(lab);
	lab_tun_out(&lab->gate, packet, len);
	lab_mark(&lab->home);
	lab_mark(&lab->gate);
}

/* Packets */

size_t lab_packet(uint8_t *out, const char *src, const char *dst, size_t len)
{
	bool ip4 = !strchr(src, ':');

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 7);
	if (ip4) {
		memcpy(out, (uint8_t[]){ 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0 }, 12);
		store_be16(out + 2, (uint16_t)len);
		ck_assert_int_eq(inet_pton(AF_INET, src, out + 12), 1);
		ck_assert_int_eq(inet_pton(AF_INET, dst, out + 16), 1);
		store_be16(out + 10, (uint16_t)~naive_sum(0, out, 20));
	} else {
		memcpy(out, (uint8_t[]){ 0x60, 0, 0, 0, 0, 0, 17, 64 }, 8);
		store_be16(out + 4, (uint16_t)(len - 40));
		ck_assert_int_eq(inet_pton(AF_INET6, src, out + 8), 1);
		ck_assert_int_eq(inet_pton(AF_INET6, dst, out + 24), 1);
	}
	return len;
}

void lab_check_tunnel(struct lab *lab)
{
	uint8_t out[300], back[200];
	size_t len = lab_packet(out, "fd00::2", "2001:db8:5::5", sizeof(out));

	lab_tun_in(lab, &lab->home, out, len);
	lab_carry(lab);
	lab_tun_out(&lab->gate, out, len);
	len = lab_packet(back, "198.51.100.1", "10.0.0.2", sizeof(back));
	lab_tun_in(lab, &lab->gate, back, len);
	lab_carry(lab);
	lab_tun_out(&lab->home, back, len);
}

struct session_key *lab_key(struct side *side)
{
	struct session *session = rcu_read(&side->peer->session);

	return session ? session_key_of(keypairs_current(&session->keys)) : NULL;
}

size_t lab_seal(uint8_t *out, const struct session_key *key, uint64_t counter, const void *inner,
		size_t len)
{
	uint8_t nonce[AEAD_NONCE_LEN];

	aead_nonce(nonce, counter);
	store_le32(out, MESSAGE_DATA);
	store_le32(out + 4, key->pair.remote_index);
	store_le64(out + 8, counter);
	crypto_aead_chacha20poly1305_ietf_encrypt(out + 16, NULL, inner, len, NULL, 0, NULL, nonce,
						  key->pair.send_key);
	return len + MESSAGE_DATA_OVERHEAD;
}

/* Counters */

static void tally(struct side *side, struct tally *out)
{
	struct datapath *dp = device_datapath(side->dev);
	struct drop_counters *drops = side->peer ? rcu_read(&side->peer->drops) : NULL;

	for (unsigned i = 0; i < DROP_REASON_COUNT; i++) {
		out->device[i] = counter_read(&dp->drops.n[i]);
		out->peer[i] = drops ? counter_read(&drops->n[i]) : 0;
	}
}

void lab_mark(struct side *side)
{
	tally(side, &side->before);
}

void lab_dropped_at(int line, struct side *side, enum drop_reason reason, unsigned n,
		    bool at_peer)
{
	struct tally now;

	tally(side, &now);
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++) {
		unsigned device = (unsigned)(now.device[i] - side->before.device[i]);
		unsigned peer = (unsigned)(now.peer[i] - side->before.peer[i]);
		unsigned expected = i == reason ? n : 0;

		ck_assert_msg(device == expected, "line %d: %s: %u of %u at the device", line,
			      drop_name(i), device, expected);
		expected = at_peer ? expected : 0;
		ck_assert_msg(peer == expected, "line %d: %s: %u of %u at the peer", line,
			      drop_name(i), peer, expected);
	}
	side->before = now;
}

