/* SPDX-License-Identifier: MIT */
/* A quota in the data path, between two real devices on fake wires and a fake clock. */
#include "../src/base/utc.h"
#include "fakes.h"
#include "stranger.h"

enum { SIZE = 100, QUOTA = 10 * SIZE };

static struct lab lab;

static struct {
	struct saved_counts counts; /* to be given back */
	uint64_t used;              /* was told last */
	int64_t start;
	unsigned n;
} memory;

static void on_learned(void *arg, const struct device_peer *peer)
{
	(void)arg;
	memory.n++;
	memory.used = peer->meter.used;
	memory.start = peer->meter.start;
}

static void on_recall(void *arg, const uint8_t public_key[32], const char *name,
		      struct device_recalled *out)
{
	(void)arg, (void)public_key, (void)name;
	out->counts = memory.counts;
}

static int64_t at(const char *text)
{
	int64_t when;

	ck_assert_int_eq(utc_parse(text, &when), 0);
	return when;
}

/* The gate allows home so many bytes a day. rate: 0 blocks. */
static void allow(uint64_t bytes, uint64_t rate)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_LIMITS };

	memcpy(c.key, lab.home.public_key, 32);
	c.limits.quota = (struct quota){ bytes, QUOTA_DAY, rate };
	lab_apply(&lab.gate, &c);
}

static void setup(void)
{
	static const struct device_memory m = { .learned = on_learned, .recall = on_recall };

	fake_clock_set_realtime(at("2026-11-26T10:00:00Z"), 0);
	lab_start(&lab, 1, false);
	device_remember(lab.gate.dev, &m);
	lab_meet(&lab, NULL);
	lab_connect(&lab);
}

static void teardown(void)
{
	lab_stop(&lab);
}

/* How many of n packets pass, one by one: up from home, or down to it. */
static unsigned carry(bool up, unsigned n)
{
	struct side *from = up ? &lab.home : &lab.gate, *to = up ? &lab.gate : &lab.home;
	unsigned passed = 0;
	uint8_t packet[SIZE];

	lab_packet(packet, up ? "10.0.0.2" : "10.0.0.1", up ? "10.0.0.1" : "10.0.0.2", SIZE);
	for (unsigned i = 0; i < n; i++) {
		struct fake_packet *p;

		lab_tun_in(&lab, from, packet, SIZE);
		lab_carry(&lab);
		p = wire_take(to->tun);
		passed += p != NULL;
		free(p);
	}
	return passed;
}

static struct meter_info info(void)
{
	struct meter_info m;

	rcu_turn_begin();
	m = meter_get(&rcu_read(&lab.gate.peer->limit)->meter);
	rcu_turn_end();
	return m;
}

/* Both ways count together, inner bytes alone, and the last packet that fits is the last. */
START_TEST(blocked)
{
	allow(QUOTA, 0);
	ck_assert_uint_eq(carry(true, 4), 4);
	ck_assert_uint_eq(carry(false, 4), 4);
	ck_assert_uint_eq(info().used, 8 * SIZE);
	ck_assert_int_eq(info().state, METER_WARNED);
	ck_assert_uint_eq(carry(true, 5), 2);
	ck_assert_uint_eq(carry(false, 5), 0);
	ck_assert_uint_eq(info().used, QUOTA);
	ck_assert_int_eq(info().state, METER_OVER);
	lab_dropped(&lab.gate, DROP_QUOTA, 8, true);
	/* What was written down is what was used. */
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.used, QUOTA);
	ck_assert_int_eq(memory.start, at("2026-11-26"));
}
END_TEST

/* A burst that does not fit is cut at a packet. */
START_TEST(burst_is_cut)
{
	unsigned passed = 0;
	uint8_t packet[SIZE];
	struct fake_packet *p;

	allow(QUOTA + SIZE / 2, 0);
	lab_packet(packet, "10.0.0.1", "10.0.0.2", SIZE);
	for (unsigned i = 0; i < 20; i++)
		wire_inject(lab.gate.tun, NULL, 0, packet, SIZE);
	lab_settle(&lab);
	lab_carry(&lab);
	while ((p = wire_take(lab.home.tun))) {
		free(p);
		passed++;
	}
	ck_assert_uint_eq(passed, 10);
	lab_dropped(&lab.gate, DROP_QUOTA, 10, true);
}
END_TEST

static const struct { const char *what; unsigned free; } lifts[] = {
	{ "reset", 10 }, { "more", 5 }, { "none", 12 }, { "period", 10 }
};

/* Whatever lifts it does so at once. */
START_TEST(lifted)
{
	const char *what = lifts[_i].what;

	allow(QUOTA, 0);
	ck_assert_uint_eq(carry(true, 12), 10);
	lab_mark(&lab.gate);
	if (!strcmp(what, "reset"))
		ck_assert(device_reset_quota(lab.gate.dev, lab.home.public_key));
	else if (!strcmp(what, "more"))
		allow(QUOTA + 5 * SIZE, 0);
	else if (!strcmp(what, "none"))
		allow(0, 0);
	else
		ck_assert_int_eq(device_turn_quotas(lab.gate.dev, at("2026-11-27")),
				 at("2026-11-28"));
	ck_assert_uint_eq(carry(true, 12), lifts[_i].free);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(memory.used, !strcmp(what, "none") ? 0 : info().used);
}
END_TEST

