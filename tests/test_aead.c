/* SPDX-License-Identifier: MIT */
/*
 * ChaCha20-Poly1305 and its providers: published vectors, each provider against
 * libsodium's plain call, and what a forged packet must not do.
 */
#include "vectors.h"

#include "../crypto/aead.h"
#include "../crypto/messages.h"

#include <inttypes.h>
#include <sodium.h>
#ifdef HAVE_IPSEC_MB
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#endif

enum {
	PROVIDERS = 2,
	BURST_MAX = 128,
	PACKET_MAX = 65535,
	GUARD = 32, /* bytes before and behind each packet that must stay */
	GUARD_BYTE = 0xa5
};

/* A check for loops: libcheck's own writes to a pipe each time, even when it holds. */
#define expect(condition, ...)                     \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/* Provider number @i, or NULL (and a line) where this machine cannot run it. */
static struct aead *provider(int i)
{
	const char *name = aead_provider_name((size_t)i);
	struct aead *ctx;
	int err = aead_new(name, &ctx);

	if (err == -ENOTSUP && strcmp(name, "libsodium")) {
		fprintf(stderr, "%s: not there on this machine, skipped\n", name);
		return NULL;
	}
	ck_assert_msg(!err, "%s: %s", name, strerror(-err));
	ck_assert_str_eq(aead_name(ctx), name);
	return ctx;
}

/* The same bytes in every run. */
static void fill(void *out, size_t len, uint32_t which)
{
	uint8_t seed[randombytes_SEEDBYTES] = { 0 };

	store_le32(seed, which);
	randombytes_buf_deterministic(out, len, seed);
}

/* ---- choosing ---- */

START_TEST(names)
{
	struct aead *ctx = (struct aead *)&ctx;

	ck_assert_int_eq(aead_new("openssl", &ctx), -EINVAL);
	ck_assert_ptr_null(ctx);
	ck_assert_int_eq(aead_new("", &ctx), -EINVAL);
	ck_assert_str_eq(aead_provider_name(0), "ipsec-mb");
	ck_assert_str_eq(aead_provider_name(1), "libsodium");
	ck_assert_ptr_null(aead_provider_name(PROVIDERS));
	aead_free(NULL);
}
END_TEST

START_TEST(automatic_is_the_first_that_works)
{
	struct aead *best;
	struct aead *ctx;

	ck_assert_int_eq(aead_new("auto", &ctx), 0);
	if (aead_new(aead_provider_name(0), &best) == 0)
		ck_assert_str_eq(aead_name(ctx), aead_name(best));
	else
		ck_assert_str_eq(aead_name(ctx), "libsodium");
	aead_free(best);
	aead_free(ctx);
}
END_TEST

/* ---- each provider against libsodium's plain call ---- */

struct packet {
	uint8_t *memory; /* GUARD, packet, tag, GUARD */
	uint8_t *data;
	size_t len; /* of the plaintext */
	uint8_t *plain;
	uint8_t *sealed;
	uint8_t key[AEAD_KEY_LEN];
	uint64_t nonce;
};

