/* SPDX-License-Identifier: MIT */
/* inotify on config.d and on the folders of key files. */
#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/log.h"
#include "../config/tenant.h"
#include "watch_keys.h"

enum {
	REOPEN_MS = 100, /* while the folder is not there */
	RETRY_MS = 1000  /* while only folders of key files are missing */
};

/* What we know of a tenant; in a tree by name, while there is something to know. */
struct watched {
	char *name;
	struct watch_file *files;
	struct cds_list_head changed; /* in watch.changed; empty: nothing to tell */
	uint64_t first, last;         /* of the events not told; ms of the loop, 0: none */
	struct writer writer;         /* of NAME.conf */
};

struct watch {
	uv_loop_t *loop;
	char *path;
	struct watch_ops ops;
	void *arg;
	int fd, folder_wd; /* folder_wd -1: not there */
	uv_poll_t poll;
	uv_timer_t settle, reopen, rescan;
	void *tenants; /* tsearch tree of struct watched */
	struct cds_list_head changed;
	size_t n_changed;
	struct watch_keys keys;
	bool rescan_wanted;
	int said; /* why the folder cannot be watched, once it was logged */
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
	CDS_INIT_LIST_HEAD(&t->changed);
	t->name = strdup(name);
	if (!t->name || !tsearch(t, &w->tenants, compare_watched)) {
		free(t->name);
		free(t);
		return NULL;
	}
	return t;
}

static bool is_changed(struct watched *t)
{
	return !cds_list_empty(&t->changed);
}

static void clear_changed(struct watch *w, struct watched *t)
{
	if (!is_changed(t))
		return;
	cds_list_del_init(&t->changed);
	w->n_changed--;
	t->first = 0;
}

static void forget(struct watch *w, struct watched *t)
{
	clear_changed(w, t);
	watch_keys_release(&w->keys, &t->files);
	tdelete(t, &w->tenants, compare_watched);
	free(t->name);
	free(t);
}

/* Telling */

static bool is_writing(const struct watched *t)
{
	uint64_t ask;

	return t->writer.writing || watch_keys_writing(t->files, &ask);
}

/* When it is to be told, or whoever is writing to be asked for. */
static uint64_t due(const struct watched *t)
{
	uint64_t at = min(t->last + WATCH_SETTLE_MS, t->first + WATCH_DELAY_MS), ask;

	if (watch_keys_writing(t->files, &ask))
		at = max(at, ask);
	return t->writer.writing ? max(at, t->writer.ask) : at;
}

static const char *path_of(const struct watch *w, const struct watched *t, char path[PATH_MAX])
{
	(void)!snprintf(path, PATH_MAX, "%s/%s.conf", w->path, t->name);
	return path;
}

