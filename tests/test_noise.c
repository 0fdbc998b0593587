/* SPDX-License-Identifier: MIT */
/*
 * The handshake: recorded ones byte for byte in both roles, both roles against each
 * other, and everything that must be refused.
 */
#include "../crypto/noise.h"

#include <sodium.h>

#include "../crypto/cookie.h"
#include "noise_side.h"
#include "vectors.h"

/* --- recorded handshakes ------------------------------------------------- */

struct transcript {
	struct side i, r;
	struct message_initiation first;
	struct message_response second;
	uint8_t timestamp[12];
	const json_t *first_values, *second_values;
};

static void load_transcript(struct transcript *t, const json_t *one)
{
	const json_t *first = vectors_get(one, "initiation");
	const json_t *second = vectors_get(one, "response");
	uint8_t key[32], psk[32];

	vectors_exact(one, "psk", psk, 32);
	vectors_exact(one, "S_i", key, 32);
	side_init(&t->i, key, (uint32_t)vectors_integer(first, "sender_index"));
	vectors_exact(one, "S_r", key, 32);
	side_init(&t->r, key, (uint32_t)vectors_integer(second, "sender_index"));
	vectors_exact(one, "Spub_i", key, 32);
	ck_assert_mem_eq(t->i.local.public_key, key, 32);
	vectors_exact(one, "Spub_r", key, 32);
	ck_assert_mem_eq(t->r.local.public_key, key, 32);
	side_meet(&t->i, &t->r, psk);
	side_meet(&t->r, &t->i, psk);
	vectors_exact(one, "E_i", t->i.ephemeral, 32);
	vectors_exact(one, "E_r", t->r.ephemeral, 32);
	t->i.inject = true;
	t->r.inject = true;
	vectors_exact(first, "packet", (uint8_t *)&t->first, sizeof(t->first));
	vectors_exact(second, "packet", (uint8_t *)&t->second, sizeof(t->second));
	t->first_values = vectors_get(first, "derived");
	t->second_values = vectors_get(second, "derived");
	vectors_exact(t->first_values, "timestamp", t->timestamp, 12);
}

static void check_value(const json_t *values, const char *name, const uint8_t value[32])
{
	uint8_t want[32];

	vectors_exact(values, name, want, 32);
	if (memcmp(value, want, 32))
		ck_abort_msg("%s differs", name);
}

static void check_recorded_initiator(struct transcript *t, struct noise_session *session)
{
	const struct symmetric *s = &t->i.remote.handshake.symmetric;
	struct message_initiation msg;
	struct cookie_maker maker;

	ck_assert_int_eq(noise_create_initiation(&t->i.remote, &t->i.local, &t->i.up, t->i.index,
						 t->timestamp, &msg), NOISE_OK);
	cookie_maker_init(&maker, t->r.local.public_key);
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	ck_assert_mem_eq(&msg, &t->first, sizeof(msg));
	check_value(t->first_values, "C3", s->chaining_key);
	check_value(t->first_values, "H4", s->hash);

	ck_assert_int_eq(take_response(&t->i, &t->second), NOISE_OK);
	check_value(t->second_values, "C7", s->chaining_key);
	check_value(t->second_values, "H7", s->hash);
	ck_assert_int_eq(noise_begin_session(&t->i.remote, session), NOISE_OK);
	check_value(t->second_values, "T_send_i = T_recv_r", session->send_key);
	check_value(t->second_values, "T_recv_i = T_send_r", session->recv_key);
	ck_assert_uint_eq(session->local_index, t->i.index);
	ck_assert_uint_eq(session->remote_index, t->r.index);
	ck_assert(session->initiator);
}

