/* SPDX-License-Identifier: MIT */
/* Reads berth.conf. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/un.h>

#include "../base/secret.h"
#include "router.h"

enum section { SECTION_INTERFACE, SECTION_ROUTER, N_SECTIONS };

static const char *const section_names[] = { "Interface", "Router" };

/* IPv4 is handed out by the /8; of IPv6 nobody holds more than a /16. */
enum { PREFIX_MIN4 = 8, PREFIX_MIN6 = 16 };

/* berth.conf while it is being read. */
struct reading {
	struct config_router *router;
	struct fault_list *faults;
	mode_t mode;             /* of berth.conf */
	unsigned interface_line; /* of [Interface] */
	unsigned key_line;       /* of PrivateKey or PrivateKeyFile; 0: neither stands there */
	uint32_t mtu;            /* as it stands there */
	unsigned mtu_line;       /* 0: the default */
	unsigned peer_line;      /* of the first [Peer], which has no place here; 0: none */
};

static int set_name(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	return value_ifname(where, value, r->router->name);
}

/* One of the two keys that may give the private key. */
static int note_private_key(struct reading *r, const struct rules_where *where)
{
	if (r->key_line) {
		rules_fault(where, "line %u gives the private key already", r->key_line);
		return -EINVAL;
	}
	r->key_line = where->line;
	return 0;
}

static int set_private_key(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	int err = note_private_key(r, where);

	if (err)
		return err;
	if (file_is_exposed(r->mode)) {
		rules_fault(where, "this file is open to group or others: chmod 600 %s",
			    where->file);
		return -EINVAL;
	}
	return value_key(where, value, true, r->router->private_key);
}

static int set_private_key_file(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	char **path = &r->router->private_key_file;
	int err = note_private_key(r, where);

	if (!err)
		err = value_path(where, r->router->folder, value, path);
	if (err)
		return err;
	err = value_key_file(where, AT_FDCWD, "", *path, true, r->router->private_key);
	if (err != -ENOENT)
		return err;
	rules_fault(where, "there is no key in '%s'; `berth init` makes one", *path);
	return -EINVAL;
}

static int set_listen_port(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	uint32_t port;
	int err = value_number(where, value, 1, UINT16_MAX, &port);

	if (!err)
		r->router->listen_port = port;
	return err;
}

/* Reachable from anywhere? Then it is rarely what should manage a router. */
static bool is_global(const struct config_address *a)
{
	const uint8_t *b = a->addr;

	if (a->family == AF_INET6)
		return (b[0] & 0xe0) == 0x20;
	return !(b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
		 (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64) ||
		 (b[0] == 169 && b[1] == 254));
}

static int set_address(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	struct config_addresses *addresses = &r->router->addresses;
	uint32_t before = addresses->n;
	int err = value_addresses(where, value, addresses);

	for (uint32_t i = before; i < addresses->n; i++) {
		if (is_global(&addresses->v[i]))
			rules_warn(where, "'%s': a global address here makes the gateway itself "
				   "reachable through the tunnels; management needs none", value);
	}
	return err;
}

static int set_mtu(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	int err = value_mtu(where, value, &r->mtu);

	if (!err)
		r->mtu_line = where->line;
	return err;
}

static int set_fwmark(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	return value_fwmark(where, value, &r->router->fwmark);
}

static int take_uplink(void *target, const struct rules_where *where, const char *name)
{
	struct config_router *router = target;

	for (unsigned i = 0; i < router->n_uplinks; i++) {
		if (strcmp(router->uplinks[i], name) == 0) {
			rules_fault(where, "'%s' is named twice", name);
			return -EINVAL;
		}
	}
	if (router->n_uplinks == ROUTER_UPLINKS_MAX) {
		rules_fault(where, "'%s' is one too many: a router has at most %d uplinks", name,
			    ROUTER_UPLINKS_MAX);
		return -EINVAL;
	}
	if (value_ifname(where, name, router->uplinks[router->n_uplinks]))
		return -EINVAL;
	router->n_uplinks++;
	return 0;
}

static int set_uplink(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	if (strcasecmp(value, "none") == 0)
		return 0;
	return value_each_item(where, value, "an interface", take_uplink, r->router);
}

/* It would let tenants claim the addresses of strangers. */
static bool is_too_short(const struct prefix *p)
{
	return p->cidr < (p->family == AF_INET6 ? PREFIX_MIN6 : PREFIX_MIN4);
}

static int set_prefix(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	struct config_ranges *prefixes = &r->router->prefixes;
	uint32_t before = prefixes->n;
	int err = value_ranges(where, value, prefixes);

	for (uint32_t i = before; err != -ENOMEM && i < prefixes->n; i++) {
		const struct prefix *p = &prefixes->v[i].prefix;
		char text[PREFIX_STRLEN];

		if (!is_too_short(p))
			continue;
		rules_fault(where, "'%s' is more than anybody has: a prefix is /%d or longer",
			    prefix_format(p, text),
			    p->family == AF_INET6 ? PREFIX_MIN6 : PREFIX_MIN4);
		err = -EINVAL;
	}
	return err;
}

