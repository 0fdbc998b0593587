/* SPDX-License-Identifier: MIT */
/*
 * Who holds what, in search trees of libc (tsearch(3): red-black, one pointer
 * per node). Four trees hold the same holders by name, by public key, by
 * interface and by address range.
 *
 * The tree of ranges has the trick: its comparison calls ranges that overlap
 * equal. That is no order on ranges in general: 10.0.0.0/8 would equal both
 * 10.1.0.0/16 and 10.2.0.0/16, which differ. But no two ranges *in the tree*
 * overlap, so among them it is the plain order of their addresses; and the
 * ranges that overlap a given one are neighbours in that order, so a search
 * for it ends at one of them if there is any. That one is the holder to name.
 */
#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/encoding.h"
#include "claims.h"

struct held {
	struct config_range range;
	uint32_t index; /* in its holder's ranges: leads back to it without a pointer */
};

/* All that one tenant holds, in one piece of memory with its texts behind. */
struct holder {
	uint8_t public_key[VALUE_KEY_LEN]; /* all zero: none */
	const char *name;
	const char *link; /* of a tunnel: namespace and interface, else NULL */
	uint32_t n_ranges;
	struct held ranges[]; /* none overlaps another */
};

struct claims {
	void *by_name, *by_key, *by_link, *by_range; /* roots for tsearch() */
};

static struct holder *holder_of(const struct held *held)
{
	return (struct holder *)((char *)(held - held->index) - offsetof(struct holder, ranges));
}

static int compare_names(const void *x, const void *y)
{
	const struct holder *a = x, *b = y;

	return strcmp(a->name, b->name);
}

static int compare_keys(const void *x, const void *y)
{
	const struct holder *a = x, *b = y;

	return memcmp(a->public_key, b->public_key, VALUE_KEY_LEN);
}

static int compare_links(const void *x, const void *y)
{
	const struct holder *a = x, *b = y;

	return strcmp(a->link, b->link);
}

/* 0 when they overlap: when they agree in as many bits as the shorter one has. */
static int compare_overlap(const void *x, const void *y)
{
	const struct prefix *a = &((const struct held *)x)->range.prefix;
	const struct prefix *b = &((const struct held *)y)->range.prefix;
	unsigned bits = min(a->cidr, b->cidr), bytes = bits / 8, rest = bits % 8;
	int order;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	order = memcmp(a->addr, b->addr, bytes);
	if (order || !rest)
		return order;
	return (a->addr[bytes] >> (8 - rest)) - (b->addr[bytes] >> (8 - rest));
}

/*
 * A tenant's own ranges may overlap. In their order each stands in front of
 * those that lie inside it, which are left out.
 */
static void copy_ranges(struct holder *holder, const struct config_ranges *ranges)
{
	for (uint32_t i = 0; i < ranges->n; i++) {
		struct held *next = &holder->ranges[holder->n_ranges];

		if (holder->n_ranges &&
		    prefix_contains(&next[-1].range.prefix, &ranges->v[i].prefix))
			continue;
		next->range = ranges->v[i];
		next->index = holder->n_ranges++;
	}
}

/* Namespace and interface as one text. No blank is in the first word and the last. */
static void print_link(char *buf, size_t len, const struct config_tunnel *tunnel)
{
	(void)snprintf(buf, len, "%d %s %s", tunnel->netns_kind,
		       tunnel->netns ? tunnel->netns : "", tunnel->ifname);
}

/* Room for that, and the NUL; an enum prints as one digit. */
static size_t link_room(const struct config_tunnel *tunnel)
{
	return sizeof("1  ") + (tunnel->netns ? strlen(tunnel->netns) : 0) +
	       strlen(tunnel->ifname);
}