static void check_recorded_responder(struct transcript *t, struct noise_session *session)
{
	const struct symmetric *s = &t->r.remote.handshake.symmetric;
	struct message_response msg;
	struct cookie_maker maker;

	ck_assert_int_eq(take_initiation(&t->r, 1, &t->first), NOISE_OK);
	check_value(t->first_values, "C3", s->chaining_key);
	check_value(t->first_values, "H4", s->hash);
	ck_assert_mem_eq(t->r.remote.last_timestamp, t->timestamp, 12);

	ck_assert_int_eq(respond(&t->r, &msg), NOISE_OK);
	check_value(t->second_values, "C7", s->chaining_key);
	check_value(t->second_values, "H7", s->hash);
	cookie_maker_init(&maker, t->i.local.public_key);
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	ck_assert_mem_eq(&msg, &t->second, sizeof(msg));
	ck_assert_int_eq(noise_begin_session(&t->r.remote, session), NOISE_OK);
	check_value(t->second_values, "T_send_i = T_recv_r", session->recv_key);
	check_value(t->second_values, "T_recv_i = T_send_r", session->send_key);
	ck_assert_uint_eq(session->local_index, t->r.index);
	ck_assert_uint_eq(session->remote_index, t->i.index);
	ck_assert(!session->initiator);
}

/* The packets that followed open under the keys of the receiving end. */
static void check_recorded_packet(const json_t *one, const struct noise_session *i,
				  const struct noise_session *r)
{
	bool to_responder = strcmp(vectors_text(one, "dir"), "i>r") == 0;
	const struct noise_session *receiver = to_responder ? r : i;
	uint8_t packet[2048], plain[2048], want[2048], nonce[12] = { 0 };
	size_t len = vectors_bytes(one, "packet", packet, sizeof(packet));
	size_t plain_len = vectors_bytes(one, "plaintext", want, sizeof(want));
	unsigned long long got;

	ck_assert_uint_eq(len, MESSAGE_DATA_OVERHEAD + plain_len);
	ck_assert_uint_eq(load_le32(packet), MESSAGE_DATA);
	ck_assert_uint_eq(load_le32(packet + 4), receiver->local_index);
	memcpy(nonce + 4, packet + 8, 8);
	ck_assert_uint_eq(load_le64(nonce + 4), (uint64_t)vectors_integer(one, "counter"));
	ck_assert_int_eq(crypto_aead_chacha20poly1305_ietf_decrypt(
				 plain, &got, NULL, packet + 16, len - 16, NULL, 0, nonce,
				 receiver->recv_key), 0);
	ck_assert_uint_eq(got, plain_len);
	ck_assert(memcmp(plain, want, plain_len) == 0);
}

START_TEST(transcripts)
{
	json_t *all = vectors_load("wireguard/transcripts.json");
	struct noise_session i, r;
	struct transcript t;
	json_t *one, *packet;
	size_t n, k, packets = 0;

	if (!all)
		return;
	ck_assert_uint_ge(json_array_size(all), 4);
	json_array_foreach(all, n, one) {
		load_transcript(&t, one);
		check_recorded_initiator(&t, &i);
		check_recorded_responder(&t, &r);
		json_array_foreach(vectors_get(one, "transport"), k, packet) {
			check_recorded_packet(packet, &i, &r);
			packets++;
		}
	}
	ck_assert_uint_ge(packets, 18);
	json_decref(all);
}
END_TEST

/* Every X25519 case through noise_remote_init, which must refuse the zero ones. */
START_TEST(wycheproof_x25519)
{
	json_t *root = vectors_load("wycheproof/x25519_test.json");
	uint8_t private_key[32], public_key[32], shared[32];
	json_t *group, *one;
	size_t g, n, zero = 0, cases = 0;

	if (!root)
		return;
	json_array_foreach(vectors_get(root, "testGroups"), g, group) {
		json_array_foreach(vectors_get(group, "tests"), n, one) {
			struct noise_remote remote;
			struct noise_local local;
			bool refuse;

			vectors_exact(one, "private", private_key, 32);
			vectors_exact(one, "public", public_key, 32);
			vectors_exact(one, "shared", shared, 32);
			refuse = sodium_is_zero(shared, 32);
			ck_assert_int_eq(noise_local_init(&local, private_key), NOISE_OK);
			ck_assert_int_eq(noise_remote_init(&remote, &local, public_key, NULL),
					 refuse ? NOISE_LOW_ORDER : NOISE_OK);
			ck_assert_mem_eq(remote.static_static, shared, 32);
			zero += refuse;
			cases++;
		}
	}
	ck_assert_uint_ge(cases, 518);
	ck_assert_uint_ge(zero, 31);
	json_decref(root);
}
END_TEST

