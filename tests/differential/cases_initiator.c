/* SPDX-License-Identifier: MIT */
/*
 * Handshakes that the target begins, since somebody behind it has sent a packet to a peer
 * (paper §5.4.3, §6.6). Each with a guest: a target calls a peer once in five seconds only.
 */
#include "cases.h"

#include <netinet/in.h>

#include "../packets.h"
#include "craft.h"

enum { PACKET = 100, MANY = 8 };

static void poke_one(struct play *p, uint8_t packet[PACKET])
{
	lay_back(p, dice(p, 2) ? IP4 : IP6, packet, PACKET);
	side_poke(p->side, packet, PACKET);
}

/* A guest, a packet to it that waits, and the target's call. NULL: none. */
static struct meeting *be_called(struct play *p, uint8_t packet[PACKET])
{
	invite_guest(p);
	poke_one(p, packet);
	return await_call(p);
}

/* The good answer, the packet that waited, and one the other way. */
static void answer_well(struct play *p, struct meeting *m, const uint8_t packet[PACKET])
{
	uint8_t back[PACKET];

	if (!m || (!m->ready && !answer(p, m)))
		return;
	post_bytes(p, &m->second, sizeof(m->second));
	p->want_rx += sizeof(m->second);
	want_data(p, packet, PACKET);
	if (!must(p, await_udp(p, p->want_udp.n), "what waited was not sent"))
		return;
	lay(p, IP4, 1, back, sizeof(back));
	send_packet(p, m, back, sizeof(back), true);
	fence_data(p, m);
}

static void called(struct play *p)
{
	uint8_t packet[PACKET];

	answer_well(p, be_called(p, packet), packet);
}

/* Each byte of the answer in turn; with a good mac1 it is for Noise, but for our index. */
static void flipped(struct play *p)
{
	uint8_t packet[PACKET];
	struct meeting *m = be_called(p, packet);
	struct message_response bad;
	size_t end = offsetof(struct message_response, macs) + MAC_LEN;
	size_t at = p->turn / 2 % end;
	bool sealed = p->turn & 1;

	if (!m || !answer(p, m))
		return;
	bad = m->second;
	((uint8_t *)&bad)[at] ^= (uint8_t)(1u << dice(p, 8));
	if (sealed)
		seal_macs(p, &bad, sizeof(bad));
	/* Sealed again, mac1 is what it was. */
	if (sealed && at >= offsetof(struct message_response, macs))
		bad = m->second;
	if (sealed && at >= 4 && at < 8) {
		m->index = le32toh(bad.sender_index);
		m->second = bad;
	} else if (memcmp(&bad, &m->second, sizeof(bad)) != 0) {
		post_bytes(p, &bad, sizeof(bad));
		fence_handshakes(p);
	}
	answer_well(p, m, packet);
}

static void cut(struct play *p)
{
	uint8_t packet[PACKET], msg[sizeof(struct message_response) + 60] = { 0 };
	struct meeting *m = be_called(p, packet);
	size_t len = p->turn * 7 % sizeof(msg);

	if (!m || !answer(p, m))
		return;
	memcpy(msg, &m->second, sizeof(m->second));
	if (len == sizeof(m->second))
		len++;
	if (len >= SEALED_MIN && dice(p, 2))
		seal_macs(p, msg, len);
	post_bytes(p, msg, len);
	fence_handshakes(p);
	answer_well(p, m, packet);
}

static void wrong_receiver(struct play *p)
{
	uint8_t packet[PACKET];
	struct meeting *m = be_called(p, packet);
	struct message_response bad;

	if (!m || !answer(p, m))
		return;
	bad = m->second;
	bad.receiver_index = (uint32_t[]){ 0, bad.sender_index, ~bad.receiver_index,
					   bad.receiver_index + 1 }[p->turn % 4];
	seal_macs(p, &bad, sizeof(bad));
	post_bytes(p, &bad, sizeof(bad));
	fence_handshakes(p);
	answer_well(p, m, packet);
}

/* Once more, when it has done its work. */
static void twice(struct play *p)
{
	uint8_t packet[PACKET];
	struct meeting *m = be_called(p, packet);

	answer_well(p, m, packet);
	if (!m || !m->ready)
		return;
	post_bytes(p, &m->second, sizeof(m->second));
	fence_handshakes(p);
	fence_data(p, m);
}

