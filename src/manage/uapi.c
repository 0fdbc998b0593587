/* SPDX-License-Identifier: MIT */
/* The UAPI as text: `set` to changes, values to the answer of `get`. */
#include "uapi.h"

#include <errno.h>
#include <net/if.h>
#include <sodium.h>
#include <stdio.h>

#include "../base/encoding.h"

/* The longest good line: persistent_keepalive_interval is short, keys have 64 digits. */
enum { LINE_MAX_LEN = 160 };

/* A `set` as it is read. */
struct reading {
	struct change_list *out;
	struct change *peer; /* the last one named; NULL: still about the device. Its steps follow. */
	unsigned flags;
	const char *what; /* why the last value is refused */
};

typedef int (*parse_value)(struct reading *r, const char *value);

struct known_key {
	const char *name;
	parse_value parse;
};

/* Values. Each returns 0, -EINVAL with r->what, or -ENOMEM. */

static int refuse(struct reading *r, const char *what)
{
	r->what = what;
	return -EINVAL;
}

static int parse_number(struct reading *r, const char *text, uint32_t limit, uint32_t *out)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 10; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (!i || text[i] || value > limit)
		return refuse(r, limit > UINT16_MAX ? "not a decimal number of 32 bits"
						    : "not a decimal number up to 65535");
	*out = (uint32_t)value;
	return 0;
}

/* The only word that a switch knows: it is left out to say no. */
static int parse_true(struct reading *r, const char *value)
{
	return strcmp(value, "true") == 0 ? 0 : refuse(r, "not 'true'");
}

static int parse_key(struct reading *r, const char *value, uint8_t out[KEY_LEN])
{
	return key_from_hex(out, value) ? refuse(r, "not 64 hex digits") : 0;
}

static int private_key(struct reading *r, const char *value)
{
	struct change *c = change_add(r->out, CHANGE_PRIVATE_KEY);

	return c ? parse_key(r, value, c->key) : -ENOMEM;
}

static int listen_port(struct reading *r, const char *value)
{
	struct change *c = change_add(r->out, CHANGE_LISTEN_PORT);

	return c ? parse_number(r, value, UINT16_MAX, &c->number) : -ENOMEM;
}

static int fwmark(struct reading *r, const char *value)
{
	struct change *c = change_add(r->out, CHANGE_FWMARK);

	return c ? parse_number(r, value, UINT32_MAX, &c->number) : -ENOMEM;
}

static int replace_peers(struct reading *r, const char *value)
{
	int err = parse_true(r, value);

	if (err)
		return err;
	return change_add(r->out, CHANGE_REMOVE_PEERS) ? 0 : -ENOMEM;
}

static int public_key(struct reading *r, const char *value)
{
	int err;

	r->peer = change_add(r->out, CHANGE_PEER);
	if (!r->peer)
		return -ENOMEM;
	if (r->flags & UAPI_MAY_TAKE)
		r->peer->flags |= PEER_MAY_TAKE;
	err = parse_key(r, value, r->peer->key);
	if (!err && key_is_zero(r->peer->key))
		err = refuse(r, "a key of zeroes is nobody's");
	return err;
}

static int set_flag(struct reading *r, const char *value, unsigned flag)
{
	int err = parse_true(r, value);

	if (!err)
		r->peer->flags |= flag;
	return err;
}

static int remove_peer(struct reading *r, const char *value)
{
	return set_flag(r, value, PEER_REMOVE);
}

static int update_only(struct reading *r, const char *value)
{
	return set_flag(r, value, PEER_UPDATE_ONLY);
}

/* By those that follow: what was said before is as if unsaid. */
static int replace_allowed_ips(struct reading *r, const char *value)
{
	int err = set_flag(r, value, PEER_REPLACE_ALLOWED_IPS);

	if (err)
		return err;
	for (struct change *c = r->peer; c < r->out->changes + r->out->n; c++)
		c->n_allowed_ips = 0;
	return 0;
}

static int preshared_key(struct reading *r, const char *value)
{
	r->peer->flags |= PEER_HAS_PRESHARED_KEY;
	return parse_key(r, value, r->peer->preshared_key);
}

static int keepalive(struct reading *r, const char *value)
{
	uint32_t seconds = 0;
	int err = parse_number(r, value, UINT16_MAX, &seconds);

	r->peer->flags |= PEER_HAS_KEEPALIVE;
	r->peer->keepalive = (uint16_t)seconds;
	return err;
}

/*
 * wg(8) writes the scope of fe80::1%eth0 as a name; an endpoint has a number.
 * value stays as it is when there is no name in it.
 */
static int number_scope(const char *value, char *out, size_t room)
{
	const char *scope = strchr(value, '%');
	const char *end = scope ? strchr(scope, ']') : NULL;
	char name[IFNAMSIZ];
	size_t len;
	unsigned index;
	int written;

	if (!end || (scope[1] >= '0' && scope[1] <= '9')) {
		written = snprintf(out, room, "%s", value);
		return written >= 0 && (size_t)written < room ? 0 : -EINVAL;
	}
	len = (size_t)(end - scope - 1);
	if (len >= sizeof(name))
		return -EINVAL;
	memcpy(name, scope + 1, len);
	name[len] = '\0';
	index = if_nametoindex(name);
	if (!index)
		return -ENODEV;
	written = snprintf(out, room, "%.*s%%%u%s", (int)(scope - value), value, index, end);
	return written >= 0 && (size_t)written < room ? 0 : -EINVAL;
}

