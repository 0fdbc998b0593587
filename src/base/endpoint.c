/* SPDX-License-Identifier: MIT */
/* UDP addresses of peers: text to value and back, and when two are the same. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

/*
 * All of text as a plain decimal number of at most 10 digits, without sign or
 * leading zeros, so that it can be read in one way only.
 */
static int parse_number(const char *text, uint32_t limit, uint32_t *out)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 10; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (!i || text[i] || (i > 1 && text[0] == '0') || value > limit)
		return -EINVAL;
	*out = (uint32_t)value;
	return 0;
}

/* ::ffff:192.0.2.1 and 192.0.2.1 are one peer: keep one form of it. */
static int unmap(struct endpoint *e)
{
	struct sockaddr_in addr4 = { .sin_family = AF_INET, .sin_port = e->addr6.sin6_port };

	if (e->addr6.sin6_scope_id)
		return -EINVAL;
	memcpy(&addr4.sin_addr, &e->addr6.sin6_addr.s6_addr[12], 4);
	memset(e, 0, sizeof(*e));
	e->addr4 = addr4;
	return 0;
}

/* host: "2001:db8::1" or "fe80::1%2"; it is cut at the '%'. */
static int parse_host6(struct endpoint *e, char *host)
{
	char *percent = strchr(host, '%');

	if (percent) {
		*percent = '\0';
		if (parse_number(percent + 1, UINT32_MAX, &e->addr6.sin6_scope_id))
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, host, &e->addr6.sin6_addr) != 1)
		return -EINVAL;
	e->addr6.sin6_family = AF_INET6;
	if (IN6_IS_ADDR_V4MAPPED(&e->addr6.sin6_addr))
		return unmap(e);
	return 0;
}

/* Splits a copy of the text in place: "[host]:port" or "host:port". */
static int parse_parts(struct endpoint *e, char *text)
{
	bool bracketed = text[0] == '[';
	char *host = text + bracketed;
	char *end = strchr(host, bracketed ? ']' : ':');
	char *port;
	uint32_t number;

	if (!end)
		return -EINVAL;
	port = end + 1;
	if (bracketed && *port++ != ':')
		return -EINVAL;
	*end = '\0';
	/* Nothing can be sent to port 0. */
	if (parse_number(port, UINT16_MAX, &number) || !number)
		return -EINVAL;

	if (bracketed) {
		e->addr6.sin6_port = htons((uint16_t)number);
		return parse_host6(e, host);
	}
	if (inet_pton(AF_INET, host, &e->addr4.sin_addr) != 1)
		return -EINVAL;
	e->addr4.sin_family = AF_INET;
	e->addr4.sin_port = htons((uint16_t)number);
	return 0;
}

int endpoint_parse(struct endpoint *out, const char *text)
{
	struct endpoint e = { 0 };
	char copy[ENDPOINT_STRLEN];
	size_t len = strlen(text);

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len + 1);
	if (parse_parts(&e, copy))
		return -EINVAL;
	*out = e;
	return 0;
}

const char *endpoint_format(const struct endpoint *e, char buf[ENDPOINT_STRLEN])
{
	char host[INET6_ADDRSTRLEN];
	char scope[12] = "";

	if (e->addr.sa_family == AF_INET) {
		inet_ntop(AF_INET, &e->addr4.sin_addr, host, sizeof(host));
		snprintf(buf, ENDPOINT_STRLEN, "%s:%u", host, ntohs(e->addr4.sin_port));
	} else if (e->addr.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &e->addr6.sin6_addr, host, sizeof(host));
		if (e->addr6.sin6_scope_id)
			snprintf(scope, sizeof(scope), "%%%u", e->addr6.sin6_scope_id);
		snprintf(buf, ENDPOINT_STRLEN, "[%s%s]:%u", host, scope,
			 ntohs(e->addr6.sin6_port));
	} else {
		snprintf(buf, ENDPOINT_STRLEN, "(none)");
	}
	return buf;
}

/* Field by field: sockaddrs have padding, and flow labels are not identity. */
bool endpoint_same_remote(const struct endpoint *a, const struct endpoint *b)
{
	if (a->addr.sa_family != b->addr.sa_family)
		return false;
	if (a->addr.sa_family == AF_INET)
		return a->addr4.sin_port == b->addr4.sin_port &&
		       a->addr4.sin_addr.s_addr == b->addr4.sin_addr.s_addr;
	if (a->addr.sa_family == AF_INET6)
		return a->addr6.sin6_port == b->addr6.sin6_port &&
		       a->addr6.sin6_scope_id == b->addr6.sin6_scope_id &&
		       IN6_ARE_ADDR_EQUAL(&a->addr6.sin6_addr, &b->addr6.sin6_addr);
	return true;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	if (!endpoint_same_remote(a, b))
		return false;
	if (a->addr.sa_family == AF_UNSPEC)
		return true;
	if (a->src_ifindex != b->src_ifindex)
		return false;
	if (a->addr.sa_family == AF_INET)
		return a->src4.s_addr == b->src4.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a->src6, &b->src6);
}

void endpoint_clear_src(struct endpoint *e)
{
	memset(&e->src6, 0, sizeof(e->src6));
	e->src_ifindex = 0;
}

size_t endpoint_source_bytes(const struct endpoint *e, const uint8_t **addr)
{
	*addr = NULL;
	if (e->addr.sa_family == AF_INET) {
		*addr = (const uint8_t *)&e->addr4.sin_addr;
		return sizeof(e->addr4.sin_addr);
	}
	if (e->addr.sa_family == AF_INET6) {
		*addr = e->addr6.sin6_addr.s6_addr;
		return sizeof(e->addr6.sin6_addr);
	}
	return 0;
}

size_t endpoint_cookie_bytes(const struct endpoint *e, uint8_t out[ENDPOINT_BYTES])
{
	const uint8_t *addr;
	size_t len = endpoint_source_bytes(e, &addr);
	in_port_t port;

	if (!len)
		return 0;
	port = len == 4 ? e->addr4.sin_port : e->addr6.sin6_port;
	memcpy(out, addr, len);
	memcpy(out + len, &port, sizeof(port));
	return len + sizeof(port);
}