static void wrong_psk(struct play *p)
{
	uint8_t packet[PACKET], psk[NOISE_KEY_LEN];
	struct meeting *m = be_called(p, packet);
	struct noise_remote kept;

	if (!m)
		return;
	kept = m->remote;
	dice_bytes(p, psk, sizeof(psk));
	noise_remote_set_psk(&m->remote, psk);
	if (!answer(p, m))
		return;
	post_bytes(p, &m->second, sizeof(m->second));
	fence_handshakes(p);
	m->remote = kept;
	m->ready = false;
	answer_well(p, m, packet);
}

static void low_order(struct play *p)
{
	uint8_t packet[PACKET];
	struct meeting *m = be_called(p, packet);

	if (!m)
		return;
	craft_low_response(p, m, low_points[p->turn % LOW_POINTS]);
	m->ready = deviates(p, DIFF_LOW_RESPONSE);
	if (!m->ready) {
		post_bytes(p, &m->second, sizeof(m->second));
		fence_handshakes(p);
	}
	answer_well(p, m, packet);
}

/* We call while the target's call is under way: it answers, and its own is over. */
static void crossed(struct play *p)
{
	uint8_t packet[PACKET];
	struct meeting *theirs = be_called(p, packet), *ours;

	if (!theirs || !answer(p, theirs))
		return;
	ours = begin(p);
	send_initiation(p, ours);
	if (!await_response(p, ours) ||
	    !must(p, take_response(ours, &p->peer->local), "the response is not good"))
		return;
	post_bytes(p, &theirs->second, sizeof(theirs->second));
	fence_handshakes(p);
	must(p, p->got_udp.n == p->want_udp.n, "a handshake was over and went on");
	confirm(p, ours);
	want_data(p, packet, PACKET);
	await_udp(p, p->want_udp.n);
	fence_data(p, ours);
}

/* §6.6: a cookie is kept for the next initiation, none is sent because of it. */
static void cookie(struct play *p)
{
	uint8_t packet[PACKET];
	struct meeting *m = be_called(p, packet);
	struct cookie_checker c;
	struct cookie_epochs epochs = { 0 };
	struct message_cookie_reply reply;

	if (!m)
		return;
	cookie_checker_init(&c, p->peer->local.public_key);
	cookie_make_reply(&c, &epochs, &m->first, sizeof(m->first),
			  (uint8_t *)"\x7f\0\0\1\0\1", 6, 0, &reply);
	cookie_checker_clear(&c);
	if (p->turn & 1)
		((uint8_t *)&reply)[dice(p, sizeof(reply))] ^= 1;
	post_bytes(p, &reply, sizeof(reply));
	post_bytes(p, &reply, sizeof(reply));
	fence_handshakes(p);
	answer_well(p, m, packet);
}

/*
 * A call that is not answered is repeated after REKEY_TIMEOUT, with the cookie that has come
 * meanwhile (§5.4.4); from then on the first one is over.
 */
static void repeated(struct play *p)
{
	uint8_t packet[PACKET], at[6] = { 127, 0, 0, 1, 1, 1 };
	struct meeting *first = be_called(p, packet), *second;
	struct message_cookie_reply reply;
	struct cookie_checker c;
	struct cookie_epochs epochs = { 0 };

	if (!first || !answer(p, first))
		return;
	cookie_checker_init(&c, p->peer->local.public_key);
	cookie_make_reply(&c, &epochs, &first->first, sizeof(first->first), at, sizeof(at), 0,
			  &reply);
	post_bytes(p, &reply, sizeof(reply));
	p->calls = 0;
	for (unsigned i = 0; i < 3 && !p->calls; i++)
		await_udp(p, p->want_udp.n + 1);
	second = await_call(p);
	if (second)
		must(p, cookie_check(&c, &epochs, &second->first, sizeof(second->first), at,
				     sizeof(at), 0, true) == COOKIE_MAC2, "a call without its cookie");
	cookie_checker_clear(&c);
	post_bytes(p, &first->second, sizeof(first->second));
	fence_handshakes(p);
	answer_well(p, second, packet);
}

/* The target's own initiation comes back, as it was and sealed for it. */
static void reflected(struct play *p)
{
	uint8_t packet[PACKET];
	struct meeting *m = be_called(p, packet);
	struct message_initiation back;

	if (!m)
		return;
	back = m->first;
	if (p->turn & 1)
		seal_macs(p, &back, sizeof(back));
	post_bytes(p, &back, sizeof(back));
	fence_handshakes(p);
	answer_well(p, m, packet);
}

