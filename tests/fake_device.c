/* SPDX-License-Identifier: MIT */
/* Gateway, device and tunnels as plain values. */
#include "fake_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/manage/gateway.h"
#include "../src/manage/tunnel.h"
#include "../src/path/worker.h"
#include "require.h"

struct fake fake;

/* Device */

static struct fake_peer *find_key(const uint8_t key[32])
{
	for (size_t i = 0; i < FAKE_PEERS; i++)
		if (fake.peers[i].there && !memcmp(fake.peers[i].key, key, 32))
			return &fake.peers[i];
	return NULL;
}

static struct fake_peer *add_peer(const struct change *c)
{
	size_t i = 0;

	while (i < FAKE_PEERS && fake.peers[i].there)
		i++;
	require(i < FAKE_PEERS);
	fake.peers[i] = (struct fake_peer){ .there = true, .session = ++fake.n_sessions };
	memcpy(fake.peers[i].key, c->key, 32);
	strcpy(fake.peers[i].name, c->name);
	return &fake.peers[i];
}

static void drop_prefix(struct fake_peer *peer, const struct prefix *p)
{
	for (size_t i = 0; i < peer->n_prefixes; i++)
		if (prefix_equal(&peer->prefixes[i], p))
			peer->prefixes[i--] = peer->prefixes[--peer->n_prefixes];
}

static void set_prefixes(struct fake_peer *peer, const struct change *c)
{
	if (c->flags & PEER_REPLACE_ALLOWED_IPS)
		peer->n_prefixes = 0;
	for (size_t i = 0; i < c->n_allowed_ips; i++) {
		require(c->flags & PEER_MAY_TAKE);
		for (size_t k = 0; k < FAKE_PEERS; k++)
			if (fake.peers[k].there)
				drop_prefix(&fake.peers[k], &c->allowed_ips[i]);
		require(peer->n_prefixes < FAKE_PREFIXES);
		peer->prefixes[peer->n_prefixes++] = c->allowed_ips[i];
	}
}

static int apply_peer(const struct change *c)
{
	struct fake_peer *peer = find_key(c->key);

	if (c->flags & PEER_REMOVE) {
		if (c->flags & PEER_SUSPEND)
			fake.n_suspended++;
		if (!peer && *c->name)
			fake.n_absent++;
		if (peer && !(c->flags & PEER_IF_ABSENT))
			peer->there = false;
		return 0;
	}
	if (!strcmp(c->name, fake.fail_name)) {
		fake.fail_name[0] = '\0';
		return -ENOMEM;
	}
	if (!peer && c->flags & PEER_UPDATE_ONLY)
		return 0;
	/* A key that goes to another tenant is another peer. */
	require(!peer || !strcmp(peer->name, c->name));
	if (!peer)
		peer = add_peer(c);
	if (c->flags & PEER_HAS_PRESHARED_KEY)
		memcpy(peer->preshared_key, c->preshared_key, 32);
	set_prefixes(peer, c);
	return 0;
}

int device_apply(struct device *dev, const struct change *changes, size_t n, size_t *failed)
{
	require((void *)dev == &fake);
	fake.n_applied++;
	for (size_t i = 0; i < n; i++) {
		int err;

		require(changes[i].kind == CHANGE_PEER);
		fake.n_changes++;
		err = apply_peer(&changes[i]);
		if (err) {
			*failed = i;
			return err;
		}
	}
	return 0;
}

/* Key, mark and port are as berth.conf says. */
void device_get(struct device *dev, struct device_info *out)
{
	require((void *)dev == &fake);
	*out = (struct device_info){ .n_peers = 0 };
}

const char *device_name(const struct device *dev)
{
	require((const void *)dev == &fake);
	return "berth0";
}

static void describe(const struct fake_peer *p, struct device_peer *out)
{
	*out = (struct device_peer){ .name = p->name,
				     .public_key = p->key,
				     .allowed_ips = p->prefixes,
				     .n_allowed_ips = p->n_prefixes };
	memcpy(out->preshared_key, p->preshared_key, sizeof(out->preshared_key));
}

bool device_get_peer(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN],
		     void (*fn)(const struct device_peer *peer, void *arg), void *arg)
{
	const struct fake_peer *p = find_key(public_key);
	struct device_peer peer;

	require((void *)dev == &fake);
	if (!p)
		return false;
	describe(p, &peer);
	fn(&peer, arg);
	return true;
}

void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg)
{
	struct device_peer peer;

	require((void *)dev == &fake);
	for (size_t i = 0; i < FAKE_PEERS; i++) {
		if (!fake.peers[i].there)
			continue;
		describe(&fake.peers[i], &peer);
		fn(&peer, arg);
	}
}

