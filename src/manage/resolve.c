/* SPDX-License-Identifier: MIT */
/* Endpoints by name. */
#include "resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"
#include "lookup.h"

enum {
	RETRY_FIRST_MS = 1000, /* after a look-up that failed; doubled each time */
	RETRY_MAX_MS = 30000,
	AGAIN_FIRST_MS = 5000, /* between look-ups for a peer that does not answer; the same */
	AGAIN_MAX_MS = 60000,
	AGAIN_FORGET_MS = 600000, /* it has answered meanwhile: what fails now is news */
	ADDRESSES_MAX = 8
};

/* One name, the endpoint of one peer. */
struct name {
	struct name *next;
	const struct resolver *resolver; /* of which no name looks up anything once it is freed */
	struct device *dev;
	uv_timer_t retry;
	struct lookup *lookup; /* NULL: none is under way */
	uint64_t delay;        /* ms: until the next try when this one fails */
	uint64_t asked, pause; /* ms of the loop: the last look-up; how long none is due after it */
	bool unanswered;       /* the look-up under way is for another address */
	bool known;            /* it was looked up once */
	int said;              /* EAI_* that was logged last; 0: it is known */
	struct endpoint found[ADDRESSES_MAX]; /* in the order of the resolver */
	unsigned n_found;
	char *host, *port;
	char tenant[TENANT_NAME_MAX + 1];
	uint8_t public_key[NOISE_KEY_LEN];
};

struct resolver {
	struct name *names;
	void (*given)(void *arg);
	void *arg;
};

static void name_free(struct name *n)
{
	free(n->host);
	free(n->port);
	free(n);
}

static void on_closed(uv_handle_t *handle)
{
	name_free(handle->data);
}

/* What matters of a peer. */
struct place {
	struct endpoint endpoint;
	bool silent;
};

static void read_peer(const struct device_peer *peer, void *arg)
{
	*(struct place *)arg = (struct place){ .endpoint = peer->endpoint,
					       .silent = peer->silent };
}

static bool get_peer(const struct name *n, struct place *out)
{
	return device_get_peer(n->dev, n->public_key, read_peer, out);
}

static void give(struct name *n, const struct endpoint *endpoint, bool attempt)
{
	struct change c = { .kind = CHANGE_PEER,
			    .flags = PEER_UPDATE_ONLY | PEER_HAS_ENDPOINT,
			    .endpoint = *endpoint };
	char text[ENDPOINT_STRLEN];
	size_t failed;
	int err;

	memcpy(c.key, n->public_key, sizeof(c.key));
	err = device_apply(n->dev, &c, 1, &failed);
	if (err) {
		log_event(LOG_LEVEL_ERROR, n->tenant, "failed", strerror(-err),
			  "tunnel %s: %s", n->tenant, strerror(-err));
		return;
	}
	log_event(LOG_LEVEL_INFO, n->tenant, "endpoint", NULL,
		  "tunnel %s: %s is %s", n->tenant, n->host, endpoint_format(endpoint, text));
	device_hello(n->dev, n->public_key, attempt);
	if (n->resolver->given)
		n->resolver->given(n->resolver->arg);
}

/* The place of the address among those found, or n_found. */
static unsigned find(const struct name *n, const struct endpoint *endpoint)
{
	unsigned i = 0;

	while (i < n->n_found && !endpoint_same_remote(&n->found[i], endpoint))
		i++;
	return i;
}

/*
 * The best one, unless that is where nobody has answered: then the next one. When the
 * peer is heard from anywhere, that is where it is.
 */
static void choose(struct name *n)
{
	bool first = !n->known;
	struct place peer;
	unsigned at;

	if (!n->n_found || !get_peer(n, &peer))
		return;
	n->known = true;
	at = find(n, &peer.endpoint);
	if (at == n->n_found && (first || peer.silent))
		give(n, &n->found[0], !first);
	else if (peer.silent && n->unanswered && n->n_found > 1)
		give(n, &n->found[(at + 1) % n->n_found], true);
}

static void keep(struct name *n, const struct addrinfo *found)
{
	n->n_found = 0;
	for (; found && n->n_found < ADDRESSES_MAX; found = found->ai_next) {
		struct endpoint e = { 0 };

		if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
			continue;
		memcpy(&e.addr6, found->ai_addr,
		       min((size_t)found->ai_addrlen, sizeof(e.addr6)));
		if (find(n, &e) == n->n_found)
			n->found[n->n_found++] = e;
	}
}

