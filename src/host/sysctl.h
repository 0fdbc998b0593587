/* SPDX-License-Identifier: MIT */
/*
 * Settings of the kernel, by their path under /proc/sys: "net/ipv6/conf/eth0/accept_ra".
 * Slashes only, as names of interfaces have dots. Those of the network are of the
 * namespace of the calling process. Any thread.
 */
#ifndef BERTH_HOST_SYSCTL_H
#define BERTH_HOST_SYSCTL_H

#include "../base.h"

enum { SYSCTL_PATH_MAX = 96 };

/* A number. 0; -ENOENT: this kernel has no such setting; -EINVAL: no number; -errno. */
must_check int sysctl_read(const char *path, int64_t *out);

must_check int sysctl_write(const char *path, const char *value);

/*
 * As sysctl(8) takes it: "net.ipv6.conf.eth0.accept_ra", and with slashes as it is where
 * dots would be ambiguous. Returns buf.
 */
const char *sysctl_format(const char *path, char buf[SYSCTL_PATH_MAX]);

#endif
