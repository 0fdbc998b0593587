/* SPDX-License-Identifier: MIT */
/* The peers of a device: added, changed and revoked by lists of changes. */
#include "device_peers.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "../../tun/steer.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../peer/events.h"
#include "../peer/sharing.h"
#include "border.h"
#include "handshake.h"
#include "roaming.h"

/* Observers */

static void tell_added(struct device *dev, const struct prefix *p, const struct peer *peer)
{
	if (dev->observer.address_added)
		dev->observer.address_added(dev->observer.arg, p, peer->name);
}

static void tell_removed(struct device *dev, const struct prefix *p, const struct peer *peer)
{
	if (dev->observer.address_removed)
		dev->observer.address_removed(dev->observer.arg, p, peer->name);
}

/* Addresses */

static bool has_prefix(const struct prefix *list, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_equal(&list[i], p))
			return true;
	return false;
}

/* Strikes a prefix from the peer's own list; the table is the caller's. */
static void forget_prefix(struct peer *peer, const struct prefix *p)
{
	for (size_t i = 0; i < peer->n_allowed_ips; i++) {
		if (!prefix_equal(&peer->allowed_ips[i], p))
			continue;
		peer->allowed_ips[i] = peer->allowed_ips[--peer->n_allowed_ips];
		return;
	}
}

static void remove_prefix(struct device *dev, struct peer *peer, struct prefix p)
{
	allowedips_remove(&dev->dp.allowedips, &p, peer);
	forget_prefix(peer, &p);
	tell_removed(dev, &p, peer);
}

/*
 * Does somebody else hold it? wg(8) allows prefixes within each other and moves equal
 * ones (PEER_MAY_TAKE). Where there are rules, device_refuses() was asked before.
 */
static int check_prefix(struct device *dev, const struct peer *peer, const struct prefix *p,
			unsigned flags)
{
	const struct peer *holder;

	if (flags & PEER_MAY_TAKE)
		return 0;
	holder = allowedips_find_exact(&dev->dp.allowedips, p);
	return holder && holder != peer ? -EADDRINUSE : 0;
}

/* The addresses belong to whom they did before, which needs no memory. */
static void give_back(struct device *dev, struct peer *peer, const struct prefix *list, size_t n,
		      void *const *before)
{
	while (n--) {
		if (!before[n])
			allowedips_remove(&dev->dp.allowedips, &list[n], peer);
		else if (before[n] != peer)
			(void)!allowedips_insert(&dev->dp.allowedips, &list[n], before[n], NULL);
	}
}

/*
 * All of them belong to the peer, or there is no memory and none does. before: whose each was,
 * NULL for nobody's.
 */
