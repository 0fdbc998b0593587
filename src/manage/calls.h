/* SPDX-License-Identifier: MIT */
/*
 * Calls the tenants that were there before the restart, so that they have a session
 * before anybody wants to reach them. Each is called once: who is not there comes by
 * himself, or is called again when there is a packet for him.
 *
 * A tenant behind NAT is where it was as long as the NAT remembers the mapping, which is
 * between half a minute and a few for UDP: longer than a restart takes. After that
 * the call is lost, and only the tenant itself can begin.
 *
 * 500 a second, by one timer: less than a tenth of what the handshake thread can do, so
 * that ten thousand are called in 20 s while those who come by themselves find it free.
 * When these come in such numbers that its queue fills, the calls wait.
 */
#ifndef BERTH_MANAGE_CALLS_H
#define BERTH_MANAGE_CALLS_H

#include <uv.h>

#include "../path/device.h"

enum { CALLS_PER_TICK = 10, CALLS_TICK_MS = 20 };

struct calls {
	uv_timer_t timer;
	struct device *device;
	uint8_t (*keys)[NOISE_KEY_LEN]; /* to be called, from number next on */
	size_t n, room, next;
};

void calls_init(struct calls *c, uv_loop_t *loop, struct device *device);

/* The peer will be called, if it is still there then. Without memory it is not. */
void calls_add(struct calls *c, const uint8_t public_key[NOISE_KEY_LEN]);

/* Calls nobody any more; c must live until closed was called. */
void calls_close(struct calls *c, uv_close_cb closed);

#endif
