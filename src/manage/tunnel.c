/* SPDX-License-Identifier: MIT */
/* Tunnels of our own: made, followed, changed and taken back. */
#include "tunnel.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/log.h"
#include "../config/diff.h"
#include "complain.h"
#include "netchange.h"
#include "nswatch.h"
#include "resolve.h"
#include "stamp.h"
#include "tunnel_dns.h"
#include "tunnel_link.h"
#include "tunnel_mtu.h"
#include "tunnel_repair.h"

enum {
	/* For what nobody tells us of: a port, a name or memory that is free again. */
	RETRY_MS = 1000
};

/* What making it has come to: for saying once what failed. */
enum stage { STAGE_NAMESPACE, STAGE_DEVICE, STAGE_PORT, STAGE_LINK, STAGE_PEERS, STAGE_DONE };

struct tunnels {
	uv_loop_t *loop;
	struct workers *ws;
	bool offload;
	struct nswatch *nswatch;
	struct netchange *netchange; /* NULL: it cannot be followed, */
	int said_netchange;          /* for this reason, once it was logged */
};

struct tunnel {
	struct tunnels *ts;
	const struct config_tenant *conf; /* borrowed */
	struct device *device;            /* NULL: it waits */
	struct tunnel_link link;
	struct tunnel_repair repair;
	struct tunnel_dns dns;
	struct nswatch_item *follow; /* NULL: it is on the host, or could not be followed */
	struct netchange_item netchange; /* arg NULL: not added */
	uint64_t way; /* to its peers, as it was: a hash */
	struct resolver *resolver;
	uv_timer_t retry;
	uv_async_t news; /* of the two that follow */
	/* Of this device, not of one before; set by any thread. */
	_Atomic bool is_gone, is_unanswered;
	enum stage said_stage; /* the failure that was logged last */
	int said_err;          /* 0: none */
	unsigned closing;
};

/* Opening */

static void on_gone(void *arg)
{
	struct tunnel *t = arg;

	atomic_store(&t->is_gone, true);
	uv_async_send(&t->news);
}

/* Of use only to those who have a name to look up. */
static void on_unanswered(void *arg)
{
	struct tunnel *t = arg;

	atomic_store(&t->is_unanswered, true);
	uv_async_send(&t->news);
}

static int make_device(struct tunnel *t, int netns)
{
	/* In the namespace it gets its own name; here it must not be in anybody's way. */
	struct device_options options = { .name = netns >= 0 ? "berth-%d"
							     : t->conf->tunnel->ifname,
					  .netns = -1,
					  .tun_fd = -1,
					  .n_queues = 1, /* one tenant, one worker */
					  .n_rings = 1,  /* nobody else to be fair to */
					  .mtu = tunnel_mtu_first(t->conf->tunnel),
					  .offload = t->ts->offload,
					  .observer = { .arg = t,
							.unanswered = on_unanswered,
							.gone = on_gone } };

	return device_open(&t->device, t->ts->ws, &options);
}

/* Sockets come up also when the file names no port: the kernel picks one. */
static int open_port(struct tunnel *t)
{
	struct change port = { .kind = CHANGE_LISTEN_PORT,
			       .number = t->conf->tunnel->listen_port };
	size_t failed;

	return device_apply(t->device, &port, 1, &failed);
}

static int apply(struct tunnel *t, const struct config_tenant *old,
		 const struct config_tenant *new)
{
	struct change_list list = { 0 };
	size_t failed = 0;
	int err = diff_tenant(old, new, &list);

	if (!err && list.n)
		err = device_apply(t->device, list.changes, list.n, &failed);
	if (err && failed < list.n && list.changes[failed].kind == CHANGE_LISTEN_PORT)
		complain_port(new->name, (uint16_t)list.changes[failed].number, err);
	else if (err)
		log_event(LOG_LEVEL_ERROR, new->name, "failed", strerror(-err),
			  "tunnel %s: %s", new->name, strerror(-err));
	change_list_free(&list);
	return err;
}

