/* SPDX-License-Identifier: MIT */
/*
 * src/path/udp.c and udp_open.c for tests: datagrams come from and go to fake_wire.c.
 * One that is longer than UDP_RX_BUFFER is as if the kernel had cut it.
 */
#include <errno.h>
#include <stdlib.h>

#include "../src/path/udp.h"
#include "fake_wire.h"

/* What packets of a burst lie in, until the next burst of the same object. */
struct received {
	unsigned n;
	struct fake_packet *packets[UDP_RX_PACKETS];
};

int udp_open(struct udp_sockets *s, unsigned n, uint16_t port, uint32_t mark, bool offload)
{
	(void)mark;
	for (unsigned i = 0; i < n; i++) {
		s[i] = (struct udp_sockets){ .fd4 = wire_open(), .fd6 = wire_open(),
					     .handshake4 = wire_open(), .handshake6 = wire_open(),
					     .port = port ? port : 1, .gro = offload };
		atomic_store(&s[i].gso, offload);
	}
	return 0;
}

void udp_close(struct udp_sockets *s)
{
	wire_close(s->fd4);
	wire_close(s->fd6);
	wire_close(s->handshake4);
	wire_close(s->handshake6);
	s->fd4 = -1;
	s->fd6 = -1;
	s->handshake4 = -1;
	s->handshake6 = -1;
}

int udp_set_mark(const struct udp_sockets *s, uint32_t mark)
{
	(void)s;
	(void)mark;
	return 0;
}

int udp_rx_init(struct udp_rx *rx)
{
	fairq_init(&rx->queue, 1);
	rx->buffers = calloc(1, sizeof(struct received));
	return rx->buffers ? 0 : -ENOMEM;
}

static void forget(struct received *r)
{
	for (unsigned i = 0; i < r->n; i++)
		free(r->packets[i]);
	r->n = 0;
}

void udp_rx_free(struct udp_rx *rx)
{
	if (rx->buffers)
		forget((struct received *)(void *)rx->buffers);
	free(rx->buffers);
}

/* Neighbours of one sender are one message, as GRO would make them. */
unsigned udp_recv_burst(int fd, unsigned *behind, struct udp_rx *rx, void *owner,
			const struct udp_rx_judge *judge)
{
	struct received *r = (struct received *)(void *)rx->buffers;
	unsigned messages = 0;

	(void)behind;
	(void)judge;
	forget(r);
	rx->owner = owner;
	rx->n_oversized = 0;
	while (r->n < UDP_RX_PACKETS && messages < UDP_RX_MESSAGES) {
		struct fake_packet *p = wire_read(fd);

		if (!p)
			break;
		if (p->len > UDP_RX_BUFFER) {
			rx->n_oversized++;
			free(p);
			continue;
		}
		if (!messages || !endpoint_equal(&rx->from[messages - 1], &p->peer))
			rx->from[messages++] = p->peer;
		rx->packets[r->n] = (struct udp_packet){ .data = p->data,
							 .len = (uint32_t)p->len,
							 .message = (uint16_t)(messages - 1),
							 .ecn = p->ecn };
		r->packets[r->n++] = p;
	}
	rx->n_packets = r->n;
	return r->n;
}

/* What comes by handshake sockets is no other. */
unsigned udp_recv_some(int fd, struct udp_rx *rx, void *owner)
{
	unsigned behind = 0, n = udp_recv_burst(fd, &behind, rx, owner, NULL);

	rx->more = n;
	return n;
}

/* Here nothing waits. */
void udp_rx_forget(struct udp_rx *rx, const void *owner)
{
	(void)rx;
	(void)owner;
}

unsigned udp_tx_add(struct udp_tx *tx, const struct endpoint *to, uint8_t ecn, void *data,
		    size_t len)
{
	struct udp_run *run = tx->n_runs ? &tx->runs[tx->n_runs - 1] : NULL;

	if (!run || run->n >= tx->segments || run->size != len || run->ecn != ecn ||
	    !endpoint_equal(&run->to, to)) {
		run = &tx->runs[tx->n_runs++];
		*run = (struct udp_run){ .to = *to, .ecn = ecn, .first = tx->n_pieces,
					 .size = len };
	}
	tx->pieces[tx->n_pieces++] = (struct iovec){ .iov_base = data, .iov_len = len };
	run->n++;
	run->bytes += len;
	return tx->n_runs - 1;
}

static int send_to(const struct udp_sockets *s, struct endpoint *to, uint8_t ecn, const void *data,
		   size_t len)
{
	return wire_write(to->addr.sa_family == AF_INET ? s->fd4 : s->fd6, to, ecn, data, len);
}

void udp_flush(struct udp_sockets *s, struct udp_tx *tx)
{
	for (unsigned i = 0; i < tx->n_runs; i++) {
		struct udp_run *run = &tx->runs[i];

		tx->sent[i] = 0;
		tx->stale_src[i] = false;
		for (unsigned k = run->first; k < run->first + run->n; k++) {
			const struct iovec *piece = &tx->pieces[k];
			int err = send_to(s, &run->to, run->ecn, piece->iov_base, piece->iov_len);

			if (err == -EADDRNOTAVAIL && run->to.src_ifindex) {
				endpoint_clear_src(&run->to);
				tx->stale_src[i] = true;
				err = send_to(s, &run->to, run->ecn, piece->iov_base,
					      piece->iov_len);
			}
			tx->sent[i] += !err;
		}
	}
}

int udp_send_one(struct udp_sockets *s, const struct endpoint *to, const void *data, size_t len)
{
	struct endpoint dest = *to;

	return send_to(s, &dest, 0, data, len);
}
