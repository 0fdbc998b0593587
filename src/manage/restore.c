/* SPDX-License-Identifier: MIT */
/* What wg(8) has changed of a gateway becomes again what files say. */
#include "restore.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "../base/encoding.h"
#include "../base/log.h"
#include "../config/diff.h"

/* Further ones are counted. */
enum { SAID_MAX = 10 };

/* What wg(8) can change of a peer that is there, but for its endpoint, which moves anyway. */
enum { BY_WG = PEER_HAS_PRESHARED_KEY | PEER_HAS_KEEPALIVE | PEER_REPLACE_ALLOWED_IPS };

struct restoring {
	struct device *dev;
	struct change_list list;
	size_t n; /* tenants and strangers that are not as files say */
	int err;
};

static void say(struct restoring *r, const char *name, const char *what)
{
	if (++r->n <= SAID_MAX)
		log_event(LOG_LEVEL_INFO, name, "restored", "changed by wg",
			  "tenant %s: put back as its file says: wg had %s", name, what);
}

/* Peers */

/* Who has no file is named by his key, which is no name of a file. */
static void remove_stranger(const struct device_peer *peer, void *arg)
{
	struct restoring *r = arg;
	char key[KEY_BASE64_STRLEN];
	struct change *c;

	if (tenant_name_valid(peer->name) || r->err)
		return;
	c = change_add(&r->list, CHANGE_PEER);
	if (!c) {
		r->err = -ENOMEM;
		return;
	}
	c->flags = PEER_REMOVE;
	memcpy(c->key, peer->public_key, sizeof(c->key));
	if (++r->n <= SAID_MAX)
		log_info("%s: peer %s is removed: it was added by wg, and no file has it",
			 device_name(r->dev), key_to_base64(peer->public_key, key));
}

struct comparison {
	const struct config_peer *peer;
	bool there, addresses, others; /* which differ */
};

static int compare_ranges(const void *x, const void *y)
{
	struct config_range a = *(const struct config_range *)x;
	struct config_range b = *(const struct config_range *)y;

	a.line = b.line = 0;
	return value_compare_ranges(&a, &b);
}

static bool same_addresses(const struct config_ranges *ranges, const struct device_peer *peer)
{
	size_t n = 0;

	/* They are in order, and one may stand there twice. */
	for (uint32_t i = 0; i < ranges->n; i++)
		n += !i || compare_ranges(&ranges->v[i - 1], &ranges->v[i]);
	if (n != peer->n_allowed_ips)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct config_range wanted = { .prefix = peer->allowed_ips[i] };

		if (!bsearch(&wanted, ranges->v, ranges->n, sizeof(wanted), compare_ranges))
			return false;
	}
	return true;
}

static void compare(const struct device_peer *peer, void *arg)
{
	struct comparison *c = arg;

	/* One of no file that has the key goes. */
	c->there = tenant_name_valid(peer->name);
	c->addresses = !same_addresses(&c->peer->allowed_ips, peer);
	c->others = peer->keepalive != c->peer->keepalive ||
		    sodium_memcmp(peer->preshared_key, tenant_peer_preshared_key(c->peer),
				  NOISE_KEY_LEN);
}

static void restore_tenant(struct file_entry *e, void *arg)
{
	struct restoring *r = arg;
	struct comparison c = { .there = false };
	size_t i = r->list.n;

	if (r->err || !tenant_in_force(e->conf) || tenant_is_tunnel(e->conf))
		return;
	c.peer = &e->conf->peers[0];
	(void)device_get_peer(r->dev, c.peer->public_key, compare, &c);
	if (c.there && !c.addresses && !c.others)
		return;
	r->err = diff_tenant(NULL, e->conf, &r->list);
	if (r->err)
		return;
	for (; i < r->list.n; i++) {
		if (c.there)
			r->list.changes[i].flags &= BY_WG;
		r->list.changes[i].flags |= PEER_MAY_TAKE | (c.there ? PEER_UPDATE_ONLY : 0);
	}
	say(r, e->name, !c.there ? "removed it" : c.addresses ? "changed its AllowedIPs"
							      : "changed its key or keepalive");
}

/* The interface */

/* As it is kept (RFC 7748 §5). */
static void clamp(uint8_t key[NOISE_KEY_LEN])
{
	key[0] &= 248;
	key[31] = (key[31] & 127) | 64;
}

static bool same_private_key(const uint8_t a[NOISE_KEY_LEN], const uint8_t b[NOISE_KEY_LEN])
{
	uint8_t keys[2][NOISE_KEY_LEN];
	bool same;

	memcpy(keys[0], a, NOISE_KEY_LEN);
	memcpy(keys[1], b, NOISE_KEY_LEN);
	clamp(keys[0]);
	clamp(keys[1]);
	same = !sodium_memcmp(keys[0], keys[1], NOISE_KEY_LEN) &&
	       sodium_is_zero(a, NOISE_KEY_LEN) == sodium_is_zero(b, NOISE_KEY_LEN);
	sodium_memzero(keys, sizeof(keys));
	return same;
}

static void restore_number(struct restoring *r, enum change_kind kind, uint32_t is, uint32_t wanted)
{
	struct change *c = is == wanted ? NULL : change_add(&r->list, kind);

	if (c)
		c->number = wanted;
	else if (is != wanted)
		r->err = -ENOMEM;
}

static void restore_interface(struct restoring *r, const struct config_router *router)
{
	struct device_info info;
	struct change *c;
	size_t before = r->list.n;

	device_get(r->dev, &info);
	if (!same_private_key(info.private_key, router->private_key)) {
		c = change_add(&r->list, CHANGE_PRIVATE_KEY);
		if (c)
			memcpy(c->key, router->private_key, sizeof(c->key));
		else
			r->err = -ENOMEM;
	}
	restore_number(r, CHANGE_FWMARK, info.fwmark, router->fwmark);
	restore_number(r, CHANGE_LISTEN_PORT, info.listen_port, router->listen_port);
	sodium_memzero(&info, sizeof(info));
	if (r->list.n > before)
		log_info("%s: private key, FwMark and ListenPort are put back as %s says: wg had "
			 "changed some of them", router->name, router->file);
}

/* All of it: what fails does not stop the rest. */
static void apply(struct restoring *r)
{
	size_t done = 0, failed;
	const char *name;
	int err;

	while (done < r->list.n) {
		err = device_apply(r->dev, &r->list.changes[done], r->list.n - done, &failed);
		if (!err)
			return;
		done += failed;
		name = r->list.changes[done].name;
		log_error("%s%s: not put back as files say: %s; SIGHUP tries again",
			  *name ? "tenant " : "", *name ? name : device_name(r->dev),
			  strerror(-err));
		done++;
	}
}

bool restore_gateway(struct device *dev, const struct config_router *router,
		     const struct entries *entries)
{
	struct restoring r = { .dev = dev };
	bool any;

	/* The key first, on which every session rests. */
	restore_interface(&r, router);
	device_each_peer(dev, remove_stranger, &r);
	entries_each(entries, restore_tenant, &r);
	if (r.n > SAID_MAX)
		log_info("and %zu more are put back as files say", r.n - SAID_MAX);
	/* The last of the list may be half of what it should be. */
	if (r.err)
		log_error("%s: no memory to put back what wg has changed: none of it is; SIGHUP "
			  "tries again", router->name);
	any = !r.err && r.list.n;
	if (any)
		apply(&r);
	change_list_free(&r.list);
	return any;
}
