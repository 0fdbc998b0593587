/* SPDX-License-Identifier: MIT */
/*
 * The SymmetricState, step by step: the published IKpsk2 vector with its own payloads,
 * and four recorded WireGuard handshakes with every value on the way.
 */
#include "../crypto/symmetric.h"

#include <sodium.h>

#include "../crypto/hkdf.h"
#include "vectors.h"

static const char wireguard_identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* Both sides' keys; the test is all-knowing. */
struct keys {
	uint8_t s_i[32], spub_i[32], e_i[32], epub_i[32];
	uint8_t s_r[32], spub_r[32], e_r[32], epub_r[32];
	uint8_t psk[32];
};

static void derive_public(struct keys *k)
{
	crypto_scalarmult_curve25519_base(k->spub_i, k->s_i);
	crypto_scalarmult_curve25519_base(k->epub_i, k->e_i);
	crypto_scalarmult_curve25519_base(k->spub_r, k->s_r);
	crypto_scalarmult_curve25519_base(k->epub_r, k->e_r);
}

/* Does a value equal the one that the vector derived? */
static void check_derived(const json_t *derived, const char *name, const uint8_t *value, size_t len)
{
	uint8_t want[64];

	vectors_exact(derived, name, want, len);
	if (memcmp(value, want, len))
		ck_abort_msg("%s differs", name);
}

static void mix_ephemeral(struct symmetric *s, const uint8_t *public_key)
{
	symmetric_mix_hash(s, public_key, 32);
	symmetric_mix_key(s, NULL, public_key, 32);
}

/*
 * One side of the whole pattern: seals the payload of the messages it sends and opens the
 * other's. Messages as in the vector: public keys in clear, sealed fields behind them.
 */
static void play(struct symmetric *s, const struct keys *k, bool initiator,
		 const uint8_t *payload1, size_t len1, const uint8_t *payload2, size_t len2,
		 uint8_t *message1, uint8_t *message2)
{
	uint8_t key[32], opened[256];

	/* -> e, es, s, ss */
	mix_ephemeral(s, k->epub_i);
	if (initiator) {
		memcpy(message1, k->epub_i, 32);
		ck_assert(symmetric_mix_dh(s, key, k->e_i, k->spub_r));
		symmetric_seal(s, key, message1 + 32, k->spub_i, 32);
		ck_assert(symmetric_mix_dh(s, key, k->s_i, k->spub_r));
		symmetric_seal(s, key, message1 + 80, payload1, len1);
	} else {
		ck_assert(symmetric_mix_dh(s, key, k->s_r, k->epub_i));
		ck_assert(symmetric_open(s, key, opened, message1 + 32, 32));
		ck_assert_mem_eq(opened, k->spub_i, 32);
		ck_assert(symmetric_mix_dh(s, key, k->s_r, k->spub_i));
		ck_assert(symmetric_open(s, key, opened, message1 + 80, len1));
		ck_assert_mem_eq(opened, payload1, len1);
	}
	if (!message2)
		return;

	/* <- e, ee, se, psk */
	mix_ephemeral(s, k->epub_r);
	if (initiator) {
		ck_assert(symmetric_mix_dh(s, NULL, k->e_i, k->epub_r));
		ck_assert(symmetric_mix_dh(s, NULL, k->s_i, k->epub_r));
		symmetric_mix_psk(s, key, k->psk);
		ck_assert(symmetric_open(s, key, opened, message2 + 32, len2));
		ck_assert_mem_eq(opened, payload2, len2);
	} else {
		memcpy(message2, k->epub_r, 32);
		ck_assert(symmetric_mix_dh(s, NULL, k->e_r, k->epub_i));
		ck_assert(symmetric_mix_dh(s, NULL, k->e_r, k->spub_i));
		symmetric_mix_psk(s, key, k->psk);
		symmetric_seal(s, key, message2 + 32, payload2, len2);
	}
}

/* Transport messages of the vector: no associated data, sides in turn, initiator first. */
static void check_transport(const json_t *messages, const uint8_t key_i[32],
			    const uint8_t key_r[32])
{
	uint8_t plain[256], sealed[256], want[256];
	size_t i;

	for (i = 2; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i);
		size_t len = vectors_bytes(message, "payload", plain, sizeof(plain));
		uint8_t nonce[12] = { 0 };

		store_le64(nonce + 4, (i - 2) / 2);
		crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, plain, len, NULL, 0, NULL,
							  nonce, i % 2 ? key_r : key_i);
		ck_assert_uint_eq(vectors_bytes(message, "ciphertext", want, sizeof(want)),
				  len + NOISE_TAG_LEN);
		ck_assert_mem_eq(sealed, want, len + NOISE_TAG_LEN);
	}
}