static void unmake(struct tunnel *t)
{
	resolver_free(t->resolver);
	t->resolver = NULL;
	tunnel_link_unmake(&t->link, t->conf);
	if (t->device)
		device_close(t->device);
	t->device = NULL;
	t->repair = (struct tunnel_repair){ .at = 0 };
	atomic_store(&t->is_gone, false);
	atomic_store(&t->is_unanswered, false);
}

/* Each failure in its own words, and once, however often it is tried again. */
static void complain(struct tunnel *t, enum stage stage, int err,
		     const struct tunnel_link_failure *failure)
{
	const struct config_tunnel *conf = t->conf->tunnel;
	const char *name = t->conf->name;

	if (stage == t->said_stage && err == t->said_err)
		return;
	t->said_stage = stage;
	t->said_err = err;
	if (stage == STAGE_NAMESPACE && err == -ESRCH)
		log_event(LOG_LEVEL_ERROR, name, "failed", "no such process",
			  "tunnel %s: the process that Netns = %s%s names is not there (any more): "
			  "name one that is", name,
			  conf->netns_kind == TUNNEL_NETNS_PID ? "pid:" : "", conf->netns);
	else if (stage == STAGE_NAMESPACE && err == -ENOENT)
		log_event(LOG_LEVEL_WARNING, name, "waiting", "no such namespace",
			  "tunnel %s: network namespace %s is not there yet: waiting for it", name,
			  conf->netns);
	else if (stage == STAGE_NAMESPACE)
		log_event(LOG_LEVEL_ERROR, name, "failed", strerror(-err),
			  "tunnel %s: %s is no network namespace that can be entered: %s%s", name,
			  conf->netns, strerror(-err),
			  err == -EPERM ? ": berthd-home.service may, berthd.service must not" : "");
	else if (stage == STAGE_DEVICE)
		complain_tun(conf->ifname, err);
	else if (stage == STAGE_PORT)
		complain_port(name, conf->listen_port, err);
	else if (failure->what == TUNNEL_LINK_NAME)
		log_event(LOG_LEVEL_ERROR, name, "failed", strerror(-err),
			  "tunnel %s: namespace %s has an interface %s already: give this one "
			  "another name by Name in [Container]", name, conf->netns, conf->ifname);
	else if (failure->what == TUNNEL_LINK_ADDRESS)
		complain_address(name, failure->address, err);
	else if (failure->what == TUNNEL_LINK_RULES)
		log_event(LOG_LEVEL_ERROR, name, "failed", strerror(-err),
			  "tunnel %s: cannot add the routing rules that Table asks for, so it stays "
			  "down: %s", name, strerror(-err));
	else if (stage == STAGE_LINK)
		log_event(LOG_LEVEL_ERROR, name, "failed", strerror(-err),
			  "tunnel %s: cannot set up %s: %s", name, conf->ifname, strerror(-err));
}

/* The way to the peers may be another one: it may carry more or less. */
static void on_way(void *arg)
{
	struct tunnel *t = arg;

	tunnel_link_follow_mtu(&t->link, t->conf, t->device);
}

static int make_in(struct tunnel *t, int netns, enum stage *stage,
		   struct tunnel_link_failure *failure)
{
	int err;

	*stage = STAGE_DEVICE;
	err = make_device(t, netns);
	if (err)
		return err;
	*stage = STAGE_PORT;
	err = open_port(t);
	if (err)
		return err;
	*stage = STAGE_LINK;
	err = tunnel_link_make(&t->link, t->conf, device_name(t->device), netns, failure);
	if (err)
		return err;
	*stage = STAGE_PEERS;
	err = apply(t, NULL, t->conf);
	if (err)
		return err;
	on_way(t);
	return resolver_new(&t->resolver, t->ts->loop, t->device, t->conf, on_way, t);
}

static void read_endpoint(const struct device_peer *peer, void *arg)
{
	*(struct endpoint *)arg = peer->endpoint;
}

