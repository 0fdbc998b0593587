/* SPDX-License-Identifier: MIT */
/*
 * The text in which Prometheus reads metrics, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats): a family of samples is its
 * help, its type, and then its samples, all in one place. Pure; any thread.
 */
#ifndef BERTH_MANAGE_EXPOSITION_H
#define BERTH_MANAGE_EXPOSITION_H

#include "rope.h"

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_GAUGE, METRIC_COUNTER };

/*
 * A family. Names are of letters, digits and '_', in base units (seconds, bytes); those
 * of counters end in _total, and of counters only.
 */
struct metric {
	const char *name, *help; /* help: one sentence, neither '\\' nor newline */
	enum metric_type type;
	unsigned decimals; /* of the values given: 9 for nanoseconds of a metric in seconds */
};

enum { METRIC_LABELS_MAX = 512 };

/* Zero-initialised: none. */
struct metric_labels {
	size_t len;
	char text[METRIC_LABELS_MAX]; /* a="b",c="d" */
};

/* Adds a label; value is any text, and is cut if it does not fit. */
void metric_label(struct metric_labels *labels, const char *name, const char *value);

void metric_head(struct rope *out, const struct metric *metric);
void metric_sample(struct rope *out, const struct metric *metric,
		   const struct metric_labels *labels, uint64_t value);

#endif
