/* SPDX-License-Identifier: MIT */
/*
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (paper §5.4.2-5.4.5). The token that a
 * statement plays stands beside it. Every function that touches a handshake builds
 * its successor in a local copy, commits it as the last thing, and wipes the copy at
 * its single exit.
 */
#include "noise.h"

#include <sodium.h>

#include "tai64n.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

const char *noise_result_text(enum noise_result result)
{
	switch (result) {
	case NOISE_OK:
		return "good";
	case NOISE_NO_IDENTITY:
		return "no private key of our own";
	case NOISE_NO_REMOTE:
		return "unknown public key";
	case NOISE_LOW_ORDER:
		return "public key of low order";
	case NOISE_BAD_ENCRYPTION:
		return "bad encryption";
	case NOISE_REPLAY:
		return "replayed timestamp";
	case NOISE_FLOOD:
		return "initiations too fast";
	case NOISE_WRONG_STATE:
		return "no such handshake under way";
	}
	return "unknown";
}

void noise_random_sodium(void *arg, void *buf, size_t len)
{
	(void)arg;
	randombytes_buf(buf, len);
}

enum noise_result noise_local_init(struct noise_local *local,
				   const uint8_t private_key[NOISE_KEY_LEN])
{
	if (sodium_is_zero(private_key, NOISE_KEY_LEN)) {
		noise_local_clear(local);
		return NOISE_NO_IDENTITY;
	}
	memcpy(local->private_key, private_key, NOISE_KEY_LEN);
	local->private_key[0] &= 248;
	local->private_key[31] = (local->private_key[31] & 127) | 64;
	crypto_scalarmult_curve25519_base(local->public_key, local->private_key);
	return NOISE_OK;
}

void noise_local_clear(struct noise_local *local)
{
	sodium_memzero(local, sizeof(*local));
}

/* A clamped key has bit 254 set, so that a byte answers for all of it. */
static bool has_identity(const struct noise_local *local)
{
	return local->private_key[31] != 0;
}

static bool is_usable(const struct noise_remote *remote)
{
	return !sodium_is_zero(remote->static_static, NOISE_KEY_LEN);
}

enum noise_result noise_remote_init(struct noise_remote *remote, const struct noise_local *local,
				    const uint8_t public_key[NOISE_KEY_LEN], const uint8_t *psk)
{
	memset(remote, 0, sizeof(*remote));
	memcpy(remote->public_key, public_key, NOISE_KEY_LEN);
	noise_remote_set_psk(remote, psk);
	return noise_remote_set_local(remote, local);
}

enum noise_result noise_remote_set_local(struct noise_remote *remote,
					 const struct noise_local *local)
{
	noise_remote_drop_handshake(remote);
	sodium_memzero(remote->static_static, NOISE_KEY_LEN);
	if (!has_identity(local))
		return NOISE_NO_IDENTITY;
	if (crypto_scalarmult_curve25519(remote->static_static, local->private_key,
					 remote->public_key) != 0)
		sodium_memzero(remote->static_static, NOISE_KEY_LEN);
	return is_usable(remote) ? NOISE_OK : NOISE_LOW_ORDER;
}

void noise_remote_set_psk(struct noise_remote *remote, const uint8_t *psk)
{
	/* Noise has no notion of "no key": WireGuard mixes in zeros then (§5.4). */
	if (psk)
		memcpy(remote->preshared_key, psk, NOISE_KEY_LEN);
	else
		sodium_memzero(remote->preshared_key, NOISE_KEY_LEN);
}

void noise_remote_drop_handshake(struct noise_remote *remote)
{
	sodium_memzero(&remote->handshake, sizeof(remote->handshake));
}

void noise_remote_clear(struct noise_remote *remote)
{
	sodium_memzero(remote, sizeof(*remote));
}

static void commit(struct noise_remote *remote, const struct noise_handshake *hs,
		   enum noise_state state)
{
	remote->handshake = *hs;
	remote->handshake.state = state;
}

/* The start of every transcript: names, and the pre-message "<- s" of IK. */
static void begin_transcript(struct noise_handshake *hs,
			     const uint8_t responder_public[NOISE_KEY_LEN])
{
	symmetric_init(&hs->symmetric, construction, identifier, sizeof(identifier) - 1);
	symmetric_mix_hash(&hs->symmetric, responder_public, NOISE_KEY_LEN);
}

/* Token e, whoever sent it: with a psk in the pattern it moves ck as well (Noise §9.2). */
static void mix_ephemeral(struct noise_handshake *hs, const uint8_t public_key[NOISE_KEY_LEN])
{
	symmetric_mix_hash(&hs->symmetric, public_key, NOISE_KEY_LEN);
	symmetric_mix_key(&hs->symmetric, NULL, public_key, NOISE_KEY_LEN);
}

/* Token e of a message of ours: a new key pair, whose public half goes into the message. */
static void send_ephemeral(struct noise_handshake *hs, const struct noise_upcalls *up,
			   uint8_t public_key[NOISE_KEY_LEN])
{
	up->random(up->arg, hs->ephemeral_private, NOISE_KEY_LEN);
	crypto_scalarmult_curve25519_base(public_key, hs->ephemeral_private);
	mix_ephemeral(hs, public_key);
}

