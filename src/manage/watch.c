/* SPDX-License-Identifier: MIT */
/* inotify on config.d and on the folders of key files. */
#include "watch.h"

#include <errno.h>
#include <libgen.h>
#include <search.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../base/log.h"
#include "../config/tenant.h"

/*
 * IN_CREATE is for links, which are never written to; a new file says it again
 * when it is closed. IN_ATTRIB: a chmod may have made a key file acceptable.
 */
#define EVENTS                                                                            \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB | \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

enum { REOPEN_MS = 1000 };

/* A tenant's key file: in which watched folder, under which name. */
struct key_file {
	struct key_file *next; /* further ones of the same tenant */
	int wd;
	char *base;
};

/* What we know of a tenant; in a tree by name. */
struct watched {
	char *name;
	struct key_file *files;
	bool changed;
};

struct watch {
	uv_loop_t *loop;
	char *path;
	struct watch_ops ops;
	void *arg;
	int fd, folder_wd; /* folder_wd -1: not there */
	uv_poll_t poll;
	uv_timer_t settle, reopen, rescan;
	uint64_t first_change; /* loop time, ms; 0: none */
	bool rescan_wanted;
	bool missing_said;
	void *tenants;  /* tsearch tree of struct watched */
	size_t n_changed, n_key_files;
	/* for twalk_r() */
	const char **names;
	size_t n_names;
	unsigned closing;
};

static int compare_watched(const void *a, const void *b)
{
	return strcmp(((const struct watched *)a)->name, ((const struct watched *)b)->name);
}

static struct watched *find(struct watch *w, const char *name)
{
	struct watched key = { .name = (char *)(uintptr_t)name };
	struct watched **found = tfind(&key, &w->tenants, compare_watched);

	return found ? *found : NULL;
}

static struct watched *find_or_add(struct watch *w, const char *name)
{
	struct watched *t = find(w, name);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->name = strdup(name);
	if (!t->name || !tsearch(t, &w->tenants, compare_watched)) {
		free(t->name);
		free(t);
		return NULL;
	}
	return t;
}

static void free_key_files(struct watch *w, struct watched *t)
{
	while (t->files) {
		struct key_file *next = t->files->next;

		free(t->files->base);
		free(t->files);
		t->files = next;
		w->n_key_files--;
	}
}

static void forget(struct watch *w, struct watched *t)
{
	tdelete(t, &w->tenants, compare_watched);
	free_key_files(w, t);
	free(t->name);
	free(t);
}

/* Telling */

static void collect(const void *node, VISIT visit, void *closure)
{
	struct watched *t = *(struct watched *const *)node;
	struct watch *w = closure;

	if ((visit == postorder || visit == leaf) && t->changed) {
		t->changed = false;
		w->names[w->n_names++] = t->name;
	}
}

static void tell_changed(struct watch *w)
{
	size_t n = w->n_changed;
	char **copies;

	w->names = calloc(n, sizeof(*w->names));
	copies = calloc(n, sizeof(*copies));
	w->n_names = 0;
	if (!w->names || !copies) {
		free(w->names);
		free(copies);
		w->rescan_wanted = true; /* which finds them as well */
		return;
	}
	w->n_changed = 0;
	twalk_r(w->tenants, collect, w);
	/* The callee may make us forget tenants: the names must outlive them. */
	n = 0;
	for (size_t i = 0; i < w->n_names; i++) {
		struct watched *t = find(w, w->names[i]);

		copies[n] = strdup(w->names[i]);
		if (!copies[n])
			w->rescan_wanted = true;
		else
			n++;
		if (!t->files)
			forget(w, t);
	}
	free(w->names);
	w->ops.changed(w->arg, (const char *const *)copies, n);
	for (size_t i = 0; i < n; i++)
		free(copies[i]);
	free(copies);
}

static void on_settled(uv_timer_t *timer)
{
	struct watch *w = timer->data;

	w->first_change = 0;
	if (w->n_changed)
		tell_changed(w);
	if (w->rescan_wanted) {
		w->rescan_wanted = false;
		w->ops.rescan(w->arg);
	}
}

/* Something has changed: it is told once nothing more comes, or enough time has passed. */
static void arm(struct watch *w)
{
	uint64_t now = uv_now(w->loop), latest;

	if (!w->first_change)
		w->first_change = max(now, (uint64_t)1);
	latest = w->first_change + WATCH_DELAY_MS;
	uv_timer_start(&w->settle, on_settled,
		       latest > now ? min(latest - now, (uint64_t)WATCH_SETTLE_MS) : 0, 0);
}

static void want_rescan(struct watch *w)
{
	w->rescan_wanted = true;
	arm(w);
}

void watch_touch(struct watch *w, const char *tenant)
{
	struct watched *t = find_or_add(w, tenant);

	if (!t) {
		want_rescan(w);
		return;
	}
	if (!t->changed) {
		t->changed = true;
		w->n_changed++;
	}
	arm(w);
}

/* Events */

static void on_reopen(uv_timer_t *timer);

static void open_folder(struct watch *w)
{
	w->folder_wd = inotify_add_watch(w->fd, w->path, EVENTS);
	if (w->folder_wd >= 0) {
		if (w->missing_said)
			log_info("%s is there again", w->path);
		w->missing_said = false;
		uv_timer_stop(&w->reopen);
		want_rescan(w);
		return;
	}
	if (!w->missing_said)
		log_error("cannot watch %s: %s; all tenants stay as they are", w->path,
			  strerror(errno));
	w->missing_said = true;
	uv_timer_start(&w->reopen, on_reopen, REOPEN_MS, 0);
}

