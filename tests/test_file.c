/* SPDX-License-Identifier: MIT */
/* Reading small files: what is no file, what does not hold still, who may see it. */
#include <errno.h>

#include "../src/config/file.h"
#include "config_files.h"

START_TEST(test_read)
{
	struct file_text text;

	files_write("f", 0640, "a\0b\n", 4);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "f", 4), 0);
	ck_assert_uint_eq(text.len, 4);
	ck_assert_mem_eq(text.data, "a\0b\n", 5);
	ck_assert_uint_eq(text.mode & 07777, 0640);
	file_text_free(&text);
	ck_assert_ptr_null(text.data);

	files_put("empty", 0600, "");
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "empty", 0), 0);
	ck_assert_uint_eq(text.len, 0);
	file_text_free(&text);

	ck_assert_int_eq(symlink("f", "link"), 0);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "link", 4), 0);
	file_text_free(&text);
}
END_TEST

START_TEST(test_relative_to_folder)
{
	int dirfd = open("config.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct file_text text;

	files_put("config.d/k", 0600, "k");
	ck_assert_int_eq(file_read(&text, dirfd, "k", 10), 0);
	file_text_free(&text);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "k", 10), -ENOENT);
	close(dirfd);
}
END_TEST

START_TEST(test_errors)
{
	struct file_text text;

	files_put("long", 0600, "12345");
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "long", 4), -EFBIG);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "missing", 4), -ENOENT);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "long/x", 4), -ENOTDIR);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "config.d", 4), -ENODEV);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "/dev/null", 4), -ENODEV);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "fifo", 4), -ENODEV);
	/* Says that it is empty, and is not: as one that grows. */
	ck_assert_int_eq(file_read(&text, AT_FDCWD, "/proc/self/status", 4096), -EAGAIN);
	ck_assert_ptr_null(text.data);
	ck_assert_str_eq(file_error(-EAGAIN), "changes while it is being read");
	ck_assert_str_eq(file_error(-ENODEV), "is not a regular file");
	ck_assert_str_eq(file_error(-EFBIG), "is too large for what it should be");
	ck_assert_str_eq(file_error(-EACCES), "Permission denied: it must belong to the user that this "
			"runs as (chown; berthd.service runs as berth), and lie in the "
			 "folder of berth.conf or below");
}
END_TEST

START_TEST(test_exposed)
{
	ck_assert(!file_is_exposed(0600));
	ck_assert(!file_is_exposed(0711));
	ck_assert(file_is_exposed(0640));
	ck_assert(file_is_exposed(0604));
	ck_assert(file_is_exposed(0620));
	ck_assert(file_is_exposed(0602));
}
END_TEST

START_TEST(test_join)
{
	static const struct {
		const char *dir, *path, *joined;
	} table[] = {
		/* 0 */ { "/etc/berth", "a", "/etc/berth/a" },
		/* 1 */ { "/etc/berth/", "a", "/etc/berth/a" },
		/* 2 */ { "", "a", "a" },
		/* 3 */ { ".", "a/b", "a/b" },
		/* 4 */ { "x", "/a", "/a" },
		/* 5 */ { "/", "a", "/a" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char *joined = file_join(table[i].dir, table[i].path);

		ck_assert_str_eq(joined, table[i].joined);
		free(joined);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *tcase = tcase_create("file");

	tcase_add_test(tcase, test_read);
	tcase_add_test(tcase, test_relative_to_folder);
	tcase_add_test(tcase, test_errors);
	tcase_add_test(tcase, test_exposed);
	tcase_add_test(tcase, test_join);
	return files_run(suite, tcase);
}
