/* SPDX-License-Identifier: MIT */
/*
 * The UAPI socket of one device: where `wg` finds it. Control thread,
 * registered with RCU.
 */
#ifndef BERTH_MANAGE_UAPI_SOCK_H
#define BERTH_MANAGE_UAPI_SOCK_H

#include <uv.h>

#include "../path/device.h"
#include "uapi.h"

/* wg(8) looks for NAME.sock here and nowhere else. */
#define UAPI_SOCK_FOLDER "/var/run/wireguard"

/*
 * A request of 100,000 peers with two addresses each (wg syncconf) is about
 * 30 MB; the socket is the owner's alone.
 */
enum { UAPI_REQUEST_MAX = 64 << 20, UAPI_SOCK_PATH_MAX = 108 };

struct uapi_sock;

struct uapi_sock_options {
	const char *path; /* NULL: UAPI_SOCK_FOLDER/NAME.sock */
	int fd;           /* a listening socket that we inherited (WG_UAPI_FD); -1: none */
	unsigned flags;   /* enum uapi_flags */
	void *arg;
	/* The socket file was removed: a drop-in exits then. May be NULL. */
	void (*gone)(void *arg);
};

/* Where the socket of an interface is. Returns buf. */
const char *uapi_sock_path(const char *ifname, char buf[UAPI_SOCK_PATH_MAX]);

/*
 * Starts to answer for dev, which must live longer. Faulty requests and
 * changes that failed are logged, and what is changed of a router's tenants
 * (uapi_note.h). 0, or what lineserver.h says; nothing is logged then.
 */
must_check int uapi_sock_open(struct uapi_sock **sock, uv_loop_t *loop, struct device *dev,
			      const struct uapi_sock_options *options);

/* Removes the socket. The loop has to turn once more. NULL is fine. */
void uapi_sock_close(struct uapi_sock *sock);

#endif
