/* SPDX-License-Identifier: MIT */
/* The gateway from outside: its process, what the kernel lost, and somebody who asks all the time. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "memory.h"
#include "soak.h"

enum { LOOK_MS = 700, ANSWER_MAX = 32 << 20, PATIENCE_S = 20, SEGMENTS = 64 };

struct watch {
	const struct soak_options *o;
	pthread_t thread;
	_Atomic bool stop;
	/* the thread's, until it is joined */
	uint64_t requests, scrapes, slowest;
	char fault[256]; /* the first one; "": none */
	unsigned faults;
	struct losses_seen before;
};

/* The process */

static uint64_t line_of(int pid, const char *file, const char *what)
{
	char path[64], line[256];
	uint64_t value = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = load_open(path, "re");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			value = strtoull(line + strlen(what), NULL, 10);
	(void)fclose(f);
	return value;
}

static unsigned count_timers(int pid)
{
	char path[64], line[256];
	unsigned n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/timers", pid);
	f = fopen(path, "re");
	if (!f)
		return 0; /* a kernel without CONFIG_CHECKPOINT_RESTORE */
	while (fgets(line, sizeof(line), f))
		n += !strncmp(line, "ID:", 3);
	(void)fclose(f);
	return n;
}

/* Field 22 of /proc/PID/stat: another process of that number has another time. */
static uint64_t start_of(int pid)
{
	char path[64], line[1024], *at;
	FILE *f;
	int field = 2;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = load_open(path, "re");
	if (!fgets(line, sizeof(line), f))
		load_die(path);
	(void)fclose(f);
	for (at = strrchr(line, ')'); at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

void watch_process(struct soak *s, struct process *p)
{
	json_t *answer = files_request(s, "{\"do\":\"status\"}\n");
	json_t *status = json_object_get(answer, "status");

	*p = (struct process){
		.pss = line_of(s->o.pid, "smaps_rollup", "Pss:") << 10,
		.rss = line_of(s->o.pid, "smaps_rollup", "Rss:") << 10,
		.descriptors = memory_descriptors(s->o.pid),
		.threads = (unsigned)line_of(s->o.pid, "status", "Threads:"),
		.timers = count_timers(s->o.pid),
		.started = start_of(s->o.pid),
		.tenants = (unsigned)json_integer_value(json_object_get(status, "peers")),
		.sessions = (unsigned)json_integer_value(json_object_get(status, "connected")),
		.strays = s->stray_files
	};
	if (json_integer_value(json_object_get(status, "pid")) != s->o.pid)
		soak_fault(s, "the gateway is another process");
	json_decref(answer);
}

json_t *watch_json(const struct process *p)
{
	return json_pack("{s:I,s:I,s:i,s:i,s:i,s:I,s:i,s:i}", "pss", (json_int_t)p->pss, "rss",
			 (json_int_t)p->rss, "descriptors", (int)p->descriptors, "threads",
			 (int)p->threads, "timers", (int)p->timers, "started",
			 (json_int_t)p->started, "tenants", (int)p->tenants, "sessions",
			 (int)p->sessions);
}

/* The kernel's own losses, in the namespace that we are in */

/* "Udp: names" and, in the next line, "Udp: numbers". */
static uint64_t snmp_udp(const char *name)
{
	char names[1024], numbers[1024], *n, *v, *keep_n, *keep_v;
	FILE *f = load_open("/proc/thread-self/net/snmp", "re");
	uint64_t value = 0;

	while (fgets(names, sizeof(names), f) && fgets(numbers, sizeof(numbers), f)) {
		if (strncmp(names, "Udp: ", 5))
			continue;
		n = strtok_r(names, " \n", &keep_n);
		v = strtok_r(numbers, " \n", &keep_v);
		for (; n && v; n = strtok_r(NULL, " \n", &keep_n), v = strtok_r(NULL, " \n", &keep_v))
			if (!strcmp(n, name))
				value = strtoull(v, NULL, 10);
	}
	(void)fclose(f);
	return value;
}

static uint64_t snmp6(const char *wanted)
{
	FILE *f = load_open("/proc/thread-self/net/snmp6", "re");
	uint64_t value = 0, v;
	char name[64];

	while (fscanf(f, "%63s %" SCNu64, name, &v) == 2)
		if (!strcmp(name, wanted))
			value = v;
	(void)fclose(f);
	return value;
}

/* "eth0: bytes packets errs drop … | bytes packets errs drop fifo colls carrier" */
static uint64_t link_drops(void)
{
	FILE *f = load_open("/proc/thread-self/net/dev", "re");
	uint64_t v[16], sum = 0;
	char line[512], *at;
	unsigned n;

	while (fgets(line, sizeof(line), f)) {
		at = strchr(line, ':');
		if (!at)
			continue;
		for (n = 0, at++; n < ARRAY_SIZE(v); n++)
			v[n] = strtoull(at, &at, 10);
		sum += v[3] + v[10] + v[11] + v[14]; /* in: drop; out: errs, drop, carrier */
	}
	(void)fclose(f);
	return sum;
}

static uint64_t backlog_drops(void)
{
	FILE *f = load_open("/proc/net/softnet_stat", "re");
	uint64_t sum = 0;
	char line[512], *at;

	while (fgets(line, sizeof(line), f)) {
		(void)strtoull(line, &at, 16);
		sum += strtoull(at, NULL, 16);
	}
	(void)fclose(f);
	return sum;
}

void watch_losses(struct soak *s, struct losses_seen *l)
{
	const char *const all[] = { s->o.crowd, s->o.world, s->o.vps };

	*l = (struct losses_seen){ .backlog = backlog_drops() };
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		int old = load_enter(all[i]);

		l->sockets += snmp_udp("InErrors") + snmp_udp("SndbufErrors") +
			      snmp6("Udp6InErrors") + snmp6("Udp6SndbufErrors");
		l->links += link_drops();
		/* Tenants move on, and what was under way to the old place finds nobody. */
		if (!i)
			l->closed = snmp_udp("NoPorts") + snmp6("Udp6NoPorts");
		load_leave(old);
	}
}

uint64_t watch_lost(struct soak *s)
{
	struct losses_seen now, *was = &s->watch->before;

	watch_losses(s, &now);
	/* A super-packet counts as one. */
	return SEGMENTS * (now.sockets - was->sockets + now.links - was->links + now.backlog -
			   was->backlog + now.closed - was->closed);
}

/* Somebody who asks all the time */

static void fail(struct watch *w, const char *what)
{
	w->faults++;
	if (!w->fault[0])
		(void)snprintf(w->fault, sizeof(w->fault), "%s: %s", what, strerror(errno));
}

/* Sends, then reads to the end of a line or of everything. NULL: that failed. */
static char *converse(int fd, const char *text, bool line)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	size_t len = 0, room = 64 << 10;
	char *answer = malloc(room + 1), *more;
	ssize_t n = -1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (answer && send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text)) {
		while ((n = recv(fd, answer + len, room - len, 0)) > 0) {
			len += (size_t)n;
			if (line && memchr(answer + len - n, '\n', (size_t)n))
				break;
			if (len < room)
				continue;
			more = room < ANSWER_MAX ? realloc(answer, 2 * room + 1) : NULL;
			if (!more)
				break;
			answer = more;
			room *= 2;
		}
	}
	if (n < 0 || !len) {
		free(answer);
		return NULL;
	}
	answer[len] = '\0';
	return answer;
}

