/* SPDX-License-Identifier: MIT */
/* mac1, mac2 and cookies: made and recorded ones, and their life from reply to expiry. */
#include "../crypto/cookie.h"

#include <errno.h>
#include <sodium.h>

#include "vectors.h"

#define SECONDS(n) ((n) * NSEC_PER_SEC)
#define EPOCH COOKIE_SECRET_MAX_AGE

static const uint8_t public_key[32] = { 9 };
static const uint8_t address[6] = { 192, 0, 2, 1, 0xca, 0x6c };

/* A checker, a maker that sends to it, and a message under way. */
struct talk {
	struct cookie_checker checker;
	struct cookie_epochs epochs;
	struct cookie_maker maker;
	struct message_initiation msg;
	struct message_cookie_reply reply;
};

static void talk_init(struct talk *t)
{
	unsigned i;

	memset(t, 0, sizeof(*t));
	cookie_checker_init(&t->checker, public_key);
	cookie_maker_init(&t->maker, public_key);
	t->msg.type = htole32(MESSAGE_INITIATION);
	t->msg.sender_index = htole32(0x12345678);
	for (i = 0; i < sizeof(t->msg.ephemeral); i++)
		t->msg.ephemeral[i] = (uint8_t)i;
}

static void send_at(struct talk *t, uint64_t now)
{
	cookie_add_macs(&t->maker, &t->msg, sizeof(t->msg), now);
}

static enum cookie_verdict check_from(struct talk *t, const uint8_t *addr, size_t len,
				      uint64_t now)
{
	return cookie_check(&t->checker, &t->epochs, &t->msg, sizeof(t->msg), addr, len, now, true);
}

static enum cookie_verdict check_at(struct talk *t, uint64_t now)
{
	return check_from(t, address, sizeof(address), now);
}

static void reply_at(struct talk *t, uint64_t now)
{
	cookie_make_reply(&t->checker, &t->epochs, &t->msg, sizeof(t->msg), address,
			  sizeof(address), now, &t->reply);
}

/* The whole exchange at one time: message, reply, cookie. */
static void get_cookie(struct talk *t, uint64_t now)
{
	send_at(t, now);
	reply_at(t, now);
	ck_assert_int_eq(cookie_consume_reply(&t->maker, &t->reply, now), 0);
}

/* --- vectors ------------------------------------------------------------- */

static void check_made(const json_t *one)
{
	uint8_t key[32], secret[32], addr[COOKIE_ADDRESS_MAX], want[32], cookie[16], nonce[24];
	struct message_cookie_reply reply, want_reply;
	struct message_initiation msg = { 0 };
	struct cookie_checker checker;
	struct blake2s_state state;
	struct cookie_maker maker;
	size_t addr_len, len;

	vectors_exact(one, "responder_static_public", key, 32);
	cookie_checker_init(&checker, key);
	cookie_maker_init(&maker, key);
	vectors_exact(one, "mac1_key", want, 32);
	ck_assert_mem_eq(maker.mac1_key, want, 32);
	vectors_exact(one, "cookie_key", want, 32);
	ck_assert_mem_eq(maker.cookie_key, want, 32);
	ck_assert_mem_eq(checker.cookie_key, want, 32);

	len = vectors_bytes(one, "message_up_to_mac1", (uint8_t *)&msg, sizeof(msg));
	ck_assert_uint_eq(len, offsetof(struct message_initiation, macs));
	ck_assert_uint_eq(le32toh(msg.sender_index),
			  (uint32_t)vectors_integer(one, "initiator_index"));
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	vectors_exact(one, "mac1", want, 16);
	ck_assert_mem_eq(msg.macs.mac1, want, 16);
	ck_assert(sodium_is_zero(msg.macs.mac2, 16));

	vectors_exact(one, "cookie_secret", secret, 32);
	addr_len = vectors_bytes(one, "endpoint_bytes", addr, sizeof(addr));
	cookie_take_secret(&state, secret);
	cookie_compute(cookie, &state, addr, addr_len);
	vectors_exact(one, "cookie", want, 16);
	ck_assert_mem_eq(cookie, want, 16);
	vectors_exact(one, "nonce", nonce, 24);
	cookie_seal_reply(&checker, cookie, nonce, &msg, sizeof(msg), &reply);
	vectors_exact(one, "cookie_reply", (uint8_t *)&want_reply, sizeof(want_reply));
	ck_assert_mem_eq(&reply, &want_reply, sizeof(reply));

	ck_assert_int_eq(cookie_consume_reply(&maker, &reply, 0), 0);
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	vectors_exact(one, "mac2_with_cookie", want, 16);
	ck_assert_mem_eq(msg.macs.mac2, want, 16);
}

