/* SPDX-License-Identifier: MIT */
/* Data messages: counters, lengths, tags, types, indices (paper §5.4.6, §6.1). */
#include "cases.h"

enum {
	SMALL = 20 + 4,
	STEPS = 30,
	/* RFC 6479 with 8,192 bits in words of 64, as both targets and the kernel have it; the
	   paper (§5.4.6) says about 2,000, which is a minimum. */
	WINDOW = 8192 - 64
};

/* §6.1: 2^64 - 2^13 - 1 is the first counter that is never accepted. */
#define LIMIT REJECT_AFTER_MESSAGES

/* The replay window as its definition reads. */
struct naive {
	uint64_t seen[STEPS + 4];
	unsigned n;
	uint64_t greatest;
};

static bool naive_knows(const struct naive *w, uint64_t counter)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->seen[i] == counter)
			return true;
	return false;
}

static bool naive_takes(struct naive *w, uint64_t counter)
{
	if (counter >= LIMIT || naive_knows(w, counter) ||
	    (counter < w->greatest && w->greatest - counter > WINDOW))
		return false;
	w->seen[w->n++] = counter;
	w->greatest = max(w->greatest, counter);
	return true;
}

/* A counter that is good now, for the fence. */
static uint64_t naive_free(const struct naive *w)
{
	uint64_t counter = w->greatest + 1;

	if (counter < LIMIT)
		return counter;
	do
		counter--;
	while (naive_knows(w, counter));
	return counter;
}

static void send_counter(struct play *p, struct meeting *m, struct naive *w, uint64_t counter)
{
	uint8_t packet[SMALL];

	lay(p, IP4, 1, packet, sizeof(packet));
	seal(p, m, counter, packet, sizeof(packet));
	post(p);
	if (!naive_takes(w, counter))
		return;
	p->want_rx += p->letter.len;
	want_tun(p, packet, sizeof(packet));
}

static void end_counters(struct play *p, struct meeting *m, struct naive *w)
{
	fence_at(p, m, naive_free(w));
}

static uint64_t dice_counter(struct play *p, const struct naive *w)
{
	uint64_t near = dice(p, 5);

	switch (dice(p, 10)) {
	case 0:
	case 1:
		return w->greatest + 1 + dice(p, 3);
	case 2:
		return w->greatest - dice(p, 70);
	case 3:
		return w->greatest - WINDOW + near - 2;
	case 4:
		return w->greatest + WINDOW + near - 2;
	case 5:
		return w->greatest + WINDOW + 64 + near - 2;
	case 6:
		return w->greatest - WINDOW + 64 + near - 2;
	case 7:
		return w->greatest + dice(p, 3 * WINDOW);
	case 8:
		return w->greatest / 64 * 64 + near - 2;
	default:
		return w->seen[dice(p, w->n)];
	}
}

static void windows(struct play *p)
{
	struct naive w = { .n = 1 }; /* the confirmation had 0 */
	struct meeting *m = meet(p);

	for (unsigned i = 0; m->ready && i < STEPS; i++)
		send_counter(p, m, &w, dice_counter(p, &w));
	end_counters(p, m, &w);
}

/* Back and forth over the whole window, each counter once and then again. */
static void reorder(struct play *p)
{
	struct naive w = { .n = 1 };
	struct meeting *m = meet(p);
	uint64_t at = 1 + dice(p, 1 << 20), step = 1 + dice(p, WINDOW / 8);

	for (unsigned i = 0; m->ready && i < 9; i++)
		send_counter(p, m, &w, at + WINDOW - i * step);
	for (unsigned i = 0; m->ready && i < 9; i++)
		send_counter(p, m, &w, at + WINDOW - i * step);
	send_counter(p, m, &w, at + WINDOW + 1);
	send_counter(p, m, &w, at + 1);
	send_counter(p, m, &w, at);
	send_counter(p, m, &w, at - 1);
	end_counters(p, m, &w);
}