static bool is_still_writing(const struct watch *w, struct watched *t, uint64_t now)
{
	char path[PATH_MAX];

	if (!is_writing(t))
		return false;
	writer_ask(&t->writer, path_of(w, t, path), now);
	watch_keys_ask(t->files, now);
	return is_writing(t);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Moves the names of those due at now out of the list of changed ones. How many. */
static size_t gather_due(struct watch *w, uint64_t now, char **names)
{
	struct cds_list_head *at, *next;
	size_t n = 0;

	for (at = w->changed.next; at != &w->changed; at = next) {
		struct watched *t = cds_list_entry(at, struct watched, changed);

		next = at->next;
		if (due(t) > now || is_still_writing(w, t, now))
			continue;
		names[n] = strdup(t->name);
		if (!names[n])
			break; /* the next tick tries again */
		n++;
		clear_changed(w, t);
		if (!t->files)
			forget(w, t);
	}
	qsort(names, n, sizeof(*names), compare_names);
	return n;
}

static void tell_changed(struct watch *w)
{
	char **names = calloc(w->n_changed + 1, sizeof(*names));
	size_t n;

	if (!names)
		return; /* the next tick tries again */
	n = gather_due(w, uv_now(w->loop), names);
	if (n)
		w->ops.changed(w->arg, (const char *const *)names, n);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static void on_settled(uv_timer_t *timer)
{
	struct watch *w = timer->data;
	uint64_t now = uv_now(w->loop), next = UINT64_MAX;
	struct watched *t;

	tell_changed(w);
	if (w->rescan_wanted) {
		w->rescan_wanted = false;
		w->ops.rescan(w->arg);
	}
	cds_list_for_each_entry(t, &w->changed, changed)
		next = min(next, due(t));
	if (next != UINT64_MAX)
		uv_timer_start(timer, on_settled,
			       max(next > now ? next - now : 0, (uint64_t)WATCH_BATCH_MS), 0);
}

static void arm(struct watch *w)
{
	if (!uv_is_active((uv_handle_t *)&w->settle) ||
	    uv_timer_get_due_in(&w->settle) > WATCH_SETTLE_MS)
		uv_timer_start(&w->settle, on_settled, WATCH_SETTLE_MS, 0);
}

static void want_rescan(struct watch *w)
{
	w->rescan_wanted = true;
	arm(w);
}

/* Something has happened to the tenant. */
static void touch(struct watch *w, struct watched *t)
{
	t->last = uv_now(w->loop);
	if (!is_changed(t)) {
		cds_list_add_tail(&t->changed, &w->changed);
		w->n_changed++;
	}
	if (!t->first)
		t->first = t->last;
	arm(w);
}

static void touch_owner(void *owner, void *arg)
{
	touch(arg, owner);
}

void watch_touch(struct watch *w, const char *tenant)
{
	struct watched *t = find_or_add(w, tenant);

	if (t)
		touch(w, t);
	else
		want_rescan(w);
}

void watch_again(struct watch *w, const char *tenant)
{
	struct watched *t = find_or_add(w, tenant);

	if (!t) {
		want_rescan(w);
		return;
	}
	touch(w, t);
	t->last -= WATCH_SETTLE_MS - WATCH_BATCH_MS;
	writer_suspect(&t->writer);
	watch_keys_suspect(t->files);
}

bool watch_pending(struct watch *w, const char *tenant)
{
	struct watched *t = find(w, tenant);

	return t && is_changed(t) &&
	       (!is_writing(t) || uv_now(w->loop) - t->last < WATCH_RESCAN_MS);
}

bool watch_writing(struct watch *w, const char *tenant)
{
	struct watched *t = find(w, tenant);
	char path[PATH_MAX];

	return t && watch_pending(w, tenant) &&
	       (writer_is_certain(&t->writer, path_of(w, t, path)) ||
		watch_keys_certain(t->files));
}

/* The folder */

static void on_rescan(uv_timer_t *timer);
static void on_reopen(uv_timer_t *timer);

/* Why the folder cannot be watched, and what can be done about it: once. */
static void say_why(struct watch *w, int err)
{
	if (err == w->said)
		return;
	w->said = err;
	if (err == ENOSPC || err == EMFILE || err == ENOMEM)
		log_error("%s: changes are not noticed at once, only every %d s, since inotify's "
			  "limit is reached: raise sysctl fs.inotify.max_user_%s", w->path,
			  WATCH_BLIND_MS / 1000, err == EMFILE ? "instances" : "watches");
	else
		log_error("%s: %s; all tenants stay as they are until it is there", w->path,
			  strerror(err));
}

/* It cannot be watched: look for it often, or look at it often. */
static void go_without(struct watch *w, int err)
{
	bool blind = err == ENOSPC || err == EMFILE || err == ENOMEM;

	say_why(w, err);
	if (blind) {
		want_rescan(w);
		uv_timer_start(&w->rescan, on_rescan, WATCH_BLIND_MS, WATCH_BLIND_MS);
	} else {
		uv_timer_start(&w->reopen, on_reopen, REOPEN_MS, 0);
	}
}

static void lose_folder(struct watch *w)
{
	int wd = w->folder_wd;

	w->folder_wd = w->keys.folder_wd = -1;
	inotify_rm_watch(w->fd, wd);
	/* Key files may lie in the folder, too. */
	watch_keys_lost(&w->keys, wd, touch_owner, w);
}

/* Begins to watch what lies at the path now, unless we do already. */
static void find_folder(struct watch *w)
{
	int wd = w->fd < 0 ? -1 : inotify_add_watch(w->fd, w->path, WATCH_EVENTS);
	int err = w->fd < 0 ? EMFILE : errno;

	if (wd >= 0 && wd == w->folder_wd)
		return;
	if (w->folder_wd >= 0)
		lose_folder(w);
	if (wd < 0) {
		go_without(w, err);
		return;
	}
	w->folder_wd = w->keys.folder_wd = wd;
	if (w->said)
		log_info("%s is watched again", w->path);
	w->said = 0;
	uv_timer_start(&w->rescan, on_rescan, WATCH_RESCAN_MS, WATCH_RESCAN_MS);
	want_rescan(w);
}

void watch_find_folder(struct watch *w)
{
	find_folder(w);
}

static void watch_homeless(struct watch *w)
{
	if (watch_keys_retry(&w->keys, touch_owner, w) &&
	    !uv_is_active((uv_handle_t *)&w->reopen))
		uv_timer_start(&w->reopen, on_reopen, RETRY_MS, 0);
}

static void on_reopen(uv_timer_t *timer)
{
	struct watch *w = timer->data;

	if (w->folder_wd < 0)
		find_folder(w);
	watch_homeless(w);
}

static void on_rescan(uv_timer_t *timer)
{
	struct watch *w = timer->data;

	/* Its parent may have been moved, or something mounted over it: no event tells. */
	find_folder(w);
	want_rescan(w);
}

/* Events */

static void on_entry(struct watch *w, const struct inotify_event *event)
{
	char name[TENANT_NAME_MAX + 1], path[PATH_MAX];
	struct watched *t;

	switch (tenant_entry_kind(event->name, name)) {
	case TENANT_ENTRY_IGNORED:
		return;
	case TENANT_ENTRY_BAD:
		if (event->mask & (IN_CREATE | IN_MOVED_TO))
			want_rescan(w); /* where its fault is told */
		return;
	case TENANT_ENTRY:
		break;
	}
	t = find_or_add(w, name);
	if (!t) {
		want_rescan(w);
		return;
	}
	(void)!snprintf(path, sizeof(path), "%s/%s", w->path, event->name);
	writer_note(&t->writer, event->mask, path, uv_now(w->loop));
	touch(w, t);
}

static void forget_writing(const void *node, VISIT visit, void *closure)
{
	(void)closure;
	if (visit == postorder || visit == leaf)
		(*(struct watched *const *)node)->writer.writing = false;
}

static void on_overflow(struct watch *w)
{
	log_warning("%s: too many changes at once, looking at everything", w->path);
	twalk_r(w->tenants, forget_writing, NULL);
	watch_keys_forget_writing(&w->keys);
	want_rescan(w);
}

static void on_event(struct watch *w, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		on_overflow(w);
		return;
	}
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		/* What has this path now is another folder, or none. */
		if (event->wd == w->folder_wd) {
			lose_folder(w);
			find_folder(w);
		} else {
			inotify_rm_watch(w->fd, event->wd);
			watch_keys_lost(&w->keys, event->wd, touch_owner, w);
		}
		watch_homeless(w);
		return;
	}
	if (!event->len)
		return;
	watch_keys_event(&w->keys, event, uv_now(w->loop), touch_owner, w);
	if (event->wd == w->folder_wd)
		on_entry(w, event);
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

/* Key files */

int watch_key_files(struct watch *w, const char *tenant, char *const *paths, size_t n)
{
	struct watched *t = n ? find_or_add(w, tenant) : find(w, tenant);
	struct watch_file *before;
	int err = 0;

	if (!t)
		return n ? -ENOMEM : 0;
	/* The new ones first: what stays is watched without a gap. */
	before = t->files;
	t->files = NULL;
	for (size_t i = 0; i < n && !err; i++)
		err = watch_keys_add(&w->keys, &t->files, t, paths[i]);
	watch_keys_release(&w->keys, &before);
	if (!cds_list_empty(&w->keys.homeless) && !uv_is_active((uv_handle_t *)&w->reopen))
		uv_timer_start(&w->reopen, on_reopen, RETRY_MS, 0);
	if (!t->files && !is_changed(t))
		forget(w, t);
	return err;
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
	CDS_INIT_LIST_HEAD(&w->changed);
	w->path = strdup(path);
	if (!w->path)
		goto free_w;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch_keys_init(&w->keys, w->fd);
	if (w->fd >= 0) {
		err = uv_poll_init(loop, &w->poll, w->fd);
		if (err)
			goto free_w;
		w->poll.data = w;
		uv_poll_start(&w->poll, UV_READABLE, on_readable);
	}
	uv_timer_init(loop, &w->settle);
	uv_timer_init(loop, &w->reopen);
	uv_timer_init(loop, &w->rescan);
	w->settle.data = w->reopen.data = w->rescan.data = w;
	uv_timer_start(&w->rescan, on_rescan, WATCH_RESCAN_MS, WATCH_RESCAN_MS);
	find_folder(w);
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
	while (w->tenants)
		forget(w, *(struct watched **)w->tenants);
	if (w->fd >= 0)
		close(w->fd);
	free(w->path);
	free(w);
}

static void close_handle(struct watch *w, uv_handle_t *handle)
{
	w->closing++;
	uv_close(handle, on_closed);
}

void watch_close(struct watch *w)
{
	if (w->fd >= 0)
		close_handle(w, (uv_handle_t *)&w->poll);
	close_handle(w, (uv_handle_t *)&w->settle);
	close_handle(w, (uv_handle_t *)&w->reopen);
	close_handle(w, (uv_handle_t *)&w->rescan);
}
