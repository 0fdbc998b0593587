/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: segmentation of anything. The input is a layout (3 bytes), a virtio_net_hdr
 * and a packet.
 *
 * Length: 2000
 */
#include "../../tun/gso.h"
#include "fuzz.h"

enum { ROOM = 20000, SEGS = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gso_layout l = { .headroom = 16, .tailroom = 16 };
	struct input in = { data, size };
	struct virtio_net_hdr vh;
	struct span segs[SEGS];
	size_t used, n, i, len, asked;
	uint8_t *out, *pkt;
	struct gso g;

	l.align = (size_t)1 << (take_u8(&in) & 7);
	l.max = (size_t)take_u8(&in) * 8;
	asked = 1 + take_u8(&in);
	take_bytes(&in, &vh, sizeof(vh));
	len = in.size;
	pkt = take_copy(&in, len, &len);
	out = malloc(ROOM);
	must(out);
	if (!gso_begin(&g, &vh, pkt, len)) {
		n = gso_next(&g, &l, out, ROOM, segs, asked, &used);
		must(n <= asked && used <= ROOM);
		for (i = 0; i < n; i++)
			must(segs[i].len && segs[i].data >= out + l.headroom &&
			     segs[i].data + segs[i].len + l.tailroom <= out + used);
		while (!gso_finished(&g) && n) /* the rest, over the same room */
			n = gso_next(&g, &l, out, ROOM, segs, SEGS, &used);
	}
	free(out);
	free(pkt);
	return 0;
}