static int take_prefixes(struct device *dev, struct peer *peer, const struct prefix *list,
			 size_t n, void **before)
{
	struct prefix *grown;

	grown = reallocarray(peer->allowed_ips, peer->n_allowed_ips + n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	peer->allowed_ips = grown;
	for (size_t i = 0; i < n; i++) {
		int err;

		if (dev->dp.gateway)
			border_prefix_added(&dev->dp, peer, &list[i]);
		err = allowedips_insert(&dev->dp.allowedips, &list[i], peer, &before[i]);

		if (err) {
			give_back(dev, peer, list, i, before);
			return err;
		}
	}
	return 0;
}

/* What was taken goes into the peer's own list, for which there is room. */
static void note_taken(struct device *dev, struct peer *peer, const struct prefix *list, size_t n,
		       void *const *before)
{
	for (size_t i = 0; i < n; i++) {
		if (has_prefix(peer->allowed_ips, peer->n_allowed_ips, &list[i]))
			continue;
		peer->allowed_ips[peer->n_allowed_ips++] = list[i];
		if (before[i] && before[i] != peer) {
			forget_prefix(before[i], &list[i]);
			tell_removed(dev, &list[i], before[i]);
		}
		tell_added(dev, &list[i], peer);
	}
}

/* Idle tenants are many, and most never change. */
static void give_back_room(struct peer *peer)
{
	struct prefix *less;

	if (!peer->n_allowed_ips)
		return;
	less = reallocarray(peer->allowed_ips, peer->n_allowed_ips, sizeof(*less));
	if (less)
		peer->allowed_ips = less;
}

/* What it does not have, or has no more, is no fault: another may have taken it. */
static void drop_prefixes(struct device *dev, struct peer *peer, const struct change *c)
{
	for (size_t i = 0; i < c->n_allowed_ips; i++)
		if (has_prefix(peer->allowed_ips, peer->n_allowed_ips, &c->allowed_ips[i]))
			remove_prefix(dev, peer, c->allowed_ips[i]);
}

static void drop_others(struct device *dev, struct peer *peer, const struct change *c)
{
	for (size_t i = peer->n_allowed_ips; i-- > 0;)
		if (!has_prefix(c->allowed_ips, c->n_allowed_ips, &peer->allowed_ips[i]))
			remove_prefix(dev, peer, peer->allowed_ips[i]);
}

/* All that the change says, or an error and nothing of it. */
static int set_prefixes(struct device *dev, struct peer *peer, const struct change *c)
{
	size_t n = c->n_allowed_ips;
	void *few[8], **before = few;
	int err = 0;

	if (c->flags & PEER_DROP_ALLOWED_IPS) {
		drop_prefixes(dev, peer, c);
		return 0;
	}
	for (size_t i = 0; i < n && !err; i++)
		err = check_prefix(dev, peer, &c->allowed_ips[i], c->flags);
	if (err)
		return err;
	if (n > ARRAY_SIZE(few))
		before = reallocarray(NULL, n, sizeof(*before));
	if (!before)
		return -ENOMEM;
	/* Only taking may fail: the old ones go when the new ones are there. */
	err = n ? take_prefixes(dev, peer, c->allowed_ips, n, before) : 0;
	if (!err) {
		if (c->flags & PEER_REPLACE_ALLOWED_IPS)
			drop_others(dev, peer, c);
		note_taken(dev, peer, c->allowed_ips, n, before);
		give_back_room(peer);
	}
	if (before != few)
		free(before);
	return err;
}

/* Would that change what the peer has? */
static bool changes_prefixes(const struct peer *peer, const struct change *c)
{
	bool drop = c->flags & PEER_DROP_ALLOWED_IPS;

	for (size_t i = 0; i < c->n_allowed_ips; i++)
		if (has_prefix(peer->allowed_ips, peer->n_allowed_ips, &c->allowed_ips[i]) == drop)
			return true;
	for (size_t i = 0; c->flags & PEER_REPLACE_ALLOWED_IPS && i < peer->n_allowed_ips; i++)
		if (!has_prefix(c->allowed_ips, c->n_allowed_ips, &peer->allowed_ips[i]))
			return true;
	return false;
}

/* Peers */

struct peer *device_find_peer(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct peertable_entry *entry = peertable_lookup(dev->dp.table, public_key);

	return entry ? container_of(entry, struct peer, entry) : NULL;
}

/*
 * Which worker looks after it: the one to whose queue packets for its first address
 * come. Without one any will do, but evenly: the key is as good as random.
 */
static unsigned choose_home(const struct device *dev, const struct change *c)
{
	const struct prefix *first = c->allowed_ips;

	if (!c->n_allowed_ips)
		return load_le32(c->key) % dev->dp.n_queues;
	return steer_queue(first->addr, first->family == AF_INET ? 4 : 16, dev->dp.n_queues);
}

static struct peer *add_peer(struct device *dev, const struct change *c)
{
	struct peer *peer = peer_new(&dev->dp.peers, &dev->dp, c->key, c->name,
				     choose_home(dev, c));

	if (!peer)
		return NULL;
	peer->number = dev->n_added++;
	border_isolate(&dev->dp, peer, c->flags & PEER_HAS_ISOLATE ? c->isolate : ISOLATE_DEFAULT);
	/* Never to be found without it: old initiations would be good for a moment. */
	if (device_recall(dev, peer, c) || peertable_insert(dev->dp.table, &peer->entry)) {
		border_isolate(&dev->dp, peer, ISOLATE_NO);
		peer_unref(peer);
		return NULL;
	}
	return peer;
}

/* First phase: found by nobody any more. The caller waits for the grace period. */
static void remove_peer(struct device *dev, struct peer *peer)
{
	while (peer->n_allowed_ips)
		remove_prefix(dev, peer, peer->allowed_ips[peer->n_allowed_ips - 1]);
	if (!peertable_remove(dev->dp.table, &peer->entry))
		return;
	/* It stays so for as long as a worker may have a packet of it. */
	dev->n_isolated_gone += border_is_isolated(peer);
	datapath_drop(&dev->dp, peer, DROP_NO_TENANT, peer_kill(peer));
	dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_GONE);
	peer_unref(peer);
}