/* --- both roles against each other --------------------------------------- */

START_TEST(thousand_handshakes)
{
	struct side a, b;
	uint8_t psk[32];
	unsigned n;

	srand(1);
	make_pair(&a, &b, NULL);
	for (n = 1; n <= 1000; n++) {
		fill_random(psk, sizeof(psk));
		if (n % 10 == 0)
			make_pair(&a, &b, n % 20 ? psk : NULL);
		noise_remote_set_psk(&a.remote, n % 7 ? psk : NULL);
		noise_remote_set_psk(&b.remote, n % 7 ? psk : NULL);
		a.index = (uint32_t)rand();
		b.index = (uint32_t)rand();
		if (rand() % 2)
			shake_hands(&a, &b, n);
		else
			shake_hands(&b, &a, n);
	}
}
END_TEST

/* Each handshake has keys of its own, although nothing but the ephemerals differs. */
START_TEST(forward_secrecy)
{
	struct noise_session one, two;
	struct message_initiation first;
	struct message_response second;
	struct side i, r;

	srand(2);
	make_pair(&i, &r, NULL);
	ck_assert_int_eq(initiate(&i, 1, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1, &first), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	ck_assert(sodium_is_zero(r.remote.handshake.ephemeral_private, 32));
	ck_assert_int_eq(take_response(&i, &second), NOISE_OK);
	ck_assert(sodium_is_zero(i.remote.handshake.ephemeral_private, 32));
	ck_assert_int_eq(noise_begin_session(&r.remote, &one), NOISE_OK);
	ck_assert_int_eq(initiate(&i, 2, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 2, &first), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	ck_assert_int_eq(noise_begin_session(&r.remote, &two), NOISE_OK);
	ck_assert(memcmp(one.send_key, two.send_key, 32) != 0);
	ck_assert(memcmp(one.recv_key, two.recv_key, 32) != 0);
}
END_TEST

/*
 * Both begin at once and both initiations arrive: each side answers, having dropped
 * its own, so that both answers are for nothing and the next try succeeds.
 */
START_TEST(crossing_initiations)
{
	struct message_initiation from_a, from_b;
	struct message_response to_a, to_b;
	struct side a, b;

	srand(3);
	make_pair(&a, &b, NULL);
	ck_assert_int_eq(initiate(&a, 1, &from_a), NOISE_OK);
	ck_assert_int_eq(initiate(&b, 1, &from_b), NOISE_OK);
	ck_assert_int_eq(take_initiation(&b, 1, &from_a), NOISE_OK);
	ck_assert_int_eq(take_initiation(&a, 1, &from_b), NOISE_OK);
	ck_assert(sodium_is_zero(a.remote.handshake.ephemeral_private, 32));
	ck_assert_int_eq(respond(&b, &to_a), NOISE_OK);
	ck_assert_int_eq(respond(&a, &to_b), NOISE_OK);
	ck_assert_int_eq(take_response(&a, &to_a), NOISE_WRONG_STATE);
	ck_assert_int_eq(take_response(&b, &to_b), NOISE_WRONG_STATE);
	shake_hands(&a, &b, 2);

	/* If one of them is late, its sender has the handshake of the other one. */
	ck_assert_int_eq(initiate(&a, 3, &from_a), NOISE_OK);
	ck_assert_int_eq(initiate(&b, 3, &from_b), NOISE_OK);
	ck_assert_int_eq(take_initiation(&b, 3, &from_a), NOISE_OK);
	ck_assert_int_eq(respond(&b, &to_a), NOISE_OK);
	ck_assert_int_eq(take_response(&a, &to_a), NOISE_OK);
	check_sessions(&a, &b);
	ck_assert_int_eq(take_initiation(&a, 4, &from_b), NOISE_OK);
	ck_assert_int_eq(respond(&a, &to_b), NOISE_OK);
	ck_assert_int_eq(take_response(&b, &to_b), NOISE_WRONG_STATE);
}
END_TEST

/* --- what must be refused ------------------------------------------------ */

static void flip(void *msg, size_t bit)
{
	((uint8_t *)msg)[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* Where every bit of a message is guarded: by Noise, or by mac1 (type, sender index, mac1). */
static bool noise_covers_initiation(size_t byte)
{
	return byte >= offsetof(struct message_initiation, ephemeral) &&
	       byte < offsetof(struct message_initiation, macs);
}

START_TEST(flipped_initiation)
{
	struct cookie_checker checker;
	struct message_initiation msg;
	struct noise_remote before;
	struct cookie_maker maker;
	struct side i, r;
	size_t bit;

	srand(4);
	make_pair(&i, &r, NULL);
	cookie_checker_init(&checker, r.local.public_key);
	cookie_maker_init(&maker, r.local.public_key);
	ck_assert_int_eq(initiate(&i, 1, &msg), NOISE_OK);
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	before = r.remote;
	for (bit = 0; bit < 8 * offsetof(struct message_initiation, macs.mac2); bit++) {
		flip(&msg, bit);
		ck_assert_int_eq(cookie_check(&checker, NULL, &msg, sizeof(msg), NULL, 0, 0, false),
				 COOKIE_INVALID);
		if (noise_covers_initiation(bit / 8)) {
			ck_assert_int_eq(take_initiation(&r, 1, &msg), NOISE_BAD_ENCRYPTION);
			ck_assert_mem_eq(&r.remote, &before, sizeof(before));
		}
		flip(&msg, bit);
	}
	ck_assert_int_eq(take_initiation(&r, 1, &msg), NOISE_OK);
}
END_TEST

static enum noise_result expected_of_response(size_t byte)
{
	if (byte < offsetof(struct message_response, receiver_index))
		return NOISE_OK; /* type and sender index: mac1 only */
	if (byte < offsetof(struct message_response, ephemeral))
		return NOISE_WRONG_STATE;
	return NOISE_BAD_ENCRYPTION;
}

/* A forged response is refused, and the handshake in flight ends well with the real one. */
START_TEST(flipped_response)
{
	struct message_initiation first;
	struct cookie_checker checker;
	struct message_response msg;
	struct noise_remote before;
	struct cookie_maker maker;
	struct side i, r;
	size_t bit;

	srand(5);
	make_pair(&i, &r, NULL);
	cookie_checker_init(&checker, i.local.public_key);
	cookie_maker_init(&maker, i.local.public_key);
	ck_assert_int_eq(initiate(&i, 1, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1, &first), NOISE_OK);
	ck_assert_int_eq(respond(&r, &msg), NOISE_OK);
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	before = i.remote;
	for (bit = 0; bit < 8 * offsetof(struct message_response, macs.mac2); bit++) {
		enum noise_result expected = expected_of_response(bit / 8);

		flip(&msg, bit);
		ck_assert_int_eq(cookie_check(&checker, NULL, &msg, sizeof(msg), NULL, 0, 0, false),
				 COOKIE_INVALID);
		if (expected != NOISE_OK &&
		    bit / 8 < offsetof(struct message_response, macs)) {
			ck_assert_int_eq(take_response(&i, &msg), expected);
			ck_assert_mem_eq(&i.remote, &before, sizeof(before));
		}
		flip(&msg, bit);
	}
	ck_assert_int_eq(take_response(&i, &msg), NOISE_OK);
	check_sessions(&i, &r);
}
END_TEST

/* §5.1: strictly later timestamps only, also after both clocks and handshakes moved on. */
START_TEST(replayed_initiation)
{
	struct message_initiation one, two, three;
	struct message_response response;
	struct noise_remote before;
	struct side i, r;

	srand(6);
	make_pair(&i, &r, NULL);
	ck_assert_int_eq(initiate(&i, 1, &one), NOISE_OK);
	ck_assert_int_eq(initiate(&i, 2, &two), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 10, &two), NOISE_OK);
	before = r.remote;
	ck_assert_int_eq(take_initiation(&r, 20, &two), NOISE_REPLAY);
	ck_assert_int_eq(take_initiation(&r, 20, &one), NOISE_REPLAY);
	/* another message of the same time is a replay as well */
	ck_assert_int_eq(initiate(&i, 2, &three), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 20, &three), NOISE_REPLAY);
	ck_assert_mem_eq(&r.remote, &before, sizeof(before));
	ck_assert_int_eq(respond(&r, &response), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 30, &two), NOISE_REPLAY);

	/* Over a restart: all that is kept is the timestamp. */
	side_meet(&r, &i, NULL);
	memcpy(r.remote.last_timestamp, before.last_timestamp, 12);
	ck_assert_int_eq(take_initiation(&r, 1, &two), NOISE_REPLAY);
	ck_assert_int_eq(initiate(&i, 3, &three), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1, &three), NOISE_OK);
}
END_TEST

