/* SPDX-License-Identifier: MIT */
/* The rule for names, and the order of peers. */
#include <sodium.h>

#include "../src/config/tenant.h"
#include "config_files.h"

#define C16 "cccccccccccccccc"

static const struct {
	const char *entry;
	enum tenant_entry kind;
	const char *name;
} entries[] = {
	/* 0 */ { "alice.conf", TENANT_ENTRY, "alice" },
	/* 1 */ { "a.b-c_D9.conf", TENANT_ENTRY, "a.b-c_D9" },
	/* 2 */ { C16 C16 C16 C16 ".conf", TENANT_ENTRY, C16 C16 C16 C16 },
	/* 3 */ { C16 C16 C16 C16 "c.conf", TENANT_ENTRY_BAD, NULL },
	/* 4 */ { ".conf", TENANT_ENTRY_IGNORED, NULL },
	/* 5 */ { ".alice.conf", TENANT_ENTRY_IGNORED, NULL },
	/* 6 */ { "#alice.conf", TENANT_ENTRY_IGNORED, NULL },
	/* 7 */ { "#alice.conf#", TENANT_ENTRY_IGNORED, NULL },
	/* 8 */ { "alice.conf~", TENANT_ENTRY_IGNORED, NULL },
	/* 9 */ { "alice.conf.swp", TENANT_ENTRY_IGNORED, NULL },
	/* 10 */ { ".alice.conf.swp", TENANT_ENTRY_IGNORED, NULL },
	/* 11 */ { "alice.conf.tmp", TENANT_ENTRY_IGNORED, NULL },
	/* 12 */ { "alice.conf.bak", TENANT_ENTRY_IGNORED, NULL },
	/* 13 */ { "alice.conf.dpkg-new", TENANT_ENTRY_IGNORED, NULL },
	/* 14 */ { "tenant.conf.example", TENANT_ENTRY_IGNORED, NULL },
	/* 15 */ { "alice", TENANT_ENTRY_IGNORED, NULL },
	/* 16 */ { "alice.CONF", TENANT_ENTRY_IGNORED, NULL },
	/* 17 */ { "alice bob.conf", TENANT_ENTRY_BAD, NULL },
	/* 18 */ { "\xc3\xa9.conf", TENANT_ENTRY_BAD, NULL },
	/* 19 */ { "a\n.conf", TENANT_ENTRY_BAD, NULL },
	/* 20 */ { "..conf", TENANT_ENTRY_IGNORED, NULL },
	/* 21 */ { "conf", TENANT_ENTRY_IGNORED, NULL },
	/* 22 */ { "-.conf", TENANT_ENTRY, "-" },
};

START_TEST(test_entries)
{
	char name[TENANT_NAME_MAX + 1];

	ck_assert_int_eq(tenant_entry_kind(entries[_i].entry, name), entries[_i].kind);
	if (entries[_i].kind == TENANT_ENTRY)
		ck_assert_str_eq(name, entries[_i].name);
}
END_TEST

START_TEST(test_peers)
{
	struct config_tenant *t = tenant_new("d", "n");

	ck_assert_str_eq(t->file, "d/n.conf");
	ck_assert_int_eq(t->state, TENANT_REVOKED);
	for (unsigned i = 0; i < 5; i++) {
		struct config_peer *peer = tenant_add_peer(t);

		peer->public_key[0] = 5 - i;
		ck_assert(sodium_is_zero(tenant_peer_preshared_key(peer), VALUE_KEY_LEN));
		tenant_make_preshared_key(peer)[0] = 50 - i;
		peer->line = i;
	}
	tenant_drop_peer(t, 1);
	ck_assert_uint_eq(t->n_peers, 4);
	tenant_sort(t);
	for (unsigned i = 0; i < 4; i++) {
		static const uint8_t left[] = { 1, 2, 3, 5 };

		ck_assert_uint_eq(t->peers[i].public_key[0], left[i]);
		ck_assert_uint_eq(tenant_peer_preshared_key(&t->peers[i])[0], 45 + left[i]);
	}
	ck_assert_ptr_nonnull(tenant_add_peer(t)); /* the fifth finds room */
	ck_assert_uint_eq(t->peers[4].public_key[0], 0);
	ck_assert_uint_eq(t->peers[3].public_key[0], 5);
	tenant_free(t);
	tenant_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tenant");
	TCase *tcase = tcase_create("tenant");

	tcase_add_loop_test(tcase, test_entries, 0, ARRAY_SIZE(entries));
	tcase_add_test(tcase, test_peers);
	return files_run(suite, tcase);
}
