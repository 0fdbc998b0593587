/* SPDX-License-Identifier: MIT */
/*
 * Endpoints by name: looked up without blocking anything, again while the look-up
 * fails, and again when the peer does not answer: its address may have changed, or it
 * has several (IPv6 and IPv4) of which only another one works. They are then tried in
 * turn. Endpoints that are numbers need none of this. Control thread.
 */
#ifndef BERTH_MANAGE_RESOLVE_H
#define BERTH_MANAGE_RESOLVE_H

#include <uv.h>

#include "../config/tenant.h"
#include "../path/device.h"

struct resolver;

/*
 * Looks up the endpoints of the tunnel's peers that are names, and gives them
 * to the device as they become known, and says so by given (NULL: nobody wants to
 * know). *out is NULL when there are none. The device must outlive the resolver. 0 or
 * -errno.
 */
must_check int resolver_new(struct resolver **out, uv_loop_t *loop, struct device *dev,
			    const struct config_tenant *conf, void (*given)(void *arg), void *arg);

/* Some peer of the device does not answer (device_observer.unanswered). NULL is fine. */
void resolver_unanswered(struct resolver *r);

/* The network is another one: names that could not be looked up are tried at once. NULL is fine. */
void resolver_retry(struct resolver *r);

/* Ends all look-ups; nothing is given to the device any more. NULL is fine. */
void resolver_free(struct resolver *r);

#endif
