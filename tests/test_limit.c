/* SPDX-License-Identifier: MIT */
/* Rates: what passes, what waits in which order, what is dropped, and that nothing is left over. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "../src/peer/limit.h"

enum { FULL = 1420, TICK = NSEC_PER_MSEC };

static _Atomic size_t total;
static struct limit *limit;
static uint64_t now;

static void set(uint64_t up, uint64_t down)
{
	struct limits limits = { .rate_up = up, .rate_down = down };

	(void)!limit_set(limit, &limits);
}

static void setup(void)
{
	now = NSEC_PER_SEC;
	limit = limit_new(&total);
	ck_assert_ptr_nonnull(limit);
}

static void teardown(void)
{
	limit_free(limit);
	ck_assert_uint_eq(total, 0);
}

/* An IPv6 packet of len bytes that bears a number. */
static void make(uint8_t *out, size_t len, uint8_t ecn, uint32_t number)
{
	memset(out, 0, len);
	out[0] = 0x60;
	out[1] = (uint8_t)(ecn << 4);
	store_be16(out + 4, (uint16_t)(len - 40));
	memcpy(out + 40, &number, sizeof(number));
}

static uint32_t number_of(const uint8_t *packet)
{
	uint32_t number;

	memcpy(&number, packet + 40, sizeof(number));
	return number;
}

static enum limit_verdict offer(enum limit_way way, size_t len, uint8_t ecn, uint32_t number)
{
	static uint8_t packet[65535];

	make(packet, len, ecn, number);
	return limit_packet(limit, way, now, packet, len);
}

/* What one look of the home worker brings. */
struct look {
	uint64_t bytes;
	unsigned n, dropped, marked;
	uint32_t first, last; /* numbers */
	uint64_t next;
};

static struct look take(enum limit_way way)
{
	struct limit_taken taken;
	struct look look = { 0 };

	limit_take(limit, way, now, &taken);
	look.dropped = taken.dropped;
	for (struct staged *s = taken.list; s; s = s->next) {
		look.bytes += s->len;
		look.first = look.n++ ? look.first : number_of(s->data);
		/* In order, and none twice. */
		ck_assert(look.n == 1 || number_of(s->data) > look.last);
		look.last = number_of(s->data);
		look.marked += (s->data[1] >> 4 & 3) == 3;
	}
	staged_free(taken.list);
	look.next = limit_settle(limit, way);
	return look;
}

static const uint64_t rates[] = { 16000, 256000, 1000000, 10000000, 1000000000,
				  UINT64_C(2000000000) };

/* More is offered than may pass, for ten seconds: what passes is the rate, and one bucket. */
START_TEST(long_run)
{
	uint64_t rate = rates[_i], passed = 0, dropped = 0, offered = 0;
	uint64_t burst = max(rate / 8 / 100, (uint64_t)3000), end = now + 10 * NSEC_PER_SEC;
	uint64_t exact = rate / 8 * 10;
	uint32_t number = 0;

	set(0, rate);
	for (; now < end; now += TICK) {
		/* At twice the rate, in bursts of a tick. */
		for (; offered < (now - NSEC_PER_SEC + TICK) / 1000 * rate / 8 / 1000000 * 2;
		     offered += FULL) {
			enum limit_verdict verdict = offer(LIMIT_DOWN, FULL, 0, number++);

			passed += verdict == LIMIT_PASS ? FULL : 0;
			dropped += verdict == LIMIT_DROP;
		}
		passed += take(LIMIT_DOWN).bytes;
	}
	ck_assert_uint_le(passed, exact + burst + FULL);
	ck_assert_uint_ge(passed, exact - burst / 100 - FULL - exact / 1000);
	/* The queue of the slowest holds all that comes in the time. */
	ck_assert(!_i || dropped);
}
END_TEST