static void ask_control(struct watch *w, const char *question, const char *wanted)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *answer = NULL;
	json_t *json = NULL;

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", w->o->control);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&un, sizeof(un)))
		answer = converse(fd, question, true);
	if (answer)
		json = json_loads(answer, 0, NULL);
	if (!json_object_get(json, wanted))
		fail(w, question);
	json_decref(json);
	free(answer);
	close(fd);
	w->requests++;
}

static void scrape(struct watch *w)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htobe16((uint16_t)strtoul(w->o->metrics, NULL, 10)),
				  .sin_addr.s_addr = htobe32(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *answer = NULL;

	if (fd >= 0 && !connect(fd, (struct sockaddr *)&in, sizeof(in)))
		answer = converse(fd, "GET /metrics HTTP/1.0\r\n\r\n", false);
	if (!answer || !strstr(answer, " 200 ") || !strstr(answer, "\nberth_"))
		fail(w, "a scrape of the metrics");
	free(answer);
	close(fd);
	w->scrapes++;
}

static void *observe(void *arg)
{
	static const char *const questions[][2] = { { "{\"do\":\"list\"}\n", "tenants" },
						    { "{\"do\":\"names\"}\n", "names" },
						    { "{\"do\":\"status\"}\n", "status" } };
	struct watch *w = arg;
	uint64_t begun;

	(void)load_enter(w->o->vps);
	for (unsigned turn = 0; !atomic_load(&w->stop); turn++) {
		begun = load_now();
		if (turn % 4 == 3)
			scrape(w);
		else
			ask_control(w, questions[turn % 4][0], questions[turn % 4][1]);
		w->slowest = max(w->slowest, load_now() - begun);
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * (long)NSEC_PER_MSEC }, NULL);
	}
	return NULL;
}

void watch_start(struct soak *s)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		load_die("calloc");
	/* cppcheck-suppress nullPointerRedundantCheck ; load_die() does not return */
	w->o = &s->o;
	s->watch = w;
	watch_losses(s, &w->before);
	errno = pthread_create(&w->thread, NULL, observe, w);
	if (errno)
		load_die("pthread_create");
}

void watch_stop(struct soak *s)
{
	struct watch *w = s->watch;

	atomic_store(&w->stop, true);
	pthread_join(w->thread, NULL);
	s->counts[REQUESTS] += w->requests;
	s->counts[SCRAPES] += w->scrapes;
	if (w->faults)
		soak_fault(s, "%u requests failed, the first: %s", w->faults, w->fault);
}