static void set_keepalive(struct device *dev, struct peer *peer, uint16_t seconds)
{
	uint16_t old = atomic_exchange_explicit(&peer->keepalive, seconds, memory_order_relaxed);

	/* Like the kernel: switching it on says hello at once. */
	if (!old && seconds)
		dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_KEEPALIVE | PEER_WORK_LOOK);
	else if (old != seconds)
		dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_LOOK);
}

/* peer_make_limit() has made room for them. */
static void set_limits(struct device *dev, struct peer *peer, const struct limits *limits)
{
	const struct limit *before = rcu_read(&peer->limit);
	bool used = before && meter_get(&before->meter).used;
	bool waiting = peer_set_limits(peer, limits);

	/* Another quota may count anew. */
	if (used)
		learned_tell(peer);
	if (waiting)
		dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_RELEASE);
}

static bool is_own_key(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct identity *id = atomic_load_explicit(&dev->dp.identity, memory_order_relaxed);

	return id && !memcmp(id->local.public_key, public_key, NOISE_KEY_LEN);
}

/* Is that the private key we have? Clamped, as it is kept (RFC 7748 §5). */
static bool is_private_key(struct device *dev, const uint8_t key[NOISE_KEY_LEN])
{
	struct identity *id = atomic_load_explicit(&dev->dp.identity, memory_order_relaxed);
	struct noise_local local;
	bool same;

	if (!id)
		return sodium_is_zero(key, NOISE_KEY_LEN);
	same = noise_local_init(&local, key) == NOISE_OK &&
	       !sodium_memcmp(local.private_key, id->local.private_key, NOISE_KEY_LEN);
	noise_local_clear(&local);
	return same;
}

/* What the change says and the peer has not yet: a set of enum event_field. */
static unsigned news_of(struct peer *peer, const struct change *c)
{
	unsigned news = 0;

	if (changes_prefixes(peer, c))
		news |= EVENT_FIELD_ADDRESSES;
	if (c->flags & PEER_HAS_KEEPALIVE &&
	    c->keepalive != atomic_load_explicit(&peer->keepalive, memory_order_relaxed))
		news |= EVENT_FIELD_KEEPALIVE;
	if (c->flags & PEER_HAS_ANNOUNCE && c->announce != peer->announce)
		news |= EVENT_FIELD_ANNOUNCE;
	if (c->flags & PEER_HAS_ISOLATE)
		news |= EVENT_FIELD_ISOLATE;
	if (c->flags & PEER_HAS_MTU)
		news |= EVENT_FIELD_MTU;
	if (c->flags & PEER_HAS_QUARANTINE)
		news |= EVENT_FIELD_ON_SHARED_KEY;
	pthread_mutex_lock(&peer->lock);
	if (c->flags & PEER_HAS_ENDPOINT && !endpoint_same_remote(&peer->endpoint, &c->endpoint))
		news |= EVENT_FIELD_ENDPOINT;
	if (c->flags & PEER_HAS_PRESHARED_KEY &&
	    sodium_memcmp(peer->preshared_key, c->preshared_key, NOISE_KEY_LEN))
		news |= EVENT_FIELD_PRESHARED_KEY;
	pthread_mutex_unlock(&peer->lock);
	return news;
}

/* What the change says of a peer that is there: all of it, or an error and nothing. */
static int change_peer(struct device *dev, struct peer *peer, const struct change *c)
{
	int err = 0;

	/* What may fail comes first. */
	if (c->flags & PEER_HAS_LIMITS)
		err = peer_make_limit(peer, &c->limits);
	if (!err)
		err = set_prefixes(dev, peer, c);
	if (err)
		return err;
	if (c->flags & PEER_HAS_PRESHARED_KEY) {
		pthread_mutex_lock(&peer->lock);
		memcpy(peer->preshared_key, c->preshared_key, NOISE_KEY_LEN);
		pthread_mutex_unlock(&peer->lock);
	}
	if (c->flags & PEER_HAS_ENDPOINT)
		peer_set_endpoint(peer, &c->endpoint);
	if (c->flags & PEER_HAS_LIMITS)
		set_limits(dev, peer, &c->limits);
	if (c->flags & PEER_HAS_KEEPALIVE)
		set_keepalive(dev, peer, c->keepalive);
	if (c->flags & PEER_HAS_ANNOUNCE)
		peer->announce = c->announce;
	if (c->flags & PEER_HAS_ISOLATE)
		border_isolate(&dev->dp, peer, c->isolate);
	if (c->flags & PEER_HAS_MTU)
		atomic_store_explicit(&peer->mtu, c->mtu, memory_order_relaxed);
	if (c->flags & PEER_HAS_QUARANTINE)
		atomic_store_explicit(&peer->quarantine, c->quarantine, memory_order_relaxed);
	return 0;
}

