/* SPDX-License-Identifier: MIT */
/* Tunnels of our own: made, followed, changed and taken back. */
#include "tunnel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"
#include "../config/diff.h"
#include "complain.h"
#include "resolve.h"
#include "tunnel_dns.h"
#include "tunnel_link.h"
#include "tunnel_mtu.h"

enum { TICK_MS = 1000 }; /* tries again; looks whether the namespace is another one */

/* What making it has come to: for saying once what failed. */
enum stage { STAGE_NAMESPACE, STAGE_DEVICE, STAGE_PORT, STAGE_LINK, STAGE_PEERS, STAGE_DONE };

struct tunnel {
	uv_loop_t *loop;
	struct workers *ws;
	bool offload;
	const struct config_tenant *conf; /* borrowed */
	struct device *device;            /* NULL: it waits */
	struct tunnel_link link;
	struct tunnel_dns dns;
	dev_t netns_dev;                  /* of the namespace it is in */
	ino_t netns_ino;
	struct resolver *resolver;
	uv_timer_t tick;
	uv_async_t gone;
	_Atomic bool is_gone; /* of this device, not of one before; set by any thread */
	enum stage said_stage; /* the failure that was logged last */
	int said_err;          /* 0: none */
	unsigned closing;
};

/* Opening */

static void on_gone(void *arg)
{
	struct tunnel *t = arg;

	atomic_store(&t->is_gone, true);
	uv_async_send(&t->gone);
}

static int make_device(struct tunnel *t, int netns)
{
	/* In the namespace it gets its own name; here it must not be in anybody's way. */
	struct device_options options = { .name = netns >= 0 ? "berth-%d"
							     : t->conf->tunnel->ifname,
					  .netns = -1,
					  .tun_fd = -1,
					  .mtu = tunnel_mtu_first(t->conf->tunnel),
					  .offload = t->offload,
					  .observer = { .arg = t, .gone = on_gone } };

	return device_open(&t->device, t->ws, &options);
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
		log_error("tunnel %s: %s", new->name, strerror(-err));
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
	atomic_store(&t->is_gone, false);
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
	if (stage == STAGE_NAMESPACE && err == -ENOENT)
		log_warning("tunnel %s: network namespace %s is not there yet: waiting for it",
			    name, conf->netns);
	else if (stage == STAGE_NAMESPACE)
		log_error("tunnel %s: %s is no network namespace that can be entered: %s", name,
			  conf->netns, strerror(-err));
	else if (stage == STAGE_DEVICE)
		complain_tun(conf->ifname, err);
	else if (stage == STAGE_PORT)
		complain_port(name, conf->listen_port, err);
	else if (failure->what == TUNNEL_LINK_NAME)
		log_error("tunnel %s: namespace %s has an interface %s already: give this one "
			  "another name by Name in [Container]", name, conf->netns, conf->ifname);
	else if (failure->what == TUNNEL_LINK_ADDRESS)
		complain_address(name, failure->address, err);
	else if (failure->what == TUNNEL_LINK_RULES)
		log_error("tunnel %s: cannot add the routing rules that Table asks for, so it stays "
			  "down: %s", name, strerror(-err));
	else if (stage == STAGE_LINK)
		log_error("tunnel %s: cannot set up %s: %s", name, conf->ifname, strerror(-err));
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
	tunnel_link_follow_mtu(&t->link, t->conf, t->device);
	return resolver_new(&t->resolver, t->loop, t->device, t->conf);
}

/* Which namespace is it? Numbers that no other one has as long as it lives. */
static void remember_namespace(struct tunnel *t, int netns)
{
	struct stat st = { 0 };

	if (netns >= 0 && fstat(netns, &st))
		st = (struct stat){ 0 };
	t->netns_dev = st.st_dev;
	t->netns_ino = st.st_ino;
}

/* True if it is up now. */
static bool make(struct tunnel *t)
{
	const struct config_tunnel *conf = t->conf->tunnel;
	struct tunnel_link_failure failure = { .what = TUNNEL_LINK_OTHER };
	enum stage stage = STAGE_NAMESPACE;
	int err, netns = tunnel_link_namespace(conf, &err);

	if (!err)
		err = make_in(t, netns, &stage, &failure);
	if (!err)
		remember_namespace(t, netns);
	if (netns >= 0)
		close(netns);
	if (err) {
		unmake(t);
		complain(t, stage, err, &failure);
		return false;
	}
	t->said_err = 0;
	log_info("tunnel %s: %s is up in %s%s", t->conf->name, conf->ifname,
		 conf->netns ? "namespace " : "this machine", conf->netns ? conf->netns : "");
	return true;
}