/* A full bucket passes at once, and not a packet more; the other way has one of its own. */
START_TEST(burst_and_ways)
{
	set(100000000, 1000000); /* 10 ms: 125,000 bytes; two packets of 1500: 3,000 */
	ck_assert(!limit_pass(limit, LIMIT_UP, now, 125001));
	ck_assert(limit_pass(limit, LIMIT_UP, now, 125000));
	ck_assert(!limit_pass(limit, LIMIT_UP, now, 1));
	ck_assert(limit_pass(limit, LIMIT_DOWN, now, 3000));
	ck_assert(!limit_pass(limit, LIMIT_DOWN, now, 1));
	/* 1 ms brings 12,500 bytes and 125. */
	now += NSEC_PER_MSEC;
	ck_assert(!limit_pass(limit, LIMIT_UP, now, 12501));
	ck_assert(limit_pass(limit, LIMIT_UP, now, 12500));
	ck_assert(!limit_pass(limit, LIMIT_DOWN, now, 126));
	ck_assert(limit_pass(limit, LIMIT_DOWN, now, 125));
	/* However long it rests, it holds no more. */
	now += 3600 * NSEC_PER_SEC;
	ck_assert(!limit_pass(limit, LIMIT_UP, now, 125001));
	ck_assert(limit_pass(limit, LIMIT_UP, now, 125000));
}
END_TEST

/* What comes while others wait waits behind them, though it be small. */
START_TEST(order)
{
	struct look look;
	uint32_t n = 0;

	set(0, 1000000);
	ck_assert_int_eq(offer(LIMIT_DOWN, FULL, 0, n++), LIMIT_PASS);
	ck_assert_int_eq(offer(LIMIT_DOWN, FULL, 0, n++), LIMIT_PASS);
	ck_assert_int_eq(offer(LIMIT_DOWN, FULL, 0, n++), LIMIT_FIRST);
	ck_assert_int_eq(offer(LIMIT_DOWN, 60, 0, n++), LIMIT_HELD);
	ck_assert(!limit_pass(limit, LIMIT_DOWN, now, 60));
	look = take(LIMIT_DOWN);
	ck_assert_uint_eq(look.n, 0);
	/* 160 bytes were left: 1260 more are 10.08 ms. */
	ck_assert_uint_eq(look.next, now + 10080000);
	now = look.next - 1;
	ck_assert_uint_eq(take(LIMIT_DOWN).n, 0);
	now++;
	look = take(LIMIT_DOWN);
	ck_assert_uint_eq(look.n, 1);
	ck_assert_uint_eq(look.first, 2);
	now += NSEC_PER_MSEC;
	look = take(LIMIT_DOWN);
	ck_assert_uint_eq(look.n, 1);
	ck_assert_uint_eq(look.first, 3);
	ck_assert_uint_eq(look.next, UINT64_MAX);
	/* It has settled: the next goes by itself. */
	now += NSEC_PER_MSEC;
	ck_assert(limit_pass(limit, LIMIT_DOWN, now, 100));
}
END_TEST

/* While what was taken is on its way, nothing passes it. */
START_TEST(on_its_way)
{
	struct limit_taken taken;

	set(1000000, 0);
	while (offer(LIMIT_UP, FULL, 0, 1) == LIMIT_PASS)
		;
	now += NSEC_PER_SEC;
	limit_take(limit, LIMIT_UP, now, &taken);
	ck_assert_ptr_nonnull(taken.list);
	staged_free(taken.list);
	ck_assert(!limit_pass(limit, LIMIT_UP, now, 100));
	ck_assert_int_eq(offer(LIMIT_UP, 100, 0, 2), LIMIT_HELD);
	ck_assert_uint_ne(limit_settle(limit, LIMIT_UP), UINT64_MAX);
	ck_assert_uint_eq(take(LIMIT_UP).n, 1);
	ck_assert(limit_pass(limit, LIMIT_UP, now, 100));
}
END_TEST

/* Longer than any bucket is deep: it passes when that is full, and is paid for afterwards. */
START_TEST(longer_than_the_bucket)
{
	set(0, 256000);
	ck_assert_int_eq(offer(LIMIT_DOWN, 9000, 0, 0), LIMIT_PASS);
	ck_assert_int_eq(offer(LIMIT_DOWN, 9000, 0, 1), LIMIT_FIRST);
	ck_assert_uint_eq(take(LIMIT_DOWN).next, now + 281250000);
	now += 281250000;
	ck_assert_uint_eq(take(LIMIT_DOWN).n, 1);
	/* A burst is no packet: it waits one by one. */
	now += NSEC_PER_SEC;
	ck_assert(!limit_pass(limit, LIMIT_DOWN, now, 9000));
}
END_TEST

