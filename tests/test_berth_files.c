/* SPDX-License-Identifier: MIT */
/* The files that `berth` writes: home files, what stays of a revoked tenant, and the writing. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tools/berth/homefile.h"
#include "../tools/berth/newfile.h"
#include "../tools/berth/revoked.h"
#include "config_files.h"

static struct prefix range(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return p;
}

static const uint8_t keys[4][KEY_LEN] = { { 1 }, { 2 }, { 3 }, { 4 } };

#define KEY1 "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY2 "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY3 "AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY4 "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

START_TEST(home_whole)
{
	struct prefix addresses[] = { range("2001:db8::5"), range("192.0.2.5") };
	struct homefile home = { .name = "blog",
				 .public_key = keys[1],
				 .private_key = keys[0],
				 .preshared_key = keys[2],
				 .gateway_key = keys[3],
				 .endpoint = "vps.example.com:51820",
				 .addresses = addresses,
				 .n_addresses = 2,
				 .mtu = 1280,
				 .dns = "2001:db8::53",
				 .netns = "blog" };
	struct draft draft;

	draft_init(&draft);
	homefile_write(&draft, &home);
	ck_assert(!draft_failed(&draft));
	ck_assert_str_eq(draft.text, "# blog, at home\n"
				     "[Interface]\n"
				     "PrivateKey = " KEY1 "\n"
				     "Address = 2001:db8::5/128\n"
				     "Address = 192.0.2.5/32\n"
				     "DNS = 2001:db8::53\n"
				     "MTU = 1280\n"
				     "\n"
				     "[Container]\n"
				     "Netns = blog\n"
				     "Name = wg0\n"
				     "\n"
				     "[Peer]\n"
				     "PublicKey = " KEY4 "\n"
				     "PresharedKey = " KEY3 "\n"
				     "Endpoint = vps.example.com:51820\n"
				     "AllowedIPs = 0.0.0.0/0, ::/0\n"
				     "PersistentKeepalive = 25\n");
	draft_free(&draft);
}
END_TEST

START_TEST(home_least)
{
	struct prefix address = range("192.0.2.5");
	struct homefile home = { .name = "phone",
				 .public_key = keys[1],
				 .gateway_key = keys[3],
				 .endpoint = "192.0.2.1:51820",
				 .addresses = &address,
				 .n_addresses = 1 };
	struct draft draft;

	draft_init(&draft);
	homefile_write(&draft, &home);
	ck_assert(!draft_failed(&draft));
	ck_assert_str_eq(draft.text, "# phone, at home\n"
				     "[Interface]\n"
				     "PrivateKey = REPLACE-WITH-THE-PRIVATE-KEY-OF-" KEY2 "\n"
				     "Address = 192.0.2.5/32\n"
				     "\n"
				     "[Peer]\n"
				     "PublicKey = " KEY4 "\n"
				     "Endpoint = 192.0.2.1:51820\n"
				     "AllowedIPs = 0.0.0.0/0\n"
				     "PersistentKeepalive = 25\n");
	draft_free(&draft);
}
END_TEST

/* A draft that is full stays so, and is no half of a file. */
START_TEST(draft_full)
{
	struct draft draft;

	draft_init(&draft);
	for (int i = 0; i < DRAFT_MAX / 8; i++)
		draft_add(&draft, "1234567\n");
	ck_assert(draft_failed(&draft));
	draft_add(&draft, "x");
	ck_assert(draft_failed(&draft));
	ck_assert_uint_lt(draft.len, DRAFT_MAX);
	draft_free(&draft);
}
END_TEST

static const struct {
	const char *text, *stays;
} ends[] = {
	/* 0 */ { "[Peer]\nPublicKey = " KEY1 "\nPresharedKey = " KEY2 "\nAllowedIPs = ::1\n",
		  "[Peer]\n# PublicKey = " KEY1 "\n# PresharedKey  (was here)\nAllowedIPs = ::1\n" },
	/* 1: whatever the letters and blanks */
	{ "publickey=x\n PRESHAREDKEY\t = y\n", "# publickey=x\n#  PRESHAREDKEY\t  (was here)\n" },
	/* 2: files stay where they are */
	{ "PublicKeyFile = k\nPrivateKeyFile = p\nPresharedKeyFile = q\n",
	  "# PublicKeyFile = k\n# PrivateKeyFile = p\n# PresharedKeyFile = q\n" },
	/* 3: of a tunnel */
	{ "PrivateKey = " KEY1, "# PrivateKey  (was here)\n" },
	/* 4: what only looks like one */
	{ "# PublicKey of bob\nPublicKeys = x\nPublicKey\n", "# PublicKey of bob\nPublicKeys = x\nPublicKey\n" },
	/* 5 */ { "", "" },
	/* 6 */ { "\r\n\n", "\r\n\n" },
};

