/* SPDX-License-Identifier: MIT */
/* The rate limit: the published steps, a naive twin, and floods. */
#include "vectors.h"

#include "../crypto/ratelimit.h"

#include <arpa/inet.h>

#define SECOND NSEC_PER_SEC
#define TOKEN (SECOND / RATELIMIT_PER_SECOND)

/* Any time will do to start from; a host is up for a while before we are. */
#define START (1000 * SECOND)

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A table whose sets do not depend on chance. */
static struct ratelimit table_of(size_t sources)
{
	struct ratelimit limit;

	ck_assert_int_eq(ratelimit_init(&limit, sources), 0);
	memset(limit.key, 7, sizeof(limit.key));
	return limit;
}

static bool allow_text(struct ratelimit *limit, const char *text, uint64_t now)
{
	uint8_t addr[16];

	if (inet_pton(AF_INET, text, addr) == 1)
		return ratelimit_allow(limit, addr, 4, now);
	ck_assert_int_eq(inet_pton(AF_INET6, text, addr), 1);
	return ratelimit_allow(limit, addr, 16, now);
}

/* IPv4 source number @n. */
static bool allow_number(struct ratelimit *limit, uint32_t n, uint64_t now)
{
	uint8_t addr[4];

	store_be32(addr, n);
	return ratelimit_allow(limit, addr, 4, now);
}

/* How many of @n messages at once are allowed. */
static unsigned int burst_of(struct ratelimit *limit, const char *text, unsigned int n,
			     uint64_t now)
{
	unsigned int allowed = 0;

	while (n--)
		allowed += allow_text(limit, text, now);
	return allowed;
}

START_TEST(bounds)
{
	struct ratelimit limit;

	ck_assert_int_eq(ratelimit_init(&limit, 0), -EINVAL);
	ratelimit_free(&limit);
	ck_assert_int_eq(ratelimit_init(&limit, RATELIMIT_SOURCES_MAX + 1), -EINVAL);
	ck_assert_int_eq(ratelimit_init(&limit, SIZE_MAX), -EINVAL);
	ck_assert_int_eq(ratelimit_init(&limit, 1), 0);
	ck_assert_uint_eq(limit.mask, 0);
	ratelimit_free(&limit);
	ratelimit_free(&limit);
	ck_assert_int_eq(ratelimit_init(&limit, 8 * RATELIMIT_WAYS + 1), 0);
	ck_assert_uint_eq(limit.mask, 15);
	ratelimit_free(&limit);
}
END_TEST

START_TEST(other_lengths)
{
	static const size_t lengths[] = { 0, 1, 3, 5, 8, 15, 17 };
	struct ratelimit limit = table_of(100);
	uint8_t addr[32] = { 10, 1, 1, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		ck_assert(!ratelimit_allow(&limit, addr, lengths[i], START));
	ratelimit_free(&limit);
}
END_TEST

/* Each published address goes through all steps; the others' steps do not matter to it. */
START_TEST(published_steps)
{
	json_t *root = vectors_load("tables/ratelimiter.json");
	struct ratelimit limit = table_of(1024);
	uint64_t now = START;
	json_t *step, *ip;
	size_t i, j;

	json_array_foreach(root ? vectors_get(root, "steps") : NULL, i, step) {
		bool allow = json_boolean_value(vectors_get(step, "allow"));

		now += (uint64_t)vectors_integer(step, "sleep_ms") * NSEC_PER_MSEC;
		for (json_int_t k = vectors_integer(step, "times"); k > 0; k--)
			json_array_foreach(vectors_get(root, "ips"), j, ip)
				ck_assert_msg(allow_text(&limit, json_string_value(ip), now) ==
					      allow, "step %zu, %s: %s", i + 1,
					      vectors_text(step, "why"), json_string_value(ip));
	}
	if (root)
		ck_assert_uint_eq(i, 7);
	json_decref(root);
	ratelimit_free(&limit);
}
END_TEST

START_TEST(refill)
{
	struct ratelimit limit = table_of(1024);

	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, START), 5);
	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, START + TOKEN - 1), 0);
	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, START + TOKEN), 1);
	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, START + 4 * TOKEN), 3);
	/* Never more than a full bucket, and a clock read a moment ago does no harm. */
	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, START + 1000 * SECOND), 5);
	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, START + 999 * SECOND), 0);
	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, START + 1000 * SECOND + TOKEN), 1);
	ratelimit_free(&limit);
}
END_TEST

