/* SPDX-License-Identifier: MIT */
/* Key files, found by watch descriptor and name. */
#include "watch_keys.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/log.h"

/* On the way to one file; more is a loop or a joke. */
enum { LINKS_MAX = 16 };

/* One name in one watched folder. */
struct spot {
	int wd;
	char *base;
	struct writer writer;
	struct cds_list_head users; /* struct watch_file by user */
	struct spot *next_lost;
};

/* A watch, as long as somebody has files there. */
struct folder_watch {
	int wd;
	size_t files;
};

struct watch_file {
	struct watch_file *next; /* of the same owner */
	struct spot *spot;       /* NULL: its folder is not there */
	struct cds_list_head user; /* among the spot's, or else among the homeless */
	void *owner;
	char *path;
};

static int compare_spots(const void *x, const void *y)
{
	const struct spot *a = x, *b = y;

	return a->wd != b->wd ? (a->wd > b->wd) - (a->wd < b->wd) : strcmp(a->base, b->base);
}

static int compare_folders(const void *x, const void *y)
{
	const struct folder_watch *a = x, *b = y;

	return (a->wd > b->wd) - (a->wd < b->wd);
}

static void *find(void *const *tree, const void *key, int (*compare)(const void *, const void *))
{
	void *const *found = tfind(key, tree, compare);

	return found ? *found : NULL;
}

/* Folders */

/* Splits path: the folder into dir, the rest is returned. NULL: too long. */
static const char *split(const char *path, char dir[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len >= PATH_MAX)
		return NULL;
	if (!slash)
		strcpy(dir, ".");
	else if (!len)
		strcpy(dir, "/");
	else
		*(char *)mempcpy(dir, path, len) = '\0';
	return slash ? slash + 1 : path;
}

/* The watch of the folder, with one file more in it. -1: it cannot be watched now. */
static int hold_folder(struct watch_keys *k, const char *dir)
{
	struct folder_watch *f, key;
	int wd = inotify_add_watch(k->fd, dir, WATCH_EVENTS);

	if (wd < 0) {
		if (errno == ENOSPC && !k->said_full) {
			log_error("cannot watch %s for key files: no inotify watches left: raise "
				  "sysctl fs.inotify.max_user_watches; until then it is looked at "
				  "every minute", dir);
			k->said_full = true;
		}
		return -1;
	}
	key.wd = wd;
	f = find(&k->folders, &key, compare_folders);
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f || (f->wd = wd, !tsearch(f, &k->folders, compare_folders))) {
			free(f);
			if (wd != k->folder_wd)
				inotify_rm_watch(k->fd, wd);
			return -1;
		}
	}
	f->files++;
	return wd;
}

static void drop_folder(struct watch_keys *k, int wd)
{
	struct folder_watch key = { .wd = wd };
	struct folder_watch *f = find(&k->folders, &key, compare_folders);

	if (!f || --f->files)
		return;
	tdelete(f, &k->folders, compare_folders);
	free(f);
	if (wd != k->folder_wd)
		inotify_rm_watch(k->fd, wd);
}

/* Spots */

static struct spot *spot_of(struct watch_keys *k, int wd, const char *base)
{
	struct spot key = { .wd = wd, .base = (char *)(uintptr_t)base };
	struct spot *s = find(&k->spots, &key, compare_spots);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->wd = wd;
	CDS_INIT_LIST_HEAD(&s->users);
	s->base = strdup(base);
	if (!s->base || !tsearch(s, &k->spots, compare_spots)) {
		free(s->base);
		free(s);
		return NULL;
	}
	return s;
}

static void leave_spot(struct watch_keys *k, struct watch_file *f)
{
	struct spot *s = f->spot;

	assert(s); /* who is on a spot's list is on that spot */
	cds_list_del(&f->user);
	f->spot = NULL;
	drop_folder(k, s->wd);
	if (!cds_list_empty(&s->users))
		return;
	tdelete(s, &k->spots, compare_spots);
	free(s->base);
	free(s);
}

/* Finds the file, which is in no list, its folder. False: it is not there. */
static bool settle_down(struct watch_keys *k, struct watch_file *f)
{
	char dir[PATH_MAX];
	const char *base = split(f->path, dir);
	int wd = base ? hold_folder(k, dir) : -1;

	if (wd < 0)
		return false;
	f->spot = spot_of(k, wd, base);
	if (!f->spot) {
		drop_folder(k, wd);
		return false;
	}
	cds_list_add(&f->user, &f->spot->users);
	return true;
}

/* Files */

static int add_one(struct watch_keys *k, struct watch_file **list, void *owner, const char *path)
{
	struct watch_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->path = strdup(path);
	if (!f->path) {
		free(f);
		return -ENOMEM;
	}
	f->owner = owner;
	if (!settle_down(k, f))
		cds_list_add(&f->user, &k->homeless);
	f->next = *list;
	*list = f;
	return 0;
}

/* Where the symbolic link at path leads to. False: it is none. */
static bool read_link(const char *path, char target[PATH_MAX])
{
	char text[PATH_MAX], dir[PATH_MAX];
	ssize_t len = readlink(path, text, sizeof(text) - 1);

	if (len < 0)
		return false;
	text[len] = '\0';
	if (*text == '/') {
		strcpy(target, text);
		return true;
	}
	return split(path, dir) && snprintf(target, PATH_MAX, "%s/%s", dir, text) < PATH_MAX;
}

