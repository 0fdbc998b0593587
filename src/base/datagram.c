/* SPDX-License-Identifier: MIT */
/* Unix datagram sockets. */
#include "datagram.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int datagram_connect(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd, err;

	if ((*name != '/' && *name != '@') || !name[1])
		return -EAFNOSUPPORT;
	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, name, len + 1);
	if (*name == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* An abstract name ends where the address does; a path has its NUL. */
	if (connect(fd, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name == '/')))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}
