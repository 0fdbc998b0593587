/* SPDX-License-Identifier: MIT */
/*
 * The files of what survives a restart: whatever is done to them is killed at every
 * single call that changes a file, and what is read then is what was there before, or after.
 */
#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../crypto/tai64n.h"
#include "../src/manage/statestore.h"
#include "config_files.h"
#include "require.h"

#define FOLDER "state"

enum { KEYS = 8, STEPS = 60, REWRITE_EVERY = 7, KILLED = 9 };

/*
 * Calls that change files pass here: the one at which the budget is used up does not
 * happen, or only half, and is the last thing that the process does. Below 0: no bound.
 */
static int budget = -1;

static bool is_last(void)
{
	return budget >= 0 && budget-- == 0;
}

ssize_t write(int fd, const void *data, size_t len)
{
	if (is_last()) {
		(void)!syscall(SYS_write, fd, data, len / 2);
		_exit(KILLED);
	}
	return syscall(SYS_write, fd, data, len);
}

int renameat(int olddir, const char *old, int newdir, const char *new)
{
	if (is_last())
		_exit(KILLED);
	return (int)syscall(SYS_renameat2, olddir, old, newdir, new, 0);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	if (is_last())
		_exit(KILLED);
	return (int)syscall(SYS_unlinkat, dirfd, path, flags);
}

int fsync(int fd)
{
	if (is_last())
		_exit(KILLED);
	return (int)syscall(SYS_fsync, fd);
}

/* What was read, by key. */
static struct {
	struct statefile_record records[KEYS];
	unsigned n;
} got;

static void take(void *arg, const struct statefile_record *record)
{
	struct statefile_record *r = &got.records[record->key[0]];
	uint8_t greatest[NOISE_TIMESTAMP_LEN];

	require(arg == &got && record->key[0] < KEYS);
	memcpy(greatest, tai64n_after(r->timestamp, record->timestamp) ? r->timestamp
								       : record->timestamp,
	       sizeof(greatest));
	*r = *record;
	memcpy(r->timestamp, greatest, sizeof(greatest));
	got.n++;
}

static void load(struct statestore *s, struct fault_list *faults)
{
	memset(&got, 0, sizeof(got));
	ck_assert_int_eq(statestore_load(s, FOLDER, faults, take, &got), 0);
}

static struct statefile_record record(unsigned key, unsigned version)
{
	struct statefile_record r = { .key = { (uint8_t)key, 1 } };
	char endpoint[32];

	snprintf(r.name, sizeof(r.name), "t%u", key);
	store_be32(r.timestamp + 8, version);
	snprintf(endpoint, sizeof(endpoint), "192.0.2.1:%u", version);
	require(!endpoint_parse(&r.endpoint, endpoint));
	return r;
}

static unsigned version_of(const struct statefile_record *r)
{
	unsigned version = load_be32(r->timestamp + 8);
	struct statefile_record same;

	if (!version)
		return 0;
	same = record(r->key[0], version);
	require(endpoint_equal(&r->endpoint, &same.endpoint));
	require(!strcmp(r->name, same.name));
	return version;
}

static int append(struct statestore *s, const struct statefile_record *r)
{
	char line[STATEFILE_LINE_MAX];

	return statestore_append(s, line, statefile_format(line, r));
}

static void reset(void)
{
	ck_assert_int_eq(system("rm -rf " FOLDER), 0);
}

/* What the child has begun to write, and what it knows to be written. */
static struct progress {
	unsigned begun[KEYS], done[KEYS];
} *progress;

static int rewrite(struct statestore *s)
{
	struct statefile_record all[KEYS];
	size_t n = 0, len;
	int err = statestore_rotate(s);

	for (unsigned k = 0; k < KEYS; k++)
		if (progress->done[k])
			all[n++] = record(k, progress->done[k]);
	return err ? err : statestore_write(s, all, n, &len);
}

static void live(unsigned from)
{
	struct statestore s;

	require(!statestore_open(&s, FOLDER));
	for (unsigned i = from; i < from + STEPS; i++) {
		unsigned k = i * 5 % KEYS;
		struct statefile_record r = record(k, i);

		progress->begun[k] = i;
		require(!append(&s, &r));
		progress->done[k] = i;
		if (i % REWRITE_EVERY == 0)
			require(!rewrite(&s));
	}
	statestore_close(&s);
	_exit(0);
}