static void limits(struct play *p)
{
	static const uint64_t ends[] = { LIMIT - 2, LIMIT - 1, LIMIT, LIMIT + 1, UINT64_MAX,
					 UINT64_MAX - 1, UINT64_C(1) << 63, UINT64_C(1) << 32,
					 REKEY_AFTER_MESSAGES, LIMIT - WINDOW - 1,
					 LIMIT - WINDOW - 2, LIMIT - WINDOW, 0, 1 };
	struct naive w = { .n = 1 };
	struct meeting *m = meet(p);

	for (unsigned i = 0; m->ready && i < 12; i++)
		send_counter(p, m, &w, ends[dice(p, ARRAY_SIZE(ends))]);
	end_counters(p, m, &w);
}

/* One message that must leave no trace, whatever it is, and then a good one. */
static void post_bad(struct play *p, struct meeting *m)
{
	if (m->ready)
		post(p);
	fence_data(p, m);
}

static void seal_some(struct play *p, struct meeting *m)
{
	uint8_t packet[SMALL + 64];
	size_t len = SMALL + dice(p, 65);

	lay(p, IP4, 1, packet, len);
	seal(p, m, m->next, packet, len);
}

static void truncated(struct play *p)
{
	struct meeting *m = meet(p);

	seal_some(p, m);
	p->letter.len = p->turn % p->letter.len;
	post_bad(p, m);
}

static void extended(struct play *p)
{
	struct meeting *m = meet(p);
	size_t more = 1 + p->turn % 40;

	seal_some(p, m);
	dice_bytes(p, p->letter.data + p->letter.len, more);
	p->letter.len += more;
	post_bad(p, m);
}

/* Type, reserved bytes, index, counter, text, tag: each byte in turn. */
static void flipped(struct play *p)
{
	struct meeting *m = meet(p);

	seal_some(p, m);
	p->letter.data[p->turn % p->letter.len] ^= (uint8_t)(1u << dice(p, 8));
	post_bad(p, m);
}

static void types(struct play *p)
{
	static const size_t lens[] = { 148, 92, 64, 32, 31, 33 };
	struct meeting *m = meet(p);

	seal_some(p, m);
	if (dice(p, 2))
		p->letter.len = lens[dice(p, ARRAY_SIZE(lens))];
	p->letter.data[0] = (uint8_t)(p->turn % 256 == MESSAGE_DATA ? 0 : p->turn);
	post_bad(p, m);
}

static void garbage(struct play *p)
{
	struct meeting *m = meet(p);

	for (unsigned i = 0; m->ready && i < 10; i++) {
		p->letter.len = dice(p, dice(p, 2) ? 200 : 2000);
		dice_bytes(p, p->letter.data, p->letter.len);
		if (p->letter.len >= 8) {
			store_le32(p->letter.data, (uint32_t)dice(p, 6));
			if (dice(p, 2))
				store_le32(p->letter.data + 4, m->session.remote_index);
		}
		post(p);
	}
	fence_data(p, m);
}

static void indices(struct play *p)
{
	struct meeting *m = meet(p);
	uint32_t wrong[] = { 0, UINT32_MAX, m->index, m->session.remote_index + 1,
			     __builtin_bswap32(m->session.remote_index),
			     (uint32_t)dice(p, UINT32_MAX) };

	seal_some(p, m);
	store_le32(p->letter.data + 4, wrong[p->turn % ARRAY_SIZE(wrong)]);
	post_bad(p, m);
}

/* A message of another tenant's session under our index, and ours under that of another. */
static void strangers(struct play *p)
{
	struct meeting *mine = meet(p), *other;
	struct peer_keys *me = p->peer;

	p->peer = &p->peers[(me->number + PEERS / 2) % PEERS];
	other = meet(p);
	p->peer = me;
	/* The other's handshake and its confirmation are counted there. */
	p->want_rx -= sizeof(other->first) + MESSAGE_DATA_OVERHEAD;
	if (!mine->ready || !other->ready)
		return;
	seal_some(p, mine);
	store_le32(p->letter.data + 4, other->session.remote_index);
	post(p);
	seal_some(p, other);
	store_le32(p->letter.data + 4, mine->session.remote_index);
	post_bad(p, mine);
}

/* Keepalives, and what is too short to be a packet. */
static void empty(struct play *p)
{
	struct meeting *m = meet(p);

	for (unsigned i = 0; i < 4; i++)
		send_packet(p, m, NULL, 0, false);
	fence_data(p, m);
}

