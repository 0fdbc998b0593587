/* SPDX-License-Identifier: MIT */
/* Quotas and dates in [Tenant]: what is read, and what is said of what is none. */
#include "../src/config/limits.h"
#include "../src/config/tenant_file.h"
#include <errno.h>

#include "config_files.h"
#include "require.h"

static const struct {
	const char *text;
	uint64_t bytes;
	enum quota_period period;
	const char *printed;
} good[] = {
	{ "500GB/month", UINT64_C(500000000000), QUOTA_MONTH, "500GB" },
	{ "500gb/MONTH", UINT64_C(500000000000), QUOTA_MONTH, "500GB" },
	{ "1KB", 1000, QUOTA_FOREVER, "1KB" },
	{ "5MB/day", 5000000, QUOTA_DAY, "5MB" },
	{ "1.5TB/week", UINT64_C(1500000000000), QUOTA_WEEK, "1.5TB" },
	{ "0.0015MB", 1500, QUOTA_FOREVER, "1.5KB" },
	{ "1.234567GB", 1234567000, QUOTA_FOREVER, "1234.567MB" },
	{ "1.000001MB", 1000001, QUOTA_FOREVER, "1000.001KB" },
	{ "1KiB", 1024, QUOTA_FOREVER, "1KiB" },
	{ "1GiB/day", 1 << 30, QUOTA_DAY, "1GiB" },
	{ "1.5GiB", 1610612736, QUOTA_FOREVER, "1.5GiB" },
	{ "2TiB/month", UINT64_C(2) << 40, QUOTA_MONTH, "2TiB" },
	{ "1000000TB", QUOTA_BYTES_MAX, QUOTA_FOREVER, "1000000TB" },
	{ "off", 0, QUOTA_FOREVER, "0B" },
};

START_TEST(good_quotas)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { "a.conf", 7, "Quota", &faults };
	struct quota q = { 1, QUOTA_DAY, 77 }, again;
	char text[QUOTA_STRLEN];

	ck_assert_int_eq(quota_parse(&where, good[_i].text, &q), 0);
	ck_assert_uint_eq(q.bytes, good[_i].bytes);
	ck_assert_int_eq(q.period, good[_i].period);
	ck_assert_uint_eq(q.rate, 77);
	ck_assert_str_eq(quota_format_bytes(q.bytes, text), good[_i].printed);
	if (q.bytes) {
		ck_assert_int_eq(quota_parse(&where, text, &again), 0);
		ck_assert_uint_eq(again.bytes, q.bytes);
	}
	files_expect(&faults, "");
}
END_TEST

#define WORDS "(KB, MB, GB, TB, or KiB, MiB, GiB, TiB; then perhaps /day, /week or /month)"
#define SHAPE " is no quota: write one like 500GB/month " WORDS
#define RANGE " is not a quota from 1KB to 1000000TB, like 500GB/month"

static const struct {
	const char *text, *fault;
} bad[] = {
	{ "", "''" SHAPE },
	{ "much", "'much'" SHAPE },
	{ "-5GB", "'-5GB'" SHAPE },
	{ "5", "'5' has no unit: write 5GB, or another of " WORDS },
	{ "500/month", "'500/month' has no unit: write 500GB/month, or another of " WORDS },
	{ "5 GB", "'5 GB'" SHAPE },
	{ "5GBs", "'5GBs'" SHAPE },
	{ "5G", "'5G'" SHAPE },
	{ "5B", "'5B'" SHAPE },
	{ "5,5GB", "'5,5GB'" SHAPE },
	{ "5.GB", "'5.GB'" SHAPE },
	{ "5gbit/month", "'5gbit/month' is of bits, and a quota is of bytes, like 500GB/month "
			 WORDS },
	{ "5GB/", "'' is no period: write 5GB/month, /week, /day, or no period at all" },
	{ "5GB/year", "'year' is no period: write 5GB/month, /week, /day, or no period at all" },
	{ "5GB/month/day",
	  "'month/day' is no period: write 5GB/month, /week, /day, or no period at all" },
	{ "5GB /month", "'5GB /month'" SHAPE },
	{ "0GB", "'0GB'" RANGE },
	{ "0.5KB", "'0.5KB'" RANGE },
	{ "1000001TB", "'1000001TB'" RANGE },
	{ "99999999999999TiB", "'99999999999999TiB'" RANGE },
	{ "18446744073709551617KB", "'18446744073709551617KB'" RANGE },
};

START_TEST(bad_quotas)
{
	struct fault_list faults = { 0 };
	struct rules_where where = { "a.conf", 7, "Quota", &faults };
	struct quota q = { 0 };
	char expected[512];

	ck_assert_int_eq(quota_parse(&where, bad[_i].text, &q), -EINVAL);
	ck_assert_uint_eq(q.bytes, 0);
	snprintf(expected, sizeof(expected), "a.conf:7: Quota: %s\n", bad[_i].fault);
	files_expect(&faults, expected);
}
END_TEST

static struct config_tenant *parse(const char *keys, struct fault_list *faults)
{
	struct config_tenant *t = NULL;
	struct file_text text = { .mode = 0600 };
	char all[1024];

	snprintf(all, sizeof(all), "[Peer]\nPublicKey = " KEY("b") "\nAllowedIPs = ::1\n[Tenant]\n%s",
		 keys);
	text.data = all;
	text.len = strlen(all);
	(void)!tenant_file_parse(&t, -1, "config.d", "a", &text, faults);
	return t;
}

