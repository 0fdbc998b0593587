/* SPDX-License-Identifier: MIT */
/*
 * A folder of files for tests of configuration: made before the first test of
 * a case, the working directory of all of them, removed after the last.
 */
#ifndef BERTH_TESTS_CONFIG_FILES_H
#define BERTH_TESTS_CONFIG_FILES_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/config/fault.h"

/* Keys by letter, base64 of 32 bytes: KEY("b") is a key. A is none, being zero. */
#define KEY_7(c) c c c c c c c
#define KEY(c) KEY_7(c) KEY_7(c) KEY_7(c) KEY_7(c) KEY_7(c) KEY_7(c) "A="

static char files_dir[64], files_home[4096];

static int files_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void files_begin(void)
{
	ck_assert_ptr_nonnull(getcwd(files_home, sizeof(files_home)));
	strcpy(files_dir, "/tmp/berth-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(files_dir));
	ck_assert_int_eq(chdir(files_dir), 0);
	ck_assert_int_eq(mkdir("config.d", 0700), 0);
}

static void files_end(void)
{
	ck_assert_int_eq(chdir(files_home), 0);
	nftw(files_dir, files_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void files_write(const char *path, mode_t mode, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static inline void files_put(const char *path, mode_t mode, const char *text)
{
	files_write(path, mode, text, strlen(text));
}

/* The faults as they are printed must be this; the list is emptied. */
static inline void files_expect(struct fault_list *faults, const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fault_print(faults, out);
	fclose(out);
	ck_assert_str_eq(text, expected);
	free(text);
	fault_list_free(faults);
}

/* A folder for all tests of the case. */
static inline void files_add(Suite *suite, TCase *tcase)
{
	tcase_add_unchecked_fixture(tcase, files_begin, files_end);
	suite_add_tcase(suite, tcase);
}

/* The exit code of main(). */
static inline int files_run_all(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Runs a suite of one case. */
static inline int files_run(Suite *suite, TCase *tcase)
{
	files_add(suite, tcase);
	return files_run_all(suite);
}

#endif
