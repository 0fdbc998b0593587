/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that carry packets in memory: what the fakes of UDP and of the
 * TUN device are made of. To poll() one is readable as long as a packet waits to
 * be read, for it really is an eventfd. Any thread.
 */
#ifndef BERTH_TESTS_FAKE_WIRE_H
#define BERTH_TESTS_FAKE_WIRE_H

#include "../src/base/endpoint.h"

struct fake_packet {
	struct fake_packet *next;
	struct endpoint peer; /* read: where it comes from; written: where it goes to */
	uint8_t ecn;
	size_t len;
	uint8_t data[]; /* exactly len bytes, so that a sanitizer sees each beyond */
};

/* For the fakes. */
int wire_open(void);
void wire_close(int fd);
struct fake_packet *wire_read(int fd); /* NULL: nothing; free() it */
/* 0, or the error that was asked for by wire_fail(). */
int wire_write(int fd, const struct endpoint *to, uint8_t ecn, const void *data, size_t len);

/* For the tests. */
void wire_inject(int fd, const struct endpoint *from, uint8_t ecn, const void *data, size_t len);
/* The same, but it arrives together with the next one that is injected. */
void wire_add(int fd, const struct endpoint *from, uint8_t ecn, const void *data, size_t len);
struct fake_packet *wire_take(int fd); /* the oldest that was written; NULL: none; free() it */
unsigned wire_count(int fd);           /* of those */
void wire_fail(int fd, int err, unsigned n); /* the next n writes return err */
bool wire_idle(void);     /* is everything read that was injected? */
unsigned wire_traffic(void); /* packets read and written until now, on all */

#endif
