/* SPDX-License-Identifier: MIT */
/* Log lines: what reaches stderr, what never does, and how many. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../src/base/log.h"

enum { THREADS = 4, LINES = 2000, PASSES = 100000 };

struct captured {
	char text[LOG_TEXT_MAX];
	enum log_level level;
	int lines;
};

static void capture(enum log_level level, const char *text, void *arg)
{
	struct captured *c = arg;

	c->level = level;
	c->lines++;
	strcpy(c->text, text);
}

START_TEST(levels)
{
	struct captured c = { .lines = 0 };
	struct log_hook hook = { capture, &c };
	int evaluated = 0;

	log_set_hook(&hook);
	log_debug("%d", evaluated++);
	ck_assert_msg(!c.lines && !evaluated, "info is where it starts");
	log_info("tenant %s: %d", "chatmail", 7);
	ck_assert_int_eq(c.lines, 1);
	ck_assert_int_eq(c.level, LOG_LEVEL_INFO);
	ck_assert_str_eq(c.text, "tenant chatmail: 7");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("no");
	ck_assert_int_eq(c.lines, 1);
	log_error("yes");
	ck_assert_int_eq(c.level, LOG_LEVEL_ERROR);
	log_set_level(LOG_LEVEL_SILENT);
	log_error("no");
	ck_assert_int_eq(c.lines, 2);
	log_set_level(LOG_LEVEL_DEBUG);
	errno = EAGAIN;
	log_debug("yes");
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(c.lines, 3);
	log_set_hook(NULL);
}
END_TEST

static const struct {
	const char *in, *out;
} texts[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "tenant \xe2\x80\xa6 Gr\xc3\xbc\xc3\x9f" "e \xf0\x9f\x9a\xa2",
	  "tenant \xe2\x80\xa6 Gr\xc3\xbc\xc3\x9f" "e \xf0\x9f\x9a\xa2" },
	{ "two\nlines\r\t", "two\\x0alines\\x0d\\x09" },
	{ "\x1b[2J\x7f", "\\x1b[2J\\x7f" },
	{ "\x9b" "2J", "\\x9b2J" },                          /* CSI, as one byte */
	{ "\xc2\x9b" "2J", "\\xc2\\x9b2J" },                 /* CSI, in UTF-8 */
	{ "\xc0\x8a", "\\xc0\\x8a" },                        /* newline, overlong */
	{ "\xe0\x80\x8a", "\\xe0\\x80\\x8a" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },               /* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },      /* past Unicode */
	{ "\xff", "\\xff" },
	{ "cut\xe2\x80", "cut\\xe2\\x80" },
	{ "\xe2\x80\xae" "txt", "\\xe2\\x80\\xaetxt" },      /* right to left */
	{ "100%", "100%" },
};

START_TEST(sanitised)
{
	char out[64];
	size_t n = log_sanitise(out, sizeof(out), texts[_i].in);

	ck_assert_str_eq(out, texts[_i].out);
	ck_assert_uint_eq(n, strlen(out));
}
END_TEST

START_TEST(cut)
{
	char out[16];
	size_t room;

	log_sanitise(out, 6, "12345");
	ck_assert_str_eq(out, "12345");
	log_sanitise(out, 6, "123456");
	ck_assert_str_eq(out, "12...");
	log_sanitise(out, 8, "1234\n");
	ck_assert_str_eq(out, "1234...");
	log_sanitise(out, 8, "\n\n");
	ck_assert_str_eq(out, "\\x0a...");
	log_sanitise(out, 8, "12345\xe2\x80\xa6");
	ck_assert_str_eq(out, "1234...");
	for (room = 4; room <= sizeof(out); room++) {
		size_t n = log_sanitise(out, room, "\xe2\x80\xa6\xe2\x80\xa6\n\xe2\x80\xa6x\n\xff");

		ck_assert_uint_lt(n, room);
		ck_assert_uint_eq(n, strlen(out));
	}
}
END_TEST

START_TEST(long_message)
{
	struct captured c = { .lines = 0 };
	struct log_hook hook = { capture, &c };
	static char text[3 * LOG_TEXT_MAX];

	memset(text, 'x', sizeof(text) - 1);
	log_set_hook(&hook);
	log_info("%s", text);
	ck_assert_uint_eq(strlen(c.text), LOG_TEXT_MAX - 1);
	ck_assert_str_eq(c.text + LOG_TEXT_MAX - 4, "...");
	text[LOG_TEXT_MAX - 1] = '\0';
	log_info("%s", text);
	ck_assert_str_eq(c.text, text);
	log_set_hook(NULL);
}
END_TEST

