/* SPDX-License-Identifier: MIT */
/*
 * tun/tun.c for tests: as it is, but that the device is opened as a descriptor of
 * fake_wire.c. What is injected and taken are bare IP packets; with offload each has a
 * virtio_net_hdr in front.
 */
#define tun_open real_tun_open
#define tun_adopt real_tun_adopt
#define tun_close real_tun_close
#include "../tun/tun.c"
#undef tun_open
#undef tun_adopt
#undef tun_close

#include <stdio.h>
#include <stdlib.h>

#include "fake_wire.h"

enum { FAKE_TUN_RINGS = 2 };

int tun_open(const char *name, unsigned int queues, unsigned int rings, bool offload,
	     struct tun_queue *q, char ifname[IFNAMSIZ]);
int tun_adopt(int fd, bool offload, struct tun_queue *q, char ifname[IFNAMSIZ]);
void tun_close(struct tun_queue *q, unsigned int queues);

static ssize_t read_wire(int fd, const struct iovec *iov, int count)
{
	struct fake_packet *p = wire_read(fd);
	size_t done = 0;

	if (!p) {
		errno = EAGAIN;
		return -1;
	}
	for (int i = 0; i < count && done < p->len; i++) {
		size_t n = min(iov[i].iov_len, p->len - done);

		memcpy(iov[i].iov_base, p->data + done, n);
		done += n;
	}
	free(p);
	return (ssize_t)done;
}

static ssize_t write_wire(int fd, const struct iovec *iov, int count)
{
	uint8_t packet[GSO_MAX_PACKET];
	size_t len = 0;
	int err;

	for (int i = 0; i < count; i++) {
		memcpy(packet + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	err = wire_write(fd, NULL, 0, packet, len);
	errno = -err;
	return err ? -1 : (ssize_t)len;
}

int tun_open(const char *name, unsigned int queues, unsigned int rings, bool offload,
	     struct tun_queue *q, char ifname[IFNAMSIZ])
{
	static const struct tun_ops ops = { .readv = read_wire, .writev = write_wire };

	for (unsigned int i = 0; i < queues; i++) {
		q[i] = (struct tun_queue){ .fd = wire_open(), .vnet_hdr = offload,
					  .n_rings = min(rings, (unsigned int)FAKE_TUN_RINGS),
					  .steered = true, .ops = &ops };
		for (unsigned int ring = 1; ring < q[i].n_rings; ring++)
			q[i].more[ring - 1] = wire_open();
	}
	snprintf(ifname, IFNAMSIZ, "%s", name);
	return 0;
}

int tun_adopt(int fd, bool offload, struct tun_queue *q, char ifname[IFNAMSIZ])
{
	(void)fd;
	(void)offload;
	(void)q;
	(void)ifname;
	return -EINVAL;
}

void tun_close(struct tun_queue *q, unsigned int queues)
{
	for (unsigned int i = 0; i < queues; i++)
		for (unsigned int ring = 0; q[i].fd >= 0 && ring < q[i].n_rings; ring++)
			wire_close(tun_ring(&q[i], ring));
}
