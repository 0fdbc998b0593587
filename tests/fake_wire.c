/* SPDX-License-Identifier: MIT */
#include "fake_wire.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WIRES = 256 }; /* by descriptor */

struct fifo {
	struct fake_packet *first, **last;
	unsigned n;
};

/* Global by nature: it stands in for the kernel's table of descriptors. */
static struct {
	bool open;
	struct fifo in, out;
	int error;
	unsigned errors;
} wires[WIRES];
static unsigned waiting, traffic;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Where nomem.c is linked, the wire has memory when nobody else has. */
void *nomem_spare(size_t size) __attribute__((weak));

static void put(struct fifo *f, const struct endpoint *peer, uint8_t ecn, const void *data,
		size_t len)
{
	struct fake_packet *p = nomem_spare ? nomem_spare(sizeof(*p) + len)
					    : malloc(sizeof(*p) + len);

	if (!p)
		abort();
	*p = (struct fake_packet){ .ecn = ecn, .len = len };
	if (peer)
		p->peer = *peer;
	memcpy(p->data, data, len);
	if (!f->first)
		f->last = &f->first;
	*f->last = p;
	f->last = &p->next;
	f->n++;
}

static struct fake_packet *get(struct fifo *f)
{
	struct fake_packet *p = f->first;

	if (!p)
		return NULL;
	f->first = p->next;
	f->n--;
	p->next = NULL;
	return p;
}

static void empty(struct fifo *f)
{
	struct fake_packet *p;

	while ((p = get(f)))
		free(p);
}

int wire_open(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0 || fd >= WIRES)
		abort();
	pthread_mutex_lock(&lock);
	wires[fd].open = true;
	pthread_mutex_unlock(&lock);
	return fd;
}

void wire_close(int fd)
{
	pthread_mutex_lock(&lock);
	if (!wires[fd].open)
		abort();
	waiting -= wires[fd].in.n;
	empty(&wires[fd].in);
	empty(&wires[fd].out);
	memset(&wires[fd], 0, sizeof(wires[fd]));
	close(fd);
	pthread_mutex_unlock(&lock);
}

struct fake_packet *wire_read(int fd)
{
	struct fake_packet *p;
	uint64_t n;

	pthread_mutex_lock(&lock);
	p = get(&wires[fd].in);
	if (p) {
		waiting--;
		traffic++;
	}
	if (!wires[fd].in.n && read(fd, &n, sizeof(n)) < 0)
		n = 0; /* was not readable */
	pthread_mutex_unlock(&lock);
	return p;
}

int wire_write(int fd, const struct endpoint *to, uint8_t ecn, const void *data, size_t len)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	traffic++;
	if (wires[fd].errors) {
		wires[fd].errors--;
		err = wires[fd].error;
	} else {
		put(&wires[fd].out, to, ecn, data, len);
	}
	pthread_mutex_unlock(&lock);
	return err;
}

static void inject(int fd, const struct endpoint *from, uint8_t ecn, const void *data, size_t len,
		   bool wake)
{
	uint64_t one = 1;

	pthread_mutex_lock(&lock);
	put(&wires[fd].in, from, ecn, data, len);
	waiting++;
	if (wake && write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
	pthread_mutex_unlock(&lock);
}

void wire_inject(int fd, const struct endpoint *from, uint8_t ecn, const void *data, size_t len)
{
	inject(fd, from, ecn, data, len, true);
}

void wire_add(int fd, const struct endpoint *from, uint8_t ecn, const void *data, size_t len)
{
	inject(fd, from, ecn, data, len, false);
}

struct fake_packet *wire_take(int fd)
{
	struct fake_packet *p;

	pthread_mutex_lock(&lock);
	p = get(&wires[fd].out);
	pthread_mutex_unlock(&lock);
	return p;
}

unsigned wire_count(int fd)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = wires[fd].out.n;
	pthread_mutex_unlock(&lock);
	return n;
}

void wire_fail(int fd, int err, unsigned n)
{
	pthread_mutex_lock(&lock);
	wires[fd].error = err;
	wires[fd].errors = n;
	pthread_mutex_unlock(&lock);
}

bool wire_idle(void)
{
	bool idle;

	pthread_mutex_lock(&lock);
	idle = !waiting;
	pthread_mutex_unlock(&lock);
	return idle;
}

unsigned wire_traffic(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = traffic;
	pthread_mutex_unlock(&lock);
	return n;
}
