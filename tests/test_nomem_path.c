/* SPDX-License-Identifier: MIT */
/* A device without memory: changes are made whole or not at all, and what is lost comes again. */
#include <sodium.h>
#include <stdlib.h>
#include <uv.h>

#include "../src/base/endpoint.h"
#include "../src/base/rcu.h"
#include "nomem_try.h"
#include "path_lab.h"

enum { N_IPS = 9 };

static struct lab lab;

/* What can be seen of a tenant. */
struct seen {
	bool there;
	uint8_t psk[32];
	struct endpoint at;
	uint16_t keepalive;
	struct limits limits;
	uint64_t used;
	size_t n;
	struct prefix ips[2 * N_IPS];
};

static const uint8_t key_a[32] = { 'a' }, key_b[32] = { 'b' };
static struct prefix ips[2 * N_IPS];
static struct change change;
static struct seen before, after;

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct prefix));
}

static void see(const struct device_peer *peer, void *arg)
{
	struct seen *s = arg;

	s->there = true;
	memcpy(s->psk, peer->preshared_key, 32);
	s->at = peer->endpoint;
	s->keepalive = peer->keepalive;
	s->limits = peer->limits;
	s->used = peer->meter.used;
	s->n = peer->n_allowed_ips;
	memcpy(s->ips, peer->allowed_ips, s->n * sizeof(s->ips[0]));
	qsort(s->ips, s->n, sizeof(s->ips[0]), compare);
}

static struct seen look(const uint8_t key[32])
{
	struct seen s;

	memset(&s, 0, sizeof(s));
	(void)device_get_peer(lab.gate.dev, key, see, &s);
	return s;
}

static void check_same(const struct seen *a, const struct seen *b)
{
	ck_assert_int_eq(a->there, b->there);
	ck_assert_mem_eq(a->psk, b->psk, 32);
	ck_assert(endpoint_equal(&a->at, &b->at));
	ck_assert_uint_eq(a->keepalive, b->keepalive);
	ck_assert(limits_equal(&a->limits, &b->limits));
	ck_assert_uint_eq(a->used, b->used);
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_mem_eq(a->ips, b->ips, a->n * sizeof(a->ips[0]));
}

/* The table and the lists of the two say the same of every address. */
static void check_table(void)
{
	struct seen a = look(key_a), b = look(key_b);

	for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
		const void *of_a = bsearch(&ips[i], a.ips, a.n, sizeof(a.ips[0]), compare);
		const void *of_b = bsearch(&ips[i], b.ips, b.n, sizeof(b.ips[0]), compare);
		struct peer *owner;

		ck_assert(!of_a || !of_b);
		rcu_turn_begin();
		owner = allowedips_find_exact(&device_datapath(lab.gate.dev)->allowedips, &ips[i]);
		ck_assert_int_eq(owner != NULL, of_a || of_b);
		ck_assert(!owner || !memcmp(owner->public_key, of_a ? key_a : key_b, 32));
		rcu_turn_end();
	}
}

static struct change tenant_change(const uint8_t key[32], size_t first, size_t n, uint8_t psk)
{
	struct change c = { .kind = CHANGE_PEER,
			    .flags = PEER_HAS_PRESHARED_KEY | PEER_HAS_ENDPOINT |
				     PEER_HAS_KEEPALIVE | PEER_HAS_LIMITS |
				     PEER_REPLACE_ALLOWED_IPS | PEER_MAY_TAKE,
			    .keepalive = psk, .preshared_key = { psk },
			    .allowed_ips = &ips[first], .n_allowed_ips = n };

	memcpy(c.key, key, 32);
	c.name[0] = (char)key[0];
	ck_assert_int_eq(endpoint_parse(&c.endpoint, psk % 2 ? "192.0.2.7:7" : "192.0.2.8:8"), 0);
	return c;
}

static int apply(void)
{
	size_t failed;

	return device_apply(lab.gate.dev, &change, 1, &failed);
}

static void remove_both(void)
{
	struct change all = { .kind = CHANGE_REMOVE_PEERS };

	struct fake_packet *p;

	lab_apply(&lab.gate, &all);
	lab_settle(&lab);
	while ((p = lab_sent(&lab.gate)))
		free(p);
	rcu_settle();
}

static void begin_lab(void)
{
	char text[48];

	lab_start(&lab, 1, false);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
		(void)snprintf(text, sizeof(text), i % 2 ? "10.0.%zu.0/24" : "fd00::%zu/128", i);
		memset(&ips[i], 0, sizeof(ips[i]));
		ck_assert_int_eq(prefix_parse(&ips[i], text), 0);
	}
}

static void end_lab(void)
{
	lab_stop(&lab);
}

/* Added */

