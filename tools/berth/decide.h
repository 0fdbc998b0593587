/* SPDX-License-Identifier: MIT */
/*
 * What a gateway on this machine should be, by what was seen of its network. Pure: all
 * that is known comes in, and each decision goes out with its reason.
 */
#ifndef BERTH_TOOLS_DECIDE_H
#define BERTH_TOOLS_DECIDE_H

#include "machine.h"

enum { DECIDE_PREFIXES_MAX = 16, DECIDE_NOTES_MAX = 16, DECIDE_WHY_MAX = 200 };

/* What the uplink let us hear of other addresses of a prefix. */
enum heard {
	HEARD_NOTHING,
	HEARD_ASKED,  /* a neighbour asked for one: on-link */
	HEARD_ROUTED, /* a packet to one came without anybody asking: routed to us */
	HEARD_NOT_TRIED
};

struct settings {
	bool forwarding4, forwarding6; /* net.*.conf.all.forwarding */
	int accept_ra;                 /* of the uplink; -1: not known */
	uint16_t port;                 /* a free UDP port for the tunnels */
	bool port_was_taken;           /* the usual one is somebody else's */
};

/* What the operator has said already. */
struct wishes {
	const char *uplink; /* NULL: to be found */
	struct prefix prefixes[DECIDE_PREFIXES_MAX];
	size_t n_prefixes; /* 0: to be found */
};

/* Step 1: where the world is. */
struct place {
	const struct netlink_link *uplink; /* of the machine */
	char why[DECIDE_WHY_MAX];
	struct prefix prefixes[DECIDE_PREFIXES_MAX];
	size_t n_prefixes;
	char prefix_why[DECIDE_PREFIXES_MAX][DECIDE_WHY_MAX]; /* of each */
	bool routed; /* the prefix is not the uplink's: it can only be routed to us */
};

/*
 * Finds the uplink and the prefix. 0; -EINVAL: cannot be decided, and why says why and what to do, a
 * sentence. m must live as long as *out.
 */
must_check int decide_place(struct place *out, const struct machine *m, const struct wishes *wishes,
			    char why[DECIDE_WHY_MAX]);

/*
 * An address of the first IPv6 prefix that is nobody's: for the question whether it is asked for.
 * False: there is none.
 */
bool decide_stranger(const struct place *place, const struct machine *m, struct prefix *out);

/* Step 2: are neighbours answered? With its reason. */
bool decide_answers(const struct place *place, enum heard heard, char why[DECIDE_WHY_MAX]);

struct note {
	char command[DECIDE_WHY_MAX]; /* that mends it; "": there is none */
	char why[DECIDE_WHY_MAX];
};

/* Step 3: what stands in the way. Returns how many notes there are. */
size_t decide_traps(const struct place *place, const struct machine *m,
		    const struct settings *settings, struct note notes[DECIDE_NOTES_MAX]);

#endif
