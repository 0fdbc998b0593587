/* SPDX-License-Identifier: MIT */
/*
 * Reads config.d/NAME.conf. The sections come in any order, so each is taken
 * on its own first; what depends on several is looked at in finish_…().
 */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "../base/clock.h"
#include "../base/utc.h"
#include "tenant_file.h"
#include "tenant_keys.h"
#include "tunnel.h"

static const char *const section_names[] = { /* in the order of enum tenant_keys_section */
	"Interface", "Container", "Peer", "Tenant"
};

/* Takes one [Peer]; one without a public key is not there. */
static int read_peer(struct tenant_reading *r, const struct inifile *ini, unsigned i)
{
	const char *file = r->tenant->file;
	unsigned line = ini->sections[i].line;
	size_t errors = r->faults->n_errors;
	int err;

	if (++r->peer_sections == 2)
		r->second_peer_line = line;
	r->peer = tenant_add_peer(r->tenant);
	if (!r->peer)
		return -ENOMEM;
	r->public_key_line = r->preshared_key_line = 0;
	r->revoked = false;
	err = tenant_keys_apply(r, ini, i, TENANT_KEYS_PEER);
	if (err)
		return err;
	if (r->revoked || !r->public_key_line) {
		tenant_drop_peer(r->tenant, r->tenant->n_peers - 1);
		if (r->tenant->kind == TENANT_TUNNEL)
			fault_warn(r->faults, file, line, "[Peer] has no public key: left out");
	} else if (!r->peer->allowed_ips.n && r->faults->n_errors == errors) {
		fault_warn(r->faults, file, line,
			   "[Peer] has no AllowedIPs: it can neither send nor receive");
	}
	return 0;
}

static bool has_key(const struct inifile *ini, unsigned i, const char *name)
{
	const struct inifile_section *section = &ini->sections[i];

	for (size_t k = 0; k < section->n; k++)
		if (strcasecmp(ini->entries[section->first + k].key, name) == 0)
			return true;
	return false;
}

/*
 * A section without a name of ours that holds a public key is a [Peer] with a mistyped header:
 * that is an error, and no revocation. But whoever blanks the key there means it, too.
 */
static bool is_mistyped_peer(const struct inifile *ini, unsigned i)
{
	return rules_find(ini->sections[i].name, section_names, N_TENANT_KEYS_SECTIONS) < 0 &&
	       (has_key(ini, i, "PublicKey") || has_key(ini, i, "PublicKeyFile"));
}

static int read_section(struct tenant_reading *r, const struct inifile *ini, unsigned i)
{
	bool tunnel = r->tenant->kind == TENANT_TUNNEL;
	const char *file = r->tenant->file;
	unsigned line = ini->sections[i].line;

	switch (rules_section(ini, i, file, section_names, N_TENANT_KEYS_SECTIONS,
			      1U << TENANT_KEYS_PEER, r->faults)) {
	case TENANT_KEYS_INTERFACE:
		r->interface_line = line;
		return tenant_keys_apply(r, ini, i, TENANT_KEYS_INTERFACE);
	case TENANT_KEYS_CONTAINER:
		if (tunnel)
			return tenant_keys_apply(r, ini, i, TENANT_KEYS_CONTAINER);
		fault_add(r->faults, file, line, "[Container] is for a tunnel of our own, and this "
			  "file has no [Interface]");
		return 0;
	case TENANT_KEYS_PEER:
		return read_peer(r, ini, i);
	case TENANT_KEYS_TENANT:
		if (!tunnel)
			return tenant_keys_apply(r, ini, i, TENANT_KEYS_TENANT);
		fault_add(r->faults, file, line, "[Tenant] is for a tenant of the gateway, and "
			  "this file has an [Interface]");
		return 0;
	default:
		return is_mistyped_peer(ini, i) ? read_peer(r, ini, i) : 0;
	}
}