/* At time 0 of a clock, an empty table is as full as ever. */
START_TEST(time_zero)
{
	struct ratelimit limit = table_of(8);

	ck_assert_uint_eq(burst_of(&limit, "192.0.2.1", 9, 0), 5);
	ck_assert_uint_eq(burst_of(&limit, "::", 9, 0), 5);
	ratelimit_free(&limit);
}
END_TEST

static const struct {
	const char *one, *other;
	bool same;
} sources[] = {
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1", "::ffff:192.0.2.1", true },
	{ "192.0.2.1", "::ffff:192.0.2.2", false },
	{ "192.0.2.1", "::192.0.2.1", false },
	{ "192.0.2.1", "0:0:c000:201::1", false }, /* the same bits as a /64 */
	{ "192.0.2.1", "64:ff9b::192.0.2.1", false },
	{ "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true },
	{ "2001:db8:1:2::1", "2001:db8:1:2::ffff:192.0.2.1", true },
	{ "2001:db8:1:2::1", "2001:db8:1:3::1", false },
	{ "2001:db8:1:2::1", "2003:db8:1:2::1", false },
	{ "::1", "::2", true },
	{ "::1", "0.0.0.1", false },
	{ "fe80::1", "fe80::2", true },
};

START_TEST(what_a_source_is)
{
	struct ratelimit limit = table_of(1024);

	ck_assert_uint_eq(burst_of(&limit, sources[_i].one, 5, START), 5);
	ck_assert_uint_eq(burst_of(&limit, sources[_i].other, 5, START), sources[_i].same ? 0 : 5);
	ratelimit_free(&limit);
}
END_TEST

/* The naive twin counts tokens, in nanoseconds, as one would on paper. */
struct naive {
	uint64_t tokens, last;
};

static bool naive_allow(struct naive *b, uint64_t now)
{
	b->tokens = min(b->tokens + (now - b->last), RATELIMIT_BURST * TOKEN);
	b->last = now;
	if (b->tokens < TOKEN)
		return false;
	b->tokens -= TOKEN;
	return true;
}

/* As many sources as a set has room for: nothing is ever handed over with a debt. */
START_TEST(random_against_naive)
{
	struct ratelimit limit = table_of(RATELIMIT_WAYS);
	struct naive naive[RATELIMIT_WAYS];
	uint64_t rnd = 88172645463325252;
	uint64_t now = START;

	for (size_t i = 0; i < ARRAY_SIZE(naive); i++)
		naive[i] = (struct naive){ .tokens = RATELIMIT_BURST * TOKEN, .last = START };
	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t dice = next_random(&rnd);
		uint32_t source = dice % RATELIMIT_WAYS;

		now += dice / 64 % (dice % 1000 ? TOKEN / 4 : SECOND);
		if (allow_number(&limit, source, now) != naive_allow(&naive[source], now))
			ck_abort_msg("message %u, source %u", i, source);
	}
	ratelimit_free(&limit);
}
END_TEST

/* Sources that have been quiet make room without loss to them or to the newcomers. */
START_TEST(quiet_sources_make_room)
{
	struct ratelimit limit = table_of(RATELIMIT_WAYS);
	uint64_t now = START;

	for (uint32_t n = 0; n < 10000; n++) {
		for (unsigned int i = 0; i < RATELIMIT_BURST; i++)
			ck_assert(allow_number(&limit, n, now));
		now += RATELIMIT_BURST * TOKEN / RATELIMIT_WAYS;
	}
	ratelimit_free(&limit);
}
END_TEST

