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
static struct {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void (*free)(void *);
	void *(*mmap)(void *, size_t, int, int, int, off_t);
} real;

/*
 * Where they are is asked of the dynamic linker, which asks for memory itself: it gets some of
 * this. Only before main(), on one thread; never given back.
 */
static _Alignas(16) char early[16384];
static size_t early_used;
static bool finding, found;

static void *find(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* False: that is what is being done. */
static bool find_all(void)
{
	if (found || finding)
		return found;
	finding = true;
	*(void **)&real.malloc = find("malloc");
	*(void **)&real.calloc = find("calloc");
	*(void **)&real.realloc = find("realloc");
	*(void **)&real.aligned_alloc = find("aligned_alloc");
	*(void **)&real.posix_memalign = find("posix_memalign");
	*(void **)&real.free = find("free");
	*(void **)&real.mmap = find("mmap");
	found = true;
	return true;
}

/* Zeroed, as nobody has had it before. */
static void *early_block(size_t size)
{
	void *block = &early[early_used];

	size = (size + 15) & ~(size_t)15;
	if (size > sizeof(early) - early_used)
		return NULL;
	early_used += size;
	return block;
}

static bool is_early(const void *block)
{
	return (const char *)block >= early && (const char *)block < early + sizeof(early);
}

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
	if (!find_all())
		return early_block(size);
	return refuse() ? NULL : given(real.malloc(size));
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
	if (!find_all())
		return early_block(n * size);
	return refuse() ? NULL : given(real.calloc(n, size));
}

/* A block that grows stays one; realloc(3) to nothing is not for anybody here. */
void *realloc(void *block, size_t size)
{
	void *grown;

	if (!find_all() || is_early(block))
		abort();
	if (refuse())
		return NULL;
	grown = real.realloc(block, size);
	return block ? grown : given(grown);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	(void)find_all();
	return refuse() ? NULL : given(real.aligned_alloc(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	int err;

	(void)find_all();
	if (refuse())
		return ENOMEM;
	err = real.posix_memalign(out, alignment, size);
	if (!err)
		(void)given(*out);
	return err;
}

void free(void *block)
{
	if (!block || is_early(block) || !find_all())
		return;
	atomic_fetch_sub(&nomem->live, 1);
	real.free(block);
}

/* Not counted as a block: it may be given back piece by piece. */
void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (!find_all())
		return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
	return refuse() ? MAP_FAILED : real.mmap(addr, len, prot, flags, fd, offset);
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
