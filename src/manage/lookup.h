/* SPDX-License-Identifier: MIT */
/*
 * One look-up of a name by getaddrinfo(3), which asks whatever the machine is set up
 * to ask, and may take half a minute where nobody answers. Each has a thread of its own:
 * none waits behind another, and one that hangs can be left behind, which
 * uv_getaddrinfo cannot: it has four threads for all, and stopping waits for them.
 * Control thread.
 */
#ifndef BERTH_MANAGE_LOOKUP_H
#define BERTH_MANAGE_LOOKUP_H

#include <netdb.h>
#include <uv.h>

#include "../base.h"

enum { LOOKUP_THREADS_MAX = 64 }; /* of all; they are short-lived or hang */

struct lookup;

/*
 * Starts the thread that makes the others. They inherit what it has denied itself, which
 * is not what the control thread does: name servers are found through files all over /etc.
 * confine is the first that it calls; this returns after that. Without it, each look-up's thread
 * is the caller's child. Once, in the life of the process; 0, -ENOMEM or -EAGAIN (no thread).
 */
must_check int lookup_prepare(void (*confine)(void));

/*
 * error: 0 and at least one address, valid within the call; or one of EAI_* for
 * gai_strerror(3). The look-up is over: its pointer is of no use any more.
 */
typedef void lookup_fn(void *arg, int error, const struct addrinfo *found);

/*
 * Looks up UDP addresses of host, with the port put in; host and port are copied. done
 * is called once, from the loop. 0; -EAGAIN: too many are under way, or no thread can
 * be had: try again later; -ENOMEM.
 */
must_check int lookup_start(struct lookup **out, uv_loop_t *loop, const char *host,
			    const char *port, lookup_fn *done, void *arg);

/*
 * done will not be called. Returns at once; the thread ends by itself, with the program
 * if it comes to that. The loop turns once more. NULL is fine.
 */
void lookup_abandon(struct lookup *l);

#endif
