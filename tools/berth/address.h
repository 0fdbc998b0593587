/* SPDX-License-Identifier: MIT */
/* The addresses of a new tenant: those that were asked for, or the next free ones. */
#ifndef BERTH_TOOLS_ADDRESS_H
#define BERTH_TOOLS_ADDRESS_H

#include "holdings.h"
#include "machine.h"

enum { ADDRESSES_MAX = 32 };

struct addresses {
	struct prefix v[ADDRESSES_MAX];
	size_t n;
};

/*
 * Has the text of that range bits behind its length, which prefix_parse() has cleared? Who
 * writes 2001:db8::5/80 may have meant an address or a range.
 */
bool address_has_rest(const struct prefix *range, const char *text);

/*
 * One that was asked for, with or without length: it must lie in a Prefix, and be
 * nobody's. EXIT_GOOD, or EXIT_FAULT after a complaint.
 */
must_check int address_take(struct addresses *out, const struct holdings *h,
			    const struct machine *m, const char *text);

/*
 * The next free one for the tenant of that name, of the first Prefix of that family in
 * berth.conf that has one. EXIT_GOOD, or EXIT_FAULT after a complaint.
 */
must_check int address_next(struct addresses *out, struct holdings *h, const struct machine *m,
			    uint8_t family, const char *name);

/* Is there a Prefix of that family? */
bool address_has_family(const struct holdings *h, uint8_t family);

/*
 * "HOST:PORT" where homes reach the gateway, allocated: given (HOST or HOST:PORT), or the public
 * address of the uplink, IPv4 first, since homes without IPv6 are what berth is for.
 * NULL after a complaint.
 */
char *address_endpoint(const struct config_router *router, const struct machine *m,
		       const char *given);

#endif
