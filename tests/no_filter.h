/* SPDX-License-Identifier: MIT */
/*
 * For tests of UDP sockets whose messages are no messages of WireGuard: a kernel that takes no
 * filter for sockets that share a port, so that all comes to the data sockets.
 */
#ifndef BERTH_TESTS_NO_FILTER_H
#define BERTH_TESTS_NO_FILTER_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == SOL_SOCKET && option == SO_ATTACH_REUSEPORT_CBPF) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

#endif
