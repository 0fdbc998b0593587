/* SPDX-License-Identifier: MIT */
/* What micro.c measures, and the inputs of it: fixed, so that counts can be compared. */
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>

#include "../../crypto/aead.h"
#include "../../crypto/cookie.h"
#include "../../crypto/noise.h"
#include "../../crypto/replay.h"
#include "../../crypto/tai64n.h"
#include "../../src/base/rcu.h"
#include "../../src/peer/limit.h"
#include "../../src/table/allowedips.h"
#include "../../tun/checksum.h"
#include "../../tun/gro.h"
#include "micro.h"

enum {
	BURST = 32,
	PACKET = 1420,
	SLOT = 1536,
	SUPER = 64000,        /* bytes of a super-packet */
	SEGMENT = 1368,       /* TCP payload of a packet of 1,420 with time stamps */
	TCP_HEADERS = 20 + 32,
	SEGMENTS = (SUPER - TCP_HEADERS + SEGMENT - 1) / SEGMENT,
	GRO_PACKETS = 256,
	TENANTS = 10000,
	N_IPSECMB = 3 /* first of the operations */
};

struct fixture {
	struct aead *ipsecmb; /* NULL where it is not */
	struct aead *sodium;
	struct aead_op ops[BURST];
	uint8_t data[BURST][SLOT], sealed[BURST][SLOT], key[AEAD_KEY_LEN];

	uint8_t super[SUPER], arena[2 * SUPER];
	struct virtio_net_hdr vh;
	struct span segs[64];

	struct gro gro;
	uint8_t flow[GRO_PACKETS][SLOT], flows[GRO_PACKETS][SLOT];
	struct span in_flow[GRO_PACKETS], in_flows[GRO_PACKETS];

	struct allowedips table;
	uint32_t next;
	struct replay replay;
	uint64_t counter;
	struct limit *limit;
	_Atomic size_t held;
	uint64_t now;

	struct noise_local us, them;
	struct noise_remote to_us, to_them;          /* theirs for us, ours for them */
	struct noise_remote consumed, responded, initiated; /* states to go on from */
	struct message_initiation first, forged, unproven;
	struct message_response second;
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	struct cookie_checker checker;
	struct cookie_epochs epochs;
	uint8_t address[6];
};

/* Results that nobody looks at, but that the compiler must believe in. */
static volatile uint64_t sink;

/* ---- ChaCha20-Poly1305 ---------------------------------------------------------- */

static void seal(struct fixture *f, struct aead *aead, size_t len)
{
	for (unsigned i = 0; i < BURST; i++)
		f->ops[i] = (struct aead_op){ f->data[i], len, f->key, i, false };
	aead_seal_burst(aead, f->ops, BURST);
}

/* A copy is part of it, 2 % of the whole: opening is in place. */
static void open_sealed(struct fixture *f, struct aead *aead)
{
	for (unsigned i = 0; i < BURST; i++) {
		memcpy(f->data[i], f->sealed[i], PACKET + AEAD_TAG_LEN);
		f->ops[i] = (struct aead_op){ f->data[i], PACKET + AEAD_TAG_LEN, f->key, i, false };
	}
	aead_open_burst(aead, f->ops, BURST);
	if (!f->ops[0].ok)
		abort();
}

static void seal_ipsecmb(struct fixture *f, size_t len)
{
	seal(f, f->ipsecmb, len);
}

static void open_ipsecmb(struct fixture *f, size_t len)
{
	(void)len;
	open_sealed(f, f->ipsecmb);
}

static void seal_sodium(struct fixture *f, size_t len)
{
	seal(f, f->sodium, len);
}

static void open_sodium(struct fixture *f, size_t len)
{
	(void)len;
	open_sealed(f, f->sodium);
}

static void set_up_aead(struct fixture *f)
{
	if (aead_new("ipsec-mb", &f->ipsecmb))
		f->ipsecmb = NULL;
	if (aead_new("libsodium", &f->sodium))
		abort();
	memset(f->key, 7, sizeof(f->key));
	seal(f, f->sodium, PACKET);
	memcpy(f->sealed, f->data, sizeof(f->sealed));
}

/* ---- segmentation and coalescing ------------------------------------------------- */

