/* SPDX-License-Identifier: MIT */
/* ICMP and ICMPv6 errors. */
#include "icmp.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include "../../tun/checksum.h"

enum {
	ICMP_HEADER_LEN = 8,
	ICMP4_MAX = 576,
	ERROR_TTL = 64
};

/* What an error says. */
struct error {
	uint8_t type, code;
	uint16_t mtu; /* 0: not about a size */
};

static bool is_bad_source4(const uint8_t a[4])
{
	return a[0] == 0 || a[0] >= 224;
}

/* Would an error answer an error, or shout at many? RFC 1122 §3.2.2. */
static bool may_answer4(const struct inner *in, const uint8_t *p, size_t len)
{
	size_t ihl = (size_t)(p[0] & 15) * 4;

	if (is_bad_source4(in->src) || in->dst[0] >= 224)
		return false;
	if (load_be16(p + 6) & 0x1fff)
		return false;
	if (p[9] != IPPROTO_ICMP)
		return true;
	if (len <= ihl)
		return false;
	return p[ihl] == ICMP_ECHO || p[ihl] == ICMP_ECHOREPLY || p[ihl] == ICMP_TIMESTAMP;
}

static size_t error4(uint8_t *out, const struct error *e, const struct inner *in,
		     const uint8_t *p, size_t len)
{
	size_t quoted = min(len, (size_t)(ICMP4_MAX - IPV4_HEADER_MIN - ICMP_HEADER_LEN));
	size_t total = IPV4_HEADER_MIN + ICMP_HEADER_LEN + quoted;
	uint8_t *icmp = out + IPV4_HEADER_MIN;

	if (!may_answer4(in, p, len))
		return 0;
	memset(out, 0, IPV4_HEADER_MIN + ICMP_HEADER_LEN);
	out[0] = 0x45;
	out[1] = 0xc0; /* network control: RFC 1812 §4.3.2.5 */
	store_be16(out + 2, (uint16_t)total);
	out[8] = ERROR_TTL;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, in->dst, 4);
	memcpy(out + 16, in->src, 4);
	checksum_store(out + 10, checksum_finish(checksum_add(0, out, IPV4_HEADER_MIN)));
	icmp[0] = e->type;
	icmp[1] = e->code;
	store_be16(icmp + 6, e->mtu);
	memcpy(icmp + ICMP_HEADER_LEN, p, quoted);
	checksum_store(icmp + 2, checksum_finish(checksum_add(0, icmp, ICMP_HEADER_LEN + quoted)));
	return total;
}

/*
 * RFC 4443 §2.4 (e). Extension headers are not walked: a packet that hides an
 * ICMPv6 error behind one cannot start a loop, as our answer carries none.
 */
static bool may_answer6(const struct inner *in, const uint8_t *p, size_t len)
{
	static const uint8_t unspecified[16];

	if (in->src[0] == 0xff || in->dst[0] == 0xff || !memcmp(in->src, unspecified, 16))
		return false;
	if (p[6] == IPPROTO_FRAGMENT)
		return len >= IPV6_HEADER_LEN + 8 &&
		       !(load_be16(p + IPV6_HEADER_LEN + 2) & 0xfff8);
	if (p[6] != IPPROTO_ICMPV6)
		return true;
	return len > IPV6_HEADER_LEN && p[IPV6_HEADER_LEN] & ICMP6_INFOMSG_MASK &&
	       p[IPV6_HEADER_LEN] != ND_REDIRECT;
}

static size_t error6(uint8_t *out, const struct error *e, const struct inner *in,
		     const uint8_t *p, size_t len)
{
	size_t quoted = min(len, (size_t)(ICMP_ERROR_MAX - IPV6_HEADER_LEN - ICMP_HEADER_LEN));
	size_t payload = ICMP_HEADER_LEN + quoted;
	uint8_t *icmp = out + IPV6_HEADER_LEN;
	uint64_t sum;

	if (!may_answer6(in, p, len))
		return 0;
	memset(out, 0, IPV6_HEADER_LEN + ICMP_HEADER_LEN);
	out[0] = 0x60;
	store_be16(out + 4, (uint16_t)payload);
	out[6] = IPPROTO_ICMPV6;
	out[7] = ERROR_TTL;
	memcpy(out + 8, in->dst, 16);
	memcpy(out + 24, in->src, 16);
	icmp[0] = e->type;
	icmp[1] = e->code;
	store_be32(icmp + 4, e->mtu);
	memcpy(icmp + ICMP_HEADER_LEN, p, quoted);
	sum = checksum_pseudo6(out + 8, IPPROTO_ICMPV6, payload);
	checksum_store(icmp + 2, checksum_finish(checksum_add(sum, icmp, payload)));
	return IPV6_HEADER_LEN + payload;
}

size_t icmp_unreachable(uint8_t out[ICMP_ERROR_MAX], const struct inner *in, const uint8_t *packet,
			size_t len)
{
	static const struct error host = { .type = ICMP_DEST_UNREACH, .code = ICMP_HOST_UNREACH };
	static const struct error address = { .type = ICMP6_DST_UNREACH,
					      .code = ICMP6_DST_UNREACH_ADDR };

	return in->family == AF_INET ? error4(out, &host, in, packet, len)
				     : error6(out, &address, in, packet, len);
}

size_t icmp_prohibited(uint8_t out[ICMP_ERROR_MAX], const struct inner *in, const uint8_t *packet,
		       size_t len)
{
	static const struct error host = { .type = ICMP_DEST_UNREACH, .code = ICMP_PKT_FILTERED };
	static const struct error address = { .type = ICMP6_DST_UNREACH,
					      .code = ICMP6_DST_UNREACH_ADMIN };

	return in->family == AF_INET ? error4(out, &host, in, packet, len)
				     : error6(out, &address, in, packet, len);
}

size_t icmp_too_big(uint8_t out[ICMP_ERROR_MAX], const struct inner *in, const uint8_t *packet,
		    size_t len, uint16_t mtu)
{
	const struct error needed = { .type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED,
				      .mtu = mtu };
	const struct error too_big = { .type = ICMP6_PACKET_TOO_BIG, .mtu = mtu };

	return in->family == AF_INET ? error4(out, &needed, in, packet, len)
				     : error6(out, &too_big, in, packet, len);
}
