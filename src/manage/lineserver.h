/* SPDX-License-Identifier: MIT */
/*
 * A unix stream socket where requests of a few lines are answered: what the
 * UAPI socket and the control socket have in common. Both are the owner's
 * alone (mode 0600).
 *
 * Any number of clients at once, any number of requests on a connection, one
 * after the other: a client is not read from while its answer waits, and one
 * request is answered in a turn of the loop, so that nobody keeps the others
 * waiting or makes us buffer without end. An answer may wait for an event. A client that stops in the middle of a
 * request or of an answer is dropped after a while; one that is merely silent
 * may stay. Requests and answers are wiped from memory.
 *
 * All functions and callbacks: the thread that runs the loop (control).
 */
#ifndef BERTH_MANAGE_LINESERVER_H
#define BERTH_MANAGE_LINESERVER_H

#include <uv.h>

#include "text.h"

enum {
	LINESERVER_CLIENTS_MAX = 64,      /* more wait in the backlog until one leaves */
	LINESERVER_PATIENCE_MS = 30 * 1000 /* with a client that is half through */
};

struct lineserver;

struct lineserver_ops {
	/* What ends a request: "\n", or "\n\n" where requests are blocks of lines. */
	const char *end;
	/* Longest request in bytes, its end included. */
	size_t max;
	uint64_t patience_ms; /* 0: LINESERVER_PATIENCE_MS */

	/*
	 * A whole request: len bytes without its end, then a NUL (there may be
	 * others inside). The text may be written to; it is wiped afterwards. The
	 * answer is added to *answer. False: hang up when it has been sent.
	 */
	bool (*request)(void *arg, char *text, size_t len, struct text *answer);

	/* A request longer than max: what to say before we hang up. May be NULL. */
	void (*too_long)(void *arg, struct text *answer);

	/*
	 * Somebody removed or replaced the socket file: nobody can connect any
	 * more. Once. May be NULL. The server may be closed in it.
	 */
	void (*gone)(void *arg);
};

/*
 * In ops.request: what goes to *answer comes later. Until lineserver_now() the
 * client is asked for nothing more; left is called, once, when it hangs up (who only half
 * closes still waits) before that, loses our patience, or the server is closed: *answer is
 * then gone.
 */
void lineserver_later(struct text *answer, void (*left)(void *arg), void *arg);

/* What was put off is whole and is sent. Not in ops.request of the same client. */
void lineserver_now(struct text *answer);

/*
 * Makes the socket at path, mode 0600, and its folder, mode 0755, when only
 * that is missing; starts to answer. A file that a crashed process left is
 * replaced. *ops is copied.
 *
 * 0; -EADDRINUSE somebody answers there (owner.h says who), -ENOTSOCK something
 * else lies there, -ENAMETOOLONG, -ENOENT the folder's parent is missing,
 * -EACCES, -EROFS, -ENOMEM. *server is NULL then.
 */
must_check int lineserver_open(struct lineserver **server, uv_loop_t *loop, const char *path,
			       const struct lineserver_ops *ops, void *arg);

/*
 * The same on a listening socket that somebody else made (WG_UAPI_FD). The
 * descriptor is ours from here on, also when this fails. 0; -ENOTSOCK it is not a
 * listening unix stream socket; -errno.
 */
must_check int lineserver_adopt(struct lineserver **server, uv_loop_t *loop, int fd,
				const struct lineserver_ops *ops, void *arg);

/*
 * Hangs up on everybody and removes the socket file, unless it is somebody
 * else's by now. The server is gone when this returns, but the loop has to turn
 * once more before uv_loop_close(). NULL is fine.
 */
void lineserver_close(struct lineserver *server);

#endif
