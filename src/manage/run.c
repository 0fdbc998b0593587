/* SPDX-License-Identifier: MIT */
/* The router as a whole: reads as the list of what starts, in order. */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/log.h"
#include "../config/router.h"
#include "asread.h"
#include "complain.h"
#include "control.h"
#include "control_json.h"
#include "gateway.h"
#include "metrics_file.h"
#include "metrics_http.h"
#include "notify.h"
#include "privs.h"
#include "reload.h"
#include "state.h"
#include "tunnel_dns.h"
#include "tunnel_routes.h"
#include "uapi_sock.h"
#include "watchdog.h"

static const char *const crypto_names[] = { [ROUTER_CRYPTO_AUTO] = "auto",
					    [ROUTER_CRYPTO_LIBSODIUM] = "libsodium",
					    [ROUTER_CRYPTO_IPSEC_MB] = "ipsec-mb" };

enum { REOPEN_MS = 1000 };

struct running {
	uv_loop_t loop;
	struct asread asread;
	struct config_router *config; /* asread.router */
	struct workers workers;
	struct gateway *gateway; /* NULL: only tunnels of our own */
	struct state *state;
	struct reload *reload;
	struct uapi_sock *uapi;
	struct control *control;
	struct metrics *metrics;
	struct metrics_file *metrics_file;
	struct metrics_http *metrics_http;
	struct notify notify;
	struct watchdog watchdog;
	uv_signal_t on_term, on_int, on_hup;
	uv_timer_t reopen; /* of sockets that somebody has removed */
	int said_control, said_uapi; /* why they cannot be opened, once it was logged */
	bool read;  /* the folder of tenants has been, once */
	bool ready; /* the service manager has been told so, and nothing else since */
	int status;
};

/* Answers for `berth` */

static void list_peer(const struct device_peer *peer, void *arg)
{
	json_t *tenant = json_object();

	if (tenant && control_peer_json(tenant, peer)) {
		json_decref(tenant);
		tenant = NULL;
	}
	control_list_add(arg, tenant);
}

struct tunnel_listing {
	struct control_list *list;
	const char *name;
};

/* A peer of a tunnel of ours: it is listed under the tunnel's name. */
static void list_tunnel_peer(const struct device_peer *peer, void *arg)
{
	struct tunnel_listing *l = arg;
	struct device_peer named = *peer;

	named.name = l->name;
	list_peer(&named, l->list);
}

static void list_tunnel(const char *name, struct device *dev, void *arg)
{
	struct tunnel_listing l = { .list = arg, .name = name };

	device_each_peer(dev, list_tunnel_peer, &l);
}

static void list_expired(const struct config_tenant *conf, void *arg)
{
	json_t *tenant = json_object();

	if (tenant && control_expired_json(tenant, conf)) {
		json_decref(tenant);
		tenant = NULL;
	}
	control_list_add(arg, tenant);
}

enum { LIST_SLICE = 8 };

struct listing {
	bool begun;
	struct device_walk walk;
};

static int on_list(void *arg, struct control_list *list)
{
	struct listing *l = control_list_state(list, sizeof(*l));
	struct running *r = arg;
	struct device *dev = r->gateway ? gateway_device(r->gateway) : NULL;

	if (!l)
		return -ENOMEM;
	if (dev && !l->begun)
		device_walk_begin(dev, &l->walk);
	l->begun = true;
	if (dev && device_walk(dev, &l->walk, LIST_SLICE, list_peer, list))
		return 1;
	reload_each_tunnel(r->reload, list_tunnel, list);
	reload_each_expired(r->reload, list_expired, list);
	return 0;
}

struct showing {
	json_t *out;
	const char *name;
	int err;
};

static void show_peer(const struct device_peer *peer, void *arg)
{
	struct showing *s = arg;
	struct device_peer named = *peer;

	named.name = s->name;
	s->err = control_peer_json(s->out, &named);
	if (!s->err)
		s->err = control_events_json(s->out, &named);
}

