/* SPDX-License-Identifier: MIT */
/*
 * mac1, mac2 and cookies (paper §5.3, §5.4.4, §5.4.7).
 *
 * mac1 proves that the sender knows our public key; it is asked of every handshake message.
 * mac2 proves that he receives at the address he sends from; it is asked for only under
 * load, and made with a cookie that a cookie reply has brought him.
 *
 * An address is given as bytes: the IPv4 or IPv6 address in network order, then the
 * UDP port in network order (6 or 18 bytes). The port is part of it: behind one NAT, one
 * tenant's cookie must not serve another.
 *
 * Times are monotonic nanoseconds. sodium_init() must have been called.
 */
#ifndef BERTH_CRYPTO_COOKIE_H
#define BERTH_CRYPTO_COOKIE_H

#include "blake2s.h"
#include "messages.h"

enum {
	COOKIE_SECRET_LEN = 32,
	COOKIE_ADDRESS_MAX = 18
};

/*
 * Our side of a key: checks macs and makes cookies. Constant after
 * cookie_checker_init, and thus safe on any number of threads without a lock.
 *
 * The paper has a random secret changed every two minutes, which would need a
 * writer. Here the secret of each such epoch is derived from a random one that
 * never leaves this struct: secret = Keyed-BLAKE2s(master, epoch number). Who does not know
 * master cannot tell those from random secrets.
 */
struct cookie_checker {
	struct blake2s_state mac1;   /* keyed by Hash("mac1----" || our public key) */
	struct blake2s_state master; /* keyed by the random master secret */
	uint8_t cookie_key[NOISE_KEY_LEN]; /* Hash("cookie--" || our public key) */
};

/*
 * The secrets of this epoch and of the one before, ready to use: a flood asks for them 50,000
 * times a second. All zeros to begin with; belongs to one thread, and follows whatever checker
 * it is used with. Wipe it when that is cleared.
 */
struct cookie_epochs {
	uint32_t checker[8]; /* whose they are: the beginning of its master state */
	uint64_t number;     /* of this epoch */
	struct blake2s_state secret[2]; /* of this one, of the one before */
	uint8_t nonce[COOKIE_NONCE_LEN]; /* of the last reply; begins at random, counts up */
};

enum cookie_verdict {
	COOKIE_INVALID, /* not a message for us, or damaged: drop, no answer */
	COOKIE_MAC1,    /* good mac1, mac2 not asked for or not good: under load, send a cookie */
	COOKIE_MAC2     /* both good */
};

/* Keys for our public key, and a new master secret. Control thread; also when the key changes. */
void cookie_checker_init(struct cookie_checker *c, const uint8_t public_key[NOISE_KEY_LEN]);

/* Wipes. */
void cookie_checker_clear(struct cookie_checker *c);

/*
 * Judges a handshake message of len bytes, which begins with type and sender index and
 * ends with struct message_macs; shorter ones are COOKIE_INVALID. mac2 is looked
 * at only if check_mac2 is set (else e may be NULL), since it costs up to five times what mac1
 * does; one of zeros says that the sender has no cookie (§5.4.4). Any thread, with e its own.
 *
 * A mac2 is good when made with the cookie of this epoch or of the one before. The
 * initiator uses a cookie for 115 s, so that it comes back at most one epoch later: it
 * never dies early, as it would if it were issued just before the secret changed.
 * A cookie thus lives for 120 to 240 s.
 */
must_check enum cookie_verdict cookie_check(const struct cookie_checker *c,
					    struct cookie_epochs *e, const void *msg, size_t len,
					    const uint8_t *addr, size_t addr_len, uint64_t now,
					    bool check_mac2);

/*
 * Answers a handshake message that was COOKIE_MAC1 (the same len bytes) with a cookie for
 * its sender's address. The receiver index is the message's sender index. As above.
 */
void cookie_make_reply(const struct cookie_checker *c, struct cookie_epochs *e, const void *msg,
		       size_t len, const uint8_t *addr, size_t addr_len, uint64_t now,
		       struct message_cookie_reply *out);

/*
 * What the two above are made of, with the secret and the nonce as arguments, for
 * known-answer tests.
 */
void cookie_take_secret(struct blake2s_state *secret, const uint8_t bytes[COOKIE_SECRET_LEN]);
void cookie_compute(uint8_t cookie[COOKIE_LEN], const struct blake2s_state *secret,
		    const uint8_t *addr, size_t addr_len);
void cookie_seal_reply(const struct cookie_checker *c, const uint8_t cookie[COOKIE_LEN],
		       const uint8_t nonce[COOKIE_NONCE_LEN], const void *msg, size_t len,
		       struct message_cookie_reply *out);

/* The other side of a key: makes macs for one remote. All fields: handshake thread. */
struct cookie_maker {
	uint8_t mac1_key[NOISE_KEY_LEN];   /* of the remote's public key, as above */
	uint8_t cookie_key[NOISE_KEY_LEN];
	uint8_t last_mac1[MAC_LEN];        /* of the last message sent */
	uint8_t cookie[COOKIE_LEN];
	uint64_t cookie_birth;             /* when the cookie came */
	bool has_cookie;
	bool awaits_reply;                 /* last_mac1 is set and was not answered yet */
};

void cookie_maker_init(struct cookie_maker *m, const uint8_t remote_public_key[NOISE_KEY_LEN]);

/*
 * Fills in the macs at the end of a handshake message of len bytes: mac1, and mac2 when
 * there is a cookie younger than 115 s, else zero. It is the last thing done
 * before the message is sent. Handshake thread.
 */
void cookie_add_macs(struct cookie_maker *m, void *msg, size_t len, uint64_t now);

/*
 * Takes in a cookie reply to the last message. 0; -ENOENT: nothing of ours awaits one (at
 * most one is taken for each message, so that a recorded one cannot be played twice);
 * -EBADMSG: not authentic, or for an older message. Upon failure nothing changes.
 * As the paper says (§6.6), the message is not sent again at once. Handshake thread.
 */
must_check int cookie_consume_reply(struct cookie_maker *m,
				    const struct message_cookie_reply *reply, uint64_t now);

#endif
