/* SPDX-License-Identifier: MIT */
/* mac1, mac2 and cookies: the cheap questions before the expensive handshake. */
#include "cookie.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>

enum {
	LABEL_LEN = 8,
	/* type and sender index, where initiation and response are alike, and the macs */
	SENDER_INDEX_OFFSET = offsetof(struct message_initiation, sender_index),
	MESSAGE_MIN = SENDER_INDEX_OFFSET + sizeof(le32) + sizeof(struct message_macs)
};

_Static_assert(offsetof(struct message_response, sender_index) == SENDER_INDEX_OFFSET,
	       "a cookie reply takes its receiver index from either message");

static const char label_mac1[LABEL_LEN + 1] = "mac1----";
static const char label_cookie[LABEL_LEN + 1] = "cookie--";

/* Hash(label || public_key), §5.4.4 and §5.4.7. */
static void derive_key(uint8_t key[NOISE_KEY_LEN], const char *label,
		       const uint8_t public_key[NOISE_KEY_LEN])
{
	struct blake2s_state st;

	blake2s_init(&st, NOISE_KEY_LEN);
	blake2s_update(&st, label, LABEL_LEN);
	blake2s_update(&st, public_key, NOISE_KEY_LEN);
	blake2s_final(&st, key);
}

/* Where the macs are; messages need not be aligned. */
static size_t mac1_offset(size_t len)
{
	return len - sizeof(struct message_macs);
}

static size_t mac2_offset(size_t len)
{
	return len - MAC_LEN;
}

void cookie_checker_init(struct cookie_checker *c, const uint8_t public_key[NOISE_KEY_LEN])
{
	uint8_t mac1_key[NOISE_KEY_LEN];
	uint8_t master[COOKIE_SECRET_LEN];

	derive_key(mac1_key, label_mac1, public_key);
	derive_key(c->cookie_key, label_cookie, public_key);
	randombytes_buf(master, sizeof(master));

	blake2s_init_key(&c->mac1, MAC_LEN, mac1_key, sizeof(mac1_key));
	blake2s_prime(&c->mac1);
	blake2s_init_key(&c->master, COOKIE_SECRET_LEN, master, sizeof(master));
	blake2s_prime(&c->master);

	sodium_memzero(mac1_key, sizeof(mac1_key));
	sodium_memzero(master, sizeof(master));
}

void cookie_checker_clear(struct cookie_checker *c)
{
	sodium_memzero(c, sizeof(*c));
}

void cookie_take_secret(struct blake2s_state *secret, const uint8_t bytes[COOKIE_SECRET_LEN])
{
	blake2s_init_key(secret, COOKIE_LEN, bytes, COOKIE_SECRET_LEN);
	blake2s_prime(secret);
}

/* Mac(secret, address), §5.4.7. */
void cookie_compute(uint8_t cookie[COOKIE_LEN], const struct blake2s_state *secret,
		    const uint8_t *addr, size_t addr_len)
{
	struct blake2s_state st = *secret;

	assert(addr_len && addr_len <= COOKIE_ADDRESS_MAX);
	blake2s_update(&st, addr, addr_len);
	blake2s_final(&st, cookie);
}

static void secret_of_epoch(const struct cookie_checker *c, uint64_t number,
			    struct blake2s_state *secret)
{
	struct blake2s_state st = c->master;
	uint8_t bytes[COOKIE_SECRET_LEN];
	uint8_t text[8];

	store_le64(text, number);
	blake2s_update(&st, text, sizeof(text));
	blake2s_final(&st, bytes);
	cookie_take_secret(secret, bytes);
	sodium_memzero(bytes, sizeof(bytes));
}

/*
 * In the first epoch after boot the one before is UINT64_MAX, whose cookies were never
 * issued and cannot be guessed.
 */
static void epochs_follow(struct cookie_epochs *e, const struct cookie_checker *c, uint64_t now)
{
	uint64_t number = now / COOKIE_SECRET_MAX_AGE;

	_Static_assert(sizeof(e->checker) == sizeof(c->master.h), "what tells checkers apart");
	if (likely(e->number == number && !memcmp(e->checker, c->master.h, sizeof(e->checker))))
		return;
	secret_of_epoch(c, number, &e->secret[0]);
	secret_of_epoch(c, number - 1, &e->secret[1]);
	memcpy(e->checker, c->master.h, sizeof(e->checker));
	e->number = number;
	randombytes_buf(e->nonce, sizeof(e->nonce));
}

static bool mac1_is_good(const struct cookie_checker *c, const uint8_t *msg, size_t len)
{
	struct blake2s_state st = c->mac1;
	uint8_t mac[MAC_LEN];

	blake2s_update(&st, msg, mac1_offset(len));
	blake2s_final(&st, mac);
	return sodium_memcmp(mac, msg + mac1_offset(len), MAC_LEN) == 0;
}

