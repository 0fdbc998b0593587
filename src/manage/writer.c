/* SPDX-License-Identifier: MIT */
/* Events say when somebody begins; leases, whether he is still there. */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Has somebody just made it, and will write to it? Links are made too, and never closed. */
static bool is_being_made(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1 && !st.st_size;
}

void writer_note(struct writer *w, uint32_t mask, const char *path, uint64_t now)
{
	w->last = now;
	if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) {
		*w = (struct writer){ 0 };
	} else if ((!w->writing || w->perhaps) &&
		   (mask & IN_MODIFY || (mask & IN_CREATE && is_being_made(path)))) {
		w->writing = true;
		w->perhaps = false;
		w->ask = 0;
	}
}

void writer_suspect(struct writer *w)
{
	if (!w->writing)
		*w = (struct writer){ .writing = true, .perhaps = true };
}

/*
 * Has anybody the file open for writing? Whoever has keeps us from a lease for reading: 1.
 * 0: nobody. -errno: it cannot be known, since the file is not ours, or of a file system
 * that has no leases.
 */
static int ask(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	/* Who opens it meanwhile is told to us, by a signal that would end us were it SIGIO. */
	if (fcntl(fd, F_SETSIG, SIGURG) || fcntl(fd, F_SETLEASE, F_RDLCK))
		err = errno == EAGAIN ? 1 : -errno;
	close(fd); /* and so the lease is given back: he waits no longer than this takes */
	return err;
}

void writer_ask(struct writer *w, const char *path, uint64_t now)
{
	int answer;

	if (!w->writing || w->ask > now)
		return;
	answer = ask(path);
	if (answer > 0)
		w->ask = now + WRITER_ASK_MS;
	else if (answer < 0 && !w->perhaps && now < w->last + WRITER_HOLD_MS)
		w->ask = w->last + WRITER_HOLD_MS;
	else
		w->writing = false;
}

bool writer_is_certain(const struct writer *w, const char *path)
{
	return w->writing && ask(path) > 0;
}
