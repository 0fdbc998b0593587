/* SPDX-License-Identifier: MIT */
/* Settings of the kernel. */
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int open_setting(const char *path, int flags)
{
	char full[sizeof("/proc/sys/") + SYSCTL_PATH_MAX];
	int fd;

	if (strlen(path) >= SYSCTL_PATH_MAX)
		return -ENAMETOOLONG;
	(void)snprintf(full, sizeof(full), "/proc/sys/%s", path);
	fd = open(full, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sysctl_read(const char *path, int64_t *out)
{
	char text[32], *end;
	int fd = open_setting(path, O_RDONLY);
	ssize_t n;
	int err;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	text[n] = '\0';
	errno = 0;
	*out = strtoll(text, &end, 10);
	return end == text || errno ? -EINVAL : 0;
}

int sysctl_write(const char *path, const char *value)
{
	int fd = open_setting(path, O_WRONLY);
	size_t len = strlen(value);
	int err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, value, len) != (ssize_t)len)
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

const char *sysctl_format(const char *path, char buf[SYSCTL_PATH_MAX])
{
	bool dots = strchr(path, '.') != NULL;

	(void)snprintf(buf, SYSCTL_PATH_MAX, "%s", path);
	for (char *p = buf; !dots && *p; p++)
		if (*p == '/')
			*p = '.';
	return buf;
}
