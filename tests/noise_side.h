/* SPDX-License-Identifier: MIT */
/* Two ends of a tunnel that shake hands, each step by itself, on a clock that the test turns. */
#ifndef BERTH_TESTS_NOISE_SIDE_H
#define BERTH_TESTS_NOISE_SIDE_H

#include <check.h>
#include <stdlib.h>

#include "../crypto/noise.h"
#include "../crypto/tai64n.h"

/* One end of a tunnel that has one remote: the other end. */
struct side {
	struct noise_local local;
	struct noise_remote remote;
	struct noise_upcalls up;
	uint8_t ephemeral[32]; /* what up.random gives, if inject */
	bool inject;
	uint32_t index;
};

static inline struct noise_remote *find_remote(void *arg, const uint8_t public_key[32])
{
	struct side *side = arg;

	return memcmp(side->remote.public_key, public_key, 32) ? NULL : &side->remote;
}

/* Repeatable, and good enough for a test. */
static inline void fill_random(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len--)
		*p++ = (uint8_t)(rand() >> 7);
}

static inline void side_random(void *arg, void *buf, size_t len)
{
	struct side *side = arg;

	ck_assert_uint_eq(len, 32);
	if (side->inject)
		memcpy(buf, side->ephemeral, 32);
	else
		fill_random(buf, len);
}

static inline void side_init(struct side *side, const uint8_t private_key[32], uint32_t index)
{
	memset(side, 0, sizeof(*side));
	ck_assert_int_eq(noise_local_init(&side->local, private_key), NOISE_OK);
	side->up = (struct noise_upcalls){ .arg = side, .find_remote = find_remote,
					   .random = side_random };
	side->index = index;
}

static inline void side_meet(struct side *side, const struct side *other, const uint8_t *psk)
{
	ck_assert_int_eq(noise_remote_init(&side->remote, &side->local, other->local.public_key,
					   psk), NOISE_OK);
}

/* i and r, strangers until now. */
static inline void make_pair(struct side *i, struct side *r, const uint8_t *psk)
{
	uint8_t key[32];

	fill_random(key, sizeof(key));
	side_init(i, key, 0x11111111);
	fill_random(key, sizeof(key));
	side_init(r, key, 0x22222222);
	side_meet(i, r, psk);
	side_meet(r, i, psk);
}

/* The clock of these tests ticks in seconds; tick 0 never happened. */
static inline uint64_t monotonic(unsigned tick)
{
	return tick * NSEC_PER_SEC;
}

static inline enum noise_result initiate(struct side *side, unsigned tick,
					 struct message_initiation *msg)
{
	struct timespec now = { .tv_sec = 1700000000 + (time_t)tick };
	uint8_t timestamp[12];

	tai64n_encode(timestamp, &now);
	return noise_create_initiation(&side->remote, &side->local, &side->up, side->index,
				       timestamp, msg);
}

static inline enum noise_result take_initiation(struct side *side, unsigned tick,
						const struct message_initiation *msg)
{
	struct noise_remote *sender;
	enum noise_result result;

	result = noise_consume_initiation(&side->local, &side->up, monotonic(tick), msg, &sender);
	switch (result) {
	case NOISE_OK:
	case NOISE_REPLAY:
	case NOISE_FLOOD:
		ck_assert_ptr_eq(sender, &side->remote);
		break;
	default:
		ck_assert_ptr_eq(sender, NULL);
	}
	return result;
}

static inline enum noise_result respond(struct side *side, struct message_response *msg)
{
	return noise_create_response(&side->remote, &side->up, side->index, msg);
}

static inline enum noise_result take_response(struct side *side,
					      const struct message_response *msg)
{
	return noise_consume_response(&side->remote, &side->local, msg);
}

/* Both sides have finished: the same keys, crossed, and the other's index. */
static inline void check_sessions(struct side *i, struct side *r)
{
	static const struct noise_handshake none;
	struct noise_session si, sr;

	ck_assert_int_eq(noise_begin_session(&i->remote, &si), NOISE_OK);
	ck_assert_int_eq(noise_begin_session(&r->remote, &sr), NOISE_OK);
	ck_assert_mem_eq(si.send_key, sr.recv_key, 32);
	ck_assert_mem_eq(si.recv_key, sr.send_key, 32);
	ck_assert(memcmp(si.send_key, si.recv_key, 32) != 0);
	ck_assert(si.initiator && !sr.initiator);
	ck_assert_uint_eq(si.local_index, i->index);
	ck_assert_uint_eq(si.remote_index, r->index);
	ck_assert_uint_eq(sr.local_index, r->index);
	ck_assert_uint_eq(sr.remote_index, i->index);
	ck_assert_mem_eq(&i->remote.handshake, &none, sizeof(none));
	ck_assert_mem_eq(&r->remote.handshake, &none, sizeof(none));
	ck_assert_int_eq(noise_begin_session(&i->remote, &si), NOISE_WRONG_STATE);
}

static inline void shake_hands(struct side *i, struct side *r, unsigned tick)
{
	struct message_initiation first;
	struct message_response second;

	ck_assert_int_eq(initiate(i, tick, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(r, tick, &first), NOISE_OK);
	ck_assert_int_eq(respond(r, &second), NOISE_OK);
	ck_assert_int_eq(take_response(i, &second), NOISE_OK);
	check_sessions(i, r);
}

#endif
