/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer over everything a neighbour can send: both parsers, and the answer
 * to whatever they accept.
 *
 * Length: 256
 *
 * An ICMPv6 checksum is not guessed: every input is tried as it is, and once
 * more with its checksum made right.
 */
#include "../../src/neighbor/arp.h"
#include "../../src/neighbor/ndp.h"
#include "../neighbor_frames.h"
#include "fuzz.h"

static const uint8_t us[ETHER_ADDR_LEN] = { 2, 0, 0, 0, 0, 1 };

static void try_ndp(const uint8_t *data, size_t size)
{
	struct ndp_advertisement advertisement;
	struct ndp_solicitation solicitation;
	uint8_t built[NDP_ADVERTISEMENT_MAX];
	struct frame_na na;
	size_t i, len;

	if (ndp_parse_solicitation(data, size, &solicitation) != NDP_OK)
		return;
	for (i = 0; i < solicitation.nonce_len; i++)
		(void)*(volatile const uint8_t *)&solicitation.nonce[i];
	ndp_answer(&advertisement, &solicitation, us, solicitation.target);
	len = ndp_build_advertisement(built, sizeof(built), &advertisement);
	must(frame_read_advertisement(built, len, &na));
	/* Never to a group, but for duplicate address detection. */
	must(solicitation.is_dad || !(built[0] & 1));
}

static void try_arp(const uint8_t *data, size_t size)
{
	uint8_t built[ARP_FRAME_MAX];
	struct arp_request request;

	if (arp_parse_request(data, size, &request) != ARP_OK)
		return;
	must(arp_build_reply(built, sizeof(built), &request, us) >= 42);
	must(!(built[0] & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f = { .len = size };

	try_ndp(data, size);
	try_arp(data, size);
	if (size > sizeof(f.data) || size < 18 + 40)
		return 0;
	memcpy(f.data, data, size);
	frame_seal(&f, data[12] == 0x81 && data[13] == 0 ? 18 : 14);
	try_ndp(f.data, f.len);
	return 0;
}