/* Times of arrival in ns after the first one, and what comes of it. */
static const struct {
	uint64_t after;
	enum noise_result result;
} flood_table[] = {
	{ 0, NOISE_FLOOD },
	{ 1, NOISE_FLOOD },
	{ INITIATION_MIN_INTERVAL - 1, NOISE_FLOOD },
	{ INITIATION_MIN_INTERVAL, NOISE_OK },
	{ INITIATION_MIN_INTERVAL + 1, NOISE_OK },
	{ 100 * NSEC_PER_SEC, NOISE_OK },
	{ UINT64_MAX - NSEC_PER_SEC + 1, NOISE_FLOOD }, /* a clock that was read a little before */
};

START_TEST(flood)
{
	struct message_initiation one, two;
	uint8_t timestamp[12];
	struct noise_remote *sender;
	struct side i, r;

	srand(7);
	make_pair(&i, &r, NULL);
	ck_assert_int_eq(initiate(&i, 1, &one), NOISE_OK);
	ck_assert_int_eq(initiate(&i, 2, &two), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1000, &one), NOISE_OK);
	memcpy(timestamp, r.remote.last_timestamp, 12);
	ck_assert_int_eq(noise_consume_initiation(&r.local, &r.up,
						  monotonic(1000) + flood_table[_i].after, &two,
						  &sender), flood_table[_i].result);
	ck_assert_ptr_eq(sender, &r.remote);
	/* What is refused leaves no trace: it can be taken later. */
	if (flood_table[_i].result == NOISE_FLOOD) {
		ck_assert_mem_eq(r.remote.last_timestamp, timestamp, 12);
		ck_assert_int_eq(take_initiation(&r, 1001, &two), NOISE_OK);
	}
}
END_TEST