/* What becomes of a tenant that has used up its quota, if it has one. */
static void finish_quota(struct tenant_reading *r)
{
	struct quota *quota = &r->quota;

	if (r->blocked && r->quota_rate_line)
		fault_add(r->faults, r->tenant->file, max(r->quota_rate_line, r->blocked_line),
			  "QuotaRate and Blocked = yes: past the quota there is a rate, or "
			  "nothing: take one of them");
	else if (!r->quota_line && quota->rate) /* with Quota = off somebody knows */
		fault_warn(r->faults, r->tenant->file, r->quota_rate_line,
			   "QuotaRate: is for when a Quota is used up, and there is none");
	else if (!r->quota_line && r->blocked)
		fault_warn(r->faults, r->tenant->file, r->blocked_line,
			   "Blocked: is for when a Quota is used up, and there is none");
	if (!quota->bytes)
		*quota = (struct quota){ 0 };
	else if (r->blocked)
		quota->rate = 0;
	else if (!r->quota_rate_line)
		quota->rate = QUOTA_RATE_DEFAULT;
}

/* What is said of one way goes before what is said of both, in any order. */
static int finish_limits(struct tenant_reading *r)
{
	struct limits limits = { .rate_up = r->rate_up_line ? r->rate_up : r->rate,
				 .rate_down = r->rate_down_line ? r->rate_down : r->rate };

	finish_quota(r);
	limits.quota = r->quota;
	if (limits_equal(&limits, NULL))
		return 0;
	r->tenant->limits = malloc(sizeof(*r->tenant->limits));
	if (!r->tenant->limits)
		return -ENOMEM;
	*r->tenant->limits = limits;
	return 0;
}

static int finish_gateway_tenant(struct tenant_reading *r)
{
	if (r->peer_sections > 1)
		fault_add(r->faults, r->tenant->file, r->second_peer_line,
			  "a second [Peer]: a tenant of the gateway has one");
	return finish_limits(r);
}

/* The kernel gives an interface with a smaller one than 1280 no IPv6 address. */
static void check_tunnel_mtu(struct tenant_reading *r)
{
	struct config_tunnel *tunnel = r->tenant->tunnel;
	struct rules_where where = { r->tenant->file, r->mtu_line, "MTU", r->faults };
	struct value_mtu_range range = { VALUE_MTU_MIN, VALUE_MTU_MAX, "", "" };

	if (!r->mtu_line)
		return;
	for (uint32_t i = 0; i < tunnel->addresses.n; i++) {
		if (tunnel->addresses.v[i].family != AF_INET6)
			continue;
		range.low = VALUE_MTU_IPV6;
		range.low_why = " (for an Address of IPv6)";
	}
	if (!value_check_mtu(&where, r->mtu, &range))
		tunnel->mtu = (uint16_t)r->mtu;
}

/* On the host an interface may do with the addresses of others, if it has routes. */
static void check_addresses(struct tenant_reading *r)
{
	const struct config_tenant *tenant = r->tenant;
	bool routes = false;

	for (size_t i = 0; i < tenant->n_peers; i++)
		routes = routes || tenant->peers[i].allowed_ips.n;
	if (tenant->tunnel->addresses.n ||
	    (routes && tenant->tunnel->netns_kind == TUNNEL_NETNS_HOST))
		return;
	fault_warn(r->faults, tenant->file, r->interface_line,
		   "[Interface] has no Address: '%s' comes up without any",
		   tenant->tunnel->ifname);
}

/* errors: how many there were before the file. */
static int finish_tunnel(struct tenant_reading *r, size_t errors)
{
	int err;

	check_tunnel_mtu(r);
	if (!r->private_key_line)
		fault_add(r->faults, r->tenant->file, r->interface_line,
			  "[Interface]: PrivateKey (or PrivateKeyFile) is missing");
	err = tunnel_finish(r->tenant, r->interface_line, r->faults);
	/* What is missing may be what is faulty. */
	if (!err && r->faults->n_errors == errors)
		check_addresses(r);
	return err;
}

static bool has_section(const struct inifile *ini, enum tenant_keys_section which)
{
	for (size_t i = 0; i < ini->n_sections; i++) {
		if (strcasecmp(ini->sections[i].name, section_names[which]) == 0)
			return true;
	}
	return false;
}

