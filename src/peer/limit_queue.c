/* SPDX-License-Identifier: MIT */
/*
 * How deep a bucket is, and what becomes of packets that come too fast: they wait, and CoDel
 * (RFC 8289) keeps the wait short. Chosen by measurement: `make bench-limits`.
 */
#include "../base/packet.h"
#include "limit.h"

enum {
	PACKET = 1500,           /* a full one */
	QUEUE_MIN = 32 << 10,    /* bytes: the first window of TCP (RFC 6928), with what it costs */
	QUEUE_MAX = 8 << 20,     /* bytes: what one tenant can make us hold, each way */
	BURST_PACKETS_MIN = 2,   /* less than one, and no full packet would ever pass */
	WINDOW_SCALE_MAX = 1 << 20 /* drops in a row: more change nothing */
};

/*
 * A thousandth of ten seconds: enough for a worker that looks each millisecond, and nothing that
 * would break a rate.
 */
#define BURST_NS (10 * NSEC_PER_MSEC)
/*
 * Short: where a first window grows past it, it loses much at once, for which TCP slows down
 * once. In a longer one CoDel meets it with a drop each now and then, and TCP slows down at
 * each: Cubic then got 78 % of 1 Gbit/s at 40 ms, with a queue of 200 ms.
 */
#define QUEUE_NS (25 * NSEC_PER_MSEC)
/* Twice the 5 ms of RFC 8289 §4.3: for round trips of 40 ms, where Cubic needs more to stand on. */
#define TARGET_NS (10 * NSEC_PER_MSEC)
#define INTERVAL_NS (100 * NSEC_PER_MSEC) /* §4.2 */

uint64_t limit_queue_burst(uint64_t rate)
{
	return max(BURST_NS, limit_cost((uint64_t)BURST_PACKETS_MIN * PACKET, rate));
}

bool limit_queue_room(const struct lane *lane, uint64_t rate, size_t len)
{
	uint64_t most = rate / 8 * (QUEUE_NS / NSEC_PER_MSEC) / 1000;

	/* Without a rate it is about to be emptied. */
	most = rate ? min(max(most, (uint64_t)QUEUE_MIN), (uint64_t)QUEUE_MAX) : QUEUE_MAX;
	return lane->held_bytes + len <= most;
}

static uint64_t square_root(uint64_t n)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= n)
			root |= bit;
	return root;
}

/* The time to the drop after count drops: interval / sqrt(count) (§5.5). */
static uint64_t spacing(uint64_t interval, uint32_t count)
{
	return square_root(interval * interval / count);
}

/* Has the delay been above target for an interval (§5.4)? A last packet is not dropped. */
static bool stands(struct codel *c, const struct staged *s, uint64_t now, uint64_t target,
		   uint64_t interval)
{
	if (now - min(now, s->since) < target || !s->next) {
		c->first_above = 0;
		return false;
	}
	if (!c->first_above)
		c->first_above = now + interval;
	return now >= c->first_above;
}

/* The control law (§5.5). */
static bool codel_drops(struct codel *c, const struct staged *s, uint64_t now, uint64_t target)
{
	/* At low rates a packet or two are a delay by themselves. */
	uint64_t interval = max(INTERVAL_NS, 2 * target);
	uint32_t recent = c->count - c->last_count;

	if (!stands(c, s, now, target, interval)) {
		c->dropping = false;
		return false;
	}
	if (c->dropping) {
		if (now < c->drop_next)
			return false;
		c->count = min(c->count + 1, (uint32_t)WINDOW_SCALE_MAX);
		c->drop_next += spacing(interval, c->count);
		return true;
	}
	/* Not long since the last time: go on where it left off. */
	c->dropping = true;
	c->count = recent > 1 && now - min(now, c->drop_next) < 16 * interval ? recent : 1;
	c->last_count = c->count;
	c->drop_next = now + spacing(interval, c->count);
	return true;
}

bool limit_queue_drops(struct lane *lane, uint64_t rate, struct staged *s, uint64_t now)
{
	struct inner in;

	if (!rate)
		return false;
	if (!codel_drops(&lane->codel, s, now, max(TARGET_NS, limit_cost(2 * PACKET, rate))))
		return false;
	if (!inner_parse(&in, s->data, s->len) || in.ecn == ECN_NOT_ECT)
		return true;
	inner_set_ce(&in, s->data);
	return false;
}
