/* SPDX-License-Identifier: MIT */
/* inotify, mountinfo and pidfds: namespaces that come and go. */
#include "nswatch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include <urcu/list.h>

#include "../base/log.h"

#define EVENTS                                                                                \
	(IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | \
	 IN_ONLYDIR)

struct nswatch {
	uv_loop_t *loop;
	int inotify, mounts; /* -1: not to be had */
	uv_poll_t inotify_poll, mounts_poll;
	uv_timer_t settle, slow;
	struct cds_list_head items;
	bool said_full, said_unfollowed;
	unsigned closing;
};

/* The process by which a namespace is named. */
struct process {
	uv_poll_t poll;
	struct nswatch_item *item; /* NULL: nobody's any more */
	int fd;                    /* -1: there was none such any more */
	pid_t pid;
};

struct nswatch_item {
	struct cds_list_head in_watch;
	struct nswatch *w;
	char *path; /* NULL: only a process */
	pid_t pid;  /* then: which */
	int wd;     /* of the folder that is watched for the path; -1: none */
	const char *awaited; /* in path: what is awaited there, of awaited_len bytes */
	size_t awaited_len;
	struct process *process; /* NULL: named otherwise, or it could not be followed */
	bool dirty;
	bool anew; /* somebody has made the name anew: what was known of its process is void */
	void (*changed)(void *arg);
	void *arg;
};

/* Blindness */

static void look_often(struct nswatch *w)
{
	uv_timer_set_repeat(&w->slow, NSWATCH_BLIND_MS);
	uv_timer_again(&w->slow);
}

static void go_blind(struct nswatch *w, int err)
{
	if (!w->said_full)
		log_warning("cannot watch for network namespaces: %s: looking every %d s instead; "
			    "raise fs.inotify.max_user_watches and max_user_instances by sysctl",
			    strerror(-err), NSWATCH_BLIND_MS / 1000);
	w->said_full = true;
	look_often(w);
}

/* For want of descriptors or memory, or the kernel has no pidfds. */
static void go_blind_for_process(struct nswatch *w, pid_t pid, int err)
{
	if (!w->said_unfollowed)
		log_warning("cannot follow process %d, whose network namespace a tunnel is in: %s: "
			    "looking every %d s instead", (int)pid, strerror(-err),
			    NSWATCH_BLIND_MS / 1000);
	w->said_unfollowed = true;
	look_often(w);
}

/* Processes */

static void on_process_closed(uv_handle_t *handle)
{
	struct process *p = handle->data;

	close(p->fd);
	free(p);
}

static void forget_process(struct nswatch_item *item)
{
	struct process *p = item->process;

	item->process = NULL;
	if (!p)
		return;
	p->item = NULL;
	if (p->fd < 0)
		free(p);
	else
		uv_close((uv_handle_t *)&p->poll, on_process_closed);
}

static void on_settled(uv_timer_t *timer); /* it looks, and a look touches nobody */

static void touch(struct nswatch_item *item)
{
	item->dirty = true;
	if (!uv_is_active((uv_handle_t *)&item->w->settle))
		uv_timer_start(&item->w->settle, on_settled, NSWATCH_SETTLE_MS, 0);
}

static void touch_all(struct nswatch *w)
{
	struct nswatch_item *item;

	cds_list_for_each_entry(item, &w->items, in_watch)
		touch(item);
}

static void on_process_ended(uv_poll_t *poll, int status, int events)
{
	struct process *p = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	if (p->item)
		touch(p->item);
}

/* 0, also of a process that is not there: p->fd tells. Otherwise -errno. */
static int open_process(uv_loop_t *loop, struct process *p)
{
	int err;

	p->fd = pidfd_open(p->pid, 0);
	if (p->fd < 0)
		return errno == ESRCH ? 0 : -errno;
	err = uv_poll_init(loop, &p->poll, p->fd);
	if (err) {
		close(p->fd);
		return err;
	}
	p->poll.data = p;
	uv_poll_start(&p->poll, UV_READABLE, on_process_ended);
	return 0;
}

/* One that cannot be followed has not ended by that: the next look tries again. */
static void follow_process(struct nswatch_item *item, pid_t pid)
{
	struct process *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (p) {
		*p = (struct process){ .item = item, .pid = pid };
		err = open_process(item->w->loop, p);
	}
	if (err) {
		free(p);
		go_blind_for_process(item->w, pid, err);
		return;
	}
	item->process = p;
}

