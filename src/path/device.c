/* SPDX-License-Identifier: MIT */
/* One WireGuard interface: its life, its identity, its sockets. */
#include "device.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "../../tun/netns.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "border.h"
#include "device_peers.h"
#include "handshake.h"

/* What a queue's sockets are kept in until every thread has let go of them. */
struct socket_set {
	unsigned n;
	struct udp_sockets sockets[];
};

struct opening {
	const struct device_options *options;
	struct device *dev;
	struct tun_queue *tun;
};

static int open_tun(void *arg)
{
	struct opening *o = arg;

	if (o->options->tun_fd >= 0)
		return tun_adopt(o->options->tun_fd, o->options->offload, o->tun, o->dev->name);
	return tun_open(o->options->name, o->dev->dp.n_queues,
			o->options->n_rings ? o->options->n_rings : TUN_RINGS,
			o->options->offload, o->tun, o->dev->name);
}

/* The TUN device, in its namespace, with all queues at once. */
static int open_queues(struct device *dev, const struct device_options *options)
{
	struct opening o = { .options = options, .dev = dev };
	unsigned n = dev->dp.n_queues;
	int err;

	o.tun = calloc(n, sizeof(*o.tun));
	if (!o.tun)
		return -ENOMEM;
	err = options->netns >= 0 ? netns_call(options->netns, open_tun, &o) : open_tun(&o);
	for (unsigned i = 0; i < n && !err; i++)
		dev->dp.queues[i].tun = o.tun[i];
	if (!err && !o.tun[0].steered)
		log_info("%s: this kernel takes no eBPF for it: a flow may be reordered when its "
			 "first answer comes", dev->name);
	free(o.tun);
	return err;
}

static int init_queues(struct device *dev, unsigned n)
{
	dev->dp.queues = calloc(n, sizeof(*dev->dp.queues));
	if (!dev->dp.queues)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct queue *q = &dev->dp.queues[i];

		q->dp = &dev->dp;
		q->number = i;
		q->tun = (struct tun_queue){ .fd = -1, .n_rings = 1 };
		dev->dp.n_queues = i + 1; /* so many are to be freed */
		q->reader = calloc(1, sizeof(*q->reader));
		if (!q->reader)
			return -ENOMEM;
	}
	return 0;
}

static void free_queues(struct device *dev)
{
	for (unsigned i = 0; i < dev->dp.n_queues; i++) {
		tun_close(&dev->dp.queues[i].tun, 1);
		free(dev->dp.queues[i].reader);
	}
	free(dev->dp.queues);
}

static struct worker *worker_of(struct device *dev, unsigned queue)
{
	return dev->ws->worker[(dev->first_worker + queue) % dev->ws->n];
}

static void wake_worker(struct datapath *dp, struct peer *peer, unsigned work)
{
	struct device *dev = container_of(dp, struct device, dp);

	worker_wake(worker_of(dev, peer->home), peer, work);
}

static bool post_work(struct datapath *dp, struct peer *peer, unsigned work)
{
	struct device *dev = container_of(dp, struct device, dp);

	return worker_post(worker_of(dev, peer->home), peer, work);
}

static void wake_home(struct datapath *dp, unsigned home)
{
	worker_wake_posted(worker_of(container_of(dp, struct device, dp), home));
}

static void tun_gone(struct datapath *dp)
{
	struct device *dev = container_of(dp, struct device, dp);

	if (!atomic_exchange(&dev->gone, true) && dev->observer.gone)
		dev->observer.gone(dev->observer.arg);
}

static void unanswered(struct datapath *dp)
{
	struct device *dev = container_of(dp, struct device, dp);

	if (dev->observer.unanswered)
		dev->observer.unanswered(dev->observer.arg);
}

static const struct datapath_ops ops = { .wake_worker = wake_worker,
					 .post_work = post_work,
					 .wake_home = wake_home,
					 .unanswered = unanswered,
					 .tun_gone = tun_gone };

