/* SPDX-License-Identifier: MIT */
/* Files that are there whole, or not at all. */
#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
	return fsync(fd) ? -errno : 0;
}

/* What happened to names in the folder of path is on the disk. */
static int sync_folder(const char *path)
{
	char *copy = strdup(path);
	int fd, err;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 || fsync(fd) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(copy);
	/* Some file systems cannot, and then there is nothing to wait for. */
	return err == -EINVAL ? 0 : err;
}

/* "FOLDER/.NAME.PID.tmp": neither a tenant's nor anybody else's. NULL: no memory. */
static char *temporary(const char *path)
{
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash + 1 - path) : 0;
	char *temp;

	if (asprintf(&temp, "%.*s.%s.%d.tmp", len, path, path + len, (int)getpid()) < 0)
		return NULL;
	return temp;
}

/* Some file systems do not know how to rename without replacing: link() knows it. */
static int rename_new(const char *from, const char *to)
{
	int err;

	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (link(from, to))
		return -errno;
	if (!unlink(from))
		return 0;
	err = -errno;
	(void)unlink(to);
	return err;
}

/*
 * What root puts into a folder of somebody else's is for him: berthd.service runs as the user
 * that /etc/berth belongs to, and may read nothing else.
 */
static int give_away(int fd, const char *path)
{
	char *copy;
	struct stat st;
	int err;

	if (geteuid())
		return 0;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	err = stat(dirname(copy), &st) || (st.st_uid && fchown(fd, st.st_uid, st.st_gid)) ?
	      -errno : 0;
	free(copy);
	return err;
}

static int make(const char *path, const char *data, size_t len, bool give)
{
	char *temp = temporary(path);
	int fd, err;

	if (!temp)
		return -ENOMEM;
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	err = give ? give_away(fd, path) : 0;
	if (!err)
		err = write_all(fd, data, len);
	close(fd);
	if (!err)
		err = rename_new(temp, path);
	if (err) {
		(void)unlink(temp);
		goto out;
	}
	err = sync_folder(path);
	/* Whoever is told that there is no file takes back what belongs to it. */
	if (err)
		(void)unlink(path);
out:
	free(temp);
	return err;
}

int newfile_make(const char *path, const char *data, size_t len)
{
	return make(path, data, len, true);
}

int newfile_keep(const char *path, const char *data, size_t len)
{
	return make(path, data, len, false);
}

int newfile_remove(const char *path)
{
	return unlink(path) ? -errno : sync_folder(path);
}

int newfile_folder(const char *path, bool *made)
{
	struct stat st;

	*made = !mkdir(path, 0700);
	if (*made) {
		int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int err = fd < 0 ? -errno : give_away(fd, path);

		if (fd >= 0)
			close(fd);
		return err ? err : sync_folder(path);
	}
	if (errno != EEXIST)
		return -errno;
	return stat(path, &st) || !S_ISDIR(st.st_mode) ? -ENOTDIR : 0;
}
