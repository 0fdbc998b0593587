/* SPDX-License-Identifier: MIT */
/* One text of all metrics, made a slice at a time. */
#include "metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "metrics_tables.h"

enum {
	SLICE_PEERS = 32,        /* between two looks at the clock */
	SLICE_NS = 200 * 1000    /* an answer to a neighbour is to take less than a millisecond */
};

struct metrics {
	struct metrics_sources sources;
	uv_idle_t idle;  /* runs while a text is being made, or is to be handed out */
	uv_timer_t stale;
	unsigned n_handles; /* open in libuv; the last one to close frees */
	struct metrics_asker *askers;
	struct metrics_text *text; /* the last one, while it is fresh */

	/* of the pass that is going on */
	bool passing;
	struct device_walk walk;
	struct rope *families; /* of tenants */
	struct metrics_sums sums;
};

static void text_free(struct metrics_text *text)
{
	rope_free(&text->rope);
	free(text);
}

void metrics_text_put(struct metrics_text *text)
{
	if (text && !--text->refs)
		text_free(text);
}

/* Handing out */

static void hand_out(struct metrics *m)
{
	struct metrics_asker *asker = m->askers;

	/* Whoever asks again within done() is a new one. */
	m->askers = NULL;
	while (asker) {
		struct metrics_asker *next = asker->next;

		if (m->text)
			m->text->refs++;
		asker->next = NULL;
		asker->done(asker, m->text);
		asker = next;
	}
}

static void forget_text(struct metrics *m)
{
	metrics_text_put(m->text);
	m->text = NULL;
}

static void on_stale(uv_timer_t *timer)
{
	forget_text(timer->data);
}

/* A pass */

static struct device *device_of(const struct metrics *m)
{
	return m->sources.gateway ? gateway_device(m->sources.gateway) : NULL;
}

static void begin_pass(struct metrics *m)
{
	m->passing = true;
	m->sums = (struct metrics_sums){ 0 };
	metrics_tenant_heads(m->families);
	if (device_of(m))
		device_walk_begin(device_of(m), &m->walk);
}

static void add_peer(const struct device_peer *peer, void *arg)
{
	struct metrics *m = arg;

	m->sums.tenants++;
	m->sums.connected += peer->session;
	metrics_tenant_add(m->families, peer);
}

/* A tunnel of our own is one tenant, however many peers it has. */
static void add_up(const struct device_peer *peer, void *arg)
{
	struct device_peer *sum = arg;

	sum->session |= peer->session;
	if (peer->last_handshake.tv_sec > sum->last_handshake.tv_sec)
		sum->last_handshake = peer->last_handshake;
	sum->rx_bytes += peer->rx_bytes;
	sum->rx_packets += peer->rx_packets;
	sum->tx_bytes += peer->tx_bytes;
	sum->tx_packets += peer->tx_packets;
	sum->endpoint_changes += peer->endpoint_changes;
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		sum->drops[i] += peer->drops[i];
}

static void add_tunnel(const char *name, struct device *dev, void *arg)
{
	struct device_peer sum = { .name = name };
	struct metrics *m = arg;

	device_each_peer(dev, add_up, &sum);
	metrics_tenant_add(m->families, &sum);
}

static void end_pass(struct metrics *m, uint64_t began)
{
	struct metrics_text *text = calloc(1, sizeof(*text));
	struct rope whole = { 0 };

	if (m->sources.reload)
		reload_each_tunnel(m->sources.reload, add_tunnel, m);
	m->sums.took += uv_hrtime() - began;
	metrics_router_add(&whole, &m->sources, &m->sums);
	for (unsigned i = 0; i < metrics_n_tenant_families; i++)
		rope_join(&whole, &m->families[i]);
	m->passing = false;
	/* A part would look as if the others were gone. */
	if (!text || whole.failed) {
		rope_free(&whole);
		free(text);
		return;
	}
	text->rope = whole;
	text->refs = 1;
	m->text = text;
	(void)uv_timer_start(&m->stale, on_stale, METRICS_FRESH_MS, 0);
}

/* True: there is more to do. */
static bool slice(struct metrics *m)
{
	uint64_t began = uv_hrtime();
	struct device *dev = device_of(m);
	bool more = dev != NULL;

	while (more && uv_hrtime() - began < SLICE_NS)
		more = device_walk(dev, &m->walk, SLICE_PEERS, add_peer, m);
	if (more)
		m->sums.took += uv_hrtime() - began;
	else
		end_pass(m, began);
	return more;
}

static void on_idle(uv_idle_t *idle)
{
	struct metrics *m = idle->data;

	if (!m->text) {
		if (!m->passing)
			begin_pass(m);
		if (slice(m))
			return;
	}
	uv_idle_stop(idle);
	hand_out(m);
}

void metrics_ask(struct metrics *m, struct metrics_asker *asker)
{
	asker->next = m->askers;
	m->askers = asker;
	uv_idle_start(&m->idle, on_idle);
}

void metrics_leave(struct metrics *m, struct metrics_asker *asker)
{
	struct metrics_asker **link = &m->askers;

	while (*link && *link != asker)
		link = &(*link)->next;
	if (*link)
		*link = asker->next;
}

/* Life */

int metrics_open(struct metrics **out, uv_loop_t *loop, const struct metrics_sources *sources)
{
	struct metrics *m = calloc(1, sizeof(*m));

	*out = NULL;
	if (!m)
		return -ENOMEM;
	m->families = calloc(metrics_n_tenant_families, sizeof(*m->families));
	if (!m->families) {
		free(m);
		return -ENOMEM;
	}
	m->sources = *sources;
	uv_idle_init(loop, &m->idle);
	uv_timer_init(loop, &m->stale);
	m->idle.data = m->stale.data = m;
	m->n_handles = 2;
	*out = m;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct metrics *m = handle->data;

	if (--m->n_handles)
		return;
	for (unsigned i = 0; i < metrics_n_tenant_families; i++)
		rope_free(&m->families[i]);
	free(m->families);
	free(m);
}

void metrics_close(struct metrics *m)
{
	if (!m)
		return;
	forget_text(m);
	hand_out(m);
	uv_close((uv_handle_t *)&m->idle, on_closed);
	uv_close((uv_handle_t *)&m->stale, on_closed);
}