/* What waits is sent in its order, once. */
static void queue(struct play *p)
{
	uint8_t packets[MANY][PACKET];
	unsigned n = 2 + (unsigned)dice(p, MANY - 1);
	struct meeting *m;
	int version = dice(p, 2) ? IP4 : IP6;

	invite_guest(p);
	for (unsigned i = 0; i < n; i++) {
		lay_back(p, version, packets[i], PACKET);
		side_poke(p->side, packets[i], PACKET);
	}
	m = await_call(p);
	if (!m || !answer(p, m))
		return;
	/* The rest may still be on its way to the target; afterwards it is sent all the same. */
	post_bytes(p, &m->second, sizeof(m->second));
	p->want_rx += sizeof(m->second);
	for (unsigned i = 0; i < n; i++)
		want_data(p, packets[i], PACKET);
	await_udp(p, p->want_udp.n);
	fence_data(p, m);
}

/* Every length, padded to 16 but never past the MTU (§5.4.6). */
static void lengths(struct play *p)
{
	uint8_t first[PACKET], packet[MTU];
	struct meeting *m = be_called(p, first);

	answer_well(p, m, first);
	for (unsigned i = 0; m && m->ready && !p->foul && i < 12; i++) {
		int version = dice(p, 2) ? IP4 : IP6;
		size_t len = dice(p, 3) ? 40 + dice(p, 100) : MTU - dice(p, 40);

		lay_back(p, version, packet, len);
		side_poke(p->side, packet, len);
		want_data(p, packet, len);
		must(p, await_udp(p, p->want_udp.n), "a packet was not sent");
	}
	if (m)
		fence_data(p, m);
}

/* "No route to host" about the packet, as RFC 792 and RFC 4443 §3.1 have it. */
static void want_error(struct play *p, int version, const uint8_t packet[PACKET])
{
	size_t header = version == IP4 ? 20 : 40, addr = version == IP4 ? 4 : 16;
	size_t from = version == IP4 ? 12 : 8;
	uint8_t error[40 + 8 + PACKET] = { 0 }, *icmp = error + header;
	size_t len = header + 8 + PACKET;

	error[0] = version == IP4 ? 0x45 : 0x60;
	if (version == IP4)
		error[1] = 0xc0;
	error[version == IP4 ? 8 : 7] = 64;
	error[version == IP4 ? 9 : 6] = version == IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	memcpy(error + from, packet + from + addr, addr);
	memcpy(error + from + addr, packet + from, addr);
	icmp[0] = version == IP4 ? 3 : 1;
	icmp[1] = version == IP4 ? 1 : 3;
	memcpy(icmp + 8, packet, PACKET);
	if (version == IP4) {
		store_be16(error + 2, (uint16_t)len);
		sum_ip4(error);
	} else {
		store_be16(error + 4, (uint16_t)(len - 40));
	}
	store_be16(icmp + 2, (uint16_t)~naive_sum(version == IP4 ? 0 : naive_pseudo(error,
			     IPPROTO_ICMPV6, len - header), icmp, len - header));
	want_tun(p, error, len);
}

/* To an address that no peer has, from another sender each time (errors are rationed). */
static void no_route(struct play *p)
{
	uint8_t packet[PACKET];
	int version = p->turn & 1 ? IP6 : IP4;

	invite_guest(p);
	lay_back(p, version, packet, sizeof(packet));
	if (version == IP4) {
		dice_bytes(p, packet + 13, 3);
		packet[16] = 192;
		sum_ip4(packet);
	} else {
		dice_bytes(p, packet + 14, 10);
		packet[24] = 0xfc;
	}
	side_poke(p->side, packet, sizeof(packet));
	if (deviates(p, DIFF_NO_ROUTE))
		want_error(p, version, packet);
	poke_one(p, packet);
	answer_well(p, await_call(p), packet);
}

const struct kind initiator_cases[] = {
	{ "called", called, 4 },             { "resp-flipped", flipped, 16 },
	{ "resp-cut", cut, 8 },              { "wrong-receiver", wrong_receiver, 4 },
	{ "resp-twice", twice, 4 },          { "resp-wrong-psk", wrong_psk, 4 },
	{ "resp-low-order", low_order, 4 },  { "crossed", crossed, 5 },
	{ "cookie", cookie, 4 },             { "reflected", reflected, 3 },
	{ "queue", queue, 4 },               { "out-lengths", lengths, 5 },
	{ "no-route", no_route, 3 },         { NULL, NULL, 0 }
};

const struct kind slow_cases[] = {
	{ "repeated", repeated, 0 },         { NULL, NULL, 0 }
};
