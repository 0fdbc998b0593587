/* SPDX-License-Identifier: MIT */
/* The last events of a peer: a ring that grows as they come. */
#include "events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "peer.h"

enum { ROOM_FIRST = 4 };

_Static_assert(sizeof(struct event) == 48, "thousands of them are kept");

/* The newest is at[(first + n - 1) % room]. All under peer->lock. */
struct event_ring {
	uint8_t first, n, room;
	struct event at[];
};

static const struct {
	const char *name, *text;
	enum event_word says;
} kinds[] = {
#define EVENT_KIND(id, name, text, word) { name, text, EVENT_SAYS_##word },
	EVENT_KINDS(EVENT_KIND)
#undef EVENT_KIND
};

static const char *const fields[] = {
#define EVENT_FIELD_TEXT(id, text) text,
	EVENT_FIELDS(EVENT_FIELD_TEXT)
#undef EVENT_FIELD_TEXT
};

const char *event_name(enum event_kind kind)
{
	return kinds[kind].name;
}

/* As text */

static const char *format_address(const struct event_address *a, char buf[ENDPOINT_STRLEN])
{
	struct endpoint e = { .addr6 = { .sin6_family = AF_INET6 } };

	memcpy(&e.addr6.sin6_addr, a->addr, sizeof(a->addr));
	if (IN6_IS_ADDR_V4MAPPED(&e.addr6.sin6_addr)) {
		e.addr4 = (struct sockaddr_in){ .sin_family = AF_INET };
		memcpy(&e.addr4.sin_addr, a->addr + 12, 4);
		e.addr4.sin_port = htons(a->port);
	} else {
		e.addr6.sin6_port = htons(a->port);
	}
	return endpoint_format(&e, buf);
}

static bool address_is_set(const struct event_address *a)
{
	static const struct event_address none;

	return memcmp(a, &none, sizeof(none)) != 0;
}

/* "addresses, keepalive" */
static void format_fields(uint64_t set, char *buf, size_t room)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < EVENT_FIELD_BITS && len < room; i++)
		if (set & UINT64_C(1) << i)
			len += (size_t)snprintf(buf + len, room - len, "%s%s", len ? ", " : "",
						fields[i]);
}

/* What stands behind the sentence; "" for nothing. */
static void format_word(const struct event *event, char *buf, size_t room)
{
	char from[ENDPOINT_STRLEN], to[ENDPOINT_STRLEN];

	buf[0] = '\0';
	switch (kinds[event->kind].says) {
	case EVENT_SAYS_NOTHING:
		return;
	case EVENT_SAYS_WHERE:
		if (address_is_set(&event->run.where))
			(void)snprintf(buf, room, ": %s",
				       format_address(&event->run.where, to));
		return;
	case EVENT_SAYS_WAY:
		(void)snprintf(buf, room, ": %s to %s", format_address(&event->way.from, from),
			       format_address(&event->way.to, to));
		return;
	case EVENT_SAYS_REASON:
		(void)snprintf(buf, room, ": %s", drop_text((enum drop_reason)event->reason));
		return;
	case EVENT_SAYS_FIELDS:
		(void)snprintf(buf, room, ": ");
		format_fields(event->value, buf + 2, room - 2);
		return;
	case EVENT_SAYS_BYTES:
		(void)snprintf(buf, room, ": %" PRIu64 " bytes", event->value);
		return;
	case EVENT_SAYS_PERCENT:
		(void)snprintf(buf, room, ": %" PRIu64 " %%", event->value);
		return;
	case EVENT_SAYS_BITS:
		if (event->value)
			(void)snprintf(buf, room, ": %" PRIu64 " bit/s", event->value);
		else
			(void)snprintf(buf, room, ": none");
		return;
	}
}

const char *event_text(const struct event *event, char buf[EVENT_TEXT_MAX])
{
	char word[EVENT_TEXT_MAX];

	format_word(event, word, sizeof(word));
	(void)snprintf(buf, EVENT_TEXT_MAX, "%s%.*s", kinds[event->kind].text,
		       EVENT_TEXT_MAX / 2 + 60, word);
	return buf;
}

unsigned event_count(const struct event *event, uint32_t *span)
{
	bool counted = kinds[event->kind].says == EVENT_SAYS_WHERE ||
		       kinds[event->kind].says == EVENT_SAYS_REASON;

	*span = counted ? event->run.span : 0;
	return counted ? event->run.count : 1;
}

/* The ring */

static struct event *at(struct event_ring *ring, unsigned i)
{
	return &ring->at[(ring->first + i) % ring->room];
}

