/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces: finding one, and doing something inside one.
 *
 * A TUN queue and a netlink socket stay bound to the namespace in which they
 * were made, so a daemon that serves many namespaces need never live in any
 * but its own: it enters one for the moment in which it makes the descriptor.
 */
#ifndef BERTH_TUN_NETNS_H
#define BERTH_TUN_NETNS_H

#include "../src/base.h"

/*
 * Open the network namespace that @ref names: NAME (as `ip netns` knows it,
 * below /run/netns or /var/run/netns), /an/absolute/path, or pid:N for the
 * namespace of process N.
 *
 * Returns an O_CLOEXEC descriptor, which keeps the namespace alive until it is
 * closed; by the broker where there is one. -EINVAL: not a valid reference, or what it names is not a network
 * namespace; -ENOENT: there is none (yet); -EACCES, -EMFILE and so on from
 * open(2). Any thread.
 */
must_check int netns_open(const char *ref);

/*
 * Run @fn(@arg) inside the namespace @nsfd and return its result; @nsfd < 0
 * calls it right here, in the caller's namespace.
 *
 * @fn runs on a thread of its own that lives for this call, with all signals
 * blocked: no thread of the caller ever changes its namespace, not even for a
 * moment or upon an error. The caller waits. @fn should report errors as
 * negative errno; so do setns(2) (-EPERM, -EINVAL) and pthread_create(3)
 * (-EAGAIN), upon which @fn has not been called. Any thread.
 */
must_check int netns_call(int nsfd, int (*fn)(void *arg), void *arg);

#endif