/* In a child, which is killed at call number n. False: it has come to its end. */
static bool live_until(int n, unsigned from)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		budget = n;
		live(from);
	}
	require(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	require(!WEXITSTATUS(status) || WEXITSTATUS(status) == KILLED);
	return WEXITSTATUS(status) == KILLED;
}

static void check_old_or_new(void)
{
	struct fault_list faults = { 0 };
	struct statestore s;

	require(!statestore_open(&s, FOLDER));
	load(&s, &faults);
	for (unsigned k = 0; k < KEYS; k++) {
		unsigned version = version_of(&got.records[k]);

		require(version == progress->done[k] || version == progress->begun[k]);
		/* What there is now is what must be there in the next life. */
		progress->done[k] = progress->begun[k] = version;
	}
	/* No more than the line that was cut, once in each of two lives. */
	require(!faults.n_errors && faults.n <= 2);
	fault_list_free(&faults);
	statestore_close(&s);
}

/* Killed at every call, and a second time in the life after that. */
START_TEST(killed_anywhere)
{
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	require(progress != MAP_FAILED);
	for (int n = 0;; n++) {
		bool killed;

		reset();
		memset(progress, 0, sizeof(*progress));
		killed = live_until(n, 1);
		check_old_or_new();
		(void)!live_until(n * 7 % 50, 1 + STEPS);
		check_old_or_new();
		if (!killed) {
			/* Appends, and of each rewriting five calls. */
			ck_assert_int_ge(n, STEPS + STEPS / REWRITE_EVERY * 5);
			break;
		}
	}
	munmap(progress, sizeof(*progress));
}
END_TEST

