/* SPDX-License-Identifier: MIT */
/*
 * What a thread denies itself: capabilities and system calls, by what it is for.
 *
 *	control    reads configuration, makes devices and sockets: CAP_NET_ADMIN, no
 *	  │        packet sockets, no namespaces, no programs, no signals to others
 *	  ├─ worker, handshake      touch what strangers send: descriptors that are open
 *	  │                         already, memory, time. No capability, no file, no socket
 *	  ├─ reclaim (liburcu)      memory and time only
 *	  └─ writer (libuv's pool)  files of the state folder
 *	lookup     getaddrinfo(3): reads files, talks to name servers. No capability
 *	broker     a process of its own (tun/broker.h)
 *
 * A thread inherits what its maker has denied itself, and denies itself more: filters
 * add up, so nothing comes back. A call that is not in the list kills the process at once:
 * who gets so far as to make one is not to be answered (seccomp(2), SECCOMP_RET_KILL_PROCESS).
 * Files alone are only refused to worker, handshake and reclaim: malloc may ask for one.
 * There is no switch that weakens it. Only a sanitizer's build has no filter of
 * system calls, as its runtime needs more of them; capabilities it drops as well.
 */
#ifndef BERTH_BASE_CONFINE_H
#define BERTH_BASE_CONFINE_H

#include "../base.h"

enum confine_kind {
	CONFINE_CONTROL,
	CONFINE_WORKER,
	CONFINE_HANDSHAKE,
	CONFINE_RECLAIM,
	CONFINE_WRITER,
	CONFINE_LOOKUP,
	CONFINE_BROKER,
	CONFINE_KINDS
};

/*
 * Makes the filters; from here on confine_thread() does something. Forks, while there is one
 * thread. 0, or -errno: -ENOMEM is also what a maker of filters that crashed has lacked.
 */
must_check int confine_enable(void);

/*
 * Capabilities of the whole process: keeps those of the list of n (CAP_*, linux/capability.h)
 * that it has, empties the bounding set as far as it may and sets no_new_privs. While
 * there is one thread. 0 or -errno.
 */
must_check int confine_capabilities(const unsigned *caps, size_t n);

/*
 * The same, and becomes the user uid and the group gid, of no other group.
 */
must_check int confine_user(uint32_t uid, uint32_t gid, const unsigned *caps, size_t n);

/*
 * Once by each thread, before it touches what strangers send; again it does nothing. Drops
 * what its kind does not need (of capabilities all; control and broker have dropped
 * theirs by confine_capabilities()) and filters its system calls from here on. Without
 * confine_enable(): nothing. What cannot be denied ends the process with a line in the log.
 */
void confine_thread(enum confine_kind kind);

/*
 * The names of the system calls that a thread of that kind may make, whatever their
 * arguments; NULL ends it. Calls whose arguments are looked at are not among them
 * (confine_calls.c). Pure.
 */
const char *const *confine_calls(enum confine_kind kind, unsigned list);

enum { CONFINE_LISTS = 5 }; /* of confine_calls(): list is 0..CONFINE_LISTS - 1 */

/* Words for the log: "worker". */
const char *confine_name(enum confine_kind kind);

#endif
