/* SPDX-License-Identifier: MIT */
/* The quotas of a device's peers: what is told of them, and how they begin anew. */
#include "../base/clock.h"
#include "../base/log.h"
#include "../base/utc.h"
#include "../peer/events.h"
#include "../peer/learned.h"
#include "device_peers.h"

static void log_warned(const struct peer *peer, const struct meter_info *info)
{
	char of[QUOTA_STRLEN];

	log_event(LOG_LEVEL_WARNING, peer->name, event_name(EVENT_QUOTA_WARNED), NULL,
		  "tenant %s: %u %% of its quota of %s is used", peer->name, METER_WARNING_PERCENT,
		  quota_format_bytes(info->quota.bytes, of));
}

static void log_over(const struct peer *peer, const struct meter_info *info)
{
	char of[QUOTA_STRLEN], rate[LIMITS_RATE_STRLEN], date[UTC_STRLEN];
	int64_t end = quota_end(info->quota.period, info->start);

	limits_format_rate(info->quota.rate, rate);
	log_event(LOG_LEVEL_WARNING, peer->name, event_name(EVENT_QUOTA_REACHED), NULL,
		  "tenant %s: its quota of %s is used up: %s%s until %s%s%s", peer->name,
		  quota_format_bytes(info->quota.bytes, of),
		  info->quota.rate ? rate : "nothing passes",
		  info->quota.rate ? " each way" : "",
		  end ? utc_format(end, date) : "'berth quota ", end ? "" : peer->name,
		  end ? "" : " --reset'");
}

void device_tell_quota(struct peer *peer)
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

void device_recall_quota(struct peer *peer, const struct change *c,
			 const struct saved_counts *counts)
{
	struct timespec now;
	bool waiting;

	if (!(c->flags & PEER_HAS_LIMITS) || !c->limits.quota.bytes ||
	    /* No memory: it has none for its limits either, and is not added. */
	    peer_set_limits(peer, &c->limits, &waiting))
		return;
	clock_realtime(&now);
	meter_recall(&rcu_read(&peer->limit)->meter, counts->quota_used, counts->quota_start,
		     now.tv_sec);
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
