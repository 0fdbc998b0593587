/* SPDX-License-Identifier: MIT */
/* Transport keys: nonces up to the last one, ages, and who moves to which slot. */
#include "../crypto/keypair.h"

#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

static struct keypair make(bool initiator, uint64_t now)
{
	struct noise_session session = { .local_index = 1, .remote_index = 2,
					 .initiator = initiator };
	struct keypair kp;

	memset(session.send_key, 3, 32);
	memset(session.recv_key, 4, 32);
	keypair_init(&kp, &session, now);
	return kp;
}

START_TEST(init)
{
	struct keypair kp = make(true, 77);

	ck_assert_uint_eq(kp.local_index, 1);
	ck_assert_uint_eq(kp.remote_index, 2);
	ck_assert_uint_eq(kp.birth, 77);
	ck_assert(kp.initiator);
	ck_assert_uint_eq(kp.send_key[31], 3);
	ck_assert_uint_eq(kp.recv_key[31], 4);
	ck_assert(replay_check(&kp.replay, 0));
	ck_assert(!replay_check(&kp.replay, 0));
	keypair_clear(&kp);
	ck_assert(sodium_is_zero((const uint8_t *)&kp, sizeof(kp)));
}
END_TEST

/* A check for loops: libcheck's own writes to a pipe each time, even when it holds. */
#define expect(condition, ...)                     \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/* --- nonces -------------------------------------------------------------- */

START_TEST(nonces_in_order)
{
	struct keypair kp = make(true, 0);
	uint64_t first, expected = 0, n;

	for (n = 1; n <= 128; n++) {
		ck_assert(keypair_take_nonces(&kp, n, &first));
		ck_assert_uint_eq(first, expected);
		expected += n;
	}
}
END_TEST

/* How many are left, how many are wanted, and whether they are had. */
static const struct {
	uint64_t left, wanted;
	bool granted;
} end_table[] = {
	{ 0, 1, false },
	{ 1, 1, true },
	{ 1, 2, false },
	{ 64, 63, true },
	{ 64, 64, true },
	{ 64, 65, false },
	{ 64, 1 << 13, false },          /* would reach the overflow exactly */
	{ 64, (1 << 13) + 64, false },   /* would hand out 0 and on again */
	{ 64, UINT64_MAX, false },
	{ REJECT_AFTER_MESSAGES, REJECT_AFTER_MESSAGES, true },
	{ REJECT_AFTER_MESSAGES, REJECT_AFTER_MESSAGES + 1, false },
};

START_TEST(nonces_end)
{
	uint64_t start = REJECT_AFTER_MESSAGES - end_table[_i].left;
	uint64_t wanted = end_table[_i].wanted;
	struct keypair kp = make(true, 0);
	uint64_t first = 12345;

	atomic_store(&kp.send_counter, start);
	ck_assert(keypair_take_nonces(&kp, wanted, &first) == end_table[_i].granted);
	if (end_table[_i].granted) {
		ck_assert_uint_eq(first, start);
		ck_assert_uint_eq(atomic_load(&kp.send_counter), start + wanted);
	} else {
		ck_assert_uint_eq(atomic_load(&kp.send_counter), start);
	}
	ck_assert(keypair_can_send(&kp, 0) ==
		  (atomic_load(&kp.send_counter) < REJECT_AFTER_MESSAGES));
}
END_TEST

/* Refusals, however many, never wear the counter out. */
START_TEST(nonces_refused_for_ever)
{
	struct keypair kp = make(true, 0);
	uint64_t first;
	unsigned n;

	atomic_store(&kp.send_counter, REJECT_AFTER_MESSAGES - 1);
	for (n = 0; n < 100000; n++)
		expect(!keypair_take_nonces(&kp, 128, &first), "granted");
	ck_assert(keypair_take_nonces(&kp, 1, &first));
	ck_assert_uint_eq(first, REJECT_AFTER_MESSAGES - 1);
}
END_TEST

enum { TAKERS = 4, LEFT = 200000 };

struct taker {
	pthread_t thread;
	struct keypair *kp;
	uint8_t *taken; /* one byte for each nonce left; a nonce is one taker's alone */
	unsigned seed;
};