/* N of "/proc/N/…", else 0. */
static pid_t pid_in_path(const char *path)
{
	char *end;
	long pid;

	if (strncmp(path, "/proc/", 6) || path[6] < '1' || path[6] > '9')
		return 0;
	errno = 0;
	pid = strtol(path + 6, &end, 10);
	return *end == '/' && !errno && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* The process that the path leads through, by itself or as a link of that name does. */
static pid_t pid_of(const struct nswatch_item *item)
{
	char target[PATH_MAX];
	pid_t pid = item->path ? pid_in_path(item->path) : item->pid;
	ssize_t len;

	if (pid || !item->path)
		return pid;
	len = readlink(item->path, target, sizeof(target) - 1);
	if (len < 0)
		return 0;
	target[len] = '\0';
	return pid_in_path(target);
}

static void look_at_process(struct nswatch_item *item)
{
	pid_t pid = pid_of(item);
	bool same = item->process && item->process->pid == pid;

	/* One that has ended does not come again: whoever has its number is another. */
	if (same && !item->anew)
		return;
	forget_process(item);
	if (pid)
		follow_process(item, pid);
}

/*
 * Of one that is not followed, the number is all there is to ask by; and kill(2) is not for
 * us (base/confine_calls.c).
 */
static bool is_pid_free(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return access(path, F_OK) && errno == ENOENT;
}

bool nswatch_ended(const struct nswatch_item *item)
{
	struct pollfd fd = { .events = POLLIN };
	pid_t pid;

	if (!item->process) {
		pid = pid_of(item);
		return pid && is_pid_free(pid);
	}
	fd.fd = item->process->fd;
	return fd.fd < 0 || poll(&fd, 1, 0) != 0;
}

/* Folders */

static bool is_watched(const struct nswatch *w, int wd)
{
	const struct nswatch_item *item;

	cds_list_for_each_entry(item, &w->items, in_watch)
		if (item->wd == wd)
			return true;
	return false;
}

static void set_folder(struct nswatch_item *item, int wd)
{
	int old = item->wd;

	item->wd = wd;
	if (old >= 0 && old != wd && !is_watched(item->w, old))
		inotify_rm_watch(item->w->inotify, old);
}

/*
 * Watches the folder of the first len bytes of the path, or the nearest one above it
 * that is there. Returns the watch and what is awaited in it, or -errno.
 */
static int watch_above(struct nswatch_item *item, size_t len)
{
	char folder[PATH_MAX];
	int wd = -ENOENT;

	while (wd == -ENOENT && len) {
		size_t end = len;

		while (len && item->path[len - 1] != '/')
			len--;
		item->awaited = item->path + len;
		item->awaited_len = end - len;
		while (len > 1 && item->path[len - 1] == '/')
			len--;
		if (len >= sizeof(folder))
			return -ENAMETOOLONG;
		memcpy(folder, item->path, len);
		folder[len] = '\0';
		wd = inotify_add_watch(item->w->inotify, folder, EVENTS);
		if (wd < 0)
			wd = errno == ENOTDIR ? -ENOENT : -errno;
		if (len == 1)
			break;
	}
	return wd;
}

/* Has the folder come that was awaited, before it was watched for? */
static bool is_there(const struct nswatch_item *item)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s",
		 (int)(item->awaited + item->awaited_len - item->path), item->path);
	return !access(path, F_OK);
}

static void look_at_folder(struct nswatch_item *item)
{
	size_t len = strlen(item->path);
	int wd, tries = 8;

	do {
		wd = watch_above(item, len);
	} while (wd >= 0 && item->awaited + item->awaited_len < item->path + len &&
		 is_there(item) && --tries);
	if (wd == -ENOSPC || wd == -ENOMEM)
		go_blind(item->w, wd);
	set_folder(item, max(wd, -1));
}

static void look(struct nswatch_item *item)
{
	if (item->path && item->w->inotify >= 0 && !pid_in_path(item->path))
		look_at_folder(item);
	look_at_process(item);
	item->anew = false;
}

/* Events */

static void on_settled(uv_timer_t *timer)
{
	struct nswatch *w = timer->data;
	struct nswatch_item *item;

	cds_list_for_each_entry(item, &w->items, in_watch) {
		if (!item->dirty)
			continue;
		item->dirty = false;
		look(item);
		item->changed(item->arg);
	}
}

static void on_slow(uv_timer_t *timer)
{
	struct nswatch *w = timer->data;

	/* What was short may be there again; who still lacks it, says so at its look. */
	if (w->inotify >= 0 && w->mounts >= 0) {
		uv_timer_set_repeat(timer, NSWATCH_SLOW_MS);
		uv_timer_again(timer);
	}
	touch_all(w);
}