/* Where its peers are, and how the kernel would send there now: a hash. 0: nowhere. */
static uint64_t way_of(const struct tunnel *t)
{
	uint64_t hash = STAMP_HASH_INIT, way, any = 0;
	struct device_info info;

	if (!t->ts->netchange)
		return 0;
	device_get(t->device, &info);
	sodium_memzero(info.private_key, sizeof(info.private_key));
	for (size_t i = 0; i < t->conf->n_peers; i++) {
		struct endpoint at = { 0 };

		(void)device_get_peer(t->device, t->conf->peers[i].public_key, read_endpoint, &at);
		way = endpoint_is_set(&at) ? netchange_way(t->ts->netchange, &at, info.fwmark) : 0;
		hash = stamp_hash(hash, &way, sizeof(way));
		any |= way;
	}
	return any ? hash | 1 : 0;
}

/*
 * Where we are, or where the others are, has changed: they learn it from the
 * next packet, so there is one at once.
 */
static void say_hello(struct tunnel *t)
{
	for (size_t i = 0; i < t->conf->n_peers; i++)
		device_hello(t->device, t->conf->peers[i].public_key, false);
}

static void repair(struct tunnel *t)
{
	tunnel_repair(&t->repair, &t->link, t->conf, uv_now(t->ts->loop));
}

/* The network around us may be another one, without what is ours in it. */
static void on_network(void *arg)
{
	struct tunnel *t = arg;
	uint64_t way;

	if (!t->device)
		return;
	/* In a namespace this tells nothing of it. */
	if (t->conf->tunnel->netns_kind == TUNNEL_NETNS_HOST)
		repair(t);
	on_way(t);
	resolver_retry(t->resolver);
	way = way_of(t);
	if (way && way != t->way) {
		log_debug("tunnel %s: there is another way to its peers: they are told",
			  t->conf->name);
		say_hello(t);
	}
	t->way = way;
}

/* Where that has failed, as for want of descriptors, it is tried again with the tunnel. */
static void follow_network(struct tunnel *t)
{
	struct tunnels *ts = t->ts;
	int err = ts->netchange ? 0 : netchange_open(&ts->netchange, ts->loop);

	if (err && err != ts->said_netchange)
		log_warning("cannot follow changes of the network: %s: tunnels find out late when "
			    "it is another one", strerror(-err));
	if (!err && ts->said_netchange)
		log_info("changes of the network can be followed again");
	ts->said_netchange = err;
	if (err || t->netchange.arg)
		return;
	t->netchange = (struct netchange_item){ .changed = on_network, .arg = t };
	netchange_add(ts->netchange, &t->netchange);
}

/* The namespace that the file names. As tunnel_link_namespace(), and -ESRCH: its process ended. */
static int find_namespace(const struct tunnel *t, int *err)
{
	int netns = tunnel_link_namespace(t->conf->tunnel, err);

	/* Asked behind it: had it ended before, the number may be another one's now. */
	if (!t->follow || !nswatch_ended(t->follow))
		return netns;
	if (netns >= 0)
		close(netns);
	*err = -ESRCH;
	return -1;
}

/*
 * A name is there a moment before its namespace, and a moment longer: no fault, unless
 * it is still so when it is tried again.
 */
static bool is_in_between(const struct tunnel *t, enum stage stage, int err)
{
	return stage == STAGE_NAMESPACE && err == -EINVAL && t->said_err != -EINVAL;
}

/* Nobody tells when there is enough again. */
static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

/* Failed: says so, and tries again where no event will tell us to. */
static void fail(struct tunnel *t, enum stage stage, int err,
		 const struct tunnel_link_failure *failure, bool again)
{
	bool in_between = is_in_between(t, stage, err) && !again;

	unmake(t);
	/* Not begun anew by what happens meanwhile: on a busy machine that never ends. */
	if (!in_between && stage == STAGE_NAMESPACE && !is_shortage(err))
		uv_timer_stop(&t->retry);
	else if (!uv_is_active((uv_handle_t *)&t->retry))
		uv_timer_again(&t->retry);
	if (!in_between)
		complain(t, stage, err, failure);
}