static int set_announce(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	return value_announce(where, value, &r->router->announce);
}

static int set_neighbor_source(void *target, const struct rules_where *where, const char *value)
{
	static const char *const words[] = { /* in the order of the enum */
		"auto", "target", "link-local", "global"
	};
	struct reading *r = target;
	unsigned i;
	int err = value_choice(where, value, words, ARRAY_SIZE(words), &i);

	if (!err)
		r->router->neighbor_source = i;
	return err;
}

static int set_isolate(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	return value_isolate(where, value, &r->router->isolate);
}

static int set_workers(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	if (strcasecmp(value, "auto") == 0)
		return 0;
	return value_number(where, value, 1, ROUTER_WORKERS_MAX, &r->router->workers);
}

static int set_crypto(void *target, const struct rules_where *where, const char *value)
{
	static const char *const words[] = { /* in the order of the enum */
		"auto", "libsodium", "ipsec-mb"
	};
	struct reading *r = target;
	unsigned i;
	int err = value_choice(where, value, words, ARRAY_SIZE(words), &i);

	if (!err)
		r->router->crypto = i;
	return err;
}

static int set_offload(void *target, const struct rules_where *where, const char *value)
{
	static const char *const words[] = { "auto", "off" };
	struct reading *r = target;
	unsigned i;
	int err = value_choice(where, value, words, ARRAY_SIZE(words), &i);

	if (!err)
		r->router->no_offload = i == 1;
	return err;
}

static bool is_off(const char *value)
{
	return !*value || strcasecmp(value, "off") == 0 || strcasecmp(value, "none") == 0;
}

/* Whether there is one is seen where berthd starts: a check may run on another machine. */
static int set_user(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	if (!*value || strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789_.-") != strlen(value)) {
		rules_fault(where, "'%s' is not the name of a user", value);
		return -EINVAL;
	}
	free(r->router->user);
	r->router->user = strdup(value);
	return r->router->user ? 0 : -ENOMEM;
}

static int set_metrics(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	if (is_off(value))
		return 0;
	return value_path(where, r->router->folder, value, &r->router->metrics);
}

static bool is_loopback(const struct endpoint *e)
{
	if (e->addr.sa_family == AF_INET)
		return ntohl(e->addr4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&e->addr6.sin6_addr);
}

/* An address and a port, or a port alone: of 127.0.0.1. */
static int set_metrics_listen(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	struct endpoint *listen = &r->router->metrics_listen;
	uint32_t port;

	if (is_off(value))
		return 0;
	if (strspn(value, "0123456789") == strlen(value)) {
		if (value_number(where, value, 1, UINT16_MAX, &port))
			return -EINVAL;
		listen->addr4 = (struct sockaddr_in){ .sin_family = AF_INET,
						      .sin_port = htons((uint16_t)port),
						      .sin_addr = { htonl(INADDR_LOOPBACK) } };
		return 0;
	}
	if (endpoint_parse(listen, value)) {
		rules_fault(where, "'%s' is neither a port nor address:port, such as "
			    "127.0.0.1:9586 or [::1]:9586", value);
		return -EINVAL;
	}
	if (!is_loopback(listen))
		rules_warn(where, "'%s' is no loopback address: whoever reaches it reads the names "
			   "of all tenants, and when and how much each of them speaks", value);
	return 0;
}

static int set_tenants(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	return value_path(where, r->router->folder, value, &r->router->tenants);
}

static int set_state(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;

	return value_path(where, r->router->folder, value, &r->router->state);
}

static int set_control(void *target, const struct rules_where *where, const char *value)
{
	struct reading *r = target;
	size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	int err = value_path(where, r->router->folder, value, &r->router->control);

	if (!err && strlen(r->router->control) > room) {
		rules_fault(where, "'%s' is too long for the path of a socket (%zu characters)",
			    r->router->control, room);
		return -EINVAL;
	}
	return err;
}

static const struct rules_key interface_keys[] = {
	{ .name = "Name", .set = set_name },
	{ .name = "PrivateKey", .set = set_private_key },
	{ .name = "PrivateKeyFile", .set = set_private_key_file },
	{ .name = "ListenPort", .set = set_listen_port },
	{ .name = "Address", .set = set_address, .repeats = true },
	{ .name = "MTU", .set = set_mtu },
	{ .name = "FwMark", .set = set_fwmark },
	RULES_WG_QUICK_HOOKS,
	{ .name = "SaveConfig", .refused = RULES_SAVE_CONFIG },
};
_Static_assert(ARRAY_SIZE(interface_keys) <= RULES_KEYS_MAX, "rules_apply() has no room");

