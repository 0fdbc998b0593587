/* SPDX-License-Identifier: MIT */
/*
 * The metrics in a file, for the textfile collector of node_exporter (Metrics): written
 * every METRICS_FILE_SECONDS beside it and renamed, so that whoever reads has all of a
 * text or the one before. Readable by everybody. Control thread, a piece in each turn.
 */
#ifndef BERTH_MANAGE_METRICS_FILE_H
#define BERTH_MANAGE_METRICS_FILE_H

#include "metrics.h"

enum { METRICS_FILE_SECONDS = 15 }; /* as often as Prometheus asks, unless told */

struct metrics_file;

/*
 * Begins to write; the first time at once. A file that cannot be written is one line in
 * the log, and tried again. 0 or -ENOMEM. m must live as long.
 */
must_check int metrics_file_open(struct metrics_file **out, uv_loop_t *loop, const char *path,
				 struct metrics *m);

/* Removes the file: old numbers would look like new ones. The loop turns once more. NULL is fine. */
void metrics_file_close(struct metrics_file *file);

#endif
