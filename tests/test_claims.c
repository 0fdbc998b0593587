/* SPDX-License-Identifier: MIT */
/* Who holds what: all or nothing, the first keeps it, against a naive list. */
#include <errno.h>
#include <malloc.h>

#include "../src/config/claims.h"
#include "config_files.h"
#include "config_values.h"

/* Claims and forgets the value; the answer and the faults must be these. */
static void expect(struct claims *claims, struct config_tenant *tenant, int result,
		   const char *expected)
{
	struct fault_list faults = { 0 };

	ck_assert_int_eq(claims_try(claims, tenant, &faults), result);
	files_expect(&faults, expected);
	tenant_free(tenant);
}

static const char *holder(const struct claims *claims, const char *range)
{
	struct prefix prefix;
	const char *name;

	ck_assert_int_eq(prefix_parse(&prefix, range), 0);
	name = claims_holder(claims, &prefix);
	return name ? name : "";
}

START_TEST(test_first_keeps)
{
	struct claims *claims = claims_new();

	expect(claims, make("alice", 1, "10.0.0.1, 2001:db8::/96"), 0, "");
	expect(claims, make("bob", 2, "10.0.0.2"), 0, "");
	expect(claims, make("carol", 3, "10.0.0.2"), -EEXIST,
	       "config.d/carol.conf:3: AllowedIPs: 10.0.0.2/32 is already in config.d/bob.conf\n");
	/* Larger and smaller; all of it is told, and nothing of it is taken. */
	expect(claims, make("carol", 1, "10.0.0.0/30, 10.0.0.9, 2001:db8::7"), -EEXIST,
	       "config.d/carol.conf:2: PublicKey: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' "
	       "is already in config.d/alice.conf\n"
	       "config.d/carol.conf:3: AllowedIPs: 10.0.0.0/30 overlaps 10.0.0.2/32, which is "
	       "already in config.d/bob.conf\n"
	       "config.d/carol.conf:3: AllowedIPs: 2001:db8::7/128 overlaps 2001:db8::/96, which "
	       "is already in config.d/alice.conf\n");
	ck_assert_str_eq(holder(claims, "10.0.0.9"), "");
	expect(claims, make("carol", 3, "10.0.0.9"), 0, "");
	ck_assert_str_eq(holder(claims, "10.0.0.9"), "carol");
	ck_assert_str_eq(holder(claims, "2001:db8::ffff:1"), "alice");
	claims_free(claims);
}
END_TEST

START_TEST(test_replace)
{
	struct claims *claims = claims_new();

	expect(claims, make("alice", 1, "10.0.0.1, 10.0.0.2"), 0, "");
	expect(claims, make("bob", 2, "10.0.0.3"), 0, "");
	/* What one holds oneself is not in the way, not even a part of it. */
	expect(claims, make("alice", 1, "10.0.0.0/31, 10.0.0.2"), 0, "");
	ck_assert_str_eq(holder(claims, "10.0.0.0"), "alice");
	expect(claims, make("alice", 5, "10.0.0.0/31"), 0, "");
	ck_assert_str_eq(holder(claims, "10.0.0.2"), "");
	/* A new claim that fails leaves the old one. */
	expect(claims, make("alice", 6, "10.0.0.0/30"), -EEXIST,
	       "config.d/alice.conf:3: AllowedIPs: 10.0.0.0/30 overlaps 10.0.0.3/32, which is "
	       "already in config.d/bob.conf\n");
	ck_assert_str_eq(holder(claims, "10.0.0.1"), "alice");
	expect(claims, make("carol", 6, "10.0.0.9"), 0, "");
	expect(claims, make("dave", 5, "10.0.0.10"), -EEXIST,
	       "config.d/dave.conf:2: PublicKey: 'BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' is "
	       "already in config.d/alice.conf\n");
	claims_free(claims);
}
END_TEST