static void start(uv_timer_t *timer); /* calls on_found, which calls it again */

static void try_later(struct name *n)
{
	uv_timer_start(&n->retry, start, n->delay, 0);
	n->delay = min(2 * n->delay, (uint64_t)RETRY_MAX_MS);
}

static void on_found(void *arg, int error, const struct addrinfo *found)
{
	struct name *n = arg;

	n->lookup = NULL;
	if (error) {
		if (error != n->said)
			log_event(LOG_LEVEL_WARNING, n->tenant, "unresolved", gai_strerror(error),
				  "tunnel %s: endpoint %s: %s; trying again in %llu s and on",
				  n->tenant, n->host, gai_strerror(error),
				  (unsigned long long)(n->delay / 1000));
		n->said = error;
		/* Where it was known before, those are tried in turn meanwhile. */
		try_later(n);
	} else {
		n->said = 0;
		n->delay = RETRY_FIRST_MS;
		keep(n, found);
	}
	choose(n);
	n->unanswered = false;
}

static void start(uv_timer_t *timer)
{
	struct name *n = timer->data;

	if (n->lookup)
		return;
	n->asked = uv_now(timer->loop);
	if (lookup_start(&n->lookup, timer->loop, n->host, n->port, on_found, n))
		try_later(n);
}

static void on_unanswered(struct name *n)
{
	uint64_t now = uv_now(n->retry.loop);
	struct place peer;

	if (!get_peer(n, &peer) || !peer.silent)
		return;
	n->unanswered = true;
	if (now - n->asked >= AGAIN_FORGET_MS)
		n->pause = 0;
	if (!n->lookup && now - n->asked >= n->pause) {
		n->pause = n->pause ? min(2 * n->pause, (uint64_t)AGAIN_MAX_MS) : AGAIN_FIRST_MS;
		start(&n->retry);
	} else {
		choose(n);
		n->unanswered = false;
	}
}

void resolver_unanswered(struct resolver *r)
{
	for (struct name *n = r ? r->names : NULL; n; n = n->next)
		on_unanswered(n);
}

void resolver_retry(struct resolver *r)
{
	for (struct name *n = r ? r->names : NULL; n; n = n->next) {
		n->pause = 0;
		if (!uv_is_active((uv_handle_t *)&n->retry))
			continue;
		n->delay = RETRY_FIRST_MS;
		uv_timer_stop(&n->retry);
		start(&n->retry);
	}
}

/* "host:port", already known to be well-formed and no number. */
static int add_name(struct resolver *r, uv_loop_t *loop, struct device *dev, const char *tenant,
		    const struct config_peer *peer)
{
	const char *colon = strrchr(peer->endpoint, ':');
	struct name *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->host = colon ? strndup(peer->endpoint, (size_t)(colon - peer->endpoint)) : NULL;
	n->port = colon ? strdup(colon + 1) : NULL;
	if (!n->host || !n->port) {
		name_free(n);
		return -ENOMEM;
	}
	memcpy(n->public_key, peer->public_key, sizeof(n->public_key));
	snprintf(n->tenant, sizeof(n->tenant), "%s", tenant);
	n->resolver = r;
	n->dev = dev;
	n->delay = RETRY_FIRST_MS;
	uv_timer_init(loop, &n->retry);
	n->retry.data = n;
	n->next = r->names;
	r->names = n;
	start(&n->retry);
	return 0;
}

int resolver_new(struct resolver **out, uv_loop_t *loop, struct device *dev,
		 const struct config_tenant *conf, void (*given)(void *arg), void *arg)
{
	struct resolver *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (!r)
		return -ENOMEM;
	*r = (struct resolver){ .given = given, .arg = arg };
	for (size_t i = 0; i < conf->n_peers; i++) {
		const struct config_peer *peer = &conf->peers[i];
		struct endpoint number;
		int err;

		if (!peer->endpoint || tenant_peer_endpoint(peer, &number))
			continue;
		err = add_name(r, loop, dev, conf->name, peer);
		if (err) {
			resolver_free(r);
			return err;
		}
	}
	if (!r->names) {
		free(r);
		return 0;
	}
	*out = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	struct name *n = r ? r->names : NULL;

	while (n) {
		struct name *next = n->next;

		lookup_abandon(n->lookup);
		uv_close((uv_handle_t *)&n->retry, on_closed);
		n = next;
	}
	free(r);
}