/* Following */

/*
 * Is there another namespace in the place of ours? Ours may live on without
 * its name as long as somebody is in there, and if nobody is, the device goes with it.
 */
static bool has_moved_on(const struct tunnel *t)
{
	struct stat st;
	int err, netns = tunnel_link_namespace(t->conf->tunnel, &err);
	bool other;

	if (netns < 0)
		return false;
	other = !fstat(netns, &st) && (st.st_dev != t->netns_dev || st.st_ino != t->netns_ino);
	close(netns);
	return other;
}

static void on_tick(uv_timer_t *timer)
{
	struct tunnel *t = timer->data;

	if (t->device && has_moved_on(t)) {
		log_info("tunnel %s: there is another namespace %s: going there", t->conf->name,
			 t->conf->tunnel->netns);
		unmake(t);
	}
	if (!t->device)
		(void)make(t);
	else
		tunnel_link_follow_mtu(&t->link, t->conf, t->device);
}

/* The container went, and its namespace with our device in it. */
static void on_gone_async(uv_async_t *async)
{
	struct tunnel *t = async->data;

	if (!atomic_load(&t->is_gone))
		return;
	log_warning("tunnel %s: its interface is gone: making it anew", t->conf->name);
	unmake(t);
	(void)make(t);
}

/* Life */

int tunnel_open(struct tunnel **out, uv_loop_t *loop, struct workers *ws,
		const struct config_tenant *conf, bool offload)
{
	struct tunnel *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	*t = (struct tunnel){ .loop = loop, .ws = ws, .offload = offload, .conf = conf };
	err = uv_async_init(loop, &t->gone, on_gone_async);
	if (err) {
		free(t);
		return err;
	}
	uv_timer_init(loop, &t->tick);
	t->gone.data = t;
	t->tick.data = t;
	tunnel_dns_update(&t->dns, conf);
	(void)make(t);
	uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
	*out = t;
	return 0;
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

/*
 * Where we are, or where the others are, has changed: they learn it from the
 * next packet, so there is one at once. To switch the keepalive on sends it.
 */
static int say_hello(struct tunnel *t)
{
	for (size_t i = 0; i < t->conf->n_peers; i++) {
		const struct config_peer *peer = &t->conf->peers[i];
		struct change c[3];
		size_t failed;
		int err;

		for (size_t k = 0; k < ARRAY_SIZE(c); k++) {
			c[k] = (struct change){ .kind = CHANGE_PEER,
						.flags = PEER_UPDATE_ONLY | PEER_HAS_KEEPALIVE };
			memcpy(c[k].key, peer->public_key, sizeof(c[k].key));
		}
		c[1].keepalive = 1;
		c[2].keepalive = peer->keepalive;
		err = device_apply(t->device, c, ARRAY_SIZE(c), &failed);
		if (err)
			return err;
	}
	return 0;
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
		log_error("tunnel %s: cannot change %s in place: %s", t->conf->name,
			  t->conf->tunnel->ifname, strerror(-err));
	return err;
}

bool tunnel_update(struct tunnel *t, const struct config_tenant *new)
{
	const struct config_tenant *old = t->conf;
	unsigned what = diff_link(old, new);

	tunnel_dns_update(&t->dns, new);
	if (!t->device) {
		/* It waits; perhaps the new one need not. */
		t->conf = new;
		(void)make(t);
		return true;
	}
	if (what & DIFF_LINK_PLACE || has_moved_on(t))
		return false;
	t->conf = new;
	if (update_link(t, old, what) || apply(t, old, new))
		return false;
	tunnel_link_follow_mtu(&t->link, new, t->device);
	if (!same_endpoints(old, new)) {
		resolver_free(t->resolver);
		if (resolver_new(&t->resolver, t->loop, t->device, new))
			return false;
	} else if (old->tunnel->listen_port == new->tunnel->listen_port) {
		return true;
	}
	return !say_hello(t);
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
	t->closing = 2;
	uv_close((uv_handle_t *)&t->tick, on_handle_closed);
	uv_close((uv_handle_t *)&t->gone, on_handle_closed);
}

struct device *tunnel_device(struct tunnel *t)
{
	return t->device;
}
