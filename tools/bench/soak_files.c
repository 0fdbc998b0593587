/* SPDX-License-Identifier: MIT */
/* Files of tenants, in all the ways in which people write them, and when the gateway has taken them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../src/base/encoding.h"
#include "crowd.h"
#include "load.h"
#include "soak.h"

enum {
	STRAYS = 40,
	LEAVE_MS = 1200 /* for so long one who was revoked tries on */
};

static const char *const quotas[] = { "", "", "", "", "", "Quota = 300KB/day\n",
				      "Quota = 2MB\nQuotaRate = 1mbit\n",
				      "Quota = 500KB/week\nBlocked = yes\n" };
static const unsigned rates[] = { 0, 0, 0, 0, 0, 300, 1000, 8000 };

/* Lines that make a file faulty. */
static const char *const mistakes[] = {
	"PublicKey = nokey", "AllowedIPs = 10.8.300.1/32", "Nonsense = 1", "AllowedIPs = 192.0.2.77/32",
	" PersistentKeepalive = 5", "[Peer]\nEndpoint = nowhere", "PersistentKeepalive = 70000",
	/* too long for a line */
	("Endpoint = a-name-of-very-many-letters-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-"
	"and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-"
	"and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on.example.com:51820")
};

/* Writing */

static void open_in_place(const char *path, int *fd)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (*fd < 0)
		load_die(path);
}

/* In place, or whole by rename. */
static void write_file(struct soak *s, const char *path, const char *text, size_t len)
{
	bool rename_it = soak_chance(s, 50);
	char tmp[512];
	int fd;

	(void)snprintf(tmp, sizeof(tmp), "%s/.soak.tmp", s->o.folder);
	open_in_place(rename_it ? tmp : path, &fd);
	if (write(fd, text, len) != (ssize_t)len || close(fd) ||
	    (rename_it && rename(tmp, path)))
		load_die(path);
}

/* mistake: a line more, or NULL; revoked: without its key. */
static void write_tenant(struct soak *s, struct tenant *t, const char *mistake, bool revoked)
{
	struct in_addr in = soak_inner4(t->number);
	struct in6_addr in6 = soak_inner6(t->number);
	char a[INET_ADDRSTRLEN], b[INET6_ADDRSTRLEN], key[KEY_BASE64_STRLEN] = "";
	uint8_t psk[NOISE_KEY_LEN];
	struct noise_local local;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		load_die("open_memstream");
	wire_identity(t, &local, psk);
	if (!revoked)
		key_to_base64(local.public_key, key);
	(void)fprintf(f, "[Peer]\nPublicKey = %s\nAllowedIPs = %s/32, %s/128\n", key,
		      inet_ntop(AF_INET, &in, a, sizeof(a)),
		      inet_ntop(AF_INET6, &in6, b, sizeof(b)));
	if (!key_is_zero(psk))
		(void)fprintf(f, "PresharedKey = %s\n", key_to_base64(psk, key));
	if (mistake)
		(void)fprintf(f, "%s\n", mistake);
	(void)fprintf(f, "[Tenant]\n%s", t->quota);
	if (t->rate)
		(void)fprintf(f, "RateLimit = %ukbit\n", t->rate);
	if (t->expires) {
		char date[32];
		time_t when = t->expires;
		struct tm tm;

		if (!gmtime_r(&when, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm))
			load_die("a date");
		(void)fprintf(f, "Expires = %s\n", date);
	}
	if (fclose(f))
		load_die("fclose");
	t->changed = load_now();
	write_file(s, crowd_path(s->o.folder, t->number), text, len);
	free(text);
}

/* Asking */

static void ask_open(struct soak *s, struct ask *a)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = a };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", s->o.control);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0 || connect(a->fd, (struct sockaddr *)&un, sizeof(un)))
		load_die(s->o.control);
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, a->fd, &e))
		load_die("epoll_ctl");
}

void files_open(struct soak *s)
{
	for (unsigned i = 0; i < SOAK_ASKS; i++)
		ask_open(s, &s->asks[i]);
}

static struct ask *free_ask(struct soak *s)
{
	for (unsigned i = 0; i < SOAK_ASKS; i++)
		if (!s->asks[i].busy)
			return &s->asks[i];
	return NULL;
}