static int on_show(void *arg, const char *name, json_t *tenant)
{
	struct running *r = arg;
	struct showing s = { .out = tenant, .name = name, .err = -ENOENT };
	uint8_t key[NOISE_KEY_LEN];
	struct device *dev = NULL;
	const struct config_tenant *conf = reload_tenant(r->reload, name);
	int kind = reload_find(r->reload, name, key, &dev);

	if (conf && conf->state == TENANT_EXPIRED)
		return control_expired_json(tenant, conf);
	if (kind < 0)
		return kind;
	if (kind == 0)
		dev = gateway_device(r->gateway);
	if (!dev)
		return -ENETDOWN;
	(void)device_get_peer(dev, key, show_peer, &s);
	if (!s.err && kind == 0)
		s.err = control_tenant_json(tenant, conf);
	return s.err;
}

static void show_owner(const struct device_peer *peer, void *arg)
{
	struct showing *s = arg;

	s->err = control_peer_json(s->out, peer);
}

static void list_asked(const char *name, uint64_t ago, void *arg)
{
	(void)json_array_append_new(
		arg, json_pack("{s:s, s:o}", "uplink", name, "ago", ago == UINT64_MAX ?
			       json_null() : json_integer((json_int_t)(ago / NSEC_PER_SEC))));
}

static int on_owner(void *arg, const struct prefix *address, json_t *owner)
{
	struct showing s = { .out = json_object() };
	json_t *asked = json_array();
	struct running *r = arg;
	bool answered = false;

	if (r->gateway)
		answered = uplinks_answer(gateway_uplinks(r->gateway), address->family,
					  address->addr);
	if (r->gateway && s.out)
		(void)device_get_owner(gateway_device(r->gateway), address->family, address->addr,
				       show_owner, &s);
	if (r->gateway && asked && address->family == AF_INET6)
		uplinks_each_asked(gateway_uplinks(r->gateway), address->addr, list_asked, asked);
	if (s.out && !json_object_size(s.out)) {
		json_decref(s.out);
		s.out = json_null();
	}
	/* Both are taken over, whatever becomes of them. */
	if (json_object_set_new(owner, "tenant", s.out))
		s.err = -ENOMEM;
	if (json_object_set_new(owner, "asked", asked))
		s.err = -ENOMEM;
	if (json_object_set_new(owner, "answered", json_boolean(answered)))
		s.err = -ENOMEM;
	return s.err;
}

static int on_reset_quota(void *arg, const char *name)
{
	struct running *r = arg;
	const struct config_tenant *conf = reload_tenant(r->reload, name);

	if (!conf)
		return -ENOENT;
	if (conf->kind == TENANT_TUNNEL || conf->state != TENANT_OK || !r->gateway ||
	    !device_reset_quota(gateway_device(r->gateway), conf->peers[0].public_key))
		return -ENODATA;
	state_flush(r->state);
	return 0;
}

struct naming {
	json_t *names;
	int err;
};

static void add_name(const char *name, void *arg)
{
	struct naming *n = arg;

	if (json_array_append_new(n->names, json_string(name)))
		n->err = -ENOMEM;
}

/* All, or an error: who is left out would look revoked. */
static int on_names(void *arg, json_t *names)
{
	struct naming n = { .names = names };
	struct running *r = arg;

	reload_each_name(r->reload, add_name, &n);
	return n.err;
}

static bool on_in_force(void *arg, const char *name, uint8_t public_key[NOISE_KEY_LEN])
{
	struct running *r = arg;
	struct device *dev;

	return reload_find(r->reload, name, public_key, &dev) >= 0;
}

static bool on_refused(void *arg, const char *name, char *why, size_t room)
{
	struct running *r = arg;

	return reload_refused(r->reload, name, why, room);
}

