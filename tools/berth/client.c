/* SPDX-License-Identifier: MIT */
/* Asking the running berthd: one JSON object each way. */
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/base/clock.h"
#include "../../src/base/log.h"
#include "../../src/config/router.h"
#include "whereabouts.h"

/* All that a double can tell, and not the 32.292999999999999 that it cannot. */
enum { PATIENCE_S = 10, REAL_DIGITS = 15 };

int client_parse(const struct command *self, int argc, char **argv, const char *own,
		 struct client_options *options)
{
	const struct option longs[] = { { "json", no_argument, NULL, 'j' },
					{ "control", required_argument, NULL, 'C' },
					{ "config", required_argument, NULL, 'c' },
					{ own, no_argument, NULL, 'o' }, /* NULL ends it here */
					{ 0 } };
	int c;

	*options = (struct client_options){ 0 };
	while ((c = getopt_long(argc, argv, ":c:", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			options->json = true;
			break;
		case 'o':
			options->own = true;
			break;
		case 'C':
			options->control = optarg;
			break;
		case 'c':
			options->config = optarg;
			break;
		default:
			return complain_option(self, c, argv);
		}
	}
	if (options->control && options->config)
		return complain_usage(self, "--control and -c both name the socket: give one");
	return EXIT_GOOD;
}

/* Reads Control of the configuration into path. */
static int read_control_path(const char *config, char *path, size_t room)
{
	struct fault_list faults = { 0 };
	struct config_router *router;
	int err = router_read(&router, config, &faults);

	/* berthd runs by what the file was: faults that it has now are no reason not to ask. */
	if (err && !access(config, R_OK) && !whereabouts_read(&router, config)) {
		(void)complain("%s has faults, which `berth check` tells: asking at %s all the "
			       "same", config, router->control);
		err = 0;
	} else if (err) {
		fault_print(&faults, stderr);
		(void)complain("cannot read %s, which names the socket of berthd: mend it, or "
			       "name the socket with --control", config);
	}
	if (!err)
		(void)snprintf(path, room, "%s", router->control);
	router_free(router);
	fault_list_free(&faults);
	return err ? EXIT_FAULT : EXIT_GOOD;
}

/* Room for a path longer than sockets can have, so that it is not silently cut. */
static int find_socket(const struct client_options *options, char *path, size_t room)
{
	if (options->config)
		return read_control_path(options->config, path, room);
	/* Where there is none, or it is not for us to read, the default is a good guess. */
	if (!options->control && !access(DEFAULT_CONFIG, R_OK))
		return read_control_path(DEFAULT_CONFIG, path, room);
	(void)snprintf(path, room, "%s", options->control ? options->control : DEFAULT_CONTROL);
	return EXIT_GOOD;
}

static int complain_connect(const char *path, int err)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		return complain("berthd is not running (nothing listens at %s): "
				"systemctl start berthd", path);
	case -EACCES:
	case -EPERM:
		return complain("no permission to talk to berthd at %s: run this as root", path);
	default:
		return complain("cannot talk to berthd at %s: %s", path, strerror(-err));
	}
}

/* A descriptor or -errno. */
static int connect_to(const char *path)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		err = -errno;
		close(fd);
		return err;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