/* IPv4 and TCP with time stamps, port as given; checksums right unless partial. */
static void make_tcp(uint8_t *p, size_t payload, uint16_t port, uint32_t seq, bool partial)
{
	size_t len = TCP_HEADERS + payload;
	uint8_t *t = p + 20;
	uint64_t pseudo;

	memset(p, 0, TCP_HEADERS);
	p[0] = 0x45;
	store_be16(p + 2, (uint16_t)len);
	p[6] = 0x40; /* do not fragment */
	p[8] = 64;
	p[9] = IPPROTO_TCP;
	memcpy(p + 12, (uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 2 }, 8);
	checksum_store(p + 10, checksum_finish(checksum_add(0, p, 20)));
	store_be16(t, port);
	store_be16(t + 2, 443);
	store_be32(t + 4, seq);
	t[12] = 0x80;
	t[13] = 0x10; /* ACK */
	store_be16(t + 14, 501);
	memcpy(t + 20, (uint8_t[]){ 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 }, 12);
	memset(p + TCP_HEADERS, 0x33, payload);
	pseudo = checksum_pseudo4(p + 12, IPPROTO_TCP, len - 20);
	if (partial)
		checksum_store(t + 16, checksum_fold(pseudo));
	else
		checksum_store(t + 16, checksum_finish(checksum_add(pseudo, t, len - 20)));
}

static void split(struct fixture *f, size_t unused)
{
	static const struct gso_layout layout = { 16, 16, 16, PACKET };

	(void)unused;
	if (gso_split(&f->vh, f->super, SUPER, &layout, f->arena, sizeof(f->arena), f->segs,
		      ARRAY_SIZE(f->segs)) != SEGMENTS)
		abort();
}

/* Put back as it was: the first packet of each super-packet has been rewritten. */
static void coalesce(struct fixture *f, size_t flows)
{
	gro_coalesce(&f->gro, flows == 1 ? f->in_flow : f->in_flows, GRO_PACKETS, GRO_TCP | GRO_UDP);
	for (size_t i = 0; i < f->gro.n_supers; i++)
		gro_undo(&f->gro, &f->gro.supers[i]);
}

static void sum_packet(struct fixture *f, size_t unused)
{
	(void)unused;
	sink = checksum_add(0, f->super, PACKET);
}

static void set_up_offload(struct fixture *f)
{
	f->vh = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					 .hdr_len = TCP_HEADERS,
					 .gso_size = SEGMENT,
					 .csum_start = 20,
					 .csum_offset = 16 };
	make_tcp(f->super, SUPER - TCP_HEADERS, 1000, 1, true);
	if (gro_init(&f->gro, GRO_PACKETS))
		abort();
	for (unsigned i = 0; i < GRO_PACKETS; i++) {
		make_tcp(f->flow[i], SEGMENT, 1000, 1 + i * SEGMENT, false);
		make_tcp(f->flows[i], SEGMENT, (uint16_t)(1000 + i % 32), 1 + i / 32 * SEGMENT,
			 false);
		f->in_flow[i] = (struct span){ f->flow[i], PACKET };
		f->in_flows[i] = (struct span){ f->flows[i], PACKET };
	}
}

/* ---- tables ------------------------------------------------------------------------ */

/* Tenants' addresses are spread over the prefix, and so are the questions. */
static void tenant_address(uint8_t addr[16], uint32_t number)
{
	memcpy(addr, (uint8_t[]){ 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1 }, 8);
	store_be32(addr + 8, number * 2654435761U);
	store_be32(addr + 12, number);
}

static void lookup_host(struct fixture *f, size_t unused)
{
	uint8_t addr[16];

	(void)unused;
	f->next = f->next * 1664525 + 1013904223;
	tenant_address(addr, (f->next >> 8) % TENANTS);
	sink = (uintptr_t)allowedips_lookup6(&f->table, addr);
}

/* Not a single address: through the trie, to a /96 of the same tenants. */
static void lookup_trie(struct fixture *f, size_t unused)
{
	uint8_t addr[16];

	(void)unused;
	f->next = f->next * 1664525 + 1013904223;
	tenant_address(addr, (f->next >> 8) % TENANTS);
	addr[4] = 1;
	addr[15] ^= 0x80;
	sink = (uintptr_t)allowedips_lookup6(&f->table, addr);
}

