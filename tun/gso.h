/* SPDX-License-Identifier: MIT */
/*
 * Segmentation: one super-packet from the kernel (up to 64 KiB, described by a
 * virtio_net_hdr) becomes packets that fit the tunnel, each laid where it will be
 * encrypted and sent from. The payload is copied exactly once, here.
 *
 *   out                    one slot                     next slot
 *   |<-headroom->|<---- packet ---->|<-0->|<-tailroom->|<-headroom->|...
 *                ^ segs[0].data     padding             ^ no gap: a run of equal
 *                  segs[0].len                            slots is one UDP_SEGMENT send
 *
 * Pure functions, any thread. Nothing of the input is trusted: whatever it says,
 * only [pkt, pkt + len) is read and only [out, out + out_len) is written.
 */
#ifndef BERTH_TUN_GSO_H
#define BERTH_TUN_GSO_H

#include <linux/virtio_net.h>

#include "../src/base.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2; Debian 12's headers are older */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
	GSO_MAX_PACKET = 65535 + 40 /* the payload length of IPv6 does not count its header */
};

/* What the sender wants around each packet; all in bytes. */
struct gso_layout {
	size_t headroom; /* left untouched in front of each packet */
	size_t tailroom; /* left untouched behind its padding */
	size_t align;    /* padded with zeros to a multiple of this power of two, */
	size_t max;      /* though never past this (the MTU) */
};

/* A packet of @len bytes with its padding. */
static inline size_t gso_padded(const struct gso_layout *l, size_t len)
{
	return min(ALIGN_UP(len, l->align), max(l->max, len));
}

/* The whole slot of a packet of @len bytes. */
static inline size_t gso_slot(const struct gso_layout *l, size_t len)
{
	return l->headroom + gso_padded(l, len) + l->tailroom;
}

/* A super-packet that is being split; the caller reads nothing of it but @done and @payload. */
struct gso {
	const uint8_t *pkt;
	size_t hdr_len;  /* headers, repeated in front of each segment */
	size_t l4;       /* where the transport header stands */
	size_t payload;  /* bytes behind the headers */
	size_t done;     /* of these, laid out so far */
	size_t size;     /* payload of each segment but the last */
	uint64_t ip_sum; /* IPv4 header, without length, id and checksum */
	uint64_t l4_sum; /* transport and pseudo header, without what differs by segment */
	uint32_t seq;
	uint16_t id;
	uint16_t csum_start, csum_offset; /* of a packet that only wants its checksum */
	uint8_t kind;                     /* enum kind in gso.c */
	uint8_t flags;                    /* of TCP */
	bool ip4;
};

/*
 * Start to split the @len bytes at @pkt, which must stay in place until
 * gso_finished(). @vh is in host byte order. -EINVAL when header and packet do
 * not describe something that can be split. hdr_len is not looked at: it is a
 * hint (virtio 1.2 §5.1.6.2), and Linux puts other lengths there when it forwards.
 */
must_check int gso_begin(struct gso *g, const struct virtio_net_hdr *vh, const uint8_t *pkt,
			 size_t len);

/*
 * Lay as many of the following segments as fit into @out_len bytes and @max_segs
 * entries. Returns their number and in *used the bytes of their slots.
 */
size_t gso_next(struct gso *g, const struct gso_layout *l, uint8_t *out, size_t out_len,
		struct span *segs, size_t max_segs, size_t *used);

static inline bool gso_finished(const struct gso *g)
{
	return g->done == g->payload;
}

/*
 * Both in one: the number of segments, -EINVAL as above, or -ENOBUFS when they do
 * not all fit.
 */
must_check int gso_split(const struct virtio_net_hdr *vh, const uint8_t *pkt, size_t len,
			 const struct gso_layout *l, uint8_t *out, size_t out_len,
			 struct span *segs, size_t max_segs);

#endif
