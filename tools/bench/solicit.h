/* SPDX-License-Identifier: MIT */
/* Somebody on the link who asks for one address again and again (RFC 4861 §7.2.2). */
#ifndef BERTH_TOOLS_BENCH_SOLICIT_H
#define BERTH_TOOLS_BENCH_SOLICIT_H

#include <netinet/in.h>

#include "../../src/base.h"

struct solicit {
	int fd; /* readable when somebody answers; the kernel sees to the checksums */
	struct in6_addr target;
};

/* On the interface of that name in netns. Exits with a message when that fails. */
void solicit_open(struct solicit *s, const char *netns, const char *ifname, const char *target);

/* One multicast solicitation. False: the kernel did not take it. */
bool solicit_ask(const struct solicit *s);

/* Do the len bytes of an ICMPv6 message say where the target is? */
bool solicit_is_answer(const struct solicit *s, const void *icmp, size_t len);

#endif
