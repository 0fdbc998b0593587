/* SPDX-License-Identifier: MIT */
/*
 * The broker: a process of our own that opens what needs more privileges than
 * the rest of us keeps.
 *
 * A descriptor keeps the rights it was opened with. So the process that reads
 * what strangers send holds CAP_NET_ADMIN and little else; for a namespace, a
 * socket inside one, a packet socket and the small eBPF programs of our TUN
 * devices it asks a child that was forked at start, over a socketpair, and gets
 * the descriptor. The child does nothing but that: it never sees a packet, a key or
 * a file of the configuration.
 *
 *	netns_open(), netlink_open(, nsfd)…        broker_*()
 *	   control thread  ── struct request ──▸  broker process: opens it
 *	                   ◂── SCM_RIGHTS ──────
 *
 * While no broker runs (tests, `berth`) the callers open these things themselves.
 */
#ifndef BERTH_TUN_BROKER_H
#define BERTH_TUN_BROKER_H

#include "../src/base.h"

enum { BROKER_COMMAND = 32 }; /* room for the name of a process */

/* What the broker's process calls, each may be NULL. */
struct broker_ops {
	void (*confine)(void); /* first */
	/* broker_owner() there. The pid, or -errno. */
	int (*owner)(const char *what, char command[BROKER_COMMAND]);
};

/*
 * Forks the broker, which serves until
 * this process is gone or calls broker_stop(). It ignores SIGINT, SIGTERM and
 * SIGHUP: our end is what ends it. While there is one thread, and before
 * there are secrets. 0 or -errno (socketpair(2), fork(2)).
 */
must_check int broker_start(const struct broker_ops *ops);

/* Ends it and waits until it has ended; without one, nothing. */
void broker_stop(void);

/* Any thread. Is there one to be asked? */
bool broker_is_on(void);

/*
 * The rest: any thread, one at a time; the caller waits some microseconds.
 * Each returns an O_CLOEXEC descriptor that is the caller's, or the -errno of
 * what failed there; -EPIPE: the broker is gone.
 */

/* The namespace that @ref names: as netns_open(). -EINVAL also: longer than PATH_MAX. */
must_check int broker_netns(const char *ref);

/* A routing netlink socket, not bound yet, inside the namespace @nsfd. */
must_check int broker_netlink(int nsfd);

/* A packet socket of our own namespace: SOCK_RAW, non-blocking, of no protocol yet. */
must_check int broker_packet(void);

/* A program for TUNSETSTEERINGEBPF: as steer_load(). */
must_check int broker_steer(int queue);

/*
 * No descriptor, but a look at other users' processes: who has what we wanted (host/owner.h).
 * The pid and its name, or -errno.
 */
must_check int broker_owner(const char *what, char command[BROKER_COMMAND]);

#endif