/* peer NULL: there is none; but something may be remembered of it. */
static void remove_known(struct device *dev, struct peer *peer, const struct change *c)
{
	bool suspended = c->flags & PEER_SUSPEND;

	if (peer && c->flags & PEER_IF_ABSENT)
		return;
	if (peer) {
		peer->suspended = suspended;
		remove_peer(dev, peer);
	} else if (dev->memory.absent && *c->name) {
		dev->memory.absent(dev->memory.arg, c->key, suspended);
	}
}

static int apply_peer(struct device *dev, const struct change *c, bool *removed)
{
	struct peer *peer = device_find_peer(dev, c->key);
	int err;

	if (sodium_is_zero(c->key, NOISE_KEY_LEN))
		return -EINVAL;
	if (c->flags & PEER_REMOVE) {
		remove_known(dev, peer, c);
		*removed |= peer && !(c->flags & PEER_IF_ABSENT);
		return 0;
	}
	if (peer) {
		unsigned news = news_of(peer, c);

		err = change_peer(dev, peer, c);
		if (news && !err)
			peer_note(peer, EVENT_CONFIGURED, news);
		return err;
	}
	/* Nobody is his own peer: such a one is left out, as wg(8) users know it. */
	if (c->flags & PEER_UPDATE_ONLY || is_own_key(dev, c->key))
		return 0;
	peer = add_peer(dev, c);
	if (!peer)
		return -ENOMEM;
	err = change_peer(dev, peer, c);
	if (err) {
		/* All or nothing: no peer without the addresses that it was to have. */
		remove_peer(dev, peer);
		*removed = true;
	}
	return err;
}

static void remove_all(struct device *dev)
{
	struct peertable_iter it;
	struct peertable_entry *entry;

	peertable_for_each(dev->dp.table, &it, entry)
		remove_peer(dev, container_of(entry, struct peer, entry));
}

/* Every session rests on our key: all begin anew, and nobody is his own peer. In a turn. */
static void drop_sessions(struct device *dev, bool *removed)
{
	struct peertable_iter it;
	struct peertable_entry *entry;

	peertable_for_each(dev->dp.table, &it, entry) {
		struct peer *peer = container_of(entry, struct peer, entry);

		if (is_own_key(dev, peer->public_key)) {
			remove_peer(dev, peer);
			*removed = true;
			continue;
		}
		if (rcu_read(&peer->session))
			peer_note(peer, EVENT_SESSION_ENDED, 0);
		datapath_drop(&dev->dp, peer, DROP_HANDSHAKE_TIMEOUT, peer_drop_session(peer));
		if (atomic_load_explicit(&peer->keepalive, memory_order_relaxed))
			dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_KEEPALIVE);
	}
}

static int apply_private_key(struct device *dev, const uint8_t key[NOISE_KEY_LEN], bool *removed)
{
	int err;

	if (is_private_key(dev, key))
		return 0; /* `wg syncconf` says it every time */
	rcu_turn_begin();
	err = device_set_private_key(dev, key);
	rcu_turn_end();
	if (err)
		return err;
	/* A handshake that still has the old key may be making a session with it. */
	synchronize_rcu();
	rcu_turn_begin();
	drop_sessions(dev, removed);
	rcu_turn_end();
	return 0;
}

