/* SPDX-License-Identifier: MIT */
/* A file of which the kernel does not say who writes to it: it is somebody else's. */
#ifndef BERTH_TESTS_NO_LEASE_H
#define BERTH_TESTS_NO_LEASE_H

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SOMEBODY_ELSE = 65534 };

/* Gives the file away, and CAP_LEASE with it. False: not root. */
static inline bool no_lease(const char *path)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (chown(path, SOMEBODY_ELSE, (gid_t)-1) || syscall(SYS_capget, &header, caps))
		return false;
	caps[0].effective &= ~(1U << CAP_LEASE);
	return !syscall(SYS_capset, &header, caps);
}

#endif