/* A debt at the old rate is none at the new one; without a rate all that waits goes at once. */
START_TEST(changes)
{
	struct limits none = { 0 }, fast = { .rate_down = 1000000000 };
	uint32_t n = 0;
	struct look look;

	set(0, 16000);
	ck_assert_int_eq(offer(LIMIT_DOWN, 9000, 0, n++), LIMIT_PASS); /* 4.5 s of debt */
	ck_assert_int_eq(offer(LIMIT_DOWN, FULL, 0, n++), LIMIT_FIRST);
	ck_assert_int_eq(offer(LIMIT_DOWN, FULL, 0, n++), LIMIT_HELD);
	ck_assert_uint_eq(take(LIMIT_DOWN).n, 0);
	ck_assert(limit_set(limit, &fast));
	look = take(LIMIT_DOWN);
	ck_assert_uint_eq(look.n, 2);
	ck_assert_uint_eq(look.next, UINT64_MAX);
	ck_assert_uint_eq(limit_get(limit).rate_down, 1000000000);
	ck_assert_uint_eq(limit_get(limit).rate_up, 0);
	/* Said again, it is no new bucket. */
	ck_assert(limit_pass(limit, LIMIT_DOWN, now, 1240000));
	ck_assert(!limit_set(limit, &fast));
	ck_assert(!limit_pass(limit, LIMIT_DOWN, now, 20000));
	while (offer(LIMIT_DOWN, FULL, 0, n++) == LIMIT_PASS)
		;
	ck_assert(limit_set(limit, &none));
	/* What comes now is behind what waits, and finds room. */
	ck_assert(!limit_pass(limit, LIMIT_DOWN, now, 1));
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(offer(LIMIT_DOWN, FULL, 0, n++), LIMIT_HELD);
	look = take(LIMIT_DOWN);
	ck_assert_uint_eq(look.n, 1001);
	ck_assert_uint_eq(look.dropped, 0);
	ck_assert_uint_eq(look.next, UINT64_MAX);
	ck_assert(limit_pass(limit, LIMIT_DOWN, now, 1000000000));
}
END_TEST

/* The queue is short; of 10 Mbit/s the least there is, of 1 Gbit/s 25 ms. */
START_TEST(room)
{
	unsigned slow = 0, fast = 0;

	set(10000000, 1000000000);
	while (offer(LIMIT_UP, FULL, 0, 0) != LIMIT_DROP)
		slow++;
	while (offer(LIMIT_DOWN, FULL, 0, 0) != LIMIT_DROP)
		fast++;
	ck_assert_uint_ge(slow, 20);
	ck_assert_uint_le(slow, 40);
	ck_assert_uint_ge(fast, 3000);
	ck_assert_uint_le(fast, 3200);
}
END_TEST

/* A delay that stands: nothing for an interval, then drops, then more; with ECN marks instead. */
START_TEST(standing_queue)
{
	uint64_t begun, first = 0;
	unsigned dropped = 0, marked = 0, early = 0;
	uint32_t n = 0;

	set(0, 100000000);
	while (offer(LIMIT_DOWN, FULL, (uint8_t)_i, n++) == LIMIT_PASS)
		;
	/* 15 ms wait, and as many come as leave. */
	for (unsigned i = 0; i < 130; i++)
		(void)!offer(LIMIT_DOWN, FULL, (uint8_t)_i, n++);
	for (begun = now; now < begun + NSEC_PER_SEC; now += TICK) {
		struct look look = take(LIMIT_DOWN);

		if (look.dropped + look.marked && !first)
			first = now - begun;
		early += now < begun + 300 * NSEC_PER_MSEC ? look.dropped + look.marked : 0;
		dropped += look.dropped;
		marked += look.marked;
		for (unsigned i = 0; i < look.n + look.dropped; i++)
			(void)!offer(LIMIT_DOWN, FULL, (uint8_t)_i, n++);
	}
	/* 10 ms until it is too old, 100 ms until it stands; 100/sqrt(n) ms to the next each. */
	ck_assert_uint_ge(first, 100 * NSEC_PER_MSEC);
	ck_assert_uint_le(first, 115 * NSEC_PER_MSEC);
	ck_assert_uint_ge(early, 3);
	ck_assert_uint_le(early, 4);
	ck_assert_uint_ge(dropped + marked, 20);
	ck_assert_uint_le(dropped + marked, 32);
	ck_assert_uint_eq(_i ? dropped : marked, 0);
}
END_TEST