/* Makes room for one more: by growing, or by forgetting the oldest. NULL: no memory. */
static struct event_ring *make_room(struct event_ring *ring)
{
	unsigned room = min(max(ring ? 2u * ring->room : 0, (unsigned)ROOM_FIRST),
			    (unsigned)EVENTS_MAX);
	struct event_ring *larger;

	if (ring && ring->n < ring->room)
		return ring;
	if (ring && ring->room == EVENTS_MAX) {
		ring->first = (uint8_t)((ring->first + 1) % ring->room);
		ring->n--;
		return ring;
	}
	larger = malloc(sizeof(*larger) + room * sizeof(larger->at[0]));
	if (!larger)
		return NULL;
	larger->first = larger->n = 0;
	larger->room = (uint8_t)room;
	for (unsigned i = 0; ring && i < ring->n; i++)
		larger->at[larger->n++] = *at(ring, i);
	free(ring);
	return larger;
}

static bool is_repeated(const struct event *event)
{
	return event->kind == EVENT_HANDSHAKE || event->kind == EVENT_UNANSWERED ||
	       event->kind == EVENT_DROPPED;
}

static bool is_alike(const struct event *a, const struct event *b)
{
	return a->kind == b->kind && a->reason == b->reason &&
	       !memcmp(&a->run.where, &b->run.where, sizeof(a->run.where));
}

/*
 * One like it, with nothing since but what repeats itself, too? Then it moves to the front
 * and counts. False: there is none.
 */
static bool repeat(struct event_ring *ring, const struct event *event)
{
	for (unsigned i = ring->n; i-- > 0 && is_repeated(at(ring, i));) {
		struct event old = *at(ring, i);
		uint64_t since;

		if (!is_alike(&old, event))
			continue;
		for (; i + 1 < ring->n; i++)
			*at(ring, i) = *at(ring, i + 1);
		/* A clock that was set back makes no span of centuries. */
		since = event->time > old.time ? (event->time - old.time + 500) / 1000 : 0;
		old.run.count++;
		old.run.span += (uint32_t)since;
		old.time = event->time;
		*at(ring, i) = old;
		return true;
	}
	return false;
}

/* event->time is filled in. */
static void note(struct peer *peer, struct event *event)
{
	struct event_ring *ring;
	struct timespec utc;

	clock_realtime(&utc);
	event->time = (uint64_t)utc.tv_sec * 1000 + (uint64_t)utc.tv_nsec / 1000000;
	pthread_mutex_lock(&peer->lock);
	ring = peer->events;
	if (atomic_load_explicit(&peer->dead, memory_order_relaxed) ||
	    (ring && is_repeated(event) && repeat(ring, event)))
		goto out;
	ring = make_room(ring);
	if (ring) {
		peer->events = ring;
		*at(ring, ring->n++) = *event;
	}
out:
	pthread_mutex_unlock(&peer->lock);
}

void peer_note(struct peer *peer, enum event_kind kind, uint64_t value)
{
	struct event event = { .kind = kind };

	if (kinds[kind].says == EVENT_SAYS_REASON) {
		event.reason = (uint8_t)value;
		event.run.count = 1;
	} else if (kinds[kind].says == EVENT_SAYS_WHERE) {
		event.run.count = 1;
	} else if (kinds[kind].says != EVENT_SAYS_WAY) {
		event.value = value;
	}
	note(peer, &event);
}

static void take_address(struct event_address *out, const struct endpoint *e)
{
	memset(out, 0, sizeof(*out));
	if (e->addr.sa_family == AF_INET) {
		out->addr[10] = out->addr[11] = 0xff;
		memcpy(out->addr + 12, &e->addr4.sin_addr, 4);
		out->port = ntohs(e->addr4.sin_port);
	} else if (e->addr.sa_family == AF_INET6) {
		memcpy(out->addr, &e->addr6.sin6_addr, 16);
		out->port = ntohs(e->addr6.sin6_port);
	}
}

void peer_note_where(struct peer *peer, enum event_kind kind, const struct endpoint *where)
{
	struct event event = { .kind = kind, .run.count = 1 };

	take_address(&event.run.where, where);
	note(peer, &event);
}

void peer_note_way(struct peer *peer, enum event_kind kind, const struct endpoint *from,
		   const struct endpoint *to)
{
	struct event event = { .kind = kind };

	take_address(&event.way.from, from);
	take_address(&event.way.to, to);
	note(peer, &event);
}

unsigned peer_events(struct peer *peer, struct event out[EVENTS_MAX])
{
	unsigned n = 0;

	pthread_mutex_lock(&peer->lock);
	if (peer->events)
		for (; n < peer->events->n; n++)
			out[n] = *at(peer->events, peer->events->n - 1 - n);
	pthread_mutex_unlock(&peer->lock);
	return n;
}
