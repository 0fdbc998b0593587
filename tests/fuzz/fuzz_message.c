/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: datagrams through the whole receive path, with both ends of a tunnel, real keys, a
 * fake wire and a fake clock (tests/path_lab.h). Most bytes of WireGuard authenticate each other,
 * so that noise alone comes no further than mac1: the input is a list of deeds, and where it
 * changes a message it does so before mac1 or the tag is made, or behind it, as it likes.
 *
 * What comes out of the gate's TUN device must have been sealed for it under home's key, from an
 * address of home's, and comes out once; nothing else moves home's endpoint. A response is for an
 * initiation by home's key alone, and a later one than before.
 *
 * Length: 600
 */
#include "../../crypto/cookie.h"
#include "../../crypto/tai64n.h"
#include "fuzz_lab.h"

enum { DEEDS_MAX = 16, KEPT = 64, MESSAGE_MAX = 2048, INNER_MAX = 1500 };

struct datagram {
	size_t len;
	uint8_t data[MESSAGE_MAX];
};

static struct lab lab;
static struct input in;
/* Inner packets that home has sent, and that may come out once. */
static struct datagram sent[KEPT];
static size_t n_sent;
/* What was delivered as it was, newest last, to be played again. */
static struct datagram old[KEPT];
static size_t n_old;
/* Counters that were used under a key by whoever seals by hand. */
static struct { uint32_t index; uint64_t counter; } used[KEPT];
static size_t n_used;
static uint8_t greatest[NOISE_TIMESTAMP_LEN]; /* of initiations made by hand that were answered */
static bool answered;
static uint8_t psk[NOISE_KEY_LEN];
static bool has_psk;

static void keep(struct datagram *list, size_t *n, const void *data, size_t len)
{
	struct datagram *d = &list[*n % KEPT];

	must(len <= MESSAGE_MAX);
	memcpy(d->data, data, len);
	d->len = len;
	++*n;
}

static bool is_own(const uint8_t *packet)
{
	static const uint8_t own6[16] = { 0xfd, [15] = 2 };

	return packet[0] >> 4 == 4 ? !memcmp(packet + 12, "\x0a\0\0\x02", 4)
				   : !memcmp(packet + 8, own6, 16);
}

/* Equal but for what the gate may change: ECN with its checksum, and the MSS of a SYN. */
static bool is_same(const struct fake_packet *p, const struct datagram *d)
{
	bool ip4 = d->data[0] >> 4 == 4, may_be_tcp = d->data[ip4 ? 9 : 6] != IPPROTO_UDP;
	size_t differ = 0;

	for (size_t i = 0; i < p->len; i++)
		if (p->data[i] != d->data[i] && i != 1 && !(ip4 && (i == 10 || i == 11)))
			differ++;
	return p->len <= d->len && differ <= (may_be_tcp ? 22u : 0);
}

/* Takes what the gate lets out; n packets at most, each of home and none twice. */
static void take_out(size_t most)
{
	struct fake_packet *p;

	while ((p = wire_take(lab.gate.tun))) {
		size_t i, end = min(n_sent, (size_t)KEPT);

		for (i = 0; i < end && !(sent[i].len && is_same(p, &sent[i])); i++)
			;
		must(most-- && is_own(p->data) && i < end);
		sent[i].len = 0;
		free(p);
	}
}

static const struct endpoint *place(uint8_t choice, const struct side *from)
{
	static struct endpoint elsewhere;

	must(!endpoint_parse(&elsewhere, "198.51.100.7:7"));
	return choice & 1 ? &elsewhere : choice & 2 ? &from->at6 : &from->at4;
}

/* The input changes some bytes, or the length, of a message. Returns the new length. */
static size_t tamper(uint8_t *msg, size_t len, size_t first)
{
	unsigned n = take_u8(&in) & 3;
	uint8_t length = take_u8(&in);

	while (n-- && len > first) {
		size_t at = first + take_be16(&in) % (len - first);

		msg[at] ^= take_u8(&in);
	}
	if (length >= 250)
		len = min((size_t)MESSAGE_MAX, len + length - 249u);
	else if (length >= 240)
		len -= min(len, length - 239u);
	return len;
}