static int endpoint(struct reading *r, const char *value)
{
	char numeric[LINE_MAX_LEN];
	int err = number_scope(value, numeric, sizeof(numeric));

	if (err == -ENODEV)
		return refuse(r, "there is no interface of that name");
	if (err || endpoint_parse(&r->peer->endpoint, numeric))
		return refuse(r, "not address:port or [address]:port in numbers");
	r->peer->flags |= PEER_HAS_ENDPOINT;
	return 0;
}

/*
 * The change that an address goes into. Adding and taking away are done in the
 * order of the text, so each turn from one to the other is a step of its own,
 * for a peer that the first one has made, or not.
 */
static struct change *address_step(struct reading *r, unsigned drop)
{
	struct change *step = &r->out->changes[r->out->n - 1];
	size_t first = (size_t)(r->peer - r->out->changes);

	if ((step->flags & PEER_DROP_ALLOWED_IPS) == drop)
		return step;
	step = change_add(r->out, CHANGE_PEER);
	if (!step)
		return NULL;
	r->peer = &r->out->changes[first]; /* the list may have moved */
	memcpy(step->key, r->peer->key, sizeof(step->key));
	step->flags = PEER_UPDATE_ONLY | (r->peer->flags & PEER_MAY_TAKE) | drop;
	return step;
}

/* "-10.0.0.0/8" is taken away. */
static int allowed_ip(struct reading *r, const char *value)
{
	unsigned drop = value[0] == '-' ? PEER_DROP_ALLOWED_IPS : 0;
	const char *text = drop ? value + 1 : value;
	struct change *step;
	struct prefix p;

	if (!strchr(text, '/') || prefix_parse(&p, text))
		return refuse(r, "not address/length");
	step = address_step(r, drop);
	return step ? change_add_allowed_ip(step, &p) : -ENOMEM;
}

static int protocol_version(struct reading *r, const char *value)
{
	return strcmp(value, "1") == 0 ? 0 : refuse(r, "only version 1 is known");
}

/* A peer's keys come behind its public_key, which ends those of the device. */
static const struct known_key device_keys[] = {
	{ "private_key", private_key },
	{ "listen_port", listen_port },
	{ "fwmark", fwmark },
	{ "replace_peers", replace_peers },
	{ "public_key", public_key },
};

static const struct known_key peer_keys[] = {
	{ "allowed_ip", allowed_ip }, /* first: it is the one that repeats */
	{ "public_key", public_key },
	{ "remove", remove_peer },
	{ "update_only", update_only },
	{ "preshared_key", preshared_key },
	{ "endpoint", endpoint },
	{ "persistent_keepalive_interval", keepalive },
	{ "replace_allowed_ips", replace_allowed_ips },
	{ "protocol_version", protocol_version },
};

static parse_value find_key(const struct known_key *keys, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].name, name) == 0)
			return keys[i].parse;
	return NULL;
}

static int parse_pair(struct reading *r, const char *name, const char *value)
{
	parse_value of_device = find_key(device_keys, ARRAY_SIZE(device_keys), name);
	parse_value of_peer = find_key(peer_keys, ARRAY_SIZE(peer_keys), name);

	if (!of_device && !of_peer)
		return refuse(r, "no such key");
	if (r->peer)
		return of_peer ? of_peer(r, value)
			       : refuse(r, "belongs in front of the first public_key");
	return of_device ? of_device(r, value) : refuse(r, "belongs behind a public_key");
}

/* A key for the log, if it looks like one: what stands there may be a misplaced secret. */
static void note_key(struct uapi_fault *fault, const char *name)
{
	size_t len = strlen(name);

	fault->key[0] = '\0';
	if (len < sizeof(fault->key) && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == len)
		memcpy(fault->key, name, len + 1);
}

/* len bytes; a copy with a NUL behind it, cut in two at the '='. */
static int parse_line(struct reading *r, const char *line, size_t len, struct uapi_fault *fault)
{
	char copy[LINE_MAX_LEN + 1];
	char *value;
	int err;

	fault->key[0] = '\0';
	r->what = "not key=value";
	if (len > LINE_MAX_LEN || memchr(line, '\0', len))
		return -EPROTO;
	memcpy(copy, line, len);
	copy[len] = '\0';
	value = strchr(copy, '=');
	if (value) {
		*value++ = '\0';
		note_key(fault, copy);
		err = parse_pair(r, copy, value);
	} else {
		err = -EPROTO;
	}
	sodium_memzero(copy, len);
	return err;
}

/* First line of the text, and where the next one begins. */
static size_t line_length(const char *text, size_t len, size_t *next)
{
	const char *end = memchr(text, '\n', len);
	size_t n = end ? (size_t)(end - text) : len;

	*next = end ? n + 1 : n;
	return n;
}