/*
 * However many sources there are, and whatever they do to push each other out: a
 * set never admits more than its buckets hold and earn.
 */
START_TEST(ceiling)
{
	struct ratelimit limit = table_of(RATELIMIT_WAYS);
	uint64_t rnd = 88172645463325252 + (uint64_t)_i;
	uint32_t crowd = 1U << (2 * _i);
	uint64_t admitted = 0;
	uint64_t now = START;
	uint64_t most;

	while (now < START + 10 * SECOND) {
		admitted += allow_number(&limit, next_random(&rnd) % crowd, now);
		now += next_random(&rnd) % (SECOND / 10000);
	}
	most = min(crowd, (uint32_t)RATELIMIT_WAYS) * (RATELIMIT_BURST + 10 * RATELIMIT_PER_SECOND);
	ck_assert_uint_le(admitted, most);
	/* And it is a fair use of what there is, not a refusal of everybody. */
	ck_assert_uint_ge(admitted, most * 9 / 10);
	ratelimit_free(&limit);
}
END_TEST

/*
 * 200,000 sources send 50,000 messages a second at a table of 1,024, 2.4 times what it
 * earns. Someone who tries now and then, with the jitter that every WireGuard has,
 * gets through again and again. (A full table that refuses newcomers lets them wait for
 * as long as the flood lasts.)
 */
START_TEST(a_flood_locks_nobody_out)
{
	struct ratelimit limit = table_of(1024);
	uint64_t rnd = 88172645463325252;
	uint64_t through = START;
	uint64_t next = START;
	unsigned int tried = 0;
	unsigned int passed = 0;

	for (uint64_t now = START; now < START + 60 * SECOND; now += SECOND / 50000) {
		(void)!allow_number(&limit, (uint32_t)(next_random(&rnd) % 200000), now);
		if (now < next)
			continue;
		next = now + SECOND / 2 + next_random(&rnd) % (SECOND / 3);
		tried++;
		if (allow_text(&limit, "2001:db8::1", now)) {
			through = now;
			passed++;
		}
		if (now - through > 10 * SECOND)
			ck_abort_msg("locked out for 10 s");
	}
	ck_assert_uint_ge(passed, tried / 4);
	ratelimit_free(&limit);
}
END_TEST

/* Whoever stays within the rate is not disturbed by a few who do not. */
START_TEST(one_greedy_source_hurts_itself_only)
{
	struct ratelimit limit = table_of(1024);

	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t now = START + i * (SECOND / 10000);

		(void)!allow_number(&limit, 666, now);
		if (i % 1000 == 0)
			ck_assert(allow_number(&limit, 1, now));
	}
	ratelimit_free(&limit);
}
END_TEST

/* The secret is a new one each time: what collides here does not collide there. */
START_TEST(keys_differ)
{
	struct ratelimit a, b;

	ck_assert_int_eq(ratelimit_init(&a, 8), 0);
	ck_assert_int_eq(ratelimit_init(&b, 8), 0);
	ck_assert_mem_ne(a.key, b.key, sizeof(a.key));
	ratelimit_free(&a);
	ratelimit_free(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ratelimit");
	TCase *tc = tcase_create("ratelimit");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, bounds);
	tcase_add_test(tc, other_lengths);
	tcase_add_test(tc, published_steps);
	tcase_add_test(tc, refill);
	tcase_add_test(tc, time_zero);
	tcase_add_loop_test(tc, what_a_source_is, 0, (int)ARRAY_SIZE(sources));
	tcase_add_test(tc, random_against_naive);
	tcase_add_test(tc, quiet_sources_make_room);
	tcase_add_loop_test(tc, ceiling, 0, 9);
	tcase_add_test(tc, a_flood_locks_nobody_out);
	tcase_add_test(tc, one_greedy_source_hurts_itself_only);
	tcase_add_test(tc, keys_differ);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
