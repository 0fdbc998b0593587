/* SPDX-License-Identifier: MIT */
/*
 * Lines on stderr.
 *
 * The threshold, the hook and where stderr leads are process-wide state, and
 * rightly so: stderr is too. Two routers in one process share it whatever we
 * do, and a logger handed through every call would reach the same descriptor.
 * No lock is held while writing; a line is one write(), which the kernel does
 * not interleave with others (pipes: up to PIPE_BUF; files: opened for append).
 */
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "datagram.h"
#include "journal.h"

enum { PREFIX_MAX = 32 }; /* "23:59:59.999 warning " */

_Static_assert(PREFIX_MAX + LOG_TEXT_MAX < PIPE_BUF, "one line, one atomic write");

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic(const struct log_hook *) hook;
static bool to_journal; /* constant after find_target() */
static pthread_once_t target_once = PTHREAD_ONCE_INIT;
static _Atomic int journal = -1; /* the socket; stays open */

static const int priorities[] = { 7, 3, 4, 6, 7 }; /* sd-daemon(3), by enum log_level */

/*
 * systemd.exec(5): $JOURNAL_STREAM is "device:inode" of the journal's socket.
 * The variable alone proves nothing, it is inherited past a redirection.
 */
static void find_target(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%ju:%ju", &dev, &ino) != 2)
		return;
	to_journal = !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

/* The code point at s and its length in bytes; 0 when it is not valid UTF-8. */
static size_t decode_utf8(const uint8_t *s, uint32_t *point)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least; /* shorter forms must be used below it */
	} forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };
	size_t n, i;

	for (n = 0; n < ARRAY_SIZE(forms); n++)
		if ((s[0] & forms[n].mask) == forms[n].lead)
			break;
	if (n == ARRAY_SIZE(forms))
		return 0;
	*point = s[0] & (uint8_t)~forms[n].mask;
	for (i = 1; i <= n; i++) {
		if ((s[i] & 0xc0) != 0x80) /* stops at the NUL too */
			return 0;
		*point = *point << 6 | (s[i] & 0x3f);
	}
	if (*point < forms[n].least || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return n + 1;
}

/* Does it print as itself, and move neither the cursor nor its neighbours? */
static bool harmless(uint32_t point)
{
	if (point < 0x20 || (point >= 0x7f && point < 0xa0))
		return false; /* C0, DEL, C1 (0x9b starts escape sequences too) */
	if (point == 0x200e || point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
	    (point >= 0x2066 && point <= 0x2069) || point == 0x61c)
		return false; /* line separators and text direction */
	return true;
}

size_t log_sanitise(char *out, size_t room, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *s = (const uint8_t *)text;
	size_t len = 0, cut = 0; /* cut: the last place where "..." still fits */
	uint32_t point;

	while (*s) {
		size_t n = decode_utf8(s, &point);
		bool plain = n && harmless(point);
		size_t width = plain ? n : 4;

		if (len + 3 < room)
			cut = len;
		if (len + width >= room) {
			memcpy(out + cut, "...", 3);
			len = cut + 3;
			break;
		}
		if (plain) {
			memcpy(out + len, s, n);
			s += n;
		} else {
			const char escaped[] = { '\\', 'x', hex[*s >> 4], hex[*s & 15] };

			memcpy(out + len, escaped, sizeof(escaped));
			s++;
		}
		len += width;
	}
	out[len] = '\0';
	return len;
}

static size_t format_prefix(char out[PREFIX_MAX], enum log_level level)
{
	static const char *const names[] = { "silent", "error", "warning", "info", "debug" };
	struct timespec now;
	struct tm tm;
	int n;

	if (to_journal) /* which has a clock of its own */
		return (size_t)snprintf(out, PREFIX_MAX, "<%d>", priorities[level]);
	clock_realtime(&now);
	if (!localtime_r(&now.tv_sec, &tm))
		memset(&tm, 0, sizeof(tm));
	n = snprintf(out, PREFIX_MAX, "%02u:%02u:%02u.%03u %s ", (unsigned)tm.tm_hour % 24,
		     (unsigned)tm.tm_min % 60, (unsigned)tm.tm_sec % 61,
		     (unsigned)(now.tv_nsec / 1000000) % 1000, names[level]);
	return min((size_t)n, (size_t)PREFIX_MAX - 1);
}

static void write_line(enum log_level level, const char *text, size_t len)
{
	char line[PREFIX_MAX + LOG_TEXT_MAX + 1];
	size_t n = format_prefix(line, level);

	memcpy(line + n, text, len);
	n += len;
	line[n++] = '\n';
	/* Nowhere is left to complain when this fails. */
	while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
		;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_set_hook(const struct log_hook *new_hook)
{
	atomic_store_explicit(&hook, new_hook, memory_order_release);
}

static void write_out(enum log_level level, const struct log_about *about, const char *text,
		      size_t len)
{
	int fd = atomic_load_explicit(&journal, memory_order_relaxed);

	pthread_once(&target_once, find_target);
	if (fd < 0 || journal_send(fd, priorities[level], text, about))
		write_line(level, text, len);
}

static void message(enum log_level level, const struct log_about *about, const char *fmt,
		    va_list args)
{
	const struct log_hook *h = atomic_load_explicit(&hook, memory_order_acquire);
	char raw[LOG_TEXT_MAX + 8], text[LOG_TEXT_MAX]; /* raw longer: shows that it was cut */
	int saved_errno = errno;
	size_t len;

	if (vsnprintf(raw, sizeof(raw), fmt, args) < 0)
		raw[0] = '\0';
	len = log_sanitise(text, sizeof(text), raw);
	if (h)
		h->line(level, text, h->arg);
	else
		write_out(level, about, text, len);
	errno = saved_errno;
}

void log_message(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(level, NULL, fmt, args);
	va_end(args);
}

void log_message_about(enum log_level level, const struct log_about *about, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(level, about, fmt, args);
	va_end(args);
}

void log_open(const char *path)
{
	int fd;

	pthread_once(&target_once, find_target);
	if (!path)
		atomic_store_explicit(&journal, -1, memory_order_relaxed);
	if (!path || !to_journal)
		return;
	fd = datagram_connect(path);
	if (fd >= 0)
		atomic_store_explicit(&journal, fd, memory_order_relaxed);
}

bool log_limit_pass(struct log_limit *limit, uint64_t now, uint64_t *suppressed)
{
	uint64_t state = atomic_load_explicit(&limit->state, memory_order_relaxed);
	uint32_t interval = (uint32_t)(now / limit->interval);
	uint32_t asked, ahead;
	uint64_t next;

	/*
	 * One word holds the interval and the lines asked for in it, so the
	 * count is exact however many threads come at once. A thread whose
	 * now is older by one interval counts in the newer.
	 */
	do {
		asked = (uint32_t)state;
		*suppressed = 0;
		ahead = interval - (uint32_t)(state >> 32);
		if (ahead && ahead != UINT32_MAX) {
			*suppressed = asked > limit->burst ? asked - limit->burst : 0;
			asked = 0;
			next = (uint64_t)interval << 32 | 1;
		} else if (asked == UINT32_MAX) {
			return false; /* counted as far as it goes */
		} else {
			next = state + 1;
		}
	} while (!atomic_compare_exchange_weak_explicit(&limit->state, &state, next,
							memory_order_relaxed,
							memory_order_relaxed));
	return asked < limit->burst;
}
