/* SPDX-License-Identifier: MIT */
/* From two configurations of a tenant to the changes between them. */
#include <errno.h>
#include <sodium.h>

#include "diff.h"
#include "tunnel.h"

/* A list being written, for one tenant. */
struct writing {
	struct change_list *out;
	const char *name;
	bool many; /* several peers share the addresses */
	enum announce announce, announce_before;
	enum isolate isolate, isolate_before;
	uint16_t mtu, mtu_before;
	bool quarantine, quarantine_before;
	const struct limits *limits, *limits_before; /* NULL: none */
};

static struct change *add_peer_change(const struct writing *w, const struct config_peer *peer,
				      unsigned flags)
{
	struct change *c = change_add(w->out, CHANGE_PEER);

	if (!c)
		return NULL;
	c->flags = flags;
	memcpy(c->key, peer->public_key, sizeof(c->key));
	strcpy(c->name, w->name);
	return c;
}

static bool has_range(const struct config_ranges *ranges, const struct prefix *prefix)
{
	uint32_t low = 0, high = ranges->n;
	struct config_range wanted = { .prefix = *prefix };

	/* Lines are the last thing that counts in the order: those of zero come first. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (value_compare_ranges(&ranges->v[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ranges->n && prefix_equal(&ranges->v[low].prefix, prefix);
}

/* Does a hold a range that b does not? */
static bool has_more(const struct config_ranges *a, const struct config_ranges *b)
{
	for (uint32_t i = 0; i < a->n; i++) {
		if (!has_range(b, &a->v[i].prefix))
			return true;
	}
	return false;
}

static bool equal_ranges(const struct config_ranges *a, const struct config_ranges *b)
{
	return a->n == b->n && !has_more(a, b);
}

/* The ranges of a, all of them or those that b has too, in place of what is there. */
static int put_ranges(struct change *c, const struct config_ranges *a,
		      const struct config_ranges *b)
{
	c->flags |= PEER_REPLACE_ALLOWED_IPS;
	for (uint32_t i = 0; i < a->n; i++) {
		if (b && !has_range(b, &a->v[i].prefix))
			continue;
		if (change_add_allowed_ip(c, &a->v[i].prefix))
			return -ENOMEM;
	}
	return 0;
}

static void put_preshared_key(struct change *c, const struct config_peer *peer)
{
	c->flags |= PEER_HAS_PRESHARED_KEY;
	memcpy(c->preshared_key, tenant_peer_preshared_key(peer), sizeof(c->preshared_key));
}

static void put_keepalive(struct change *c, const struct config_peer *peer)
{
	c->flags |= PEER_HAS_KEEPALIVE;
	c->keepalive = peer->keepalive;
}

static void put_announce(struct change *c, const struct writing *w)
{
	c->flags |= PEER_HAS_ANNOUNCE;
	c->announce = w->announce;
}

static void put_isolate(struct change *c, const struct writing *w)
{
	c->flags |= PEER_HAS_ISOLATE;
	c->isolate = w->isolate;
}

static void put_mtu(struct change *c, const struct writing *w)
{
	c->flags |= PEER_HAS_MTU;
	c->mtu = w->mtu;
}

static void put_quarantine(struct change *c, const struct writing *w)
{
	c->flags |= PEER_HAS_QUARANTINE;
	c->quarantine = w->quarantine;
}

static void put_limits(struct change *c, const struct writing *w)
{
	c->flags |= PEER_HAS_LIMITS;
	if (w->limits)
		c->limits = *w->limits;
}

static int remove_peer(const struct writing *w, const struct config_peer *peer)
{
	return add_peer_change(w, peer, PEER_REMOVE) ? 0 : -ENOMEM;
}

static int add_peer(const struct writing *w, const struct config_peer *peer)
{
	struct change *c = add_peer_change(w, peer, 0);

	if (!c)
		return -ENOMEM;
	put_preshared_key(c, peer);
	put_keepalive(c, peer);
	if (w->announce != ANNOUNCE_DEFAULT)
		put_announce(c, w);
	if (w->isolate != ISOLATE_DEFAULT)
		put_isolate(c, w);
	if (w->mtu)
		put_mtu(c, w);
	if (w->quarantine)
		put_quarantine(c, w);
	if (w->limits)
		put_limits(c, w);
	if (tenant_peer_endpoint(peer, &c->endpoint))
		c->flags |= PEER_HAS_ENDPOINT;
	return put_ranges(c, &peer->allowed_ips, NULL);
}

/*
 * Where several peers share addresses, one must let go of a range before
 * another can have it: this comes before all updates.
 */
static int shrink_peer(const struct writing *w, const struct config_peer *old,
		       const struct config_peer *new)
{
	struct change *c;

	if (!w->many || !has_more(&old->allowed_ips, &new->allowed_ips))
		return 0;
	c = add_peer_change(w, new, PEER_UPDATE_ONLY);
	return c ? put_ranges(c, &old->allowed_ips, &new->allowed_ips) : -ENOMEM;
}

static bool is_ranges_update(const struct writing *w, const struct config_peer *old,
			     const struct config_peer *new)
{
	if (w->many) /* shrunk already */
		return has_more(&new->allowed_ips, &old->allowed_ips);
	return !equal_ranges(&old->allowed_ips, &new->allowed_ips);
}

static bool is_endpoint_update(const struct config_peer *old, const struct config_peer *new)
{
	struct endpoint a, b;

	if (!tenant_peer_endpoint(new, &b))
		return false;
	return !tenant_peer_endpoint(old, &a) || !endpoint_equal(&a, &b);
}

/* A peer whose public key stays: whatever differs, in one change. */
static int update_peer(const struct writing *w, const struct config_peer *old,
		       const struct config_peer *new)
{
	bool key = sodium_memcmp(tenant_peer_preshared_key(old), tenant_peer_preshared_key(new),
				 VALUE_KEY_LEN) != 0;
	bool keepalive = old->keepalive != new->keepalive;
	bool ranges = is_ranges_update(w, old, new);
	bool endpoint = is_endpoint_update(old, new);
	bool announce = w->announce != w->announce_before;
	bool isolate = w->isolate != w->isolate_before;
	bool mtu = w->mtu != w->mtu_before;
	bool quarantine = w->quarantine != w->quarantine_before;
	bool limits = !limits_equal(w->limits, w->limits_before);
	struct change *c;

	if (!key && !keepalive && !ranges && !endpoint && !announce && !isolate && !mtu &&
	    !quarantine && !limits)
		return 0;
	c = add_peer_change(w, new, PEER_UPDATE_ONLY);
	if (!c)
		return -ENOMEM;
	if (key)
		put_preshared_key(c, new);
	if (keepalive)
		put_keepalive(c, new);
	if (announce)
		put_announce(c, w);
	if (isolate)
		put_isolate(c, w);
	if (mtu)
		put_mtu(c, w);
	if (quarantine)
		put_quarantine(c, w);
	if (limits)
		put_limits(c, w);
	if (endpoint && tenant_peer_endpoint(new, &c->endpoint))
		c->flags |= PEER_HAS_ENDPOINT;
	return ranges ? put_ranges(c, &new->allowed_ips, NULL) : 0;
}

/* Three passes over both lists, which are sorted by key. */
enum pass { PASS_REMOVE, PASS_SHRINK, PASS_UPDATE };

static int write_pass(const struct writing *w, enum pass pass, const struct config_tenant *old,
		      const struct config_tenant *new)
{
	size_t n_old = old ? old->n_peers : 0, n_new = new ? new->n_peers : 0;
	size_t i = 0, k = 0;
	int err = 0;

	while (!err && (i < n_old || k < n_new)) {
		const struct config_peer *a = i < n_old ? &old->peers[i] : NULL;
		const struct config_peer *b = k < n_new ? &new->peers[k] : NULL;
		int order = !a ? 1 : !b ? -1 : memcmp(a->public_key, b->public_key, VALUE_KEY_LEN);

		if (order < 0)
			err = pass == PASS_REMOVE ? remove_peer(w, a) : 0;
		else if (order > 0)
			err = pass == PASS_UPDATE ? add_peer(w, b) : 0;
		else if (pass == PASS_SHRINK)
			err = shrink_peer(w, a, b);
		else if (pass == PASS_UPDATE)
			err = update_peer(w, a, b);
		i += order <= 0;
		k += order >= 0;
	}
	return err;
}

static int write_number(const struct writing *w, enum change_kind kind, uint32_t old, uint32_t new)
{
	struct change *c;

	if (old == new)
		return 0;
	c = change_add(w->out, kind);
	if (!c)
		return -ENOMEM;
	c->number = new;
	strcpy(c->name, w->name);
	return 0;
}

static int write_identity(const struct writing *w, const struct config_tenant *old_tenant,
			  const struct config_tenant *new_tenant)
{
	const struct config_tunnel *old = old_tenant ? old_tenant->tunnel : NULL;
	const struct config_tunnel *new = new_tenant->tunnel;
	struct change *c;
	int err;

	if (!old || sodium_memcmp(old->private_key, new->private_key, VALUE_KEY_LEN) != 0) {
		c = change_add(w->out, CHANGE_PRIVATE_KEY);
		if (!c)
			return -ENOMEM;
		memcpy(c->key, new->private_key, sizeof(c->key));
		strcpy(c->name, w->name);
	}
	/* The mark is there before the first packet of a peer that is added. */
	err = write_number(w, CHANGE_FWMARK, old ? tunnel_mark(old_tenant) : 0,
			   tunnel_mark(new_tenant));
	return err ? err : write_number(w, CHANGE_LISTEN_PORT, old ? old->listen_port : 0,
					new->listen_port);
}

static const struct config_tenant *if_there(const struct config_tenant *tenant)
{
	return tenant && tenant->state == TENANT_OK ? tenant : NULL;
}

int diff_tenant(const struct config_tenant *old, const struct config_tenant *new,
		struct change_list *out)
{
	struct writing w = { .out = out };
	int err = 0;

	old = if_there(old);
	new = if_there(new);
	if (!old && !new)
		return 0;
	w.name = new ? new->name : old->name;
	w.many = (new ? new : old)->kind == TENANT_TUNNEL;
	w.announce = new ? new->announce : ANNOUNCE_DEFAULT;
	w.announce_before = old ? old->announce : ANNOUNCE_DEFAULT;
	w.isolate = new ? new->isolate : ISOLATE_DEFAULT;
	w.isolate_before = old ? old->isolate : ISOLATE_DEFAULT;
	w.mtu = new ? new->mtu : 0;
	w.mtu_before = old ? old->mtu : 0;
	w.quarantine = new && new->quarantine;
	w.quarantine_before = old && old->quarantine;
	w.limits = new ? new->limits : NULL;
	w.limits_before = old ? old->limits : NULL;
	if (new && new->tunnel)
		err = write_identity(&w, old, new);
	for (enum pass pass = PASS_REMOVE; !err && pass <= PASS_UPDATE; pass++)
		err = write_pass(&w, pass, old, new);
	return err;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_place(const struct config_tunnel *a, const struct config_tunnel *b)
{
	return a->netns_kind == b->netns_kind && same_text(a->netns, b->netns) &&
	       strcmp(a->ifname, b->ifname) == 0;
}

/* Their order counts: the first is the one that packets leave with. */
static bool same_addresses(const struct config_addresses *a, const struct config_addresses *b)
{
	return a->n == b->n && (!a->n || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static bool holds(const struct config_tenant *tenant, const struct prefix *range)
{
	for (size_t i = 0; i < tenant->n_peers; i++) {
		if (has_range(&tenant->peers[i].allowed_ips, range))
			return true;
	}
	return false;
}

/* Does every route of a exist in b? Which peer carries it does not matter. */
static bool routes_within(const struct config_tenant *a, const struct config_tenant *b)
{
	for (size_t i = 0; i < a->n_peers; i++) {
		const struct config_ranges *ranges = &a->peers[i].allowed_ips;

		for (uint32_t k = 0; k < ranges->n; k++) {
			if (!holds(b, &ranges->v[k].prefix))
				return false;
		}
	}
	return true;
}

unsigned diff_link(const struct config_tenant *old, const struct config_tenant *new)
{
	const struct config_tunnel *a = old->tunnel, *b = new->tunnel;
	unsigned diff = 0;

	if (!same_place(a, b))
		diff |= DIFF_LINK_PLACE;
	if (!same_addresses(&a->addresses, &b->addresses))
		diff |= DIFF_LINK_ADDRESSES;
	if (a->mtu != b->mtu)
		diff |= DIFF_LINK_MTU;
	if (a->table_kind != b->table_kind || a->table != b->table ||
	    tunnel_mark(old) != tunnel_mark(new) || !routes_within(old, new) ||
	    !routes_within(new, old))
		diff |= DIFF_LINK_ROUTES;
	return diff;
}
