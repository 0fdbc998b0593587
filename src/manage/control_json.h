/* SPDX-License-Identifier: MIT */
/*
 * Running things as JSON: the fields of a tenant and of the status. Each
 * function adds fields to an object, so that callers can add others. All are
 * 0 or -ENOMEM. Control thread. Secrets are left out.
 */
#ifndef BERTH_MANAGE_CONTROL_JSON_H
#define BERTH_MANAGE_CONTROL_JSON_H

#include <jansson.h>

#include "../config/tenant.h"
#include "../neighbor/neigh.h"
#include "../path/device.h"

/*
 * name, public_key (base64), state ("connected": there is a session; "idle"),
 * allowed_ips [text], endpoint (text or null), last_handshake (seconds of UTC or
 * null), rx_bytes, rx_packets (from the tenant), tx_bytes, tx_packets,
 * endpoint_changes, keepalive (seconds, 0: off), isolated (true, or absent), rate_up, rate_down (from and to the tenant,
 * bit/s; only if there is one), quota (only if there is one) {limit, used (bytes), period ("day",
 * "week", "month" or null), resets_at (RFC 3339 or null), rate (bit/s past it, 0: nothing passes),
 * state ("ok", "warned", "throttled", "blocked")}, drops {name: n}, those that are not 0.
 */
must_check int control_peer_json(json_t *out, const struct device_peer *peer);

/* expires (RFC 3339, or null): what only the file of a tenant that is in force says. */
must_check int control_tenant_json(json_t *out, const struct config_tenant *tenant);

/* name, public_key, state ("expired"), allowed_ips, expires: of one that has no peer now. */
must_check int control_expired_json(json_t *out, const struct config_tenant *tenant);

/*
 * events [{time (seconds of UTC), event (its name), text}], the newest first; of what came
 * several times in a row also count, and since: the time of the first.
 */
must_check int control_events_json(json_t *out, const struct device_peer *peer);

/*
 * version, pid, interface, public_key (base64 or null), listen_port (0: none), fwmark,
 * crypto, offloads {tun, udp_gso, udp_gro}, peers, connected, rx_bytes, rx_packets,
 * tx_bytes, tx_packets (of the peers that are there now), drops {name: n} of the device.
 */
must_check int control_device_json(json_t *out, struct device *dev, const char *crypto);

/*
 * name, ndp {answered, unowned, away, foreign, verdict: n}, arp {the same}, repeated,
 * announced, send_failures, overruns; verdicts that are not 0. The words are those of neigh.h.
 */
must_check int control_uplink_json(json_t *out, const char *name,
				   const struct neigh_stats *stats);

#endif