static struct holder *holder_new(const struct config_tenant *tenant)
{
	bool tunnel = tenant->kind == TENANT_TUNNEL;
	const struct config_peer *peer = tenant->peers; /* of a tenant there is one */
	size_t name_len = strlen(tenant->name) + 1;
	size_t link_len = tunnel ? link_room(tenant->tunnel) : 0;
	size_t fixed = sizeof(struct holder);
	struct holder *holder;
	char *texts;

	assert(tunnel || peer);
	if (!tunnel)
		fixed += peer->allowed_ips.n * sizeof(struct held);
	holder = calloc(1, fixed + name_len + link_len);
	if (!holder)
		return NULL;
	texts = (char *)holder + fixed;
	holder->name = memcpy(texts, tenant->name, name_len);
	if (tunnel) {
		print_link(texts + name_len, link_len, tenant->tunnel);
		holder->link = texts + name_len;
	} else {
		memcpy(holder->public_key, peer->public_key, VALUE_KEY_LEN);
		copy_ranges(holder, &peer->allowed_ips);
	}
	return holder;
}

/* Takes the holder out of every tree it is in; it stays allocated. */
static void withdraw(struct claims *claims, struct holder *holder)
{
	struct holder **found;

	tdelete(holder, &claims->by_name, compare_names);
	if (holder->link) {
		found = tfind(holder, &claims->by_link, compare_links);
		if (found && *found == holder)
			tdelete(holder, &claims->by_link, compare_links);
		return;
	}
	found = tfind(holder, &claims->by_key, compare_keys);
	if (found && *found == holder)
		tdelete(holder, &claims->by_key, compare_keys);
	for (uint32_t i = 0; i < holder->n_ranges; i++) {
		struct held **held = tfind(&holder->ranges[i], &claims->by_range, compare_overlap);

		if (held && *held == &holder->ranges[i])
			tdelete(&holder->ranges[i], &claims->by_range, compare_overlap);
	}
}

/* Nothing in the trees conflicts with it. */
static int insert(struct claims *claims, struct holder *holder)
{
	bool ok = tsearch(holder, &claims->by_name, compare_names);

	if (holder->link)
		ok = ok && tsearch(holder, &claims->by_link, compare_links);
	else
		ok = ok && tsearch(holder, &claims->by_key, compare_keys);
	for (uint32_t i = 0; ok && i < holder->n_ranges; i++)
		ok = tsearch(&holder->ranges[i], &claims->by_range, compare_overlap);
	if (ok)
		return 0;
	withdraw(claims, holder);
	return -ENOMEM;
}

/* The file of another tenant of the same folder. "" without memory. Freed by the caller. */
static char *file_of(const struct config_tenant *tenant, const char *name)
{
	const char *slash = strrchr(tenant->file, '/');
	int len = slash ? slash + 1 - tenant->file : 0;
	char *file;

	return asprintf(&file, "%.*s%s.conf", len, tenant->file, name) < 0 ? NULL : file;
}

static void fault_held(const struct config_tenant *tenant, unsigned line, const char *what,
		       const struct holder *other, struct fault_list *faults)
{
	char *file = file_of(tenant, other->name);

	fault_add(faults, tenant->file, line, "%s already in %s", what, file ? file : other->name);
	free(file);
}

static bool is_range_free(const struct claims *claims, const struct config_tenant *tenant,
			  const struct held *wanted, struct fault_list *faults)
{
	struct held *const *found = tfind(wanted, &claims->by_range, compare_overlap);
	char a[PREFIX_STRLEN], b[PREFIX_STRLEN], what[2 * PREFIX_STRLEN + 32];

	if (!found)
		return true;
	prefix_format(&wanted->range.prefix, a);
	prefix_format(&(*found)->range.prefix, b);
	if (strcmp(a, b) == 0)
		snprintf(what, sizeof(what), "AllowedIPs: %s is", a);
	else
		snprintf(what, sizeof(what), "AllowedIPs: %s overlaps %s, which is", a, b);
	fault_held(tenant, wanted->range.line, what, holder_of(*found), faults);
	return false;
}