START_TEST(test_release)
{
	struct claims *claims = claims_new();
	struct config_tenant *gone = make("alice", 1, "");

	expect(claims, make("alice", 1, "10.0.0.1"), 0, "");
	claims_release(claims, "alice");
	claims_release(claims, "alice");
	expect(claims, make("bob", 1, "10.0.0.1"), 0, "");
	claims_release(claims, "bob");
	expect(claims, make("alice", 1, "10.0.0.1"), 0, "");
	gone->state = TENANT_REVOKED;
	expect(claims, gone, 0, "");
	ck_assert_str_eq(holder(claims, "10.0.0.1"), "");
	claims_free(claims);
	claims_free(NULL);
}
END_TEST

/* One's own ranges may overlap, and stand twice. */
START_TEST(test_own_overlap)
{
	struct claims *claims = claims_new();

	expect(claims, make("alice", 1, "10.0.0.5, 10.0.0.0/24, 10.0.0.0/24, 10.0.0.0/25, "
					"10.0.1.0"),
	       0, "");
	ck_assert_str_eq(holder(claims, "10.0.0.77"), "alice");
	claims_release(claims, "alice");
	ck_assert_str_eq(holder(claims, "0.0.0.0/0"), "");
	claims_free(claims);
}
END_TEST

START_TEST(test_families)
{
	struct claims *claims = claims_new();

	expect(claims, make("four", 1, "0.0.0.0/0"), 0, "");
	expect(claims, make("six", 2, "::/0"), 0, "");
	expect(claims, make("all", 3, "::/0, 1.2.3.4"), -EEXIST,
	       "config.d/all.conf:3: AllowedIPs: 1.2.3.4/32 overlaps 0.0.0.0/0, which is already "
	       "in config.d/four.conf\n"
	       "config.d/all.conf:3: AllowedIPs: ::/0 is already in config.d/six.conf\n");
	claims_free(claims);
}
END_TEST

START_TEST(test_tunnels)
{
	struct claims *claims = claims_new();
	struct config_tenant *tunnel = make_tunnel("t1", "mail", "wg0");

	/* Addresses of tunnels are no claims. */
	make_peer(tunnel, 1, "::/0");
	expect(claims, tunnel, 0, "");
	tunnel = make_tunnel("t2", "web", "wg0");
	make_peer(tunnel, 1, "::/0");
	expect(claims, tunnel, 0, "");
	expect(claims, make("alice", 1, "2001:db8::1"), 0, "");
	expect(claims, make_tunnel("t3", NULL, "wg0"), 0, "");
	expect(claims, make_tunnel("t4", "mail", "wg1"), 0, "");
	expect(claims, make_tunnel("t5", "mail", "wg0"), -EEXIST,
	       "config.d/t5.conf:5: Name: the interface 'wg0' of this namespace is already in "
	       "config.d/t1.conf\n");
	claims_release(claims, "t1");
	expect(claims, make_tunnel("t5", "mail", "wg0"), 0, "");
	/* One name turns from tunnel to tenant. */
	expect(claims, make("t5", 7, "2001:db8::2"), 0, "");
	expect(claims, make_tunnel("t1", "mail", "wg0"), 0, "");
	claims_free(claims);
}
END_TEST

/* The same by hand: a list of who has what, looked through from end to end. */
enum { NAMES = 12 };

struct naive {
	bool there;
	uint8_t key;
	struct config_ranges ranges;
};

static bool overlap(const struct prefix *a, const struct prefix *b)
{
	return prefix_contains(a, b) || prefix_contains(b, a);
}

static bool conflicts(const struct naive *other, const struct config_peer *peer)
{
	if (!other->there)
		return false;
	if (other->key == peer->public_key[0])
		return true;
	for (uint32_t i = 0; i < other->ranges.n; i++) {
		for (uint32_t k = 0; k < peer->allowed_ips.n; k++) {
			if (overlap(&other->ranges.v[i].prefix, &peer->allowed_ips.v[k].prefix))
				return true;
		}
	}
	return false;
}