static bool is_awaited(const struct nswatch_item *item, const struct inotify_event *event)
{
	return event->len && strlen(event->name) == item->awaited_len &&
	       !memcmp(event->name, item->awaited, item->awaited_len);
}

static void on_event(struct nswatch *w, const struct inotify_event *event)
{
	struct nswatch_item *item;

	if (event->mask & IN_Q_OVERFLOW)
		touch_all(w);
	cds_list_for_each_entry(item, &w->items, in_watch) {
		if (item->wd != event->wd)
			continue;
		if (event->mask & IN_IGNORED)
			item->wd = -1; /* the kernel has given it back */
		if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) {
			touch(item);
		} else if (is_awaited(item, event)) {
			item->anew = true;
			touch(item);
		}
	}
}

static void on_inotify(uv_poll_t *poll, int status, int events)
{
	_Alignas(struct inotify_event) char buf[16384];
	struct nswatch *w = poll->data;
	ssize_t n = read(w->inotify, buf, sizeof(buf));

	(void)status;
	(void)events;
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event = (const void *)(buf + at);

		on_event(w, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

/* Something was mounted or unmounted; that it was said is enough to be told again. */
static void on_mounts(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	touch_all(poll->data);
}

/* Life */

static void start_polls(struct nswatch *w)
{
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->inotify < 0)
		go_blind(w, -errno);
	else if (!uv_poll_init(w->loop, &w->inotify_poll, w->inotify))
		uv_poll_start(&w->inotify_poll, UV_READABLE, on_inotify);
	w->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (w->mounts < 0)
		go_blind(w, -errno);
	/* It is always readable; news of it are a priority. */
	else if (!uv_poll_init(w->loop, &w->mounts_poll, w->mounts))
		uv_poll_start(&w->mounts_poll, UV_PRIORITIZED, on_mounts);
	w->inotify_poll.data = w->mounts_poll.data = w;
}

int nswatch_open(struct nswatch **out, uv_loop_t *loop)
{
	struct nswatch *w = calloc(1, sizeof(*w));

	*out = w;
	if (!w)
		return -ENOMEM;
	w->loop = loop;
	CDS_INIT_LIST_HEAD(&w->items);
	uv_timer_init(loop, &w->settle);
	uv_timer_init(loop, &w->slow);
	w->settle.data = w->slow.data = w;
	uv_timer_start(&w->slow, on_slow, NSWATCH_SLOW_MS, NSWATCH_SLOW_MS);
	start_polls(w);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct nswatch *w = handle->data;

	if (--w->closing)
		return;
	if (w->inotify >= 0)
		close(w->inotify);
	if (w->mounts >= 0)
		close(w->mounts);
	free(w);
}

static void close_handle(struct nswatch *w, uv_handle_t *handle)
{
	if (handle->type == UV_UNKNOWN_HANDLE)
		return;
	w->closing++;
	uv_close(handle, on_closed);
}

void nswatch_close(struct nswatch *w)
{
	if (!w)
		return;
	close_handle(w, (uv_handle_t *)&w->settle);
	close_handle(w, (uv_handle_t *)&w->slow);
	close_handle(w, (uv_handle_t *)&w->inotify_poll);
	close_handle(w, (uv_handle_t *)&w->mounts_poll);
}

static char *path_of(enum tunnel_netns kind, const char *ref)
{
	char *path = NULL;

	if (kind == TUNNEL_NETNS_PATH)
		return strdup(ref);
	return asprintf(&path, "/run/netns/%s", ref) < 0 ? NULL : path;
}

int nswatch_add(struct nswatch_item **out, struct nswatch *w, enum tunnel_netns kind,
		const char *ref, void (*changed)(void *arg), void *arg)
{
	struct nswatch_item *item = calloc(1, sizeof(*item));

	*out = NULL;
	if (!item)
		return -ENOMEM;
	*item = (struct nswatch_item){ .w = w, .wd = -1, .changed = changed, .arg = arg };
	if (kind == TUNNEL_NETNS_PID) {
		item->pid = (pid_t)strtol(ref, NULL, 10);
	} else {
		item->path = path_of(kind, ref);
		if (!item->path) {
			free(item);
			return -ENOMEM;
		}
	}
	cds_list_add_tail(&item->in_watch, &w->items);
	look(item);
	*out = item;
	return 0;
}

void nswatch_remove(struct nswatch_item *item)
{
	if (!item)
		return;
	cds_list_del(&item->in_watch);
	set_folder(item, -1);
	forget_process(item);
	free(item->path);
	free(item);
}
