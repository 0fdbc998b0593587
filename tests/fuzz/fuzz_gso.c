/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: segmentation of anything. The input is a layout (3 bytes), a virtio_net_hdr
 * and a packet.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE \
 *		tests/fuzz/fuzz_gso.c tun/gso.c tun/checksum.c
 */
#include <stdlib.h>

#include "../../tun/gso.h"

enum { ROOM = 20000, SEGS = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gso_layout l = { .headroom = 16, .tailroom = 16 };
	struct virtio_net_hdr vh;
	struct span segs[SEGS];
	size_t used, n, i, len;
	uint8_t *out, *pkt;
	struct gso g;

	if (size < 3 + sizeof(vh))
		return 0;
	l.align = (size_t)1 << (data[0] & 7);
	l.max = (size_t)data[1] * 8;
	memcpy(&vh, data + 3, sizeof(vh));
	len = size - 3 - sizeof(vh);
	/* Of exact size, so that the sanitizer sees each byte beyond. */
	pkt = malloc(len ? len : 1);
	out = malloc(ROOM);
	if (!pkt || !out)
		abort();
	memcpy(pkt, data + 3 + sizeof(vh), len);
	if (!gso_begin(&g, &vh, pkt, len)) {
		n = gso_next(&g, &l, out, ROOM, segs, 1 + data[2], &used);
		if (n > 1u + data[2] || used > ROOM)
			abort();
		for (i = 0; i < n; i++)
			if (!segs[i].len || segs[i].data < out + l.headroom ||
			    segs[i].data + segs[i].len + l.tailroom > out + used)
				abort();
		while (!gso_finished(&g) && n) /* the rest, over the same room */
			n = gso_next(&g, &l, out, ROOM, segs, SEGS, &used);
	}
	free(out);
	free(pkt);
	return 0;
}