START_TEST(revoked)
{
	struct draft draft;

	revoked_write(&draft, ends[_i].text, strlen(ends[_i].text));
	ck_assert(!draft_failed(&draft));
	ck_assert_str_eq(draft.text, ends[_i].stays);
	draft_free(&draft);
}
END_TEST

/* Writing */

static void expect_file(const char *path, const char *want)
{
	char text[64] = "";
	struct stat st;
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	ck_assert_str_eq(text, want);
}

static void expect_nothing_else(void)
{
	ck_assert_int_eq(system("test \"$(ls -A | wc -l)\" = 1"), 0);
}

START_TEST(made_once)
{
	umask(0);
	ck_assert_int_eq(newfile_make("config.d/a.conf", "one", 3), 0);
	expect_file("config.d/a.conf", "one");
	ck_assert_int_eq(newfile_make("config.d/a.conf", "two", 3), -EEXIST);
	expect_file("config.d/a.conf", "one");
	ck_assert_int_eq(chdir("config.d"), 0);
	expect_nothing_else();
	/* Without a folder before it, too. */
	ck_assert_int_eq(newfile_remove("a.conf"), 0);
	ck_assert_int_eq(newfile_make("b.conf", "", 0), 0);
	expect_file("b.conf", "");
	expect_nothing_else();
	ck_assert_int_eq(chdir(".."), 0);
}
END_TEST

START_TEST(made_nowhere)
{
	ck_assert_int_eq(newfile_make("nowhere/a.conf", "x", 1), -ENOENT);
	ck_assert_int_eq(newfile_remove("nowhere/a.conf"), -ENOENT);
	ck_assert_int_eq(newfile_make("/dev/full/x", "x", 1), -ENOTDIR);
}
END_TEST

/* In a folder that cannot be opened nobody can see to it that a name is on the disk. */
START_TEST(made_whole_or_not_at_all)
{
	enum { SOMEBODY = 64998 };
	int err;

	ck_assert_int_eq(mkdir("blind", 0300), 0);
	if (!geteuid()) {
		ck_assert_int_eq(chown(".", SOMEBODY, SOMEBODY), 0);
		ck_assert_int_eq(chown("blind", SOMEBODY, SOMEBODY), 0);
		ck_assert_int_eq(seteuid(SOMEBODY), 0);
	}
	ck_assert_int_eq(newfile_make("blind/a.conf", "x", 1), -EACCES);
	err = access("blind/a.conf", F_OK) ? -errno : 0;
	ck_assert_int_eq(err, -ENOENT);
	if (getuid() != geteuid())
		ck_assert_int_eq(seteuid(getuid()), 0);
	ck_assert_int_eq(chmod("blind", 0700), 0);
}
END_TEST

START_TEST(folders)
{
	struct stat st;
	bool made;

	umask(0);
	ck_assert_int_eq(newfile_folder("new", &made), 0);
	ck_assert(made);
	ck_assert_int_eq(stat("new", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(newfile_folder("new", &made), 0);
	ck_assert(!made);
	ck_assert_int_eq(newfile_make("file", "x", 1), 0);
	ck_assert_int_eq(newfile_folder("file", &made), -ENOTDIR);
}
END_TEST

static uid_t owner(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_uid;
}

/* What root makes in the folder of berthd's user is for him, but not somebody else's key. */
START_TEST(owners)
{
	enum { HIM = 64998 };
	bool made;

	if (geteuid()) {
		puts("owners: skipped: needs root");
		return;
	}
	ck_assert_int_eq(newfile_folder("his", &made), 0);
	ck_assert_uint_eq(owner("his"), 0);
	ck_assert_int_eq(chown("his", HIM, HIM), 0);
	ck_assert_int_eq(newfile_make("his/a.conf", "x", 1), 0);
	ck_assert_uint_eq(owner("his/a.conf"), HIM);
	ck_assert_int_eq(newfile_keep("his/home.conf", "x", 1), 0);
	ck_assert_uint_eq(owner("his/home.conf"), 0);
	ck_assert_int_eq(newfile_folder("his/config.d", &made), 0);
	ck_assert_uint_eq(owner("his/config.d"), HIM);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("berth_files");
	TCase *t = tcase_create("text"), *w = tcase_create("writing");
	SRunner *sr;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_test(t, home_whole);
	tcase_add_test(t, home_least);
	tcase_add_test(t, draft_full);
	tcase_add_loop_test(t, revoked, 0, ARRAY_SIZE(ends));
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(w, files_begin, files_end);
	tcase_add_test(w, made_once);
	tcase_add_test(w, made_nowhere);
	tcase_add_test(w, made_whole_or_not_at_all);
	tcase_add_test(w, folders);
	tcase_add_test(w, owners);
	suite_add_tcase(s, w);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