/* §5.4.2, sending. */
enum noise_result noise_create_initiation(struct noise_remote *remote,
					  const struct noise_local *local,
					  const struct noise_upcalls *up, uint32_t index,
					  const uint8_t timestamp[NOISE_TIMESTAMP_LEN],
					  struct message_initiation *out)
{
	enum noise_result result = NOISE_LOW_ORDER;
	struct noise_handshake hs = { .local_index = index };
	uint8_t key[NOISE_KEY_LEN];

	memset(out, 0, sizeof(*out));
	if (!has_identity(local)) {
		result = NOISE_NO_IDENTITY;
		goto out;
	}
	if (!is_usable(remote))
		goto out;

	begin_transcript(&hs, remote->public_key);
	/* e */
	send_ephemeral(&hs, up, out->ephemeral);
	/* es */
	if (!symmetric_mix_dh(&hs.symmetric, key, hs.ephemeral_private, remote->public_key))
		goto out;
	/* s */
	symmetric_seal(&hs.symmetric, key, out->encrypted_static, local->public_key,
		       NOISE_KEY_LEN);
	/* ss */
	symmetric_mix_key(&hs.symmetric, key, remote->static_static, NOISE_KEY_LEN);
	/* payload */
	symmetric_seal(&hs.symmetric, key, out->encrypted_timestamp, timestamp,
		       NOISE_TIMESTAMP_LEN);

	out->type = htole32(MESSAGE_INITIATION);
	out->sender_index = htole32(index);
	commit(remote, &hs, NOISE_CREATED_INITIATION);
	result = NOISE_OK;
out:
	if (result != NOISE_OK)
		sodium_memzero(out, sizeof(*out));
	sodium_memzero(&hs, sizeof(hs));
	sodium_memzero(key, sizeof(key));
	return result;
}

/*
 * Who says so, and when: decrypts both fields of an initiation. What comes out is
 * authentic (by ss) but may be a replay.
 */
static enum noise_result open_initiation(struct noise_handshake *hs,
					 const struct noise_local *local,
					 const struct noise_upcalls *up,
					 const struct message_initiation *msg,
					 struct noise_remote **sender,
					 uint8_t timestamp[NOISE_TIMESTAMP_LEN])
{
	enum noise_result result = NOISE_LOW_ORDER;
	struct noise_remote *remote;
	uint8_t public_key[NOISE_KEY_LEN];
	uint8_t key[NOISE_KEY_LEN];

	begin_transcript(hs, local->public_key);
	/* e */
	memcpy(hs->remote_ephemeral, msg->ephemeral, NOISE_KEY_LEN);
	mix_ephemeral(hs, msg->ephemeral);
	/* es */
	if (!symmetric_mix_dh(&hs->symmetric, key, local->private_key, msg->ephemeral))
		goto out;
	/* s */
	result = NOISE_BAD_ENCRYPTION;
	if (!symmetric_open(&hs->symmetric, key, public_key, msg->encrypted_static,
			    NOISE_KEY_LEN))
		goto out;
	result = NOISE_NO_REMOTE;
	remote = up->find_remote(up->arg, public_key);
	if (!remote)
		goto out;
	/* ss */
	result = NOISE_LOW_ORDER;
	if (!is_usable(remote))
		goto out;
	symmetric_mix_key(&hs->symmetric, key, remote->static_static, NOISE_KEY_LEN);
	/* payload */
	result = NOISE_BAD_ENCRYPTION;
	if (!symmetric_open(&hs->symmetric, key, timestamp, msg->encrypted_timestamp,
			    NOISE_TIMESTAMP_LEN))
		goto out;
	*sender = remote;
	result = NOISE_OK;
out:
	sodium_memzero(public_key, sizeof(public_key));
	sodium_memzero(key, sizeof(key));
	return result;
}

/* Less than the minimal interval since the last one? A now that lags a little counts as now. */
static bool is_flood(const struct noise_remote *remote, uint64_t now)
{
	return remote->last_initiation &&
	       now < remote->last_initiation + INITIATION_MIN_INTERVAL;
}

/* §5.4.2, receiving. */
enum noise_result noise_consume_initiation(const struct noise_local *local,
					   const struct noise_upcalls *up, uint64_t now,
					   const struct message_initiation *msg,
					   struct noise_remote **out)
{
	struct noise_handshake hs = { .remote_index = le32toh(msg->sender_index) };
	enum noise_result result = NOISE_NO_IDENTITY;
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	struct noise_remote *remote;

	*out = NULL;
	if (!has_identity(local))
		goto out;
	result = open_initiation(&hs, local, up, msg, &remote, timestamp);
	if (result != NOISE_OK)
		goto out;
	*out = remote;