START_TEST(published_pattern)
{
	json_t *vector = vectors_load("noise/IKpsk2_25519_ChaChaPoly_BLAKE2s.json");
	uint8_t prologue[64], payload1[64], payload2[64], want1[256], want2[256];
	uint8_t message1[256], message2[256], key_i[32], key_r[32], wrong[2][32];
	size_t prologue_len, len1, len2;
	const json_t *messages, *derived;
	struct symmetric a, b;
	const char *name;
	struct keys k;

	if (!vector)
		return;
	name = vectors_text(vector, "protocol_name");
	messages = vectors_get(vector, "messages");
	derived = vectors_get(vector, "derived");
	vectors_exact(vector, "init_static", k.s_i, 32);
	vectors_exact(vector, "init_ephemeral", k.e_i, 32);
	vectors_exact(vector, "resp_static", k.s_r, 32);
	vectors_exact(vector, "resp_ephemeral", k.e_r, 32);
	vectors_hex(json_string_value(json_array_get(vectors_get(vector, "init_psks"), 0)), k.psk,
		    32);
	derive_public(&k);
	check_derived(vector, "init_remote_static", k.spub_r, 32);
	prologue_len = vectors_bytes(vector, "init_prologue", prologue, sizeof(prologue));
	len1 = vectors_bytes(json_array_get(messages, 0), "payload", payload1, sizeof(payload1));
	len2 = vectors_bytes(json_array_get(messages, 1), "payload", payload2, sizeof(payload2));
	ck_assert_uint_eq(vectors_bytes(json_array_get(messages, 0), "ciphertext", want1,
					sizeof(want1)), 80 + len1 + 16);
	ck_assert_uint_eq(vectors_bytes(json_array_get(messages, 1), "ciphertext", want2,
					sizeof(want2)), 32 + len2 + 16);

	symmetric_init(&a, name, prologue, prologue_len);
	symmetric_mix_hash(&a, k.spub_r, 32);
	check_derived(derived, "h after rs", a.hash, 32);
	b = a;
	mix_ephemeral(&b, k.epub_i);
	check_derived(derived, "h after e", b.hash, 32);
	check_derived(derived, "ck after e (psk mode)", b.chaining_key, 32);

	b = a;
	play(&b, &k, true, payload1, len1, NULL, 0, message1, NULL);
	check_derived(derived, "h after msg1", b.hash, 32);
	check_derived(derived, "ck after msg1", b.chaining_key, 32);
	ck_assert_mem_eq(message1, want1, 80 + len1 + 16);

	/* The responder's view of all, then the initiator's. */
	b = a;
	play(&b, &k, false, payload1, len1, payload2, len2, want1, message2);
	ck_assert_mem_eq(message2, want2, 32 + len2 + 16);
	play(&a, &k, true, payload1, len1, payload2, len2, message1, want2);
	check_derived(vector, "handshake_hash", a.hash, 32);
	ck_assert_mem_eq(&a, &b, sizeof(a));

	symmetric_split(&a, key_i, key_r);
	check_derived(derived, "key i->r", key_i, 32);
	check_derived(derived, "key r->i", key_r, 32);
	check_transport(messages, key_i, key_r);
	symmetric_split(&b, wrong[0], wrong[1]);
	ck_assert_mem_eq(wrong[0], key_i, 32);
	json_decref(vector);
}
END_TEST

static void check_recorded_initiation(struct symmetric *s, const struct keys *k,
				      const json_t *derived)
{
	uint8_t key[32], sealed[64], timestamp[12];

	symmetric_init(s, "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", wireguard_identifier,
		       strlen(wireguard_identifier));
	check_derived(derived, "C0 = HASH(CONSTRUCTION)", s->chaining_key, 32);
	check_derived(derived, "H0 = HASH(C0||IDENTIFIER)", s->hash, 32);
	symmetric_mix_hash(s, k->spub_r, 32);
	check_derived(derived, "H1 = HASH(H0||Spub_r)", s->hash, 32);
	mix_ephemeral(s, k->epub_i);
	check_derived(derived, "C1 = KDF1(C0,Epub_i)", s->chaining_key, 32);
	check_derived(derived, "H2 = HASH(H1||Epub_i)", s->hash, 32);
	ck_assert(symmetric_mix_dh(s, key, k->e_i, k->spub_r));
	check_derived(derived, "C2", s->chaining_key, 32);
	check_derived(derived, "k1 (static)", key, 32);
	symmetric_seal(s, key, sealed, k->spub_i, 32);
	check_derived(derived, "encrypted_static", sealed, 48);
	check_derived(derived, "H3", s->hash, 32);
	ck_assert(symmetric_mix_dh(s, key, k->s_i, k->spub_r));
	check_derived(derived, "C3", s->chaining_key, 32);
	check_derived(derived, "k2 (timestamp)", key, 32);
	vectors_exact(derived, "timestamp", timestamp, sizeof(timestamp));
	symmetric_seal(s, key, sealed, timestamp, sizeof(timestamp));
	check_derived(derived, "encrypted_timestamp", sealed, 28);
	check_derived(derived, "H4", s->hash, 32);
}