/*
 * The first symbolic link on the way, be it a folder or the file itself, and the way in
 * path from where it leads to. False: there is none.
 */
static bool follow(char path[PATH_MAX], char link[PATH_MAX])
{
	char target[PATH_MAX], rest[PATH_MAX];
	size_t len = 0;

	while (path[len]) {
		len += strspn(&path[len], "/");
		len += strcspn(&path[len], "/");
		*(char *)mempcpy(link, path, len) = '\0';
		if (!read_link(link, target))
			continue;
		strcpy(rest, &path[len]);
		return snprintf(path, PATH_MAX, "%s%s", target, rest) < PATH_MAX;
	}
	return false;
}

int watch_keys_add(struct watch_keys *k, struct watch_file **list, void *owner, const char *path)
{
	char at[PATH_MAX], link[PATH_MAX];
	int err;

	if (snprintf(at, sizeof(at), "%s", path) >= (int)sizeof(at))
		return 0; /* no file can be there */
	/* As it is named, too: its folder may come by links that are not there yet. */
	err = add_one(k, list, owner, at);
	for (int i = 0; !err && i < LINKS_MAX && follow(at, link); i++)
		if (strcmp(link, path) != 0)
			err = add_one(k, list, owner, link);
	if (!err && strcmp(at, path) != 0)
		err = add_one(k, list, owner, at);
	return err;
}

void watch_keys_release(struct watch_keys *k, struct watch_file **list)
{
	while (*list) {
		struct watch_file *f = *list;

		*list = f->next;
		if (f->spot)
			leave_spot(k, f);
		else
			cds_list_del(&f->user);
		free(f->path);
		free(f);
	}
}

bool watch_keys_writing(const struct watch_file *list, uint64_t *ask)
{
	bool writing = false;

	*ask = 0;
	for (; list; list = list->next)
		if (list->spot && list->spot->writer.writing) {
			writing = true;
			*ask = max(*ask, list->spot->writer.ask);
		}
	return writing;
}

void watch_keys_suspect(struct watch_file *list)
{
	for (; list; list = list->next)
		if (list->spot)
			writer_suspect(&list->spot->writer);
}

void watch_keys_ask(struct watch_file *list, uint64_t now)
{
	for (; list; list = list->next)
		if (list->spot)
			writer_ask(&list->spot->writer, list->path, now);
}

bool watch_keys_certain(const struct watch_file *list)
{
	for (; list; list = list->next)
		if (list->spot && writer_is_certain(&list->spot->writer, list->path))
			return true;
	return false;
}

/* Events */

void watch_keys_event(struct watch_keys *k, const struct inotify_event *event, uint64_t now,
		      watch_keys_fn *fn, void *arg)
{
	struct spot key = { .wd = event->wd, .base = (char *)(uintptr_t)event->name };
	struct spot *s = find(&k->spots, &key, compare_spots);
	struct watch_file *f;

	if (!s)
		return;
	f = cds_list_first_entry(&s->users, struct watch_file, user);
	writer_note(&s->writer, event->mask, f->path, now);
	cds_list_for_each_entry(f, &s->users, user)
		fn(f->owner, arg);
}

static void forget_writing(const void *node, VISIT visit, void *closure)
{
	(void)closure;
	if (visit == postorder || visit == leaf)
		(*(struct spot *const *)node)->writer.writing = false;
}

void watch_keys_forget_writing(struct watch_keys *k)
{
	twalk_r(k->spots, forget_writing, NULL);
}

struct loss {
	int wd;
	struct spot *spots; /* by next_lost */
};

static void gather_lost(const void *node, VISIT visit, void *closure)
{
	struct spot *s = *(struct spot *const *)node;
	struct loss *loss = closure;

	if ((visit != postorder && visit != leaf) || s->wd != loss->wd)
		return;
	s->next_lost = loss->spots;
	loss->spots = s;
}

void watch_keys_lost(struct watch_keys *k, int wd, watch_keys_fn *fn, void *arg)
{
	struct folder_watch key = { .wd = wd };
	struct loss loss = { .wd = wd };
	struct watch_file *f;

	if (!find(&k->folders, &key, compare_folders))
		return;
	twalk_r(k->spots, gather_lost, &loss);
	while (loss.spots) {
		struct spot *s = loss.spots;
		bool last = false;

		loss.spots = s->next_lost;
		while (!last) { /* with the last one goes the spot */
			f = cds_list_first_entry(&s->users, struct watch_file, user);
			last = f->user.next == &s->users;
			leave_spot(k, f);
			cds_list_add(&f->user, &k->homeless);
			fn(f->owner, arg);
		}
	}
}

bool watch_keys_retry(struct watch_keys *k, watch_keys_fn *fn, void *arg)
{
	struct watch_file *f, *next;
	CDS_LIST_HEAD(looking);

	cds_list_splice(&k->homeless, &looking);
	CDS_INIT_LIST_HEAD(&k->homeless);
	cds_list_for_each_entry_safe(f, next, &looking, user) {
		if (settle_down(k, f))
			fn(f->owner, arg);
		else
			cds_list_add(&f->user, &k->homeless);
	}
	return !cds_list_empty(&k->homeless);
}

void watch_keys_init(struct watch_keys *k, int fd)
{
	*k = (struct watch_keys){ .fd = fd, .folder_wd = -1 };
	CDS_INIT_LIST_HEAD(&k->homeless);
}
