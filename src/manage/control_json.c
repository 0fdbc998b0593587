/* SPDX-License-Identifier: MIT */
/* Running things as JSON. */
#include "control_json.h"

#include <errno.h>
#include <sodium.h>
#include <unistd.h>

#include "../base/encoding.h"
#include "../base/utc.h"
#include "../base/version.h"

/* Adds one field; *err keeps the first error, so that a list of fields reads as one. */
static void set(json_t *out, const char *name, json_t *value, int *err)
{
	if (json_object_set_new_nocheck(out, name, value) && !*err)
		*err = -ENOMEM;
}

static void set_number(json_t *out, const char *name, uint64_t number, int *err)
{
	set(out, name, json_integer((json_int_t)number), err);
}

static void set_key(json_t *out, const char *name, const uint8_t key[KEY_LEN], int *err)
{
	char text[KEY_BASE64_STRLEN];

	set(out, name, key_is_zero(key) ? json_null() : json_string(key_to_base64(key, text)),
	    err);
}

static json_t *drops_json(const uint64_t drops[DROP_REASON_COUNT], int *err)
{
	json_t *out = json_object();

	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		if (drops[i])
			set_number(out, drop_name((enum drop_reason)i), drops[i], err);
	return out;
}

static json_t *allowed_ips_json(const struct device_peer *peer, int *err)
{
	json_t *out = json_array();
	char text[PREFIX_STRLEN];

	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		if (json_array_append_new(out,
					  json_string(prefix_format(&peer->allowed_ips[i], text))))
			*err = -ENOMEM;
	return out;
}

static json_t *endpoint_json(const struct endpoint *endpoint)
{
	char text[ENDPOINT_STRLEN];

	return endpoint_is_set(endpoint) ? json_string(endpoint_format(endpoint, text))
					 : json_null();
}

static const char *state_of(const struct device_peer *peer)
{
	if (peer->held)
		return "quarantined";
	return peer->session ? "connected" : "idle";
}

/* Where a key was seen in use, the last time that it was in two places. */
static json_t *shared_json(const struct device_peer *peer, int *err)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < ARRAY_SIZE(peer->shared_between); i++)
		if (json_array_append_new(out, endpoint_json(&peer->shared_between[i])))
			*err = -ENOMEM;
	return out;
}

static const char *quota_state(const struct meter_info *meter)
{
	if (meter->state == METER_OVER)
		return meter->quota.rate ? "throttled" : "blocked";
	return meter->state == METER_WARNED ? "warned" : "ok";
}

static json_t *quota_json(const struct meter_info *meter, int *err)
{
	const char *period = quota_period_name(meter->quota.period);
	char date[UTC_STRLEN];
	json_t *out = json_object();

	set_number(out, "limit", meter->quota.bytes, err);
	set_number(out, "used", meter->used, err);
	set(out, "period", period ? json_string(period) : json_null(), err);
	set(out, "resets_at",
	    period ? json_string(utc_format(quota_end(meter->quota.period, meter->start), date))
		   : json_null(), err);
	set_number(out, "rate", meter->quota.rate, err);
	set(out, "state", json_string(quota_state(meter)), err);
	return out;
}

int control_peer_json(json_t *out, const struct device_peer *peer)
{
	time_t handshake = peer->last_handshake.tv_sec;
	int err = 0;

	set(out, "name", json_string(peer->name ? peer->name : ""), &err);
	set_key(out, "public_key", peer->public_key, &err);
	set(out, "state", json_string(state_of(peer)), &err);
	set(out, "allowed_ips", allowed_ips_json(peer, &err), &err);
	set(out, "endpoint", endpoint_json(&peer->endpoint), &err);
	set(out, "last_handshake", handshake ? json_integer(handshake) : json_null(), &err);
	set_number(out, "rx_bytes", peer->rx_bytes, &err);
	set_number(out, "rx_packets", peer->rx_packets, &err);
	set_number(out, "tx_bytes", peer->tx_bytes, &err);
	set_number(out, "tx_packets", peer->tx_packets, &err);
	set_number(out, "endpoint_changes", peer->endpoint_changes, &err);
	set_number(out, "keepalive", peer->keepalive, &err);
	if (peer->mtu)
		set_number(out, "mtu", peer->mtu, &err);
	if (peer->isolated)
		set(out, "isolated", json_true(), &err);
	if (peer->shared_key) {
		set_number(out, "shared_key", peer->shared_key, &err);
		set(out, "shared_key_between", shared_json(peer, &err), &err);
	}
	if (peer->limits.rate_up)
		set_number(out, "rate_up", peer->limits.rate_up, &err);
	if (peer->limits.rate_down)
		set_number(out, "rate_down", peer->limits.rate_down, &err);
	if (peer->meter.quota.bytes)
		set(out, "quota", quota_json(&peer->meter, &err), &err);
	set(out, "drops", drops_json(peer->drops, &err), &err);
	return err;
}

static void set_expires(json_t *out, const struct config_tenant *tenant, int *err)
{
	char date[UTC_STRLEN];

	set(out, "expires", tenant->expires ? json_string(utc_format(tenant->expires, date))
					    : json_null(), err);
}

int control_tenant_json(json_t *out, const struct config_tenant *tenant)
{
	int err = 0;

	set_expires(out, tenant, &err);
	return err;
}

