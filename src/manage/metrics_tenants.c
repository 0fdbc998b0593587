/* SPDX-License-Identifier: MIT */
/* What is exported of each tenant, under its name. */
#include "metrics_tables.h"

struct row {
	struct metric metric;
	size_t offset, size; /* of a number in struct device_peer */
	bool unless_zero;    /* where 0 stands for "never" or "none" */
	size_t needs;        /* offset of a 64-bit one that says by 0 that there is none; 0: no */
};

#define FIELD(field) offsetof(struct device_peer, field), sizeof(((struct device_peer *)0)->field)
#define COUNTER(name, field, help) { { name, help, METRIC_COUNTER, 0 }, FIELD(field), false, 0 }
#define GAUGE(name, field, help) { { name, help, METRIC_GAUGE, 0 }, FIELD(field), false, 0 }
#define GAUGE_IF(name, field, help) { { name, help, METRIC_GAUGE, 0 }, FIELD(field), true, 0 }
#define GAUGE_BESIDE(name, field, other, help) \
	{ { name, help, METRIC_GAUGE, 0 }, FIELD(field), false, offsetof(struct device_peer, other) }

static const struct row rows[] = {
	GAUGE("berth_tenant_connected", session,
	      "Whether there are keys for the tenant: 1 or 0."),
	GAUGE_IF("berth_tenant_last_handshake_timestamp_seconds", last_handshake.tv_sec,
		 "When the last handshake was completed, in seconds since 1970; its age is time() "
		 "less this."),
	COUNTER("berth_tenant_receive_bytes_total", rx_bytes,
		"Bytes of WireGuard messages that came from the tenant."),
	COUNTER("berth_tenant_receive_packets_total", rx_packets,
		"WireGuard messages that came from the tenant."),
	COUNTER("berth_tenant_transmit_bytes_total", tx_bytes,
		"Bytes of WireGuard messages that went to the tenant."),
	COUNTER("berth_tenant_transmit_packets_total", tx_packets,
		"WireGuard messages that went to the tenant."),
	COUNTER("berth_tenant_endpoint_changes_total", endpoint_changes,
		"How often the tenant was heard from another address or port than before."),
	COUNTER("berth_tenant_shared_key_total", shared_key,
		"How often its key was noticed to be in use from two places."),
	GAUGE("berth_tenant_quarantined", held,
	      "Whether the tenant is held until it is released: 1 or 0."),
	GAUGE_IF("berth_tenant_rate_limit_up_bits_per_second", limits.rate_up,
		 "What the tenant may send, if there is a limit."),
	GAUGE_IF("berth_tenant_rate_limit_down_bits_per_second", limits.rate_down,
		 "What may be sent to the tenant, if there is a limit."),
	GAUGE_IF("berth_tenant_quota_bytes", meter.quota.bytes,
		 "What the tenant may carry in a period, both ways together."),
	GAUGE_BESIDE("berth_tenant_quota_used_bytes", meter.used, meter.quota.bytes,
		     "What it has carried of that in this period."),
};

/* The last family: it has one more label. */
static const struct metric drops = { "berth_tenant_drops_total",
				     "Packets from or to the tenant that died, by reason; "
				     "reasons that it has not met are left out.",
				     METRIC_COUNTER, 0 };

const unsigned metrics_n_tenant_families = ARRAY_SIZE(rows) + 1;

static uint64_t value_of(const struct row *row, const struct device_peer *peer)
{
	const void *field = (const char *)peer + row->offset;

	switch (row->size) {
	case 1:
		return *(const uint8_t *)field;
	case 2:
		return *(const uint16_t *)field;
	case 4:
		return *(const uint32_t *)field;
	default:
		return *(const uint64_t *)field;
	}
}

static bool is_there(const struct row *row, const struct device_peer *peer, uint64_t value)
{
	const void *needed = (const char *)peer + row->needs;

	return (value || !row->unless_zero) && (!row->needs || *(const uint64_t *)needed);
}

void metrics_tenant_heads(struct rope *families)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		metric_head(&families[i], &rows[i].metric);
	metric_head(&families[ARRAY_SIZE(rows)], &drops);
}

void metrics_tenant_add(struct rope *families, const struct device_peer *peer)
{
	struct metric_labels tenant;

	tenant.len = 0; /* its text need not be cleared, ten thousand times */
	metric_label(&tenant, "tenant", peer->name);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = value_of(&rows[i], peer);

		if (is_there(&rows[i], peer, value))
			metric_sample(&families[i], &rows[i].metric, &tenant, value);
	}
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++) {
		struct metric_labels reason;

		if (!peer->drops[i])
			continue;
		reason = tenant;
		metric_label(&reason, "reason", drop_name((enum drop_reason)i));
		metric_sample(&families[ARRAY_SIZE(rows)], &drops, &reason, peer->drops[i]);
	}
}
