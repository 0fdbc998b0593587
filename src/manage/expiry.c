/* SPDX-License-Identifier: MIT */
/* Tenants whose time is over. */
#include "expiry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"

enum { RETRY_S = 1 };

struct looking {
	struct intake *in;
	int64_t now;
	struct file_entry **due; /* in force, and past */
	size_t n_due;
	const char **back; /* names of those that are not past any more */
	size_t n_back;
};

static void look(struct file_entry *e, void *arg)
{
	struct looking *l = arg;

	if (!e->conf || !e->conf->expires)
		return;
	if (tenant_in_force(e->conf) && tenant_is_past(e->conf, l->now))
		l->due[l->n_due++] = e;
	else if (tenant_in_force(e->conf))
		alarm_by(l->in->alarm, e->conf->expires);
	else if (e->conf->state == TENANT_EXPIRED && !tenant_is_past(e->conf, l->now))
		l->back[l->n_back++] = e->name;
}

/* By their files: they may say something else by now. */
static void bring_back(struct intake *in, const char *const *names, size_t n)
{
	int dirfd = open(in->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0) {
		log_error("%s: %s: tenants whose date lies ahead again stay revoked", in->folder,
			  strerror(errno));
		return;
	}
	intake_names(in, dirfd, names, n, true);
	close(dirfd);
}

void expiry_run(struct intake *in)
{
	size_t n = in->entries.n + 1;
	struct looking l = { .in = in };
	struct timespec now;

	clock_realtime(&now);
	l.now = now.tv_sec;
	l.due = calloc(n, sizeof(*l.due));
	l.back = calloc(n, sizeof(*l.back));
	if (!l.due || !l.back) {
		log_error("no memory to see which tenants have expired: tried again");
		alarm_by(in->alarm, l.now + RETRY_S);
		goto out;
	}
	entries_each(&in->entries, look, &l);
	if (l.n_due) {
		enforce_expiry(&in->enforce, l.due, l.n_due);
		intake_settle(in); /* what they held is free for those who wait */
		if (in->changed)
			in->changed(in->changed_arg);
	}
	if (l.n_back)
		bring_back(in, l.back, l.n_back);
out:
	free(l.due);
	free(l.back);
}