int control_expired_json(json_t *out, const struct config_tenant *tenant)
{
	const struct config_ranges *ips = &tenant->peers[0].allowed_ips;
	json_t *texts = json_array();
	char text[PREFIX_STRLEN];
	int err = 0;

	for (uint32_t i = 0; i < ips->n; i++)
		if (json_array_append_new(texts, json_string(prefix_format(&ips->v[i].prefix,
									   text))))
			err = -ENOMEM;
	set(out, "name", json_string(tenant->name), &err);
	set_key(out, "public_key", tenant->peers[0].public_key, &err);
	set(out, "state", json_string("expired"), &err);
	set(out, "allowed_ips", texts, &err);
	set_expires(out, tenant, &err);
	return err;
}

/* Of those that came several times in a row, also how often and since when. */
static json_t *event_json(const struct event *event, int *err)
{
	char text[EVENT_TEXT_MAX];
	json_t *out = json_object();
	uint32_t span;
	unsigned count = event_count(event, &span);

	set_number(out, "time", event->time / 1000, err);
	set(out, "event", json_string(event_name(event->kind)), err);
	set(out, "text", json_string(event_text(event, text)), err);
	if (count > 1) {
		set_number(out, "count", count, err);
		set_number(out, "since", event->time / 1000 - span, err);
	}
	return out;
}

int control_events_json(json_t *out, const struct device_peer *peer)
{
	json_t *events = json_array();
	int err = 0;

	for (unsigned i = 0; i < peer->n_events; i++)
		if (json_array_append_new(events, event_json(&peer->events[i], &err)))
			err = -ENOMEM;
	set(out, "events", events, &err);
	return err;
}

/* What all peers of a device come to. */
struct sums {
	uint64_t peers, connected;
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};

static void add_up(const struct device_peer *peer, void *arg)
{
	struct sums *sums = arg;

	sums->peers++;
	sums->connected += peer->session;
	sums->rx_bytes += peer->rx_bytes;
	sums->rx_packets += peer->rx_packets;
	sums->tx_bytes += peer->tx_bytes;
	sums->tx_packets += peer->tx_packets;
}

static json_t *offloads_json(const struct device_info *info, int *err)
{
	json_t *out = json_object();

	set(out, "tun", json_boolean(info->tun_offload), err);
	set(out, "tun_steering", json_boolean(info->tun_steering), err);
	set(out, "udp_gso", json_boolean(info->gso), err);
	set(out, "udp_gro", json_boolean(info->gro), err);
	return out;
}

int control_device_json(json_t *out, struct device *dev, const char *crypto)
{
	const struct drop_counters *counters = &device_datapath(dev)->drops;
	uint64_t drops[DROP_REASON_COUNT];
	struct sums sums = { 0 };
	struct device_info info;
	int err = 0;

	device_get(dev, &info);
	sodium_memzero(info.private_key, sizeof(info.private_key));
	device_each_peer(dev, add_up, &sums);
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		drops[i] = counter_read(&counters->n[i]);

	set(out, "version", json_string(BERTH_VERSION), &err);
	set_number(out, "pid", (uint64_t)getpid(), &err);
	set(out, "interface", json_string(device_name(dev)), &err);
	set_key(out, "public_key", info.public_key, &err);
	set_number(out, "listen_port", info.listen_port, &err);
	set_number(out, "fwmark", info.fwmark, &err);
	set(out, "crypto", json_string(crypto), &err);
	set(out, "offloads", offloads_json(&info, &err), &err);
	set_number(out, "peers", sums.peers, &err);
	set_number(out, "connected", sums.connected, &err);
	set_number(out, "rx_bytes", sums.rx_bytes, &err);
	set_number(out, "rx_packets", sums.rx_packets, &err);
	set_number(out, "tx_bytes", sums.tx_bytes, &err);
	set_number(out, "tx_packets", sums.tx_packets, &err);
	set(out, "drops", drops_json(drops, &err), &err);
	return err;
}

/* Requests of one protocol: what was wrong with them, and for whom the good ones were. */
static json_t *asked_json(uint64_t answered, const uint64_t asked[NEIGH_OWNERS], int *err)
{
	json_t *out = json_object();

	set_number(out, "answered", answered, err);
	set_number(out, "unowned", asked[NEIGH_UNOWNED], err);
	set_number(out, "away", asked[NEIGH_AWAY], err);
	set_number(out, "foreign", asked[NEIGH_FOREIGN], err);
	return out;
}

static json_t *ndp_json(const struct neigh_stats *stats, int *err)
{
	json_t *out = asked_json(stats->ndp_answered, stats->ndp_asked, err);

	for (unsigned i = 0; i < NDP_VERDICTS; i++)
		if (stats->ndp[i])
			set_number(out, ndp_verdict_name((enum ndp_verdict)i), stats->ndp[i], err);
	return out;
}

static json_t *arp_json(const struct neigh_stats *stats, int *err)
{
	json_t *out = asked_json(stats->arp_answered, stats->arp_asked, err);

	for (unsigned i = 0; i < ARP_VERDICTS; i++)
		if (stats->arp[i])
			set_number(out, arp_verdict_name((enum arp_verdict)i), stats->arp[i], err);
	return out;
}

int control_uplink_json(json_t *out, const char *name, const struct neigh_stats *stats)
{
	int err = 0;

	set(out, "name", json_string(name), &err);
	set(out, "ndp", ndp_json(stats, &err), &err);
	set(out, "arp", arp_json(stats, &err), &err);
	set_number(out, "repeated", stats->repeated, &err);
	set_number(out, "announced", stats->announced, &err);
	set_number(out, "send_failures", stats->send_failures, &err);
	set_number(out, "overruns", stats->overruns, &err);
	return err;
}