/* Queues beyond the first only help when all workers take part. */
static unsigned choose_queues(const struct workers *ws, const struct device_options *options)
{
	if (options->tun_fd >= 0)
		return 1; /* one descriptor is one queue */
	return options->n_queues ? min(options->n_queues, ws->n) : ws->n;
}

int device_open(struct device **out, struct workers *ws, const struct device_options *options)
{
	static _Atomic unsigned next_worker; /* spreads devices of one queue; any value is right */
	struct device *dev = calloc(1, sizeof(*dev));
	unsigned attached = 0;
	int err;

	if (!dev)
		return -ENOMEM;
	dev->ws = ws;
	dev->observer = options->observer;
	dev->rules = options->rules;
	dev->offload = options->offload;
	dev->steered_to = STEERED_BY_ADDRESS;
	dev->dp.ops = &ops;
	dev->dp.handshake = ws->handshake;
	dev->dp.name = dev->name;
	dev->dp.mtu = options->mtu;
	dev->dp.gateway = options->gateway;
	dev->dp.isolate = options->isolate;
	dev->first_worker = atomic_fetch_add(&next_worker, 1) % ws->n;
	allowedips_init(&dev->dp.allowedips);
	err = secret_pool_init(&dev->identities, sizeof(struct identity));
	if (err)
		goto free_dev;
	err = peer_group_init(&dev->dp.peers, choose_queues(ws, options));
	if (err)
		goto free_pool;
	err = -ENOMEM;
	dev->dp.table = peertable_new();
	if (!dev->dp.table)
		goto free_group;
	err = init_queues(dev, choose_queues(ws, options));
	if (err)
		goto free_queues;
	err = open_queues(dev, options);
	if (err)
		goto free_queues;
	for (; attached < dev->dp.n_queues; attached++) {
		err = worker_attach(worker_of(dev, attached), &dev->dp.queues[attached]);
		if (err)
			goto detach;
	}
	*out = dev;
	return 0;

detach:
	while (attached--)
		worker_detach(worker_of(dev, attached), &dev->dp.queues[attached]);
free_queues:
	free_queues(dev);
	peertable_free(dev->dp.table);
free_group:
	peer_group_free(&dev->dp.peers);
free_pool:
	secret_pool_destroy(&dev->identities);
free_dev:
	free(dev);
	return err;
}

static void identity_free(struct rcu_head *rcu)
{
	struct identity *id = container_of(rcu, struct identity, rcu);

	rcu_grace_passed();
	noise_local_clear(&id->local);
	cookie_checker_clear(&id->checker);
	secret_pool_free(id->pool, id);
}

static void publish_identity(struct device *dev, struct identity *id)
{
	struct identity *old = atomic_load_explicit(&dev->dp.identity, memory_order_relaxed);

	rcu_publish(&dev->dp.identity, id);
	if (old)
		call_rcu(&old->rcu, identity_free);
}

int device_set_private_key(struct device *dev, const uint8_t key[NOISE_KEY_LEN])
{
	struct identity *id = NULL;

	if (!sodium_is_zero(key, NOISE_KEY_LEN)) {
		id = secret_pool_alloc(&dev->identities);
		if (!id)
			return -ENOMEM;
		id->pool = &dev->identities;
		if (noise_local_init(&id->local, key) != NOISE_OK) {
			secret_pool_free(&dev->identities, id);
			return -EINVAL;
		}
		cookie_checker_init(&id->checker, id->local.public_key);
	}
	publish_identity(dev, id);
	return 0;
}

static void drop_socket_set(struct socket_set *set)
{
	for (unsigned i = 0; set && i < set->n; i++)
		udp_close(&set->sockets[i]);
	free(set);
}

static int set_sockets(struct device *dev, struct socket_set *set)
{
	int err = 0;

	for (unsigned i = 0; i < dev->dp.n_queues && !err; i++)
		err = worker_set_sockets(worker_of(dev, i), &dev->dp.queues[i],
					 set ? &set->sockets[i] : NULL);
	return err;
}

