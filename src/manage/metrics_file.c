/* SPDX-License-Identifier: MIT */
/* The metrics in a file. */
#include "metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"

struct metrics_file {
	struct metrics *metrics;
	struct metrics_asker asker;
	uv_timer_t timer;
	uv_idle_t idle; /* runs while a text is being written */
	unsigned n_handles;
	bool complained; /* about this fault already */
	char *path, *beside;

	/* of the text that is being written */
	int fd; /* -1: none */
	struct metrics_text *text;
	struct rope_reader reader;
};

/* It did not work, this time. */
static void give_up(struct metrics_file *f, int err)
{
	if (!f->complained)
		log_error("cannot write the metrics to %s: %s; trying again every %d s", f->path,
			  strerror(err), METRICS_FILE_SECONDS);
	f->complained = true;
}

static void end_text(struct metrics_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	metrics_text_put(f->text);
	f->text = NULL;
	(void)uv_idle_stop(&f->idle);
}

/* 1: more to come; 0: whole; -errno. */
static int write_piece(struct metrics_file *f)
{
	size_t len;
	const char *data = rope_next(&f->reader, &len);
	ssize_t n;

	if (!data)
		return 0;
	n = write(f->fd, data, len);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	rope_skip(&f->reader, (size_t)n);
	return 1;
}

static void on_idle(uv_idle_t *idle)
{
	struct metrics_file *f = idle->data;
	int result = write_piece(f);

	if (result > 0)
		return;
	end_text(f);
	if (!result && rename(f->beside, f->path))
		result = -errno;
	if (result) {
		(void)unlink(f->beside);
		give_up(f, -result);
		return;
	}
	if (f->complained)
		log_info("the metrics are written to %s again", f->path);
	f->complained = false;
}

/* A new file, whatever lies there: a link is not followed. For everybody to read. */
static int open_beside(const struct metrics_file *f)
{
	int fd;

	(void)unlink(f->beside);
	fd = open(f->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	/* Whatever the umask. */
	if (fd >= 0 && fchmod(fd, 0644)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd < 0 ? -errno : fd;
}

static void on_text(struct metrics_asker *asker, struct metrics_text *text)
{
	struct metrics_file *f = container_of(asker, struct metrics_file, asker);
	int fd = text ? open_beside(f) : -ENOMEM;

	if (fd < 0) {
		metrics_text_put(text);
		give_up(f, -fd);
		return;
	}
	f->fd = fd;
	f->text = text;
	f->reader = rope_read_from_start(&text->rope);
	(void)uv_idle_start(&f->idle, on_idle);
}

static void on_timer(uv_timer_t *timer)
{
	struct metrics_file *f = timer->data;

	/* Should the last one not be whole yet, it goes on. */
	if (f->text)
		return;
	metrics_leave(f->metrics, &f->asker);
	metrics_ask(f->metrics, &f->asker);
}

static void free_file(struct metrics_file *f)
{
	free(f->path);
	free(f->beside);
	free(f);
}

int metrics_file_open(struct metrics_file **out, uv_loop_t *loop, const char *path,
		      struct metrics *m)
{
	struct metrics_file *f = calloc(1, sizeof(*f));

	*out = NULL;
	if (!f)
		return -ENOMEM;
	*f = (struct metrics_file){ .metrics = m, .asker = { .done = on_text }, .fd = -1,
				    .path = strdup(path) };
	/* The collector takes every *.prom: this is none. */
	if (!f->path || asprintf(&f->beside, "%s.tmp", path) < 0) {
		f->beside = NULL;
		free_file(f);
		return -ENOMEM;
	}
	(void)uv_timer_init(loop, &f->timer);
	(void)uv_idle_init(loop, &f->idle);
	f->timer.data = f->idle.data = f;
	f->n_handles = 2;
	(void)uv_timer_start(&f->timer, on_timer, 0, METRICS_FILE_SECONDS * 1000);
	*out = f;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct metrics_file *f = handle->data;

	if (!--f->n_handles)
		free_file(f);
}

void metrics_file_close(struct metrics_file *f)
{
	if (!f)
		return;
	metrics_leave(f->metrics, &f->asker);
	if (f->text) {
		end_text(f);
		(void)unlink(f->beside);
	}
	(void)unlink(f->path);
	uv_close((uv_handle_t *)&f->timer, on_closed);
	uv_close((uv_handle_t *)&f->idle, on_closed);
}
