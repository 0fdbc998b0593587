/* SPDX-License-Identifier: MIT */
/* What a device learns of its peers, and is told of them again after a restart. */
#include <errno.h>
#include <sodium.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/utc.h"
#include "../peer/learned.h"
#include "device_peers.h"
#include "handshake.h"

void device_remember(struct device *dev, const struct device_memory *memory)
{
	dev->memory = *memory;
	dev->dp.peers.learned = &dev->learned;
}

void device_forget(struct device *dev)
{
	dev->memory = (struct device_memory){ 0 };
}

static void tell_arrival(struct device *dev, struct peer *peer)
{
	if (peer->arrived || !peer_is_connected(peer, clock_now()))
		return;
	peer->arrived = true;
	if (dev->observer.arrived)
		dev->observer.arrived(dev->observer.arg, peer->announce, peer->allowed_ips,
				      peer->n_allowed_ips);
}

static void log_warned(const struct peer *peer, const struct meter_info *info)
{
	char of[QUOTA_STRLEN];

	log_warning("tenant %s: %u %% of its quota of %s is used", peer->name,
		    METER_WARNING_PERCENT, quota_format_bytes(info->quota.bytes, of));
}

static void log_over(const struct peer *peer, const struct meter_info *info)
{
	char of[QUOTA_STRLEN], rate[LIMITS_RATE_STRLEN], date[UTC_STRLEN];
	int64_t end = quota_end(info->quota.period, info->start);

	limits_format_rate(info->quota.rate, rate);
	log_warning("tenant %s: its quota of %s is used up: %s%s until %s%s%s", peer->name,
		    quota_format_bytes(info->quota.bytes, of),
		    info->quota.rate ? rate : "nothing passes",
		    info->quota.rate ? " each way" : "",
		    end ? utc_format(end, date) : "'berth quota ", end ? "" : peer->name,
		    end ? "" : " --reset'");
}

/* Each step once per period. */
static void tell_quota(struct peer *peer)
{
	struct limit *limit = rcu_read(&peer->limit);
	struct meter_info info;

	if (!limit)
		return;
	info = meter_get(&limit->meter);
	while (limit->meter.said < info.state) {
		limit->meter.said++;
		if (limit->meter.said == METER_OVER) {
			log_over(peer, &info);
			peer_note(peer, EVENT_QUOTA_REACHED, info.used);
		} else {
			log_warned(peer, &info);
			peer_note(peer, EVENT_QUOTA_WARNED, METER_WARNING_PERCENT);
		}
	}
}

/* In an RCU turn. */
static void take_learned(struct device *dev)
{
	struct inbox_item *item = inbox_take_all(&dev->learned);
	struct device_peer info = { 0 };

	while (item) {
		struct peer *peer = container_of(item, struct peer, to_memory);

		item = item->next;
		/* First: what is learned from here on is news again. */
		(void)inbox_claim(&peer->to_memory);
		/* A worker may have counted something at one that was told of as removed. */
		if (dev->memory.learned && !peer->buried) {
			tell_quota(peer);
			device_describe(peer, &info);
			peer->buried = info.removed;
			dev->memory.learned(dev->memory.arg, &info);
		}
		tell_arrival(dev, peer);
		peer_unref(peer);
	}
	sodium_memzero(info.preshared_key, sizeof(info.preshared_key));
}

void device_take_learned(struct device *dev)
{
	rcu_turn_begin();
	take_learned(dev);
	rcu_turn_end();
}

/* No memory: it has none for its limits either, and is not added. */
static void recall_quota(struct peer *peer, const struct change *c,
			 const struct saved_counts *counts)
{
	struct timespec now;
	bool waiting;

	if (!(c->flags & PEER_HAS_LIMITS) || !c->limits.quota.bytes ||
	    peer_set_limits(peer, &c->limits, &waiting))
		return;
	clock_realtime(&now);
	meter_recall(&rcu_read(&peer->limit)->meter, counts->quota_used, counts->quota_start,
		     now.tv_sec);
}

void device_recall(struct device *dev, struct peer *peer, const struct change *c)
{
	struct device_recalled known = { 0 };

	if (!dev->memory.recall)
		return;
	/* One with this very key may have been removed a moment ago. */
	take_learned(dev);
	dev->memory.recall(dev->memory.arg, c->key, c->name, &known);
	if (c->flags & PEER_HAS_ENDPOINT)
		known.endpoint = (struct endpoint){ 0 };
	learned_recall(peer, &known.endpoint, known.timestamp);
	learned_recall_counts(peer, &known.counts);
	recall_quota(peer, c, &known.counts);
}

/* What is used begins at nothing: that is news, and what waits may go. RCU turn. */
static void lift_quota(struct device *dev, struct peer *peer, struct limit *limit)
{
	learned_tell(peer);
	peer_note(peer, EVENT_QUOTA_RESET, 0);
	if (limit_refresh(limit))
		dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_RELEASE);
}

int64_t device_turn_quotas(struct device *dev, int64_t now)
{
	struct peertable_iter it;
	struct peertable_entry *entry;
	int64_t next = INT64_MAX;

	rcu_turn_begin();
	peertable_for_each(dev->dp.table, &it, entry) {
		struct peer *peer = container_of(entry, struct peer, entry);
		struct limit *limit = rcu_read(&peer->limit);
		int64_t end;

		if (!limit || !limit->meter.quota.bytes)
			continue;
		if (meter_turn(&limit->meter, now)) {
			log_debug("tenant %s: its quota begins anew", peer->name);
			lift_quota(dev, peer, limit);
		}
		end = quota_end(limit->meter.quota.period, now);
		next = end ? min(next, end) : next;
	}
	rcu_turn_end();
	return next;
}

bool device_reset_quota(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct limit *limit;
	struct peer *peer;
	bool has = false;

	rcu_turn_begin();
	peer = device_find_peer(dev, public_key);
	limit = peer ? rcu_read(&peer->limit) : NULL;
	if (limit && limit->meter.quota.bytes) {
		meter_reset(&limit->meter);
		lift_quota(dev, peer, limit);
		has = true;
	}
	rcu_turn_end();
	return has;
}

int device_call(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct handshake_thread *ht = dev->ws->handshake;
	struct peer *peer;

	if (handshake_under_load(ht, clock_now()))
		return -EAGAIN;
	rcu_turn_begin();
	peer = device_find_peer(dev, public_key);
	if (peer)
		handshake_want(ht, peer, PEER_HANDSHAKE_CALL);
	rcu_turn_end();
	return 0;
}
