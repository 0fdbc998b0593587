/* SPDX-License-Identifier: MIT */
/*
 * What a gateway gives to peers that wg(8) speaks for and no file: nothing that a file
 * could not ask for. What files say has been through config_check_tenant() and claims.
 */
#include <errno.h>
#include <stdio.h>

#include "../base/encoding.h"
#include "device_peers.h"

/* Of the holder's prefixes, the one that is in the way. */
static const struct prefix *overlapping(const struct peer *holder, const struct prefix *p)
{
	for (size_t i = 0; i < holder->n_allowed_ips; i++)
		if (prefix_contains(&holder->allowed_ips[i], p) ||
		    prefix_contains(p, &holder->allowed_ips[i]))
			return &holder->allowed_ips[i];
	return p; /* not reached: the table says that there is one */
}

static void say_taken(char why[DEVICE_WHY_STRLEN], const struct prefix *p,
		      const struct peer *holder)
{
	const struct prefix *held = overlapping(holder, p);
	const char *kind = *holder->name ? "tenant" : "peer";
	char wanted[PREFIX_STRLEN], other[PREFIX_STRLEN], key[KEY_BASE64_STRLEN];
	const char *who = *holder->name ? holder->name : key_to_base64(holder->public_key, key);

	prefix_format(p, wanted);
	if (prefix_equal(held, p))
		(void)snprintf(why, DEVICE_WHY_STRLEN, "%s belongs to %s %s already", wanted, kind,
			       who);
	else
		(void)snprintf(why, DEVICE_WHY_STRLEN, "%s overlaps %s, which belongs to %s %s",
			       wanted, prefix_format(held, other), kind, who);
}

/* In an RCU turn. peer: who asks; NULL: he is not there yet. */
static int refuses_prefix(struct device *dev, const struct peer *peer, const struct prefix *p,
			  char why[DEVICE_WHY_STRLEN])
{
	const struct peer *holder;
	char text[PREFIX_STRLEN];

	if (!router_has_range(dev->rules, p)) {
		(void)snprintf(why, DEVICE_WHY_STRLEN, "%s is in no Prefix of %s",
			       prefix_format(p, text), dev->rules->file);
		return -EADDRNOTAVAIL;
	}
	if (router_is_within(dev->rules, p)) {
		(void)snprintf(why, DEVICE_WHY_STRLEN,
			       "%s holds an Address of the gateway itself in %s",
			       prefix_format(p, text), dev->rules->file);
		return -EADDRINUSE;
	}
	holder = allowedips_overlap(&dev->dp.allowedips, p, peer);
	if (!holder)
		return 0;
	say_taken(why, p, holder);
	return -EADDRINUSE;
}

/* Does the change go on with what the one before it says of the same peer? */
static bool is_continued(const struct change *before, const struct change *c)
{
	return before->kind == CHANGE_PEER && c->kind == CHANGE_PEER &&
	       c->flags & PEER_UPDATE_ONLY && !memcmp(before->key, c->key, sizeof(c->key));
}

static int refuses_change(struct device *dev, const struct peer *peer, const struct change *c,
			  char why[DEVICE_WHY_STRLEN])
{
	int err = 0;

	if (c->flags & PEER_DROP_ALLOWED_IPS)
		return 0;
	for (size_t i = 0; i < c->n_allowed_ips && !err; i++)
		err = refuses_prefix(dev, peer, &c->allowed_ips[i], why);
	return err;
}

int device_refuses(struct device *dev, const struct change *changes, size_t n, size_t at,
		   char why[DEVICE_WHY_STRLEN])
{
	const struct change *c = &changes[at];
	const struct peer *peer;
	int err = 0;

	if (!dev->rules || c->kind != CHANGE_PEER || c->flags & (PEER_MAY_TAKE | PEER_REMOVE) ||
	    (at && is_continued(&changes[at - 1], c)))
		return 0;
	rcu_turn_begin();
	peer = device_find_peer(dev, c->key);
	if (peer || !(c->flags & PEER_UPDATE_ONLY)) {
		/* Nobody else's addresses change until the last of them. */
		do {
			err = refuses_change(dev, peer, &changes[at++], why);
		} while (!err && at < n && is_continued(c, &changes[at]));
	}
	rcu_turn_end();
	return err;
}