/* The points of order 1, 2, 4 and 8 and their other encodings (RFC 7748 §6.1, §7). */
static const char *const low_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

START_TEST(low_order_points)
{
	struct message_initiation first;
	struct message_response second;
	struct noise_remote before;
	struct side i, r;
	uint8_t point[32];

	srand(8);
	ck_assert_uint_eq(vectors_hex(low_order[_i], point, 32), 32);
	make_pair(&i, &r, NULL);

	/* as ephemeral of an initiation */
	ck_assert_int_eq(initiate(&i, 1, &first), NOISE_OK);
	before = r.remote;
	memcpy(first.ephemeral, point, 32);
	ck_assert_int_eq(take_initiation(&r, 1, &first), NOISE_LOW_ORDER);
	ck_assert_mem_eq(&r.remote, &before, sizeof(before));

	/* as ephemeral of a response */
	ck_assert_int_eq(initiate(&i, 2, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 2, &first), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	before = i.remote;
	memcpy(second.ephemeral, point, 32);
	ck_assert_int_eq(take_response(&i, &second), NOISE_LOW_ORDER);
	ck_assert_mem_eq(&i.remote, &before, sizeof(before));

	/* had one got into the state all the same */
	ck_assert_int_eq(initiate(&i, 3, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 3, &first), NOISE_OK);
	memcpy(r.remote.handshake.remote_ephemeral, point, 32);
	ck_assert_int_eq(respond(&r, &second), NOISE_LOW_ORDER);
	ck_assert(sodium_is_zero((const uint8_t *)&second, sizeof(second)));

	/* as static key: the remote is there, but no handshake is possible */
	ck_assert_int_eq(noise_remote_init(&r.remote, &r.local, point, NULL), NOISE_LOW_ORDER);
	ck_assert_int_eq(initiate(&r, 4, &first), NOISE_LOW_ORDER);
	ck_assert(sodium_is_zero((const uint8_t *)&first, sizeof(first)));
}
END_TEST

static struct noise_remote *find_anyone(void *arg, const uint8_t public_key[32])
{
	(void)public_key;
	return &((struct side *)arg)->remote;
}

/* An initiation that names a static key of low order, from one who could make it otherwise. */
START_TEST(low_order_sender)
{
	struct message_initiation msg;
	uint8_t zero[32] = { 0 };
	struct side i, r;

	srand(9);
	make_pair(&i, &r, NULL);
	ck_assert_int_eq(noise_remote_init(&r.remote, &r.local, zero, NULL), NOISE_LOW_ORDER);
	r.up.find_remote = find_anyone;
	memset(i.local.public_key, 0, 32);
	ck_assert_int_eq(initiate(&i, 1, &msg), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1, &msg), NOISE_LOW_ORDER);
}
END_TEST