/* Makes set (NULL: none) the device's sockets and closes those before. */
static int swap_sockets(struct device *dev, struct socket_set *set)
{
	struct socket_set *old = dev->sockets;
	int err = set_sockets(dev, set);

	if (err) {
		/* Half of the queues may poll the new ones: all go back to the old. */
		(void)set_sockets(dev, old);
		old = set;
	} else {
		dev->sockets = set;
	}
	/* A worker may be sending on them for a peer whose home it is. */
	synchronize_rcu();
	drop_socket_set(old);
	return err;
}

int device_set_port(struct device *dev, uint16_t port)
{
	unsigned n = dev->dp.n_queues;
	struct socket_set *set;
	int err;

	if (dev->sockets && port && dev->sockets->sockets[0].port == port)
		return 0;
	set = calloc(1, sizeof(*set) + n * sizeof(set->sockets[0]));
	if (!set)
		return -ENOMEM;
	set->n = n;
	err = udp_open(set->sockets, n, port, dev->fwmark, dev->offload);
	if (err) {
		free(set);
		return err;
	}
	return swap_sockets(dev, set);
}

int device_set_mark(struct device *dev, uint32_t mark)
{
	for (unsigned i = 0; dev->sockets && i < dev->sockets->n; i++) {
		int err = udp_set_mark(&dev->sockets->sockets[i], mark);

		if (err)
			return err;
	}
	dev->fwmark = mark;
	return 0;
}

void device_close(struct device *dev)
{
	device_remove_all_peers(dev);
	/* After this no worker and no handshake knows the device. */
	for (unsigned i = 0; i < dev->dp.n_queues; i++)
		worker_detach(worker_of(dev, i), &dev->dp.queues[i]);
	handshake_drain(dev->ws->handshake);
	device_take_learned(dev);
	publish_identity(dev, NULL);
	(void)!border_set_own(&dev->dp, NULL, 0);
	/* Whoever takes our place wants the port at once; liburcu takes 10 ms to wake up. */
	drop_socket_set(dev->sockets);
	rcu_settle();
	free_queues(dev);
	peertable_free(dev->dp.table);
	allowedips_free(&dev->dp.allowedips);
	peer_group_free(&dev->dp.peers);
	secret_pool_destroy(&dev->identities);
	free(dev);
}

int device_set_own(struct device *dev, const struct prefix *own, size_t n)
{
	int err;

	rcu_turn_begin();
	err = border_set_own(&dev->dp, own, n);
	rcu_turn_end();
	return err;
}

bool device_is_own(struct device *dev, int family, const uint8_t *addr)
{
	return border_is_own(&dev->dp, (uint8_t)family, addr);
}

const char *device_name(const struct device *dev)
{
	return dev->name;
}

struct datapath *device_datapath(struct device *dev)
{
	return &dev->dp;
}

void device_set_mtu(struct device *dev, uint16_t mtu)
{
	atomic_store_explicit(&dev->dp.mtu, mtu, memory_order_relaxed);
}

void device_get(struct device *dev, struct device_info *out)
{
	struct identity *id = atomic_load_explicit(&dev->dp.identity, memory_order_relaxed);

	*out = (struct device_info){ .fwmark = dev->fwmark,
				     .n_peers = peertable_count(dev->dp.table),
				     .tun_offload = dev->dp.queues[0].tun.offloads != 0,
				     .tun_steering = dev->dp.queues[0].tun.steered };
	if (id) {
		memcpy(out->private_key, id->local.private_key, NOISE_KEY_LEN);
		memcpy(out->public_key, id->local.public_key, NOISE_KEY_LEN);
	}
	if (dev->sockets) {
		out->listen_port = dev->sockets->sockets[0].port;
		out->gso = atomic_load_explicit(&dev->sockets->sockets[0].gso,
						memory_order_relaxed);
		out->gro = dev->sockets->sockets[0].gro;
	}
}
