/* SPDX-License-Identifier: MIT */
/* Handshakes that we begin (paper §5.1, §5.4.2, §5.4.4), and answers that nobody asked for. */
#include "cases.h"

#include "../../tools/bench/load.h"
#include "craft.h"

enum { MAC1_AT = offsetof(struct message_initiation, macs), MAC2_AT = MAC1_AT + MAC_LEN };

/* After something that must leave no trace: a handshake like any other. */
static void end_well(struct play *p)
{
	fence_handshakes(p);
	fence_data(p, meet(p));
}

static void plain(struct play *p)
{
	uint8_t packet[60];
	struct meeting *m = meet(p);

	lay(p, IP6, 1, packet, sizeof(packet));
	send_packet(p, m, packet, sizeof(packet), true);
	fence_data(p, m);
}

/* Each byte in turn, mac1 left as it was: it covers all before it. */
static void flipped(struct play *p)
{
	struct meeting *m = begin(p);
	size_t at = p->turn % sizeof(m->first);

	((uint8_t *)&m->first)[at] ^= (uint8_t)(1u << dice(p, 8));
	send_initiation(p, m);
	if (at >= MAC2_AT) /* nobody looks at it, but under load */
		await_response(p, m);
	end_well(p);
}

/* The same with a good mac1: now Noise must see it, but for the sender index. */
static void flipped_sealed(struct play *p)
{
	struct meeting *m = begin(p);
	size_t at = p->turn % MAC1_AT;

	((uint8_t *)&m->first)[at] ^= (uint8_t)(1u << dice(p, 8));
	seal_macs(p, &m->first, sizeof(m->first));
	send_initiation(p, m);
	if (at >= 4 && at < 8) {
		m->index = le32toh(m->first.sender_index);
		await_response(p, m);
	}
	end_well(p);
}

static void cut(struct play *p)
{
	struct meeting *m = begin(p);
	uint8_t msg[sizeof(m->first) + 32] = { 0 };
	size_t len = p->turn % sizeof(msg);

	if (len == sizeof(m->first))
		len++;
	memcpy(msg, &m->first, sizeof(m->first));
	if (len >= SEALED_MIN && dice(p, 2))
		seal_macs(p, msg, len);
	post_bytes(p, msg, len);
	end_well(p);
}

static void wrong_mac(struct play *p)
{
	struct meeting *m = begin(p);
	struct cookie_maker other;

	switch (p->turn % 4) {
	case 0:
		memset(&m->first.macs, 0, sizeof(m->first.macs));
		break;
	case 1: /* for ourselves */
		cookie_maker_init(&other, p->peer->local.public_key);
		cookie_add_macs(&other, &m->first, sizeof(m->first), 0);
		break;
	case 2: /* in the place of mac2 */
		memcpy(m->first.macs.mac2, m->first.macs.mac1, MAC_LEN);
		memset(m->first.macs.mac1, 0, MAC_LEN);
		break;
	default:
		dice_bytes(p, &m->first.macs, sizeof(m->first.macs));
	}
	send_initiation(p, m);
	end_well(p);
}

/* Said again, at once or when it is no flood. */
static void replayed(struct play *p)
{
	struct meeting *m = meet(p);

	for (unsigned i = 0; i < 3; i++) {
		if (p->turn & 1)
			send_initiation(p, m);
		else
			post_bytes(p, &m->first, sizeof(m->first));
	}
	fence_handshakes(p);
	fence_data(p, m);
}

/* Of two initiations the later one comes first, or both have one timestamp. */
static void stamps(struct play *p)
{
	struct meeting *older = begin(p), *newer;

	if (p->turn & 1)
		p->stamp -= 1000;
	newer = begin(p);
	send_initiation(p, newer);
	if (await_response(p, newer) &&
	    must(p, take_response(newer, &p->peer->local), "the response is not good"))
		confirm(p, newer);
	send_initiation(p, older);
	fence_handshakes(p);
	fence_data(p, newer);
}

/* §5.1: 50 a second; as far as both can be said to have come within 20 ms. */
static void flood(struct play *p)
{
	struct meeting *first = begin(p), *second = begin(p);
	uint64_t begun;

	wait_for_turn(p, p->peer);
	begun = load_now();
	post_bytes(p, &first->first, sizeof(first->first));
	post_bytes(p, &second->first, sizeof(second->first));
	await_response(p, first);
	fence_handshakes(p);
	if (second->answered && load_now() - begun >= INITIATION_MIN_INTERVAL)
		await_response(p, second);
	fence_data(p, meet(p));
}

/* Both are answered; the second answer takes the first one's place (§6.3). */
static void two_in_flight(struct play *p)
{
	struct meeting *a = begin(p), *b = begin(p);
	uint8_t packet[40];

	send_initiation(p, a);
	await_response(p, a);
	send_initiation(p, b);
	await_response(p, b);
	if (!must(p, take_response(a, &p->peer->local) && take_response(b, &p->peer->local),
		  "the responses are not good"))
		return;
	lay(p, IP4, 1, packet, sizeof(packet));
	seal(p, a, a->next++, packet, sizeof(packet));
	post(p);
	send_packet(p, b, packet, sizeof(packet), true);
	fence_data(p, b);
	seal(p, a, a->next++, packet, sizeof(packet));
	post(p);
	fence_data(p, b);
}

static void unknown_peer(struct play *p)
{
	struct peer_keys stranger;

	play_keys(&stranger, 1u << 24 | (uint32_t)dice(p, 1 << 20));
	send_initiation(p, begin_as(p, &stranger, p->target_key, stranger.psk));
	end_well(p);
	p->meetings[0].peer = p->peer; /* the stranger ends with this function */
}

