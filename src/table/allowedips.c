/* SPDX-License-Identifier: MIT */
/*
 * Two kinds of nodes. A *route* holds one prefix and its owner. A *branch*
 * holds the number of a bit and two children; everything below it agrees in
 * all bits before that one, but the branch does not say what they are. Where a
 * route has longer ones inside it, it hangs on the branch of its own length.
 *
 *                     branch 0
 *                   0/        \1          a branch has a route or two children,
 *   route 10.0.0.0/8           branch 32 ── route 2001:db8::/32      never less
 *                             0/     \1
 *                      (nothing)      route 2001:db8:8000::1/128
 *
 * A look-up follows the bits of its address without comparing (Morrison's
 * PATRICIA, 1968) and compares once, with the route it ends at. Only when that
 * does not match and shorter routes were passed does it walk again and compare
 * each of them.
 *
 * Before all that it asks the hash: a route of a whole address is always
 * the longest. The hash names routes of the trie and owns nothing.
 *
 * The writer changes one pointer at a time, always to something complete, and
 * never touches what it unlinked until a grace period has passed.
 */
#include "allowedips.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "../base/rcu.h"

enum { IS_ROUTE = 0xff }; /* in place of a bit number, 0..127 */

struct allowedips_node {
	uint8_t bit;
};

struct route {
	struct allowedips_node node; /* IS_ROUTE */
	uint8_t cidr;
	_Atomic(void *) value;
	struct rcu_head rcu;
	uint64_t key[]; /* one word for IPv4, two for IPv6; see struct key */
};

struct branch {
	struct allowedips_node node;
	_Atomic(struct route *) route; /* its cidr is node.bit */
	_Atomic(struct allowedips_node *) child[2];
	struct rcu_head rcu;
};

_Static_assert(sizeof(struct branch) == 48 && sizeof(struct route) == 32,
	       "100,000 tenants: each byte here is 100 kB");

/* An address as numbers, first bit highest. IPv4 fills the upper half of w[0]. */
struct key {
	uint64_t w[2];
};