static bool on_may_come(void *arg, const char *name)
{
	struct running *r = arg;

	return reload_may_come(r->reload, name);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void tell_status(struct running *r)
{
	struct reload_counts counts;

	reload_counts(r->reload, &counts);
	notify_status(&r->notify, "%zu tenant%s and %zu tunnel%s in force, %zu file%s refused",
		      counts.tenants, plural(counts.tenants), counts.tunnels,
		      plural(counts.tunnels), counts.refused, plural(counts.refused));
}

static void on_changed(void *arg)
{
	struct running *r = arg;

	if (r->control)
		control_changed(r->control);
	if (r->ready)
		tell_status(r);
}

/* At the start, and after SIGHUP. */
static void on_read(void *arg)
{
	struct running *r = arg;

	r->read = true;
	tell_status(r);
	if (!r->ready)
		notify_send(&r->notify, "READY=1");
	r->ready = true;
}

static bool on_starting(void *arg)
{
	const struct running *r = arg;

	return !r->read;
}

static int on_release(void *arg, const char *name)
{
	struct running *r = arg;
	uint8_t key[NOISE_KEY_LEN];
	struct device *dev = NULL;
	int kind = reload_find(r->reload, name, key, &dev);

	if (kind < 0)
		return kind;
	/* Nobody holds the other side of a tunnel of ours. */
	return kind == 0 ? device_release(gateway_device(r->gateway), key) : -EALREADY;
}

static void list_uplink(const char *name, const struct neigh_stats *stats, void *arg)
{
	json_t *uplink = json_object();

	if (uplink && control_uplink_json(uplink, name, stats)) {
		json_decref(uplink);
		uplink = NULL;
	}
	/* Takes it over, and NULL for the sign that memory is short. */
	(void)json_array_append_new(arg, uplink);
}

static int add_gateway(struct running *r, json_t *status)
{
	json_t *uplinks = json_array();
	int err = json_object_set_new(status, "uplinks", uplinks) ? -ENOMEM : 0;

	if (err)
		return err;
	uplinks_each(gateway_uplinks(r->gateway), list_uplink, uplinks);
	if (json_array_size(uplinks) != r->config->n_uplinks)
		return -ENOMEM;
	return control_device_json(status, gateway_device(r->gateway),
				   workers_crypto(&r->workers));
}

static int on_status(void *arg, json_t *status)
{
	struct running *r = arg;
	struct reload_counts counts;

	reload_counts(r->reload, &counts);
	if (json_object_set_new(status, "tenants", json_integer((json_int_t)counts.tenants)) ||
	    json_object_set_new(status, "tunnels", json_integer((json_int_t)counts.tunnels)) ||
	    json_object_set_new(status, "expired", json_integer((json_int_t)counts.expired)) ||
	    json_object_set_new(status, "refused", json_integer((json_int_t)counts.refused)) ||
	    json_object_set_new(status, "revoked", json_integer((json_int_t)counts.revoked)) ||
	    json_object_set_new(status, "starting", json_boolean(!r->read)) ||
	    json_object_set_new(status, "restart_needed",
				json_boolean(asread_differs(&r->asread))))
		return -ENOMEM;
	return r->gateway ? add_gateway(r, status) : 0;
}

/* Starting */

static int read_config(struct running *r, const char *path)
{
	struct fault_list faults = { 0 };
	int err = asread_start(&r->asread, path, &faults);

	r->config = r->asread.router;
	fault_print(&faults, stderr);
	fault_list_free(&faults);
	return err;
}

static int start_workers(struct running *r)
{
	int err = workers_start(&r->workers, r->config->workers,
				crypto_names[r->config->crypto]);

	if (err == -ENOTSUP)
		log_error("%s: Crypto = %s is not for this machine: use auto", r->config->file,
			  crypto_names[r->config->crypto]);
	else if (err)
		log_error("cannot start the workers: %s", strerror(-err));
	else
		log_info("%u workers, ChaCha20-Poly1305 by %s", r->workers.n,
			 workers_crypto(&r->workers));
	return err;
}

static void on_gateway_gone(void *arg)
{
	struct running *r = arg;

	log_error("%s: the interface was deleted: stopping", r->config->name);
	r->status = 1;
	uv_stop(&r->loop);
}

static void complain_once(int *said, const char *path, int err)
{
	if (err && err != *said)
		complain_socket(path, err);
	*said = err;
}

static void on_reopen(uv_timer_t *timer);

/*
 * Without its sockets nobody could ask a router that runs, and the next one of its name would
 * take it for dead.
 */
static void reopen_soon(struct running *r, const char *path)
{
	log_warning("%s: somebody has removed this socket: it is made anew", path);
	uv_timer_start(&r->reopen, on_reopen, 0, REOPEN_MS);
}

static void on_control_gone(void *arg)
{
	struct running *r = arg;

	control_close(r->control);
	r->control = NULL;
	reopen_soon(r, r->config->control);
}

static int open_control(struct running *r)
{
	static const struct control_ops ops = { .list = on_list,
						.show = on_show,
						.owner = on_owner,
						.reset_quota = on_reset_quota,
						.names = on_names,
						.in_force = on_in_force,
						.refused = on_refused,
						.release = on_release,
						.starting = on_starting,
						.status = on_status,
						.gone = on_control_gone };
	int err = control_open(&r->control, &r->loop, r->config->control, &ops, r);

	complain_once(&r->said_control, r->config->control, err);
	return err;
}

static void on_uapi_gone(void *arg)
{
	struct running *r = arg;
	char path[UAPI_SOCK_PATH_MAX];

	uapi_sock_close(r->uapi);
	r->uapi = NULL;
	reopen_soon(r, uapi_sock_path(device_name(gateway_device(r->gateway)), path));
}

static int open_uapi(struct running *r)
{
	struct uapi_sock_options options = { .fd = -1, .gone = on_uapi_gone, .arg = r };
	struct device *dev = gateway_device(r->gateway);
	char path[UAPI_SOCK_PATH_MAX];
	int err = uapi_sock_open(&r->uapi, &r->loop, dev, &options);

	complain_once(&r->said_uapi, uapi_sock_path(device_name(dev), path), err);
	return err;
}

static void on_reopen(uv_timer_t *timer)
{
	struct running *r = timer->data;
	int err = r->control ? 0 : open_control(r);

	if (r->gateway && !r->uapi)
		err |= open_uapi(r);
	if (!err)
		uv_timer_stop(timer);
}

static void on_stop(uv_signal_t *signal, int number)
{
	struct running *r = signal->data;

	(void)number;
	r->status = 0;
	uv_stop(&r->loop);
}

static void on_reload(uv_signal_t *signal, int number)
{
	struct running *r = signal->data;

	(void)number;
	log_info("reading %s again", r->config->tenants);
	asread_complain(&r->asread);
	notify_reloading(&r->notify);
	r->ready = false;
	reload_all(r->reload);
}

static void start_signals(struct running *r)
{
	uv_signal_init(&r->loop, &r->on_term);
	uv_signal_init(&r->loop, &r->on_int);
	uv_signal_init(&r->loop, &r->on_hup);
	r->on_term.data = r->on_int.data = r->on_hup.data = r;
	uv_signal_start(&r->on_term, on_stop, SIGTERM);
	uv_signal_start(&r->on_int, on_stop, SIGINT);
	uv_signal_start(&r->on_hup, on_reload, SIGHUP);
}

static int open_metrics(struct running *r)
{
	const struct endpoint *listen = &r->config->metrics_listen;
	struct metrics_sources sources = { .workers = &r->workers,
					   .gateway = r->gateway,
					   .reload = r->reload };
	int err;

	if (!r->config->metrics && !endpoint_is_set(listen))
		return 0;
	err = metrics_open(&r->metrics, &r->loop, &sources);
	if (!err && r->config->metrics)
		err = metrics_file_open(&r->metrics_file, &r->loop, r->config->metrics,
					r->metrics);
	if (!err && endpoint_is_set(listen))
		err = metrics_http_open(&r->metrics_http, &r->loop, listen, r->metrics);
	if (err)
		log_error("cannot make metrics: %s", strerror(-err));
	return err;
}

static int start(struct running *r)
{
	int err;

	/* First of all: whoever sees a socket of ours may tell us to stop. */
	start_signals(r);
	/* Then the control socket: two routers of one configuration meet here. */
	err = open_control(r);
	if (!err)
		err = start_workers(r);
	if (!err && r->config->gateway)
		err = gateway_open(&r->gateway, &r->loop, &r->workers, r->config,
				   on_gateway_gone, r);
	if (!err && r->gateway)
		err = open_uapi(r);
	/* Known before the first tenant is read. */
	if (!err && r->gateway)
		err = state_open(&r->state, &r->loop, gateway_device(r->gateway),
				 r->config->state);
	/* What a run that was killed has left; its tunnels make it anew. */
	if (!err) {
		tunnel_routes_sweep_host();
		tunnel_dns_sweep(r->config->tenants);
		err = reload_open(&r->reload, &r->loop, &r->workers, r->config, r->gateway);
	}
	if (!err)
		state_each_known(r->state, reload_known, r->reload);
	if (!err)
		err = open_metrics(r);
	if (err)
		return err;
	reload_on_change(r->reload, on_changed, r);
	reload_on_read(r->reload, on_read, r);
	state_ask(r->state, on_may_come, r);
	watchdog_start(&r->watchdog, &r->loop, &r->notify, &r->workers);
	if (r->gateway)
		log_info("%s: listening on UDP port %u", r->config->name, r->config->listen_port);
	return 0;
}

/* Stopping: backwards, and whatever was opened only. */
static void stop(struct running *r)
{
	if (r->reload) {
		reload_on_change(r->reload, NULL, NULL);
		reload_on_read(r->reload, NULL, NULL);
		state_ask(r->state, NULL, NULL);
	}
	watchdog_stop(&r->watchdog);
	uv_close((uv_handle_t *)&r->reopen, NULL);
	control_close(r->control);
	metrics_http_close(r->metrics_http);
	metrics_file_close(r->metrics_file);
	metrics_close(r->metrics);
	if (r->reload)
		reload_close(r->reload);
	uapi_sock_close(r->uapi);
	state_close(r->state);
	if (r->gateway)
		gateway_close(r->gateway);
	if (r->workers.n)
		workers_stop(&r->workers);
	if (r->on_term.data) {
		uv_close((uv_handle_t *)&r->on_term, NULL);
		uv_close((uv_handle_t *)&r->on_int, NULL);
		uv_close((uv_handle_t *)&r->on_hup, NULL);
	}
	uv_run(&r->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&r->loop))
		log_warning("some handles of the loop were left open");
}

int router_run(const char *path)
{
	struct running r = { .status = 1 };
	int err = read_config(&r, path);

	if (err) {
		log_error("%s: not started: %s", path,
			  err == -EINVAL ? "mend what is said above" : strerror(-err));
		return 1;
	}
	/* An abstract name is out of reach afterwards. */
	notify_open(&r.notify);
	/* The last that root does: from here on there is input. */
	if (privs_router(r.config))
		goto out;
	err = uv_loop_init(&r.loop);
	if (err) {
		log_error("cannot start: %s", uv_strerror(err));
		goto out;
	}
	uv_timer_init(&r.loop, &r.reopen);
	r.reopen.data = &r;
	if (!start(&r))
		uv_run(&r.loop, UV_RUN_DEFAULT);
	notify_send(&r.notify, "STOPPING=1");
	stop(&r);
out:
	notify_close(&r.notify);
	router_free(r.config);
	return r.status;
}