/* Outside an RCU turn: two of the kinds wait for other threads. */
static int apply_one(struct device *dev, const struct change *c, bool *removed)
{
	int err = 0;

	switch (c->kind) {
	case CHANGE_PRIVATE_KEY:
		return apply_private_key(dev, c->key, removed);
	case CHANGE_LISTEN_PORT:
		return device_set_port(dev, (uint16_t)c->number);
	case CHANGE_FWMARK:
		return device_set_mark(dev, c->number);
	case CHANGE_REMOVE_PEERS:
		*removed |= peertable_count(dev->dp.table) > 0;
		rcu_turn_begin();
		remove_all(dev);
		rcu_turn_end();
		return 0;
	case CHANGE_PEER:
		rcu_turn_begin();
		err = apply_peer(dev, c, removed);
		rcu_turn_end();
		return err;
	}
	return err;
}

/*
 * Packets go to the queue of their peer's home by their destination. Where there is but
 * one peer, through which perhaps the whole world is reached, all go to its home.
 */
static void steer(struct device *dev)
{
	struct tun_queue *tun = &dev->dp.queues[0].tun;
	struct peertable_entry *only = NULL;
	struct peertable_iter it;
	int to = STEERED_BY_ADDRESS, err;

	if (dev->dp.n_queues == 1 || !tun->steered)
		return;
	rcu_turn_begin();
	if (peertable_count(dev->dp.table) == 1)
		only = peertable_first(dev->dp.table, &it);
	if (only)
		to = container_of(only, struct peer, entry)->home;
	rcu_turn_end();
	if (to == dev->steered_to)
		return;
	err = to == STEERED_BY_ADDRESS ? steer_by_destination(tun->fd)
				       : steer_to(tun->fd, (unsigned)to);
	/* If not, another worker does the work. */
	if (!err)
		dev->steered_to = to;
}

int device_apply(struct device *dev, const struct change *changes, size_t n, size_t *failed)
{
	char why[DEVICE_WHY_STRLEN];
	bool removed = false;
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		err = device_refuses(dev, changes, n, i, why);
		if (!err)
			err = apply_one(dev, &changes[i], &removed);
		if (err)
			*failed = i;
	}
	/* After this, who found a removed peer has let go of it, and its keys are wiped. */
	if (removed)
		rcu_settle();
	border_forget(&dev->dp, dev->n_isolated_gone);
	dev->n_isolated_gone = 0;
	steer(dev);
	if (dev->observer.applied)
		dev->observer.applied(dev->observer.arg);
	return err;
}

void device_remove_all_peers(struct device *dev)
{
	struct change all = { .kind = CHANGE_REMOVE_PEERS };
	size_t failed;

	(void)!device_apply(dev, &all, 1, &failed);
}

/* Is there a key that can send, and nobody who does not answer? RCU turn. */
static bool is_in_touch(struct peer *peer)
{
	struct session *session = rcu_read(&peer->session);
	const struct keypair *pair = session ? keypairs_current(&session->keys) : NULL;

	return pair && keypair_can_send(pair, clock_now()) &&
	       !timers_awaits_answer(&session->timers);
}

void device_hello(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN], bool attempt)
{
	unsigned how = PEER_HANDSHAKE_ANEW | (attempt ? PEER_HANDSHAKE_RETRY : PEER_HANDSHAKE_WANT);
	struct peer *peer;

	rcu_turn_begin();
	peer = device_find_peer(dev, public_key);
	if (peer) {
		peer_clear_endpoint_src(peer);
		if (is_in_touch(peer))
			dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_KEEPALIVE);
		else
			handshake_want(dev->dp.handshake, peer, how);
	}
	rcu_turn_end();
}

int device_release(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN])
{
	struct peer *peer;
	int err = -ENOENT;

	rcu_turn_begin();
	peer = device_find_peer(dev, public_key);
	if (peer)
		err = roaming_release(&dev->dp, peer) ? 0 : -EALREADY;
	if (!err && atomic_load_explicit(&peer->keepalive, memory_order_relaxed))
		dev->dp.ops->wake_worker(&dev->dp, peer, PEER_WORK_KEEPALIVE | PEER_WORK_LOOK);
	rcu_turn_end();
	return err;
}

/* Asking */