/* again: because a second has passed, not because anything has happened. */
static void make(struct tunnel *t, bool again)
{
	const struct config_tunnel *conf = t->conf->tunnel;
	struct tunnel_link_failure failure = { .what = TUNNEL_LINK_OTHER };
	enum stage stage = STAGE_NAMESPACE;
	int err, netns = find_namespace(t, &err);

	follow_network(t);
	if (!err)
		err = make_in(t, netns, &stage, &failure);
	if (netns >= 0)
		close(netns);
	if (err) {
		fail(t, stage, err, &failure, again);
		return;
	}
	uv_timer_stop(&t->retry);
	t->said_err = 0;
	t->way = way_of(t);
	log_event(LOG_LEVEL_INFO, t->conf->name, "up", NULL,
		  "tunnel %s: %s is up in %s%s", t->conf->name, conf->ifname,
		  conf->netns ? "namespace " : "this machine", conf->netns ? conf->netns : "");
}

/* Following */

/*
 * Is there another namespace in the place of ours? Ours may live on without
 * its name as long as somebody is in there, and if nobody is, the device goes with it.
 */
static bool has_moved_on(const struct tunnel *t)
{
	int err, netns = tunnel_link_namespace(t->conf->tunnel, &err);
	bool other;

	if (netns < 0)
		return false;
	other = !tunnel_link_is_in(&t->link, netns);
	close(netns);
	return other;
}

/* Something has happened where the namespace is. */
static void on_followed(void *arg)
{
	struct tunnel *t = arg;

	if (t->device && nswatch_ended(t->follow)) {
		unmake(t);
	} else if (t->device && has_moved_on(t)) {
		log_event(LOG_LEVEL_INFO, t->conf->name, "moved", "another namespace of that name",
			  "tunnel %s: there is another namespace %s: going there", t->conf->name,
			  t->conf->tunnel->netns);
		unmake(t);
	}
	if (!t->device) {
		make(t, false);
		return;
	}
	/* Nothing tells us of links and routes in there (tunnel_link.h): it is looked now and then. */
	repair(t);
	tunnel_link_follow_mtu(&t->link, t->conf, t->device);
}

static void on_retry(uv_timer_t *timer)
{
	make(timer->data, true);
}

/* Follows what conf names now. */
static int follow(struct tunnel *t)
{
	const struct config_tunnel *conf = t->conf->tunnel;

	nswatch_remove(t->follow);
	t->follow = NULL;
	if (conf->netns_kind == TUNNEL_NETNS_HOST)
		return 0;
	return nswatch_add(&t->follow, t->ts->nswatch, conf->netns_kind, conf->netns, on_followed,
			   t);
}

/*
 * What other threads have seen: the container went, and its namespace with our device in
 * it; or a peer does not answer.
 */
static void on_news(uv_async_t *async)
{
	struct tunnel *t = async->data;

	if (atomic_exchange(&t->is_unanswered, false))
		resolver_unanswered(t->resolver);
	if (!atomic_load(&t->is_gone))
		return;
	log_event(LOG_LEVEL_WARNING, t->conf->name, "interface-gone", NULL,
		  "tunnel %s: its interface is gone: making it anew", t->conf->name);
	unmake(t);
	make(t, false);
}

/* Life */

int tunnels_new(struct tunnels **out, uv_loop_t *loop, struct workers *ws, bool offload)
{
	struct tunnels *ts = calloc(1, sizeof(*ts));
	int err;

	*out = NULL;
	if (!ts)
		return -ENOMEM;
	*ts = (struct tunnels){ .loop = loop, .ws = ws, .offload = offload };
	err = nswatch_open(&ts->nswatch, loop);
	if (err) {
		free(ts);
		return err;
	}
	*out = ts;
	return 0;
}