static int write_some(const char *data, size_t len, void *arg)
{
	const int *fd = arg;

	while (len) {
		ssize_t n = send(*fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static size_t read_some(void *buffer, size_t len, void *arg)
{
	const int *fd = arg;
	ssize_t n;

	do {
		n = recv(*fd, buffer, len, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? (size_t)-1 : (size_t)n;
}

static json_t *exchange(int fd, const json_t *request)
{
	json_error_t error;

	if (json_dump_callback(request, write_some, &fd, JSON_COMPACT) ||
	    write_some("\n", 1, &fd))
		return NULL;
	/* The answer is a line, but the connection stays open: stop at its last brace. */
	return json_load_callback(read_some, &fd, JSON_DISABLE_EOF_CHECK, &error);
}

int client_complain_unknown(const char *name, const char *const *names, size_t n)
{
	const char *near = rules_nearest(name, names, n);
	char shown[128], nearest[128];

	(void)log_sanitise(shown, sizeof(shown), name);
	(void)log_sanitise(nearest, sizeof(nearest), near ? near : "");
	/* A tunnel that is not up, a file that revokes, or one that was just mended. */
	if (near && strcmp(near, name) == 0)
		return complain("the file of '%s' is there, but it is not in force: `berth check` "
				"and the log of berthd say why", shown);
	if (near)
		return complain("there is no tenant '%s'; did you mean '%s'?", shown, nearest);
	if (!n)
		return complain("there is no tenant '%s', nor any other", shown);
	return complain("there is no tenant '%s'; `berth list` shows who is there", shown);
}

/* Nobody has that name: who has one like it? */
static int complain_no_tenant(int fd, const json_t *request)
{
	json_t *question = json_pack("{s:s}", "do", "names");
	json_t *answer = exchange(fd, question);
	const json_t *list = json_object_get(answer, "names");
	size_t n = json_array_size(list);
	const char **names = calloc(n + 1, sizeof(*names));
	const char *name = json_string_value(json_object_get(request, "name"));

	for (size_t i = 0; names && i < n; i++) {
		const char *other = json_string_value(json_array_get(list, i));

		names[i] = other ? other : "";
	}
	(void)client_complain_unknown(name ? name : "", names, names ? n : 0);
	free(names);
	json_decref(answer);
	json_decref(question);
	return EXIT_FAULT;
}

static int take_answer(int fd, const json_t *request, const json_t *answer, const char *what,
		       json_type type, json_t **value)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *code = json_string_value(json_object_get(answer, "code"));
	char sentence[512];

	if (error && code && strcmp(code, "no-tenant") == 0)
		return complain_no_tenant(fd, request);
	if (error) {
		(void)log_sanitise(sentence, sizeof(sentence), error);
		return complain("%s", sentence);
	}
	*value = json_object_get(answer, what);
	if (!*value || json_typeof(*value) != type)
		return complain("berthd gave an answer without '%s': is it of another version?",
				what);
	json_incref(*value);
	return EXIT_GOOD;
}

int client_ask(const struct client_options *options, json_t *request, const char *what,
	       json_type type, json_t **value)
{
	char path[4096];
	json_t *answer;
	int status = find_socket(options, path, sizeof(path));
	int fd;

	*value = NULL;
	fd = status ? -1 : connect_to(path);
	if (fd < 0) {
		if (!status)
			(void)complain_connect(path, fd);
		json_decref(request);
		return EXIT_FAULT;
	}
	answer = exchange(fd, request);
	if (answer)
		status = take_answer(fd, request, answer, what, type, value);
	else
		status = complain("berthd at %s did not answer within %d s: look into its log",
				  path, PATIENCE_S);
	json_decref(answer);
	json_decref(request);
	close(fd);
	return status;
}

int client_query(const char *path, json_t *request, json_t **answer)
{
	int fd = connect_to(path);

	*answer = NULL;
	if (fd >= 0) {
		*answer = exchange(fd, request);
		close(fd);
	}
	json_decref(request);
	if (fd < 0)
		return fd;
	return *answer ? 0 : -ETIMEDOUT;
}

static enum client_outcome read_outcome(const json_t *answer, char why[CLIENT_WHY_MAX])
{
	const json_t *wait = json_object_get(answer, "wait");
	const char *state = json_string_value(json_object_get(wait, "state"));
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *reason = json_string_value(json_object_get(wait, "why"));

	if (state && (strcmp(state, "live") == 0 || strcmp(state, "gone") == 0))
		return CLIENT_DONE;
	if (state && strcmp(state, "refused") == 0) {
		(void)log_sanitise(why, CLIENT_WHY_MAX, reason ? reason : "its log says why");
		return CLIENT_REFUSED;
	}
	(void)log_sanitise(why, CLIENT_WHY_MAX, error ? error : "is it of another version?");
	return CLIENT_UNKNOWN;
}

enum client_outcome client_wait(const char *path, const char *name, const char *public_key,
				char why[CLIENT_WHY_MAX])
{
	json_t *request = json_pack("{s:s, s:s, s:s*}", "do", "wait", "name", name, "public_key",
				    public_key);
	enum client_outcome outcome = CLIENT_UNKNOWN;
	int fd = request ? connect_to(path) : -ENOMEM;
	json_t *answer = NULL;

	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		outcome = CLIENT_NOT_RUNNING;
	} else if (fd < 0) {
		(void)snprintf(why, CLIENT_WHY_MAX, "cannot talk to it: %s", strerror(-fd));
	} else {
		answer = exchange(fd, request);
		if (answer)
			outcome = read_outcome(answer, why);
		else
			(void)snprintf(why, CLIENT_WHY_MAX, "it did not answer within %d s",
				       PATIENCE_S);
	}
	json_decref(answer);
	json_decref(request);
	if (fd >= 0)
		close(fd);
	return outcome;
}

double client_ms_since(uint64_t start)
{
	uint64_t us = (clock_now() - start) / (NSEC_PER_MSEC / 1000);

	return (double)us / 1000;
}

void client_print_json(const json_t *value)
{
	(void)json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
	(void)fputc('\n', stdout);
}
