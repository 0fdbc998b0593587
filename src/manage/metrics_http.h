/* SPDX-License-Identifier: MIT */
/*
 * GET /metrics, for Prometheus (MetricsListen). HTTP is libmicrohttpd's, which runs on
 * our loop: its descriptors are polled there, so that nothing here needs a lock, and the
 * text it sends is made there, too (metrics.h).
 *
 * Few clients at a time, a small buffer for each, and none that is slow stays: whoever
 * may connect can make berthd speak, but neither grow nor wait. Control thread.
 */
#ifndef BERTH_MANAGE_METRICS_HTTP_H
#define BERTH_MANAGE_METRICS_HTTP_H

#include "../base/endpoint.h"
#include "metrics.h"

enum {
	METRICS_HTTP_CLIENTS_MAX = 16,
	METRICS_HTTP_PATIENCE_S = 10, /* with a client that says or takes nothing */
	METRICS_HTTP_BUFFER = 16 << 10, /* of each: the longest request */
	METRICS_HTTP_AGAIN_S = 15,
	METRICS_HTTP_SHORT_MS = 1000 /* without descriptors for a client */
};

struct metrics_http;

/*
 * Listens at that address, which this machine need not have yet. If it is taken, that is
 * one line in the log, and tried again: packets are carried without metrics, too. 0 or
 * -ENOMEM. m must live as long.
 */
must_check int metrics_http_open(struct metrics_http **out, uv_loop_t *loop,
				 const struct endpoint *listen, struct metrics *m);

/* Hangs up on everybody. The loop turns once more. NULL is fine. */
void metrics_http_close(struct metrics_http *http);

#endif
