/* SPDX-License-Identifier: MIT */
/* What the kernel says of the page that something lies in: proc_pid_smaps(5), VmFlags. */
#ifndef BERTH_TESTS_PAGE_FLAGS_H
#define BERTH_TESTS_PAGE_FLAGS_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Sanitizers turn mlock() into nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_WORKS 0
#else
#define MLOCK_WORKS 1
#endif

enum {
	PAGE_FLAGS_LINE = 512
};

/* Writes the line, which has " lo" if the page is locked, " dd" if no core dump has it. */
static inline void page_flags_of(const void *object, char line[PAGE_FLAGS_LINE])
{
	uintptr_t at = (uintptr_t)object;
	bool here = false, found = false;
	unsigned long from, to;
	FILE *f = fopen("/proc/self/smaps", "r");

	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, PAGE_FLAGS_LINE, f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= at && at < to;
		found = here && !strncmp(line, "VmFlags:", 8);
	}
	ck_assert(found);
	fclose(f);
}

#endif
