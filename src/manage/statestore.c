/* SPDX-License-Identifier: MIT */
/* The files of what survives a restart. */
#include "statestore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../config/file.h"

/* A million tenants, with a journal that is due to be rewritten. */
#define READ_MAX ((size_t)1 << 30)

static const char all_name[] = "tenants", new_name[] = "tenants.new",
		  journal_name[] = "tenants.journal", old_name[] = "tenants.journal.old";

int statestore_open(struct statestore *s, const char *folder)
{
	int err;

	*s = (struct statestore){ .dirfd = -1, .journal = -1 };
	if (mkdir(folder, 0700) && errno != EEXIST)
		return -errno;
	s->dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0)
		return -errno;
	if (!flock(s->dirfd, LOCK_EX | LOCK_NB))
		return 0;
	err = -errno;
	statestore_close(s);
	return err;
}

void statestore_close(struct statestore *s)
{
	if (s->journal >= 0)
		close(s->journal);
	if (s->dirfd >= 0)
		close(s->dirfd);
	*s = (struct statestore){ .dirfd = -1, .journal = -1 };
}

bool statestore_is_there(const struct statestore *s, const char *folder)
{
	struct stat named, ours;

	if (stat(folder, &named) || fstat(s->dirfd, &ours) || named.st_dev != ours.st_dev ||
	    named.st_ino != ours.st_ino)
		return false;
	if (s->all_len && fstatat(s->dirfd, all_name, &ours, AT_SYMLINK_NOFOLLOW))
		return false;
	return s->journal < 0 || (!fstat(s->journal, &ours) && ours.st_nlink);
}

/* Reading */

/* How long the file is goes to *len. 0 or -ENOMEM. */
static int load_file(struct statestore *s, const char *folder, const char *name, size_t *len,
		     struct fault_list *faults,
		     void (*fn)(void *arg, const struct statefile_record *record), void *arg)
{
	char *path = file_join(folder, name);
	struct file_text text = { 0 };
	int err = file_read(&text, s->dirfd, name, READ_MAX);

	/* What is wrong with the format was added as a fault already. */
	if (!err)
		(void)!statefile_read(path ? path : name, text.data, text.len, faults, fn, arg);
	else if (err != -ENOENT && err != -ENOMEM)
		fault_add(faults, path ? path : name, 0, "%s: what it remembers is lost",
			  file_error(err));
	*len = text.len;
	file_text_free(&text);
	free(path);
	return err == -ENOMEM ? err : 0;
}

int statestore_load(struct statestore *s, const char *folder, struct fault_list *faults,
		    void (*fn)(void *arg, const struct statefile_record *record), void *arg)
{
	size_t len;
	int err = load_file(s, folder, all_name, &s->all_len, faults, fn, arg);

	if (!err)
		err = load_file(s, folder, old_name, &len, faults, fn, arg);
	if (!err)
		err = load_file(s, folder, journal_name, &len, faults, fn, arg);
	return err;
}

/* The journal */

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What was appended before a crash may end in the middle of a line. */
static int open_journal(struct statestore *s)
{
	struct stat st;
	char last = '\n';
	int fd = openat(s->dirfd, journal_name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || (st.st_size && pread(fd, &last, 1, st.st_size - 1) < 0)) {
		int err = -errno;

		close(fd);
		return err;
	}
	s->journal = fd;
	s->journal_len = (size_t)st.st_size;
	s->torn = last != '\n';
	return 0;
}

static int append(struct statestore *s, const char *data, size_t len)
{
	int err = write_all(s->journal, data, len);

	s->journal_len += len;
	s->torn = err != 0;
	return err;
}

int statestore_append(struct statestore *s, const char *lines, size_t len)
{
	int err = s->journal < 0 ? open_journal(s) : 0;

	if (!err && !s->journal_len)
		err = append(s, statefile_version, strlen(statefile_version));
	/* The torn line stays alone, and is lost alone. */
	if (!err && s->torn)
		err = append(s, "\n", 1);
	return err ? err : append(s, lines, len);
}

int statestore_sync(struct statestore *s)
{
	return s->journal >= 0 && fdatasync(s->journal) ? -errno : 0;
}

/* Everything */

/* To the end of the old journal, whose last line may be torn: all of it, or nothing. */
static int append_to_old(const struct statestore *s, const char *text, size_t len)
{
	int fd = openat(s->dirfd, old_name, O_WRONLY | O_APPEND | O_CLOEXEC), err;
	size_t version_len = strlen(statefile_version);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (len >= version_len && !memcmp(text, statefile_version, version_len)) {
		text += version_len;
		len -= version_len;
	}
	err = fstat(fd, &st) ? -errno : write_all(fd, "\n", 1);
	if (!err) {
		err = write_all(fd, text, len);
		if (err)
			(void)!ftruncate(fd, st.st_size);
	}
	close(fd);
	return err;
}

/*
 * One that was put aside is still needed: the rewriting after it has failed. What was
 * appended since is as old for the next one: as the journal it would be read after it.
 */
static int join_old(struct statestore *s)
{
	struct file_text text;
	int err = file_read(&text, s->dirfd, journal_name, READ_MAX);

	if (err == -ENOENT)
		return 0;
	if (!err)
		err = append_to_old(s, text.data, text.len);
	file_text_free(&text);
	if (!err && unlinkat(s->dirfd, journal_name, 0))
		err = -errno;
	s->joined |= !err;
	return err;
}

int statestore_rotate(struct statestore *s)
{
	struct stat old;
	int err = 0;

	if (!fstatat(s->dirfd, old_name, &old, AT_SYMLINK_NOFOLLOW))
		err = join_old(s);
	else if (errno != ENOENT)
		err = -errno;
	else if (renameat(s->dirfd, journal_name, s->dirfd, old_name) && errno != ENOENT)
		err = -errno;
	else
		s->joined = false;
	if (err)
		return err;
	if (s->journal >= 0)
		close(s->journal);
	s->journal = -1;
	s->journal_len = 0;
	s->torn = false;
	return 0;
}

static int write_records(FILE *out, const struct statefile_record *records, size_t n, size_t *len)
{
	char line[STATEFILE_LINE_MAX];

	*len = strlen(statefile_version);
	if (fputs(statefile_version, out) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		size_t line_len = statefile_format(line, &records[i]);

		if (fwrite(line, 1, line_len, out) != line_len)
			return -errno;
		*len += line_len;
	}
	return fflush(out) || fsync(fileno(out)) ? -errno : 0;
}

/* What is in it for the second time was on the disk before, perhaps. */
static int sync_old(const struct statestore *s)
{
	int fd = openat(s->dirfd, old_name, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = fdatasync(fd) ? -errno : 0;
	close(fd);
	return err;
}

static int write_new(const struct statestore *s, const struct statefile_record *records, size_t n,
		     size_t *len)
{
	int fd = openat(s->dirfd, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int err;

	if (!out) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	err = write_records(out, records, n, len);
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

int statestore_write(const struct statestore *s, const struct statefile_record *records, size_t n,
		     size_t *len)
{
	int err = s->joined ? sync_old(s) : 0;

	if (!err)
		err = write_new(s, records, n, len);
	if (!err && renameat(s->dirfd, new_name, s->dirfd, all_name))
		err = -errno;
	if (err) {
		/* It may be what fills the disk. */
		(void)unlinkat(s->dirfd, new_name, 0);
		return err;
	}
	/* Only what is on the disk makes the old journal useless. */
	if (fsync(s->dirfd))
		return -errno;
	(void)unlinkat(s->dirfd, old_name, 0);
	return 0;
}