static void check_recorded_response(struct symmetric *s, const struct keys *k,
				    const json_t *derived)
{
	uint8_t key[32], sealed[16], tau[32], scratch[2][32], key_i[32], key_r[32];

	mix_ephemeral(s, k->epub_r);
	check_derived(derived, "C4 = KDF1(C3,Epub_r)", s->chaining_key, 32);
	check_derived(derived, "H5", s->hash, 32);
	ck_assert(symmetric_mix_dh(s, NULL, k->e_r, k->epub_i));
	check_derived(derived, "C5 = KDF1(C4,DH(E_r,Epub_i))", s->chaining_key, 32);
	ck_assert(symmetric_mix_dh(s, NULL, k->e_r, k->spub_i));
	check_derived(derived, "C6 = KDF1(C5,DH(E_r,Spub_i))", s->chaining_key, 32);
	kdf3(scratch[0], tau, scratch[1], s->chaining_key, 32, k->psk, 32);
	check_derived(derived, "tau", tau, 32);
	symmetric_mix_psk(s, key, k->psk);
	check_derived(derived, "C7", s->chaining_key, 32);
	check_derived(derived, "k3 (empty)", key, 32);
	check_derived(derived, "H6 = HASH(H5||tau)", s->hash, 32);
	symmetric_seal(s, key, sealed, NULL, 0);
	check_derived(derived, "encrypted_nothing", sealed, 16);
	check_derived(derived, "H7", s->hash, 32);
	symmetric_split(s, key_i, key_r);
	check_derived(derived, "T_send_i = T_recv_r", key_i, 32);
	check_derived(derived, "T_recv_i = T_send_r", key_r, 32);
}

START_TEST(recorded_handshakes)
{
	json_t *transcripts = vectors_load("wireguard/transcripts.json");
	struct symmetric s;
	struct keys k;
	json_t *one;
	size_t i;

	if (!transcripts)
		return;
	ck_assert_uint_ge(json_array_size(transcripts), 4);
	json_array_foreach(transcripts, i, one) {
		vectors_exact(one, "S_i", k.s_i, 32);
		vectors_exact(one, "S_r", k.s_r, 32);
		vectors_exact(one, "E_i", k.e_i, 32);
		vectors_exact(one, "E_r", k.e_r, 32);
		vectors_exact(one, "psk", k.psk, 32);
		derive_public(&k);
		check_derived(one, "Spub_i", k.spub_i, 32);
		check_derived(one, "Spub_r", k.spub_r, 32);
		check_derived(one, "Epub_i", k.epub_i, 32);
		check_derived(one, "Epub_r", k.epub_r, 32);
		check_recorded_initiation(&s, &k, vectors_get(vectors_get(one, "initiation"),
							      "derived"));
		check_recorded_response(&s, &k, vectors_get(vectors_get(one, "response"),
							    "derived"));
	}
	json_decref(transcripts);
}
END_TEST

/* Failure leaves the state as it was: a handshake goes on with the real message. */
START_TEST(failure_changes_nothing)
{
	uint8_t key[32] = { 1 }, other[32] = { 2 }, one[32] = { 9 }, zero[32] = { 0 };
	uint8_t sealed[8 + 16], opened[8];
	struct symmetric s, before, after;
	unsigned bit;

	symmetric_init(&s, "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", NULL, 0);
	before = s;
	ck_assert(!symmetric_mix_dh(&s, other, one, zero));
	ck_assert_mem_eq(&s, &before, sizeof(s));

	symmetric_seal(&s, key, sealed, "payload", 8);
	after = s;
	s = before;
	for (bit = 0; bit < sizeof(sealed) * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!symmetric_open(&s, key, opened, sealed, 8));
		ck_assert_mem_eq(&s, &before, sizeof(s));
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert(!symmetric_open(&s, other, opened, sealed, 8));
	ck_assert(symmetric_open(&s, key, opened, sealed, 8));
	ck_assert_mem_eq(&s, &after, sizeof(s));
	ck_assert_str_eq((char *)opened, "payload");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("symmetric");
	TCase *tc = tcase_create("symmetric");

	tcase_add_test(tc, published_pattern);
	tcase_add_test(tc, recorded_handshakes);
	tcase_add_test(tc, failure_changes_nothing);
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