START_TEST(made)
{
	json_t *all = vectors_load("wireguard/cookie.json");
	json_t *one;
	size_t i;

	if (!all)
		return;
	ck_assert_uint_ge(json_array_size(all), 2);
	json_array_foreach(all, i, one)
		check_made(one);
	json_decref(all);
}
END_TEST

static const char *const recordings[] = {
	"wireguard/cookie_recorded_v4.json",
	"wireguard/cookie_recorded_v6.json",
};

/* What another implementation sent under load: we take its cookie and use it as it was used. */
START_TEST(recorded)
{
	json_t *one = vectors_load(recordings[_i]);
	struct message_cookie_reply reply;
	struct message_initiation msg, want;
	struct cookie_checker checker;
	struct cookie_maker maker;
	uint8_t key[32], value[32];

	if (!one)
		return;
	vectors_exact(one, "responder_public", key, 32);
	cookie_checker_init(&checker, key);
	cookie_maker_init(&maker, key);
	vectors_exact(one, "cookie_key", value, 32);
	ck_assert_mem_eq(maker.cookie_key, value, 32);

	vectors_exact(one, "initiation", (uint8_t *)&want, sizeof(want));
	ck_assert_int_eq(cookie_check(&checker, NULL, &want, sizeof(want), address, sizeof(address),
				      0, false), COOKIE_MAC1);
	msg = want;
	memset(&msg.macs, 0xaa, sizeof(msg.macs));
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	ck_assert_mem_eq(&msg, &want, sizeof(msg));
	vectors_exact(one, "mac1_aad", value, 16);
	ck_assert_mem_eq(msg.macs.mac1, value, 16);

	vectors_exact(one, "cookie_reply", (uint8_t *)&reply, sizeof(reply));
	ck_assert_uint_eq(reply.receiver_index, msg.sender_index);
	ck_assert_int_eq(cookie_consume_reply(&maker, &reply, 0), 0);
	vectors_exact(one, "cookie", value, 16);
	ck_assert_mem_eq(maker.cookie, value, 16);

	vectors_exact(one, "initiation_with_mac2", (uint8_t *)&want, sizeof(want));
	msg = want;
	memset(&msg.macs, 0xaa, sizeof(msg.macs));
	cookie_add_macs(&maker, &msg, sizeof(msg), 0);
	ck_assert_mem_eq(&msg, &want, sizeof(msg));
	json_decref(one);
}
END_TEST

/* --- checking ------------------------------------------------------------ */

START_TEST(mac1)
{
	const uint8_t other_key[32] = { 8 };
	struct cookie_checker other;
	struct talk t;
	size_t bit;

	talk_init(&t);
	send_at(&t, 0);
	ck_assert_int_eq(check_at(&t, 0), COOKIE_MAC1);
	for (bit = 0; bit < 8 * offsetof(struct message_initiation, macs.mac2); bit++) {
		uint8_t *byte = (uint8_t *)&t.msg + bit / 8;

		*byte ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(check_at(&t, 0), COOKIE_INVALID);
		*byte ^= (uint8_t)(1 << bit % 8);
	}
	/* meant for another key */
	cookie_checker_init(&other, other_key);
	ck_assert_int_eq(cookie_check(&other, NULL, &t.msg, sizeof(t.msg), address, 6, 0, false),
			 COOKIE_INVALID);
}
END_TEST

