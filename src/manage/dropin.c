/* SPDX-License-Identifier: MIT */
/* In the place of wireguard-go. */
#include "dropin.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "../../tun/nlmon.h"
#include "../base/log.h"
#include "../base/poll.h"
#include "complain.h"
#include "notify.h"
#include "privs.h"
#include "uapi_sock.h"
#include "watchdog.h"

enum { DEFAULT_MTU = 1420 };

struct dropin {
	uv_loop_t loop;
	struct workers workers;
	struct device *device;
	struct uapi_sock *uapi;
	struct nlmon *mon;
	uv_poll_t mon_poll;
	uv_async_t gone;
	uv_signal_t on_term, on_int;
	struct notify notify;
	struct watchdog watchdog;
	int status;
};

static void finish(struct dropin *d, const char *why)
{
	log_info("%s: %s: stopping", device_name(d->device), why);
	d->status = 0;
	uv_stop(&d->loop);
}

static void on_socket_gone(void *arg)
{
	finish(arg, "its socket was removed");
}

static void on_device_gone(void *arg)
{
	struct dropin *d = arg;

	uv_async_send(&d->gone); /* from a worker's thread */
}

static void on_gone(uv_async_t *async)
{
	finish(async->data, "its interface was deleted");
}

static void on_signal(uv_signal_t *handle, int number)
{
	finish(handle->data, strsignal(number));
}

/* Whoever sets the interface's MTU (wg-quick does) sets that of our packets. */
static void on_link(const struct netlink_link *link, bool deleted, void *arg)
{
	struct dropin *d = arg;

	if (strcmp(link->name, device_name(d->device)))
		return;
	if (deleted)
		on_device_gone(d);
	else
		device_set_mtu(d->device, (uint16_t)min(link->mtu, (uint32_t)UINT16_MAX));
}

static void on_mon(uv_poll_t *poll, int status, int events)
{
	static const struct nlmon_callbacks callbacks = { .link = on_link };
	struct dropin *d = poll->data;

	(void)events;
	(void)!nlmon_read(d->mon, &callbacks, d);
	if (poll_go_on(poll, status, on_mon))
		log_error("%s: cannot follow the interface any more", device_name(d->device));
}

static int set_mtu(struct dropin *d)
{
	struct netlink *nl;
	int err = netlink_open(&nl, -1);
	int index;

	if (err)
		return err;
	index = netlink_link_index(nl, device_name(d->device));
	err = index < 0 ? index : netlink_link_set_mtu(nl, index, DEFAULT_MTU);
	if (!err)
		err = netlink_link_set_no_link_local(nl, index);
	netlink_close(nl);
	return err;
}

static int open_device(struct dropin *d, const struct dropin_options *options)
{
	struct device_options device = { .name = options->ifname,
					 .netns = -1,
					 .tun_fd = options->tun_fd,
					 .mtu = DEFAULT_MTU,
					 .offload = true,
					 .observer = { .arg = d, .gone = on_device_gone } };
	struct change port = { .kind = CHANGE_LISTEN_PORT };
	size_t failed;
	int err = device_open(&d->device, &d->workers, &device);

	if (err && options->tun_fd >= 0)
		log_error("WG_TUN_FD: descriptor %d cannot be used as a TUN device: %s",
			  options->tun_fd, strerror(-err));
	else if (err)
		complain_tun(options->ifname, err);
	if (err)
		return err;
	err = device_apply(d->device, &port, 1, &failed);
	if (err) {
		complain_port(options->ifname, 0, err);
		return err;
	}
	err = set_mtu(d);
	if (err)
		log_error("%s: cannot set its MTU: %s", options->ifname, strerror(-err));
	return err;
}

static int open_monitor(struct dropin *d)
{
	int err = nlmon_open(&d->mon, -1, NLMON_LINK);

	if (!err)
		err = uv_poll_init(&d->loop, &d->mon_poll, nlmon_fd(d->mon));
	if (err) {
		log_error("%s: cannot follow the interface: %s", device_name(d->device),
			  strerror(-err));
		return err;
	}
	d->mon_poll.data = d;
	return uv_poll_start(&d->mon_poll, UV_READABLE, on_mon);
}

static int open_uapi(struct dropin *d, const struct dropin_options *options)
{
	struct uapi_sock_options sock = { .fd = options->uapi_fd,
					  .flags = UAPI_MAY_TAKE,
					  .arg = d,
					  .gone = on_socket_gone };
	char path[UAPI_SOCK_PATH_MAX];
	int err = uapi_sock_open(&d->uapi, &d->loop, d->device, &sock);

	if (err && options->uapi_fd >= 0)
		log_error("WG_UAPI_FD: descriptor %d cannot be used as a listening unix socket: %s",
			  options->uapi_fd, strerror(-err));
	else if (err)
		complain_socket(uapi_sock_path(device_name(d->device), path), err);
	return err;
}

static void start_signals(struct dropin *d)
{
	uv_signal_init(&d->loop, &d->on_term);
	uv_signal_init(&d->loop, &d->on_int);
	d->on_term.data = d->on_int.data = d;
	uv_signal_start(&d->on_term, on_signal, SIGTERM);
	uv_signal_start(&d->on_int, on_signal, SIGINT);
}

static int start(struct dropin *d, const struct dropin_options *options)
{
	int err;

	/* First of all: whoever sees our socket may tell us to stop. */
	start_signals(d);
	err = workers_start(&d->workers, 0, "auto");
	if (err) {
		log_error("cannot start the workers: %s", strerror(-err));
		return err;
	}
	err = open_device(d, options);
	if (!err)
		err = open_monitor(d);
	if (!err)
		err = open_uapi(d, options);
	if (err)
		return err;
	log_info("%s: ready, ChaCha20-Poly1305 by %s", device_name(d->device),
		 workers_crypto(&d->workers));
	watchdog_start(&d->watchdog, &d->loop, &d->notify, &d->workers);
	notify_send(&d->notify, "READY=1");
	options->ready(options->arg);
	return 0;
}

static void close_if_open(uv_handle_t *handle)
{
	if (handle->data)
		uv_close(handle, NULL);
}

static void stop(struct dropin *d)
{
	watchdog_stop(&d->watchdog);
	uapi_sock_close(d->uapi);
	if (d->device)
		device_close(d->device);
	if (d->workers.n)
		workers_stop(&d->workers);
	close_if_open((uv_handle_t *)&d->on_term);
	close_if_open((uv_handle_t *)&d->on_int);
	close_if_open((uv_handle_t *)&d->mon_poll);
	close_if_open((uv_handle_t *)&d->gone);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	nlmon_close(d->mon);
	uv_loop_close(&d->loop);
}

int dropin_run(const struct dropin_options *options)
{
	struct dropin d = { .status = 1 };
	int err;

	/* An abstract name is out of reach afterwards. */
	notify_open(&d.notify);
	if (privs_dropin())
		goto out;
	err = uv_loop_init(&d.loop);
	if (!err)
		err = uv_async_init(&d.loop, &d.gone, on_gone);
	if (err) {
		log_error("cannot start: %s", uv_strerror(err));
		goto out;
	}
	d.gone.data = &d;
	if (!start(&d, options))
		uv_run(&d.loop, UV_RUN_DEFAULT);
	notify_send(&d.notify, "STOPPING=1");
	stop(&d);
out:
	notify_close(&d.notify);
	return d.status;
}