static const struct {
	const char *keys;
	struct quota quota;
} tenants[] = {
	{ "", { 0 } },
	{ "Quota = off\nQuotaRate = 1mbit\n", { 0 } },
	{ "Quota = 1GB/week\n", { 1000000000, QUOTA_WEEK, QUOTA_RATE_DEFAULT } },
	{ "QuotaRate = 1mbit\nQuota = 1GB\n", { 1000000000, QUOTA_FOREVER, 1000000 } },
	{ "Quota = 1GB\nBlocked = no\n", { 1000000000, QUOTA_FOREVER, QUOTA_RATE_DEFAULT } },
	{ "Blocked = no\nQuota = 1GB\nQuotaRate = 1mbit\n", { 1000000000, QUOTA_FOREVER, 1000000 } },
	{ "Quota = 1GB/day\nBlocked = yes\n", { 1000000000, QUOTA_DAY, 0 } },
	{ "Blocked = YES\nQuota = 1GB/day\n", { 1000000000, QUOTA_DAY, 0 } },
};

START_TEST(of_a_tenant)
{
	static const struct quota none;
	struct fault_list faults = { 0 };
	struct config_tenant *t = parse(tenants[_i].keys, &faults);

	files_expect(&faults, "");
	ck_assert(quota_equal(t->limits ? &t->limits->quota : &none, &tenants[_i].quota));
	ck_assert_int_eq(t->limits != NULL, tenants[_i].quota.bytes != 0);
	tenant_free(t);
}
END_TEST

static const struct {
	const char *keys, *faults;
} faulty[] = {
	{ "Quota = 1GB\nQuotaRate = 1mbit\nBlocked = yes\n",
	  "config.d/a.conf:7: QuotaRate and Blocked = yes: past the quota there is a rate, or "
	  "nothing: take one of them\n" },
	{ "QuotaRate = off\n", "config.d/a.conf:5: QuotaRate: 'off' is no rate: write one like "
			       "100mbit or 1.5gbit (bit, kbit, mbit, gbit or tbit: bits per second)\n" },
	{ "Blocked = perhaps\n", "config.d/a.conf:5: Blocked: 'perhaps' is none of: no, yes\n" },
	{ "Expires = tomorrow\n",
	  "config.d/a.conf:5: Expires: 'tomorrow' is not a date: write 2027-01-01T00:00:00Z, "
	  "2027-01-01T01:00:00+01:00, or 2027-01-01 for its beginning in UTC\n" },
	{ "Expires = 2027-02-30\n",
	  "config.d/a.conf:5: Expires: there is no such day or time as '2027-02-30'; a right one "
	  "is 2027-01-01T00:00:00Z\n" },
};

START_TEST(faulty_tenants)
{
	struct fault_list faults = { 0 };

	ck_assert_ptr_null(parse(faulty[_i].keys, &faults));
	files_expect(&faults, faulty[_i].faults);
}
END_TEST

static const struct {
	const char *keys, *warning;
} idle[] = {
	{ "QuotaRate = 1mbit\n", "config.d/a.conf:5: warning: QuotaRate: is for when a Quota is "
				 "used up, and there is none\n" },
	{ "Blocked = yes\n", "config.d/a.conf:5: warning: Blocked: is for when a Quota is used "
			     "up, and there is none\n" },
	{ "Blocked = no\n", "" },
};

/* A word that does nothing is taken, but not in silence. */
START_TEST(words_without_a_quota)
{
	struct fault_list faults = { 0 };
	struct config_tenant *t = parse(idle[_i].keys, &faults);

	ck_assert_ptr_nonnull(t);
	files_expect(&faults, idle[_i].warning);
	ck_assert_ptr_null(t->limits);
	tenant_free(t);
}
END_TEST

/* What has passed is an error and a tenant that has expired; all else of it is there. */
START_TEST(expired)
{
	struct fault_list faults = { 0 };
	struct config_tenant *t = parse("Expires = 2001-02-03T04:05:06+01:00\n", &faults);

	files_expect(&faults, "config.d/a.conf:5: Expires: 2001-02-03T03:05:06Z has passed: the "
			      "tenant is revoked\n");
	ck_assert_int_eq(t->state, TENANT_EXPIRED);
	ck_assert_int_eq(t->expires, 981169506);
	ck_assert_uint_eq(t->n_peers, 1);
	tenant_free(t);
	t = parse("Expires = 9999-12-31\n", &faults);
	files_expect(&faults, "");
	ck_assert_int_eq(t->state, TENANT_OK);
	tenant_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quota");
	TCase *tc = tcase_create("quota");

	tcase_add_loop_test(tc, good_quotas, 0, sizeof(good) / sizeof(*good));
	tcase_add_loop_test(tc, bad_quotas, 0, sizeof(bad) / sizeof(*bad));
	tcase_add_loop_test(tc, of_a_tenant, 0, sizeof(tenants) / sizeof(*tenants));
	tcase_add_loop_test(tc, faulty_tenants, 0, sizeof(faulty) / sizeof(*faulty));
	tcase_add_loop_test(tc, words_without_a_quota, 0, ARRAY_SIZE(idle));
	tcase_add_test(tc, expired);
	return files_run(s, tc);
}
