/* SPDX-License-Identifier: MIT */
/*
 * Which files and ports a thread may reach, by Landlock (Linux 5.13): what it asks the
 * kernel for cannot be taken back, and threads that it makes inherit it. Where a kernel knows less
 * of it, less is denied; the rest as well as it can be.
 *
 * A rule is about what lies there when it is made, not about the path: a folder that is
 * replaced by another one is not reached any more.
 */
#ifndef BERTH_BASE_LANDLOCK_H
#define BERTH_BASE_LANDLOCK_H

#include "../base.h"

enum landlock_right {
	LANDLOCK_READ,   /* files, and folders listed */
	LANDLOCK_WRITE,  /* of a folder: read, made, replaced and removed in there. Of a file: written */
	LANDLOCK_SOCKET, /* of a folder: read, listed; sockets made and removed in there */
	LANDLOCK_DEVICE  /* of a device: read, written, controlled */
};

struct landlock {
	int fd; /* -1: the kernel has none */
	int version;
	uint64_t files; /* rights that it can deny */
};

/*
 * Begins: everything about files is denied, but for what follows. tcp: connections and
 * listening by TCP are denied, too (Linux 6.7). 0, also without Landlock
 * (rules->fd < 0 then), or -errno. Any thread.
 */
must_check int landlock_begin(struct landlock *rules, bool tcp);

/*
 * Allows what lies at the path, and everything below. 0, also if there is nothing (-ENOENT,
 * -ENOTDIR), or -errno.
 */
must_check int landlock_allow(struct landlock *rules, const char *path, enum landlock_right right);

/* Allows to listen at a TCP port, host byte order. 0 or -errno. */
must_check int landlock_allow_port(struct landlock *rules, uint16_t port);

/*
 * Puts it in force for the calling thread and frees it. Needs no_new_privs. 0 or -errno;
 * without Landlock 0.
 */
must_check int landlock_enforce(struct landlock *rules);

#endif
