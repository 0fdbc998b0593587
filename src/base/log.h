/* SPDX-License-Identifier: MIT */
/*
 * One line per message on stderr, from any thread.
 *
 * When stderr is systemd's journal, a line is an entry there with fields (log_open());
 * if that cannot be, it starts with its level as systemd reads it ("<4>text"). To
 * anything else it starts with the local time and the level ("12:34:56.789 warning
 * text"). What came from outside (names, file contents, packets) may be put
 * into a message as it is: bytes that could drive a terminal never get there.
 */
#ifndef BERTH_BASE_LOG_H
#define BERTH_BASE_LOG_H

#include <inttypes.h>
#include <stdatomic.h>

#include "../base.h"

enum log_level {
	LOG_LEVEL_SILENT, /* as a threshold only: nothing is written */
	LOG_LEVEL_ERROR,  /* something that was asked for will not happen */
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO, /* the threshold until log_set_level() */
	LOG_LEVEL_DEBUG
};

/* Longer messages are cut and end in "...". One write of this size to a pipe is atomic. */
enum { LOG_TEXT_MAX = 1024 };

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Arguments are evaluated only when the line is wanted. */
#define log_at(level, ...)                               \
	do {                                             \
		if (log_enabled(level))                  \
			log_message(level, __VA_ARGS__); \
	} while (0)

/* What a line is about, for programs; NULL where there is nothing to say. */
struct log_about {
	const char *tenant; /* name of its file, without ".conf" */
	const char *event;  /* one word of ours; stable */
	const char *reason; /* why it happened or failed, in words */
};

/*
 * A line about a tenant or a tunnel: BERTH_TENANT, BERTH_EVENT and BERTH_REASON in the
 * journal. The text says the same to people, whose stderr has no fields.
 */
#define log_event(level, tenant_, event_, reason_, ...)                                 \
	do {                                                                            \
		if (log_enabled(level))                                                 \
			log_message_about(level,                                        \
					  &(const struct log_about){ .tenant = (tenant_), \
								     .event = (event_),   \
								     .reason = (reason_) }, \
					  __VA_ARGS__);                                 \
	} while (0)

/*
 * At start, before there are threads or a sandbox: when stderr is the journal's, lines go to the
 * journal's socket at path (JOURNAL_SOCKET) from now on. What cannot be sent there goes
 * to stderr. Without this call all lines go to stderr; so they do after NULL, which is for a
 * child that has closed all descriptors: the socket's number is somebody else's there.
 */
void log_open(const char *path);

/* Any thread. Messages above this level are dropped from now on. */
void log_set_level(enum log_level level);

/* Any thread. Would a message of this level be written? */
bool log_enabled(enum log_level level);

/*
 * Any thread. Writes one line whatever the threshold: use the macros. The
 * text has no newline at its end. errno is left as it was.
 */
void log_message(enum log_level level, const char *fmt, ...) printf_like(2, 3);

/* The same with fields; about may be NULL. */
void log_message_about(enum log_level level, const struct log_about *about, const char *fmt, ...)
	printf_like(3, 4);

/*
 * Copies text into out (room bytes with the NUL, at least 4), with control
 * bytes, malformed UTF-8, C1 controls and direction overrides as "\xNN".
 * Returns the length; text that does not fit is cut and ends in "...".
 */
size_t log_sanitise(char *out, size_t room, const char *text);

/*
 * Tests: hands every line (sanitised, without level, time and newline) to a
 * function instead of stderr; NULL undoes it. The hook must stay valid until
 * no thread logs any more. Called on the thread that logs.
 */
struct log_hook {
	void (*line)(enum log_level level, const char *text, void *arg);
	void *arg;
};

void log_set_hook(const struct log_hook *hook);

/*
 * Lets at most burst lines pass in every interval, so that whoever sends us
 * garbage does not fill the disk. Shared by threads; no lock.
 */
struct log_limit {
	uint32_t burst;         /* at least 1 */
	uint64_t interval;      /* nanoseconds, at least 1 */
	_Atomic uint64_t state; /* number of the interval << 32 | lines asked for in it */
};

#define LOG_LIMIT_INIT(burst_, interval_) { .burst = (burst_), .interval = (interval_) }

/*
 * Any thread; now as of clock_now(). May this line be written? When it is
 * the first of a new interval, *suppressed says how many were held back
 * before; otherwise it is 0.
 */
must_check bool log_limit_pass(struct log_limit *limit, uint64_t now, uint64_t *suppressed);

/* A message behind a limit; tells first how many like it were left out. */
#define log_limited(level, limit, now, ...)                                                  \
	do {                                                                                 \
		uint64_t log_left_out_;                                                      \
		if (log_enabled(level) && log_limit_pass(limit, now, &log_left_out_)) {      \
			if (log_left_out_)                                                   \
				log_message(level, "%" PRIu64 " messages like the next one " \
						   "were left out", log_left_out_);          \
			log_message(level, __VA_ARGS__);                                     \
		}                                                                            \
	} while (0)

#endif
