/* SPDX-License-Identifier: MIT */
/* Small files, read whole while they hold still. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

/* A file written in place changes its time or size, one renamed over it its number. */
static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads until the end of the file or until size bytes are there. Bytes read or -errno. */
static ssize_t read_all(int fd, char *data, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, data + len, size - len);

		if (n == 0)
			break;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		len += n;
	}
	return len;
}

/* Reads fd, of which *before is known, into *out. */
static int read_steady(struct file_text *out, int fd, const struct stat *before, int dirfd,
		       const char *path)
{
	size_t size = before->st_size;
	struct stat after;
	ssize_t len;

	/* One byte more than it should have shows whether it grows; one more for the NUL. */
	out->data = malloc(size + 2);
	if (!out->data)
		return -ENOMEM;
	out->len = size + 1;
	len = read_all(fd, out->data, size + 1);
	if (len < 0)
		return len;
	if (fstatat(dirfd, path, &after, 0) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if ((size_t)len != size || !is_same(before, &after))
		return -EAGAIN;
	out->data[size] = '\0';
	out->len = size;
	out->mode = before->st_mode;
	return 0;
}

int file_read(struct file_text *out, int dirfd, const char *path, size_t max)
{
	struct stat before, opened;
	int fd, err;

	*out = (struct file_text){ 0 };
	/* Asked before opening, too: to open a device may already do something. */
	if (fstatat(dirfd, path, &before, 0) < 0)
		return -errno;
	if (!S_ISREG(before.st_mode))
		return -ENODEV;
	fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	err = fstat(fd, &opened) < 0 ? -errno : 0;
	if (!err && !is_same(&before, &opened))
		err = -EAGAIN;
	if (!err && (uintmax_t)opened.st_size > max)
		err = -EFBIG;
	if (!err)
		err = read_steady(out, fd, &opened, dirfd, path);
	close(fd);
	if (err)
		file_text_free(out);
	return err;
}

void file_text_free(struct file_text *text)
{
	if (text->data)
		sodium_memzero(text->data, text->len);
	free(text->data);
	*text = (struct file_text){ 0 };
}

const char *file_error(int err)
{
	switch (-err) {
	case EAGAIN:
		return "changes while it is being read";
	case ENODEV:
		return "is not a regular file";
	case EACCES:
		return "Permission denied: it must belong to the user that this runs as (chown; "
		       "berthd.service runs as berth), and lie in the folder of berth.conf or below";
	case EFBIG:
		return "is too large for what it should be";
	default:
		return strerrordesc_np(-err);
	}
}

bool file_is_exposed(mode_t mode)
{
	return mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH);
}

char *file_join(const char *dir, const char *path)
{
	size_t len = strlen(dir);
	char *joined;

	if (*path == '/' || !len || strcmp(dir, ".") == 0)
		return strdup(path);
	if (asprintf(&joined, "%s%s%s", dir, dir[len - 1] == '/' ? "" : "/", path) < 0)
		return NULL;
	return joined;
}