/* Made for another responder; mac1, which knows no ephemeral keys, is for this one. */
static void wrong_responder(struct play *p)
{
	struct peer_keys *other = &p->peers[dice(p, PEERS)];

	if (other == p->peer)
		other = &p->peers[PEERS];
	send_initiation(p, begin_as(p, p->peer, other->local.public_key, p->peer->psk));
	end_well(p);
}

/* The initiation does not show it: it is answered, and nothing can be done with the answer. */
static void wrong_psk(struct play *p)
{
	struct meeting *good = meet(p), *m;
	uint8_t psk[NOISE_KEY_LEN], packet[40];

	dice_bytes(p, psk, sizeof(psk));
	m = begin_as(p, p->peer, p->target_key, psk);
	send_initiation(p, m);
	if (!await_response(p, m))
		return;
	must(p, !take_response(m, &p->peer->local), "a response under another preshared key");
	m->session.remote_index = le32toh(m->second.sender_index);
	dice_bytes(p, m->session.send_key, NOISE_KEY_LEN);
	lay(p, IP4, 1, packet, sizeof(packet));
	seal(p, m, 0, packet, sizeof(packet));
	post(p);
	fence_data(p, good);
}

/* The static key of the peer, sent by somebody who does not have its private half. */
static void stolen_name(struct play *p)
{
	struct meeting *m = begin(p);
	uint8_t private_key[NOISE_KEY_LEN];
	struct craft c;

	craft_honest(&c, m, private_key);
	if (p->turn & 1)
		memset(c.ss, 0, sizeof(c.ss));
	else
		dice_bytes(p, c.ss, sizeof(c.ss));
	craft_initiation(p, m, &c);
	send_initiation(p, m);
	end_well(p);
}

/* An ephemeral key that makes es zero, whoever computes it; the rest is right. */
static void low_order(struct play *p)
{
	struct meeting *m = begin(p);
	uint8_t private_key[NOISE_KEY_LEN];
	struct craft c;

	craft_honest(&c, m, private_key);
	memcpy(c.ephemeral, low_points[p->turn % LOW_POINTS], NOISE_KEY_LEN);
	if (p->turn / LOW_POINTS % 2)
		c.ephemeral[NOISE_KEY_LEN - 1] |= 0x80;
	memset(c.es, 0, sizeof(c.es));
	craft_initiation(p, m, &c);
	send_initiation(p, m);
	end_well(p);
}

/* The bit that X25519 does not look at (RFC 7748 §5) but the transcript does. */
static void high_bit(struct play *p)
{
	struct meeting *m = begin(p);
	struct craft c;

	craft_honest(&c, m, m->remote.handshake.ephemeral_private);
	c.ephemeral[NOISE_KEY_LEN - 1] |= 0x80;
	craft_initiation(p, m, &c);
	send_initiation(p, m);
	if (await_response(p, m) &&
	    must(p, take_response(m, &p->peer->local), "the response is not good"))
		fence_data(p, m);
}

/* §5.4.5: the responder sends nothing before it has received under the new key. */
static void confirmation(struct play *p)
{
	struct meeting *m;
	uint8_t packet[100];

	invite_guest(p);
	m = begin(p);
	send_initiation(p, m);
	if (!await_response(p, m) ||
	    !must(p, take_response(m, &p->peer->local), "the response is not good"))
		return;
	lay_back(p, dice(p, 2) ? IP4 : IP6, packet, sizeof(packet));
	side_poke(p->side, packet, sizeof(packet));
	fence_handshakes(p);
	must(p, p->got_udp.n == p->want_udp.n, "sent before the key was confirmed");
	if (p->turn & 1)
		confirm(p, m);
	want_data(p, packet, sizeof(packet));
	fence_data(p, m);
	await_udp(p, p->want_udp.n);
}

/* A response and a cookie reply to nobody, with all that can be made good of them. */
static void unasked(struct play *p)
{
	struct meeting *m = meet(p);
	struct message_response response;
	struct message_cookie_reply cookie;
	uint32_t index = (uint32_t[]){ m->session.remote_index, m->index, 0,
				       (uint32_t)dice(p, UINT32_MAX) }[p->turn % 4];

	dice_bytes(p, &response, sizeof(response));
	response.type = htole32(MESSAGE_RESPONSE);
	response.receiver_index = htole32(index);
	seal_macs(p, &response, sizeof(response));
	post_bytes(p, &response, sizeof(response));
	dice_bytes(p, &cookie, sizeof(cookie));
	cookie.type = htole32(MESSAGE_COOKIE_REPLY);
	cookie.receiver_index = htole32(index);
	post_bytes(p, &cookie, sizeof(cookie));
	fence_handshakes(p);
	fence_data(p, m);
}

const struct kind responder_cases[] = {
	{ "plain", plain, 5 },                { "init-flipped", flipped, 16 },
	{ "init-flipped-sealed", flipped_sealed, 14 }, { "init-cut", cut, 18 },
	{ "wrong-mac", wrong_mac, 5 },        { "init-replayed", replayed, 6 },
	{ "stamps", stamps, 5 },              { "flood", flood, 4 },
	{ "two-in-flight", two_in_flight, 4 }, { "unknown-peer", unknown_peer, 5 },
	{ "wrong-responder", wrong_responder, 5 }, { "wrong-psk", wrong_psk, 4 },
	{ "stolen-name", stolen_name, 4 },    { "low-order", low_order, 4 },
	{ "high-bit", high_bit, 2 },          { "confirmation", confirmation, 6 },
	{ "unasked", unasked, 5 },            { NULL, NULL, 0 }
};
