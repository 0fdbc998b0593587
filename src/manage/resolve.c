/* SPDX-License-Identifier: MIT */
/* Endpoints by name. */
#include "resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"

enum {
	RETRY_FIRST_MS = 1000,
	RETRY_MAX_MS = 30000
};

/*
 * One name. Freed when neither its look-up nor its timer can call back any
 * more; resolver_free() only cuts it off from the device.
 */
struct lookup {
	struct lookup *next;
	struct device *dev; /* NULL: nobody waits for the answer */
	uv_getaddrinfo_t request;
	uv_timer_t retry;
	uint64_t delay;
	bool running;  /* the request will call back */
	bool closing;
	char *host, *port;
	char tenant[TENANT_NAME_MAX + 1];
	uint8_t public_key[NOISE_KEY_LEN];
};

struct resolver {
	struct lookup *lookups;
};

static void lookup_free(struct lookup *l)
{
	free(l->host);
	free(l->port);
	free(l);
}

static void on_closed(uv_handle_t *handle)
{
	struct lookup *l = handle->data;

	if (l->running)
		l->closing = false; /* the request's callback frees */
	else
		lookup_free(l);
}

static void give(struct lookup *l, const struct addrinfo *found)
{
	struct change c = { .kind = CHANGE_PEER,
			    .flags = PEER_UPDATE_ONLY | PEER_HAS_ENDPOINT };
	char text[ENDPOINT_STRLEN];
	size_t failed;
	int err;

	memcpy(c.key, l->public_key, sizeof(c.key));
	memcpy(&c.endpoint.addr6, found->ai_addr,
	       min((size_t)found->ai_addrlen, sizeof(c.endpoint.addr6)));
	err = device_apply(l->dev, &c, 1, &failed);
	if (err)
		log_error("tunnel %s: %s", l->tenant, strerror(-err));
	else
		log_info("tunnel %s: %s is %s", l->tenant, l->host,
			 endpoint_format(&c.endpoint, text));
}

static void start(uv_timer_t *timer); /* calls on_found, which calls it again */

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct lookup *l = container_of(request, struct lookup, request);

	l->running = false;
	if (!l->dev) {
		uv_freeaddrinfo(found);
		if (!l->closing)
			lookup_free(l);
		return;
	}
	if (!status && found) {
		give(l, found);
	} else {
		log_warning("tunnel %s: endpoint %s: %s; trying again in %llu s", l->tenant,
			    l->host, uv_strerror(status),
			    (unsigned long long)(l->delay / 1000));
		uv_timer_start(&l->retry, start, l->delay, 0);
		l->delay = min(2 * l->delay, (uint64_t)RETRY_MAX_MS);
	}
	uv_freeaddrinfo(found);
}

static void start(uv_timer_t *timer)
{
	struct lookup *l = timer->data;
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP };

	l->running = !uv_getaddrinfo(timer->loop, &l->request, on_found, l->host, l->port, &hints);
	if (!l->running)
		uv_timer_start(timer, start, l->delay, 0);
}

/* "host:port", already known to be well-formed and no number. */
static int add_lookup(struct resolver *r, uv_loop_t *loop, struct device *dev, const char *tenant,
		      const struct config_peer *peer)
{
	const char *colon = strrchr(peer->endpoint, ':');
	struct lookup *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->host = colon ? strndup(peer->endpoint, (size_t)(colon - peer->endpoint)) : NULL;
	l->port = colon ? strdup(colon + 1) : NULL;
	if (!l->host || !l->port) {
		lookup_free(l);
		return -ENOMEM;
	}
	memcpy(l->public_key, peer->public_key, sizeof(l->public_key));
	snprintf(l->tenant, sizeof(l->tenant), "%s", tenant);
	l->dev = dev;
	l->delay = RETRY_FIRST_MS;
	uv_timer_init(loop, &l->retry);
	l->retry.data = l;
	l->next = r->lookups;
	r->lookups = l;
	start(&l->retry);
	return 0;
}

int resolver_new(struct resolver **out, uv_loop_t *loop, struct device *dev,
		 const struct config_tenant *conf)
{
	struct resolver *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (!r)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_peers; i++) {
		const struct config_peer *peer = &conf->peers[i];
		struct endpoint number;
		int err;

		if (!peer->endpoint || tenant_peer_endpoint(peer, &number))
			continue;
		err = add_lookup(r, loop, dev, conf->name, peer);
		if (err) {
			resolver_free(r);
			return err;
		}
	}
	if (!r->lookups) {
		free(r);
		return 0;
	}
	*out = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	struct lookup *l = r ? r->lookups : NULL;

	while (l) {
		struct lookup *next = l->next;

		l->dev = NULL;
		l->closing = true;
		if (l->running)
			uv_cancel((uv_req_t *)&l->request);
		uv_close((uv_handle_t *)&l->retry, on_closed);
		l = next;
	}
	free(r);
}