static const struct rules_key router_keys[] = {
	{ .name = "Uplink", .set = set_uplink, .repeats = true },
	{ .name = "Prefix", .set = set_prefix, .repeats = true },
	{ .name = "Tenants", .set = set_tenants },
	{ .name = "Announce", .set = set_announce },
	{ .name = "NeighborSource", .set = set_neighbor_source },
	{ .name = "Isolate", .set = set_isolate },
	{ .name = "Workers", .set = set_workers },
	{ .name = "Crypto", .set = set_crypto },
	{ .name = "Offload", .set = set_offload },
	{ .name = "Metrics", .set = set_metrics },
	{ .name = "MetricsListen", .set = set_metrics_listen },
	{ .name = "Control", .set = set_control },
	{ .name = "State", .set = set_state },
	{ .name = "User", .set = set_user },
};
_Static_assert(ARRAY_SIZE(router_keys) <= RULES_KEYS_MAX, "rules_apply() has no room");

static const struct rules_table tables[] = {
	[SECTION_INTERFACE] = { "Interface", interface_keys, ARRAY_SIZE(interface_keys), false },
	[SECTION_ROUTER] = { "Router", router_keys, ARRAY_SIZE(router_keys), false },
};

static int read_section(struct reading *r, const struct inifile *ini, unsigned i)
{
	const char *file = r->router->file;

	/* Of a file of wg-quick: one word for all of them, and nothing about their keys. */
	if (strcasecmp(ini->sections[i].name, "Peer") == 0) {
		if (!r->peer_line)
			r->peer_line = ini->sections[i].line;
		return 0;
	}

	switch (rules_section(ini, i, file, section_names, N_SECTIONS, 0, r->faults)) {
	case SECTION_INTERFACE:
		r->router->gateway = true;
		r->interface_line = ini->sections[i].line;
		return rules_apply(ini, i, file, tables, N_SECTIONS, SECTION_INTERFACE, r,
				   r->faults);
	case SECTION_ROUTER:
		return rules_apply(ini, i, file, tables, N_SECTIONS, SECTION_ROUTER, r,
				   r->faults);
	default:
		return 0;
	}
}

static void check_mtu(struct reading *r)
{
	struct config_router *router = r->router;
	struct rules_where where = { router->file, r->mtu_line, "MTU", r->faults };
	struct value_mtu_range range = { VALUE_MTU_MIN, VALUE_MTU_MAX, "", "" };
	char why[64], text[PREFIX_STRLEN];

	if (!r->mtu_line)
		return;
	for (uint32_t i = 0; i < router->prefixes.n; i++) {
		if (router->prefixes.v[i].prefix.family != AF_INET6)
			continue;
		snprintf(why, sizeof(why), " (for the IPv6 of Prefix %s)",
			 prefix_format(&router->prefixes.v[i].prefix, text));
		range.low = VALUE_MTU_IPV6;
		range.low_why = why;
		break;
	}
	if (!value_check_mtu(&where, r->mtu, &range))
		router->mtu = (uint16_t)r->mtu;
}

/* No harm, but whoever takes one of them out again has not taken its addresses out. */
static void check_overlaps(struct reading *r)
{
	struct config_ranges *prefixes = &r->router->prefixes;
	const struct config_range *outer = NULL;

	if (!prefixes->n)
		return;
	/* In this order whatever holds a range is in front of it. */
	qsort(prefixes->v, prefixes->n, sizeof(*prefixes->v), value_compare_ranges);
	for (uint32_t i = 0; i < prefixes->n; i++) {
		const struct config_range *inner = &prefixes->v[i];
		char of_inner[PREFIX_STRLEN], of_outer[PREFIX_STRLEN];

		if (is_too_short(&inner->prefix)) /* which is said already */
			continue;
		if (!outer || !prefix_contains(&outer->prefix, &inner->prefix)) {
			outer = inner;
			continue;
		}
		prefix_format(&inner->prefix, of_inner);
		prefix_format(&outer->prefix, of_outer);
		if (prefix_equal(&outer->prefix, &inner->prefix))
			fault_warn(r->faults, r->router->file, inner->line,
				   "Prefix: %s stands in line %u already", of_inner, outer->line);
		else
			fault_warn(r->faults, r->router->file, inner->line,
				   "Prefix: %s is a part of %s (line %u), which is enough",
				   of_inner, of_outer, outer->line);
	}
}

