/* SPDX-License-Identifier: MIT */
/* Unix datagram sockets of systemd's: its journal, its service manager. */
#ifndef BERTH_BASE_DATAGRAM_H
#define BERTH_BASE_DATAGRAM_H

#include "../base.h"

/*
 * A socket that is connected to name for good, so that nothing is looked up in the file
 * system afterwards: an absolute path, or an abstract name behind "@". The descriptor;
 * -EAFNOSUPPORT: neither of the two; -ENAMETOOLONG; -errno. Any thread.
 */
must_check int datagram_connect(const char *name);

#endif
