/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: an inner packet of anything. Its header, its MSS, its pieces and the errors that
 * answer it, each held against a slow and obvious reading. The input is a byte of choices, an
 * MTU (2 bytes) and a packet.
 *
 * Length: 2000
 */
#include <check.h>

#include "../../src/path/fragment.h"
#include "../../src/path/icmp.h"
#include "../../src/path/mss.h"
#include "../packets.h"
#include "fuzz.h"

enum { FIX_SUM = 1 };

/* RFC 791 §3.1 and RFC 8200 §3, field by field. */
static void check_parse(const struct inner *in, const uint8_t *p, size_t len, bool ok)
{
	size_t claimed = len < 20 ? 0 : p[0] >> 4 == 4 ? (size_t)p[2] * 256 + p[3] :
			 p[0] >> 4 == 6 && len >= 40 ? 40u + p[4] * 256u + p[5] : 0;

	must(ok == (claimed >= 20 && claimed <= len));
	if (!ok)
		return;
	must(in->len == claimed && in->family == (p[0] >> 4 == 4 ? AF_INET : AF_INET6));
	must(in->src == p + (in->family == AF_INET ? 12 : 8));
	must(in->dst == p + (in->family == AF_INET ? 16 : 24));
}

/* Only the ECN bits become 11, and a right sum stays right (RFC 6040 §4.2). */
static void check_ce(const struct inner *in, const uint8_t *before, size_t len)
{
	struct input bytes = { before, len };
	uint8_t *p = take_copy(&bytes, len, &len);
	struct inner after;

	inner_set_ce(in, p);
	must(inner_parse(&after, p, len));
	must(after.ecn == (in->ecn == ECN_NOT_ECT ? ECN_NOT_ECT : ECN_CE));
	if (in->family == AF_INET && naive_sum(0, before, 20) == 0xffff)
		must(naive_sum(0, p, 20) == 0xffff);
	for (size_t i = 0; i < len; i++)
		must(p[i] == before[i] || i == 1 || (in->family == AF_INET && (i == 10 || i == 11)));
	free(p);
}

/* Of two bytes each at most ten options, and the checksum, may differ. */
static void check_clamp(const struct inner *in, uint8_t *packet, const uint8_t *before,
			size_t len, uint16_t mtu)
{
	size_t differ = 0;

	if (!mss_may_be_syn(in, packet)) {
		must(!mss_clamp(in, packet, mtu)); /* or the cheap look has missed one */
		return;
	}
	(void)mss_clamp(in, packet, mtu);
	for (size_t i = 0; i < len; i++)
		differ += packet[i] != before[i];
	must(differ <= 2 + 2 * 10);
	/* What was lowered is low enough: a second time changes nothing. */
	must(!mss_clamp(in, packet, mtu));
}

/* The pieces lie one behind the other, and are all of the payload (RFC 791 §3.2). */
static void check_cut(const struct inner *in, const uint8_t *packet, size_t mtu)
{
	size_t ihl = (size_t)(packet[0] & 15) * 4, at = 0, done = 0, n;
	unsigned base = load_be16(packet + 6) & 0x1fff;
	bool more = true, was_more = load_be16(packet + 6) & 0x2000;
	uint8_t *out = malloc(mtu);

	must(out);
	while ((n = fragment_next(out, mtu, in, packet, &done))) {
		must(n <= mtu && n > ihl && load_be16(out + 2) == n && more);
		must(naive_sum(0, out, ihl) == 0xffff);
		must((load_be16(out + 6) & 0x1fff) == ((base + at / 8) & 0x1fff));
		must(!memcmp(out + ihl, packet + ihl + at, n - ihl));
		at += n - ihl;
		must(done == at);
		more = load_be16(out + 6) & 0x2000 && at < in->len - ihl;
	}
	must(!at || (at == in->len - ihl && (load_be16(out + 6) & 0x2000 || !was_more)));
	free(out);
}

static void check_error(const uint8_t *out, size_t n, const struct inner *in, const uint8_t *packet,
			size_t len)
{
	struct inner error;
	uint32_t pseudo = 0;
	size_t quoted;

	if (!n)
		return;
	must(inner_parse(&error, out, n) && error.len == n && error.family == in->family);
	must(n <= (in->family == AF_INET ? 576u : 1280u));
	quoted = n - (in->family == AF_INET ? 28 : 48);
	must(!memcmp(out + n - quoted, packet, quoted) && quoted <= len);
	/* It goes where that came from, as if from where that went. */
	must(!memcmp(error.dst, in->src, in->family == AF_INET ? 4 : 16));
	must(!memcmp(error.src, in->dst, in->family == AF_INET ? 4 : 16));
	/* Never to many (RFC 4443 §2.4 (e), RFC 1122 §3.2.2). */
	must(in->family == AF_INET ? error.dst[0] && error.dst[0] < 224 : error.dst[0] != 0xff);
	if (in->family == AF_INET) {
		must(naive_sum(0, out, 20) == 0xffff);
		must(naive_sum(0, out + 20, n - 20) == 0xffff);
		/* An error answers no error: ours would be one. */
		must(!icmp_unreachable((uint8_t[ICMP_ERROR_MAX]){ 0 }, &error, out, n));
		return;
	}
	pseudo = naive_sum((uint32_t)(n - 40) + IPPROTO_ICMPV6, out + 8, 32);
	must(naive_sum(pseudo, out + 40, n - 40) == 0xffff);
	must(!icmp_unreachable((uint8_t[ICMP_ERROR_MAX]){ 0 }, &error, out, n));
}

/* In memory of exactly that size. */
static void check_errors(const struct inner *in, const uint8_t *packet, size_t len, uint16_t mtu)
{
	uint8_t *out = malloc(ICMP_ERROR_MAX);

	must(out);
	check_error(out, icmp_unreachable(out, in, packet, len), in, packet, len);
	check_error(out, icmp_too_big(out, in, packet, len, mtu), in, packet, len);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size }, again;
	uint8_t choices = take_u8(&input);
	uint16_t mtu = take_be16(&input);
	uint8_t *packet, *before;
	struct inner in;
	size_t len;
	bool ok;

	packet = take_copy(&input, input.size, &len);
	if (choices & FIX_SUM && len >= 20) {
		store_be16(packet + 10, 0);
		store_be16(packet + 10, (uint16_t)~naive_sum(0, packet, 20));
	}
	again = (struct input){ packet, len };
	before = take_copy(&again, len, &len);
	ok = inner_parse(&in, packet, len);
	check_parse(&in, packet, len, ok);
	if (ok) {
		check_ce(&in, before, len);
		check_errors(&in, packet, len, mtu);
		if (fragment_may(&in, packet) && mtu >= FRAGMENT_MTU_MIN)
			check_cut(&in, packet, mtu);
		check_clamp(&in, packet, before, len, mtu);
	}
	free(before);
	free(packet);
	return 0;
}