/* A period that goes on does not. */
START_TEST(period_goes_on)
{
	allow(QUOTA, 0);
	ck_assert_uint_eq(carry(true, 12), 10);
	ck_assert_int_eq(device_turn_quotas(lab.gate.dev, at("2026-11-26T23:59:59Z")),
			 at("2026-11-27"));
	ck_assert_uint_eq(carry(true, 3), 0);
	/* Nobody has a quota with a period: there is nothing to wait for. */
	allow(0, 0);
	ck_assert_int_eq(device_turn_quotas(lab.gate.dev, at("2026-11-27")), INT64_MAX);
	ck_assert(!device_reset_quota(lab.gate.dev, lab.home.public_key));
	ck_assert(!device_reset_quota(lab.gate.dev, lab.gate.public_key));
}
END_TEST

/* Past it both ways have a rate, each its own: one bucket at once, then by time. */
START_TEST(throttled)
{
	enum { RATE = 80000, MANY = 100, PER_100_MS = 10 };
	unsigned first[2], later[2];

	allow(QUOTA, RATE);
	ck_assert_uint_eq(carry(true, 10), 10);
	ck_assert_int_eq(info().state, METER_OVER);
	for (unsigned way = 0; way < 2; way++) {
		first[way] = carry(way, MANY);
		ck_assert_uint_lt(first[way], MANY / 2);
	}
	/* What waits is let go while the clock runs. */
	for (unsigned i = 0; i < 50; i++) {
		lab_wait(&lab, 10 * NSEC_PER_MSEC);
		lab_carry(&lab);
	}
	for (unsigned way = 0; way < 2; way++) {
		struct side *to = way ? &lab.gate : &lab.home;

		later[way] = wire_count(to->tun);
		ck_assert_uint_ge(later[way], 5 * PER_100_MS - 2);
		ck_assert_uint_le(later[way], 5 * PER_100_MS + 2);
		for (unsigned i = 0; i < later[way]; i++)
			free(wire_take(to->tun));
	}
	/* What still waits goes when it is lifted, and nothing was lost. */
	ck_assert(device_reset_quota(lab.gate.dev, lab.home.public_key));
	lab_settle(&lab);
	lab_carry(&lab);
	ck_assert_uint_eq(first[0] + later[0] + wire_count(lab.home.tun), MANY);
	ck_assert_uint_eq(first[1] + later[1] + wire_count(lab.gate.tun), MANY);
	/* Far too much for the rate is dropped for that reason. */
	allow(SIZE, RATE);
	while (wire_count(lab.gate.tun))
		free(wire_take(lab.gate.tun));
	(void)carry(true, 4 * MANY);
	ck_assert_uint_gt(counter_read(&lab.gate.peer->drops->n[DROP_QUOTA]), MANY);
}
END_TEST

/* What was used before a restart, in this period and in the last. */
static const struct { const char *start; unsigned left; } before[] = {
	{ "2026-11-26", 3 }, { "2026-11-25", 10 }
};

START_TEST(recalled)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };

	memcpy(c.key, lab.home.public_key, 32);
	lab_apply(&lab.gate, &c);
	memory.counts.quota_used = 7 * SIZE;
	memory.counts.quota_start = at(before[_i].start);
	c.flags = PEER_HAS_LIMITS | PEER_REPLACE_ALLOWED_IPS;
	c.limits.quota = (struct quota){ QUOTA, QUOTA_DAY, 0 };
	ck_assert_int_eq(change_add_allowed_ip(&c, &(struct prefix){
		.family = AF_INET, .cidr = 32, .addr = { 10, 0, 0, 2 } }), 0);
	lab_apply(&lab.gate, &c);
	free(c.allowed_ips);
	rcu_turn_begin();
	lab.gate.peer = allowedips_lookup4(&device_datapath(lab.gate.dev)->allowedips,
					   (const uint8_t[]){ 10, 0, 0, 2 });
	rcu_turn_end();
	ck_assert_uint_eq(info().used, QUOTA - before[_i].left * SIZE);
	/* Until home finds that nobody answers, and comes anew. */
	(void)carry(true, 1);
	lab_live(&lab, 30);
	while (wire_count(lab.gate.tun))
		free(wire_take(lab.gate.tun));
	(void)carry(true, 30);
	ck_assert_uint_eq(info().used, QUOTA);
	ck_assert_int_eq(info().state, METER_OVER);
}
END_TEST

/* Who sends to a tenant that is away does not use up what it may use when it is back. */
START_TEST(away)
{
	uint8_t packet[SIZE];

	allow(QUOTA, 0);
	/* Home is off until its keys have expired. */
	for (unsigned i = 0; i < 200; i++)
		lab_wait(&lab, NSEC_PER_SEC);
	(void)discard_sent(&lab.gate);
	(void)discard_sent(&lab.home);
	lab_packet(packet, "10.0.0.1", "10.0.0.2", SIZE);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < QUOTA / SIZE - 2; i++)
			lab_tun_in(&lab, &lab.gate, packet, SIZE);
		for (unsigned i = 0; i < 120; i++)
			lab_wait(&lab, NSEC_PER_SEC);
	}
	ck_assert_uint_eq(info().used, 0);
	(void)discard_sent(&lab.gate);
	lab_live(&lab, 10);
	ck_assert_uint_eq(carry(true, 5), 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quota_path");
	TCase *tc = tcase_create("quota_path");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, blocked);
	tcase_add_test(tc, away);
	tcase_add_test(tc, burst_is_cut);
	tcase_add_loop_test(tc, lifted, 0, 4);
	tcase_add_test(tc, period_goes_on);
	tcase_add_test(tc, throttled);
	tcase_add_loop_test(tc, recalled, 0, 2);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
