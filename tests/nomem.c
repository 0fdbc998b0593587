/* SPDX-License-Identifier: MIT */
/* An allocator that refuses when it is told to. */
#include "nomem.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct nomem own;
struct nomem *nomem = &own;
_Thread_local volatile int nomem_spared;
static bool trace;

/* The allocator's own: glibc's, or that of a sanitizer. */
#define REAL(name)                                                   \
	static __typeof__(name) *real;                               \
								     \
	if (!real)                                                   \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

uint64_t nomem_thread(void)
{
	return (uint64_t)syscall(SYS_gettid);
}

static void show(void)
{
	static const char begin[] = "no memory for:\n";
	void *frames[16];

	(void)!write(STDERR_FILENO, begin, sizeof(begin) - 1);
	backtrace_symbols_fd(frames, backtrace(frames, 16), STDERR_FILENO);
}

static bool counts(uint64_t thread)
{
	uint64_t only = atomic_load(&nomem->thread);

	return (!only || only == thread) && atomic_load(&nomem->but) != thread;
}

/* Is it this call's turn to fail? */
static bool refuse(void)
{
	uint64_t at, every, n;

	if (!atomic_load(&nomem->on) || nomem_spared)
		return false;
	if (!counts(nomem_thread()))
		return false;
	at = atomic_load(&nomem->at);
	every = atomic_load(&nomem->every);
	n = atomic_fetch_add(&nomem->calls, 1) + 1;
	if (!at || n < at || (n > at && (!every || (n - at) % every)))
		return false;
	atomic_fetch_add(&nomem->failed, 1);
	if (trace)
		show();
	errno = ENOMEM;
	return true;
}

static void *given(void *block)
{
	if (block)
		atomic_fetch_add(&nomem->live, 1);
	return block;
}

void *malloc(size_t size)
{
	REAL(malloc);

	return refuse() ? NULL : given(real(size));
}

void *nomem_spare(size_t size)
{
	void *block;

	nomem_spared++;
	block = malloc(size);
	nomem_spared--;
	return block;
}

void *calloc(size_t n, size_t size)
{
	REAL(calloc);

	return refuse() ? NULL : given(real(n, size));
}

/* A block that grows stays one; realloc(3) to nothing is not for anybody here. */
void *realloc(void *block, size_t size)
{
	void *grown;
	REAL(realloc);

	if (refuse())
		return NULL;
	grown = real(block, size);
	return block ? grown : given(grown);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	REAL(aligned_alloc);

	return refuse() ? NULL : given(real(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	int err;
	REAL(posix_memalign);

	if (refuse())
		return ENOMEM;
	err = real(out, alignment, size);
	if (!err)
		(void)given(*out);
	return err;
}

void free(void *block)
{
	REAL(free);

	if (block)
		atomic_fetch_sub(&nomem->live, 1);
	real(block);
}

/* Not counted as a block: it may be given back piece by piece. */
void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	REAL(mmap);

	return refuse() ? MAP_FAILED : real(addr, len, prot, flags, fd, offset);
}

/* A file of the right size is there; without one the program goes on as ever. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("NOMEM_CTL");
	void *frame, *shared;
	int fd;

	trace = getenv("NOMEM_TRACE") != NULL;
	/* It loads a library at its first call. */
	if (trace)
		(void)backtrace(&frame, 1);
	if (!path)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	shared = mmap(NULL, sizeof(*nomem), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (shared != MAP_FAILED)
		nomem = shared;
}
