/* SPDX-License-Identifier: MIT */
/* The keys of config.d/NAME.conf, section by section. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "../base/utc.h"
#include "file.h"
#include "tenant_keys.h"
#include "tunnel_value.h"

enum { PID_DIGITS_MAX = 10, NETNS_NAME_MAX = 255 };

/* A key that stands in the file itself makes the whole file a secret. */
static int check_mode(struct tenant_reading *r, const struct rules_where *where)
{
	if (!file_is_exposed(r->mode))
		return 0;
	if (!r->said_exposed)
		rules_fault(where, "this file is open to group or others: chmod 600 %s",
			    where->file);
	r->said_exposed = true;
	return -EINVAL;
}

/* A key is given by one of two names, once. *line is where it stood first. */
static int note_key(const struct rules_where *where, unsigned *line)
{
	if (*line) {
		rules_fault(where, "line %u gives this key already", *line);
		return -EINVAL;
	}
	*line = where->line;
	return 0;
}

/* Remembers the path, so that the file is watched. */
static int note_key_file(struct tenant_reading *r, const char *path)
{
	struct config_tenant *tenant = r->tenant;
	char **grown = reallocarray(tenant->key_files, tenant->n_key_files + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	tenant->key_files = grown;
	grown[tenant->n_key_files] = file_join(r->dir, path);
	if (!grown[tenant->n_key_files])
		return -ENOMEM;
	tenant->n_key_files++;
	return 0;
}

static int read_key_file(struct tenant_reading *r, const struct rules_where *where,
			 const char *path, bool secret, uint8_t out[VALUE_KEY_LEN])
{
	int err = *path ? note_key_file(r, path) : 0;

	if (err)
		return err;
	if (*path)
		err = value_key_file(where, r->dirfd, r->dir, path, secret, out);
	else
		err = -ENOENT;
	if (err == -ENOENT && secret) {
		rules_fault(where, "there is no key in '%s'",
			    *path ? r->tenant->key_files[r->tenant->n_key_files - 1] : "");
		err = -EINVAL;
	}
	return err;
}

/* [Peer] */

static int set_public_key(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	if (!*value) {
		r->revoked = true;
		return 0;
	}
	if (note_key(where, &r->public_key_line))
		return -EINVAL;
	r->peer->line = where->line;
	return value_key(where, value, false, r->peer->public_key);
}

static int set_public_key_file(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	int err = note_key(where, &r->public_key_line);

	if (err)
		return err;
	r->peer->line = where->line;
	err = read_key_file(r, where, value, false, r->peer->public_key);
	if (err == -ENOENT) {
		r->revoked = true;
		err = 0;
	}
	return err;
}

static int set_preshared_key(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	uint8_t *key;

	if (note_key(where, &r->preshared_key_line) || check_mode(r, where))
		return -EINVAL;
	key = tenant_make_preshared_key(r->peer);
	return key ? value_key(where, value, true, key) : -ENOMEM;
}

static int set_preshared_key_file(void *target, const struct rules_where *where,
				  const char *value)
{
	struct tenant_reading *r = target;
	uint8_t *key;

	if (note_key(where, &r->preshared_key_line))
		return -EINVAL;
	key = tenant_make_preshared_key(r->peer);
	return key ? read_key_file(r, where, value, true, key) : -ENOMEM;
}

static int set_allowed_ips(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	return value_ranges(where, value, &r->peer->allowed_ips);
}

static int set_endpoint(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	r->peer->endpoint_line = where->line;
	return value_endpoint(where, value, &r->peer->endpoint);
}

static int set_keepalive(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	r->peer->keepalive_line = where->line;
	return value_keepalive(where, value, &r->peer->keepalive);
}

static const struct rules_key peer_keys[] = {
	{ .name = "PublicKey", .set = set_public_key },
	{ .name = "PublicKeyFile", .set = set_public_key_file },
	{ .name = "PresharedKey", .set = set_preshared_key },
	{ .name = "PresharedKeyFile", .set = set_preshared_key_file },
	{ .name = "AllowedIPs", .set = set_allowed_ips, .repeats = true },
	{ .name = "Endpoint", .set = set_endpoint },
	{ .name = "PersistentKeepalive", .set = set_keepalive },
};
_Static_assert(ARRAY_SIZE(peer_keys) <= RULES_KEYS_MAX, "rules_apply() has no room");

/* [Tenant] */

static int set_announce(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	return value_announce(where, value, &r->tenant->announce);
}

static int set_isolate(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	enum isolate isolate = ISOLATE_DEFAULT;
	int err = value_isolate(where, value, &isolate);

	r->tenant->isolate = (uint8_t)isolate;
	return err;
}

static int set_tenant_mtu(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	uint32_t mtu;
	int err = value_mtu(where, value, &mtu);

	if (err)
		return err;
	/* The rest is for config_check_tenant() to see, which knows the gateway's. */
	if (!mtu || mtu > VALUE_MTU_MAX) {
		rules_fault(where, "'%s' is not a number from %d (%d with IPv6) to the MTU of the "
			    "gateway in berth.conf", value, VALUE_MTU_MIN, VALUE_MTU_IPV6);
		return -EINVAL;
	}
	r->tenant->mtu = (uint16_t)mtu;
	r->tenant->mtu_line = where->line <= UINT16_MAX ? (uint16_t)where->line : 0;
	return 0;
}

static int set_on_shared_key(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	return value_on_shared_key(where, value, &r->tenant->quarantine);
}

static int set_expires(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	int err = utc_parse(value, &r->tenant->expires);

	r->tenant->expires_line = where->line;
	if (err == -ERANGE)
		rules_fault(where, "there is no such day or time as '%s'; a right one is "
			    "2027-01-01T00:00:00Z", value);
	else if (err)
		rules_fault(where, "'%s' is not a date: write 2027-01-01T00:00:00Z, "
			    "2027-01-01T01:00:00+01:00, or 2027-01-01 for its beginning in UTC",
			    value);
	return err ? -EINVAL : 0;
}

static int set_rate(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	return limits_rate_or_off(where, value, &r->rate);
}

static int set_rate_up(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	r->rate_up_line = where->line;
	return limits_rate_or_off(where, value, &r->rate_up);
}

static int set_rate_down(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	r->rate_down_line = where->line;
	return limits_rate_or_off(where, value, &r->rate_down);
}

static int set_quota(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	r->quota_line = where->line;
	return quota_parse(where, value, &r->quota);
}

static int set_quota_rate(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	r->quota_rate_line = where->line;
	return limits_rate(where, value, &r->quota.rate);
}

static int set_blocked(void *target, const struct rules_where *where, const char *value)
{
	static const char *const words[] = { "no", "yes" };
	struct tenant_reading *r = target;
	unsigned word = 0;
	int err = value_choice(where, value, words, ARRAY_SIZE(words), &word);

	r->blocked = word == 1;
	r->blocked_line = where->line;
	return err;
}

static const struct rules_key tenant_keys[] = {
	{ .name = "RateLimit", .set = set_rate },
	{ .name = "RateUp", .set = set_rate_up },
	{ .name = "RateDown", .set = set_rate_down },
	{ .name = "Quota", .set = set_quota },
	{ .name = "QuotaRate", .set = set_quota_rate },
	{ .name = "Blocked", .set = set_blocked },
	{ .name = "Expires", .set = set_expires },
	{ .name = "Announce", .set = set_announce },
	{ .name = "Isolate", .set = set_isolate },
	{ .name = "MTU", .set = set_tenant_mtu },
	{ .name = "OnSharedKey", .set = set_on_shared_key },
};
_Static_assert(ARRAY_SIZE(tenant_keys) <= RULES_KEYS_MAX, "rules_apply() has no room");

/* [Interface] */

static int set_private_key(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	if (note_key(where, &r->private_key_line) || check_mode(r, where))
		return -EINVAL;
	return value_key(where, value, true, r->tenant->tunnel->private_key);
}

static int set_private_key_file(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	if (note_key(where, &r->private_key_line))
		return -EINVAL;
	return read_key_file(r, where, value, true, r->tenant->tunnel->private_key);
}

static int set_listen_port(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	uint32_t port;
	int err = value_number(where, value, 0, UINT16_MAX, &port);

	if (!err)
		r->tenant->tunnel->listen_port = port;
	return err;
}

static int set_fwmark(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	return value_fwmark(where, value, &r->tenant->tunnel->fwmark);
}

static int set_address(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	return value_addresses(where, value, &r->tenant->tunnel->addresses);
}

static int set_mtu(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	int err;

	if (strcasecmp(value, "auto") == 0)
		return 0;
	err = value_mtu(where, value, &r->mtu);
	if (!err)
		r->mtu_line = where->line;
	return err;
}

static int set_table(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	return tunnel_value_table(where, value, r->tenant->tunnel);
}

static int set_dns(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	if (!r->tenant->tunnel->dns_line)
		r->tenant->tunnel->dns_line = where->line;
	return tunnel_value_dns(where, value, r->tenant->tunnel);
}

static int set_save_config(void *target, const struct rules_where *where, const char *value)
{
	(void)target;
	if (strcasecmp(value, "false") == 0)
		return 0;
	rules_fault(where, "%s", RULES_SAVE_CONFIG);
	return -EINVAL;
}

static const struct rules_key interface_keys[] = {
	{ .name = "PrivateKey", .set = set_private_key },
	{ .name = "PrivateKeyFile", .set = set_private_key_file },
	{ .name = "ListenPort", .set = set_listen_port },
	{ .name = "FwMark", .set = set_fwmark },
	{ .name = "Address", .set = set_address, .repeats = true },
	{ .name = "DNS", .set = set_dns, .repeats = true },
	{ .name = "MTU", .set = set_mtu },
	{ .name = "Table", .set = set_table },
	RULES_WG_QUICK_HOOKS,
	{ .name = "SaveConfig", .set = set_save_config },
};
_Static_assert(ARRAY_SIZE(interface_keys) <= RULES_KEYS_MAX, "rules_apply() has no room");

/* [Container] */

static bool is_pid(const char *text)
{
	size_t len = strlen(text);

	return len && len <= PID_DIGITS_MAX && strspn(text, "0123456789") == len && *text != '0';
}

/* A name is a file under /run/netns: it must not lead out of there. */
static bool is_netns_name(const char *text)
{
	return *text && strlen(text) <= NETNS_NAME_MAX && *text != '.' && !strchr(text, '/');
}

static int set_netns(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;
	struct config_tunnel *tunnel = r->tenant->tunnel;

	if (strncmp(value, "pid:", 4) == 0 && is_pid(value + 4)) {
		tunnel->netns_kind = TUNNEL_NETNS_PID;
		value += 4;
	} else if (*value == '/') {
		tunnel->netns_kind = TUNNEL_NETNS_PATH;
	} else if (is_netns_name(value) && !strchr(value, ':')) {
		tunnel->netns_kind = TUNNEL_NETNS_NAME;
	} else {
		rules_fault(where, "'%s' is neither a name under /run/netns, nor a path from '/' "
			    "on, nor pid:N", value);
		return -EINVAL;
	}
	tunnel->netns = strdup(value);
	return tunnel->netns ? 0 : -ENOMEM;
}

static int set_name(void *target, const struct rules_where *where, const char *value)
{
	struct tenant_reading *r = target;

	r->tenant->tunnel->ifname_line = where->line;
	return value_ifname(where, value, r->tenant->tunnel->ifname);
}

static const struct rules_key container_keys[] = {
	{ .name = "Netns", .set = set_netns },
	{ .name = "Name", .set = set_name },
};
_Static_assert(ARRAY_SIZE(container_keys) <= RULES_KEYS_MAX, "rules_apply() has no room");

int tenant_keys_apply(struct tenant_reading *r, const struct inifile *ini, unsigned i,
		      enum tenant_keys_section which)
{
	bool tunnel = r->tenant->kind == TENANT_TUNNEL;
	const struct rules_table tables[] = {
		[TENANT_KEYS_INTERFACE] = { "Interface", interface_keys,
					    ARRAY_SIZE(interface_keys), !tunnel },
		[TENANT_KEYS_CONTAINER] = { "Container", container_keys,
					    ARRAY_SIZE(container_keys), !tunnel },
		[TENANT_KEYS_PEER] = { "Peer", peer_keys, ARRAY_SIZE(peer_keys), false },
		[TENANT_KEYS_TENANT] = { "Tenant", tenant_keys, ARRAY_SIZE(tenant_keys), tunnel },
	};

	return rules_apply(ini, i, r->tenant->file, tables, ARRAY_SIZE(tables), which, r,
			   r->faults);
}
