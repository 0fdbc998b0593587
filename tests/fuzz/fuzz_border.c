/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: what a gateway lets a tenant send, of anything. The input is an inner packet,
 * of somebody whose AllowedIPs are all addresses.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE \
 *		-DURCU_INLINE_SMALL_FUNCTIONS tests/fuzz/fuzz_border.c src/path/border.c \
 *		src/table/allowedips.c src/table/hostmap.c src/base/prefix.c \
 *		$(pkg-config --cflags --libs liburcu-qsbr libsodium)
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "../../src/path/border.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct datapath dp = { .gateway = true };
static struct peer peer;

static void give_everything(void)
{
	struct prefix all4 = { .family = AF_INET }, all6 = { .family = AF_INET6 };

	rcu_register_thread();
	allowedips_init(&dp.allowedips);
	border_prefix_added(&dp, &peer, &all4);
	border_prefix_added(&dp, &peer, &all6);
	if (allowedips_insert(&dp.allowedips, &all4, &peer, NULL) ||
	    allowedips_insert(&dp.allowedips, &all6, &peer, NULL))
		abort();
}

/* What must never pass, as it is seen at first sight. */
static void check_passed(const struct inner *in, const uint8_t *p)
{
	if (in->family == AF_INET) {
		if (in->src[0] == 127 || in->src[0] >= 224 || in->dst[0] == 127)
			abort();
		if ((p[0] & 15) < 5 || (p[0] & 15) * 4u > in->len)
			abort();
		return;
	}
	if (in->src[0] == 0xff || (in->src[0] == 0xfe && (in->src[1] & 0xc0) == 0x80))
		abort();
	if (p[6] == IPPROTO_ICMPV6 && (in->len == IPV6_HEADER_LEN ||
				       (p[IPV6_HEADER_LEN] >= 133 && p[IPV6_HEADER_LEN] <= 137)))
		abort();
	if (p[6] == IPPROTO_ROUTING && !p[IPV6_HEADER_LEN + 2])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum drop_reason reason;
	struct inner in, exact;
	uint8_t *packet;

	if (!peer.border)
		give_everything();
	if (!inner_parse(&in, data, size))
		return 0;
	/* Nothing behind what the header claims: reading there is found. */
	packet = malloc(in.len);
	if (!packet)
		abort();
	memcpy(packet, data, in.len);
	if (!inner_parse(&exact, packet, in.len))
		abort();
	reason = border_check(&dp, &peer, &exact, packet);
	if (reason == DROP_REASON_COUNT)
		check_passed(&exact, packet);
	else if (reason != DROP_SOURCE_NOT_ALLOWED && reason != DROP_LINK_SCOPE &&
		 reason != DROP_SOURCE_ROUTE && reason != DROP_INNER_MALFORMED)
		abort();
	free(packet);
	return 0;
}