static void check_added(int err)
{
	struct seen now = look(key_a);

	check_table();
	ck_assert_int_eq(now.there, !err);
	if (err)
		return;
	ck_assert_uint_eq(now.n, N_IPS);
	ck_assert_uint_eq(now.limits.rate_up, 1000000);
	ck_assert_uint_eq(now.psk[0], 3);
}

START_TEST(test_add)
{
	static const struct nomem_work w = { .name = "tenant added", .work = apply,
					     .check = check_added, .after = remove_both };

	change = tenant_change(key_a, 0, N_IPS, 3);
	change.limits.rate_up = 1000000;
	ck_assert_uint_gt(nomem_try(&w), 2 * N_IPS);
}
END_TEST

/*
 * Changed: other addresses, some of them taken from the other tenant, another preshared key,
 * endpoint, keepalive, and limits for the first time.
 */

static void add_both(void)
{
	struct change c = tenant_change(key_a, 0, N_IPS, 3);

	lab_apply(&lab.gate, &c);
	c = tenant_change(key_b, N_IPS, 4, 5);
	lab_apply(&lab.gate, &c);
	before = look(key_a);
	after = look(key_b);
}

static void check_changed(int err)
{
	struct seen a = look(key_a), b = look(key_b);

	check_table();
	if (err) {
		check_same(&a, &before);
		check_same(&b, &after);
		return;
	}
	ck_assert_uint_eq(a.n, N_IPS);
	ck_assert_uint_eq(b.n, 0);
	ck_assert_uint_eq(a.psk[0], 4);
	ck_assert_uint_eq(a.keepalive, 4);
	ck_assert_uint_eq(a.limits.rate_down, 2000000);
}

START_TEST(test_change)
{
	static const struct nomem_work w = { .name = "tenant changed", .before = add_both,
					     .work = apply, .check = check_changed,
					     .after = remove_both };

	/* Three that it has, four of the other, two that are nobody's. */
	change = tenant_change(key_a, 6, N_IPS, 4);
	change.limits.rate_down = 2000000;
	ck_assert_uint_gt(nomem_try(&w), 5);
}
END_TEST

/* Revoked: whatever is missing, never this. */
START_TEST(test_revoke)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_REMOVE };
	uint64_t failed;
	size_t which;
	int err;

	add_both();
	memcpy(c.key, key_a, 32);
	lab_settle(&lab);
	nomem_arm(1, 1, NOMEM_ANYWHERE);
	err = device_apply(lab.gate.dev, &c, 1, &which);
	failed = nomem_disarm();
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(failed, 0);
	ck_assert(!look(key_a).there);
	check_table();
	remove_both();
}
END_TEST

/* What was used of a quota before the restart is never forgotten by who is added. */

static uint64_t kept; /* by whoever remembers; he hands it over, and gets it back */

static void on_learned(void *arg, const struct device_peer *peer)
{
	(void)arg;
	if (peer->removed)
		kept = peer->meter.used;
}

static void keep(void)
{
	kept = 777;
}

static void on_recall(void *arg, const uint8_t public_key[32], const char *name,
		      struct device_recalled *out)
{
	(void)arg, (void)public_key, (void)name;
	out->counts = (struct saved_counts){ .quota_used = kept, .quota_start = 1700000000 };
	kept = 0;
}

static void check_quota(int err)
{
	struct seen now = look(key_a);

	check_added(err);
	device_take_learned(lab.gate.dev);
	ck_assert_uint_eq(err ? kept : now.used, 777);
}

START_TEST(test_quota)
{
	static const struct nomem_work w = { .name = "quota recalled", .before = keep,
					     .work = apply,
					     .check = check_quota, .after = remove_both };
	static const struct device_memory memory = { .learned = on_learned,
						    .recall = on_recall };

	device_remember(lab.gate.dev, &memory);
	change = tenant_change(key_a, 0, N_IPS, 3);
	change.limits = (struct limits){ .rate_up = 1000000,
					 .quota = { .bytes = 1000000, .period = QUOTA_MONTH } };
	ck_assert_uint_gt(nomem_try(&w), 2 * N_IPS);
	device_forget(lab.gate.dev);
}
END_TEST

/* Private key and port */

static int set_identity(void)
{
	struct change c[] = { { .kind = CHANGE_PRIVATE_KEY, .key = { 7 } },
			      { .kind = CHANGE_LISTEN_PORT, .number = 7777 } };
	size_t failed;

	return device_apply(lab.gate.dev, c, 2, &failed);
}

static void reset_identity(void)
{
	struct change c[] = { { .kind = CHANGE_PRIVATE_KEY, .key = { 9 } },
			      { .kind = CHANGE_LISTEN_PORT, .number = 1111 } };
	size_t failed;

	ck_assert_int_eq(device_apply(lab.gate.dev, c, 2, &failed), 0);
	rcu_settle();
}