static void add_mac(uint8_t *msg, size_t len, const struct side *to)
{
	struct cookie_maker maker;

	cookie_maker_init(&maker, to->public_key);
	if (len > sizeof(struct message_macs) + 8)
		cookie_add_macs(&maker, msg, len, 0);
}

/* How many packets the gate has refused. */
static uint64_t n_refused(void)
{
	const struct drop_counters *drops = &device_datapath(lab.gate.dev)->drops;
	uint64_t n = 0;

	for (unsigned reason = 0; reason < DROP_REASON_COUNT; reason++)
		n += counter_read(&drops->n[reason]);
	return n;
}

/* Where the gate thinks that home is. */
static struct endpoint home_is_at(void)
{
	struct endpoint at;

	if (peer_get_endpoint(lab.gate.peer, &at))
		memset(&at, 0, sizeof(at));
	return at;
}

/* What of a message is authentic: mac2 is looked at under load alone. */
static size_t authentic(const uint8_t *msg, size_t len)
{
	bool ends_in_mac2 = (msg[0] == MESSAGE_INITIATION &&
			     len == sizeof(struct message_initiation)) ||
			    (msg[0] == MESSAGE_RESPONSE && len == sizeof(struct message_response));

	return ends_in_mac2 ? len - sizeof(((struct message_macs *)0)->mac2) : len;
}

/* Hands one message of a side to the other, perhaps tampered with. */
static void forward(struct side *from, struct side *to, struct fake_packet *p, bool may_tamper)
{
	uint8_t how = may_tamper ? take_u8(&in) : 0, msg[MESSAGE_MAX] = { 0 };
	size_t len = min(p->len, (size_t)MESSAGE_MAX);
	struct endpoint before = home_is_at(), after;
	uint64_t refused = n_refused();
	bool touched, has_mac = false;

	memcpy(msg, p->data, len);
	if (how & 4)
		len = tamper(msg, len, 0);
	if (how & 8 && len && (msg[0] == MESSAGE_INITIATION || msg[0] == MESSAGE_RESPONSE)) {
		add_mac(msg, len, to);
		has_mac = true;
	}
	touched = len != p->len || memcmp(msg, p->data, authentic(msg, len));
	lab_deliver(&lab, to, place(how, from), how >> 4 & 3, msg, len);
	if (to == &lab.gate) {
		after = home_is_at();
		must(!touched || has_mac || endpoint_same_remote(&before, &after));
		take_out(!touched);
		/* What was refused, as it came too soon after another, may be good later. */
		if (!touched && n_refused() == refused)
			keep(old, &n_old, msg, len);
	} else {
		lab_tun_silent(&lab.home);
	}
	free(p);
}

/* Carries until both are silent; the first few messages as the input likes. */
static void carry(unsigned tampered)
{
	struct fake_packet *p;

	for (unsigned i = 0; i < 100; i++) {
		if ((p = lab_sent(&lab.home)))
			forward(&lab.home, &lab.gate, p, i < tampered);
		else if ((p = lab_sent(&lab.gate)))
			forward(&lab.gate, &lab.home, p, i < tampered);
		else
			return;
	}
}

/* Deeds */

/* A datagram of nothing in particular, but perhaps of a right type and length. */
static void say_anything(void)
{
	static const size_t lengths[] = { 0, 148, 92, 64, 32, 48 };
	uint8_t how = take_u8(&in), msg[MESSAGE_MAX] = { 0 };
	struct side *to = how & 4 ? &lab.home : &lab.gate;
	size_t len = take_u8(&in);

	if (how & 8)
		len = lengths[len % ARRAY_SIZE(lengths)];
	take_bytes(&in, msg, len);
	if (how & 16 && len >= 4)
		store_le32(msg, 1 + (how >> 6));
	if (how & 32)
		add_mac(msg, len, to);
	lab_deliver(&lab, to, place(how, &lab.home), 0, msg, len);
	take_out(0);
	lab_tun_silent(&lab.home);
	carry(0);
}