/* Its date has passed: an error that all may read, and it is revoked. */
static void check_expiry(struct tenant_reading *r)
{
	struct config_tenant *tenant = r->tenant;
	char date[UTC_STRLEN];
	struct timespec now;

	clock_realtime(&now);
	if (!tenant_is_past(tenant, now.tv_sec))
		return;
	tenant->state = TENANT_EXPIRED;
	fault_add(r->faults, tenant->file, tenant->expires_line,
		  "Expires: %s has passed: the tenant is revoked",
		  utc_format(tenant->expires, date));
}

/*
 * No peer has a key (any more)? A tunnel may have no peers to begin with. Where there is no
 * [Peer], and a key in a section that takes none, it is a header that is missing or mistyped,
 * of which there was an error.
 */
static bool is_revoked(const struct tenant_reading *r, const struct inifile *ini, bool faulty)
{
	static const char *const keys[] = {
		"PublicKey", "PublicKeyFile", "PrivateKey", "PrivateKeyFile"
	};

	if (r->tenant->n_peers || r->peer_sections)
		return !r->tenant->n_peers;
	if (r->tenant->kind == TENANT_TUNNEL)
		return false;
	for (size_t i = 0; faulty && i < ini->n_entries; i++)
		if (*ini->entries[i].value &&
		    rules_find(ini->entries[i].key, keys, ARRAY_SIZE(keys)) >= 0)
			return false;
	return true;
}

/* 0, -EINVAL when errors were added, -EAGAIN, -ENOMEM. */
static int read_ini(struct tenant_reading *r, const struct inifile *ini)
{
	size_t errors = r->faults->n_errors;
	int err = 0;

	if (has_section(ini, TENANT_KEYS_INTERFACE))
		err = tenant_make_tunnel(r->tenant);
	for (unsigned i = 0; !err && i < ini->n_sections; i++)
		err = read_section(r, ini, i);
	if (err)
		return err;
	tenant_sort(r->tenant);

	if (is_revoked(r, ini, r->faults->n_errors != errors))
		return 0;
	r->tenant->state = TENANT_OK;
	if (r->tenant->kind == TENANT_TUNNEL)
		err = finish_tunnel(r, errors);
	else
		err = finish_gateway_tenant(r);
	if (!err && r->faults->n_errors != errors)
		err = -EINVAL;
	if (!err)
		check_expiry(r);
	return err;
}

int tenant_file_parse(struct config_tenant **out, int dirfd, const char *dir, const char *name,
		      const struct file_text *text, struct fault_list *faults)
{
	struct tenant_reading r = {
		.faults = faults,
		.dirfd = dirfd,
		.dir = dir,
		.mode = text->mode,
	};
	struct fault_mark before = fault_mark(faults);
	struct inifile ini;
	int err;

	*out = NULL;
	r.tenant = tenant_new(dir, name);
	if (!r.tenant)
		return -ENOMEM;
	err = inifile_parse(&ini, r.tenant->file, text->data, text->len, faults);
	if (!err) {
		err = read_ini(&r, &ini);
		inifile_free(&ini);
	}
	if (err && err != -EINVAL)
		fault_rewind(faults, before);
	fault_sort(faults, before.n);
	if (err)
		tenant_free(r.tenant);
	else
		*out = r.tenant;
	return err;
}

int tenant_file_read(struct config_tenant **out, int dirfd, const char *dir, const char *name,
		     struct fault_list *faults)
{
	struct config_tenant *missing = tenant_new(dir, name);
	struct file_text text;
	const char *slash;
	int err;

	*out = NULL;
	if (!missing)
		return -ENOMEM;
	slash = strrchr(missing->file, '/');
	err = file_read(&text, dirfd, slash ? slash + 1 : missing->file, FILE_CONFIG_MAX);
	if (err == -ENOENT) {
		*out = missing;
		return 0;
	}
	if (err && err != -EAGAIN && err != -ENOMEM) {
		fault_add(faults, missing->file, 0, "%s", file_error(err));
		err = -EINVAL;
	}
	tenant_free(missing);
	if (!err)
		err = tenant_file_parse(out, dirfd, dir, name, &text, faults);
	file_text_free(&text);
	return err;
}