static void *take_until_refused(void *arg)
{
	struct taker *taker = arg;
	unsigned refused = 0;
	uint64_t first, i;

	while (refused < 1000) {
		uint64_t n = 1 + (uint64_t)rand_r(&taker->seed) % 64;

		if (!keypair_take_nonces(taker->kp, n, &first)) {
			refused++;
			continue;
		}
		for (i = first; i < first + n; i++)
			taker->taken[i - (REJECT_AFTER_MESSAGES - LEFT)]++;
	}
	return NULL;
}

START_TEST(nonces_shared)
{
	static uint8_t taken[LEFT + (1 << 14)];
	struct keypair kp = make(true, 0);
	struct taker takers[TAKERS];
	uint64_t end;
	size_t i;

	atomic_store(&kp.send_counter, REJECT_AFTER_MESSAGES - LEFT);
	for (i = 0; i < TAKERS; i++) {
		takers[i] = (struct taker){ .kp = &kp, .taken = taken, .seed = (unsigned)i + 1 };
		ck_assert_int_eq(pthread_create(&takers[i].thread, NULL, take_until_refused,
						&takers[i]), 0);
	}
	for (i = 0; i < TAKERS; i++)
		pthread_join(takers[i].thread, NULL);
	end = atomic_load(&kp.send_counter) - (REJECT_AFTER_MESSAGES - LEFT);
	ck_assert_uint_le(end, LEFT);
	for (i = 0; i < sizeof(taken); i++)
		expect(taken[i] == (i < end), "nonce %zu taken %u times", i, taken[i]);
}
END_TEST

/* --- ages ---------------------------------------------------------------- */

#define SECONDS(n) ((n) * NSEC_PER_SEC)
#define BIRTH SECONDS(1000)

/* At an age: may it send and receive, does it want a handshake after sending, receiving? */
static const struct {
	uint64_t now;
	bool initiator, can_send, can_receive, rekey_send, rekey_receive;
} age_table[] = {
	{ BIRTH - 1, true, true, true, false, false }, /* the clock was read before */
	{ 0, true, true, true, false, false },
	{ BIRTH, true, true, true, false, false },
	{ BIRTH + SECONDS(120) - 1, true, true, true, false, false },
	{ BIRTH + SECONDS(120), true, true, true, true, false },
	{ BIRTH + SECONDS(165), true, true, true, true, false },
	{ BIRTH + SECONDS(165) + 1, true, true, true, true, true },
	{ BIRTH + SECONDS(180) - 1, true, true, true, true, true },
	{ BIRTH + SECONDS(180), true, false, false, true, true },
	{ BIRTH + SECONDS(100000), true, false, false, true, true },
	{ BIRTH + SECONDS(120), false, true, true, false, false },
	{ BIRTH + SECONDS(180) - 1, false, true, true, false, false },
	{ BIRTH + SECONDS(180), false, false, false, false, false },
};

START_TEST(ages)
{
	struct keypair kp = make(age_table[_i].initiator, BIRTH);
	uint64_t now = age_table[_i].now;

	ck_assert(keypair_can_send(&kp, now) == age_table[_i].can_send);
	ck_assert(keypair_can_receive(&kp, now) == age_table[_i].can_receive);
	ck_assert(keypair_wants_rekey_send(&kp, now) == age_table[_i].rekey_send);
	ck_assert(keypair_wants_rekey_receive(&kp, now) == age_table[_i].rekey_receive);
}
END_TEST

/* After 2^60 messages both sides want new keys. */
START_TEST(rekey_after_messages)
{
	struct keypair kp = make(_i, BIRTH);

	atomic_store(&kp.send_counter, REKEY_AFTER_MESSAGES);
	ck_assert(!keypair_wants_rekey_send(&kp, BIRTH));
	atomic_store(&kp.send_counter, REKEY_AFTER_MESSAGES + 1);
	ck_assert(keypair_wants_rekey_send(&kp, BIRTH));
	ck_assert(keypair_can_send(&kp, BIRTH));
	ck_assert(!keypair_wants_rekey_receive(&kp, BIRTH));
}
END_TEST

/* --- slots --------------------------------------------------------------- */

/*
 * Slots as letters, current previous next, '-' for an empty one. Capital letters are keypairs
 * that we began, small ones such that we responded to.
 */