static void tiny(struct play *p)
{
	struct meeting *m = meet(p);
	uint8_t packet[40];
	size_t len = 1 + p->turn % 39;
	int version = dice(p, 2) ? IP4 : IP6;

	lay(p, version, 1, packet, sizeof(packet));
	if (version == IP4) {
		/* It may be a whole packet, if it is no shorter than a header. */
		store_be16(packet + 2, (uint16_t)len);
		sum_ip4(packet);
	}
	send_packet(p, m, packet, len, version == IP4 && len >= 20);
	fence_data(p, m);
}

/* Any length between nothing and more than the MTU; the padding need not be there. */
static void lengths(struct play *p)
{
	static uint8_t packets[SIDES][2048];
	uint8_t *packet = packets[p->side->which];
	struct meeting *m = meet(p);

	for (unsigned i = 0; i < 8; i++) {
		int version = dice(p, 2) ? IP4 : IP6;
		size_t least = version == IP4 ? 20 : 40;
		size_t len = dice(p, 4) ? least + dice(p, 100) : MTU - 20 + dice(p, 60);

		lay(p, version, 1, packet, len);
		send_packet(p, m, packet, len, true);
	}
	fence_data(p, m);
}

static void large(struct play *p)
{
	static const size_t lens[] = { 2000, 2048, 4096, 9000, 16384, 32768, 40000, 65475, 65474 };
	static uint8_t packets[SIDES][DATAGRAM_MAX];
	uint8_t *packet = packets[p->side->which];
	struct meeting *m = meet(p);
	size_t len = lens[p->turn % ARRAY_SIZE(lens)];

	lay(p, IP4, 1, packet, len);
	send_packet(p, m, packet, len, true);
	fence_data(p, m);
}

/* Sends a small packet under m, which the target accepts or does not. */
static void try_session(struct play *p, struct meeting *m, bool good)
{
	uint8_t packet[SMALL];

	if (!m->ready)
		return;
	lay(p, IP4, 1, packet, sizeof(packet));
	seal(p, m, m->next++, packet, sizeof(packet));
	post(p);
	if (good) {
		p->want_rx += p->letter.len;
		want_tun(p, packet, sizeof(packet));
	}
}

/* A handshake without the first packet: the target's keys wait to be confirmed. */
static struct meeting *half_meet(struct play *p)
{
	struct meeting *m = begin(p);

	send_initiation(p, m);
	if (await_response(p, m))
		must(p, take_response(m, &p->peer->local), "the response is not good");
	return m;
}

/* The three slots for keys, previous, current and next (§6.3), over four handshakes. */
static void old_sessions(struct play *p)
{
	struct meeting *a = meet(p), *b, *c, *d;

	try_session(p, a, true);
	fence_data(p, a);
	b = half_meet(p);
	try_session(p, a, true); /* still current */
	fence_data(p, a);
	try_session(p, b, true); /* confirmed by this: a is previous */
	fence_data(p, b);
	try_session(p, a, true);
	fence_data(p, a);
	c = half_meet(p);
	try_session(p, a, false); /* two handshakes old */
	try_session(p, b, true);
	fence_data(p, b);
	if (dice(p, 2)) {
		d = half_meet(p);
		try_session(p, c, false); /* was never confirmed, and is superseded */
		try_session(p, d, true);
		fence_data(p, d);
	} else {
		try_session(p, c, true);
		fence_data(p, c);
	}
	try_session(p, b, true); /* previous */
	fence_data(p, b);
	try_session(p, a, false);
	fence_data(p, b);
}

const struct kind data_cases[] = {
	{ "windows", windows, 30 },     { "reorder", reorder, 10 },
	{ "limits", limits, 10 },       { "truncated", truncated, 15 },
	{ "extended", extended, 6 },    { "flipped", flipped, 20 },
	{ "types", types, 15 },         { "garbage", garbage, 8 },
	{ "indices", indices, 5 },      { "strangers", strangers, 5 },
	{ "empty", empty, 2 },          { "tiny", tiny, 8 },
	{ "lengths", lengths, 8 },      { "large", large, 2 },
	{ "old-sessions", old_sessions, 6 }, { NULL, NULL, 0 }
};