static FILE *stderr_to_file(void)
{
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	fcntl(fileno(f), F_SETFL, O_APPEND);
	ck_assert_int_eq(dup2(fileno(f), STDERR_FILENO), STDERR_FILENO);
	return f;
}

static void *log_lines(void *arg)
{
	int i;

	for (i = 0; i < LINES; i++)
		log_warning("thread %ld line %d of many", (long)(intptr_t)arg, i);
	return NULL;
}

START_TEST(threads_do_not_interleave)
{
	int next[THREADS] = { 0 }, hour, minute, second, milli, line, i;
	FILE *f = stderr_to_file();
	pthread_t threads[THREADS];
	char text[256];
	long thread;

	for (i = 0; i < THREADS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, log_lines, (void *)(intptr_t)i));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	rewind(f);
	for (i = 0; fgets(text, sizeof(text), f); i++) {
		ck_assert_int_eq(sscanf(text, "%2d:%2d:%2d.%3d warning thread %ld line %d of many",
					&hour, &minute, &second, &milli, &thread, &line), 6);
		ck_assert(thread >= 0 && thread < THREADS && line == next[thread]);
		next[thread]++;
	}
	ck_assert_int_eq(i, THREADS * LINES);
	fclose(f);
}
END_TEST

/* To the journal: when the variable names the very file that stderr is. */
START_TEST(journal)
{
	FILE *f = stderr_to_file();
	char name[64], text[256];
	struct stat st;

	fstat(fileno(f), &st);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino + (uintmax_t)_i);
	setenv("JOURNAL_STREAM", name, 1);
	log_error("one\ntwo");
	log_info("three");
	rewind(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	if (_i) { /* inherited, but stderr was redirected since */
		ck_assert_int_eq(text[2], ':');
		ck_assert_str_eq(text + 12, " error one\\x0atwo\n");
	} else {
		ck_assert_str_eq(text, "<3>one\\x0atwo\n");
		ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
		ck_assert_str_eq(text, "<6>three\n");
	}
	fclose(f);
}
END_TEST

/* A journal of our own, and a stderr that is its. */
static int start_journal(FILE **err, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	char name[64];
	struct stat st;

	strcpy(addr.sun_path, path);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	*err = stderr_to_file();
	fstat(fileno(*err), &st);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	return fd;
}

static void expect_entry(int fd, const char *entry)
{
	char got[8192];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	ck_assert_int_ge(n, 0);
	got[n] = '\0';
	ck_assert_str_eq(got, entry);
}

