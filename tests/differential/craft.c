/* SPDX-License-Identifier: MIT */
/* Messages whose keys are not what they should be. */
#include "craft.h"

#include <sodium.h>

#include "../../crypto/symmetric.h"
#include "../../tools/bench/load.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

const uint8_t low_points[LOW_POINTS][NOISE_KEY_LEN] = {
	{ 0 },
	{ 1 },
	{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
	  0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
	  0xb8, 0x00 },
	{ 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
	  0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
	  0x11, 0x57 },
	{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0x7f },
	{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0x7f },
	{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0x7f },
};

static void mix_ephemeral(struct symmetric *s, const uint8_t key[NOISE_KEY_LEN])
{
	symmetric_mix_hash(s, key, NOISE_KEY_LEN);
	symmetric_mix_key(s, NULL, key, NOISE_KEY_LEN);
}

void craft_honest(struct craft *c, const struct meeting *m, uint8_t private_key[NOISE_KEY_LEN])
{
	randombytes_buf(private_key, NOISE_KEY_LEN);
	crypto_scalarmult_curve25519_base(c->ephemeral, private_key);
	if (crypto_scalarmult_curve25519(c->es, private_key, m->remote.public_key))
		load_die("the target's key");
	memcpy(c->static_public, m->peer->local.public_key, NOISE_KEY_LEN);
	memcpy(c->ss, m->remote.static_static, NOISE_KEY_LEN);
}

void craft_initiation(struct play *p, struct meeting *m, const struct craft *c)
{
	struct message_initiation *msg = &m->first;
	struct symmetric *s = &m->remote.handshake.symmetric;
	uint8_t key[NOISE_KEY_LEN], stamp[NOISE_TIMESTAMP_LEN];

	store_be32(stamp, 0x40000000);
	p->stamp += 1000;
	store_be32(stamp + 4, (uint32_t)(p->stamp / NSEC_PER_SEC));
	store_be32(stamp + 8, (uint32_t)(p->stamp % NSEC_PER_SEC));
	symmetric_init(s, construction, identifier, sizeof(identifier) - 1);
	symmetric_mix_hash(s, m->remote.public_key, NOISE_KEY_LEN);
	memcpy(msg->ephemeral, c->ephemeral, NOISE_KEY_LEN);
	mix_ephemeral(s, c->ephemeral);
	symmetric_mix_key(s, key, c->es, NOISE_KEY_LEN);
	symmetric_seal(s, key, msg->encrypted_static, c->static_public, NOISE_KEY_LEN);
	symmetric_mix_key(s, key, c->ss, NOISE_KEY_LEN);
	symmetric_seal(s, key, msg->encrypted_timestamp, stamp, sizeof(stamp));
	seal_macs(p, msg, sizeof(*msg));
}

void craft_low_response(struct play *p, struct meeting *m, const uint8_t point[NOISE_KEY_LEN])
{
	static const uint8_t zero[NOISE_KEY_LEN];
	struct symmetric s = m->remote.handshake.symmetric;
	struct message_response *msg = &m->second;
	uint8_t key[NOISE_KEY_LEN];

	memset(msg, 0, sizeof(*msg));
	msg->type = htole32(MESSAGE_RESPONSE);
	msg->sender_index = htole32(m->index);
	msg->receiver_index = m->first.sender_index;
	memcpy(msg->ephemeral, point, NOISE_KEY_LEN);
	mix_ephemeral(&s, point);
	symmetric_mix_key(&s, NULL, zero, NOISE_KEY_LEN);
	symmetric_mix_key(&s, NULL, zero, NOISE_KEY_LEN);
	symmetric_mix_psk(&s, key, m->remote.preshared_key);
	symmetric_seal(&s, key, msg->encrypted_nothing, NULL, 0);
	seal_macs(p, msg, sizeof(*msg));
	m->session.remote_index = le32toh(m->first.sender_index);
	symmetric_split(&s, m->session.recv_key, m->session.send_key);
}