static struct keypair pool[256];

static struct keypair *by_letter(char c)
{
	if (c == '-')
		return NULL;
	pool[(uint8_t)c].initiator = c >= 'A' && c <= 'Z';
	return &pool[(uint8_t)c];
}

static void set_slots(struct keypairs *kps, const char *slots)
{
	keypairs_init(kps);
	atomic_store(&kps->current, by_letter(slots[0]));
	atomic_store(&kps->previous, by_letter(slots[1]));
	atomic_store(&kps->next, by_letter(slots[2]));
}

static void check_slots(struct keypairs *kps, const char *slots)
{
	ck_assert_ptr_eq(keypairs_current(kps), by_letter(slots[0]));
	ck_assert_ptr_eq(atomic_load(&kps->previous), by_letter(slots[1]));
	ck_assert_ptr_eq(atomic_load(&kps->next), by_letter(slots[2]));
}

/* The retired ones are exactly these, in any order. */
static void check_retired(struct keypair *const *retired, unsigned n, const char *letters)
{
	unsigned i, j;

	ck_assert_uint_eq(n, strlen(letters));
	for (i = 0; i < n; i++) {
		for (j = 0; j < n && retired[j] != by_letter(letters[i]); j++)
			;
		ck_assert_msg(j < n, "%c was not retired", letters[i]);
	}
}

static const struct {
	const char *before;
	char add;
	const char *after, *retired;
} add_table[] = {
	/* ours is current at once */
	{ "---", 'N', "N--", "" },
	{ "a--", 'N', "Na-", "" },
	{ "ab-", 'N', "Na-", "b" },
	{ "--c", 'N', "Nc-", "" },
	{ "a-c", 'N', "Nc-", "a" },
	{ "abc", 'N', "Nc-", "ab" },
	{ "-b-", 'N', "N--", "b" },
	{ "-bc", 'N', "Nc-", "b" },
	/* theirs waits */
	{ "---", 'n', "--n", "" },
	{ "a--", 'n', "a-n", "" },
	{ "ab-", 'n', "a-n", "b" },
	{ "--c", 'n', "--n", "c" },
	{ "a-c", 'n', "a-n", "c" },
	{ "abc", 'n', "a-n", "bc" },
	{ "-b-", 'n', "--n", "b" },
	{ "-bc", 'n', "--n", "bc" },
};

START_TEST(add)
{
	struct keypair *retired[KEYPAIRS_SLOTS];
	struct keypairs kps;
	unsigned n;

	set_slots(&kps, add_table[_i].before);
	n = keypairs_add(&kps, by_letter(add_table[_i].add), retired);
	check_slots(&kps, add_table[_i].after);
	check_retired(retired, n, add_table[_i].retired);
}
END_TEST

static const struct {
	const char *before;
	char received_with;
	int result;
	const char *after, *retired;
} confirm_table[] = {
	{ "--c", 'c', 0, "c--", "" },
	{ "a-c", 'c', 0, "ca-", "" },
	{ "abc", 'c', 1, "ca-", "b" },
	{ "-bc", 'c', 1, "c--", "b" },
	{ "abc", 'a', -EALREADY, "abc", "" },
	{ "abc", 'b', -EALREADY, "abc", "" },
	{ "abc", 'x', -EALREADY, "abc", "" },
	{ "ab-", 'a', -EALREADY, "ab-", "" },
	{ "---", 'x', -EALREADY, "---", "" },
	{ "---", '-', -EALREADY, "---", "" },
};

START_TEST(confirm)
{
	struct keypair *retired[KEYPAIRS_SLOTS], *kp = by_letter(confirm_table[_i].received_with);
	struct keypairs kps;
	int n;

	set_slots(&kps, confirm_table[_i].before);
	if (kp)
		ck_assert(keypairs_is_next(&kps, kp) == (confirm_table[_i].result >= 0));
	n = keypairs_confirm(&kps, kp, retired);
	ck_assert_int_eq(n, confirm_table[_i].result);
	check_slots(&kps, confirm_table[_i].after);
	check_retired(retired, n < 0 ? 0 : (unsigned)n, confirm_table[_i].retired);
}
END_TEST

static const char *const clear_table[] = { "---", "a--", "-b-", "--c", "ab-", "abc" };

