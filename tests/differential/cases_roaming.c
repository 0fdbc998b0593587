/* SPDX-License-Identifier: MIT */
/* Messages from elsewhere: only what has authenticated moves a peer (paper §2.1, §6.6). */
#include "cases.h"

enum { PACKET = 80 };

static void post_elsewhere(struct play *p)
{
	side_send_elsewhere(p->side, p->letter.data, p->letter.len);
}

/* Somebody behind the target sends to the peer: where does it go? */
static void ask_where(struct play *p, bool elsewhere)
{
	uint8_t packet[PACKET];

	lay_back(p, dice(p, 2) ? IP4 : IP6, packet, sizeof(packet));
	if (elsewhere)
		want_data_elsewhere(p, packet, sizeof(packet));
	else
		want_data(p, packet, sizeof(packet));
	side_poke(p->side, packet, sizeof(packet));
	must(p, await_udp(p, p->want_udp.n), "a packet was not sent");
}

/* A packet, an empty one, one that may not come from there: all have authenticated. */
static void moved(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t packet[PACKET];
	bool good = p->turn % 3 == 0;

	if (!m->ready)
		return;
	lay(p, IP4, 1, packet, sizeof(packet));
	if (p->turn % 3 == 2)
		packet[12] ^= 0x40;
	seal(p, m, m->next++, packet, p->turn % 3 == 1 ? 0 : sizeof(packet));
	post_elsewhere(p);
	p->want_rx += p->letter.len;
	if (good)
		want_tun(p, packet, sizeof(packet));
	await_counted(p); /* not by a fence, which would move it as well */
	ask_where(p, true);
	fence_data(p, m);
	ask_where(p, false);
}

/* Forged, replayed, cut, of an unknown index. */
static void not_moved(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t packet[PACKET];

	if (!m->ready)
		return;
	lay(p, IP4, 1, packet, sizeof(packet));
	send_packet(p, m, packet, sizeof(packet), true);
	fence_data(p, m);
	seal(p, m, p->turn % 4 ? m->next : m->next - 2, packet, sizeof(packet));
	switch (p->turn % 4) {
	case 1:
		p->letter.data[p->letter.len - 1] ^= 1;
		break;
	case 2:
		p->letter.len--;
		break;
	case 3:
		p->letter.data[4] ^= 0x40;
	}
	post_elsewhere(p);
	fence_handshakes(p);
	ask_where(p, false);
	fence_data(p, m);
}

/* The answer to an initiation goes back to where that came from; one said again is none. */
static void called_elsewhere(struct play *p)
{
	struct meeting *m = begin(p);

	wait_for_turn(p, p->peer);
	side_send_elsewhere(p->side, &m->first, sizeof(m->first));
	if (!await_response_elsewhere(p, m) ||
	    !must(p, take_response(m, &p->peer->local), "the response is not good"))
		return;
	fence_data(p, m);
	ask_where(p, false);
	side_send_elsewhere(p->side, &m->first, sizeof(m->first));
	fence_handshakes(p);
	ask_where(p, false);
}

const struct kind roaming_cases[] = {
	{ "moved", moved, 5 },
	{ "not-moved", not_moved, 8 },
	{ "called-elsewhere", called_elsewhere, 4 },
	{ NULL, NULL, 0 }
};
