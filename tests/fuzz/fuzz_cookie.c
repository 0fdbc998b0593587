/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: macs and cookies, both ends of them. A message of anything gets its macs and is
 * judged at some place and time, gets a cookie, is sent again with it, and is judged again; then
 * with whatever the input changes. The input is a byte of choices, times, an address, changes, and
 * the message.
 *
 * Length: 300
 */
#include <errno.h>
#include <sodium.h>

#include "../../crypto/cookie.h"
#include "fuzz.h"

enum { HEADER_LEN = 8, MESSAGE_MAX = 200 };

struct place {
	uint8_t addr[COOKIE_ADDRESS_MAX];
	size_t len;
};

/* A worker's: it outlives checkers and keys. */
static struct cookie_epochs epochs;

static enum cookie_verdict judge(const struct cookie_checker *c, const uint8_t *msg, size_t len,
				 const struct place *at, uint64_t now)
{
	enum cookie_verdict verdict = cookie_check(c, &epochs, msg, len, at->addr, at->len, now, true);
	enum cookie_verdict quick = cookie_check(c, &epochs, msg, len, at->addr, at->len, now, false);

	/* Without mac2 asked for the verdict is the same, but never better than mac1. */
	must(quick == (verdict == COOKIE_INVALID ? COOKIE_INVALID : COOKIE_MAC1));
	return verdict;
}

/* mac2 is good for the place and the time of the cookie, and for nothing else. */
static void check_places(const struct cookie_checker *c, const uint8_t *msg, size_t len,
			 const struct place *at, uint64_t made, uint64_t now)
{
	const uint64_t age = now / COOKIE_SECRET_MAX_AGE - made / COOKIE_SECRET_MAX_AGE;
	struct place other = *at;

	must(judge(c, msg, len, at, now) == (age <= 1 ? COOKIE_MAC2 : COOKIE_MAC1));
	other.addr[at->len - 1] ^= 1; /* another port */
	must(judge(c, msg, len, &other, now) == COOKIE_MAC1);
	other = *at;
	other.addr[0] ^= 0x80;
	must(judge(c, msg, len, &other, now) == COOKIE_MAC1);
}

/* One bit of it: all behind the header is covered, mac2 by itself. */
static void check_change(const struct cookie_checker *c, uint8_t *msg, size_t len,
			 const struct place *at, uint64_t now, uint16_t bit)
{
	enum cookie_verdict before = judge(c, msg, len, at, now), after;
	size_t byte = bit / 8u % len;

	msg[byte] ^= (uint8_t)(1 << bit % 8);
	after = judge(c, msg, len, at, now);
	must(after == (byte >= len - MAC_LEN ? COOKIE_MAC1 : COOKIE_INVALID) || before != COOKIE_MAC2);
	msg[byte] ^= (uint8_t)(1 << bit % 8);
}

static void check_reply(struct cookie_maker *m, const struct message_cookie_reply *reply,
			uint16_t bit, uint64_t now)
{
	size_t from = offsetof(struct message_cookie_reply, nonce) * 8;
	struct message_cookie_reply forged = *reply;
	struct cookie_maker before = *m;

	/* Type and index are not sealed; they are the caller's to look at. */
	bit = (uint16_t)(from + bit % (sizeof(forged) * 8 - from));
	((uint8_t *)&forged)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	must(cookie_consume_reply(m, &forged, now) == -EBADMSG);
	must(!memcmp(m, &before, sizeof(before)));
	must(cookie_consume_reply(m, reply, now) == 0);
	must(cookie_consume_reply(m, reply, now) == -ENOENT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct message_cookie_reply reply;
	uint8_t choices = take_u8(&in), key[NOISE_KEY_LEN], *msg;
	uint64_t now = take_be16(&in) * NSEC_PER_SEC, later = now + take_be16(&in) * NSEC_PER_SEC / 64;
	uint16_t bit = take_be16(&in), reply_bit = take_be16(&in);
	struct place at = { .len = choices & 1 ? 18 : 6 };
	struct cookie_checker checker;
	struct cookie_maker maker;
	size_t len;

	must(sodium_init() >= 0);
	memset(key, choices, sizeof(key));
	take_bytes(&in, at.addr, at.len);
	msg = take_copy(&in, MESSAGE_MAX, &len);
	cookie_checker_init(&checker, key);
	(void)cookie_check(&checker, &epochs, msg, len, at.addr, at.len, now, true);
	if (len >= HEADER_LEN + sizeof(struct message_macs)) {
		cookie_maker_init(&maker, key);
		cookie_add_macs(&maker, msg, len, now);
		must(judge(&checker, msg, len, &at, now) == COOKIE_MAC1);
		cookie_make_reply(&checker, &epochs, msg, len, at.addr, at.len, now, &reply);
		must(!memcmp(&reply.receiver_index, msg + 4, 4));
		check_reply(&maker, &reply, reply_bit, now);
		cookie_add_macs(&maker, msg, len, now);
		check_places(&checker, msg, len, &at, now, later);
		check_change(&checker, msg, len, &at, now, bit);
		/* The maker forgets a cookie before its issuer does. */
		cookie_add_macs(&maker, msg, len, later);
		must((judge(&checker, msg, len, &at, later) == COOKIE_MAC2) ==
		     (later - now < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY));
	}
	cookie_checker_clear(&checker);
	free(msg);
	return 0;
}
