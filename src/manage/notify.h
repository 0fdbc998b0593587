/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told: sd_notify(3) without libsystemd. The protocol is one
 * datagram to $NOTIFY_SOCKET, which systemd promises to keep and itself advises to write out
 * rather than to link a library, and all that comes with it, into a process with keys.
 *
 * Control thread.
 */
#ifndef BERTH_MANAGE_NOTIFY_H
#define BERTH_MANAGE_NOTIFY_H

#include "../base.h"

enum { NOTIFY_TEXT_MAX = 256 };

struct notify {
	int fd;            /* connected; -1: nobody wants to know */
	uint64_t watchdog; /* ns within which a sign of life is due; 0: none is */
	char status[NOTIFY_TEXT_MAX]; /* the last that was told */
};

/*
 * Takes $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID out of the environment. A path or an
 * abstract name ("@..."). What cannot be used is logged, and then nothing is told. At start.
 */
void notify_open(struct notify *n);

/* Sends lines of sd_notify(3), such as "READY=1". Nothing when nobody wants to know. */
void notify_send(struct notify *n, const char *lines);

/* RELOADING=1 with the time that systemd asks for; READY=1 has to follow. */
void notify_reloading(struct notify *n);

/* STATUS=, the line of `systemctl status`; only if it differs from the last. */
void notify_status(struct notify *n, const char *fmt, ...) printf_like(2, 3);

/* Of what notify_open() made. */
void notify_close(struct notify *n);

#endif
