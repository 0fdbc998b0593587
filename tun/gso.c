/* SPDX-License-Identifier: MIT */
/*
 * Segmentation of TCP (IPv4, IPv6) and UDP, and of the trivial case: one packet that
 * only wants its checksum.
 *
 * What is the same in all segments is summed once, at the start; a segment then costs one
 * copy, one pass over its payload while that is in the first-level cache, and a
 * handful of additions.
 */
#include "gso.h"

#include <errno.h>
#include <netinet/in.h>

#include "checksum.h"
#include "inet.h"

enum kind {
	WHOLE,      /* as it is */
	WHOLE_CSUM, /* as it is, with its checksum completed */
	TCP,
	UDP
};

/*
 * Where the transport header of @proto stands in an IP packet: behind options, or
 * behind the extension headers that Linux itself segments beneath.
 */
static int find_transport(const uint8_t *pkt, size_t len, bool ip4, uint8_t proto, size_t *l4)
{
	size_t at = IP6_HDR;
	uint8_t next;

	if (ip4) {
		if (len < IP4_HDR_MIN || pkt[0] >> 4 != 4 || pkt[IP4_PROTO] != proto)
			return -EINVAL;
		if (load_be16(pkt + IP4_FRAG) & ~IP4_DF)
			return -EINVAL;
		at = ip4_hdr_len(pkt);
		if (at < IP4_HDR_MIN || at > len)
			return -EINVAL;
		*l4 = at;
		return 0;
	}
	if (len < IP6_HDR || pkt[0] >> 4 != 6)
		return -EINVAL;
	next = pkt[IP6_NEXT];
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
		if (len - at < 8)
			return -EINVAL;
		next = pkt[at];
		at += ((size_t)pkt[at + 1] + 1) * 8; /* RFC 8200 §4.3: not counting the first 8 */
		if (at > len)
			return -EINVAL;
	}
	*l4 = at;
	return next == proto ? 0 : -EINVAL;
}

/* The IPv4 header without the fields that each segment has its own of. */
static uint64_t sum_ip4_header(const uint8_t *pkt, size_t hdr_len)
{
	return checksum_add(0, pkt, hdr_len) + checksum_minus(checksum_load(pkt + IP4_LEN)) +
	       checksum_minus(checksum_load(pkt + IP4_ID)) +
	       checksum_minus(checksum_load(pkt + IP4_CHECK));
}

/*
 * The pseudo header without its length. A sender that left the checksum to us put the
 * pseudo header's sum into @field, and knows better what it is: behind a routing header,
 * the destination is not the one in the IP header (RFC 8200 §8.1). Otherwise the
 * field holds a finished checksum, which says nothing.
 */
