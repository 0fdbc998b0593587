/* SPDX-License-Identifier: MIT */
/* Fragments of IPv4 packets. */
#include "fragment.h"

#include "../../tun/checksum.h"

enum {
	MORE_FRAGMENTS = 0x2000,
	OFFSET_MASK = 0x1fff,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_COPIED = 0x80
};

/* Options that belong to the first fragment only become "no operation" (RFC 791 §3.1). */
static void blank_options(uint8_t *header, size_t ihl)
{
	size_t at = IPV4_HEADER_MIN;

	while (at < ihl && header[at] != OPTION_END) {
		size_t len = 1;

		if (header[at] != OPTION_NOP) {
			if (at + 2 > ihl || header[at + 1] < 2 || at + header[at + 1] > ihl)
				return;
			len = header[at + 1];
		}
		if (!(header[at] & OPTION_COPIED))
			memset(header + at, OPTION_NOP, len);
		at += len;
	}
}

size_t fragment_next(uint8_t *out, size_t mtu, const struct inner *in, const uint8_t *packet,
		     size_t *done)
{
	size_t ihl = (size_t)(packet[0] & 15) * 4, payload, n;
	uint16_t word = load_be16(packet + 6);
	bool last;

	if (ihl < IPV4_HEADER_MIN || ihl >= in->len || ihl + *done >= in->len)
		return 0;
	payload = in->len - ihl - *done;
	last = ihl + payload <= mtu;
	/* All but the last are a multiple of 8 bytes. */
	n = last ? payload : (mtu - ihl) & ~(size_t)7;
	memcpy(out, packet, ihl);
	memcpy(out + ihl, packet + ihl + *done, n);
	if (*done)
		blank_options(out, ihl);
	store_be16(out + 2, (uint16_t)(ihl + n));
	/* A fragment may itself be cut: its offset is where ours begin. */
	store_be16(out + 6, (uint16_t)((word & ~OFFSET_MASK) | (last ? 0 : MORE_FRAGMENTS) |
				       (((word & OFFSET_MASK) + *done / 8) & OFFSET_MASK)));
	memset(out + 10, 0, 2);
	checksum_store(out + 10, checksum_finish(checksum_add(0, out, ihl)));
	*done += n;
	return ihl + n;
}
