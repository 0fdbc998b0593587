/* SPDX-License-Identifier: MIT */
/*
 * What becomes of those for whom memory was missing halfway, which is where one who is taken
 * out could take a peer of somebody else's with him.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../src/base/encoding.h"
#include "../src/base/log.h"
#include "../src/config/tenant_file.h"
#include "../src/manage/enforce.h"
#include "config_files.h"
#include "fake_device.h"
#include "require.h"

static struct enforce f;
static struct file_entry *a, *b;

static struct config_tenant *tenant(const char *name, uint8_t key, const char *ips)
{
	uint8_t public_key[32] = { key };
	char text[256], key_text[KEY_BASE64_STRLEN];
	struct file_text file = { .data = text, .mode = 0600 };
	struct fault_list faults = { 0 };
	struct config_tenant *conf;

	file.len = (size_t)snprintf(text, sizeof(text), "[Peer]\nPublicKey = %s\nAllowedIPs = %s\n",
				    key_to_base64(public_key, key_text), ips);
	require(!tenant_file_parse(&conf, AT_FDCWD, "", name, &file, &faults));
	return conf;
}

static struct file_entry *entry(const char *name)
{
	struct file_entry *e = calloc(1, sizeof(*e) + strlen(name) + 1);

	require(e);
	strcpy(e->name, name);
	return e;
}

static void want(struct file_entry *e, struct config_tenant *wanted)
{
	struct fault_list faults = { 0 };

	e->wanted = wanted;
	e->granted = !claims_try(f.claims, wanted, &faults);
	fault_list_free(&faults);
}

static void on_line(enum log_level level, const char *text, void *arg)
{
	(void)level, (void)text, (void)arg;
}

/* Both are in force. */
static void setup(void)
{
	static const struct log_hook hook = { .line = on_line };

	log_set_hook(&hook);
	f = (struct enforce){ .gateway = fake_gateway(), .claims = claims_new() };
	require(f.claims);
	a = entry("a");
	b = entry("b");
	want(a, tenant("a", 1, "192.0.2.1"));
	want(b, tenant("b", 2, "192.0.2.2"));
	enforce(&f, (struct file_entry *const[]){ a, b }, 2);
	require(f.tenants == 2 && fake_peer("a") && fake_peer("b"));
}

static void release(struct file_entry *e)
{
	tenant_free(e->conf);
	tenant_free(e->wanted);
	free(e);
}

static void teardown(void)
{
	release(a);
	release(b);
	claims_free(f.claims);
	log_set_hook(NULL);
}

static void expect_b_alone(uint8_t key)
{
	ck_assert_ptr_null(fake_peer("a"));
	ck_assert_ptr_null(a->conf);
	ck_assert_ptr_null(a->wanted);
	ck_assert_ptr_nonnull(fake_peer("b"));
	ck_assert_uint_eq(fake_peer("b")->key[0], key);
	ck_assert_uint_eq(f.tenants, 1);
	ck_assert_uint_eq(f.revoked, 1);
}

/* It wants the key of another one, and what it had is lost. */
START_TEST(lost_claims)
{
	want(a, tenant("a", 2, "192.0.2.3"));
	ck_assert(!a->granted);
	claims_release(f.claims, "a");
	enforce(&f, &a, 1);
	expect_b_alone(2);
}
END_TEST

/* Another one has the key that it had, and there is no room for the one that it gets. */
START_TEST(no_memory_for_another_key)
{
	claims_release(f.claims, "a");
	want(b, tenant("b", 1, "192.0.2.2"));
	want(a, tenant("a", 3, "192.0.2.1"));
	ck_assert(a->granted && b->granted);
	strcpy(fake.fail_name, "a");
	enforce(&f, (struct file_entry *const[]){ b, a }, 2);
	expect_b_alone(1);
}
END_TEST

/* The same key with another address. */
START_TEST(no_memory_for_a_change)
{
	want(a, tenant("a", 1, "192.0.2.3"));
	strcpy(fake.fail_name, "a");
	enforce(&f, &a, 1);
	expect_b_alone(2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("enforce");
	TCase *tc = tcase_create("enforce");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lost_claims);
	tcase_add_test(tc, no_memory_for_another_key);
	tcase_add_test(tc, no_memory_for_a_change);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