/* Is all of it free? Adds a fault for each that is not. */
static bool is_free(const struct claims *claims, const struct config_tenant *tenant,
		    const struct holder *wanted, struct fault_list *faults)
{
	struct holder *const *found;
	char what[128], key[KEY_BASE64_STRLEN];
	bool ok = true;

	if (wanted->link) {
		found = tfind(wanted, &claims->by_link, compare_links);
		if (!found)
			return true;
		snprintf(what, sizeof(what), "Name: the interface '%s' of this namespace is",
			 tenant->tunnel->ifname);
		fault_held(tenant, tenant->tunnel->ifname_line, what, *found, faults);
		return false;
	}
	found = tfind(wanted, &claims->by_key, compare_keys);
	if (found) {
		snprintf(what, sizeof(what), "PublicKey: '%s' is",
			 key_to_base64(wanted->public_key, key));
		fault_held(tenant, tenant->peers[0].line, what, *found, faults);
		ok = false;
	}
	for (uint32_t i = 0; i < wanted->n_ranges; i++)
		ok = is_range_free(claims, tenant, &wanted->ranges[i], faults) && ok;
	return ok;
}

static struct holder *find_name(const struct claims *claims, const char *name)
{
	struct holder wanted = { .name = name };
	struct holder *const *found = tfind(&wanted, &claims->by_name, compare_names);

	return found ? *found : NULL;
}

/* The same claims? Then the old ones stay, and learn the lines on which they stand now. */
static bool is_same(struct holder *old, const struct holder *new)
{
	if (!old->link != !new->link || (old->link && strcmp(old->link, new->link) != 0) ||
	    memcmp(old->public_key, new->public_key, VALUE_KEY_LEN) != 0 ||
	    old->n_ranges != new->n_ranges)
		return false;
	for (uint32_t i = 0; i < old->n_ranges; i++)
		if (!prefix_equal(&old->ranges[i].range.prefix, &new->ranges[i].range.prefix))
			return false;
	for (uint32_t i = 0; i < old->n_ranges; i++)
		old->ranges[i].range.line = new->ranges[i].range.line;
	return true;
}

int claims_try(struct claims *claims, const struct config_tenant *tenant,
	       struct fault_list *faults)
{
	struct holder *old, *new;
	int err;

	if (tenant->state != TENANT_OK) {
		claims_release(claims, tenant->name);
		return 0;
	}
	new = holder_new(tenant);
	if (!new)
		return -ENOMEM;

	/* What it holds itself is not in its way. */
	old = find_name(claims, tenant->name);
	if (old && is_same(old, new)) {
		free(new);
		return 0;
	}
	if (old)
		withdraw(claims, old);
	err = is_free(claims, tenant, new, faults) ? insert(claims, new) : -EEXIST;
	if (!err) {
		free(old);
		return 0;
	}
	free(new);
	if (old && insert(claims, old)) {
		free(old);
		err = -ENOMEM;
	}
	return err;
}

void claims_release(struct claims *claims, const char *name)
{
	struct holder *holder = find_name(claims, name);

	if (!holder)
		return;
	withdraw(claims, holder);
	free(holder);
}

const char *claims_holder(const struct claims *claims, const struct prefix *range)
{
	struct held wanted = { .range.prefix = *range };
	struct held *const *found = tfind(&wanted, &claims->by_range, compare_overlap);

	return found ? holder_of(*found)->name : NULL;
}

bool claims_has(const struct claims *claims, const char *name)
{
	return find_name(claims, name) != NULL;
}

struct claims *claims_new(void)
{
	return calloc(1, sizeof(struct claims));
}

static void keep(void *node)
{
	(void)node; /* its holder is freed by name */
}

void claims_free(struct claims *claims)
{
	if (!claims)
		return;
	tdestroy(claims->by_range, keep);
	tdestroy(claims->by_key, keep);
	tdestroy(claims->by_link, keep);
	tdestroy(claims->by_name, free);
	free(claims);
}
