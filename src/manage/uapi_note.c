/* SPDX-License-Identifier: MIT */
/* What wg(8) has changed of a gateway, in words. */
#include "uapi_note.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/encoding.h"
#include "../base/log.h"
#include "../config/tenant.h"
#include "stamp.h"

/* Lines of one request; further ones are counted. */
enum { SAID_MAX = 10 };

/* As it is at a moment. */
struct state_of_peer {
	bool there;
	char name[TENANT_NAME_MAX + 1]; /* of its file; "": no file has it */
	uint64_t addresses; /* a hash, whatever their order */
	uint16_t keepalive;
	uint8_t preshared_key[NOISE_KEY_LEN];
};

struct uapi_note {
	struct device *dev;
	const struct change *changes;
	struct device_info info;
	size_t n, said;
	struct state_of_peer before[]; /* of each change; of no peer: all zero */
};

static void look(const struct device_peer *peer, void *arg)
{
	struct state_of_peer *s = arg;

	s->there = true;
	if (tenant_name_valid(peer->name))
		strcpy(s->name, peer->name);
	for (size_t i = 0; i < peer->n_allowed_ips; i++) {
		const struct prefix *p = &peer->allowed_ips[i];
		uint64_t hash = stamp_hash(STAMP_HASH_INIT, p->addr, sizeof(p->addr));

		hash = stamp_hash(hash, &p->cidr, sizeof(p->cidr));
		s->addresses += stamp_hash(hash, &p->family, sizeof(p->family));
	}
	s->keepalive = peer->keepalive;
	memcpy(s->preshared_key, peer->preshared_key, NOISE_KEY_LEN);
}

/* Is it about a peer, and not the same one as the change before? */
static bool is_of_peer(const struct change *changes, size_t i)
{
	return changes[i].kind == CHANGE_PEER &&
	       (!i || changes[i - 1].kind != CHANGE_PEER ||
		memcmp(changes[i - 1].key, changes[i].key, sizeof(changes[i].key)));
}

struct uapi_note *uapi_note_take(struct device *dev, const struct change *changes, size_t n)
{
	struct uapi_note *note = calloc(1, sizeof(*note) + n * sizeof(note->before[0]));

	if (!note)
		return NULL;
	note->dev = dev;
	note->changes = changes;
	note->n = n;
	device_get(dev, &note->info);
	for (size_t i = 0; i < n; i++)
		if (is_of_peer(changes, i))
			(void)device_get_peer(dev, changes[i].key, look, &note->before[i]);
	return note;
}

static bool may_say(struct uapi_note *note)
{
	return ++note->said <= SAID_MAX;
}

static void say_peer(struct uapi_note *note, const struct change *c,
		     const struct state_of_peer *before)
{
	struct state_of_peer after = { .there = false };
	char key[KEY_BASE64_STRLEN];
	const char *what = NULL;

	(void)device_get_peer(note->dev, c->key, look, &after);
	if (before->addresses != after.addresses)
		what = "AllowedIPs";
	else if (sodium_memcmp(before->preshared_key, after.preshared_key, NOISE_KEY_LEN))
		what = "the preshared key";
	else if (before->keepalive != after.keepalive)
		what = "the keepalive";
	sodium_memzero(after.preshared_key, NOISE_KEY_LEN);
	if (*before->name && !*after.name) {
		if (may_say(note))
			log_event(LOG_LEVEL_WARNING, before->name, "removed", "by wg",
				  "tenant %s: removed by wg; its file puts it back at the next "
				  "reload (SIGHUP)", before->name);
	} else if (*before->name && what) {
		if (may_say(note))
			log_event(LOG_LEVEL_WARNING, before->name, "changed", "by wg",
				  "tenant %s: %s changed by wg; its file puts that back at the "
				  "next reload (SIGHUP)", before->name, what);
	} else if (!before->there && after.there) {
		if (may_say(note))
			log_info("%s: peer %s: added by wg; no file has it, and it goes at the "
				 "next reload (SIGHUP)", device_name(note->dev),
				 key_to_base64(c->key, key));
	}
}

static void say_interface(const struct uapi_note *note)
{
	const struct device_info *before = &note->info;
	struct device_info after;
	const char *what = NULL;

	device_get(note->dev, &after);
	if (sodium_memcmp(before->private_key, after.private_key, NOISE_KEY_LEN))
		what = "private key";
	else if (before->listen_port != after.listen_port)
		what = "port";
	else if (before->fwmark != after.fwmark)
		what = "mark";
	sodium_memzero(&after, sizeof(after));
	if (what)
		log_warning("%s: %s changed by wg; berth.conf puts it back at the next reload "
			    "(SIGHUP)", device_name(note->dev), what);
}

/* `wg setconf` begins with it. */
static bool say_all_removed(const struct uapi_note *note)
{
	for (size_t i = 0; i < note->n; i++) {
		if (note->changes[i].kind != CHANGE_REMOVE_PEERS || !note->info.n_peers)
			continue;
		log_warning("%s: all peers (%zu) removed by wg; files put back whom they have at "
			    "the next reload (SIGHUP)", device_name(note->dev),
			    note->info.n_peers);
		return true;
	}
	return false;
}

void uapi_note_say(struct uapi_note *note)
{
	bool all;

	if (!note)
		return;
	say_interface(note);
	all = say_all_removed(note);
	for (size_t i = 0; i < note->n && !all; i++)
		if (is_of_peer(note->changes, i))
			say_peer(note, &note->changes[i], &note->before[i]);
	if (note->said > SAID_MAX)
		log_warning("%s: and %zu peers more, by wg", device_name(note->dev),
			    note->said - SAID_MAX);
	sodium_memzero(note, sizeof(*note) + note->n * sizeof(note->before[0]));
	free(note);
}
