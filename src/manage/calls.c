/* SPDX-License-Identifier: MIT */
/* Calls the tenants that were there before the restart. */
#include "calls.h"

#include <errno.h>
#include <stdlib.h>

#include "../base/log.h"

static void forget_called(struct calls *c)
{
	free(c->keys);
	c->keys = NULL;
	c->n = c->room = c->next = 0;
}

static void on_tick(uv_timer_t *timer)
{
	struct calls *c = timer->data;

	for (int i = 0; i < CALLS_PER_TICK && c->next < c->n; i++) {
		if (device_call(c->device, c->keys[c->next]) == -EAGAIN)
			return; /* the next tick tries again */
		c->next++;
	}
	if (c->next < c->n)
		return;
	log_debug("%zu tenants called", c->n);
	forget_called(c);
	uv_timer_stop(timer);
}

void calls_init(struct calls *c, uv_loop_t *loop, struct device *device)
{
	*c = (struct calls){ .device = device };
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
}

void calls_add(struct calls *c, const uint8_t public_key[NOISE_KEY_LEN])
{
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		uint8_t (*grown)[NOISE_KEY_LEN] = reallocarray(c->keys, room, sizeof(*grown));

		if (!grown)
			return;
		c->keys = grown;
		c->room = room;
	}
	memcpy(c->keys[c->n++], public_key, NOISE_KEY_LEN);
	if (!uv_is_active((uv_handle_t *)&c->timer))
		uv_timer_start(&c->timer, on_tick, CALLS_TICK_MS, CALLS_TICK_MS);
}

void calls_close(struct calls *c, uv_close_cb closed)
{
	forget_called(c);
	uv_close((uv_handle_t *)&c->timer, closed);
}
