/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: coalescing of anything. The input is a byte of GRO_* (and whether checksums are
 * made right, or hardly anything would ever be merged) and packets, each behind two
 * bytes of length. What is merged must come apart as it was, and segmentation must take it.
 *
 * Length: 4000
 */
#include <netinet/in.h>

#include "../../tun/checksum.h"
#include "../../tun/gro.h"
#include "fuzz.h"

enum { PACKETS = 32, FLAT = 70000, FIX_CHECKSUMS = 4 };

/* Make the checksums of a TCP or UDP packet without options right. */
static void fix_checksums(uint8_t *pkt, size_t len)
{
	bool ip4 = len && pkt[0] == 0x45;
	size_t l4 = ip4 ? 20 : 40, field;
	uint64_t pseudo;
	uint8_t proto;

	if (len < l4 + 20 || (!ip4 && pkt[0] >> 4 != 6))
		return;
	proto = pkt[ip4 ? 9 : 6];
	field = l4 + (proto == IPPROTO_TCP ? 16 : 6);
	if (ip4) {
		checksum_store(pkt + 10, 0);
		checksum_store(pkt + 10, checksum_finish(checksum_add(0, pkt, 20)));
		pseudo = checksum_pseudo4(pkt + 12, proto, len - l4);
	} else {
		pseudo = checksum_pseudo6(pkt + 8, proto, len - l4);
	}
	checksum_store(pkt + field, 0);
	checksum_store(pkt + field,
		       checksum_finish_nonzero(checksum_add(pseudo, pkt + l4, len - l4)));
}

static void check_super(struct gro *g, struct gro_super *s)
{
	static const struct gso_layout bare = { .align = 1 };
	static uint8_t flat[FLAT], out[FLAT * 2];
	static struct span segs[PACKETS];
	size_t len = 0, i;
	int n;

	for (i = 1; i < s->iov_count; i++) {
		must(len + g->iov[s->iov + i].iov_len <= FLAT);
		memcpy(flat + len, g->iov[s->iov + i].iov_base, g->iov[s->iov + i].iov_len);
		len += g->iov[s->iov + i].iov_len;
	}
	if (s->iov_count > 2) {
		n = gso_split(&s->vh, flat, len, &bare, out, sizeof(out), segs, PACKETS);
		must(n == (int)gro_packets(s));
	}
	gro_undo(g, s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size }, copy;
	struct span pkts[PACKETS], before[PACKETS];
	uint8_t mode = take_u8(&in);
	size_t n = 0, total = 0, i;
	struct gro g;

	must(!gro_init(&g, PACKETS));
	for (; in.size && n < PACKETS; n++) {
		pkts[n].data = take_copy(&in, take_be16(&in), &pkts[n].len);
		if (mode & FIX_CHECKSUMS)
			fix_checksums(pkts[n].data, pkts[n].len);
		copy = (struct input){ pkts[n].data, pkts[n].len };
		before[n].data = take_copy(&copy, pkts[n].len, &before[n].len);
	}
	gro_coalesce(&g, pkts, n, mode & (GRO_TCP | GRO_UDP));
	for (i = 0; i < g.n_supers; i++) {
		total += gro_packets(&g.supers[i]);
		check_super(&g, &g.supers[i]);
	}
	must(total == n);
	for (i = 0; i < n; i++) {
		must(!memcmp(pkts[i].data, before[i].data, pkts[i].len));
		free(pkts[i].data);
		free(before[i].data);
	}
	gro_free(&g);
	return 0;
}