/* Makes packet number @i, with an alignment of its own, and what it shall become. */
static void packet_make(struct packet *p, size_t len, uint32_t i)
{
	uint8_t nonce[AEAD_NONCE_LEN];

	p->memory = malloc(GUARD + 16 + len + AEAD_TAG_LEN + GUARD);
	p->plain = malloc(len + 1);
	p->sealed = malloc(len + AEAD_TAG_LEN);
	p->data = p->memory + GUARD + i % 16;
	p->len = len;
	memset(p->memory, GUARD_BYTE, (size_t)(p->data - p->memory));
	memset(p->data + len, GUARD_BYTE, AEAD_TAG_LEN + GUARD);
	fill(p->key, sizeof(p->key), 3 * i);
	fill(&p->nonce, sizeof(p->nonce), 3 * i + 1);
	fill(p->plain, len, 3 * i + 2);
	memcpy(p->data, p->plain, len);
	memset(nonce, 0, 4);
	store_le64(nonce + 4, p->nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(p->sealed, NULL, p->plain, len, NULL, 0, NULL,
						  nonce, p->key);
}

static void packet_free(struct packet *p)
{
	free(p->memory);
	free(p->plain);
	free(p->sealed);
}

static void packet_expect_guards(const struct packet *p)
{
	const uint8_t *end = p->data + p->len + AEAD_TAG_LEN;

	for (const uint8_t *q = p->memory; q < p->data; q++)
		expect(*q == GUARD_BYTE, "length %zu: wrote before the packet", p->len);
	for (const uint8_t *q = end; q < end + GUARD; q++)
		expect(*q == GUARD_BYTE, "length %zu: wrote behind the tag", p->len);
}

/* Seals and opens @n packets in one burst, and compares. */
static void round_trip(struct aead *ctx, struct packet *packets, size_t n)
{
	struct aead_op ops[BURST_MAX];

	for (size_t i = 0; i < n; i++)
		ops[i] = (struct aead_op){ .data = packets[i].data,
					   .len = packets[i].len,
					   .key = packets[i].key,
					   .nonce = packets[i].nonce };
	aead_seal_burst(ctx, ops, n);
	for (size_t i = 0; i < n; i++) {
		expect(ops[i].ok, "seal");
		expect(!memcmp(packets[i].data, packets[i].sealed, packets[i].len + AEAD_TAG_LEN),
		       "%s: length %zu: not what libsodium says", aead_name(ctx), packets[i].len);
		packet_expect_guards(&packets[i]);
		ops[i].len += AEAD_TAG_LEN;
	}
	aead_open_burst(ctx, ops, n);
	for (size_t i = 0; i < n; i++) {
		expect(ops[i].ok, "%s: length %zu: refused", aead_name(ctx), packets[i].len);
		expect(!memcmp(packets[i].data, packets[i].plain, packets[i].len),
		       "%s: length %zu: not the plaintext", aead_name(ctx), packets[i].len);
		packet_expect_guards(&packets[i]);
	}
}

START_TEST(every_length)
{
	struct aead *ctx = provider(_i);

	for (uint32_t len = 0; ctx && len <= 2000; len++) {
		struct packet p;

		packet_make(&p, len, len);
		round_trip(ctx, &p, 1);
		packet_free(&p);
	}
	aead_free(ctx);
}
END_TEST

START_TEST(long_packets)
{
	struct aead *ctx = provider(_i);

	for (uint32_t i = 0; ctx && i < 200; i++) {
		uint32_t len = PACKET_MAX;
		struct packet p;

		if (i) {
			fill(&len, sizeof(len), 1000000 + i);
			len %= PACKET_MAX + 1;
		}
		packet_make(&p, len, i);
		round_trip(ctx, &p, 1);
		packet_free(&p);
	}
	aead_free(ctx);
}
END_TEST

/* Every burst size, every packet with its own key, nonce, length and alignment. */
START_TEST(every_burst)
{
	struct aead *ctx = provider(_i);
	struct packet packets[BURST_MAX];

	for (uint32_t n = 0; ctx && n <= BURST_MAX; n++) {
		for (uint32_t i = 0; i < n; i++)
			packet_make(&packets[i], i * 167 % 1500, n * BURST_MAX + i);
		round_trip(ctx, packets, n);
		for (uint32_t i = 0; i < n; i++)
			packet_free(&packets[i]);
	}
	aead_free(ctx);
}
END_TEST

/* The greatest counters, which only the nonce's byte order can tell apart. */
START_TEST(nonces)
{
	static const uint64_t counters[] = { 0, 1, 0x0102030405060708, UINT32_MAX,
					     UINT64_C(1) << 32, REJECT_AFTER_MESSAGES };
	struct aead *ctx = provider(_i);

	for (size_t i = 0; ctx && i < ARRAY_SIZE(counters); i++) {
		uint8_t expected[100 + AEAD_TAG_LEN] = { 0 };
		uint8_t got[100 + AEAD_TAG_LEN] = { 0 };
		uint8_t key[AEAD_KEY_LEN] = { 1 };
		uint8_t nonce[AEAD_NONCE_LEN] = { 0 };
		struct aead_op op = { .data = got, .len = 100, .key = key, .nonce = counters[i] };

		for (unsigned int byte = 0; byte < 8; byte++)
			nonce[4 + byte] = (uint8_t)(counters[i] >> (8 * byte));
		crypto_aead_chacha20poly1305_ietf_encrypt(expected, NULL, expected, 100, NULL, 0,
							  NULL, nonce, key);
		aead_seal_burst(ctx, &op, 1);
		ck_assert_mem_eq(got, expected, sizeof(got));
	}
	aead_free(ctx);
}
END_TEST

/* ---- forgeries ---- */

enum {
	NEIGHBOURS = 3
};

/* Opens three packets, the middle one with the bit @bit of @byte turned over. */
static void forge(struct aead *ctx, struct packet *packets, size_t byte, unsigned int bit)
{
	struct aead_op ops[NEIGHBOURS];
	struct packet *p = packets;

	for (size_t i = 0; i < NEIGHBOURS; i++, p++) {
		memcpy(p->data, p->sealed, p->len + AEAD_TAG_LEN);
		ops[i] = (struct aead_op){ .data = p->data,
					   .len = p->len + AEAD_TAG_LEN,
					   .key = p->key,
					   .nonce = p->nonce };
	}
	packets[1].data[byte] ^= (uint8_t)(1U << bit);
	aead_open_burst(ctx, ops, NEIGHBOURS);

	expect(!ops[1].ok, "byte %zu bit %u: accepted", byte, bit);
	expect(sodium_is_zero(ops[1].data, ops[1].len), "byte %zu bit %u: not wiped", byte, bit);
	for (size_t i = 0; i < NEIGHBOURS; i += 2) {
		expect(ops[i].ok, "byte %zu bit %u: neighbour refused", byte, bit);
		expect(!memcmp(packets[i].data, packets[i].plain, packets[i].len),
		       "byte %zu bit %u: neighbour damaged", byte, bit);
	}
	for (size_t i = 0; i < NEIGHBOURS; i++)
		packet_expect_guards(&packets[i]);
}

/* Each bit of short packets and their tags; of the long one each bit of the tag. */
START_TEST(every_bit)
{
	static const size_t lengths[] = { 0, 1, 16, 100, 1420 };
	struct aead *ctx = provider(_i);

	for (size_t l = 0; ctx && l < ARRAY_SIZE(lengths); l++) {
		struct packet packets[NEIGHBOURS];
		size_t first = lengths[l] > 100 ? lengths[l] : 0;

		packet_make(&packets[0], 77, 1);
		packet_make(&packets[1], lengths[l], 2);
		packet_make(&packets[2], 1300, 3);
		for (size_t bit = 8 * first; bit < 8 * (lengths[l] + AEAD_TAG_LEN); bit++)
			forge(ctx, packets, bit / 8, bit % 8);
		for (size_t i = 0; i < NEIGHBOURS; i++)
			packet_free(&packets[i]);
	}
	aead_free(ctx);
}
END_TEST

START_TEST(wrong_key_or_nonce)
{
	struct aead *ctx = provider(_i);
	struct aead_op ops[2];
	struct packet p[2];

	if (!ctx)
		return;
	for (uint32_t i = 0; i < 2; i++) {
		packet_make(&p[i], 500, i);
		memcpy(p[i].data, p[i].sealed, 500 + AEAD_TAG_LEN);
		ops[i] = (struct aead_op){ .data = p[i].data,
					   .len = 500 + AEAD_TAG_LEN,
					   .key = p[0].key,
					   .nonce = p[i].nonce + !i };
	}
	aead_open_burst(ctx, ops, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert(!ops[i].ok);
		ck_assert(sodium_is_zero(ops[i].data, ops[i].len));
		packet_free(&p[i]);
	}
	aead_free(ctx);
}
END_TEST

/* Shorter than a tag: refused without a look behind the end. */
START_TEST(shorter_than_a_tag)
{
	struct aead *ctx = provider(_i);
	uint8_t key[AEAD_KEY_LEN] = { 0 };

	for (size_t len = 0; ctx && len < AEAD_TAG_LEN; len++) {
		uint8_t *data = malloc(len + 1); /* the sanitizer guards the end */
		struct aead_op op = { .data = data, .len = len, .key = key, .ok = true };

		memset(data, GUARD_BYTE, len + 1);
		aead_open_burst(ctx, &op, 1);
		ck_assert(!op.ok);
		ck_assert_int_eq(data[len], GUARD_BYTE);
		free(data);
	}
	aead_free(ctx);
}
END_TEST

/* ---- published vectors ---- */

/* Real data messages: header of 16 bytes (type, index, counter), then the burst's part. */
static unsigned int transport(struct aead *ctx, const json_t *session)
{
	json_t *derived = vectors_get(vectors_get(session, "response"), "derived");
	unsigned int count = 0;
	json_t *message;
	size_t i;

	json_array_foreach(vectors_get(session, "transport"), i, message) {
		bool forth = !strcmp(vectors_text(message, "dir"), "i>r");
		uint8_t packet[4096], recorded[4096], plain[4096], key[AEAD_KEY_LEN];
		size_t len = vectors_bytes(message, "packet", packet, sizeof(packet));
		size_t plain_len = vectors_bytes(message, "plaintext", plain, sizeof(plain));
		struct aead_op op = { .data = packet + 16,
				      .len = len - 16,
				      .key = key,
				      .nonce = load_le64(packet + 8) };

		memcpy(recorded, packet, len);
		vectors_exact(derived, forth ? "T_send_i = T_recv_r" : "T_recv_i = T_send_r", key,
			      sizeof(key));
		ck_assert_int_eq((json_int_t)op.nonce, vectors_integer(message, "counter"));
		aead_open_burst(ctx, &op, 1);
		ck_assert(op.ok);
		ck_assert_uint_le(plain_len, op.len - AEAD_TAG_LEN);
		ck_assert_mem_eq(op.data, plain, plain_len);
		op.len -= AEAD_TAG_LEN;
		aead_seal_burst(ctx, &op, 1);
		ck_assert_mem_eq(packet, recorded, len);
		count++;
	}
	return count;
}

START_TEST(recorded_data_messages)
{
	json_t *root = vectors_load("wireguard/transcripts.json");
	struct aead *ctx = provider(_i);
	unsigned int count = 0;
	json_t *session;
	size_t i;

	if (root && ctx) {
		json_array_foreach(root, i, session)
			count += transport(ctx, session);
		ck_assert_uint_eq(count, 18);
	}
	json_decref(root);
	aead_free(ctx);
}
END_TEST

/* One Wycheproof case. */
struct wycheproof {
	uint8_t key[AEAD_KEY_LEN];
	uint8_t iv[64];
	uint8_t aad[1024];
	uint8_t msg[1024];
	uint8_t sealed[1024 + AEAD_TAG_LEN]; /* ct and tag */
	size_t aad_len, msg_len;
	json_int_t id;
	bool valid;
};

/* False for a nonce of another length: the library cannot even be asked. */
static bool wycheproof_read(struct wycheproof *w, const json_t *test, size_t iv_len)
{
	if (vectors_bytes(test, "iv", w->iv, sizeof(w->iv)) != iv_len)
		return false;
	w->id = vectors_integer(test, "tcId");
	w->valid = !strcmp(vectors_text(test, "result"), "valid");
	vectors_exact(test, "key", w->key, sizeof(w->key));
	w->aad_len = vectors_bytes(test, "aad", w->aad, sizeof(w->aad));
	w->msg_len = vectors_bytes(test, "msg", w->msg, sizeof(w->msg));
	vectors_exact(test, "ct", w->sealed, w->msg_len);
	vectors_exact(test, "tag", w->sealed + w->msg_len, AEAD_TAG_LEN);
	return true;
}

/* libsodium's two ciphers have the same signatures. */
typedef int (*encrypt_fn)(unsigned char *, unsigned long long *, const unsigned char *,
			  unsigned long long, const unsigned char *, unsigned long long,
			  const unsigned char *, const unsigned char *, const unsigned char *);
typedef int (*decrypt_fn)(unsigned char *, unsigned long long *, unsigned char *,
			  const unsigned char *, unsigned long long, const unsigned char *,
			  unsigned long long, const unsigned char *, const unsigned char *);

static void by_sodium(const struct wycheproof *w, encrypt_fn encrypt, decrypt_fn decrypt)
{
	uint8_t sealed[sizeof(w->sealed)];
	uint8_t opened[sizeof(w->msg)];
	int err;

	ck_assert_int_eq(encrypt(sealed, NULL, w->msg, w->msg_len, w->aad, w->aad_len, NULL, w->iv,
				 w->key), 0);
	err = decrypt(opened, NULL, NULL, w->sealed, w->msg_len + AEAD_TAG_LEN, w->aad, w->aad_len,
		      w->iv, w->key);
	ck_assert_msg(!err == w->valid, "case %" JSON_INTEGER_FORMAT, w->id);
	ck_assert_msg(!memcmp(sealed, w->sealed, w->msg_len + AEAD_TAG_LEN) == w->valid,
		      "case %" JSON_INTEGER_FORMAT, w->id);
	if (w->valid)
		ck_assert_msg(!memcmp(opened, w->msg, w->msg_len), "case %" JSON_INTEGER_FORMAT,
			      w->id);
}

/* Runs the cases whose nonce has @iv_len bytes, which must be @expected many. */
static void wycheproof_file(const char *file, size_t iv_len, unsigned int expected,
			    void (*run)(const struct wycheproof *))
{
	json_t *root = vectors_load(file);
	unsigned int count = 0;
	json_t *group;
	size_t i;

	json_array_foreach(root ? vectors_get(root, "testGroups") : NULL, i, group) {
		json_t *test;
		size_t j;

		json_array_foreach(vectors_get(group, "tests"), j, test) {
			struct wycheproof w;

			if (!wycheproof_read(&w, test, iv_len))
				continue;
			run(&w);
			count++;
		}
	}
	ck_assert_uint_eq(count, root ? expected : 0);
	json_decref(root);
}

static void chacha_by_sodium(const struct wycheproof *w)
{
	by_sodium(w, crypto_aead_chacha20poly1305_ietf_encrypt,
		  crypto_aead_chacha20poly1305_ietf_decrypt);
}

static void xchacha_by_sodium(const struct wycheproof *w)
{
	by_sodium(w, crypto_aead_xchacha20poly1305_ietf_encrypt,
		  crypto_aead_xchacha20poly1305_ietf_decrypt);
}

START_TEST(wycheproof_chacha20_poly1305)
{
	wycheproof_file("wycheproof/chacha20_poly1305_test.json", 12, 316, chacha_by_sodium);
}
END_TEST

START_TEST(wycheproof_xchacha20_poly1305)
{
	wycheproof_file("wycheproof/xchacha20_poly1305_test.json", 24, 306, xchacha_by_sodium);
}
END_TEST

#ifdef HAVE_IPSEC_MB
static IMB_MGR *manager;

/* A tag that the vectors call wrong must differ from the one the library computes. */
static void by_ipsecmb(const struct wycheproof *w)
{
	struct chacha20_poly1305_context_data ctx;
	uint8_t got[1024 + AEAD_TAG_LEN];

	IMB_CHACHA20_POLY1305_INIT(manager, w->key, &ctx, w->iv, w->aad, w->aad_len);
	IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, w->key, &ctx, got, w->msg, w->msg_len);
	IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager, &ctx, got + w->msg_len, AEAD_TAG_LEN);
	ck_assert_msg(!memcmp(got, w->sealed, w->msg_len + AEAD_TAG_LEN) == w->valid,
		      "case %" JSON_INTEGER_FORMAT, w->id);
}