static bool mac2_is_good(const uint8_t cookie[COOKIE_LEN], const uint8_t *msg, size_t len)
{
	uint8_t mac[MAC_LEN];

	blake2s(mac, MAC_LEN, msg, mac2_offset(len), cookie, COOKIE_LEN);
	return sodium_memcmp(mac, msg + mac2_offset(len), MAC_LEN) == 0;
}

/* This epoch, then the one before. */
static bool mac2_is_recent(const struct cookie_epochs *e, const uint8_t *msg, size_t len,
			   const uint8_t *addr, size_t addr_len)
{
	uint8_t cookie[COOKIE_LEN];
	bool good = false;

	if (sodium_is_zero(msg + mac2_offset(len), MAC_LEN))
		return false;
	for (unsigned back = 0; back < 2 && !good; back++) {
		cookie_compute(cookie, &e->secret[back], addr, addr_len);
		good = mac2_is_good(cookie, msg, len);
	}
	sodium_memzero(cookie, sizeof(cookie));
	return good;
}

enum cookie_verdict cookie_check(const struct cookie_checker *c, struct cookie_epochs *e,
				 const void *msg, size_t len, const uint8_t *addr,
				 size_t addr_len, uint64_t now, bool check_mac2)
{
	if (len < MESSAGE_MIN || !mac1_is_good(c, msg, len))
		return COOKIE_INVALID;
	if (!check_mac2)
		return COOKIE_MAC1;
	epochs_follow(e, c, now);
	return mac2_is_recent(e, msg, len, addr, addr_len) ? COOKIE_MAC2 : COOKIE_MAC1;
}

void cookie_seal_reply(const struct cookie_checker *c, const uint8_t cookie[COOKIE_LEN],
		       const uint8_t nonce[COOKIE_NONCE_LEN], const void *msg, size_t len,
		       struct message_cookie_reply *out)
{
	const uint8_t *bytes = msg;

	assert(len >= MESSAGE_MIN);
	out->type = htole32(MESSAGE_COOKIE_REPLY);
	memcpy(&out->receiver_index, bytes + SENDER_INDEX_OFFSET, sizeof(out->receiver_index));
	memcpy(out->nonce, nonce, COOKIE_NONCE_LEN);
	/* mac1 as associated data ties the reply to this very message. */
	crypto_aead_xchacha20poly1305_ietf_encrypt(out->encrypted_cookie, NULL, cookie, COOKIE_LEN,
						   bytes + mac1_offset(len), MAC_LEN, NULL, nonce,
						   c->cookie_key);
}

void cookie_make_reply(const struct cookie_checker *c, struct cookie_epochs *e, const void *msg,
		       size_t len, const uint8_t *addr, size_t addr_len, uint64_t now,
		       struct message_cookie_reply *out)
{
	uint8_t cookie[COOKIE_LEN];

	epochs_follow(e, c, now);
	cookie_compute(cookie, &e->secret[0], addr, addr_len);
	/* Never the same twice; 192 random bits each time would cost a system call. */
	sodium_increment(e->nonce, sizeof(e->nonce));
	cookie_seal_reply(c, cookie, e->nonce, msg, len, out);
	sodium_memzero(cookie, sizeof(cookie));
}

void cookie_maker_init(struct cookie_maker *m, const uint8_t remote_public_key[NOISE_KEY_LEN])
{
	memset(m, 0, sizeof(*m));
	derive_key(m->mac1_key, label_mac1, remote_public_key);
	derive_key(m->cookie_key, label_cookie, remote_public_key);
}

/* The issuer's clock started before ours: we stop a little before he does. */
static bool cookie_is_fresh(const struct cookie_maker *m, uint64_t now)
{
	return m->has_cookie &&
	       now - m->cookie_birth < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY;
}

void cookie_add_macs(struct cookie_maker *m, void *msg, size_t len, uint64_t now)
{
	uint8_t *bytes = msg;

	assert(len >= MESSAGE_MIN);
	blake2s(m->last_mac1, MAC_LEN, bytes, mac1_offset(len), m->mac1_key, NOISE_KEY_LEN);
	memcpy(bytes + mac1_offset(len), m->last_mac1, MAC_LEN);
	m->awaits_reply = true;

	if (cookie_is_fresh(m, now))
		blake2s(bytes + mac2_offset(len), MAC_LEN, bytes, mac2_offset(len), m->cookie,
			COOKIE_LEN);
	else
		memset(bytes + mac2_offset(len), 0, MAC_LEN);
}

int cookie_consume_reply(struct cookie_maker *m, const struct message_cookie_reply *reply,
			 uint64_t now)
{
	uint8_t cookie[COOKIE_LEN];

	if (!m->awaits_reply)
		return -ENOENT;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, reply->encrypted_cookie,
						       sizeof(reply->encrypted_cookie),
						       m->last_mac1, MAC_LEN, reply->nonce,
						       m->cookie_key) != 0)
		return -EBADMSG;
	memcpy(m->cookie, cookie, COOKIE_LEN);
	m->cookie_birth = now;
	m->has_cookie = true;
	m->awaits_reply = false;
	sodium_memzero(cookie, sizeof(cookie));
	return 0;
}