/* Once the tenant is gone, nothing waits and nothing begins to. */
START_TEST(closing)
{
	set(1000000, 1000000);
	for (unsigned i = 0; i < 5; i++) {
		(void)!offer(LIMIT_UP, FULL, 0, 0);
		(void)!offer(LIMIT_DOWN, FULL, 0, 0);
	}
	ck_assert_uint_gt(total, 6 * FULL);
	ck_assert_uint_eq(limit_close(limit), 6);
	ck_assert_uint_eq(total, 0);
	ck_assert_int_eq(offer(LIMIT_DOWN, FULL, 0, 0), LIMIT_DROP);
	ck_assert_uint_eq(take(LIMIT_UP).next, UINT64_MAX);
}
END_TEST

enum { THREADS = 4, ASKED = 200000 };

static void *ask(void *arg)
{
	uint64_t *passed = arg;

	for (unsigned i = 0; i < ASKED; i++)
		*passed += limit_pass(limit, LIMIT_DOWN, now, 7) ? 7 : 0;
	return NULL;
}

/* Several workers at one bucket: together they get what is in it, to the byte. */
START_TEST(shared_bucket)
{
	uint64_t passed[THREADS] = { 0 }, sum = 0;
	pthread_t threads[THREADS];

	set(0, 1600000000); /* 10 ms: 2,000,000 bytes; 5 ns a byte, without rounding */
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &passed[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += passed[i];
	}
	ck_assert_uint_eq(sum, 2000000 / 7 * 7);
}
END_TEST

static void *hold_many(void *arg)
{
	unsigned *counts = arg;

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t packet[100];

		make(packet, sizeof(packet), 0, i);
		counts[limit_packet(limit, LIMIT_UP, now, packet, sizeof(packet))]++;
	}
	return NULL;
}

/* Workers put packets in while another takes them out: each is passed, taken or dropped, once. */
START_TEST(shared_queue)
{
	unsigned counts[THREADS][LIMIT_DROP + 1] = { 0 }, held = 0, first = 0, all = 0, taken = 0;
	pthread_t threads[THREADS];
	struct limit_taken got;
	uint64_t at = now;

	set(100000000, 0);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_many, counts[i]), 0);
	for (unsigned i = 0; i < 200000; i++) {
		limit_take(limit, LIMIT_UP, at += 1000, &got);
		for (struct staged *s = got.list; s; s = s->next)
			taken++;
		taken += got.dropped;
		staged_free(got.list);
		(void)limit_settle(limit, LIMIT_UP);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		first += counts[i][LIMIT_FIRST];
		held += counts[i][LIMIT_HELD] + counts[i][LIMIT_FIRST];
		for (unsigned k = 0; k <= LIMIT_DROP; k++)
			all += counts[i][k];
	}
	ck_assert_uint_eq(all, THREADS * 20000);
	ck_assert_uint_ge(first, 1);
	ck_assert_uint_eq(held, taken + limit_close(limit));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limit");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, long_run, 0, ARRAY_SIZE(rates));
	tcase_add_test(t, burst_and_ways);
	tcase_add_test(t, order);
	tcase_add_test(t, on_its_way);
	tcase_add_test(t, longer_than_the_bucket);
	tcase_add_test(t, changes);
	tcase_add_test(t, room);
	tcase_add_loop_test(t, standing_queue, 0, 2); /* not ECT, ECT(1) */
	tcase_add_test(t, closing);
	tcase_add_test(t, shared_bucket);
	tcase_add_test(t, shared_queue);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