/* What only shows when the whole file has been read. */
static void check_whole(struct reading *r)
{
	struct config_router *router = r->router;

	if (r->peer_line)
		fault_add(r->faults, router->file, r->peer_line,
			  "[Peer] has no place here: each peer is a file of its own, %s/NAME.conf",
			  router->tenants);
	check_overlaps(r);
	value_sort_ranges(&router->prefixes);
	if (!router->gateway)
		return;
	check_mtu(r);
	if (!r->key_line)
		fault_add(r->faults, router->file, r->interface_line,
			  "[Interface]: PrivateKeyFile (or PrivateKey) is missing");
	if (!router->prefixes.n)
		fault_add(r->faults, router->file, r->interface_line,
			  "[Interface]: a gateway needs a Prefix in [Router] to take its tenants' "
			  "addresses from");
}

static int set_defaults(struct config_router *router, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	router->file = strdup(path);
	router->folder = slash == path ? strdup("/") : strndup(path, len);
	router->tenants = router->folder ? file_join(router->folder, "config.d") : NULL;
	router->control = strdup("/run/berth/control.sock");
	router->state = strdup("/var/lib/berth");
	strcpy(router->name, "berth0");
	router->listen_port = ROUTER_PORT_DEFAULT;
	router->mtu = ROUTER_MTU_DEFAULT;
	router->announce = ANNOUNCE_ALWAYS;
	router->isolate = ISOLATE_NO;
	return router->file && router->tenants && router->control && router->state ? 0 : -ENOMEM;
}

/* Fills the router, which has its defaults, from text. */
static int fill(struct config_router *router, const struct file_text *text,
		struct fault_list *faults)
{
	struct reading r = { .router = router, .faults = faults, .mode = text->mode };
	struct fault_mark before = fault_mark(faults);
	struct inifile ini;
	int err = inifile_parse(&ini, router->file, text->data, text->len, faults);

	for (unsigned i = 0; !err && i < ini.n_sections; i++)
		err = read_section(&r, &ini, i);
	if (!err)
		check_whole(&r);
	inifile_free(&ini);
	if (err && err != -EINVAL)
		fault_rewind(faults, before);
	fault_sort(faults, before.n);
	if (!err && faults->n_errors != before.n_errors)
		err = -EINVAL;
	return err;
}

/* In memory that is locked, left out of core dumps, and wiped: the private key stays in it. */
static struct config_router *router_new(void)
{
	return secret_guarded_alloc(sizeof(struct config_router));
}

int router_parse(struct config_router **out, const char *path, const struct file_text *text,
		 struct fault_list *faults)
{
	struct config_router *router = router_new();
	int err;

	*out = NULL;
	if (!router)
		return -ENOMEM;
	err = set_defaults(router, path);
	if (!err)
		err = fill(router, text, faults);
	if (err)
		router_free(router);
	else
		*out = router;
	return err;
}

int router_read_text(struct file_text *text, const char *path, struct fault_list *faults)
{
	int err = file_read(text, AT_FDCWD, path, FILE_CONFIG_MAX);

	if (!err || err == -EAGAIN || err == -ENOMEM)
		return err;
	fault_add(faults, path, 0, "%s", file_error(err));
	return -EINVAL;
}

int router_read(struct config_router **out, const char *path, struct fault_list *faults)
{
	struct file_text text;
	int err = router_read_text(&text, path, faults);

	*out = NULL;
	if (err)
		return err;
	err = router_parse(out, path, &text, faults);
	file_text_free(&text);
	return err;
}

char *router_tenants_folder(const char *path)
{
	struct config_router *router = router_new();
	struct fault_list faults = { 0 }; /* told by whoever read the file before */
	struct file_text text;
	char *folder = NULL;

	if (!router || file_read(&text, AT_FDCWD, path, FILE_CONFIG_MAX)) {
		router_free(router);
		return NULL;
	}
	if (!set_defaults(router, path) && fill(router, &text, &faults) != -ENOMEM) {
		folder = router->tenants;
		router->tenants = NULL;
	}
	file_text_free(&text);
	fault_list_free(&faults);
	router_free(router);
	return folder;
}

void router_free(struct config_router *router)
{
	if (!router)
		return;
	free(router->file);
	free(router->folder);
	free(router->private_key_file);
	free(router->addresses.v);
	free(router->prefixes.v);
	free(router->tenants);
	free(router->control);
	free(router->metrics);
	free(router->state);
	free(router->user);
	sodium_free(router); /* wipes it */
}

bool router_has_range(const struct config_router *router, const struct prefix *range)
{
	for (uint32_t i = 0; i < router->prefixes.n; i++) {
		if (prefix_contains(&router->prefixes.v[i].prefix, range))
			return true;
	}
	return false;
}

bool router_is_within(const struct config_router *router, const struct prefix *range)
{
	for (uint32_t i = 0; i < router->addresses.n; i++) {
		const struct config_address *own = &router->addresses.v[i];
		struct prefix host = prefix_host(own->family, own->addr);

		if (prefix_contains(range, &host))
			return true;
	}
	return false;
}
