/* SPDX-License-Identifier: MIT */
/* The replay window: the published table, its edges, and a naive twin. */
#include "vectors.h"

#include "../crypto/messages.h"
#include "../crypto/replay.h"

#include <inttypes.h>

#define W ((uint64_t)REPLAY_WINDOW)

START_TEST(size_is_bounded)
{
	/* One per key, two or three keys per session: DESIGN §7 counts it. */
	ck_assert_uint_le(sizeof(struct replay), 1024 + 16);
}
END_TEST

/* A check for loops: libcheck's own writes to a pipe each time, even when it holds. */
#define expect(condition, ...)                      \
	do {                                        \
		if (!(condition))                   \
			ck_abort_msg(__VA_ARGS__);  \
	} while (0)

/*
 * The table writes counters as sums and products of numbers, L (window + 1) and
 * R (the first that is refused); a small calculator reads them.
 */
static uint64_t calc_sum(const char **p);

static uint64_t calc_atom(const char **p)
{
	uint64_t v;

	if (**p == '(') {
		++*p;
		v = calc_sum(p);
		ck_assert_int_eq(**p, ')');
		++*p;
	} else if (**p == 'L') {
		v = W + 1;
		++*p;
	} else if (**p == 'R') {
		v = REJECT_AFTER_MESSAGES;
		++*p;
	} else {
		char *end;

		v = strtoull(*p, &end, 10);
		ck_assert_ptr_ne(end, *p);
		*p = end;
	}
	return v;
}

static uint64_t calc_product(const char **p)
{
	uint64_t v = calc_atom(p);

	while (**p == '*') {
		++*p;
		v *= calc_atom(p);
	}
	return v;
}

static uint64_t calc_sum(const char **p)
{
	uint64_t v = calc_product(p);

	while (**p == '+' || **p == '-') {
		bool plus = *(*p)++ == '+';
		uint64_t w = calc_product(p);

		v = plus ? v + w : v - w;
	}
	return v;
}

START_TEST(published_sequence)
{
	FILE *file = vectors_open("tables/counter.json");
	struct replay r;
	json_t *root;
	json_t *step;
	size_t i;

	if (!file)
		return;
	/* The kernel's counters beside ours do not fit into JSON's integers. */
	root = json_loadf(file, JSON_DECODE_INT_AS_REAL, NULL);
	ck_assert_ptr_nonnull(root);
	fclose(file);
	ck_assert_uint_eq(W, 8128);
	replay_init(&r);
	json_array_foreach(vectors_get(root, "sequence"), i, step) {
		const char *text = vectors_text(step, "n");
		const char *p = text;
		uint64_t n = calc_sum(&p);

		ck_assert_int_eq(*p, '\0');
		ck_assert_msg(replay_check(&r, n) == json_boolean_value(vectors_get(step, "accept")),
			      "step %zu: n = %s = %" PRIu64, i + 1, text, n);
	}
	ck_assert_uint_eq(i, 34);
	json_decref(root);
}
END_TEST

/* The table's bulk runs: from..to in order, then two single counters. */
static const struct {
	uint64_t from, to;
	struct {
		uint64_t n;
		bool accept;
	} then[2];
	unsigned int thens;
} bulk[] = {
	{ 1, W, { { 0, true }, { 0, false } }, 2 },
	{ 2, W + 1, { { 1, true }, { 0, false } }, 2 },
	{ W, 0, { { 0 } }, 0 },
	{ W + 1, 1, { { 0, false } }, 1 },
	{ W, 1, { { W + 1, true }, { 0, false } }, 2 },
	{ W, 1, { { 0, true }, { W + 1, true } }, 2 },
};

START_TEST(published_bulk)
{
	uint64_t n = bulk[_i].from;
	struct replay r;

	replay_init(&r);
	for (;;) {
		expect(replay_check(&r, n), "%" PRIu64, n);
		if (n == bulk[_i].to)
			break;
		n += bulk[_i].from < bulk[_i].to ? 1 : -1;
	}
	for (unsigned int i = 0; i < bulk[_i].thens; i++)
		ck_assert_msg(replay_check(&r, bulk[_i].then[i].n) == bulk[_i].then[i].accept,
			      "then %u", i);
}
END_TEST

START_TEST(limit)
{
	struct replay r;

	replay_init(&r);
	ck_assert(!replay_check(&r, REJECT_AFTER_MESSAGES));
	ck_assert(!replay_check(&r, UINT64_MAX));
	/* Refused counters have moved nothing. */
	ck_assert(replay_check(&r, 0));
	ck_assert(replay_check(&r, REJECT_AFTER_MESSAGES - 1));
	ck_assert(!replay_check(&r, UINT64_MAX));
	ck_assert(replay_check(&r, REJECT_AFTER_MESSAGES - 1 - W));
	ck_assert(!replay_check(&r, REJECT_AFTER_MESSAGES - 2 - W));
}
END_TEST

/* A jump of any size leaves no stale bit behind, whatever word it lands in. */
START_TEST(jumps_clear_the_window)
{
	for (uint64_t jump = 1; jump < 3 * REPLAY_BITS; jump += 61) {
		struct replay r;
		uint64_t top = W + jump;

		replay_init(&r);
		for (uint64_t n = 0; n <= W; n++)
			expect(replay_check(&r, n), "%" PRIu64, n);
		expect(replay_check(&r, top), "jump %" PRIu64, jump);
		for (uint64_t n = top - W; n < top; n++)
			expect(replay_check(&r, n) == (n > W), "jump %" PRIu64 ": %" PRIu64, jump,
			       n);
	}
}
END_TEST

/* The naive twin remembers every counter ever accepted, in a byte each. */
enum {
	NAIVE_MAX = 1 << 18
};

struct naive {
	uint64_t top;
	bool any;
	uint8_t seen[NAIVE_MAX];
};

static bool naive_check(struct naive *s, uint64_t n)
{
	if (s->any && n + W < s->top)
		return false;
	if (s->seen[n])
		return false;
	s->seen[n] = 1;
	if (!s->any || n > s->top)
		s->top = n;
	s->any = true;
	return true;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Mostly forward, reordered by up to 2^_i, with leaps and far echoes. */
START_TEST(random_against_naive)
{
	static struct naive naive;
	uint64_t rnd = 0x9e3779b97f4a7c15 + (uint64_t)_i;
	uint64_t base = 0;
	struct replay r;

	memset(&naive, 0, sizeof(naive));
	replay_init(&r);
	for (unsigned int i = 0; i < 400000; i++) {
		uint64_t dice = next_random(&rnd) % 100000;
		uint64_t spread = next_random(&rnd) & ((UINT64_C(1) << _i) - 1);
		uint64_t n;

		base += dice % 2;
		if (dice < 20)
			base += next_random(&rnd) % (2 * REPLAY_BITS);
		n = dice % 3 == 0 && spread < base ? base - spread : base + spread;
		n %= NAIVE_MAX;
		expect(replay_check(&r, n) == naive_check(&naive, n), "%u: %" PRIu64, i, n);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replay");
	TCase *tc = tcase_create("replay");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, size_is_bounded);
	tcase_add_test(tc, published_sequence);
	tcase_add_loop_test(tc, published_bulk, 0, (int)ARRAY_SIZE(bulk));
	tcase_add_test(tc, limit);
	tcase_add_test(tc, jumps_clear_the_window);
	tcase_add_loop_test(tc, random_against_naive, 0, 17);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
