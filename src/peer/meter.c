/* SPDX-License-Identifier: MIT */
/* Quotas as they are used up. */
#include "meter.h"

bool meter_spend_blocking(struct meter *m, uint32_t epoch, uint64_t allowed, uint64_t bytes,
			  bool one)
{
	uint64_t used = atomic_load_explicit(&m->used, memory_order_relaxed);

	if (atomic_load_explicit(&m->over, memory_order_relaxed) == epoch)
		return false;
	do {
		if (bytes > allowed || used > allowed - bytes) {
			/* A smaller one might fit: it is not to be served where this one was not. */
			if (one)
				atomic_store_explicit(&m->over, epoch, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&m->used, &used, used + bytes,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void meter_give_back(struct meter *m, uint64_t bytes)
{
	uint64_t used = atomic_load_explicit(&m->used, memory_order_relaxed);

	/* There may have been no quota when they came, or another period. */
	while (!atomic_compare_exchange_weak_explicit(&m->used, &used, used - min(used, bytes),
						      memory_order_relaxed, memory_order_relaxed))
		;
}

void meter_init(struct meter *m)
{
	atomic_store_explicit(&m->epoch, 1, memory_order_relaxed);
}

/* What has been found of the last epoch does not hold any more. */
static void begin_epoch(struct meter *m)
{
	/* Whoever sees the new one sees also what was set before. */
	atomic_fetch_add_explicit(&m->epoch, 1, memory_order_release);
}

static enum meter_state state_of(const struct meter *m)
{
	uint64_t allowed = atomic_load_explicit(&m->allowed, memory_order_relaxed);
	uint64_t used = atomic_load_explicit(&m->used, memory_order_relaxed);

	if (!allowed)
		return METER_OK;
	if (meter_is_over(m) || used >= allowed)
		return METER_OVER;
	return used >= allowed / 100 * METER_WARNING_PERCENT ? METER_WARNED : METER_OK;
}

/* After whatever has changed: is it used up or not? */
static void judge(struct meter *m)
{
	uint64_t allowed = atomic_load_explicit(&m->allowed, memory_order_relaxed);

	begin_epoch(m);
	if (allowed && atomic_load_explicit(&m->used, memory_order_relaxed) >= allowed)
		atomic_store_explicit(&m->over,
				      atomic_load_explicit(&m->epoch, memory_order_relaxed),
				      memory_order_relaxed);
}

static void set_used(struct meter *m, uint64_t used)
{
	atomic_store_explicit(&m->used, used, memory_order_relaxed);
	judge(m);
}

void meter_set(struct meter *m, const struct quota *quota, int64_t now)
{
	bool anew = !m->quota.bytes || !quota->bytes || m->quota.period != quota->period;

	if (quota_equal(&m->quota, quota))
		return;
	m->quota = *quota;
	if (anew) {
		m->start = quota->bytes ? quota_start(quota->period, now) : 0;
		atomic_store_explicit(&m->used, 0, memory_order_relaxed);
	}
	atomic_store_explicit(&m->blocks, quota->bytes && !quota->rate, memory_order_relaxed);
	atomic_store_explicit(&m->allowed, quota->bytes, memory_order_relaxed);
	judge(m);
	m->said = min(m->said, state_of(m));
}

void meter_recall(struct meter *m, uint64_t used, int64_t start, int64_t now)
{
	if (!m->quota.bytes)
		return;
	m->start = quota_start(m->quota.period, now);
	set_used(m, start < m->start ? 0 : used);
	m->said = state_of(m);
}

void meter_reset(struct meter *m)
{
	set_used(m, 0);
	m->said = METER_OK;
}

bool meter_turn(struct meter *m, int64_t now)
{
	int64_t start = quota_start(m->quota.period, now);
	bool later = start > m->start;

	if (!m->quota.bytes || start == m->start)
		return false;
	m->start = start;
	if (later)
		meter_reset(m);
	return later;
}

struct meter_info meter_get(const struct meter *m)
{
	struct meter_info info = { .quota = m->quota };

	if (!m->quota.bytes)
		return info;
	info.used = atomic_load_explicit(&m->used, memory_order_relaxed);
	info.start = m->start;
	info.state = state_of(m);
	return info;
}