/* Any length is a judgement, not a crash; the bytes lie at odd addresses in exact buffers. */
START_TEST(lengths)
{
	struct talk t;
	size_t len;

	talk_init(&t);
	for (len = 0; len <= 200; len++) {
		uint8_t *buffer = malloc(len + 1);
		enum cookie_verdict verdict;

		ck_assert_ptr_ne(buffer, NULL);
		memset(buffer, 7, len + 1);
		if (len >= 40)
			cookie_add_macs(&t.maker, buffer + 1, len, 0);
		verdict = cookie_check(&t.checker, &t.epochs, buffer + 1, len, address, 6, 0, true);
		ck_assert_int_eq(verdict, len < 40 ? COOKIE_INVALID : COOKIE_MAC1);
		free(buffer);
	}
}
END_TEST

START_TEST(mac2)
{
	uint8_t other[18] = { 0 };
	struct talk t;
	size_t bit;

	talk_init(&t);
	get_cookie(&t, 0);
	/* The message that asked has no mac2; the next one has. */
	ck_assert_int_eq(check_at(&t, 0), COOKIE_MAC1);
	send_at(&t, 0);
	ck_assert_int_eq(check_at(&t, 0), COOKIE_MAC2);
	/* Not asked for, it is not looked at. */
	ck_assert_int_eq(cookie_check(&t.checker, &t.epochs, &t.msg, sizeof(t.msg), address, 6, 0,
				      false), COOKIE_MAC1);
	for (bit = 0; bit < 128; bit++) {
		t.msg.macs.mac2[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(check_at(&t, 0), COOKIE_MAC1);
		t.msg.macs.mac2[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* From elsewhere: another port, another address, the same bytes in a longer one. */
	for (bit = 0; bit < 48; bit++) {
		memcpy(other, address, 6);
		other[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(check_from(&t, other, 6, 0), COOKIE_MAC1);
	}
	memcpy(other, address, 6);
	ck_assert_int_eq(check_from(&t, other, 18, 0), COOKIE_MAC1);
	ck_assert_int_eq(check_from(&t, address, 4, 0), COOKIE_MAC1);
	/* Another checker has another master secret, even for the same key. */
	cookie_checker_init(&t.checker, public_key);
	ck_assert_int_eq(check_at(&t, 0), COOKIE_MAC1);
}
END_TEST

/* When a cookie is issued and when its mac2 arrives: good for that epoch and the next. */
static const struct {
	uint64_t issued, used;
	enum cookie_verdict verdict;
} epoch_table[] = {
	{ 0, 0, COOKIE_MAC2 },
	{ 0, EPOCH - 1, COOKIE_MAC2 },
	{ 0, EPOCH, COOKIE_MAC2 },
	{ 0, 2 * EPOCH - 1, COOKIE_MAC2 },
	{ 0, 2 * EPOCH, COOKIE_MAC1 },
	{ EPOCH - 1, EPOCH, COOKIE_MAC2 },
	{ EPOCH - 1, EPOCH - 1 + SECONDS(120), COOKIE_MAC2 },
	{ EPOCH - 1, 2 * EPOCH, COOKIE_MAC1 },
	{ 7 * EPOCH + 1, 8 * EPOCH + 1, COOKIE_MAC2 },
	{ 7 * EPOCH + 1, 9 * EPOCH + 1, COOKIE_MAC1 },
	{ 7 * EPOCH, 7 * EPOCH - 1, COOKIE_MAC1 }, /* not yet issued */
};

START_TEST(epochs)
{
	struct talk t;

	talk_init(&t);
	get_cookie(&t, epoch_table[_i].issued);
	/* the maker's own limit is another matter */
	send_at(&t, epoch_table[_i].issued);
	ck_assert_int_eq(check_at(&t, epoch_table[_i].used), epoch_table[_i].verdict);
}
END_TEST

/* As long as the maker uses a cookie, and 5 s on the way, the checker takes it: whenever issued. */
START_TEST(never_dies_early)
{
	uint64_t issued, age;
	struct talk t;

	talk_init(&t);
	for (issued = 0; issued < 2 * EPOCH; issued += SECONDS(3)) {
		get_cookie(&t, issued);
		for (age = 0; age < SECONDS(115); age += SECONDS(23) - 1) {
			send_at(&t, issued + age);
			ck_assert_int_eq(check_at(&t, issued + age + SECONDS(5)), COOKIE_MAC2);
		}
		send_at(&t, issued + SECONDS(115) - 1);
		ck_assert(!sodium_is_zero(t.msg.macs.mac2, 16));
		send_at(&t, issued + SECONDS(115));
		ck_assert(sodium_is_zero(t.msg.macs.mac2, 16));
	}
}
END_TEST

/* --- replies ------------------------------------------------------------- */

START_TEST(reply_fields)
{
	struct message_cookie_reply again;
	struct talk t;

	talk_init(&t);
	send_at(&t, 0);
	reply_at(&t, 0);
	ck_assert_uint_eq(le32toh(t.reply.type), MESSAGE_COOKIE_REPLY);
	ck_assert_uint_eq(le32toh(t.reply.receiver_index), 0x12345678);
	/* a nonce is never used twice */
	again = t.reply;
	reply_at(&t, 0);
	ck_assert(memcmp(again.nonce, t.reply.nonce, sizeof(again.nonce)) != 0);
	/* a response is answered like an initiation */
	{
		struct message_response response = { .type = htole32(MESSAGE_RESPONSE),
						     .sender_index = htole32(5),
						     .receiver_index = htole32(6) };

		cookie_add_macs(&t.maker, &response, sizeof(response), 0);
		ck_assert_int_eq(cookie_check(&t.checker, &t.epochs, &response, sizeof(response),
					      address, 6, 0, true), COOKIE_MAC1);
		cookie_make_reply(&t.checker, &t.epochs, &response, sizeof(response), address, 6, 0,
				  &t.reply);
		ck_assert_uint_eq(le32toh(t.reply.receiver_index), 5);
		ck_assert_int_eq(cookie_consume_reply(&t.maker, &t.reply, 0), 0);
	}
}
END_TEST

START_TEST(unwanted_replies)
{
	struct cookie_maker before;
	struct talk t;
	size_t bit;

	talk_init(&t);
	send_at(&t, 0);
	reply_at(&t, 0);
	/* nothing was sent: a maker that is new */
	cookie_maker_init(&t.maker, public_key);
	ck_assert_int_eq(cookie_consume_reply(&t.maker, &t.reply, 0), -ENOENT);
	/* every bit counts, but for type and index, which the caller has used up */
	send_at(&t, 0);
	before = t.maker;
	for (bit = 8 * offsetof(struct message_cookie_reply, nonce); bit < 8 * sizeof(t.reply);
	     bit++) {
		uint8_t *byte = (uint8_t *)&t.reply + bit / 8;

		*byte ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(cookie_consume_reply(&t.maker, &t.reply, 0), -EBADMSG);
		ck_assert_mem_eq(&t.maker, &before, sizeof(before));
		*byte ^= (uint8_t)(1 << bit % 8);
	}
	/* forgeries have not used up the one that is taken */
	ck_assert_int_eq(cookie_consume_reply(&t.maker, &t.reply, 0), 0);
	/* one for each message */
	ck_assert_int_eq(cookie_consume_reply(&t.maker, &t.reply, 0), -ENOENT);
	reply_at(&t, 0);
	ck_assert_int_eq(cookie_consume_reply(&t.maker, &t.reply, 0), -ENOENT);
	/* for an older message */
	send_at(&t, 0);
	reply_at(&t, 0);
	t.msg.ephemeral[0]++;
	send_at(&t, 0);
	ck_assert_int_eq(cookie_consume_reply(&t.maker, &t.reply, 0), -EBADMSG);
}
END_TEST

START_TEST(wiping)
{
	struct talk t;

	talk_init(&t);
	cookie_checker_clear(&t.checker);
	ck_assert(sodium_is_zero((const uint8_t *)&t.checker, sizeof(t.checker)));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cookie");
	TCase *tc = tcase_create("cookie");

	tcase_add_test(tc, made);
	tcase_add_loop_test(tc, recorded, 0, ARRAY_SIZE(recordings));
	tcase_add_test(tc, mac1);
	tcase_add_test(tc, lengths);
	tcase_add_test(tc, mac2);
	tcase_add_loop_test(tc, epochs, 0, ARRAY_SIZE(epoch_table));
	tcase_add_test(tc, never_dies_early);
	tcase_add_test(tc, reply_fields);
	tcase_add_test(tc, unwanted_replies);
	tcase_add_test(tc, wiping);
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