/* An ordinary packet, and what it takes to bring it there. */
static void send_packet(void)
{
	uint8_t how = take_u8(&in), packet[INNER_MAX];
	bool ip6 = how & 1;
	size_t len = lab_packet(packet, ip6 ? "fd00::2" : "10.0.0.2", ip6 ? "fd00::1" : "10.0.0.1",
				48 + 5u * take_u8(&in));

	packet[len - 1] = (uint8_t)n_sent; /* so that each is another one */
	keep(sent, &n_sent, packet, len);
	lab_tun_in(&lab, &lab.home, packet, len);
	carry(how >> 1 & 7);
}

static bool was_used(uint32_t index, uint64_t counter)
{
	for (size_t i = 0; i < min(n_used, (size_t)KEPT); i++)
		if (used[i].index == index && used[i].counter == counter)
			return true;
	used[n_used % KEPT].index = index;
	used[n_used++ % KEPT].counter = counter;
	return false;
}

/* Anything, sealed as home would: the inner checks have to hold by themselves. */
static void seal_anything(void)
{
	uint8_t how = take_u8(&in), inner[INNER_MAX] = { 0 }, msg[MESSAGE_MAX];
	size_t len = how & 1 ? take_u8(&in) : 16u * (take_u8(&in) & 63), first = len;
	struct session_key *key;
	uint64_t counter = 0;
	uint32_t index = 0;

	if (how & 2 && len >= 40)
		(void)lab_packet(inner, how & 4 ? "fd00::2" : "10.0.0.2",
				 how & 4 ? "fd00::1" : "10.0.0.1", len);
	else
		take_bytes(&in, inner, len);
	if (how & 2)
		(void)tamper(inner, len, 0);
	rcu_turn_begin();
	key = lab_key(&lab.home);
	if (key) {
		counter = atomic_load(&key->pair.send_counter) + take_u8(&in);
		if (how & 8)
			take_bytes(&in, &counter, sizeof(counter));
		index = key->pair.remote_index;
		len = lab_seal(msg, key, counter, inner, len);
	}
	rcu_turn_end();
	if (!key)
		return;
	if (first && is_own(inner) && !was_used(index, counter))
		keep(sent, &n_sent, inner, first);
	lab_deliver(&lab, &lab.gate, place(how >> 4, &lab.home), how >> 6, msg, len);
	take_out(1);
	carry(0);
}

static void pass_time(void)
{
	uint8_t how = take_u8(&in);

	lab_wait(&lab, (uint64_t)(how & 63) * (how & 64 ? NSEC_PER_SEC * 4 : NSEC_PER_SEC / 100));
	carry(how & 128 ? 3 : 0);
}

/* What was delivered once, from where it was or elsewhere. */
static void replay(void)
{
	uint8_t which = take_u8(&in), how = take_u8(&in);
	struct endpoint before = home_is_at(), after;
	size_t end = min(n_old, (size_t)KEPT);

	if (!end)
		return;
	lab_deliver(&lab, &lab.gate, place(how, &lab.home), 0, old[which % end].data,
		    old[which % end].len);
	after = home_is_at();
	must(endpoint_same_remote(&before, &after));
	take_out(0);
	carry(0);
}

static struct noise_remote *find_nobody(void *arg, const uint8_t public_key[32])
{
	(void)arg;
	(void)public_key;
	return NULL;
}