static void set_up_table(struct fixture *f)
{
	allowedips_init(&f->table);
	for (uint32_t i = 0; i < TENANTS; i++) {
		struct prefix p = { .family = AF_INET6, .cidr = 128 };

		tenant_address(p.addr, i);
		if (allowedips_insert(&f->table, &p, f, NULL))
			abort();
		p.addr[4] = 1;
		p.cidr = 96;
		memset(p.addr + 12, 0, 4);
		if (allowedips_insert(&f->table, &p, f, NULL))
			abort();
	}
}

static void check_replay(struct fixture *f, size_t unused)
{
	(void)unused;
	for (unsigned i = 0; i < BURST; i++)
		sink = replay_check(&f->replay, f->counter++);
}

/* What a limit adds to a burst that is within it: a sum, and one look at the bucket. */
static void check_limit(struct fixture *f, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += f->in_flow[i].len;
	f->now += NSEC_PER_MSEC;
	sink = limit_pass(f->limit, LIMIT_DOWN, f->now, bytes);
}

static void set_up_limit(struct fixture *f)
{
	const struct limits far_above = { .rate_down = UINT64_C(100000000000) };

	f->limit = limit_new(&f->held);
	if (!f->limit)
		abort();
	(void)!limit_set(f->limit, &far_above);
}

/* ---- handshake ----------------------------------------------------------------------- */

static struct noise_remote *find_them(void *arg, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct fixture *f = arg;

	(void)public_key;
	return &f->to_them;
}

static void fixed_random(void *arg, void *buf, size_t len)
{
	(void)arg;
	memset(buf, 0x42, len);
}

static void must(enum noise_result result)
{
	if (result != NOISE_OK)
		abort();
}

static void create_initiation(struct fixture *f, size_t unused)
{
	struct noise_upcalls up = { f, find_them, fixed_random, NULL };

	(void)unused;
	must(noise_create_initiation(&f->to_us, &f->them, &up, 1, f->timestamp, &f->first));
}

static void consume_initiation(struct fixture *f, size_t unused)
{
	struct noise_upcalls up = { f, find_them, fixed_random, NULL };
	struct noise_remote *who;

	(void)unused;
	memset(f->to_them.last_timestamp, 0, NOISE_TIMESTAMP_LEN);
	f->to_them.last_initiation = 0;
	must(noise_consume_initiation(&f->us, &up, NSEC_PER_SEC, &f->first, &who));
}

static void create_response(struct fixture *f, size_t unused)
{
	struct noise_upcalls up = { f, find_them, fixed_random, NULL };

	(void)unused;
	f->to_them = f->consumed;
	must(noise_create_response(&f->to_them, &up, 2, &f->second));
}

static void consume_response(struct fixture *f, size_t unused)
{
	(void)unused;
	f->to_us = f->initiated;
	must(noise_consume_response(&f->to_us, &f->them, &f->second));
}

static void begin_session(struct fixture *f, size_t unused)
{
	struct noise_session session;

	(void)unused;
	f->to_them = f->responded;
	must(noise_begin_session(&f->to_them, &session));
}

static void x25519(struct fixture *f, size_t unused)
{
	uint8_t shared[32];

	(void)unused;
	if (crypto_scalarmult(shared, f->us.private_key, f->them.public_key))
		abort();
	sink = shared[0];
}

static void check_mac1(struct fixture *f, size_t unused)
{
	(void)unused;
	if (cookie_check(&f->checker, NULL, &f->first, sizeof(f->first), f->address, 6,
			 NSEC_PER_SEC, false) != COOKIE_MAC1)
		abort();
}

/* A flood: mac1 is wrong, and that is all there is to find out. */
static void check_bad_mac1(struct fixture *f, size_t unused)
{
	(void)unused;
	if (cookie_check(&f->checker, NULL, &f->forged, sizeof(f->forged), f->address, 6,
			 NSEC_PER_SEC, false) != COOKIE_INVALID)
		abort();
}

/* A flood under load: mac1 is right, mac2 is not; and what is sent back. */
static void check_bad_mac2(struct fixture *f, size_t unused)
{
	(void)unused;
	if (cookie_check(&f->checker, &f->epochs, &f->unproven, sizeof(f->unproven), f->address, 6,
			 NSEC_PER_SEC, true) != COOKIE_MAC1)
		abort();
}

