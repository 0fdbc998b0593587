/* SPDX-License-Identifier: MIT */
/*
 * Where a peer is reached: its UDP address, and the local address and
 * interface its last packet came to, so that answers leave from there.
 */
#ifndef BERTH_BASE_ENDPOINT_H
#define BERTH_BASE_ENDPOINT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "../base.h"

struct endpoint {
	union {
		struct sockaddr addr; /* AF_UNSPEC: no endpoint */
		struct sockaddr_in addr4;
		struct sockaddr_in6 addr6;
	};
	union {
		struct in_addr src4; /* all zero: the kernel chooses */
		struct in6_addr src6;
	};
	unsigned src_ifindex; /* 0: the kernel chooses */
};

/* "[fe80::1%4294967295]:65535\0" */
enum { ENDPOINT_STRLEN = 72, ENDPOINT_BYTES = 18 };

static inline bool endpoint_is_set(const struct endpoint *e)
{
	return e->addr.sa_family != AF_UNSPEC;
}

/* Host byte order; of IPv4 and IPv6 it stands in the same place. */
static inline uint16_t endpoint_port(const struct endpoint *e)
{
	return ntohs(e->addr4.sin_port);
}

static inline socklen_t endpoint_addr_len(const struct endpoint *e)
{
	return e->addr.sa_family == AF_INET ? sizeof(e->addr4) : sizeof(e->addr6);
}

/*
 * Numeric "192.0.2.1:51820" or "[2001:db8::1%2]:51820", as `wg` prints it; no
 * look-ups. IPv4 inside IPv6 (::ffff:a.b.c.d) becomes plain IPv4. The local
 * address is cleared. 0 or -EINVAL.
 */
must_check int endpoint_parse(struct endpoint *out, const char *text);

/* Returns buf; "(none)" when unset. */
const char *endpoint_format(const struct endpoint *e, char buf[ENDPOINT_STRLEN]);

/* Same remote address, port and scope, local address and interface? */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* Same remote address, port and scope, whatever the local side? */
bool endpoint_same_remote(const struct endpoint *a, const struct endpoint *b);

/* Forget the local side: the next packet leaves by the kernel's choice. */
void endpoint_clear_src(struct endpoint *e);

/*
 * The bytes a cookie is bound to: address || port, network order. Returns
 * their number, 6 or 18. A cookie covers address *and* port (paper §5.4.7).
 */
size_t endpoint_cookie_bytes(const struct endpoint *e, uint8_t out[ENDPOINT_BYTES]);

/* The address alone, for per-source limits: 4 or 16 bytes, network order. */
size_t endpoint_source_bytes(const struct endpoint *e, const uint8_t **addr);

#endif