/* An initiation made by hand, by home's key or a stranger's, that says what the input likes. */
static void initiate(void)
{
	const struct noise_upcalls up = { .find_remote = find_nobody,
					  .random = noise_random_sodium };
	uint8_t how = take_u8(&in), private_key[32], timestamp[NOISE_TIMESTAMP_LEN];
	bool stranger = how & 1, touched = false;
	struct message_initiation msg, clean;
	struct message_response response;
	struct noise_remote remote;
	struct noise_local local;
	struct fake_packet *p;
	uint32_t index;

	memcpy(private_key, lab.home.private_key, sizeof(private_key));
	private_key[1] ^= stranger;
	if (noise_local_init(&local, private_key))
		return;
	if (how & 2) /* a static key of anything: of low order, too */
		take_bytes(&in, local.public_key, 1 + (how >> 7) * 31u);
	stranger |= memcmp(local.public_key, lab.home.public_key, 32) != 0;
	must(!noise_remote_init(&remote, &local, lab.gate.public_key, has_psk ? psk : NULL));
	take_bytes(&in, timestamp, sizeof(timestamp));
	take_bytes(&in, &index, sizeof(index));
	must(!noise_create_initiation(&remote, &local, &up, index, timestamp, &msg));
	clean = msg;
	if (how & 4)
		(void)tamper((uint8_t *)&msg, sizeof(msg), 0);
	touched = memcmp(&msg, &clean, sizeof(msg) - sizeof(msg.macs));
	add_mac((uint8_t *)&msg, sizeof(msg), &lab.gate);
	lab_deliver(&lab, &lab.gate, place(how >> 3, &lab.home), 0, &msg, sizeof(msg));
	take_out(0);
	while ((p = lab_sent(&lab.gate))) {
		if (load_le32(p->data) == MESSAGE_RESPONSE) {
			must(!stranger && (!touched || !memcmp(msg.ephemeral, clean.ephemeral,
					offsetof(struct message_initiation, macs) -
					offsetof(struct message_initiation, ephemeral))));
			must(!answered || memcmp(timestamp, greatest, sizeof(timestamp)) > 0);
			memcpy(greatest, timestamp, sizeof(timestamp));
			answered = true;
			memcpy(&response, p->data, sizeof(response));
			must(touched ||
			     noise_consume_response(&remote, &local, &response) == NOISE_OK);
		}
		forward(&lab.gate, &lab.home, p, false);
	}
	noise_remote_clear(&remote);
	carry(0);
}

/* To the side that has sent a handshake message, as if the other were under load. */
static void answer_with_cookie(void)
{
	uint8_t how = take_u8(&in);
	static struct cookie_epochs epochs;
	struct message_cookie_reply reply;
	struct cookie_checker checker;
	size_t end = min(n_old, (size_t)KEPT);
	const struct datagram *d = &old[end ? take_u8(&in) % end : 0];

	if (!end || d->len < sizeof(struct message_response))
		return;
	cookie_checker_init(&checker, lab.gate.public_key);
	cookie_make_reply(&checker, &epochs, d->data, d->len, (const uint8_t *)"\xc0\0\x02\x02\x08\xae", 6,
			  NSEC_PER_SEC, &reply);
	if (how & 2)
		(void)tamper((uint8_t *)&reply, sizeof(reply), 0);
	lab_deliver(&lab, &lab.home, &lab.gate.at4, 0, &reply, sizeof(reply));
	cookie_checker_clear(&checker);
	carry(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const deeds[])(void) = { say_anything, send_packet, seal_anything, pass_time, replay,
					       initiate, answer_with_cookie };
	uint8_t first;

	be_silent();
	in = (struct input){ data, size };
	n_sent = n_old = n_used = 0;
	memset(sent, 0, sizeof(sent));
	answered = false;
	first = take_u8(&in);
	memset(psk, first | 1, sizeof(psk));
	has_psk = first & 2;
	fake_clock_set(NSEC_PER_SEC);
	fake_clock_set_realtime(1700000000, 0);
	lab_start_acquainted(&lab, has_psk ? psk : NULL);
	if (first & 1)
		lab_connect(&lab);
	for (unsigned i = 0; i < DEEDS_MAX && in.size; i++)
		deeds[take_u8(&in) % ARRAY_SIZE(deeds)]();
	lab_stop(&lab);
	return 0;
}
