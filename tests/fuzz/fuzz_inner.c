/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: the MSS of anything, and anything cut to pieces. The input is an MTU (2
 * bytes) and a packet.
 *
 * Length: 2000
 */
#include "../../src/path/fragment.h"
#include "../../src/path/mss.h"
#include "fuzz.h"

/* Of two bytes each at most 15 options, and the checksum, may differ. */
static void check_clamp(const struct inner *in, uint8_t *packet, const uint8_t *before,
			size_t len, uint16_t mtu)
{
	size_t differ = 0;

	if (!mss_may_be_syn(in, packet)) {
		if (mss_clamp(in, packet, mtu))
			abort(); /* the cheap look has missed one */
		return;
	}
	(void)mss_clamp(in, packet, mtu);
	for (size_t i = 0; i < len; i++)
		differ += packet[i] != before[i];
	if (differ > 2 + 2 * 10)
		abort();
	/* What was lowered is low enough: a second time changes nothing. */
	if (mss_clamp(in, packet, mtu))
		abort();
}

static void check_cut(const struct inner *in, const uint8_t *packet, size_t mtu)
{
	size_t done = 0, before = 0, n;
	uint8_t *out = malloc(mtu);

	if (!out)
		abort();
	while ((n = fragment_next(out, mtu, in, packet, &done))) {
		if (n > mtu || done <= before)
			abort();
		before = done;
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inner in;
	uint8_t *packet;
	uint16_t mtu;
	size_t len;

	if (size < 3)
		return 0;
	mtu = load_be16(data);
	len = size - 2;
	packet = malloc(len);
	if (!packet)
		abort();
	memcpy(packet, data + 2, len);
	if (inner_parse(&in, packet, len)) {
		check_clamp(&in, packet, data + 2, len, mtu);
		if (fragment_may(&in, packet) && mtu >= FRAGMENT_MTU_MIN)
			check_cut(&in, packet, mtu);
	}
	free(packet);
	return 0;
}