static void limit_files(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk is full at any byte of an append: later ones are there, and nothing else is lost. */
START_TEST(full)
{
	struct statefile_record r[3] = { record(0, 1), record(1, 2), record(2, 3) };
	struct fault_list faults = { 0 };
	char line[STATEFILE_LINE_MAX];
	size_t first = strlen(statefile_version) + statefile_format(line, &r[0]);
	size_t second = statefile_format(line, &r[1]);
	struct statestore s;

	for (size_t room = 1; room < first + second; room++) {
		reset();
		require(!statestore_open(&s, FOLDER));
		if (room >= first)
			require(!append(&s, &r[0]));
		limit_files(room);
		require(append(&s, &r[1]) == -EFBIG);
		limit_files(RLIM_INFINITY);
		require(!append(&s, &r[2]));
		load(&s, &faults);
		require(version_of(&got.records[0]) == (room >= first));
		require(version_of(&got.records[2]) == 3);
		/* Only the newline was missing: no harm. */
		require(!version_of(&got.records[1]) || !faults.n);
		require(!faults.n_errors && faults.n <= 1);
		fault_list_free(&faults);
		statestore_close(&s);
	}
}
END_TEST

/* No room for all of it: what was there stays, and what is appended meanwhile, too. */
START_TEST(full_while_rewriting)
{
	struct statefile_record r[2] = { record(0, 1), record(1, 2) };
	struct fault_list faults = { 0 };
	struct statestore s;
	size_t len;

	reset();
	ck_assert_int_eq(statestore_open(&s, FOLDER), 0);
	ck_assert_int_eq(append(&s, &r[0]), 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(statestore_rotate(&s), 0);
		limit_files(20);
		ck_assert_int_eq(statestore_write(&s, r, 1, &len), -EFBIG);
		limit_files(RLIM_INFINITY);
		ck_assert_int_ne(access(FOLDER "/tenants.new", F_OK), 0);
		r[1] = record(1, 2 + i);
		ck_assert_int_eq(append(&s, &r[1]), 0);
		load(&s, &faults);
		ck_assert_uint_eq(got.n, 2 + i);
		ck_assert_uint_eq(version_of(&got.records[0]), 1);
		ck_assert_uint_eq(version_of(&got.records[1]), 2 + i);
	}
	ck_assert_int_eq(statestore_rotate(&s), 0);
	ck_assert_int_eq(statestore_write(&s, r, 2, &len), 0);
	load(&s, &faults);
	ck_assert_uint_eq(version_of(&got.records[0]), 1);
	ck_assert_uint_eq(version_of(&got.records[1]), 4);
	ck_assert_int_ne(access(FOLDER "/tenants.journal.old", F_OK), 0);
	ck_assert_uint_eq(s.all_len, len);
	files_expect(&faults, "");
	statestore_close(&s);
}
END_TEST

/*
 * What is written down at last is newer than all that was appended before: also than what was
 * appended after a rewriting that failed, and though not all of it was appended.
 */
START_TEST(newest_counts)
{
	struct statefile_record r = record(0, 1), gone = record(1, 2);
	struct fault_list faults = { 0 };
	char line[STATEFILE_LINE_MAX];
	struct statestore s;
	size_t len;

	reset();
	ck_assert_int_eq(statestore_open(&s, FOLDER), 0);
	for (unsigned i = 1; i <= 3; i++) {
		r = record(0, i);
		ck_assert_int_eq(append(&s, &r), 0);
		ck_assert_int_eq(append(&s, &gone), 0);
		ck_assert_int_eq(statestore_rotate(&s), 0);
		/* All of it, or no more than there was. */
		limit_files(20);
		ck_assert_int_eq(statestore_write(&s, &r, 1, &len), -EFBIG);
		limit_files(RLIM_INFINITY);
	}
	if (_i) {
		ck_assert_int_eq(append(&s, &r), 0);
		limit_files(statefile_format(line, &r) * 7);
		ck_assert_int_eq(statestore_rotate(&s), -EFBIG);
		limit_files(RLIM_INFINITY);
	}
	load(&s, &faults);
	ck_assert_uint_eq(version_of(&got.records[0]), 3);
	ck_assert_uint_eq(got.n, _i ? 7 : 6);
	files_expect(&faults, "");
	r = record(0, 9);
	ck_assert_int_eq(statestore_rotate(&s), 0);
	ck_assert_int_eq(statestore_write(&s, &r, 1, &len), 0);
	load(&s, &faults);
	ck_assert_uint_eq(version_of(&got.records[0]), 9);
	ck_assert(endpoint_equal(&got.records[0].endpoint, &r.endpoint));
	ck_assert_uint_eq(got.n, 1);
	files_expect(&faults, "");
	statestore_close(&s);
}
END_TEST

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

START_TEST(modes)
{
	struct statefile_record r = record(0, 1);
	struct statestore s;
	size_t len;

	reset();
	umask(0);
	ck_assert_int_eq(statestore_open(&s, FOLDER), 0);
	ck_assert_int_eq(append(&s, &r), 0);
	ck_assert_int_eq(statestore_rotate(&s), 0);
	ck_assert_int_eq(statestore_write(&s, &r, 1, &len), 0);
	ck_assert_int_eq(append(&s, &r), 0);
	ck_assert_int_eq(statestore_sync(&s), 0);
	ck_assert_uint_eq(mode_of(FOLDER), 0700);
	ck_assert_uint_eq(mode_of(FOLDER "/tenants"), 0600);
	ck_assert_uint_eq(mode_of(FOLDER "/tenants.journal"), 0600);
	statestore_close(&s);
	statestore_close(&s);
}
END_TEST

START_TEST(cannot_be_opened)
{
	struct fault_list faults = { 0 };
	struct statestore s, other;

	ck_assert_int_eq(statestore_open(&s, "nowhere/state"), -ENOENT);
	files_put("file", 0600, "");
	ck_assert_int_eq(statestore_open(&s, "file"), -ENOTDIR);
	reset();
	ck_assert_int_eq(statestore_open(&s, FOLDER), 0);
	ck_assert_int_eq(statestore_open(&other, FOLDER), -EWOULDBLOCK);
	/* Nothing is there, and then something that is no file. */
	load(&s, &faults);
	ck_assert_uint_eq(got.n, 0);
	files_expect(&faults, "");
	ck_assert_int_eq(mkdir(FOLDER "/tenants", 0700), 0);
	load(&s, &faults);
	files_expect(&faults, "state/tenants: is not a regular file: what it remembers is lost\n");
	statestore_close(&s);
	ck_assert_int_eq(statestore_open(&other, FOLDER), 0);
	statestore_close(&other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("statestore");
	TCase *tc = tcase_create("statestore");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, killed_anywhere);
	tcase_add_test(tc, full);
	tcase_add_test(tc, full_while_rewriting);
	tcase_add_loop_test(tc, newest_counts, 0, 2);
	tcase_add_test(tc, modes);
	tcase_add_test(tc, cannot_be_opened);
	return files_run(s, tc);
}