static void on_reopen(uv_timer_t *timer)
{
	open_folder(timer->data);
}

static void on_folder_event(struct watch *w, const struct inotify_event *event)
{
	char name[TENANT_NAME_MAX + 1];

	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		/* What has this path now is another folder, or none. */
		if (!(event->mask & IN_IGNORED))
			inotify_rm_watch(w->fd, w->folder_wd);
		w->folder_wd = -1;
		open_folder(w);
		return;
	}
	if (event->len && tenant_entry_kind(event->name, name) == TENANT_ENTRY)
		watch_touch(w, name);
	else if (event->len && tenant_entry_kind(event->name, name) == TENANT_ENTRY_BAD)
		want_rescan(w); /* where its fault is told */
}

struct search {
	struct watch *w;
	const struct inotify_event *event;
};

/* Marks the tenants that name this key file. No call out of here may change the tree. */
static void match_key_file(const void *node, VISIT visit, void *closure)
{
	struct watched *t = *(struct watched *const *)node;
	const struct search *s = closure;

	if (visit != postorder && visit != leaf)
		return;
	for (const struct key_file *f = t->files; f; f = f->next) {
		if (f->wd != s->event->wd || strcmp(f->base, s->event->name) || t->changed)
			continue;
		t->changed = true;
		s->w->n_changed++;
		arm(s->w);
	}
}

static void on_event(struct watch *w, const struct inotify_event *event)
{
	struct search s = { .w = w, .event = event };

	if (event->mask & IN_Q_OVERFLOW) {
		log_warning("%s: too many changes at once, reading everything anew", w->path);
		want_rescan(w);
		return;
	}
	if (w->n_key_files && event->len)
		twalk_r(w->tenants, match_key_file, &s);
	if (event->wd == w->folder_wd)
		on_folder_event(w, event);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	_Alignas(struct inotify_event) char buf[16384];
	struct watch *w = poll->data;
	ssize_t len = read(w->fd, buf, sizeof(buf));

	(void)status;
	(void)events;
	for (ssize_t i = 0; i < len;) {
		const struct inotify_event *event = (const void *)&buf[i];

		on_event(w, event);
		i += (ssize_t)(sizeof(*event) + event->len);
	}
}

static void on_rescan(uv_timer_t *timer)
{
	want_rescan(timer->data);
}

/* Key files */

static int add_key_file(struct watch *w, struct watched *t, const char *path)
{
	struct key_file *f = calloc(1, sizeof(*f));
	char *copy = strdup(path), *copy2 = strdup(path);
	int err = -ENOMEM;

	if (!f || !copy || !copy2)
		goto out;
	f->base = strdup(basename(copy));
	if (!f->base)
		goto out;
	/* A folder that is not there is found by the slow scan. */
	f->wd = inotify_add_watch(w->fd, dirname(copy2), EVENTS);
	f->next = t->files;
	t->files = f;
	w->n_key_files++;
	f = NULL;
	err = 0;
out:
	free(f);
	free(copy);
	free(copy2);
	return err;
}

int watch_key_files(struct watch *w, const char *tenant, char *const *paths, size_t n)
{
	struct watched *t = n ? find_or_add(w, tenant) : find(w, tenant);

	if (!t)
		return n ? -ENOMEM : 0;
	free_key_files(w, t);
	for (size_t i = 0; i < n; i++) {
		int err = add_key_file(w, t, paths[i]);

		if (err)
			return err;
	}
	if (!n && !t->changed)
		forget(w, t);
	return 0;
}

/* Life */

int watch_open(struct watch **out, uv_loop_t *loop, const char *path, const struct watch_ops *ops,
	       void *arg)
{
	struct watch *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	if (!w)
		return -ENOMEM;
	*w = (struct watch){ .loop = loop, .ops = *ops, .arg = arg, .fd = -1, .folder_wd = -1 };
	w->path = strdup(path);
	if (!w->path)
		goto free_w;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		err = -errno;
		goto free_w;
	}
	err = uv_poll_init(loop, &w->poll, w->fd);
	if (err)
		goto free_w;
	uv_timer_init(loop, &w->settle);
	uv_timer_init(loop, &w->reopen);
	uv_timer_init(loop, &w->rescan);
	w->poll.data = w->settle.data = w->reopen.data = w->rescan.data = w;
	uv_poll_start(&w->poll, UV_READABLE, on_readable);
	uv_timer_start(&w->rescan, on_rescan, WATCH_RESCAN_MS, WATCH_RESCAN_MS);
	open_folder(w);
	*out = w;
	return 0;

free_w:
	if (w->fd >= 0)
		close(w->fd);
	free(w->path);
	free(w);
	return err;
}

static void on_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;

	if (--w->closing)
		return;
	close(w->fd);
	while (w->tenants)
		forget(w, *(struct watched **)w->tenants);
	free(w->path);
	free(w);
}

void watch_close(struct watch *w)
{
	w->closing = 4;
	uv_close((uv_handle_t *)&w->poll, on_closed);
	uv_close((uv_handle_t *)&w->settle, on_closed);
	uv_close((uv_handle_t *)&w->reopen, on_closed);
	uv_close((uv_handle_t *)&w->rescan, on_closed);
}
