/* SPDX-License-Identifier: MIT */
/*
 * The file of a unix stream socket: made so that one process has it and none
 * but its owner may connect, watched, and removed. Control thread.
 */
#ifndef BERTH_MANAGE_SOCKFILE_H
#define BERTH_MANAGE_SOCKFILE_H

#include <sys/types.h>
#include <sys/un.h>

#include "../base.h"

struct sockfile {
	int fd;      /* listening, non-blocking */
	int inotify; /* readable when something happened to the file; -1: there is no file */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev; /* what we made: somebody may put another in its place */
	ino_t ino;
};

/* See lineserver_open() for what is made and for the errors. */
must_check int sockfile_open(struct sockfile *file, const char *path);

/* See lineserver_adopt(). */
must_check int sockfile_adopt(struct sockfile *file, int fd);

/* Reads away the events of file->inotify, and looks: is our file still there? */
bool sockfile_is_there(const struct sockfile *file);

/* Removes the file if it is ours, and closes. */
void sockfile_close(struct sockfile *file);

#endif