static uint64_t load_be64(const uint8_t *p)
{
	return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static struct key key_from4(const uint8_t addr[4])
{
	return (struct key){ { (uint64_t)load_be32(addr) << 32, 0 } };
}

static struct key key_from6(const uint8_t addr[16])
{
	return (struct key){ { load_be64(addr), load_be64(addr + 8) } };
}

static struct key key_of(const struct prefix *p)
{
	return p->family == AF_INET ? key_from4(p->addr) : key_from6(p->addr);
}

static unsigned key_bit(const uint64_t *key, unsigned bit)
{
	return key[bit / 64] >> (63 - bit % 64) & 1;
}

/* How many bits the route's prefix and the key share, at most limit. */
static unsigned shared_bits(const struct route *r, const struct key *k, unsigned limit)
{
	uint64_t differ = r->key[0] ^ k->w[0];
	unsigned n = 0;

	limit = min(limit, (unsigned)r->cidr);
	if (!differ) {
		if (limit <= 64) /* of IPv4 there is no second word */
			return limit;
		differ = r->key[1] ^ k->w[1];
		n = 64;
		if (!differ)
			return limit;
	}
	return min(n + (unsigned)__builtin_clzll(differ), limit);
}

static bool route_covers(const struct route *r, const struct key *k)
{
	return shared_bits(r, k, UINT8_MAX) == r->cidr;
}

static bool is_branch(const struct allowedips_node *node)
{
	return node->bit != IS_ROUTE;
}

static struct branch *branch_of(struct allowedips_node *node)
{
	return container_of(node, struct branch, node);
}

static struct route *route_of(struct allowedips_node *node)
{
	return container_of(node, struct route, node);
}

/*
 * The longest route on the way that covers the key, each compared in full: the
 * tree may have changed since anything was learned about it.
 */
static void *lookup_shorter(struct allowedips_node *node, const struct key *k)
{
	void *found = NULL;

	while (node && is_branch(node)) {
		struct branch *b = branch_of(node);
		struct route *r = rcu_read(&b->route);

		if (r) {
			if (!route_covers(r, k))
				return found;
			found = rcu_read(&r->value);
		}
		node = rcu_read(&b->child[key_bit(k->w, node->bit)]);
	}
	if (node && route_covers(route_of(node), k))
		found = rcu_read(&route_of(node)->value);
	return found;
}

static void *lookup(struct allowedips_node *root, const struct hostmap *hosts,
		    const struct key *k)
{
	struct route *host = hostmap_find(hosts, hostmap_hash(hosts, k->w[0], k->w[1]));
	struct allowedips_node *node = root;
	bool shorter = false;

	if (host && route_covers(host, k))
		return rcu_read(&host->value);
	while (node && is_branch(node)) {
		struct branch *b = branch_of(node);

		node = rcu_read(&b->child[key_bit(k->w, node->bit)]);
		/* After the child: whoever replaced it by a shorter route is seen. */
		shorter |= rcu_read(&b->route) != NULL;
	}
	if (node && route_covers(route_of(node), k))
		return rcu_read(&route_of(node)->value);
	return shorter ? lookup_shorter(root, k) : NULL;
}

/* Any route at or below node; NULL only for a reader that is overtaken by changes. */
static struct route *some_route(struct allowedips_node *node)
{
	while (node && is_branch(node)) {
		struct branch *b = branch_of(node);
		struct route *r = rcu_read(&b->route);

		if (r)
			return r;
		node = rcu_read(&b->child[0]);
		if (!node)
			node = rcu_read(&b->child[1]);
	}
	return node ? route_of(node) : NULL;
}

/*
 * A route that shares as many bits with the prefix as any does: where they
 * first differ is where the prefix branches off. NULL: the tree is empty.
 */
static struct route *nearest(struct allowedips_node *node, const struct key *k, unsigned cidr)
{
	struct allowedips_node *next;

	while (node && is_branch(node) && node->bit < cidr) {
		next = rcu_read(&branch_of(node)->child[key_bit(k->w, node->bit)]);
		if (!next)
			break; /* then this branch has a route */
		node = next;
	}
	return some_route(node);
}

/* The route of exactly this prefix, if it is at the node where the walk for it ended. */
static struct route *exact_at(struct allowedips_node *node, const struct key *k, unsigned cidr)
{
	struct route *r = NULL;

	if (node && !is_branch(node))
		r = route_of(node);
	else if (node && node->bit == cidr)
		r = rcu_read(&branch_of(node)->route);
	return r && r->cidr == cidr && route_covers(r, k) ? r : NULL;
}

static struct route *route_new(const struct prefix *p, const struct key *k, void *value)
{
	size_t size = p->family == AF_INET ? sizeof(k->w[0]) : sizeof(k->w);
	struct route *r = malloc(sizeof(*r) + size);

	if (!r)
		return NULL;
	r->node.bit = IS_ROUTE;
	r->cidr = p->cidr;
	atomic_init(&r->value, value);
	memcpy(r->key, k->w, size);
	return r;
}

static struct branch *branch_new(unsigned bit)
{
	struct branch *b = calloc(1, sizeof(*b));

	if (b)
		b->node.bit = (uint8_t)bit;
	return b;
}

static void route_free(struct rcu_head *head)
{
	rcu_grace_passed();
	free(container_of(head, struct route, rcu));
}

static void branch_free(struct rcu_head *head)
{
	rcu_grace_passed();
	free(container_of(head, struct branch, rcu));
}

static _Atomic(struct allowedips_node *) *root_of(const struct allowedips *table, uint8_t family)
{
	/* const here means that the caller changes nothing */
	struct allowedips *t = (struct allowedips *)table;

	return family == AF_INET ? &t->root4 : &t->root6;
}

static struct hostmap *hosts_of(struct allowedips *table, uint8_t family)
{
	return family == AF_INET ? &table->hosts4 : &table->hosts6;
}

void allowedips_init(struct allowedips *table)
{
	atomic_init(&table->root4, NULL);
	atomic_init(&table->root6, NULL);
	hostmap_init(&table->hosts4);
	hostmap_init(&table->hosts6);
}

/*
 * No recursion: the depth is given by whoever writes the configuration. Bit
 * numbers grow on the way down, so at most 128 branches lie above one another,
 * and each leaves one more node on the stack than it takes.
 */
static void free_tree(struct allowedips_node *root)
{
	struct allowedips_node *stack[130], *node;
	size_t n = 0, i;

	if (root)
		stack[n++] = root;
	while (n) {
		node = stack[--n];
		if (!is_branch(node)) {
			free(route_of(node));
			continue;
		}
		for (i = 0; i < 2; i++) {
			struct allowedips_node *child = rcu_read(&branch_of(node)->child[i]);

			if (child)
				stack[n++] = child;
		}
		free(rcu_read(&branch_of(node)->route));
		free(branch_of(node));
	}
}

void allowedips_free(struct allowedips *table)
{
	free_tree(rcu_read(&table->root4));
	free_tree(rcu_read(&table->root6));
	hostmap_free(&table->hosts4);
	hostmap_free(&table->hosts6);
	allowedips_init(table);
}

void *allowedips_lookup4(const struct allowedips *table, const uint8_t addr[4])
{
	struct key k = key_from4(addr);

	return lookup(rcu_read(&table->root4), &table->hosts4, &k);
}

void *allowedips_lookup6(const struct allowedips *table, const uint8_t addr[16])
{
	struct key k = key_from6(addr);

	return lookup(rcu_read(&table->root6), &table->hosts6, &k);
}

/*
 * The branch that joins a new route with the node at whose place it comes. The
 * prefix shares that many bits with near, a route at or below the node.
 */
static struct branch *join(struct route *new_route, struct allowedips_node *node,
			   const struct route *near, unsigned shared)
{
	struct branch *b = branch_new(shared);

	if (!b)
		return NULL;
	if (shared == new_route->cidr) { /* the node lies within the new route */
		atomic_init(&b->route, new_route);
		atomic_init(&b->child[key_bit(near->key, shared)], node);
	} else if (shared == near->cidr) { /* the new route lies within the node, a route */
		atomic_init(&b->route, route_of(node));
		atomic_init(&b->child[key_bit(new_route->key, shared)], &new_route->node);
	} else {
		atomic_init(&b->child[key_bit(near->key, shared)], node);
		atomic_init(&b->child[key_bit(new_route->key, shared)], &new_route->node);
	}
	return b;
}

int allowedips_insert(struct allowedips *table, const struct prefix *p, void *value,
		      void **previous)
{
	_Atomic(struct allowedips_node *) *slot = root_of(table, p->family);
	struct hostmap *hosts = hosts_of(table, p->family);
	struct key k = key_of(p);
	struct route *near = nearest(rcu_read(slot), &k, p->cidr);
	unsigned shared = near ? shared_bits(near, &k, p->cidr) : 0;
	struct allowedips_node *node;
	struct route *r;
	struct branch *b;

	if (previous)
		*previous = NULL;
	while ((node = rcu_read(slot)) && is_branch(node) && node->bit < p->cidr &&
	       node->bit <= shared)
		slot = &branch_of(node)->child[key_bit(k.w, node->bit)];

	r = exact_at(node, &k, p->cidr);
	if (r) {
		void *owner = atomic_exchange_explicit(&r->value, value, memory_order_acq_rel);

		if (previous)
			*previous = owner;
		return 0;
	}

	r = route_new(p, &k, value);
	if (!r)
		return -ENOMEM;
	if (!node) {
		rcu_publish(slot, &r->node);
	} else if (is_branch(node) && node->bit == p->cidr && shared == p->cidr) {
		rcu_publish(&branch_of(node)->route, r);
	} else {
		assert(near); /* a node has a route at or below it */
		b = join(r, node, near, shared);
		if (!b) {
			free(r);
			return -ENOMEM;
		}
		rcu_publish(slot, &b->node);
	}
	if (prefix_is_host(p))
		hostmap_insert(hosts, hostmap_hash(hosts, k.w[0], k.w[1]), r);
	return 0;
}

/* A branch whose route goes: with one child left it has nothing to decide. */
static void unlink_from_branch(_Atomic(struct allowedips_node *) *slot, struct branch *b)
{
	struct allowedips_node *child0 = rcu_read(&b->child[0]);
	struct allowedips_node *child1 = rcu_read(&b->child[1]);

	if (child0 && child1) {
		rcu_publish(&b->route, NULL);
		return;
	}
	rcu_publish(slot, child0 ? child0 : child1);
	call_rcu(&b->rcu, branch_free);
}

/* A child that goes: its parent stays only while it has a route and another child. */
static void unlink_child(_Atomic(struct allowedips_node *) *parent_slot,
			 _Atomic(struct allowedips_node *) *slot)
{
	struct branch *parent = branch_of(rcu_read(parent_slot));
	struct allowedips_node *sibling = rcu_read(&parent->child[slot == &parent->child[0]]);
	struct route *r = rcu_read(&parent->route);

	if (r && sibling) {
		rcu_publish(slot, NULL);
		return;
	}
	rcu_publish(parent_slot, sibling ? sibling : &r->node);
	call_rcu(&parent->rcu, branch_free);
}

int allowedips_remove(struct allowedips *table, const struct prefix *p, const void *value)
{
	_Atomic(struct allowedips_node *) *slot = root_of(table, p->family), *parent_slot = NULL;
	struct hostmap *hosts = hosts_of(table, p->family);
	struct key k = key_of(p);
	struct allowedips_node *node;
	struct route *r;

	while ((node = rcu_read(slot)) && is_branch(node) && node->bit < p->cidr) {
		parent_slot = slot;
		slot = &branch_of(node)->child[key_bit(k.w, node->bit)];
	}
	r = exact_at(node, &k, p->cidr);
	if (!r || rcu_read(&r->value) != value)
		return -ENOENT;

	assert(node); /* or there were no route */
	if (prefix_is_host(p))
		hostmap_remove(hosts, hostmap_hash(hosts, k.w[0], k.w[1]), r);
	if (is_branch(node))
		unlink_from_branch(slot, branch_of(node));
	else if (parent_slot)
		unlink_child(parent_slot, slot);
	else
		rcu_publish(slot, NULL);
	call_rcu(&r->rcu, route_free);
	return 0;
}

void *allowedips_find_exact(const struct allowedips *table, const struct prefix *p)
{
	struct allowedips_node *node = rcu_read(root_of(table, p->family));
	struct key k = key_of(p);
	struct route *r;

	while (node && is_branch(node) && node->bit < p->cidr)
		node = rcu_read(&branch_of(node)->child[key_bit(k.w, node->bit)]);
	r = exact_at(node, &k, p->cidr);
	return r ? rcu_read(&r->value) : NULL;
}

/* The owner of some route at or below root who is not `but`; the stack is free_tree()'s. */
static void *other_owner(struct allowedips_node *root, const void *but)
{
	struct allowedips_node *stack[130], *node;
	size_t n = 0;

	if (root)
		stack[n++] = root;
	while (n) {
		struct route *r;
		void *owner;

		node = stack[--n];
		r = is_branch(node) ? rcu_read(&branch_of(node)->route) : route_of(node);
		owner = r ? rcu_read(&r->value) : NULL;
		if (owner && owner != but)
			return owner;
		for (size_t i = 0; is_branch(node) && i < 2; i++) {
			struct allowedips_node *child = rcu_read(&branch_of(node)->child[i]);

			if (child)
				stack[n++] = child;
		}
	}
	return NULL;
}

void *allowedips_overlap(const struct allowedips *table, const struct prefix *p, const void *but)
{
	struct allowedips_node *node = rcu_read(root_of(table, p->family));
	struct key k = key_of(p);
	struct route *r;

	while (node && is_branch(node) && node->bit < p->cidr) {
		void *owner;

		r = rcu_read(&branch_of(node)->route);
		owner = r && route_covers(r, &k) ? rcu_read(&r->value) : NULL;
		if (owner && owner != but)
			return owner;
		node = rcu_read(&branch_of(node)->child[key_bit(k.w, node->bit)]);
	}
	/* All below agree in as many bits as the prefix has, or it is one route. */
	r = some_route(node);
	if (r && shared_bits(r, &k, p->cidr) == min((unsigned)p->cidr, (unsigned)r->cidr))
		return other_owner(node, but);
	return NULL;
}

bool allowedips_empty(const struct allowedips *table)
{
	return !rcu_read(&table->root4) && !rcu_read(&table->root6);
}
