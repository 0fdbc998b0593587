/* SPDX-License-Identifier: MIT */
/* /proc/PID/smaps says what there is, /proc/PID/mem what is in it. */
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "load.h"

enum { CHUNK = 1 << 20 };

struct mapping {
	uint64_t from, to;
	bool locked; /* neither swapped nor dumped */
	char line[128];
};

static FILE *open_proc(pid_t pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return load_open(path, "re");
}

/* The next mapping that can be read. */
static bool next_mapping(FILE *smaps, struct mapping *m)
{
	char line[512], mode[8] = "";
	uint64_t from, to;

	while (fgets(line, sizeof(line), smaps)) {
		/* "Anonymous:" begins with a number too. */
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, mode) == 3) {
			m->from = from;
			m->to = to;
			snprintf(m->line, sizeof(m->line), "%.*s",
				 (int)min(strcspn(line, "\n"), sizeof(m->line) - 1), line);
		} else if (!strncmp(line, "VmFlags:", 8) && mode[0] == 'r') {
			m->locked = strstr(line, " lo") && strstr(line, " dd");
			return true;
		}
	}
	return false;
}

static void look(struct memory_needle *needle, const struct mapping *m, const uint8_t *data,
		 size_t len)
{
	const uint8_t *at = data, *end = data + len;

	while ((at = memmem(at, (size_t)(end - at), needle->bytes, needle->len))) {
		needle->found++;
		if (!m->locked)
			needle->unlocked++;
		if (!m->locked || !needle->where[0])
			memcpy(needle->where, m->line, sizeof(needle->where));
		at++;
	}
}

/* Chunks overlap by what a needle at their border needs. */
static size_t search_mapping(int fd, const struct mapping *m, struct memory_needle *needles,
			     unsigned n, uint8_t *chunk)
{
	size_t total = 0, kept = 0;

	for (uint64_t at = m->from; at < m->to;) {
		ssize_t len = pread(fd, chunk + kept, min(m->to - at, (uint64_t)CHUNK),
				    (off_t)at);

		if (len <= 0)
			break; /* the kernel's own pages, or it is gone */
		for (unsigned i = 0; i < n; i++) {
			size_t before = min(kept, needles[i].len - 1);

			look(&needles[i], m, chunk + kept - before, before + (size_t)len);
		}
		at += (uint64_t)len;
		total += (size_t)len;
		len += (ssize_t)kept;
		kept = min((size_t)len, (size_t)MEMORY_NEEDLE_MAX);
		memmove(chunk, chunk + len - kept, kept);
	}
	return total;
}

size_t memory_search(pid_t pid, struct memory_needle *needles, unsigned n)
{
	FILE *smaps = open_proc(pid, "smaps"), *mem = open_proc(pid, "mem");
	uint8_t *chunk = malloc(CHUNK + MEMORY_NEEDLE_MAX);
	struct mapping m = { 0 };
	size_t total = 0;

	if (!chunk)
		load_die("malloc");
	for (unsigned i = 0; i < n; i++) {
		needles[i].found = needles[i].unlocked = 0;
		needles[i].where[0] = '\0';
	}
	while (next_mapping(smaps, &m))
		total += search_mapping(fileno(mem), &m, needles, n, chunk);
	if (!total) {
		errno = EACCES;
		load_die("the process's memory");
	}
	free(chunk);
	fclose(mem);
	fclose(smaps);
	return total;
}

size_t memory_resident(pid_t pid)
{
	FILE *f = open_proc(pid, "status");
	unsigned long kib = 0;
	char line[256];

	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lu kB", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

unsigned memory_descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		load_die(path);
	for (struct dirent *d; (d = readdir(dir));)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}
