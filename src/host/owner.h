/* SPDX-License-Identifier: MIT */
/*
 * Who has what we wanted: for "port 51820 is in use by wireguard-go (pid 123)".
 * Best effort, from /proc: without root only our own processes show, and by
 * the time it is printed things may be otherwise. Slow (every descriptor of every
 * process); for the moment when something has failed. Any thread. Where there is a broker
 * (tun/broker.h), it is who looks: we may not look at other users' processes then.
 */
#ifndef BERTH_HOST_OWNER_H
#define BERTH_HOST_OWNER_H

#include <sys/types.h>

#include "../../tun/broker.h"
#include "../base.h"

struct owner {
	pid_t pid;        /* 0: the kernel itself */
	char command[BROKER_COMMAND]; /* as ps shows it; may hold anything: log_sanitise() */
};

/*
 * Who has the UDP port (host order), in the network namespace of the calling
 * thread, over IPv4 or IPv6? False: nobody that we can see.
 */
must_check bool owner_of_udp_port(uint16_t port, struct owner *out);

/*
 * Who holds a TUN device of that name? Names are of a namespace, and
 * /proc does not say which: of several, the first.
 */
must_check bool owner_of_tun(const char *ifname, struct owner *out);

/* The two above in the broker, for its ops: what is "udp:PORT" or "tun:NAME". Pid or -ESRCH. */
must_check int owner_for_broker(const char *what, char command[BROKER_COMMAND]);

/* Who listens on the unix stream socket at path? */
must_check bool owner_of_socket(const char *path, struct owner *out);

/* "wireguard-go (pid 123)", "the kernel", or "another process" for NULL. Returns buf. */
enum { OWNER_STRLEN = 64 };
const char *owner_format(const struct owner *owner, char buf[OWNER_STRLEN]);

#endif
