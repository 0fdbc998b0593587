/* SPDX-License-Identifier: MIT */
/* The state of files as a number. */
#include "stamp.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../base/clock.h"
#include "../config/change.h"

enum {
	TICK_SEC = 2, /* FAT; all others are finer */
	/* More than a tick of the kernel, by which times lag; less than WATCH_SETTLE_MS. */
	YOUNG_NS = 15 * 1000 * 1000
};

uint64_t stamp_hash(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static bool is_fresh(const struct timespec *t, const struct timespec *now)
{
	return t->tv_sec + TICK_SEC >= now->tv_sec;
}

/* Either way: a clock that differs much from ours, as a server's may, says nothing. */
static bool is_young(const struct timespec *t, const struct timespec *now)
{
	int64_t age = (now->tv_sec - t->tv_sec) * (int64_t)NSEC_PER_SEC + now->tv_nsec - t->tv_nsec;

	return age > -YOUNG_NS && age < YOUNG_NS;
}

/* As stat(), and *link is whether it is a symbolic link: mostly in one call. */
static bool look(int dirfd, const char *path, struct stat *st, bool *link)
{
	bool there = !fstatat(dirfd, path, st, AT_SYMLINK_NOFOLLOW);

	*link = there && S_ISLNK(st->st_mode);
	return *link ? !fstatat(dirfd, path, st, 0) : there;
}

/* Adds what is there; *link as look(). False: there is none. */
static bool add_file(struct stamp *s, int dirfd, const char *path, const struct timespec *now,
		     bool *link)
{
	struct stat st;
	int64_t fields[7] = { 0 };

	if (look(dirfd, path, &st, link)) {
		fields[0] = (int64_t)st.st_dev;
		fields[1] = (int64_t)st.st_ino;
		fields[2] = st.st_size;
		fields[3] = st.st_mtim.tv_sec;
		fields[4] = st.st_mtim.tv_nsec;
		fields[5] = st.st_ctim.tv_sec;
		fields[6] = st.st_ctim.tv_nsec;
		s->young |= is_young(&st.st_mtim, now);
		s->fresh |= is_fresh(&st.st_mtim, now) || is_fresh(&st.st_ctim, now);
	}
	s->number = stamp_hash(s->number, fields, sizeof(fields));
	return fields[1] != 0;
}

struct stamp stamp_take(int dirfd, const char *name, char *const *files, size_t n)
{
	struct stamp s = { .number = STAMP_HASH_INIT };
	char entry[TENANT_NAME_MAX + sizeof(".conf")];
	struct timespec now;
	bool link;

	clock_realtime(&now);
	snprintf(entry, sizeof(entry), "%s.conf", name);
	s.there = add_file(&s, dirfd, entry, &now, &s.link);
	for (size_t i = 0; i < n; i++)
		(void)add_file(&s, AT_FDCWD, files[i], &now, &link);
	s.number |= !s.number;
	return s;
}
