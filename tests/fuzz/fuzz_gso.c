/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: segmentation of anything. Each segment is the next piece of the payload behind headers
 * whose lengths and checksums are right, summed the slow way. The input is a layout (3 bytes), a
 * virtio_net_hdr and a packet.
 *
 * Length: 2000
 */
#include <check.h>
#include <netinet/in.h>

#include "../../tun/gso.h"
#include "../packets.h"
#include "fuzz.h"

enum { ROOM = 20000, SEGS = 300 };

/* The slot lies within what was used, and the segment within its slot. */
static void check_place(const struct span *s, const struct gso_layout *l, const uint8_t *out,
			size_t used)
{
	must(s->len && s->data >= out + l->headroom &&
	     s->data + s->len + l->tailroom <= out + used);
}

/* sums: the transport checksum does not rest on what the sender has left in its field. */
static void check_segment(const struct gso *g, const struct span *s, size_t at, bool sums)
{
	const uint8_t *p = s->data;
	size_t n = s->len - g->hdr_len;
	uint32_t pseudo;

	must(s->len >= g->hdr_len && at + n <= g->payload && (n || !g->payload));
	must(!memcmp(p + g->hdr_len, g->pkt + g->hdr_len + at, n));
	must(g->ip4 ? load_be16(p + 2) == s->len : load_be16(p + 4) + 40u == s->len);
	must(!g->ip4 || naive_sum(0, p, (size_t)(p[0] & 15) * 4) == 0xffff);
	if (!sums)
		return;
	pseudo = (uint32_t)(s->len - g->l4) + (g->hdr_len - g->l4 == 8 ? IPPROTO_UDP : IPPROTO_TCP);
	pseudo = naive_sum(pseudo, p + (g->ip4 ? 12 : 8), g->ip4 ? 8 : 32);
	must(naive_sum(pseudo, p + g->l4, s->len - g->l4) == 0xffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gso_layout l = { .headroom = 16, .tailroom = 16 };
	struct input in = { data, size };
	struct virtio_net_hdr vh;
	struct span segs[SEGS];
	size_t used, n, len, asked, at = 0;
	uint8_t *out, *pkt;
	bool sums, split;
	struct gso g;

	l.align = (size_t)1 << (take_u8(&in) & 7);
	l.max = (size_t)take_u8(&in) * 8;
	asked = 1 + take_u8(&in);
	take_bytes(&in, &vh, sizeof(vh));
	split = (vh.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE;
	sums = !(vh.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	len = in.size;
	pkt = take_copy(&in, len, &len);
	out = malloc(ROOM);
	must(out);
	if (!gso_begin(&g, &vh, pkt, len)) {
		do { /* again and again over the same room */
			n = gso_next(&g, &l, out, ROOM, segs, asked, &used);
			must(n <= asked && used <= ROOM);
			for (size_t i = 0; i < n; i++) {
				check_place(&segs[i], &l, out, used);
				if (!split)
					continue;
				check_segment(&g, &segs[i], at, sums);
				at += segs[i].len - g.hdr_len;
			}
			must(!split || at == g.done);
		} while (n && !gso_finished(&g));
	}
	free(out);
	free(pkt);
	return 0;
}
