/* SPDX-License-Identifier: MIT */
/* Two configurations, key by key. */
#include "differs.h"

#include <sodium.h>
#include <stdio.h>

struct words {
	char *buf; /* DIFFERS_STRLEN */
	size_t len;
};

/* Room is for all there are. */
static void add_if(struct words *w, bool differs, const char *word)
{
	int n;

	if (!differs)
		return;
	n = snprintf(w->buf + w->len, DIFFERS_STRLEN - w->len, "%s%s", w->len ? ", " : "", word);
	w->len = min(w->len + (size_t)max(n, 0), (size_t)DIFFERS_STRLEN - 1);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_ranges(const struct config_ranges *a, const struct config_ranges *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!prefix_equal(&a->v[i].prefix, &b->v[i].prefix))
			return false;
	return true;
}

static bool same_secret(const uint8_t *a, const uint8_t *b)
{
	return sodium_memcmp(a, b, VALUE_KEY_LEN) == 0;
}

/* Peers are in the order of their keys; a tenant of the gateway has one. */
static void compare_peers(struct words *w, const struct config_tenant *a,
			  const struct config_tenant *b)
{
	bool key = a->n_peers != b->n_peers;
	bool secret = false, ranges = false, endpoint = false, keepalive = false;

	for (size_t i = 0; i < min(a->n_peers, b->n_peers); i++) {
		const struct config_peer *p = &a->peers[i], *q = &b->peers[i];

		key |= memcmp(p->public_key, q->public_key, VALUE_KEY_LEN) != 0;
		secret |= !same_secret(tenant_peer_preshared_key(p), tenant_peer_preshared_key(q));
		ranges |= !same_ranges(&p->allowed_ips, &q->allowed_ips);
		endpoint |= !same_text(p->endpoint, q->endpoint);
		keepalive |= p->keepalive != q->keepalive;
	}
	add_if(w, key, "PublicKey");
	/* With another key, peers of a tunnel stand elsewhere in the order: they are not compared. */
	if (key && a->tunnel)
		return;
	add_if(w, secret, "PresharedKey");
	add_if(w, ranges, "AllowedIPs");
	add_if(w, endpoint, "Endpoint");
	add_if(w, keepalive, "PersistentKeepalive");
}

/* By RateLimit or not; Quota stands for what becomes of it, too. */
static void compare_limits(struct words *w, const struct limits *a, const struct limits *b)
{
	static const struct limits none;
	bool up, down;

	a = a ? a : &none;
	b = b ? b : &none;
	up = a->rate_up != b->rate_up;
	down = a->rate_down != b->rate_down;
	add_if(w, up && down, "RateLimit");
	add_if(w, up && !down, "RateUp");
	add_if(w, down && !up, "RateDown");
	add_if(w, !quota_equal(&a->quota, &b->quota), "Quota");
}

/* Their order counts, as in diff.h. */
static bool same_addresses(const struct config_addresses *a, const struct config_addresses *b)
{
	return a->n == b->n && (!a->n || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static void compare_tunnels(struct words *w, const struct config_tunnel *a,
			    const struct config_tunnel *b)
{
	add_if(w, !same_secret(a->private_key, b->private_key), "PrivateKey");
	add_if(w, !same_addresses(&a->addresses, &b->addresses), "Address");
	add_if(w, a->listen_port != b->listen_port, "ListenPort");
	add_if(w, a->fwmark != b->fwmark, "FwMark");
	add_if(w, a->table_kind != b->table_kind || a->table != b->table, "Table");
	add_if(w, !same_text(a->dns_servers, b->dns_servers) ||
		  !same_text(a->dns_search, b->dns_search), "DNS");
	add_if(w, a->mtu != b->mtu, "MTU");
	add_if(w, strcmp(a->ifname, b->ifname) != 0, "Name");
	add_if(w, a->netns_kind != b->netns_kind || !same_text(a->netns, b->netns), "Netns");
}

const char *differs(const struct config_tenant *a, const struct config_tenant *b,
		    char buf[DIFFERS_STRLEN])
{
	struct words w = { .buf = buf };

	*buf = '\0';
	compare_peers(&w, a, b);
	if (a->tunnel && b->tunnel) {
		compare_tunnels(&w, a->tunnel, b->tunnel);
		return buf;
	}
	add_if(&w, a->announce != b->announce, "Announce");
	add_if(&w, a->isolate != b->isolate, "Isolate");
	add_if(&w, a->mtu != b->mtu, "MTU");
	add_if(&w, a->quarantine != b->quarantine, "OnSharedKey");
	compare_limits(&w, a->limits, b->limits);
	add_if(&w, a->expires != b->expires, "Expires");
	return buf;
}
