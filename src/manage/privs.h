/* SPDX-License-Identifier: MIT */
/*
 * What a process that holds other people's keys denies itself. In this order:
 *
 *	privs_harden()   no core dumps, limits raised as long as that is allowed
 *	privs_begin()    the broker is forked, who opens what we may not (tun/broker.h)
 *	                 … the configuration is read …
 *	privs_router()   another user, CAP_NET_ADMIN and little else, no_new_privs; Landlock;
 *	                 the filter of system calls (base/confine.h)
 *	                 … sockets, threads, devices, tenants …
 *
 * So nothing that a stranger may influence happens before it, and every thread inherits it.
 */
#ifndef BERTH_MANAGE_PRIVS_H
#define BERTH_MANAGE_PRIVS_H

#include "../config/router.h"

/*
 * No core dumps and no ptrace by others of our user (PR_SET_DUMPABLE), as
 * many descriptors and as much locked memory as we are allowed: limits that
 * cannot be raised are logged. At start, before there are secrets. 0, or -errno after it was
 * logged: nothing is to be started then.
 */
must_check int privs_harden(void);

/*
 * The broker; a drop-in's has fewer capabilities. While there is one thread. 0, or -errno
 * after it was logged.
 */
must_check int privs_begin(bool dropin);

/*
 * For the router of that configuration, whose folders are made first where they are missing. While
 * there is one thread, which is registered with RCU. 0, or -errno after it was logged:
 * nothing is to be started then.
 */
must_check int privs_router(const struct config_router *router);

/* The same for a drop-in, which stays the user who started it. */
must_check int privs_dropin(void);

/* The last: waits for the broker's end. */
void privs_end(void);

#endif