START_TEST(journal_fields)
{
	static const char path[] = "/tmp/berth-test-journal";
	char long_text[4 * LOG_TEXT_MAX], text[256];
	FILE *f;
	int fd = start_journal(&f, path), i;

	log_open(path);
	log_info("plain");
	expect_entry(fd, "PRIORITY=6\nSYSLOG_IDENTIFIER=berthd\nMESSAGE=plain\n");
	log_event(LOG_LEVEL_WARNING, "blog", "revoked", NULL, "tenant %s: revoked", "blog");
	expect_entry(fd, "PRIORITY=4\nSYSLOG_IDENTIFIER=berthd\nMESSAGE=tenant blog: revoked\n"
			 "BERTH_TENANT=blog\nBERTH_EVENT=revoked\n");
	/* No field can be made out of another one's text. */
	log_event(LOG_LEVEL_ERROR, NULL, "fault", "a\nPRIORITY=0\x1b[m", "b\nBERTH_TENANT=x");
	expect_entry(fd, "PRIORITY=3\nSYSLOG_IDENTIFIER=berthd\nMESSAGE=b\\x0aBERTH_TENANT=x\n"
			 "BERTH_EVENT=fault\nBERTH_REASON=a\\x0aPRIORITY=0\\x1b[m\n");
	log_event(LOG_LEVEL_DEBUG, "blog", "handshake", NULL, "below the threshold");
	ck_assert_int_lt(recv(fd, text, sizeof(text), 0), 0);
	/* The longest there is. */
	memset(long_text, '\n', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_event(LOG_LEVEL_INFO, long_text, long_text, long_text, "%s", long_text);
	ck_assert_int_gt(recv(fd, long_text, sizeof(long_text), 0), LOG_TEXT_MAX);
	rewind(f);
	ck_assert_ptr_null(fgets(text, sizeof(text), f));
	/* A journal that does not keep up: the rest comes by stderr, and nothing blocks. */
	for (i = 0; i < 4096 && !fgets(text, sizeof(text), f); i++) {
		log_info("line %d", i);
		rewind(f);
	}
	ck_assert_int_lt(i, 4096);
	ck_assert_int_eq(strncmp(text, "<6>line ", 8), 0);
	close(fd);
	unlink(path);
	fclose(f);
}
END_TEST

/* The variable is inherited by who has another stderr, and a journal may be missing. */
START_TEST(no_journal)
{
	static const char path[] = "/tmp/berth-test-journal-no";
	char text[256];
	FILE *f;
	int fd = start_journal(&f, path);

	if (_i)
		setenv("JOURNAL_STREAM", "1:1", 1);
	log_open(_i ? path : "/nonexistent/socket");
	log_info("here");
	ck_assert_int_lt(recv(fd, text, sizeof(text), 0), 0);
	rewind(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	ck_assert_ptr_nonnull(strstr(text, "here\n"));
	close(fd);
	unlink(path);
	fclose(f);
}
END_TEST

START_TEST(rate_limit)
{
	struct log_limit limit = LOG_LIMIT_INIT(3, NSEC_PER_SEC);
	uint64_t now = 5000 * NSEC_PER_SEC, left;
	int i, passed = 0;

	for (i = 0; i < 10; i++)
		passed += log_limit_pass(&limit, now + (uint64_t)i, &left) && !left;
	ck_assert_int_eq(passed, 3);
	ck_assert(log_limit_pass(&limit, now + NSEC_PER_SEC, &left));
	ck_assert_uint_eq(left, 7);
	/* A thread that is late by a moment does not open it anew. */
	ck_assert(log_limit_pass(&limit, now, &left) && !left);
	ck_assert(log_limit_pass(&limit, now + NSEC_PER_SEC, &left) && !left);
	ck_assert(!log_limit_pass(&limit, now, &left) && !left);
	/* However long it was quiet. */
	ck_assert(log_limit_pass(&limit, now + 3000000000 * NSEC_PER_SEC, &left));
	ck_assert_uint_eq(left, 1);
}
END_TEST

START_TEST(limit_from_the_start)
{
	struct log_limit limit = LOG_LIMIT_INIT(1, NSEC_PER_SEC);
	uint64_t left;

	ck_assert(log_limit_pass(&limit, 0, &left) && !left);
	ck_assert(!log_limit_pass(&limit, 1, &left));
	ck_assert(log_limit_pass(&limit, NSEC_PER_SEC, &left));
	ck_assert_uint_eq(left, 1);
}
END_TEST

START_TEST(limited_lines)
{
	struct log_limit limit = LOG_LIMIT_INIT(1, NSEC_PER_SEC);
	struct captured c = { .lines = 0 };
	struct log_hook hook = { capture, &c };

	log_set_hook(&hook);
	log_limited(LOG_LEVEL_INFO, &limit, NSEC_PER_SEC, "bad packet %d", 1);
	log_limited(LOG_LEVEL_INFO, &limit, NSEC_PER_SEC, "bad packet %d", 2);
	log_limited(LOG_LEVEL_INFO, &limit, NSEC_PER_SEC, "bad packet %d", 3);
	ck_assert_int_eq(c.lines, 1);
	log_limited(LOG_LEVEL_INFO, &limit, 2 * NSEC_PER_SEC, "bad packet %d", 4);
	ck_assert_int_eq(c.lines, 3);
	ck_assert_str_eq(c.text, "bad packet 4");
	log_set_hook(NULL);
}
END_TEST

static struct log_limit shared_limit = LOG_LIMIT_INIT(1000, NSEC_PER_SEC);
static _Atomic uint64_t passes, lefts;

static void *ask(void *arg)
{
	uint64_t left;
	int i;

	(void)arg;
	for (i = 0; i < PASSES; i++) {
		passes += log_limit_pass(&shared_limit, 7 * NSEC_PER_SEC, &left);
		lefts += left;
	}
	return NULL;
}

START_TEST(limit_threads)
{
	pthread_t threads[THREADS];
	uint64_t left;
	int i;

	for (i = 0; i < THREADS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, ask, NULL));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(passes, 1000);
	ck_assert_uint_eq(lefts, 0);
	ck_assert(log_limit_pass(&shared_limit, 8 * NSEC_PER_SEC, &left));
	ck_assert_uint_eq(left, THREADS * PASSES - 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, levels);
	tcase_add_loop_test(t, sanitised, 0, ARRAY_SIZE(texts));
	tcase_add_test(t, cut);
	tcase_add_test(t, long_message);
	tcase_add_test(t, threads_do_not_interleave);
	tcase_add_loop_test(t, journal, 0, 2);
	tcase_add_test(t, journal_fields);
	tcase_add_loop_test(t, no_journal, 0, 2);
	tcase_add_test(t, rate_limit);
	tcase_add_test(t, limit_from_the_start);
	tcase_add_test(t, limited_lines);
	tcase_add_test(t, limit_threads);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
