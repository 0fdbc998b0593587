/* SPDX-License-Identifier: MIT */
/*
 * Coalescing: a burst of decrypted packets becomes few super-packets, so that the
 * kernel's receive path runs once for up to 64 KiB instead of once per packet.
 *
 * No payload is copied: a super-packet is a gather list of its own virtio_net_hdr,
 * the whole first packet (whose lengths and checksum are rewritten in place) and
 * the payloads of the others. Packets come from peers that may be hostile, so each
 * is merged only after its checksums were found good: once merged, the kernel no
 * longer looks.
 *
 * Packets of one flow never overtake each other. Flows may overtake flows.
 *
 * Knows nothing of devices. One struct gro per thread.
 */
#ifndef BERTH_TUN_GRO_H
#define BERTH_TUN_GRO_H

#include <sys/uio.h>

#include "gso.h"

enum {
	GRO_MAX_BYTES = 65535,   /* IPv4's total length; kept for IPv6 too */
	GRO_MAX_PACKETS = 1023,  /* Linux takes UIO_MAXIOV (1024) pieces, one is ours */
	GRO_MAX_DATAGRAMS = 64,  /* what every kernel with UDP segmentation takes */
	GRO_BARRIERS = 64
};

/* What the device can take. */
enum {
	GRO_TCP = 1 << 0,
	GRO_UDP = 1 << 1 /* VIRTIO_NET_HDR_GSO_UDP_L4, Linux 6.2 */
};

/* One write to the device: gro->iov[iov] up to, not including, [iov + iov_count]. */
struct gro_super {
	struct virtio_net_hdr vh; /* all zero when it is one packet alone, left untouched */
	uint32_t iov;             /* the first points at vh, the second at the first packet */
	uint32_t iov_count;       /* 1 + number of packets */
	be16 saved[4];            /* what gro_undo() puts back */
};

struct gro_group; /* a super-packet while it grows */

struct gro {
	size_t max_packets; /* of one burst */
	struct gro_super *supers;
	size_t n_supers;
	struct iovec *iov;

	/* Private to gro.c. */
	struct gro_group *groups;
	uint32_t *next;  /* packet → the following one of its group */
	uint32_t *table; /* flow → its youngest group; sets of GRO_WAYS */
	uint32_t table_mask;
	uint32_t barriers[GRO_BARRIERS];
};

/* Allocate for bursts of up to @max_packets (1 to 65536): -ENOMEM, -EINVAL. */
must_check int gro_init(struct gro *g, size_t max_packets);
void gro_free(struct gro *g);

/*
 * Coalesce @n <= max_packets IP packets in the order of their arrival; @can is of
 * GRO_*. The result stands in g->supers, g->n_supers and g->iov, in the order in
 * which it must be written, and is valid as long as the packets stay in place and
 * until the next call. Each packet is in exactly one super-packet, whatever it
 * contains, even nothing.
 */
void gro_coalesce(struct gro *g, const struct span *pkts, size_t n, unsigned int can);

static inline size_t gro_packets(const struct gro_super *s)
{
	return s->iov_count - 1;
}

/*
 * Take a super-packet apart again: the first packet gets its own header back, byte
 * for byte, so that gro_packet() yields each as it arrived. For the device that
 * promised offloads and then refuses them.
 */
void gro_undo(struct gro *g, struct gro_super *s);

/* Packet @i of gro_packets() of a super-packet that was undone, or that is one packet alone. */
struct span gro_packet(const struct gro *g, const struct gro_super *s, size_t i);

#endif