static void make_cookie_reply(struct fixture *f, size_t unused)
{
	struct message_cookie_reply reply;

	(void)unused;
	cookie_make_reply(&f->checker, &f->epochs, &f->unproven, sizeof(f->unproven), f->address, 6,
			  NSEC_PER_SEC, &reply);
	sink = reply.encrypted_cookie[0];
}

static void set_up_noise(struct fixture *f)
{
	uint8_t ours[32] = { 1, 2, 3 }, theirs[32] = { 4, 5, 6 };
	struct timespec now = { .tv_sec = 1700000000 };
	struct cookie_maker maker;

	must(noise_local_init(&f->us, ours));
	must(noise_local_init(&f->them, theirs));
	must(noise_remote_init(&f->to_us, &f->them, f->us.public_key, NULL));
	must(noise_remote_init(&f->to_them, &f->us, f->them.public_key, NULL));
	tai64n_encode(f->timestamp, &now);
	create_initiation(f, 0);
	f->initiated = f->to_us;
	consume_initiation(f, 0);
	f->consumed = f->to_them;
	create_response(f, 0);
	f->responded = f->to_them;
	cookie_checker_init(&f->checker, f->us.public_key);
	cookie_maker_init(&maker, f->us.public_key);
	cookie_add_macs(&maker, &f->first, sizeof(f->first), NSEC_PER_SEC);
	f->forged = f->first;
	f->forged.macs.mac1[0] ^= 1;
	f->unproven = f->first;
	f->unproven.macs.mac2[0] = 1;
}

/* An initiation made anew has no mac1: hence their order. The first need ipsec-mb. */
static const struct operation operations[] = {
	{ "aead seal 1420, ipsec-mb", seal_ipsecmb, PACKET, BURST, 20 },
	{ "aead open 1420, ipsec-mb", open_ipsecmb, 0, BURST, 20 },
	{ "aead seal 64, ipsec-mb", seal_ipsecmb, 64, BURST, 20 },
	{ "aead seal 1420, libsodium", seal_sodium, PACKET, BURST, 20 },
	{ "aead open 1420, libsodium", open_sodium, 0, BURST, 20 },
	{ "aead seal 64, libsodium", seal_sodium, 64, BURST, 20 },
	{ "gso, packet of 1420", split, 0, SEGMENTS, 20 },
	{ "gro, one flow", coalesce, 1, GRO_PACKETS, 10 },
	{ "gro, 32 flows", coalesce, 32, GRO_PACKETS, 10 },
	{ "checksum 1420", sum_packet, 0, 1, 1000 },
	{ "allowedips, host of 10,000", lookup_host, 0, 1, 20000 },
	{ "allowedips, prefix of 10,000", lookup_trie, 0, 1, 20000 },
	{ "replay, in order", check_replay, 0, BURST, 100 },
	{ "limit, burst of 1", check_limit, 1, 1, 100 },
	{ "limit, burst of 32", check_limit, BURST, 1, 100 },
	{ "mac1, good", check_mac1, 0, 1, 200 },
	{ "mac1, bad", check_bad_mac1, 0, 1, 200 },
	{ "mac2, bad", check_bad_mac2, 0, 1, 200 },
	{ "cookie reply", make_cookie_reply, 0, 1, 200 },
	{ "x25519", x25519, 0, 1, 2 },
	{ "noise create initiation", create_initiation, 0, 1, 2 },
	{ "noise consume initiation", consume_initiation, 0, 1, 2 },
	{ "noise create response", create_response, 0, 1, 2 },
	{ "noise consume response", consume_response, 0, 1, 2 },
	{ "noise begin session", begin_session, 0, 1, 20 },
};

struct fixture *micro_begin(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	rcu_register_thread();
	set_up_aead(f);
	set_up_offload(f);
	set_up_table(f);
	replay_init(&f->replay);
	set_up_limit(f);
	set_up_noise(f);
	return f;
}

void micro_end(struct fixture *f)
{
	limit_free(f->limit);
	allowedips_free(&f->table);
	gro_free(&f->gro);
	aead_free(f->ipsecmb);
	aead_free(f->sodium);
	rcu_unregister_thread();
	free(f);
}

const struct operation *micro_operation(const struct fixture *f, size_t i)
{
	if (!f->ipsecmb)
		i += N_IPSECMB;
	return i < ARRAY_SIZE(operations) ? &operations[i] : NULL;
}