static bool is_line(const char *text, size_t len, const char *line)
{
	return len == strlen(line) && memcmp(text, line, len) == 0;
}

enum uapi_kind uapi_request_kind(const char *text, size_t len)
{
	size_t next;
	size_t n = line_length(text, len, &next);

	if (is_line(text, n, "get=1"))
		return UAPI_GET;
	return is_line(text, n, "set=1") ? UAPI_SET : UAPI_UNKNOWN;
}

int uapi_parse_set(struct change_list *out, const char *text, size_t len, unsigned flags,
		   struct uapi_fault *fault)
{
	struct reading r = { .out = out, .flags = flags };
	size_t at;
	int err = 0;

	*fault = (struct uapi_fault){ .line = 1, .what = "not set=1" };
	if (uapi_request_kind(text, len) != UAPI_SET)
		return -EPROTO;
	(void)line_length(text, len, &at);
	while (at < len && !err) {
		size_t next;
		size_t n = line_length(text + at, len - at, &next);

		fault->line++;
		err = parse_line(&r, text + at, n, fault);
		at += next;
	}
	if (!err)
		return 0;
	fault->what = err == -ENOMEM ? "no memory" : r.what;
	change_list_free(out);
	return err;
}

const char *uapi_fault_format(const struct uapi_fault *fault, char buf[UAPI_FAULT_STRLEN])
{
	(void)snprintf(buf, UAPI_FAULT_STRLEN, "line %u%s%s: %s", fault->line,
		       fault->key[0] ? ", " : "", fault->key, fault->what);
	return buf;
}

const char *uapi_change_format(const struct change *change, char buf[UAPI_FAULT_STRLEN])
{
	char key[KEY_BASE64_STRLEN];

	switch (change->kind) {
	case CHANGE_PRIVATE_KEY:
		(void)snprintf(buf, UAPI_FAULT_STRLEN, "private key");
		break;
	case CHANGE_LISTEN_PORT:
		(void)snprintf(buf, UAPI_FAULT_STRLEN, "listen port %u", change->number);
		break;
	case CHANGE_FWMARK:
		(void)snprintf(buf, UAPI_FAULT_STRLEN, "mark 0x%x", change->number);
		break;
	case CHANGE_REMOVE_PEERS:
		(void)snprintf(buf, UAPI_FAULT_STRLEN, "removal of all peers");
		break;
	case CHANGE_PEER:
		(void)snprintf(buf, UAPI_FAULT_STRLEN, "peer %s",
			       key_to_base64(change->key, key));
		break;
	}
	return buf;
}

/* The answer of `get`. 100,000 peers pass through here while the loop waits: no printf. */

static void add_key(struct text *out, const char *name, const uint8_t key[KEY_LEN])
{
	char *to;

	text_add_string(out, name);
	to = text_reserve(out, KEY_HEX_STRLEN);
	if (!to)
		return;
	key_to_hex(key, to);
	to[KEY_HEX_STRLEN - 1] = '\n'; /* for the NUL */
	out->len += KEY_HEX_STRLEN;
}

static void add_number(struct text *out, const char *name, uint64_t number)
{
	text_add_string(out, name);
	text_add_number(out, number);
	text_add(out, "\n", 1);
}

static void add_string(struct text *out, const char *name, const char *value)
{
	text_add_string(out, name);
	text_add_string(out, value);
	text_add(out, "\n", 1);
}

void uapi_format_device(struct text *out, const struct device_info *info)
{
	if (!key_is_zero(info->private_key))
		add_key(out, "private_key=", info->private_key);
	if (info->listen_port)
		add_number(out, "listen_port=", info->listen_port);
	if (info->fwmark)
		add_number(out, "fwmark=", info->fwmark);
}

void uapi_format_peer(struct text *out, const struct device_peer *peer)
{
	char endpoint_text[ENDPOINT_STRLEN];
	char prefix_text[PREFIX_STRLEN];

	add_key(out, "public_key=", peer->public_key);
	if (!key_is_zero(peer->preshared_key))
		add_key(out, "preshared_key=", peer->preshared_key);
	add_number(out, "protocol_version=", 1);
	if (endpoint_is_set(&peer->endpoint))
		add_string(out, "endpoint=", endpoint_format(&peer->endpoint, endpoint_text));
	add_number(out, "last_handshake_time_sec=", (uint64_t)peer->last_handshake.tv_sec);
	add_number(out, "last_handshake_time_nsec=", (uint64_t)peer->last_handshake.tv_nsec);
	add_number(out, "tx_bytes=", peer->tx_bytes);
	add_number(out, "rx_bytes=", peer->rx_bytes);
	if (peer->keepalive)
		add_number(out, "persistent_keepalive_interval=", peer->keepalive);
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		add_string(out, "allowed_ip=", prefix_format(&peer->allowed_ips[i], prefix_text));
}

void uapi_format_end(struct text *out, int err)
{
	/* wireguard-go answers with -EINVAL, not EINVAL, and wg(8) wants it so. */
	text_add_string(out, err ? "errno=-" : "errno=");
	text_add_number(out, err ? (uint64_t)-(int64_t)err : 0);
	text_add(out, "\n\n", 2);
}