	/* §5.1: an initiation replayed after a restart of ours must not get a handshake going. */
	result = NOISE_REPLAY;
	if (!tai64n_after(timestamp, remote->last_timestamp)) {
		if (up->replayed)
			up->replayed(up->arg, timestamp);
		goto out;
	}
	/* One initiation is worth four X25519 to us: nobody gets more than his share. */
	result = NOISE_FLOOD;
	if (is_flood(remote, now))
		goto out;

	memcpy(remote->last_timestamp, timestamp, NOISE_TIMESTAMP_LEN);
	remote->last_initiation = now;
	commit(remote, &hs, NOISE_CONSUMED_INITIATION);
	result = NOISE_OK;
out:
	sodium_memzero(&hs, sizeof(hs));
	return result;
}

/* §5.4.3, sending. */
enum noise_result noise_create_response(struct noise_remote *remote,
					const struct noise_upcalls *up, uint32_t index,
					struct message_response *out)
{
	struct noise_handshake hs = remote->handshake;
	enum noise_result result = NOISE_WRONG_STATE;
	uint8_t key[NOISE_KEY_LEN];

	memset(out, 0, sizeof(*out));
	if (hs.state != NOISE_CONSUMED_INITIATION)
		goto out;
	hs.local_index = index;

	/* e */
	send_ephemeral(&hs, up, out->ephemeral);
	/* ee */
	result = NOISE_LOW_ORDER;
	if (!symmetric_mix_dh(&hs.symmetric, NULL, hs.ephemeral_private, hs.remote_ephemeral))
		goto out;
	/* se */
	if (!symmetric_mix_dh(&hs.symmetric, NULL, hs.ephemeral_private, remote->public_key))
		goto out;
	/* psk */
	symmetric_mix_psk(&hs.symmetric, key, remote->preshared_key);
	/* payload, empty: the tag alone */
	symmetric_seal(&hs.symmetric, key, out->encrypted_nothing, NULL, 0);

	out->type = htole32(MESSAGE_RESPONSE);
	out->sender_index = htole32(index);
	out->receiver_index = htole32(hs.remote_index);
	/* Nothing more is computed with it. */
	sodium_memzero(hs.ephemeral_private, NOISE_KEY_LEN);
	commit(remote, &hs, NOISE_CREATED_RESPONSE);
	result = NOISE_OK;
out:
	if (result != NOISE_OK)
		sodium_memzero(out, sizeof(*out));
	sodium_memzero(&hs, sizeof(hs));
	sodium_memzero(key, sizeof(key));
	return result;
}

/* §5.4.3, receiving. */
enum noise_result noise_consume_response(struct noise_remote *remote,
					 const struct noise_local *local,
					 const struct message_response *msg)
{
	struct noise_handshake hs = remote->handshake;
	enum noise_result result = NOISE_NO_IDENTITY;
	uint8_t key[NOISE_KEY_LEN];

	if (!has_identity(local))
		goto out;
	result = NOISE_WRONG_STATE;
	if (hs.state != NOISE_CREATED_INITIATION)
		goto out;
	/* The index that led here may have been for an older initiation. */
	if (le32toh(msg->receiver_index) != hs.local_index)
		goto out;

	/* e */
	memcpy(hs.remote_ephemeral, msg->ephemeral, NOISE_KEY_LEN);
	mix_ephemeral(&hs, msg->ephemeral);
	/* ee */
	result = NOISE_LOW_ORDER;
	if (!symmetric_mix_dh(&hs.symmetric, NULL, hs.ephemeral_private, msg->ephemeral))
		goto out;
	/* se */
	if (!symmetric_mix_dh(&hs.symmetric, NULL, local->private_key, msg->ephemeral))
		goto out;
	/* psk */
	symmetric_mix_psk(&hs.symmetric, key, remote->preshared_key);
	/* payload, empty: the tag alone */
	result = NOISE_BAD_ENCRYPTION;
	if (!symmetric_open(&hs.symmetric, key, NULL, msg->encrypted_nothing, 0))
		goto out;

	hs.remote_index = le32toh(msg->sender_index);
	sodium_memzero(hs.ephemeral_private, NOISE_KEY_LEN);
	commit(remote, &hs, NOISE_CONSUMED_RESPONSE);
	result = NOISE_OK;
out:
	sodium_memzero(&hs, sizeof(hs));
	sodium_memzero(key, sizeof(key));
	return result;
}

/* §5.4.5. */
enum noise_result noise_begin_session(struct noise_remote *remote, struct noise_session *out)
{
	struct noise_handshake *hs = &remote->handshake;

	memset(out, 0, sizeof(*out));
	if (hs->state != NOISE_CREATED_RESPONSE && hs->state != NOISE_CONSUMED_RESPONSE)
		return NOISE_WRONG_STATE;

	out->initiator = hs->state == NOISE_CONSUMED_RESPONSE;
	out->local_index = hs->local_index;
	out->remote_index = hs->remote_index;
	if (out->initiator)
		symmetric_split(&hs->symmetric, out->send_key, out->recv_key);
	else
		symmetric_split(&hs->symmetric, out->recv_key, out->send_key);
	noise_remote_drop_handshake(remote);
	return NOISE_OK;
}