START_TEST(clear)
{
	struct keypair *retired[KEYPAIRS_SLOTS];
	const char *slots = clear_table[_i], *p;
	char letters[4] = "";
	struct keypairs kps;
	unsigned n;

	for (p = slots; *p; p++)
		if (*p != '-')
			strncat(letters, p, 1);
	set_slots(&kps, slots);
	n = keypairs_clear(&kps, retired);
	check_slots(&kps, "---");
	check_retired(retired, n, letters);
}
END_TEST

/* Whatever happens, a keypair is in one slot or was retired once: none leaks, none twice. */
START_TEST(none_is_lost)
{
	enum { ROUNDS = 20000 };
	static bool retired_once[ROUNDS];
	static struct keypair all[ROUNDS];
	struct keypair *retired[KEYPAIRS_SLOTS];
	struct keypairs kps;
	unsigned added = 0, gone = 0, in_slots, round, i;

	srand(63);
	keypairs_init(&kps);
	for (round = 0; round < ROUNDS; round++) {
		bool had_current = keypairs_current(&kps) != NULL;
		int what = rand() % 100;
		int n;

		if (what < 50) {
			all[added].initiator = rand() % 2;
			n = (int)keypairs_add(&kps, &all[added++], retired);
			expect(!had_current || keypairs_current(&kps), "lost current");
		} else if (what < 98) {
			n = keypairs_confirm(&kps, atomic_load(&kps.next), retired);
			n = max(n, 0);
			expect(!had_current || keypairs_current(&kps), "lost current");
		} else {
			n = (int)keypairs_clear(&kps, retired);
		}
		for (i = 0; i < (unsigned)n; i++) {
			expect(!retired_once[retired[i] - all], "retired twice");
			retired_once[retired[i] - all] = true;
			gone++;
		}
		in_slots = !!atomic_load(&kps.current) + !!atomic_load(&kps.previous) +
			   !!atomic_load(&kps.next);
		expect(gone + in_slots == added, "%u + %u of %u", gone, in_slots, added);
	}
}
END_TEST

/* A reader finds a whole keypair as current, always, while the writer moves them. */
static void *read_current(void *arg)
{
	struct keypairs *kps = arg;
	struct keypair *kp;

	do {
		kp = keypairs_current(kps);
		if (!kp || kp->local_index != kp->remote_index || !kp->local_index)
			return kps;
	} while (kp->local_index != 255);
	return NULL;
}

START_TEST(readers)
{
	struct noise_session session = { .local_index = 0 };
	struct keypair *retired[KEYPAIRS_SLOTS];
	struct keypairs kps;
	pthread_t reader;
	void *failed;
	unsigned i;

	keypairs_init(&kps);
	for (i = 1; i < 256; i++) {
		session.local_index = i;
		session.remote_index = i;
		session.initiator = i % 3;
		keypair_init(&pool[i], &session, 0);
		ck_assert_uint_le(keypairs_add(&kps, &pool[i], retired), 2);
		if (!session.initiator)
			ck_assert_int_ge(keypairs_confirm(&kps, &pool[i], retired), 0);
		if (i == 1)
			ck_assert_int_eq(pthread_create(&reader, NULL, read_current, &kps), 0);
	}
	pthread_join(reader, &failed);
	ck_assert_ptr_eq(failed, NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("keypair");
	TCase *tc = tcase_create("keypair");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, init);
	tcase_add_test(tc, nonces_in_order);
	tcase_add_loop_test(tc, nonces_end, 0, ARRAY_SIZE(end_table));
	tcase_add_test(tc, nonces_refused_for_ever);
	tcase_add_test(tc, nonces_shared);
	tcase_add_loop_test(tc, ages, 0, ARRAY_SIZE(age_table));
	tcase_add_loop_test(tc, rekey_after_messages, false, true + 1);
	tcase_add_loop_test(tc, add, 0, ARRAY_SIZE(add_table));
	tcase_add_loop_test(tc, confirm, 0, ARRAY_SIZE(confirm_table));
	tcase_add_loop_test(tc, clear, 0, ARRAY_SIZE(clear_table));
	tcase_add_test(tc, none_is_lost);
	tcase_add_test(tc, readers);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