/*
 * None of the cases has the nonce of a data message and no additional data, so
 * none fits our burst. They were made to meet the rare carries of Poly1305, and
 * the code beneath our provider shall meet them too.
 */
START_TEST(wycheproof_ipsecmb)
{
	manager = alloc_mb_mgr(0);
	ck_assert_ptr_nonnull(manager);
	init_mb_mgr_auto(manager, NULL);
	if (!imb_get_errno(manager))
		wycheproof_file("wycheproof/chacha20_poly1305_test.json", 12, 316, by_ipsecmb);
	free_mb_mgr(manager);
}
END_TEST
#endif

START_TEST(wycheproof_x25519)
{
	json_t *root = vectors_load("wycheproof/x25519_test.json");
	unsigned int refused = 0;
	json_t *group;
	size_t i;

	json_array_foreach(root ? vectors_get(root, "testGroups") : NULL, i, group) {
		json_t *test;
		size_t j;

		json_array_foreach(vectors_get(group, "tests"), j, test) {
			uint8_t public[32], private[32], shared[32], got[32];
			int err;

			vectors_exact(test, "public", public, sizeof(public));
			vectors_exact(test, "private", private, sizeof(private));
			vectors_exact(test, "shared", shared, sizeof(shared));
			err = crypto_scalarmult(got, private, public);
			ck_assert_int_eq(err, sodium_is_zero(shared, sizeof(shared)) ? -1 : 0);
			if (err)
				refused++;
			else
				ck_assert_mem_eq(got, shared, sizeof(got));
		}
	}
	ck_assert_uint_eq(refused, root ? 31 : 0);
	json_decref(root);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("aead");
	TCase *tc = tcase_create("aead");
	SRunner *sr;
	int failed;

	if (sodium_init() < 0)
		return 1;
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, names);
	tcase_add_test(tc, automatic_is_the_first_that_works);
	tcase_add_loop_test(tc, every_length, 0, PROVIDERS);
	tcase_add_loop_test(tc, long_packets, 0, PROVIDERS);
	tcase_add_loop_test(tc, every_burst, 0, PROVIDERS);
	tcase_add_loop_test(tc, nonces, 0, PROVIDERS);
	tcase_add_loop_test(tc, every_bit, 0, PROVIDERS);
	tcase_add_loop_test(tc, wrong_key_or_nonce, 0, PROVIDERS);
	tcase_add_loop_test(tc, shorter_than_a_tag, 0, PROVIDERS);
	tcase_add_loop_test(tc, recorded_data_messages, 0, PROVIDERS);
	tcase_add_test(tc, wycheproof_chacha20_poly1305);
	tcase_add_test(tc, wycheproof_xchacha20_poly1305);
#ifdef HAVE_IPSEC_MB
	tcase_add_test(tc, wycheproof_ipsecmb);
#endif
	tcase_add_test(tc, wycheproof_x25519);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