void device_describe(struct peer *peer, struct device_peer *out)
{
	struct drop_counters *drops = rcu_read(&peer->drops);
	struct session *session = rcu_read(&peer->session);
	const struct limit *limit = rcu_read(&peer->limit);

	*out = (struct device_peer){
		.name = peer->name,
		.public_key = peer->public_key,
		.rx_bytes = counter_read(&peer->traffic.rx_bytes),
		.tx_bytes = counter_read(&peer->traffic.tx_bytes),
		.rx_packets = counter_read(&peer->traffic.rx_packets),
		.tx_packets = counter_read(&peer->traffic.tx_packets),
		.endpoint_changes =
			atomic_load_explicit(&peer->endpoint_changes, memory_order_relaxed),
		.keepalive = atomic_load_explicit(&peer->keepalive, memory_order_relaxed),
		.session = session && keypairs_current(&session->keys),
		.silent = session && timers_is_silent(&session->timers),
		.allowed_ips = peer->allowed_ips,
		.n_allowed_ips = peer->n_allowed_ips,
		.mtu = atomic_load_explicit(&peer->mtu, memory_order_relaxed),
		.held = peer_is_held(peer),
		.isolated = border_is_isolated(peer),
		.suspended = peer->suspended
	};
	out->shared_key = sharing_noticed(peer, out->shared_between);
	if (limit) {
		out->limits = limit_get(limit);
		out->meter = meter_get(&limit->meter);
	}
	pthread_mutex_lock(&peer->lock);
	memcpy(out->preshared_key, peer->preshared_key, NOISE_KEY_LEN);
	out->endpoint = peer->endpoint;
	out->last_handshake = peer->last_handshake;
	memcpy(out->timestamp, peer->last_timestamp, NOISE_TIMESTAMP_LEN);
	out->removed = atomic_load_explicit(&peer->dead, memory_order_relaxed);
	pthread_mutex_unlock(&peer->lock);
	for (unsigned i = 0; drops && i < DROP_REASON_COUNT; i++)
		out->drops[i] = counter_read(&drops->n[i]);
}

bool device_get_peer(struct device *dev, const uint8_t public_key[NOISE_KEY_LEN],
		     void (*fn)(const struct device_peer *peer, void *arg), void *arg)
{
	struct event events[EVENTS_MAX];
	struct device_peer info;
	struct peer *peer;

	rcu_turn_begin();
	peer = device_find_peer(dev, public_key);
	if (peer) {
		device_describe(peer, &info);
		info.n_events = peer_events(peer, events);
		info.events = events;
		fn(&info, arg);
		sodium_memzero(info.preshared_key, sizeof(info.preshared_key));
	}
	rcu_turn_end();
	return peer != NULL;
}

void device_each_peer(struct device *dev, void (*fn)(const struct device_peer *peer, void *arg),
		      void *arg)
{
	struct peertable_iter it;
	struct peertable_entry *entry;
	struct device_peer info;

	rcu_turn_begin();
	peertable_for_each(dev->dp.table, &it, entry) {
		device_describe(container_of(entry, struct peer, entry), &info);
		fn(&info, arg);
	}
	rcu_turn_end();
	sodium_memzero(info.preshared_key, sizeof(info.preshared_key));
}

bool device_find_owner(struct device *dev, int family, const uint8_t *addr,
		       struct device_owner *out)
{
	struct peer *peer;

	rcu_turn_begin();
	peer = datapath_owner(&dev->dp, (uint8_t)family, addr);
	if (peer) {
		/* Who is held is not there. */
		*out = (struct device_owner){ .announce = peer_is_held(peer) ? ANNOUNCE_CONNECTED
									     : peer->announce,
					      .connected = peer_is_connected(peer, clock_now()) };
		/* Whoever has asked has got no answer: the arrival will be news to him. */
		peer->arrived &= out->connected;
	}
	rcu_turn_end();
	return peer != NULL;
}

bool device_get_owner(struct device *dev, int family, const uint8_t *addr,
		      void (*fn)(const struct device_peer *peer, void *arg), void *arg)
{
	struct device_peer info;
	struct peer *peer;

	rcu_turn_begin();
	peer = datapath_owner(&dev->dp, (uint8_t)family, addr);
	if (peer) {
		device_describe(peer, &info);
		fn(&info, arg);
		sodium_memzero(info.preshared_key, sizeof(info.preshared_key));
	}
	rcu_turn_end();
	return peer != NULL;
}

bool device_has_prefix(struct device *dev, const struct prefix *p)
{
	bool there;

	rcu_turn_begin();
	there = allowedips_find_exact(&dev->dp.allowedips, p) != NULL;
	rcu_turn_end();
	return there;
}
