/* SPDX-License-Identifier: MIT */
/* Address ranges: text to value and back, and who lies within whom. */
#include "prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

/* Do the first n bits agree? */
static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned n)
{
	unsigned rest = n % 8;

	if (memcmp(a, b, n / 8))
		return false;
	return !rest || !((a[n / 8] ^ b[n / 8]) >> (8 - rest));
}

static void clear_host_bits(struct prefix *p)
{
	unsigned byte = p->cidr / 8;

	if (byte >= sizeof(p->addr))
		return;
	p->addr[byte] &= (uint8_t)~(0xff >> p->cidr % 8);
	memset(p->addr + byte + 1, 0, sizeof(p->addr) - byte - 1);
}

/* Plain decimal, as short as it can be: "0", "24", never "024" or "+24". */
static int parse_cidr(const char *text, unsigned limit)
{
	unsigned value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 3; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	if (!i || text[i] || (i > 1 && text[0] == '0') || value > limit)
		return -EINVAL;
	return (int)value;
}

int prefix_parse(struct prefix *out, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN];
	struct prefix p = { 0 };
	int cidr;

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = '\0';

	p.family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(p.family, addr, p.addr) != 1)
		return -EINVAL;

	cidr = (int)prefix_bits(p.family);
	if (slash)
		cidr = parse_cidr(slash + 1, prefix_bits(p.family));
	if (cidr < 0)
		return cidr;
	p.cidr = (uint8_t)cidr;
	clear_host_bits(&p);
	*out = p;
	return 0;
}

const char *prefix_format(const struct prefix *p, char buf[PREFIX_STRLEN])
{
	size_t len;

	if (!inet_ntop(p->family, p->addr, buf, INET6_ADDRSTRLEN))
		return strcpy(buf, "(none)");
	len = strlen(buf);
	snprintf(buf + len, PREFIX_STRLEN - len, "/%u", p->cidr);
	return buf;
}

bool prefix_contains(const struct prefix *outer, const struct prefix *inner)
{
	return outer->family == inner->family && outer->cidr <= inner->cidr &&
	       bits_equal(outer->addr, inner->addr, outer->cidr);
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->cidr == b->cidr && prefix_contains(a, b);
}