void tunnels_free(struct tunnels *ts)
{
	if (!ts)
		return;
	nswatch_close(ts->nswatch);
	netchange_close(ts->netchange);
	free(ts);
}

int tunnel_open(struct tunnel **out, struct tunnels *ts, const struct config_tenant *conf)
{
	struct tunnel *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	*t = (struct tunnel){ .ts = ts, .conf = conf };
	err = follow(t);
	if (err)
		goto free_t;
	err = uv_async_init(ts->loop, &t->news, on_news);
	if (err)
		goto unfollow;
	uv_timer_init(ts->loop, &t->retry);
	t->news.data = t->retry.data = t;
	/* make() stops it, and lets it run again where that is of use. */
	uv_timer_start(&t->retry, on_retry, RETRY_MS, RETRY_MS);
	tunnel_dns_update(&t->dns, conf);
	make(t, false);
	*out = t;
	return 0;

unfollow:
	nswatch_remove(t->follow);
free_t:
	free(t);
	return err;
}

/* Do the same peers have the same endpoints? Then what was found out about names still holds. */
static bool same_endpoints(const struct config_tenant *a, const struct config_tenant *b)
{
	if (a->n_peers != b->n_peers)
		return false;
	for (size_t i = 0; i < a->n_peers; i++) {
		const struct config_peer *p = &a->peers[i], *q = &b->peers[i];

		if (memcmp(p->public_key, q->public_key, VALUE_KEY_LEN) ||
		    !p->endpoint != !q->endpoint ||
		    (p->endpoint && strcmp(p->endpoint, q->endpoint)))
			return false;
	}
	return true;
}

static int update_link(struct tunnel *t, const struct config_tenant *old, unsigned what)
{
	int err, netns;

	if (!what)
		return 0;
	netns = tunnel_link_namespace(t->conf->tunnel, &err);
	if (!err)
		err = tunnel_link_update(&t->link, old, t->conf, netns, what);
	if (netns >= 0)
		close(netns);
	if (err)
		log_event(LOG_LEVEL_ERROR, t->conf->name, "failed", strerror(-err),
			  "tunnel %s: cannot change %s in place: %s", t->conf->name,
			  t->conf->tunnel->ifname, strerror(-err));
	return err;
}

bool tunnel_update(struct tunnel *t, const struct config_tenant *new)
{
	const struct config_tenant *old = t->conf;
	unsigned what = diff_link(old, new);

	tunnel_dns_update(&t->dns, new);
	if (!t->device) {
		/* It waits; perhaps the new one need not. What it fails at is said of the old one. */
		if (what || old->tunnel->listen_port != new->tunnel->listen_port)
			t->said_err = 0;
		t->conf = new;
		if (what & DIFF_LINK_PLACE && follow(t))
			return false;
		make(t, false);
		return true;
	}
	if (what & DIFF_LINK_PLACE || has_moved_on(t))
		return false;
	t->conf = new;
	if (update_link(t, old, what) || apply(t, old, new))
		return false;
	repair(t);
	tunnel_link_follow_mtu(&t->link, new, t->device);
	if (!same_endpoints(old, new)) {
		resolver_free(t->resolver);
		if (resolver_new(&t->resolver, t->ts->loop, t->device, new, on_way, t))
			return false;
	} else if (old->tunnel->listen_port == new->tunnel->listen_port) {
		return true;
	}
	say_hello(t);
	return true;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct tunnel *t = handle->data;

	if (!--t->closing)
		free(t);
}

void tunnel_close(struct tunnel *t)
{
	unmake(t);
	tunnel_dns_update(&t->dns, NULL);
	nswatch_remove(t->follow);
	if (t->netchange.arg)
		netchange_remove(&t->netchange);
	t->closing = 2;
	uv_close((uv_handle_t *)&t->retry, on_handle_closed);
	uv_close((uv_handle_t *)&t->news, on_handle_closed);
}

struct device *tunnel_device(struct tunnel *t)
{
	return t->device;
}