static uint64_t sum_pseudo(const struct virtio_net_hdr *vh, const struct gso *g,
			   const uint8_t *field, size_t l4_len, uint8_t proto)
{
	if (vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return (uint64_t)checksum_load(field) +
		       checksum_minus(htobe16((uint16_t)l4_len));
	if (g->ip4)
		return checksum_pseudo4(g->pkt + IP4_ADDRS, proto, 0);
	return checksum_pseudo6(g->pkt + IP6_ADDRS, proto, 0);
}

static int begin_tcp(struct gso *g, const struct virtio_net_hdr *vh, size_t len)
{
	const uint8_t *tcp = g->pkt + g->l4;
	size_t hdr_len;

	if (len - g->l4 < TCP_HDR_MIN)
		return -EINVAL;
	hdr_len = tcp_hdr_len(tcp);
	if (hdr_len < TCP_HDR_MIN || hdr_len > len - g->l4)
		return -EINVAL;
	g->hdr_len = g->l4 + hdr_len;
	g->seq = load_be32(tcp + TCP_SEQ);
	g->flags = tcp[TCP_FLAGS];
	g->l4_sum = checksum_add(0, tcp, TCP_SEQ) +
		    checksum_add(0, tcp + TCP_ACK_SEQ, TCP_DOFF - TCP_ACK_SEQ) +
		    htobe16((uint16_t)(tcp[TCP_DOFF] << 8)) +
		    checksum_add(0, tcp + TCP_WINDOW, TCP_CHECK - TCP_WINDOW) +
		    checksum_add(0, tcp + TCP_URGENT, hdr_len - TCP_URGENT) +
		    sum_pseudo(vh, g, tcp + TCP_CHECK, len - g->l4, IPPROTO_TCP);
	return 0;
}

static int begin_udp(struct gso *g, const struct virtio_net_hdr *vh, size_t len)
{
	const uint8_t *udp = g->pkt + g->l4;

	if (len - g->l4 < UDP_HDR)
		return -EINVAL;
	g->hdr_len = g->l4 + UDP_HDR;
	g->l4_sum = checksum_add(0, udp, UDP_LEN) +
		    sum_pseudo(vh, g, udp + UDP_CHECK, len - g->l4, IPPROTO_UDP);
	return 0;
}

/* A checksum field that is not where the protocol has it would be left wrong. */
static bool csum_agrees(const struct virtio_net_hdr *vh, const struct gso *g)
{
	if (!(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	return vh->csum_start == g->l4 &&
	       vh->csum_offset == (g->kind == TCP ? TCP_CHECK : UDP_CHECK);
}

static int begin_super(struct gso *g, const struct virtio_net_hdr *vh, size_t len)
{
	int err;

	switch (vh->gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
		g->kind = TCP;
		g->ip4 = true;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		g->kind = TCP;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4: /* the only type that does not tell its version */
		g->kind = UDP;
		g->ip4 = g->pkt[0] >> 4 == 4;
		break;
	default:
		return -EINVAL;
	}
	/* Lengths of IP are 16 bits, and no segment is longer than the whole. */
	if (!vh->gso_size || len > (g->ip4 ? UINT16_MAX : UINT16_MAX + (size_t)IP6_HDR))
		return -EINVAL;
	err = find_transport(g->pkt, len, g->ip4, g->kind == TCP ? IPPROTO_TCP : IPPROTO_UDP,
			     &g->l4);
	if (!err && !csum_agrees(vh, g))
		err = -EINVAL;
	if (!err)
		err = g->kind == TCP ? begin_tcp(g, vh, len) : begin_udp(g, vh, len);
	if (err)
		return err;
	if (g->hdr_len == len)
		return -EINVAL;
	g->size = vh->gso_size;
	g->payload = len - g->hdr_len;
	if (g->ip4) {
		g->id = load_be16(g->pkt + IP4_ID);
		g->ip_sum = sum_ip4_header(g->pkt, g->l4);
	}
	return 0;
}

static int begin_whole(struct gso *g, const struct virtio_net_hdr *vh, size_t len)
{
	size_t field = (size_t)vh->csum_start + vh->csum_offset;

	g->kind = WHOLE;
	g->payload = len;
	g->size = len;
	if (!(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (field + sizeof(be16) > len)
		return -EINVAL;
	g->kind = WHOLE_CSUM;
	g->csum_start = vh->csum_start;
	g->csum_offset = vh->csum_offset;
	return 0;
}

int gso_begin(struct gso *g, const struct virtio_net_hdr *vh, const uint8_t *pkt, size_t len)
{
	int err = -EINVAL;

	memset(g, 0, sizeof(*g));
	g->pkt = pkt;
	if (len && len <= GSO_MAX_PACKET)
		err = vh->gso_type == VIRTIO_NET_HDR_GSO_NONE ? begin_whole(g, vh, len) :
								begin_super(g, vh, len);
	if (err) /* finished, as far as gso_next() is concerned */
		memset(g, 0, sizeof(*g));
	return err;
}

static void finish_ip(struct gso *g, uint8_t *ip, size_t len)
{
	if (!g->ip4) {
		store_be16(ip + IP6_LEN, (uint16_t)(len - IP6_HDR));
		return;
	}
	store_be16(ip + IP4_LEN, (uint16_t)len);
	store_be16(ip + IP4_ID, g->id);
	checksum_store(ip + IP4_CHECK,
		       checksum_finish(g->ip_sum + htobe16((uint16_t)len) + htobe16(g->id)));
	g->id++;
}

/* @sum: the payload's. */
static void finish_tcp(const struct gso *g, uint8_t *tcp, size_t len, uint64_t sum, bool last)
{
	uint32_t seq = g->seq + (uint32_t)g->done;
	uint8_t flags = g->flags;

	if (g->done)
		flags &= (uint8_t)~TCP_FLAG_CWR; /* once per window, RFC 3168 §6.1.2 */
	if (!last)
		flags &= (uint8_t)~(TCP_FLAG_FIN | TCP_FLAG_PSH);
	store_be32(tcp + TCP_SEQ, seq);
	tcp[TCP_FLAGS] = flags;
	sum += g->l4_sum + htobe32(seq) + htobe16(flags) + htobe16((uint16_t)len);
	checksum_store(tcp + TCP_CHECK, checksum_finish(sum));
}

static void finish_udp(const struct gso *g, uint8_t *udp, size_t len, uint64_t sum)
{
	store_be16(udp + UDP_LEN, (uint16_t)len);
	/* Twice the length: once in the header, once in the pseudo header. */
	sum += g->l4_sum + 2 * (uint64_t)htobe16((uint16_t)len);
	checksum_store(udp + UDP_CHECK, checksum_finish_nonzero(sum));
}

/* @pkt is complete but for what differs by segment. */
static void finish_segment(struct gso *g, uint8_t *pkt, size_t len, bool last)
{
	size_t l4_len = len - g->l4;
	uint64_t sum;

	switch (g->kind) {
	case WHOLE:
		break;
	case WHOLE_CSUM:
		/* begin_whole() has checked that the field is inside. */
		(void)!checksum_complete(pkt, len, g->csum_start, g->csum_offset);
		break;
	case TCP:
		finish_ip(g, pkt, len);
		sum = checksum_add(0, pkt + g->hdr_len, len - g->hdr_len);
		finish_tcp(g, pkt + g->l4, l4_len, sum, last);
		break;
	case UDP:
		finish_ip(g, pkt, len);
		sum = checksum_add(0, pkt + g->hdr_len, len - g->hdr_len);
		finish_udp(g, pkt + g->l4, l4_len, sum);
		break;
	}
}

size_t gso_next(struct gso *g, const struct gso_layout *l, uint8_t *out, size_t out_len,
		struct span *segs, size_t max_segs, size_t *used)
{
	size_t at = 0, n = 0;

	while (!gso_finished(g) && n < max_segs) {
		size_t chunk = min(g->size, g->payload - g->done);
		size_t len = g->hdr_len + chunk;
		size_t slot = gso_slot(l, len);
		uint8_t *pkt;

		if (slot > out_len - at)
			break;
		pkt = out + at + l->headroom;
		memcpy(pkt, g->pkt, g->hdr_len);
		memcpy(pkt + g->hdr_len, g->pkt + g->hdr_len + g->done, chunk);
		memset(pkt + len, 0, gso_padded(l, len) - len);
		finish_segment(g, pkt, len, g->done + chunk == g->payload);
		segs[n++] = (struct span){ .data = pkt, .len = len };
		g->done += chunk;
		at += slot;
	}
	*used = at;
	return n;
}

int gso_split(const struct virtio_net_hdr *vh, const uint8_t *pkt, size_t len,
	      const struct gso_layout *l, uint8_t *out, size_t out_len, struct span *segs,
	      size_t max_segs)
{
	struct gso g;
	size_t n, used;
	int err;

	err = gso_begin(&g, vh, pkt, len);
	if (err)
		return err;
	n = gso_next(&g, l, out, out_len, segs, max_segs, &used);
	return gso_finished(&g) ? (int)n : -ENOBUFS;
}