/* Who only knows a public key cannot speak for its owner. */
START_TEST(impostor)
{
	struct message_initiation msg;
	struct side owner, r, thief;
	struct noise_remote before;
	uint8_t key[32];

	srand(10);
	make_pair(&owner, &r, NULL);
	fill_random(key, 32);
	side_init(&thief, key, 3);
	side_meet(&thief, &r, NULL);
	before = r.remote;

	/* under his own name: nobody we know */
	ck_assert_int_eq(initiate(&thief, 1, &msg), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1, &msg), NOISE_NO_REMOTE);
	/* under the owner's */
	memcpy(thief.local.public_key, owner.local.public_key, 32);
	ck_assert_int_eq(initiate(&thief, 1, &msg), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1, &msg), NOISE_BAD_ENCRYPTION);
	ck_assert_mem_eq(&r.remote, &before, sizeof(before));
	/* a message that was meant for another responder */
	ck_assert_int_eq(initiate(&owner, 1, &msg), NOISE_OK);
	ck_assert_int_eq(take_initiation(&thief, 1, &msg), NOISE_BAD_ENCRYPTION);
}
END_TEST

START_TEST(wrong_psk)
{
	uint8_t psk[32] = { 1 }, other[32] = { 2 };
	struct message_initiation first;
	struct message_response second;
	struct side i, r;

	srand(11);
	make_pair(&i, &r, psk);
	noise_remote_set_psk(&r.remote, other);
	ck_assert_int_eq(initiate(&i, 1, &first), NOISE_OK);
	/* The preshared key is first used by the response. */
	ck_assert_int_eq(take_initiation(&r, 1, &first), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	ck_assert_int_eq(take_response(&i, &second), NOISE_BAD_ENCRYPTION);
	noise_remote_set_psk(&i.remote, NULL);
	ck_assert_int_eq(take_response(&i, &second), NOISE_BAD_ENCRYPTION);
	/* It is still in flight, and the right key mends it. */
	noise_remote_set_psk(&i.remote, other);
	ck_assert_int_eq(take_response(&i, &second), NOISE_OK);
	check_sessions(&i, &r);
}
END_TEST

START_TEST(wrong_state)
{
	struct message_initiation first, again;
	struct message_response second, third;
	struct noise_session session;
	struct side i, r;

	srand(12);
	make_pair(&i, &r, NULL);
	memset(&second, 0, sizeof(second));
	/* nothing is under way */
	ck_assert_int_eq(respond(&r, &third), NOISE_WRONG_STATE);
	ck_assert_int_eq(take_response(&i, &second), NOISE_WRONG_STATE);
	ck_assert_int_eq(noise_begin_session(&i.remote, &session), NOISE_WRONG_STATE);
	/* an initiation is */
	ck_assert_int_eq(initiate(&i, 1, &first), NOISE_OK);
	ck_assert_int_eq(respond(&i, &third), NOISE_WRONG_STATE);
	ck_assert_int_eq(noise_begin_session(&i.remote, &session), NOISE_WRONG_STATE);
	ck_assert_int_eq(take_initiation(&r, 1, &first), NOISE_OK);
	ck_assert_int_eq(noise_begin_session(&r.remote, &session), NOISE_WRONG_STATE);
	/* one answer for each initiation */
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	ck_assert_int_eq(respond(&r, &third), NOISE_WRONG_STATE);
	ck_assert_int_eq(take_response(&r, &second), NOISE_WRONG_STATE);
	/* an answer to an initiation that was given up: by index, and by content */
	i.index++;
	ck_assert_int_eq(initiate(&i, 2, &again), NOISE_OK);
	ck_assert_int_eq(take_response(&i, &second), NOISE_WRONG_STATE);
	i.index--;
	ck_assert_int_eq(initiate(&i, 3, &again), NOISE_OK);
	ck_assert_int_eq(take_response(&i, &second), NOISE_BAD_ENCRYPTION);
	/* an answer is taken once */
	ck_assert_int_eq(take_initiation(&r, 3, &again), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	ck_assert_int_eq(take_response(&i, &second), NOISE_OK);
	ck_assert_int_eq(take_response(&i, &second), NOISE_WRONG_STATE);
	check_sessions(&i, &r);
	ck_assert_int_eq(take_response(&i, &second), NOISE_WRONG_STATE);
	/* dropped */
	ck_assert_int_eq(initiate(&i, 4, &again), NOISE_OK);
	noise_remote_drop_handshake(&i.remote);
	ck_assert_int_eq(take_initiation(&r, 4, &again), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	ck_assert_int_eq(take_response(&i, &second), NOISE_WRONG_STATE);
}
END_TEST

/* --- identity ------------------------------------------------------------ */

START_TEST(no_identity)
{
	uint8_t zero[32] = { 0 }, key[32];
	struct message_initiation first;
	struct message_response second;
	struct noise_local none;
	struct side i, r;

	srand(13);
	make_pair(&i, &r, NULL);
	ck_assert_int_eq(noise_local_init(&none, zero), NOISE_NO_IDENTITY);
	ck_assert(sodium_is_zero((const uint8_t *)&none, sizeof(none)));

	ck_assert_int_eq(initiate(&i, 1, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 1, &first), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_OK);
	memcpy(key, i.local.private_key, 32);
	i.local = none;
	ck_assert_int_eq(take_response(&i, &second), NOISE_NO_IDENTITY);
	ck_assert_int_eq(initiate(&i, 2, &first), NOISE_NO_IDENTITY);
	ck_assert_int_eq(take_initiation(&i, 2, &first), NOISE_NO_IDENTITY);

	/* A remote may be made before the key is set, as `wg set` may do. */
	ck_assert_int_eq(noise_remote_init(&i.remote, &none, r.local.public_key, NULL),
			 NOISE_NO_IDENTITY);
	ck_assert_int_eq(noise_local_init(&i.local, key), NOISE_OK);
	ck_assert_int_eq(noise_remote_set_local(&i.remote, &i.local), NOISE_OK);
	shake_hands(&i, &r, 3);
}
END_TEST

/* A new private key ends the handshake in flight, and not what is known of the remote. */
START_TEST(new_identity)
{
	struct message_initiation first;
	struct message_response second;
	uint8_t key[32], timestamp[12];
	struct side i, r;

	srand(14);
	make_pair(&i, &r, NULL);
	shake_hands(&i, &r, 1);
	ck_assert_int_eq(initiate(&i, 2, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 2, &first), NOISE_OK);
	memcpy(timestamp, r.remote.last_timestamp, 12);

	fill_random(key, 32);
	ck_assert_int_eq(noise_local_init(&r.local, key), NOISE_OK);
	ck_assert_int_eq(noise_remote_set_local(&r.remote, &r.local), NOISE_OK);
	ck_assert_int_eq(respond(&r, &second), NOISE_WRONG_STATE);
	ck_assert_mem_eq(r.remote.last_timestamp, timestamp, 12);
	ck_assert_int_eq(initiate(&i, 3, &first), NOISE_OK);
	ck_assert_int_eq(take_initiation(&r, 3, &first), NOISE_BAD_ENCRYPTION);
	side_meet(&i, &r, NULL);
	shake_hands(&i, &r, 4);
}
END_TEST

START_TEST(clamping)
{
	uint8_t key[32], clamped[32];
	struct noise_local a, b;

	memset(key, 0xff, 32);
	ck_assert_int_eq(noise_local_init(&a, key), NOISE_OK);
	memcpy(clamped, key, 32);
	clamped[0] = 0xf8;
	clamped[31] = 0x7f;
	ck_assert_mem_eq(a.private_key, clamped, 32);
	ck_assert_int_eq(noise_local_init(&b, clamped), NOISE_OK);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	/* what clamping clears is no reason to call the key empty */
	memset(key, 0, 32);
	key[0] = 1;
	ck_assert_int_eq(noise_local_init(&a, key), NOISE_OK);
	ck_assert_uint_eq(a.private_key[31], 0x40);
}
END_TEST

START_TEST(wiping)
{
	struct side i, r;

	srand(15);
	make_pair(&i, &r, NULL);
	noise_remote_clear(&i.remote);
	noise_local_clear(&i.local);
	ck_assert(sodium_is_zero((const uint8_t *)&i.remote, sizeof(i.remote)));
	ck_assert(sodium_is_zero((const uint8_t *)&i.local, sizeof(i.local)));
}
END_TEST

START_TEST(texts)
{
	int result;

	for (result = NOISE_OK; result <= NOISE_WRONG_STATE; result++)
		ck_assert_str_ne(noise_result_text((enum noise_result)result), "unknown");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("noise");
	TCase *tc = tcase_create("noise");

	tcase_set_timeout(tc, 60); /* thousands of X25519, perhaps under a sanitizer */
	tcase_add_test(tc, transcripts);
	tcase_add_test(tc, wycheproof_x25519);
	tcase_add_test(tc, thousand_handshakes);
	tcase_add_test(tc, forward_secrecy);
	tcase_add_test(tc, crossing_initiations);
	tcase_add_test(tc, flipped_initiation);
	tcase_add_test(tc, flipped_response);
	tcase_add_test(tc, replayed_initiation);
	tcase_add_loop_test(tc, flood, 0, ARRAY_SIZE(flood_table));
	tcase_add_loop_test(tc, low_order_points, 0, ARRAY_SIZE(low_order));
	tcase_add_test(tc, low_order_sender);
	tcase_add_test(tc, impostor);
	tcase_add_test(tc, wrong_psk);
	tcase_add_test(tc, wrong_state);
	tcase_add_test(tc, no_identity);
	tcase_add_test(tc, new_identity);
	tcase_add_test(tc, clamping);
	tcase_add_test(tc, wiping);
	tcase_add_test(tc, texts);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	sr = srunner_create(suite());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