bool files_may_ask(const struct soak *s)
{
	for (unsigned i = 0; i < SOAK_ASKS; i++) {
		if (!s->asks[i].busy)
			return true;
	}
	return false;
}

bool files_ask(struct soak *s, enum ask_kind kind, struct tenant *t)
{
	struct ask *a = free_ask(s);
	char line[256], key[KEY_BASE64_STRLEN];
	uint8_t psk[NOISE_KEY_LEN];
	struct noise_local local;
	int n;

	if (!a)
		return false;
	wire_identity(t, &local, psk);
	key_to_base64(local.public_key, key);
	if (kind == ASK_SHOW)
		n = snprintf(line, sizeof(line), "{\"do\":\"show\",\"name\":\"t%05u\"}\n", t->number);
	else if (kind == ASK_GONE)
		n = snprintf(line, sizeof(line), "{\"do\":\"wait\",\"name\":\"t%05u\"}\n", t->number);
	else
		n = snprintf(line, sizeof(line),
			     "{\"do\":\"wait\",\"name\":\"t%05u\",\"public_key\":\"%s\"}\n",
			     t->number, key);
	if (send(a->fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		load_die("control socket");
	a->busy = true;
	a->kind = kind;
	a->tenant = t;
	a->life = t->lives;
	a->since = t->changed;
	a->len = 0;
	soak_count(s, REQUESTS);
	return true;
}

static void begin_life(struct soak *s, struct tenant *t)
{
	t->lives++;
	t->life = LIVE;
	t->ended_utc = 0;
	t->gone = false;
	t->asleep = 0;
	memset(&t->account, 0, sizeof(t->account));
	wire_reset(s, t);
}

static void take_answer(struct soak *s, struct ask *a)
{
	struct tenant *t = a->tenant;
	json_t *answer = json_loads(a->text, 0, NULL);
	const char *state = json_string_value(json_object_get(json_object_get(answer, "wait"),
							      "state"));
	const char *wanted = a->kind == ASK_LIVE ? "live" : "gone";

	if (a->kind == ASK_SHOW) {
		plan_audit(s, t, json_object_get(answer, "tenant"));
	} else if (!state || strcmp(state, wanted)) {
		soak_fault(s, "t%05u: asked whether it is %s: %.*s", t->number, wanted,
			   (int)strcspn(a->text, "\n"), a->text);
	} else if (a->kind == ASK_LIVE) {
		soak_lag(&s->lag_add, s->now - a->since);
		if (t->life == COMING)
			begin_life(s, t);
		t->gone = true; /* the key that it had, if it was another */
	} else {
		/* The date of an expiry is of another clock. */
		if (!t->expires)
			soak_lag(&s->lag_revoke, s->now - a->since);
		t->gone = true;
	}
	json_decref(answer);
}

void files_answer(struct soak *s, struct ask *a)
{
	ssize_t n = recv(a->fd, a->text + a->len, sizeof(a->text) - 1 - a->len, MSG_DONTWAIT);

	if (n <= 0) {
		if (n < 0 && errno == EAGAIN)
			return;
		errno = n ? errno : ECONNRESET;
		load_die("control socket");
	}
	a->len += (size_t)n;
	a->text[a->len] = '\0';
	if (!strchr(a->text, '\n')) {
		if (a->len == sizeof(a->text) - 1)
			load_die("an answer that is too long");
		return;
	}
	a->busy = false;
	take_answer(s, a);
}

json_t *files_request(struct soak *s, const char *line)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	json_error_t error;
	json_t *answer;
	FILE *f;

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", s->o.control);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) ||
	    send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		load_die("control socket");
	f = fdopen(fd, "r");
	answer = f ? json_loadf(f, JSON_DISABLE_EOF_CHECK, &error) : NULL;
	if (!answer)
		load_die("an answer of the control socket");
	(void)fclose(f);
	return answer;
}

/* What becomes of a tenant */

static void other_limits(struct soak *s, struct tenant *t)
{
	t->rate = rates[soak_random(s, ARRAY_SIZE(rates))];
	t->quota = quotas[soak_random(s, ARRAY_SIZE(quotas))];
}

void files_come(struct soak *s, struct tenant *t)
{
	t->generation += soak_chance(s, 50);
	t->expires = 0;
	t->faulty = false;
	other_limits(s, t);
	write_tenant(s, t, NULL, false);
	t->life = COMING;
	(void)files_ask(s, ASK_LIVE, t);
	soak_count(s, ADDED);
}

static void leave_from(struct soak *s, struct tenant *t, uint64_t utc)
{
	t->life = LEAVING;
	t->gone = t->rotated = false;
	t->ended_utc = utc;
	t->until = s->now + LEAVE_MS * NSEC_PER_MSEC;
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		s->device_before[i] += t->account.drops[i];
	s->grey[DROP_UNKNOWN_INDEX] += t->recent_n;
	if (s->now - t->blamed < NSEC_PER_SEC / 2)
		s->unsure += t->blamed_n;
	/* What it has sent and nobody has answered may have been refused. */
	s->grey[DROP_UNKNOWN_PEER] += t->account.grey;
	s->grey[DROP_UNKNOWN_INDEX] += t->account.grey;
}

void files_leave(struct soak *s, struct tenant *t)
{
	const char *path = crowd_path(s->o.folder, t->number);
	char away[512];

	t->changed = load_now();
	(void)snprintf(away, sizeof(away), "%s.bak", path);
	switch (soak_random(s, 3)) {
	case 0:
		write_tenant(s, t, NULL, true);
		break;
	case 1:
		if (rename(path, away) || unlink(away))
			load_die(away);
		break;
	default:
		if (unlink(path))
			load_die(path);
	}
	leave_from(s, t, load_utc());
	(void)files_ask(s, ASK_GONE, t);
	soak_count(s, REVOKED);
}

void files_expire(struct soak *s, struct tenant *t)
{
	if (t->expires) {
		leave_from(s, t, (uint64_t)t->expires * NSEC_PER_SEC);
		(void)files_ask(s, ASK_GONE, t);
		soak_count(s, EXPIRED);
		return;
	}
	t->faulty = false;
	t->expires = (int64_t)(load_utc() / NSEC_PER_SEC) + 2 + (int64_t)soak_random(s, 3);
	write_tenant(s, t, NULL, false);
}

/* It has tried long enough. One whose key was changed goes on with the other. */
void files_left(struct soak *s, struct tenant *t)
{
	if (t->rotated) {
		begin_life(s, t);
		return;
	}
	if (t->expires && unlink(crowd_path(s->o.folder, t->number)))
		load_die("unlink");
	t->life = ABSENT;
}

/* Another key in the same file: whoever has the old one is revoked. */
void files_rotate(struct soak *s, struct tenant *t)
{
	t->generation++;
	t->faulty = false;
	write_tenant(s, t, NULL, false);
	leave_from(s, t, load_utc());
	t->rotated = true;
	(void)files_ask(s, ASK_LIVE, t);
	soak_count(s, ROTATED);
}

void files_rewrite(struct soak *s, struct tenant *t)
{
	if (soak_chance(s, 50)) {
		other_limits(s, t);
		soak_count(s, RELIMITED);
	} else {
		soak_count(s, REWRITTEN);
	}
	t->faulty = false;
	write_tenant(s, t, NULL, false);
}

void files_break(struct soak *s, struct tenant *t)
{
	write_tenant(s, t, mistakes[soak_random(s, ARRAY_SIZE(mistakes))], false);
	t->faulty = true;
	soak_count(s, BROKEN);
}

void files_mend(struct soak *s, struct tenant *t)
{
	write_tenant(s, t, NULL, false);
	t->faulty = false;
	soak_count(s, MENDED);
}

static const char *stray_path(const struct soak *s, unsigned number)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/x%05u.conf", s->o.folder, number);
	return path;
}

/* One comes, or one that is there goes. */
void files_stray(struct soak *s)
{
	const char *path = stray_path(s, (unsigned)soak_random(s, STRAYS));
	char text[512];
	int n;

	if (!unlink(path)) {
		s->stray_files--;
		return;
	}
	n = snprintf(text, sizeof(text), "[Peer]\n%s\n",
		     mistakes[soak_random(s, ARRAY_SIZE(mistakes))]);
	write_file(s, path, text, (size_t)n);
	s->stray_files++;
	soak_count(s, STRAY_FILES);
}

void files_no_strays(struct soak *s)
{
	for (unsigned i = 0; i < STRAYS; i++)
		(void)unlink(stray_path(s, i));
	s->stray_files = 0;
}
