/* SPDX-License-Identifier: MIT */
/*
 * uv_poll_t goes on after an error. libuv stops polling a descriptor that reports one
 * (EPOLLERR), which to a socket is nothing but news: netlink events were lost, a
 * datagram found a closed port. The error is gone once somebody has read it.
 */
#ifndef BERTH_BASE_POLL_H
#define BERTH_BASE_POLL_H

#include <uv.h>

#include "../base.h"

/*
 * At the end of a callback with that status, after reading from the descriptor. 0,
 * or a negative errno: it is polled no more. The loop's thread.
 */
static inline int poll_go_on(uv_poll_t *poll, int status, uv_poll_cb callback)
{
	return status < 0 ? uv_poll_start(poll, UV_READABLE, callback) : 0;
}

#endif