START_TEST(test_identity)
{
	static const struct nomem_work w = { .name = "key and port", .before = reset_identity,
					     .work = set_identity, .after = reset_identity };

	reset_identity();
	ck_assert_uint_ge(nomem_try(&w), 1);
}
END_TEST

/* A session is made while the workers and the handshake thread run out of memory. */

static void meet(void)
{
	lab_start_acquainted(&lab, NULL);
}

/*
 * Three packets wait for the handshake. None goes the other way: on a clock of whole seconds
 * two that begin together would do so for ever.
 */
static int talk(void)
{
	uint8_t packet[100];
	size_t len = lab_packet(packet, "10.0.0.2", "10.0.0.1", sizeof(packet));

	for (int i = 0; i < 3; i++)
		lab_tun_in(&lab, &lab.home, packet, len);
	lab_carry(&lab);
	return 0;
}

static void drain(struct side *side)
{
	struct fake_packet *p;

	while ((p = wire_take(side->tun)))
		free(p);
}

/* What was lost is asked for again by itself, as if the network had lost it. */
static void check_session(int err)
{
	uint8_t packet[100];
	size_t len;

	(void)err;
	lab_live(&lab, 30);
	drain(&lab.home);
	drain(&lab.gate);
	len = lab_packet(packet, "10.0.0.2", "10.0.0.1", sizeof(packet));
	lab_tun_in(&lab, &lab.home, packet, len);
	lab_live(&lab, 10);
	lab_tun_out(&lab.gate, packet, len);
	len = lab_packet(packet, "10.0.0.1", "10.0.0.2", sizeof(packet));
	lab_tun_in(&lab, &lab.gate, packet, len);
	lab_carry(&lab);
	lab_tun_out(&lab.home, packet, len);
}

START_TEST(test_session)
{
	static const struct nomem_work w = { .name = "session", .before = meet, .work = talk,
					     .check = check_session, .after = end_lab,
					     .where = NOMEM_ELSEWHERE };

	ck_assert_uint_gt(nomem_try(&w), 5);
}
END_TEST

/* Who says hello all the time and could not for a while does so when he can. */

static int greet(void)
{
	struct change c = { .kind = CHANGE_PEER, .flags = PEER_HAS_KEEPALIVE, .keepalive = 25 };

	memcpy(c.key, lab.gate.public_key, 32);
	lab_apply(&lab.home, &c);
	lab_live(&lab, 3);
	return 0;
}

static void check_greeted(int err)
{
	bool connected;

	(void)err;
	lab_live(&lab, 30);
	rcu_turn_begin();
	connected = lab_key(&lab.home) && lab_key(&lab.gate);
	rcu_turn_end();
	ck_assert(connected);
}

START_TEST(test_keepalive)
{
	static const struct nomem_work w = { .name = "keepalive", .before = meet, .work = greet,
					     .check = check_greeted, .after = end_lab,
					     .where = NOMEM_ELSEWHERE };

	ck_assert_uint_gt(nomem_try(&w), 5);
}
END_TEST

/* Workers start, or do not and leave nothing. */

static struct workers started;

/* libuv ends the process where it cannot go on (SECURITY.md): its own are left to it. */

static void *uv_spare_realloc(void *block, size_t size)
{
	void *grown;

	nomem_spared++;
	grown = realloc(block, size);
	nomem_spared--;
	return grown;
}

static void *uv_spare_calloc(size_t n, size_t size)
{
	void *block;

	nomem_spared++;
	block = calloc(n, size);
	nomem_spared--;
	return block;
}

static int start_workers(void)
{
	int err = workers_start(&started, 2, "auto");

	if (!err)
		workers_stop(&started);
	return err;
}

START_TEST(test_workers)
{
	static const struct nomem_work w = { .name = "workers", .work = start_workers,
					     .or_else = -EAGAIN };

	ck_assert_int_ge(sodium_init(), 0);
	ck_assert_int_eq(uv_replace_allocator(nomem_spare, uv_spare_realloc, uv_spare_calloc,
					      free), 0);
	rcu_register_thread();
	rcu_turn_end();
	ck_assert_uint_gt(nomem_try(&w), 10);
	rcu_unregister_thread();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nomem_path");
	TCase *changes = tcase_create("changes"), *threads = tcase_create("threads");
	SRunner *runner;
	int failed;

	tcase_set_timeout(changes, 60);
	tcase_add_checked_fixture(changes, begin_lab, end_lab);
	tcase_add_test(changes, test_add);
	tcase_add_test(changes, test_change);
	tcase_add_test(changes, test_revoke);
	tcase_add_test(changes, test_quota);
	tcase_add_test(changes, test_identity);
	tcase_set_timeout(threads, 60);
	tcase_add_test(threads, test_session);
	tcase_add_test(threads, test_keepalive);
	tcase_add_test(threads, test_workers);
	suite_add_tcase(suite, changes);
	suite_add_tcase(suite, threads);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