int64_t device_turn_quotas(struct device *dev, int64_t now)
{
	require((void *)dev == &fake);
	fake.quotas_turned = now;
	return fake.quotas_next ? fake.quotas_next : INT64_MAX;
}

const struct fake_peer *fake_peer(const char *name)
{
	const struct fake_peer *found = NULL;

	for (size_t i = 0; i < FAKE_PEERS; i++) {
		if (!fake.peers[i].there || strcmp(fake.peers[i].name, name))
			continue;
		require(!found);
		found = &fake.peers[i];
	}
	return found;
}

static int compare_peers(const void *x, const void *y)
{
	return strcmp((*(struct fake_peer *const *)x)->name, (*(struct fake_peer *const *)y)->name);
}

static int compare_prefixes(const void *x, const void *y)
{
	const struct prefix *a = x, *b = y;
	int order = a->family - b->family;

	if (!order)
		order = memcmp(a->addr, b->addr, sizeof(a->addr));
	return order ? order : a->cidr - b->cidr;
}

const char *fake_peers(void)
{
	static char text[256 * 1024];
	struct fake_peer *sorted[FAKE_PEERS];
	char prefix[PREFIX_STRLEN];
	size_t n = 0, len = 0;

	for (size_t i = 0; i < FAKE_PEERS; i++)
		if (fake.peers[i].there)
			sorted[n++] = &fake.peers[i];
	qsort(sorted, n, sizeof(*sorted), compare_peers);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		struct fake_peer *p = sorted[i];

		qsort(p->prefixes, p->n_prefixes, sizeof(p->prefixes[0]), compare_prefixes);
		len += (size_t)sprintf(text + len, "%s %02x%02x", p->name, p->key[0], p->key[1]);
		for (size_t k = 0; k < p->n_prefixes; k++)
			len += (size_t)sprintf(text + len, " %s",
					       prefix_format(&p->prefixes[k], prefix));
		len += (size_t)sprintf(text + len, "\n");
		require(len < sizeof(text) - 1024);
	}
	return text;
}

/* Gateway */

struct gateway *fake_gateway(void)
{
	return (struct gateway *)&fake;
}

struct device *gateway_device(struct gateway *gw)
{
	return (struct device *)gw;
}

/* Workers: there are none */

void workers_look(struct workers *ws)
{
	require(!ws);
	fake.n_looks++;
}

/* Tunnels */

static struct fake_tunnel *tunnel_of(struct tunnel *t)
{
	struct fake_tunnel *f = (struct fake_tunnel *)t;

	require(f->there);
	return f;
}

int tunnels_new(struct tunnels **out, uv_loop_t *loop, struct workers *ws, bool offload)
{
	(void)loop, (void)ws, (void)offload;
	*out = (struct tunnels *)&fake;
	return 0;
}

void tunnels_free(struct tunnels *ts)
{
	require(!ts || ts == (struct tunnels *)&fake);
}

int tunnel_open(struct tunnel **out, struct tunnels *ts, const struct config_tenant *conf)
{
	size_t i = 0;

	require(ts == (struct tunnels *)&fake);
	while (i < FAKE_TUNNELS && fake.tunnels[i].there)
		i++;
	require(i < FAKE_TUNNELS);
	/* Two of one name could not be opened. */
	for (size_t k = 0; k < FAKE_TUNNELS; k++)
		require(!fake.tunnels[k].there ||
			strcmp(fake.tunnels[k].ifname, conf->tunnel->ifname));
	fake.tunnels[i] = (struct fake_tunnel){ .there = true, .session = ++fake.n_sessions };
	strcpy(fake.tunnels[i].name, conf->name);
	strcpy(fake.tunnels[i].ifname, conf->tunnel->ifname);
	*out = (struct tunnel *)&fake.tunnels[i];
	return 0;
}

bool tunnel_update(struct tunnel *t, const struct config_tenant *new)
{
	return !strcmp(tunnel_of(t)->ifname, new->tunnel->ifname);
}

void tunnel_close(struct tunnel *t)
{
	tunnel_of(t)->there = false;
}

struct device *tunnel_device(struct tunnel *t)
{
	return (struct device *)tunnel_of(t);
}

const struct fake_tunnel *fake_tunnel(const char *name)
{
	for (size_t i = 0; i < FAKE_TUNNELS; i++)
		if (fake.tunnels[i].there && !strcmp(fake.tunnels[i].name, name))
			return &fake.tunnels[i];
	return NULL;
}