START_TEST(test_against_naive)
{
	struct naive naive[NAMES] = { 0 };
	struct claims *claims = claims_new();
	uint32_t seed = 7;
	unsigned taken = 0, refused = 0;

	for (int round = 0; round < 20000; round++) {
		unsigned who = next_random(&seed) % NAMES;
		char name[8], ranges[128] = "";
		struct fault_list faults = { 0 };
		struct config_tenant *tenant;
		bool ok = true;

		snprintf(name, sizeof(name), "n%u", who);
		if (next_random(&seed) % 4 == 0) {
			claims_release(claims, name);
			free(naive[who].ranges.v);
			naive[who] = (struct naive){ 0 };
			continue;
		}
		for (unsigned n = next_random(&seed) % 4; n; n--) {
			size_t len = strlen(ranges);
			bool six = next_random(&seed) % 2;
			unsigned host = next_random(&seed) % 64;
			unsigned bits = next_random(&seed) % 8 ? 0 : next_random(&seed) % 5;

			snprintf(ranges + len, sizeof(ranges) - len, six ? "%s2001:db8::%x/%u" :
				 "%s10.0.0.%u/%u", len ? "," : "", host, (six ? 128 : 32) - bits);
		}
		tenant = make(name, 1 + next_random(&seed) % 20, ranges);
		for (unsigned i = 0; i < NAMES; i++)
			ok = ok && (i == who || !conflicts(&naive[i], &tenant->peers[0]));
		ck_assert_int_eq(claims_try(claims, tenant, &faults), ok ? 0 : -EEXIST);
		ck_assert_int_eq(faults.n_errors == 0, ok);
		fault_list_free(&faults);
		if (ok) {
			free(naive[who].ranges.v);
			naive[who] = (struct naive){ true, tenant->peers[0].public_key[0],
						     tenant->peers[0].allowed_ips };
			tenant->peers[0].allowed_ips = (struct config_ranges){ 0 };
			taken++;
		} else {
			refused++;
		}
		tenant_free(tenant);
	}
	ck_assert_uint_gt(taken, 1000);
	ck_assert_uint_gt(refused, 1000);
	claims_free(claims);
	for (unsigned i = 0; i < NAMES; i++)
		free(naive[i].ranges.v);
}
END_TEST

/* A hundred thousand tenants: what claims.h says about memory holds. */
START_TEST(test_many)
{
	enum { MANY = 100000 };
	struct claims *claims = claims_new();
	struct fault_list faults = { 0 };
	size_t before, after;

	before = mallinfo2().uordblks;
	for (uint32_t i = 0; i < MANY; i++) {
		struct config_tenant *tenant;
		char name[16], range[48];

		snprintf(name, sizeof(name), "tenant-%u", i);
		snprintf(range, sizeof(range), "2001:db8::%x:%x", i >> 16, i & 0xffff);
		tenant = make(name, 1, range);
		memcpy(tenant->peers[0].public_key, &i, sizeof(i));
		tenant->peers[0].public_key[31] = 1;
		ck_assert_int_eq(claims_try(claims, tenant, &faults), 0);
		tenant_free(tenant);
	}
	after = mallinfo2().uordblks;
	if (after > before) /* a sanitizer counts elsewhere */
		ck_assert_uint_le((after - before) / MANY, 220);
	ck_assert_str_eq(holder(claims, "2001:db8::1:1"), "tenant-65537");
	claims_release(claims, "tenant-65537");
	ck_assert_str_eq(holder(claims, "2001:db8::1:1"), "");
	ck_assert_str_eq(holder(claims, "2001:db8::1:2"), "tenant-65538");
	claims_free(claims);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("claims");
	TCase *tcase = tcase_create("claims");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, test_first_keeps);
	tcase_add_test(tcase, test_replace);
	tcase_add_test(tcase, test_release);
	tcase_add_test(tcase, test_own_overlap);
	tcase_add_test(tcase, test_families);
	tcase_add_test(tcase, test_tunnels);
	tcase_add_test(tcase, test_against_naive);
	tcase_add_test(tcase, test_many);
	return files_run(suite, tcase);
}
