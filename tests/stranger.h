/* SPDX-License-Identifier: MIT */
/* Somebody outside a router who makes handshake messages by hand. */
#ifndef BERTH_TESTS_STRANGER_H
#define BERTH_TESTS_STRANGER_H

#include <sodium.h>
#include <stdlib.h>

#include "../crypto/tai64n.h"
#include "../src/base/clock.h"
#include "path_lab.h"

/* An initiator made by hand: everything that home could do, and what it never would. */
struct stranger {
	struct noise_local local;
	struct noise_remote remote;
	struct cookie_maker cookie;
};

static inline void stranger_init(struct stranger *s, const uint8_t private_key[32],
			  const struct side *gate)
{
	ck_assert_int_eq(noise_local_init(&s->local, private_key), NOISE_OK);
	ck_assert_int_eq(noise_remote_init(&s->remote, &s->local, gate->public_key, NULL),
			 NOISE_OK);
	cookie_maker_init(&s->cookie, gate->public_key);
}

/* A good initiation, with the clock this much ahead. */
static inline void stranger_initiates(struct stranger *s, unsigned ahead, struct message_initiation *msg)
{
	struct noise_upcalls up = { .random = noise_random_sodium };
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	struct timespec now;

	clock_realtime(&now);
	now.tv_sec += ahead;
	tai64n_encode(timestamp, &now);
	ck_assert_int_eq(noise_create_initiation(&s->remote, &s->local, &up, 0x12345678, timestamp,
						 msg), NOISE_OK);
	cookie_add_macs(&s->cookie, msg, sizeof(*msg), clock_now());
}

/* Nothing but the macs is right. */
static inline void stranger_babbles(struct stranger *s, struct message_initiation *msg)
{
	randombytes_buf(msg, sizeof(*msg));
	msg->type = htole32(MESSAGE_INITIATION);
	cookie_add_macs(&s->cookie, msg, sizeof(*msg), clock_now());
}

/* How many packets died at the device for that reason. */
static inline uint64_t count(const struct side *side, enum drop_reason reason)
{
	return counter_read(&device_datapath(side->dev)->drops.n[reason]);
}

/* How many datagrams were waiting to be carried; they are not. */
static inline unsigned discard_sent(struct side *side)
{
	struct fake_packet *p;
	unsigned n = 0;

	for (; (p = lab_sent(side)); n++)
		free(p);
	return n;
}

#endif
