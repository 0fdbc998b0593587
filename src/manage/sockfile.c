/* SPDX-License-Identifier: MIT */
/* The file of a unix stream socket. */
#include "sockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 64, PATH_SIZE = sizeof(((struct sockfile *)0)->path) };

/* Whatever makes a name in the folder mean another file, or none. */
#define WATCHED (IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | \
		 IN_MOVE_SELF | IN_ONLYDIR)

static void folder_of(const struct sockfile *file, char out[PATH_SIZE])
{
	const char *slash = strrchr(file->path, '/');
	size_t len = slash ? (size_t)(slash - file->path) : 0;

	if (!slash)
		(void)snprintf(out, PATH_SIZE, ".");
	else
		(void)snprintf(out, PATH_SIZE, "%.*s", (int)max(len, (size_t)1), file->path);
}

static struct sockaddr_un address_of(const char path[PATH_SIZE])
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memcpy(addr.sun_path, path, PATH_SIZE);
	return addr;
}

/* Does somebody answer at the path? 0: nobody does. -EADDRINUSE, or -errno. */
static int try_connect(const struct sockfile *file)
{
	struct sockaddr_un addr = address_of(file->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
	close(fd);
	switch (err) {
	case 0:
	case EAGAIN:     /* the backlog is full: busy, not dead */
	case EPROTOTYPE: /* no stream socket, but somebody's */
		return -EADDRINUSE;
	case ECONNREFUSED:
	case ENOENT:
		return 0;
	default:
		return -err;
	}
}

/* Frees the path if a dead process left its socket there. */
static int clear_path(const struct sockfile *file)
{
	struct stat st;
	int err;

	if (lstat(file->path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	err = try_connect(file);
	if (err)
		return err;
	return unlink(file->path) && errno != ENOENT ? -errno : 0;
}

/* A name beside the path, for what is not ready yet. Only who has the folder locked uses it. */
static int name_beside(const struct sockfile *file, char out[PATH_SIZE])
{
	char folder[PATH_SIZE];

	folder_of(file, folder);
	return snprintf(out, PATH_SIZE, "%s/.berth.new", folder) < PATH_SIZE ? 0 : -ENAMETOOLONG;
}

/* Whoever has come meanwhile, without the lock, stays; not every file system knows how. */
static int give_name(const char *from, const char *to)
{
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	if (errno == EEXIST)
		return -EADDRINUSE;
	return errno == EINVAL && !rename(from, to) ? 0 : -errno;
}

/*
 * The path appears with a socket that listens already: `wg` takes one that refuses it for
 * that of a dead process, and removes it.
 */
static int bind_path(struct sockfile *file)
{
	struct sockaddr_un addr;
	char beside[PATH_SIZE] = { 0 };
	int err = name_beside(file, beside);

	if (err)
		return err;
	if (unlink(beside) && errno != ENOENT)
		return -errno;
	file->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (file->fd < 0)
		return -errno;
	addr = address_of(beside);
	/* Linux takes the mode of the file from the socket: never open to others, not for a moment. */
	if (fchmod(file->fd, 0600) || bind(file->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		err = -errno;
		goto close_socket;
	}
	err = listen(file->fd, BACKLOG) ? -errno : give_name(beside, file->path);
	if (err)
		goto remove;
	return 0;

remove:
	(void)unlink(beside);
close_socket:
	close(file->fd);
	return err;
}

static int note_identity(struct sockfile *file)
{
	struct stat st;

	if (lstat(file->path, &st))
		return -errno;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	return 0;
}

/* The folder is watched, not the file: a rename over the file does not touch it. */
static int watch(struct sockfile *file)
{
	char folder[PATH_SIZE];
	int err;

	folder_of(file, folder);
	file->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (file->inotify < 0)
		return -errno;
	if (inotify_add_watch(file->inotify, folder, WATCHED) < 0) {
		err = -errno;
		close(file->inotify);
		return err;
	}
	return 0;
}

/* The folder locked, so that of two that start together only one clears the path. */
static int lock_folder(const struct sockfile *file)
{
	char folder[PATH_SIZE];
	int fd, err;

	folder_of(file, folder);
	if (mkdir(folder, 0755) && errno != EEXIST)
		return -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static bool is_ours(const struct sockfile *file)
{
	struct stat st;

	return !lstat(file->path, &st) && st.st_dev == file->dev && st.st_ino == file->ino;
}

int sockfile_open(struct sockfile *file, const char *path)
{
	size_t len = strlen(path);
	int folder, err;

	*file = (struct sockfile){ .fd = -1, .inotify = -1 };
	if (len >= sizeof(file->path))
		return -ENAMETOOLONG;
	memcpy(file->path, path, len + 1);
	folder = lock_folder(file);
	if (folder < 0)
		return folder;
	err = clear_path(file);
	if (err)
		goto unlock;
	/* Before there is something to be removed. */
	err = watch(file);
	if (err)
		goto unlock;
	err = bind_path(file);
	if (err)
		goto close_watch;
	err = note_identity(file);
	if (err)
		goto close_socket;
	close(folder);
	return 0;

close_socket:
	close(file->fd);
close_watch:
	close(file->inotify);
unlock:
	close(folder);
	return err;
}

/* An unnamed or abstract socket has no file. */
static int adopt_path(struct sockfile *file)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr);
	size_t path_len;
	int err;

	if (getsockname(file->fd, (struct sockaddr *)&addr, &len))
		return -errno;
	if (len <= offsetof(struct sockaddr_un, sun_path) || !addr.sun_path[0])
		return 0;
	path_len = strnlen(addr.sun_path, sizeof(file->path) - 1);
	memcpy(file->path, addr.sun_path, path_len);
	err = note_identity(file);
	return err ? err : watch(file);
}

static int socket_option(int fd, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -errno : value;
}

int sockfile_adopt(struct sockfile *file, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int err = -ENOTSOCK;

	*file = (struct sockfile){ .fd = fd, .inotify = -1 };
	if (socket_option(fd, SO_DOMAIN) != AF_UNIX || socket_option(fd, SO_TYPE) != SOCK_STREAM ||
	    socket_option(fd, SO_ACCEPTCONN) != 1)
		goto fail;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC)) {
		err = -errno;
		goto fail;
	}
	err = adopt_path(file);
	if (err)
		goto fail;
	return 0;

fail:
	close(fd);
	return err;
}

bool sockfile_is_there(const struct sockfile *file)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	/* What happened does not matter, only what is. */
	while (read(file->inotify, events, sizeof(events)) > 0)
		;
	return is_ours(file);
}

void sockfile_close(struct sockfile *file)
{
	if (file->path[0] && is_ours(file))
		(void)unlink(file->path);
	if (file->inotify >= 0)
		close(file->inotify);
	close(file->fd);
}
