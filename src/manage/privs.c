/* SPDX-License-Identifier: MIT */
/* Limits of the process. */
#include "privs.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../base/log.h"

static void raise_limit(int resource, const char *name)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return;
	if (limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(resource, &limit))
		log_warning("cannot raise the limit of %s: %s", name, strerror(errno));
}

void privs_harden(void)
{
	struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
		log_warning("cannot switch off core dumps: %s", strerror(errno));
	raise_limit(RLIMIT_NOFILE, "open files");
	raise_limit(RLIMIT_MEMLOCK, "locked memory");
}
