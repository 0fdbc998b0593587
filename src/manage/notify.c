/* SPDX-License-Identifier: MIT */
/* Datagrams to the service manager. */
#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../base/datagram.h"
#include "../base/log.h"

/* sd_watchdog_enabled(3): meant for us only if the process is named, or none is. */
static uint64_t watchdog_interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long n;
	char *end;

	if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	errno = 0;
	n = strtoull(usec, &end, 10);
	if (errno || end == usec || *end || *usec == '-' || n > UINT64_MAX / 1000) {
		log_warning("WATCHDOG_USEC: '%s' is not a number of microseconds", usec);
		return 0;
	}
	return n * 1000;
}

void notify_open(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET");

	*n = (struct notify){ .fd = -1 };
	if (name && *name) {
		n->fd = datagram_connect(name);
		if (n->fd < 0)
			log_warning("NOTIFY_SOCKET: cannot tell the service manager at '%s': %s", name,
				    strerror(-n->fd));
	}
	if (n->fd >= 0)
		n->watchdog = watchdog_interval();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_send(struct notify *n, const char *lines)
{
	if (n->fd < 0)
		return;
	/* It blocks while the manager does not read: no READY=1 may be lost. */
	while (send(n->fd, lines, strlen(lines), MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		log_warning("cannot tell the service manager: %s", strerror(errno));
		return;
	}
}

void notify_reloading(struct notify *n)
{
	char lines[64];
	struct timespec now;

	/* systemd compares with CLOCK_MONOTONIC, which is not what clock_now() must be. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%llu",
		       (unsigned long long)now.tv_sec * 1000000 +
		       (unsigned long long)now.tv_nsec / 1000);
	notify_send(n, lines);
}

void notify_status(struct notify *n, const char *fmt, ...)
{
	char text[NOTIFY_TEXT_MAX], lines[NOTIFY_TEXT_MAX + 8];
	va_list args;

	if (n->fd < 0)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!strcmp(text, n->status))
		return;
	strcpy(n->status, text);
	(void)snprintf(lines, sizeof(lines), "STATUS=%s", text);
	notify_send(n, lines);
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}
