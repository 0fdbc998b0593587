/* SPDX-License-Identifier: MIT */
/* The UAPI socket: requests of `wg` to changes of a device. */
#include "uapi_sock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"
#include "lineserver.h"
#include "uapi_note.h"

struct uapi_sock {
	struct lineserver *server;
	struct device *dev;
	unsigned flags;
	void (*gone)(void *arg);
	void *arg;
};

static void add_peer(const struct device_peer *peer, void *arg)
{
	uapi_format_peer(arg, peer);
}

/* "get=1" and nothing else; wireguard-go is as strict. */
static int get(struct uapi_sock *sock, size_t len, struct text *answer)
{
	struct device_info info;

	if (len != strlen("get=1"))
		return -EINVAL;
	device_get(sock->dev, &info);
	uapi_format_device(answer, &info);
	sodium_memzero(&info, sizeof(info));
	device_each_peer(sock->dev, add_peer, answer);
	return 0;
}

static int set(struct uapi_sock *sock, const char *text, size_t len)
{
	struct change_list changes = { 0 };
	struct uapi_note *note = NULL;
	struct uapi_fault fault;
	char words[UAPI_FAULT_STRLEN], why[DEVICE_WHY_STRLEN];
	size_t failed = 0;
	int err = uapi_parse_set(&changes, text, len, sock->flags, &fault);

	if (err) {
		log_warning("%s: UAPI request refused, %s", device_name(sock->dev),
			    uapi_fault_format(&fault, words));
		return err;
	}
	/* A drop-in has no files that would say something else. */
	if (!(sock->flags & UAPI_MAY_TAKE))
		note = uapi_note_take(sock->dev, changes.changes, changes.n);
	err = device_apply(sock->dev, changes.changes, changes.n, &failed);
	/* Nothing of it was done, so that the answer is still the same. */
	if (err && !device_refuses(sock->dev, changes.changes, changes.n, failed, why))
		(void)snprintf(why, sizeof(why), "%s", strerror(-err));
	if (err)
		log_warning("%s: UAPI request failed at %s: %s", device_name(sock->dev),
			    uapi_change_format(&changes.changes[failed], words), why);
	uapi_note_say(note);
	change_list_free(&changes);
	return err;
}

static bool on_request(void *arg, char *text, size_t len, struct text *answer)
{
	struct uapi_sock *sock = arg;
	int err = -EPROTO;

	switch (uapi_request_kind(text, len)) {
	case UAPI_GET:
		err = get(sock, len, answer);
		break;
	case UAPI_SET:
		err = set(sock, text, len);
		break;
	case UAPI_UNKNOWN:
		log_warning("%s: UAPI request that is neither get=1 nor set=1",
			    device_name(sock->dev));
		break;
	}
	uapi_format_end(answer, err);
	/* Whoever speaks another protocol may be at any place in it. */
	return err != -EPROTO;
}

static void on_too_long(void *arg, struct text *answer)
{
	struct uapi_sock *sock = arg;

	log_warning("%s: UAPI request of more than %d bytes refused", device_name(sock->dev),
		    UAPI_REQUEST_MAX);
	uapi_format_end(answer, -EMSGSIZE);
}

static void on_gone(void *arg)
{
	struct uapi_sock *sock = arg;

	if (sock->gone)
		sock->gone(sock->arg);
}

const char *uapi_sock_path(const char *ifname, char buf[UAPI_SOCK_PATH_MAX])
{
	(void)snprintf(buf, UAPI_SOCK_PATH_MAX, UAPI_SOCK_FOLDER "/%s.sock", ifname);
	return buf;
}

int uapi_sock_open(struct uapi_sock **out, uv_loop_t *loop, struct device *dev,
		   const struct uapi_sock_options *options)
{
	static const struct lineserver_ops ops = { .end = "\n\n",
						   .max = UAPI_REQUEST_MAX,
						   .request = on_request,
						   .too_long = on_too_long,
						   .gone = on_gone };
	struct uapi_sock *sock = calloc(1, sizeof(*sock));
	char path[UAPI_SOCK_PATH_MAX];
	int err;

	*out = NULL;
	if (!sock)
		return -ENOMEM;
	sock->dev = dev;
	sock->flags = options->flags;
	sock->gone = options->gone;
	sock->arg = options->arg;
	if (options->fd >= 0)
		err = lineserver_adopt(&sock->server, loop, options->fd, &ops, sock);
	else
		err = lineserver_open(&sock->server, loop,
				      options->path ? options->path
						    : uapi_sock_path(device_name(dev), path),
				      &ops, sock);
	if (err) {
		free(sock);
		return err;
	}
	*out = sock;
	return 0;
}

void uapi_sock_close(struct uapi_sock *sock)
{
	if (!sock)
		return;
	lineserver_close(sock->server);
	free(sock);
}
