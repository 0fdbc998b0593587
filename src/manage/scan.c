/* SPDX-License-Identifier: MIT */
/* A folder in slices. */
#include "scan.h"

#include <stdlib.h>

static void look_at_slice(struct scan *s)
{
	for (int i = 0; i < SCAN_LOOK && s->next < s->folder.n && s->n < SCAN_READ; i++) {
		const char *name = s->folder.names[s->next++];

		if (s->ops->look(s->arg, name, s->folder.dirfd))
			s->names[s->n++] = name;
	}
}

static void on_idle(uv_idle_t *idle)
{
	struct scan *s = idle->data;
	bool at_end;

	look_at_slice(s);
	at_end = s->next == s->folder.n;
	if (s->n == SCAN_READ || (at_end && s->n)) {
		s->ops->read(s->arg, s->names, s->n, s->folder.dirfd);
		s->n = 0;
	}
	if (!at_end)
		return;
	uv_idle_stop(idle);
	folder_free(&s->folder);
	s->running = false;
	s->ops->done(s->arg);
}

void scan_init(struct scan *s, uv_loop_t *loop, const struct scan_ops *ops, void *arg)
{
	*s = (struct scan){ .ops = ops, .arg = arg, .folder.dirfd = -1 };
	uv_idle_init(loop, &s->idle);
	s->idle.data = s;
}

void scan_start(struct scan *s, struct folder *folder)
{
	s->folder = *folder;
	*folder = (struct folder){ .dirfd = -1 };
	s->next = 0;
	s->n = 0;
	s->running = true;
	uv_idle_start(&s->idle, on_idle);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, *(char *const *)b);
}

bool scan_ahead(const struct scan *s, const char *name)
{
	return s->running && s->next < s->folder.n &&
	       bsearch(name, &s->folder.names[s->next], s->folder.n - s->next,
		       sizeof(*s->folder.names), compare_names);
}

void scan_close(struct scan *s, uv_close_cb closed)
{
	folder_free(&s->folder);
	s->running = false;
	uv_close((uv_handle_t *)&s->idle, closed);
}
